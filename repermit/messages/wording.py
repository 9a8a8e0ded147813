"""The rules for a wording of the admin's own: what must be in it, and what may not.

May import addresses, config and errors. The rules are those of an asking that is no advertisement.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, nodes

from repermit.errors import WordingError
from repermit.messages.autolinks import endless_word, glued_fields, other_links
from repermit.messages.identity import reply_address
from repermit.messages.markup import read_markup
from repermit.messages.offers import offers_in
from repermit.messages.reading import FIELD, as_read, decoded, fields_in, marked
from repermit.messages.sizing import LARGEST
from repermit.messages.templating import own_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.config import Organisation
    from repermit.messages.values import MailingListFacts, OwnWording

SUBJECT_FIELDS = frozenset({"organisation_name", "list_name", "purpose", "frequency", "deadline"})
FIELDS = SUBJECT_FIELDS | {
    "address", "explicit_consent", "greeting", "me_url", "no_label", "no_url", "organisation",
    "privacy_url", "reason", "reply_to", "stop", "yes_label", "yes_url",
}  # fmt: skip
"""The fields of an own wording; `organisation` is the name with all ways to reach it."""

_MUST_HAVE = {
    "yes_url": "the Yes",
    "no_url": "the No",
    "deadline": "the deadline",
    "organisation": "who asks and how to reach them",
    "stop": "the way to stop",
    "privacy_url": "the link to the privacy statement",
}
_LONGEST_SUBJECT = 120

# How repermit's own frozen wordings mark a field. In an admin's it would be filled in unchecked.
_BRACKETS = re.compile("[⟦⟧]")
# Each begins anew at the next of its kind, so that the text is read once.
_STATEMENT = re.compile(r"\{%(?:(?!\{%|%\}).)*%\}|\{#(?:(?!\{#|#\}).)*#\}", re.DOTALL)

# Unicode ends at seven digits; html.unescape fails at several thousand.
_NO_CHARACTER = re.compile(r"&#(?:\d{8,}|x[0-9a-f]{7,})", re.IGNORECASE)
_QUOTED = 20


def check_wording(
    own: OwnWording, *, organisation: Organisation, mailing_list: MailingListFacts
) -> None:
    """Return if `own` may be used for an ask.

    Raises WordingError with every reason found, each beginning with the part that it is about.
    """
    reply_to = reply_address(mailing_list, organisation)
    reasons = [
        *_about("subject", own.subject, _subject_reasons(own.subject, mailing_list)),
        *_about("text", own.text, _text_reasons(own.text, mailing_list, reply_to)),
        *_about("HTML", own.html, _html_reasons(own.html, mailing_list, reply_to)),
    ]
    if own.html and not own.text:
        reasons.append("HTML: there is no text of your own beside it, and both must say the same")
    if reasons:
        raise WordingError(tuple(dict.fromkeys(reasons)))


def html_of_text(text: str) -> str:
    """Return the HTML template that says what a checked text template says; "" for ""."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "\n".join(f"<p>{_linked(paragraph)}</p>" for paragraph in paragraphs if paragraph)


def _linked(paragraph: str) -> str:
    escaped = html.escape(paragraph, quote=False).replace("\n", "<br>\n")
    return FIELD.sub(lambda found: _LINKED.get(found[1], found[0]), escaped)


_LINKED = {
    "yes_url": '<a class="button" href="{{ yes_url }}">{{ yes_label }}</a>',
    "no_url": '<a class="button" href="{{ no_url }}">{{ no_label }}</a>',
    "privacy_url": '<a href="{{ privacy_url }}">{{ privacy_url }}</a>',
    "me_url": '<a href="{{ me_url }}">{{ me_url }}</a>',
}


def _about(part: str, source: str, reasons: Iterator[str]) -> Iterator[str]:
    """Yield the reasons against a template; if it cannot be read, that one alone."""
    if source:
        yield from (f"{part}: {reason}" for reason in _unreadable(source) or reasons)


def _unreadable(source: str) -> tuple[str, ...]:
    """Return why a template is not read at all, if it is not."""
    if (octets := len(source.encode())) > LARGEST:
        # Before any search, since some of them would take very long.
        return (
            f"it has {octets:,} octets, and a whole mail may have {LARGEST:,}: make it shorter",
        )
    if found := _NO_CHARACTER.search(source):
        return (f"{found[0][:_QUOTED]} is no character",)
    return ()


def _subject_reasons(subject: str, mailing_list: MailingListFacts) -> Iterator[str]:
    used, reasons = _used_fields(subject, SUBJECT_FIELDS)
    yield from reasons
    yield from _forbidden(marked(subject), reply_to="")
    if len(subject) > _LONGEST_SUBJECT or "\n" in subject.strip():
        yield f"it must be one line of at most {_LONGEST_SUBJECT} characters"
    if mailing_list.sensitive:
        yield from _told(subject, used, mailing_list)


def _told(subject: str, used: set[str], mailing_list: MailingListFacts) -> Iterator[str]:
    """Yield what of a subject tells what a sensitive list is about."""
    for field in sorted(used - {"deadline"}):
        yield f"the list is sensitive, so the subject may not show {{{{ {field} }}}}"
    if mailing_list.name.casefold() in subject.casefold():
        yield "the list is sensitive, so the subject may not show its name"


def _text_reasons(text: str, mailing_list: MailingListFacts, reply_to: str) -> Iterator[str]:
    used, reasons = _used_fields(text, FIELDS)
    yield from reasons
    yield from _missing(used, mailing_list)
    yield from _forbidden(marked(text), reply_to=reply_to)


def _html_reasons(markup: str, mailing_list: MailingListFacts, reply_to: str) -> Iterator[str]:
    _, reasons = _used_fields(markup, FIELDS)
    yield from reasons
    found = read_markup(markup, reply_to=reply_to)
    yield from found.reasons
    # A field counts where it is seen: a link that leads there, or text; not in a comment.
    seen = fields_in(found.text) - {"yes_url", "no_url", "privacy_url"}
    yield from _missing(seen | fields_in("".join(found.targets)), mailing_list)
    yield from _forbidden(found.text, reply_to=reply_to)


def _missing(used: set[str], mailing_list: MailingListFacts) -> Iterator[str]:
    needed = _MUST_HAVE | (
        {"explicit_consent": "what a Yes means on a sensitive list"}
        if mailing_list.sensitive
        else {}
    )
    for field, what in needed.items():
        if field not in used:
            yield f"{what} is missing: put {{{{ {field} }}}} in it"


def _forbidden(text: str, *, reply_to: str) -> Iterator[str]:
    """Yield what may not stand in a text with marks."""
    # Statements are refused as such; what they stand beside is not their fault.
    read = as_read(_STATEMENT.sub(" ", text))
    if reason := endless_word(read):
        yield reason
        return
    yield from other_links(read, reply_to=reply_to)
    yield from glued_fields(read)
    for offer in offers_in(read):
        yield f"an offer, which makes the mail advertising: {offer}"


def _used_fields(source: str, allowed: frozenset[str]) -> tuple[set[str], list[str]]:
    """Return the fields in a template, and what else in it is not allowed."""
    if _BRACKETS.search(decoded(source)):
        return set(FIELD.findall(source)), ["⟦ and ⟧ may not stand in it: write [ and ]"]
    if "{%" in source or "{#" in source:
        reason = "only fields such as {{ deadline }} may stand in it, no {% … %} or {# … #}"
        return set(FIELD.findall(source)), [reason]
    try:
        found = list(own_environment(html=False).parse(source).find_all(nodes.Node))
    except TemplateSyntaxError as error:
        return set(), [f"line {error.lineno}: {error.message}"]
    except RecursionError:
        return set(FIELD.findall(source)), [_BARE]
    used = {node.name for node in found if isinstance(node, nodes.Name)}
    reasons = [
        f"there is no field {{{{ {name} }}}} here; there are {', '.join(sorted(allowed))}"
        for name in sorted(used - allowed)
    ]
    # The parser sees no difference between a name and a name in parentheses.
    if not all(isinstance(node, _PLAIN) for node in found) or "{{" in marked(source):
        reasons.append(_BARE)
    return used, reasons


_BARE = "only the bare name of a field may stand between {{ and }}"
_PLAIN = (nodes.Output, nodes.TemplateData, nodes.Name)
