"""Validation of an admin's own wording of an ask: required and forbidden content, and its size.

The rules keep an ask from being an advertisement.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from jinja2 import TemplateSyntaxError, nodes

from repermit.emails.advertising_words import find_offers
from repermit.emails.allowed_html import (
    FIELD,
    find_fields,
    mark_fields,
    normalize_text,
    read_markup,
)
from repermit.emails.autolinks import check_word_length, find_glued_fields, find_other_links
from repermit.emails.compose_mail import compose_mail
from repermit.emails.conditional_sentences import make_asking_sentence
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import AskValues, MailingListFacts, OwnWording
from repermit.emails.sender_identity import choose_reply_address, contains_name
from repermit.emails.template_engine import cut_name, make_own_environment, render
from repermit.errors import MailTooLarge, WordingError
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.settings.definitions import Organisation

# --- The largest size of a mail, and its limit. ---------------------------------------------------


MAX_MAIL_SIZE = 102_000
"""The number of octets beyond which Gmail clips a mail, perhaps with Yes and No."""

# A character of three octets, which takes nine in a mail.
_WIDE_CHARACTER = "語"
_MAX_NAME_LENGTH = 70
_MAX_SOURCE_LENGTH = 300


def check_mail_size(draft: Draft, *, link: str) -> None:
    """Raise MailTooLarge if an ask could exceed `MAX_MAIL_SIZE` with the longest values.

    - `link`: any link as long as those in the mails.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
    octets = len(compose_mail(draft, _make_longest_values(link)).raw)
    if octets > MAX_MAIL_SIZE:
        reason = LazyText(
            "the mail can grow to %(octets)s octets, with its text and its HTML, and Gmail cuts "
            "off what is beyond %(most)s: make it shorter",
            octets=octets,
            most=MAX_MAIL_SIZE,
        )
        raise MailTooLarge((reason,))


def _make_longest_values(link: str) -> AskValues:
    long_ago = datetime(2009, 9, 30, 12, tzinfo=UTC)
    domain = ".".join(["d" * 60] * 3)
    return AskValues(
        address=f"{'l' * 64}@{domain}",
        name=_WIDE_CHARACTER * _MAX_NAME_LENGTH,
        source=_WIDE_CHARACTER * _MAX_SOURCE_LENGTH,
        since=long_ago,
        yes_url=link,
        no_url=link,
        me_url=link,
        list_label="l" * 63,
        message_id=f"<{'m' * 64}@{domain}>",
        return_path=f"{'r' * 64}@{domain}",
        date=long_ago,
    )


# --- The rules for an admin's own wording. --------------------------------------------------------


SUBJECT_FIELDS = frozenset(
    {"organisation_name", "list_name", "purpose", "frequency", "deadline", "day"}
)
ALL_FIELDS = SUBJECT_FIELDS | {
    "address", "explicit_consent", "greeting", "me_url", "no_label", "no_url", "objection",
    "organisation", "privacy_url", "reason", "reply_to", "short_deadline", "silence", "stop",
    "telephone", "yes_label", "yes_url",
}  # fmt: skip
"""The fields of an own wording.

`organisation` is the name with all ways to reach it, `objection` a heading and its sentence.
"""

_REQUIRED_FIELDS = {
    "yes_url": LazyText("the Yes"),
    "no_url": LazyText("the No"),
    # It says the deadline too.
    "silence": LazyText("what happens without an answer"),
    "organisation": LazyText("who asks and how to reach them"),
    # GDPR art. 21(4): "presented clearly and separately from any other information".
    "objection": LazyText("the right to object"),
    "stop": LazyText("the way to stop"),
    "privacy_url": LazyText("the link to the privacy statement"),
}

_MAX_SUBJECT_LENGTH = 120

# The brackets of marks in frozen wordings. In an admin's text they would be filled in unchecked.
_BRACKETS = re.compile("[⟦⟧]")
# A match never crosses another opening, so that the search takes linear time.
_STATEMENT = re.compile(r"\{%(?:(?!\{%|%\}).)*%\}|\{#(?:(?!\{#|#\}).)*#\}", re.DOTALL)

# Unicode ends at seven digits; html.unescape fails at several thousand.
_NO_CHARACTER = re.compile(r"&#(?:\d{8,}|x[0-9a-f]{7,})", re.IGNORECASE)
_MAX_QUOTE_LENGTH = 20


def check_wording(
    own: OwnWording, *, organisation: Organisation, mailing_list: MailingListFacts
) -> None:
    """Raise WordingError if `own` may not be used for an ask.

    The error has all reasons, each of which begins with the part that it concerns.
    """
    reply_to = choose_reply_address(mailing_list, organisation)
    reasons = [
        *_check_part(LazyText("subject"), own.subject, _check_subject(own.subject, mailing_list)),
        *_check_part(LazyText("text"), own.text, _check_text(own.text, mailing_list, reply_to)),
        *_check_part(_HTML, own.html, _check_html(own.html, mailing_list, reply_to)),
    ]
    if own.html and not own.text:
        lacks = LazyText("there is no text of your own beside it, and both must say the same")
        reasons.append(_name_part(_HTML, lacks))
    if reasons:
        raise WordingError(tuple(dict.fromkeys(reasons)))


def _name_part(part: LazyText, reason: LazyText) -> LazyText:
    return LazyText("%(part)s: %(reason)s", part=part, reason=reason)


def _check_part(part: LazyText, source: str, reasons: Iterator[LazyText]) -> Iterator[LazyText]:
    """Yield the reasons against a part; if it cannot be read, only why."""
    if source:
        yield from (_name_part(part, reason) for reason in _check_readable(source) or reasons)


def _check_readable(source: str) -> tuple[LazyText, ...]:
    """Return why a template cannot be read, as one reason; () if it can."""
    if (octets := len(source.encode())) > MAX_MAIL_SIZE:
        # Before any search, since some searches would take very long.
        reason = LazyText(
            "it has %(octets)s octets, and a whole mail may have %(most)s: make it shorter",
            octets=octets,
            most=MAX_MAIL_SIZE,
        )
        return (reason,)
    if match := _NO_CHARACTER.search(source):
        return (LazyText("%(sign)s is no character", sign=match[0][:_MAX_QUOTE_LENGTH]),)
    return ()


def _check_subject(subject: str, mailing_list: MailingListFacts) -> Iterator[LazyText]:
    used, reasons = _read_fields(subject, SUBJECT_FIELDS)
    yield from reasons
    yield from _check_forbidden(mark_fields(subject), reply_to="")
    if len(subject) > _MAX_SUBJECT_LENGTH or "\n" in subject.strip():
        yield LazyText(
            "it must be one line of at most %(most)s characters", most=_MAX_SUBJECT_LENGTH
        )
    if mailing_list.sensitive:
        yield from _check_sensitive_subject(subject, used, mailing_list)


def _check_sensitive_subject(
    subject: str, used: set[str], mailing_list: MailingListFacts
) -> Iterator[LazyText]:
    """Yield the reasons against a subject that reveals what a sensitive list is about."""
    for field in sorted(used - {"day", "deadline"}):
        yield LazyText(
            "the list is sensitive, so the subject may not show %(field)s",
            field=_write_field(field),
        )
    if contains_name(mark_fields(subject), mailing_list.name):
        yield LazyText("the list is sensitive, so the subject may not show its name")


def _check_text(text: str, mailing_list: MailingListFacts, reply_to: str) -> Iterator[LazyText]:
    used, reasons = _read_fields(text, ALL_FIELDS)
    yield from reasons
    yield from _check_required(used, mailing_list)
    yield from _check_forbidden(mark_fields(text), reply_to=reply_to)


def _check_html(markup: str, mailing_list: MailingListFacts, reply_to: str) -> Iterator[LazyText]:
    _, reasons = _read_fields(markup, ALL_FIELDS)
    yield from reasons
    content = read_markup(markup, reply_to=reply_to)
    yield from content.reasons
    # A field counts if it is visible, as text or as a link's target, and not in a comment.
    shown_fields = find_fields(content.text) - {"yes_url", "no_url", "privacy_url"}
    yield from _check_required(shown_fields | find_fields("".join(content.targets)), mailing_list)
    yield from _check_forbidden(content.text, reply_to=reply_to)


def _check_required(used: set[str], mailing_list: MailingListFacts) -> Iterator[LazyText]:
    for field, description in _list_required(mailing_list).items():
        if field not in used:
            yield LazyText(
                "%(what)s is missing: put %(field)s in it",
                what=description,
                field=_write_field(field),
            )


def _list_required(mailing_list: MailingListFacts) -> Mapping[str, LazyText]:
    if not mailing_list.sensitive:
        return _REQUIRED_FIELDS
    return {
        **_REQUIRED_FIELDS,
        "explicit_consent": LazyText("what a Yes means on a sensitive list"),
    }


def _check_forbidden(text: str, *, reply_to: str) -> Iterator[LazyText]:
    """Yield the reasons against links, touched fields and offers in a text with marks."""
    # Statements are refused elsewhere, and must not cause further reasons here.
    normalized = normalize_text(_STATEMENT.sub(" ", text))
    if reason := check_word_length(normalized):
        yield reason
        return
    yield from find_other_links(normalized, reply_to=reply_to)
    yield from find_glued_fields(normalized)
    for offer in find_offers(normalized):
        yield LazyText("an offer, which makes the mail advertising: %(quoted)s", quoted=offer)


def _read_fields(source: str, allowed: frozenset[str]) -> tuple[set[str], list[LazyText]]:
    """Return the fields in a template, and the reasons against all other syntax in it."""
    if _BRACKETS.search(html.unescape(source)):
        return set(FIELD.findall(source)), [LazyText("⟦ and ⟧ may not stand in it: write [ and ]")]
    if "{%" in source or "{#" in source:
        reason = LazyText(
            "only fields such as {{ deadline }} may stand in it, no {% … %} or {# … #}"
        )
        return set(FIELD.findall(source)), [reason]
    try:
        nodes_found = list(make_own_environment(html=False).parse(source).find_all(nodes.Node))
    except TemplateSyntaxError as error:
        fault = LazyText(
            "line %(line)s cannot be read: look at the braces in it, and write a field like {{ "
            "deadline }}",
            cli=" (%(fault)s)",
            line=str(error.lineno),
            fault=error.message or "",
        )
        return set(), [fault]
    except RecursionError:
        return set(FIELD.findall(source)), [_BARE_FIELD]
    used = {node.name for node in nodes_found if isinstance(node, nodes.Name)}
    reasons = [
        LazyText(
            "there is no field %(field)s here; there are %(fields)s",
            field=_write_field(name),
            fields=LazyJoin(tuple(sorted(allowed))),
        )
        for name in sorted(used - allowed)
    ]
    # The parser does not distinguish a name from a name in parentheses.
    if not all(isinstance(node, _PLAIN) for node in nodes_found) or "{{" in mark_fields(source):
        reasons.append(_BARE_FIELD)
    return used, reasons


def _write_field(field: str) -> str:
    return f"{{{{ {field} }}}}"


_HTML = LazyText("HTML")
_BARE_FIELD = LazyText("only the bare name of a field may stand between {{ and }}")
_PLAIN = (nodes.Output, nodes.TemplateData, nodes.Name)


# --- repermit's own wording of an ask as templates with fields. -----------------------------------


def make_default_wording(
    mailing_list: MailingListFacts, *, language: str, longest_day: str, has_telephone: bool = False
) -> OwnWording:
    """Return templates with the text of repermit's own ask, valid for `check_wording`.

    They have no HTML, which is made from the text. The subject has the last day if there is room
    for `longest_day`.
    """
    fields = {field: f"{{{{ {field} }}}}" for field in ALL_FIELDS}
    fields |= {"language": language, "subject": "", "preview": ""}
    # The values that the templates test, as they are for this list.
    fields["sensitive"] = "yes" if mailing_list.sensitive else ""
    fields["frequency"] = fields["frequency"] if mailing_list.frequency else ""
    fields["telephone"] = fields["telephone"] if has_telephone else ""
    name = mailing_list.in_language(language).name
    shown_context = fields | {"list_name": name, "day": longest_day, "longest_day": longest_day}
    has_room = longest_day in render("ask/subject.txt", shown_context, language=language)
    fields |= {"day": fields["day"] if has_room else "", "longest_day": ""}
    # The admin may add a reminder after writing the text.
    fields["asking"] = make_asking_sentence(
        cut_name(fields["organisation_name"]), language, is_only_mail=False
    )
    text = render("ask/body.txt", fields, language=language)
    return OwnWording(
        subject=render("ask/subject.txt", fields, language=language).strip(),
        text=_mark_headings(text, render("ask/body.html", fields, language=language)),
    )


def _mark_headings(text: str, markup: str) -> str:
    """Return a text with the marks of `text_to_html` before each heading of its HTML."""
    marks = {
        html.unescape(heading.strip()): "#" * int(level)
        for level, heading in re.findall(r"(?s)<h([12])>(.*?)</h", markup)
    }
    lines = (f"{marks[line]} {line}" if line in marks else line for line in text.splitlines())
    return "\n".join(lines) + "\n"


def find_missing_fields(text: str, mailing_list: MailingListFacts) -> set[str]:
    """Return the required fields that an admin's text lacks."""
    used, _ = _read_fields(text, ALL_FIELDS)
    return set(_list_required(mailing_list)) - used


def complete_text(text: str, default_text: str, mailing_list: MailingListFacts) -> str:
    """Append the paragraphs of the default text that have the required fields a text lacks.

    They keep the order of the default text. A text that lacks nothing is returned unchanged.
    """
    missing = find_missing_fields(text, mailing_list)
    paragraphs = [text.rstrip()]
    for paragraph in re.split(r"\n\s*\n", default_text.strip()):
        if missing_here := missing & _read_fields(paragraph, ALL_FIELDS)[0]:
            paragraphs.append(paragraph)
            missing -= missing_here
    return "\n\n".join(filter(None, paragraphs)) + "\n" if len(paragraphs) > 1 else text
