"""What is known of the contact that a link names, and what an answer did.

May import consent, messages and what lies below. All times are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.consent import Outcome, Status
    from repermit.messages import MailingListFacts
    from repermit.suspicion import Sign

Method = Literal["page", "one_click", "note"]
"""How an answer reached us: by a button, by RFC 8058, or told to the admin."""

Giver = Literal["", "representative"]
"""Who says to have given an answer: "" for the person themselves, or their legal representative."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """How an answer reached us: the network in part (198.51.100.0/24) and the browser's name."""

    network: str = ""
    browser: str = ""


@dataclass(frozen=True, kw_only=True)
class PageShown:
    """The page that an answer comes from: the text around its button, and the language of it.

    `given_by` is who gives the answer, by what the page was opened with.
    """

    wording: str = ""
    language: str = ""
    given_by: Giver = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a contact stands, and what it was told.

    `address` is in part and "" after erasure, `is_gone` says that nothing is held any more.
    `mailing_list` is as the mail of the latest campaign told it, if there was one. `deadline` is
    that campaign's, `asked_at` when a server took its ask and `reminded_at` the reminder,
    `mail_wording` the ask's digest. `signs` are why the last press was suspect, if it was;
    `awaited` is the mark of the round in which a Yes is asked for again, "" if none is.
    `is_off_by_file` says that a file alone has taken them off, which may be taken back. Of
    `form_version` are the forms that count now.
    """

    uid: str
    address: str
    language: str
    status: Status
    status_at: datetime
    reason: str
    basis: str
    basis_at: datetime | None
    source: str
    since: datetime | None
    is_gone: bool
    mailing_list: MailingListFacts
    campaign: int
    deadline: datetime | None
    asked_at: datetime | None
    reminded_at: datetime | None
    mail_wording: str
    signs: tuple[Sign, ...]
    awaited: str = ""
    is_off_by_file: bool = False
    form_version: int = 0

    @property
    def mailed_at(self) -> datetime | None:
        """Return when a server took the last mail with the contact's links, None if none did."""
        return self.reminded_at or self.asked_at

    def awaits(self, mark: str) -> bool:
        """Say whether the Yes of the round that a page names by its mark is still waited for."""
        return bool(mark) and mark == self.awaited

    def is_in_time(self, moment: datetime) -> bool:
        """Say whether a Yes that arrives at `moment` answers an open question."""
        return self.deadline is not None and moment < self.deadline


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What an answer did, and where the contact stands after it.

    `mark` is what the buttons of the page send along that asks for a Yes again which is held.
    """

    outcome: Outcome
    standing: Standing
    mark: str = ""

    @property
    def status(self) -> Status:
        """Return the contact's status after the answer."""
        return self.standing.status

    @property
    def reason(self) -> str:
        """Return why the contact was taken off, "" if it was not."""
        return self.standing.reason


@dataclass(frozen=True, kw_only=True)
class SignUpFacts:
    """A sign-up, as its page shows it; `address` is in part."""

    address: str
    language: str
    mailing_list: MailingListFacts


@dataclass(frozen=True, kw_only=True)
class SignedUp:
    """What a press on a sign-up's link did or would do.

    `outcome` is `confirm`, `hold` (the Yes may be a program's), `nothing` (it was used before),
    `ask` (the press came from no page that counts) or `late`. `standing` is its contact's, if there
    is one. Until `ends_at` the link can be used. `mark` is that of the round in which a Yes is
    asked for again, "" if none is; `signs` say why. Of `form_version` are the forms that count now.
    """

    outcome: Outcome
    sign_up: SignUpFacts
    standing: Standing | None
    ends_at: datetime
    mark: str
    form_version: int
    signs: tuple[Sign, ...] = ()
