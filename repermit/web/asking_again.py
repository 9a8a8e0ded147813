"""What the page says that asks for a Yes once more, and what a No is told that may be a program's.

May import suspicion, messages and this room's words. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.suspicion import Sign
from repermit.web.words import Statement, no_label

if TYPE_CHECKING:
    from collections.abc import Collection

    from repermit.answers import Standing
    from repermit.web.words import Voice

NOT_ME, AGAIN = "not_me", "again"
"""What the two buttons say that stand beside the one for No, in the field `choice`."""


def why_again(signs: Collection[Sign], voice: Voice) -> str:
    """Return why somebody is asked once more, by the sign that says most."""
    gettext = voice.gettext
    reasons = {
        Sign.BOTH_OPENED: gettext(
            "The links for Yes and for No were opened within a minute of each other, as programs "
            "do."
        ),
        Sign.BOTH_ANSWERED: gettext(
            "Yes and No were pressed within a minute of each other, as programs do."
        ),
        Sign.LOOKED_UP: gettext(
            "A program looked at the link, and Yes was pressed within a minute after our mail had "
            "been delivered."
        ),
    }
    otherwise = gettext("The Yes before this one was not confirmed.")
    return next((text for sign, text in reasons.items() if sign in signs), otherwise)


def labels(voice: Voice, *, sensitive: bool) -> dict[str, str]:
    """Return what stands on the three buttons, in their order.

    None of them stands out, and the Yes is neither the first nor the last, so that no program
    which presses the first, the last, the one in colour or all of them gets through.
    """
    gettext = voice.gettext
    again = (
        gettext("Yes, it was me, and I explicitly consent to these mails")
        if sensitive
        else gettext("Yes, it was me: keep sending me these mails")
    )
    return {NOT_ME: gettext("I did not press Yes"), AGAIN: again, "no": no_label(voice)}


def disowned(standing: Standing, voice: Voice) -> Statement:
    """Return what a page says to whoever did not press Yes."""
    gettext = voice.gettext
    return Statement(
        heading=gettext("No Yes is recorded"),
        text=gettext(
            "Thank you. Then a program pressed, as some mail services let theirs do. Until "
            "%(deadline)s you can still answer with the links in our mail."
        )
        % {"deadline": voice.moment(standing.deadline)},
    )
