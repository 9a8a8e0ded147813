"""Reading the HTML of an own wording: what is seen, where it leads, what is not allowed.

A list of what is allowed, as lists of what is not have holes.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser

from repermit.emails.frozen_draft import mark_field
from repermit.i18n.lazy_text import LazyText
from repermit.unicode_limits import normalize

_ELEMENTS = frozenset("a b blockquote br div em h1 h2 h3 hr i li ol p span strong u ul".split())
_INLINE = frozenset("a b em i span strong u".split())
_LINK_FIELDS = ("yes_url", "no_url", "me_url", "privacy_url")

# Tags that every parser reads alike: each value in quotes or one plain word. Of anything else
# (half-closed comments, values without quotes) mail programs make more than this parser would.
_TAG = re.compile(
    r"</?[a-z][a-z0-9]*(?:[ \t\r\n]+[a-z][a-z0-9:_-]*(?:=(?:\"[^\"<>]*\"|'[^'<>]*'|[a-z0-9_-]+))?)*"
    r"[ \t\r\n]*/?>",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_QUOTED = 40
# No mail needs as many, and each end of an element is looked for among all that are open.
_DEEPEST = 100


@dataclass(frozen=True, kw_only=True)
class MarkupContent:
    """The visible text, the targets of visible links, and the reasons against the markup.

    Text and targets have fields as marks.
    """

    text: str
    targets: tuple[str, ...]
    reasons: tuple[LazyText, ...]


def read_markup(markup: str, *, reply_to: str) -> MarkupContent:
    """Read an HTML template; a link may lead to a field or write to `reply_to`."""
    reader = _Reader(reply_to)
    reader.feed(_strip_markup(mark_fields(markup), reader.reasons))
    reader.close()
    styles = {field: reader.styles.get(f"⟦{field}⟧") for field in ("yes_url", "no_url")}
    if None not in styles.values() and styles["yes_url"] != styles["no_url"]:
        reader.reasons.append(_UNEQUAL_BUTTONS)
    return MarkupContent(
        # One line end where blocks meet, which begin and end a line both.
        text=re.sub(r"\n+", "\n", "".join(reader.text)),
        targets=tuple(reader.targets),
        reasons=tuple(dict.fromkeys(reader.reasons)),
    )


def _strip_markup(markup: str, reasons: list[LazyText]) -> str:
    """Return markup without comments, each other `<` that opens no plain tag made a letter."""
    reasons += (
        LazyText(
            "a comment, which mail programs may read as markup: %(quoted)s",
            quoted=_quote(comment),
        )
        for comment in _COMMENT.findall(markup)
    )
    pieces = _COMMENT.sub("", markup).split("<")
    for number, piece in enumerate(pieces[1:], start=1):
        if _TAG.match(f"<{piece}"):
            pieces[number] = f"<{piece}"
        else:
            reasons.append(
                LazyText(
                    "a < that opens no plain tag, with its values in quotes (for the sign itself "
                    "write &lt;): %(quoted)s",
                    quoted=_quote(f"<{piece}"),
                )
            )
            pieces[number] = f"&lt;{piece}"
    return "".join(pieces)


def _quote(markup: str) -> str:
    line = " ".join(unmark_fields(markup).split())
    return line if len(line) <= _QUOTED else f"{line[:_QUOTED]}…"


class _Reader(HTMLParser):
    def __init__(self, reply_to: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.targets: list[str] = []
        self.styles: dict[str, tuple[str, ...]] = {}
        self._around: list[str] = []
        self.reasons: list[LazyText] = []
        self._open_link = ""
        self._link_text = ""
        self._allowed = {f"⟦{field}⟧" for field in _LINK_FIELDS}
        self._allowed |= {f"mailto:{reply_to}", "mailto:⟦reply_to⟧"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._refuse_unlisted(tag)
        self._break_line(tag)
        attributes: dict[str, str] = {}
        for name, value in attrs:
            # Parsers differ in which of two they take.
            if name in attributes:
                self._refuse(
                    LazyText(
                        "the attribute %(name)s stands twice in %(quoted)s",
                        name=name,
                        quoted=_quote(f"<{tag}>"),
                    )
                )
            attributes[name] = value or ""
        if tag == "a":
            self._start_link(attributes.pop("href", ""), attributes.pop("class", ""))
        elif tag not in _VOID_ELEMENTS and len(self._around) == _DEEPEST:
            self._refuse(LazyText("more than %(most)s elements within one another", most=_DEEPEST))
        elif tag not in _VOID_ELEMENTS:
            self._around.append(tag)
        language = attributes.pop("lang", "nl")
        if not _LANGUAGE.fullmatch(language):
            self._refuse(
                LazyText(
                    "lang names a language, such as nl, not %(quoted)s",
                    quoted=unmark_fields(language),
                )
            )
        for name in attributes:
            self._refuse(
                LazyText(
                    "the attribute %(name)s of %(quoted)s is not allowed",
                    name=name,
                    quoted=_quote(f"<{tag}>"),
                )
            )

    # HTML does not close <b/> there (HTML Living Standard §13.2.5.40), which XML would.
    handle_startendtag = handle_starttag

    def _start_link(self, target: str, style: str) -> None:
        bare = target.strip()
        if bare not in self._allowed:
            written = unmark_fields(target) or LazyText("an empty one")
            self._refuse(
                LazyText("a link that is not one of the fields: %(quoted)s", quoted=written)
            )
        if style not in {"", "button"}:
            self._refuse(LazyText("a link's class may be button, not %(quoted)s", quoted=style))
        self._open_link, self._link_text = bare, ""
        self.styles[bare] = (style, *self._around)

    def handle_endtag(self, tag: str) -> None:
        self._refuse_unlisted(tag)
        self._break_line(tag)
        if tag in self._around:
            place = self._around.index(tag)
            self._leave(self._around[place + 1 :])
            del self._around[place:]
        if tag != "a":
            return
        if _OTHER_LABEL.get(self._open_link, "-") in self._link_text:
            self._refuse(LazyText("a link for one answer that bears the label of the other"))
        if self._link_text.strip():
            self.targets.append(self._open_link)
        else:
            self._refuse(LazyText("a link without text, which nobody can see"))

    def close(self) -> None:
        super().close()
        self._leave(self._around)

    def _leave(self, elements: list[str]) -> None:
        # Browsers open it anew in what follows (HTML Living Standard §13.2.4.3).
        for tag in elements:
            if tag in _INLINE:
                self._refuse(
                    LazyText("%(quoted)s is not closed where it should be", quoted=f"<{tag}>")
                )

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        self._link_text += data

    def _break_line(self, tag: str) -> None:
        if tag not in _INLINE:
            self.text.append("\n")

    def _refuse_unlisted(self, tag: str) -> None:
        if tag not in _ELEMENTS:
            what = _ATTRIBUTE_NAMES.get(tag, _UNLISTED)
            self._refuse(LazyText("%(what)s: %(quoted)s", what=what, quoted=_quote(f"<{tag}>")))

    def _refuse(self, reason: LazyText) -> None:
        self.reasons.append(reason)


# Elements without an end (HTML Living Standard §13.1.2).
_VOID_ELEMENTS = frozenset(("br", "hr"))

_OTHER_LABEL = {"⟦yes_url⟧": "⟦no_label⟧", "⟦no_url⟧": "⟦yes_label⟧"}

_UNEQUAL_BUTTONS = LazyText("Yes and No must look alike: make both a button, or neither")
_UNLISTED = LazyText("an element that is not allowed")
_ATTRIBUTE_NAMES = {
    **dict.fromkeys(("img", "image", "picture", "svg"), LazyText("an image")),
    **dict.fromkeys(("form", "input", "button"), LazyText("a form")),
    **dict.fromkeys(("style", "link"), LazyText("a style sheet")),
    "script": LazyText("a script"),
}


# --- Reading a template of the admin's as its reader will see it. ---------------------------------


# A field, with the blanks that the engine takes away where a hyphen stands inside the braces.
# Blanks are looked at from the first of them on only: from each, they would take their number
# squared.
FIELD = re.compile(r"(?:(?<!\s)\s+\{\{-|\{\{[-+]?)\s*(\w+)\s*(?:-\}\}\s*|\}\})")
_MARK = re.compile(r"⟦(\w+)⟧")

# What has no shape of its own: controls, soft hyphens, zero-width letters and turns of direction;
# and accents that stand alone once all others are joined to their letter.
_UNSEEN = frozenset(("Cc", "Cf", "Mn", "Mc", "Me"))
# Hangul fillers are letters by their category, but are not drawn.
_FILLERS = "\u115f\u1160\u3164\uffa0"
# IDNA takes the ideographic full stop for the dot of a domain (UTS 46).
_DOTS = {ord("。"): ".", **dict.fromkeys(map(ord, _FILLERS))}


def mark_fields(template: str) -> str:
    """Return a template with every field as its mark, ⟦stop⟧, where the engine will put it."""
    return FIELD.sub(lambda match: mark_field(match[1]), template)


def unmark_fields(text: str) -> str:
    """Return marked text with its fields as the admin wrote them, {{ stop }}."""
    return _MARK.sub(r"{{ \1 }}", text)


def find_fields(text: str) -> set[str]:
    """Return the names of the fields in marked text."""
    return set(_MARK.findall(text))


def decode_references(text: str) -> str:
    """Return text with its character references (&amp;) as characters."""
    return html.unescape(text)


def normalize_text(text: str) -> str:
    """Return text in plain shapes (NFKC), without what cannot be seen; blanks stay."""
    # Twice: what is composed only once the unseen is away.
    for _ in range(2):
        text = normalize("NFKC", decode_references(text)).translate(_DOTS)
        text = "".join(letter for letter in text if letter.isspace() or _is_visible(letter))
    return text


def _is_visible(letter: str) -> bool:
    return unicodedata.category(letter) not in _UNSEEN
