"""What is wrong with a mail's own wording, in the page's language.

May import this room's forms and showing. What messages says is English; the sentences are listed
here for the catalogue. One that is not comes as it is.
"""

from __future__ import annotations

import re

from repermit.web.admin.forms import N_
from repermit.web.admin.showing import gettext

_PARTS = {"subject": N_("Subject"), "text": N_("Text"), "HTML": N_("HTML")}

# In the catalogue, since they stand in a sentence as its %(what)s.
SAID = (
    N_("the Yes"),
    N_("the No"),
    N_("the deadline"),
    N_("who asks and how to reach them"),
    N_("the way to stop"),
    N_("the link to the privacy statement"),
    N_("what a Yes means on a sensitive list"),
)

FLAWS = (
    (r"(?P<what>.+) is missing: put (?P<field>.+) in it", N_("%(what)s is missing: %(field)s")),
    (
        r"there is no field (?P<field>\{\{ .* \}\}) here; there are .*",
        N_("There is no field %(field)s here; those there are stand beside the form."),
    ),
    (r"⟦ and ⟧ may not stand in it.*", N_("⟦ and ⟧ may not stand in it: write [ and ]")),
    (
        r"only fields such as .*",
        N_("Only fields such as {{ deadline }} may stand in it, no {%% … %%} or {# … #}."),
    ),
    (
        r"only the bare name of a field .*",
        N_("Only the bare name of a field may stand between {{ and }}."),
    ),
    (r"line (?P<line>\d+): (?P<said>.*)", N_("Line %(line)s cannot be read: %(said)s")),
    (
        r"it has (?P<octets>[\d,]+) octets, and a whole mail may have (?P<most>[\d,]+).*",
        N_("It has %(octets)s octets, and a whole mail may have %(most)s: make it shorter."),
    ),
    (
        r"the mail can grow to (?P<octets>[\d,]+) octets, .* beyond (?P<most>[\d,]+): .*",
        N_(
            "The mail can grow to %(octets)s octets, with its text and its HTML, and Gmail cuts "
            "off what is beyond %(most)s: make it shorter."
        ),
    ),
    (
        r"it must be one line of at most (?P<most>\d+) characters",
        N_("It must be one line of at most %(most)s characters."),
    ),
    (
        r"the list is sensitive, so the subject may not show (?P<field>\{\{.*)",
        N_("The list is sensitive, so the subject may not show %(field)s."),
    ),
    (
        r"the list is sensitive, so the subject may not show its name",
        N_("The list is sensitive, so the subject may not show its name."),
    ),
    (
        r"there is no text of your own beside it.*",
        N_("There is no text of your own beside it, and both must say the same."),
    ),
    (
        r"an offer, which makes the mail advertising: (?P<said>.*)",
        N_("An offer makes the mail advertising: %(said)s"),
    ),
    (
        r"another mail address than the one for replies: (?P<said>.*)",
        N_("It has another mail address than the one for replies: %(said)s"),
    ),
    (
        r"a link that is not one of the fields: (?P<said>.*)",
        N_("It has a link that is not one of the fields: %(said)s"),
    ),
    (
        r"what mail programs make a link of: (?P<said>.*) \(if it is none, .*\)",
        N_(
            "Mail programs make a link of this: %(said)s (if it is none, put a blank after the "
            "full stop)"
        ),
    ),
    (
        r"(?P<field>\{\{ \w+ \}\}) must stand apart, a blank on both sides: (?P<said>.*)",
        N_("%(field)s must stand apart, with a blank on both sides: %(said)s"),
    ),
    (
        r"a < that opens no plain tag.*: (?P<said>.*)",
        N_("A < opens no plain tag (for the sign itself write &lt;): %(said)s"),
    ),
    (
        r"a comment, which mail programs .*: (?P<said>.*)",
        N_("Mail programs may read a comment as markup: %(said)s"),
    ),
    (
        r"an element that is not allowed: (?P<said>.*)",
        N_("This element is not allowed: %(said)s"),
    ),
    (r"(?P<said>&#.*) is no character", N_("%(said)s is no character.")),
    (r"an image: (?P<said>.*)", N_("An image is not allowed: %(said)s")),
    (
        r"(?P<said><.*>) is not closed where it should be",
        N_("%(said)s is not closed where it should be."),
    ),
)


def in_words(reason: str) -> str:
    """Return one reason, the part of the mail that it is about first."""
    part, _, rest = reason.partition(": ")
    if part in _PARTS:
        return f"{gettext(_PARTS[part])}: {_said(rest)}"
    return _said(reason)


def part_of(reason: str) -> str:
    """Return the field of the form that a reason is about, "text" if it names none."""
    part = reason.partition(": ")[0]
    return part.lower() if part in _PARTS else "text"


def _said(reason: str) -> str:
    for pattern, text in FLAWS:
        if found := re.fullmatch(pattern, reason, re.DOTALL):
            values = {name: _known(name, value) for name, value in found.groupdict().items()}
            return gettext(text) % values
    return reason


def _known(name: str, value: str) -> str:
    return gettext(value) if name == "what" else value
