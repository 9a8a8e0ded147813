"""What became of the people whom a campaign asked: parts that add up to all of them.

May import contacts, models, consent. Nothing here writes, and nobody is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit import contacts
from repermit.consent import (
    Basis,
    CampaignState,
    MailKind,
    MailState,
    Reason,
    Status,
    is_undecided,
)
from repermit.models import Contact, Mail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from repermit.models import Campaign

_OWED = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_ANSWERS = (Basis.ANSWER, Basis.SIGN_UP)


@dataclass(frozen=True, kw_only=True)
class People:
    """The people of a campaign by where they stand; `asked` is the sum of all the others.

    `yes` agreed themselves; `otherwise` are confirmed or customers by a proof that came meanwhile;
    `removed` has every reason. Of who has not decided, `silent` were asked, `waiting` still are to
    be, and `unasked` could not be, by why.
    """

    asked: int
    yes: int
    otherwise: int
    removed: Mapping[Reason, int]
    silent: int
    waiting: int
    unasked: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """So many people whose status and whose ask look alike."""

    status: Status
    reason: str
    basis: str
    mail: MailState
    mail_reason: str
    bounce: str
    count: int


def count_people(campaign: Campaign) -> People:
    """Count a campaign's people in one look, so that the parts belong together."""
    yes = otherwise = silent = waiting = asked = 0
    removed = dict.fromkeys(Reason, 0)
    unasked = {str(why): 0 for why in contacts.WHY_UNASKED}
    for group in _groups(campaign):
        asked += group.count
        if is_undecided(group.status, group.basis, include_thin=campaign.include_thin):
            if group.mail in _OWED and campaign.state != CampaignState.CLOSED:
                waiting += group.count
            elif why := _why_unasked(group, campaign):
                # Who has a thin proof keeps it, and may be mailed as before.
                if group.status is Status.UNCONFIRMED:
                    unasked[why] += group.count
                else:
                    otherwise += group.count
            else:
                silent += group.count
        elif group.status is Status.REMOVED:
            removed[Reason(group.reason)] += group.count
        elif group.basis in _ANSWERS:
            yes += group.count
        else:
            otherwise += group.count
    return People(
        asked=asked,
        yes=yes,
        otherwise=otherwise,
        removed=removed,
        silent=silent,
        waiting=waiting,
        unasked=unasked,
    )


def _why_unasked(group: _Group, campaign: Campaign) -> str:
    """Return why they could not be asked, "" if they were; as contacts.unasked has it."""
    was_sent = group.mail == MailState.SENT and not group.bounce
    if was_sent and campaign.state != CampaignState.CLOSED:
        return ""
    return contacts.why_unasked(group.mail, group.mail_reason, group.bounce)


def _groups(campaign: Campaign) -> Iterable[_Group]:
    columns = (
        Contact.status,
        Contact.reason,
        Contact.basis,
        Mail.state,
        Mail.reason,
        Mail.bounce,
    )
    rows: Any = (
        Mail.select(*columns, fn.COUNT(Mail.id))
        .join(Contact)
        .where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
        .group_by(*columns)
        .tuples()
    )
    for status, reason, basis, state, mail_reason, bounce, count in rows:
        yield _Group(
            status=Status(status),
            reason=reason,
            basis=basis,
            mail=MailState(state),
            mail_reason=mail_reason,
            bounce=bounce,
            count=count,
        )
