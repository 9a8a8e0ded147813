"""The legal grounds for asking people, as the organisation attests them. Pure.

The organisation decides which ground it has. The answer page and the papers show what it attests,
and nothing that repermit assumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AskingGround(StrEnum):
    """The ground for using an address to ask (GDPR art. 6(1)(f), (e), (a)).

    A public authority cannot use a legitimate interest for its task (art. 6(1), last sentence).
    """

    LEGITIMATE_INTEREST = "legitimate_interest"
    PUBLIC_TASK = "public_task"
    EARLIER_CONSENT = "earlier_consent"


class SpecialGround(StrEnum):
    """The exception to the prohibition of GDPR art. 9(1) for asking a sensitive list (art. 9(2)).

    - `EXPLICIT_CONSENT`: explicit consent given before (9(2)(a)).
    - `MEMBERS`: the members, former members and regular contacts of a non-profit body with a
      political, philosophical, religious or trade union aim (9(2)(d)).
    """

    EXPLICIT_CONSENT = "explicit_consent"
    MEMBERS = "members"


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """The grounds attested at a launch: an AskingGround and a SpecialGround; "" for none."""

    asking_ground: str = ""
    special_ground: str = ""


NO_GROUNDS = Grounds()
"""The grounds of a campaign of an earlier version, which did not ask for them."""
