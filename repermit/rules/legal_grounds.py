"""On what ground of the law people are asked, as the organisation attests it. Pure.

Which ground holds is for the organisation to decide. What is attested stands on the answer page and
in the papers, in place of any that repermit could think of.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AskingGround(StrEnum):
    """The ground for using an address to ask (GDPR art. 6(1)(f), (e), (a)).

    A public authority has no legitimate interest in what is its task (art. 6(1), last sentence).
    """

    LEGITIMATE_INTEREST = "legitimate_interest"
    PUBLIC_TASK = "public_task"
    EARLIER_CONSENT = "earlier_consent"


class SpecialGround(StrEnum):
    """What lifts the prohibition of GDPR art. 9(1) for asking a sensitive list (art. 9(2)).

    `EXPLICIT_CONSENT`: given before (9(2)(a)). `MEMBERS`: the members, former members and regular
    contacts of a body without profit with a political, philosophical, religious or trade union aim
    (9(2)(d)).
    """

    EXPLICIT_CONSENT = "explicit_consent"
    MEMBERS = "members"


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What was attested at a launch: an AskingGround and a SpecialGround, "" for nothing."""

    asking_ground: str = ""
    special_ground: str = ""


NO_GROUNDS = Grounds()
"""Of a campaign from before they were asked for."""
