"""What the page says that asks for a Yes once more, and what a No is told that may be a program's.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection

from repermit.answers.lookup import SignedUp, Standing
from repermit.rules.bot_detection import Sign
from repermit.web.page_text import Statement, Voice, no_label, yes_label

NOT_ME, AGAIN, YES, NO = "not_me", "again", "yes", "no"
"""What buttons say in the field `choice`: of whoever is asked again, and of who has signed up."""


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
        Sign.SAID_NO: gettext("A No came before this Yes."),
        Sign.LOOKED_UP: gettext(
            "A program looked at the link, and Yes was pressed within a minute after our mail had "
            "been delivered."
        ),
    }
    otherwise = gettext("The Yes before this one was not confirmed.")
    return next((text for sign, text in reasons.items() if sign in signs), otherwise)


def labels(voice: Voice, *, sensitive: bool, is_representative: bool) -> dict[str, str]:
    """Return what stands on the three buttons, in their order.

    None of them stands out, and the Yes is neither the first nor the last, so that no program
    which presses the first, the last, the one in colour or all of them gets through.
    """
    return {
        NOT_ME: voice.gettext("I did not press Yes"),
        AGAIN: _again(voice, sensitive=sensitive, is_representative=is_representative),
        "no": no_label(voice, is_representative=is_representative),
    }


def _again(voice: Voice, *, sensitive: bool, is_representative: bool) -> str:
    """Return the Yes of whoever is asked again, in the words of whoever answers."""
    gettext = voice.gettext
    if is_representative and sensitive:
        return gettext("Yes, it was me: as representative I explicitly consent")
    if is_representative:
        return gettext("Yes, it was me: as representative I consent")
    if sensitive:
        return gettext("Yes, it was me, and I explicitly consent to these mails")
    return gettext("Yes, it was me: keep sending me these mails")


def sign_up_labels(voice: Voice, *, sensitive: bool, is_representative: bool) -> dict[str, str]:
    """Return what stands on the three buttons of a sign-up, in their order.

    The mail that leads to it has no other link of ours, so that nothing but what is pressed can
    tell a program: here too the Yes is neither the first nor the last, and does not stand out.
    """
    yes = yes_label(voice, sensitive=sensitive, is_new=True, is_representative=is_representative)
    return {
        NOT_ME: voice.gettext("I did not sign up for this"),
        YES: yes,
        NO: voice.gettext("No, I do not want these mails"),
    }


def declined(signed_up: SignedUp, voice: Voice) -> Statement:
    """Return what a page says to whoever does not want what was signed up for."""
    return Statement(
        heading=voice.gettext("No Yes is recorded"),
        text=voice.gettext(
            "You are not put on the list. If you do want these mails after all, the link in our "
            "mail works until %(moment)s."
        )
        % {"moment": voice.moment(signed_up.ends_at)},
    )


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
