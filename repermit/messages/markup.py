"""Reading the HTML of an own wording: what is seen, where it leads, what is not allowed.

May import nothing of repermit. A list of what is allowed, as lists of what is not have holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

_ELEMENTS = frozenset("a b blockquote br div em h1 h2 h3 hr i li ol p span strong u ul".split())
_INLINE = frozenset("a b em i span strong u".split())
_LINK_FIELDS = ("yes_url", "no_url", "me_url", "privacy_url")


@dataclass(frozen=True, kw_only=True)
class Markings:
    """The text that is seen, the targets of links that are seen, and the reasons against."""

    text: str
    targets: tuple[str, ...]
    reasons: tuple[str, ...]


def read_markup(markup: str, *, reply_to: str) -> Markings:
    """Return what a template in HTML shows; a link may lead to a field or write to `reply_to`."""
    reader = _Reader(reply_to)
    reader.feed(markup)
    reader.close()
    styles = {field: reader.styles.get(f"{{{{{field}}}}}") for field in ("yes_url", "no_url")}
    if None not in styles.values() and styles["yes_url"] != styles["no_url"]:
        reader.reasons.append("Yes and No must look alike: make both a button, or neither")
    return Markings(
        text="".join(reader.text),
        targets=tuple(reader.targets),
        reasons=tuple(dict.fromkeys(reader.reasons)),
    )


class _Reader(HTMLParser):
    def __init__(self, reply_to: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.targets: list[str] = []
        self.styles: dict[str, tuple[str, ...]] = {}
        self._around: list[str] = []
        self.reasons: list[str] = []
        self._open_link = ""
        self._link_text = ""
        self._allowed = {f"{{{{{field}}}}}" for field in _LINK_FIELDS} | {f"mailto:{reply_to}"}
        self._allowed.add("mailto:{{reply_to}}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS:
            self.reasons.append(_refused(tag))
        if tag not in _INLINE:
            self.text.append("\n")
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a":
            self._start_link(attributes.pop("href", ""), attributes.pop("class", ""))
        elif tag not in _EMPTY:
            self._around.append(tag)
        for name in attributes.keys() - {"lang"}:
            self.reasons.append(f"the attribute {name} of <{tag}> is not allowed")

    def _start_link(self, target: str, style: str) -> None:
        bare = "".join(target.split())
        if bare not in self._allowed:
            self.reasons.append(f"a link that is not one of the fields: {target or 'an empty one'}")
        if style not in {"", "button"}:
            self.reasons.append(f"a link's class may be button, not {style}")
        self._open_link, self._link_text = target, ""
        self.styles[bare] = (style, *self._around)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._around:
            del self._around[self._around.index(tag) :]
        if tag != "a":
            return
        if _OTHER_LABEL.get("".join(self._open_link.split()), "-") in self._link_text:
            self.reasons.append("a link for one answer that bears the label of the other")
        if self._link_text.strip():
            self.targets.append(self._open_link)
        else:
            self.reasons.append("a link without text, which nobody can see")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        self._link_text += data


# Elements without an end (HTML Living Standard §13.1.2).
_EMPTY = frozenset(("br", "hr"))

_OTHER_LABEL = {"{{yes_url}}": "no_label", "{{no_url}}": "yes_label"}


def _refused(tag: str) -> str:
    what = {
        "img": "an image",
        "picture": "an image",
        "svg": "an image",
        "script": "a script",
        "form": "a form",
        "style": "a style sheet",
    }.get(tag, "an element that is not allowed")
    return f"{what}: <{tag}>"
