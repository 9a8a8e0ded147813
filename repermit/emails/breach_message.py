"""A draft of the message to people whose data may have leaked (GDPR art. 34), in their language.

Square brackets stand for what only the organisation can say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repermit.i18n.catalogues import translations
from repermit.settings.definitions import Organisation


def breach_message(
    *,
    organisation: Organisation,
    list_name: str,
    data: Sequence[str],
    language: str,
    sensitive: bool,
) -> str:
    """Return the draft, in plain words (art. 34(2)), a paragraph apart from the next.

    `data` are names of fields: "address", "name", "language", "source", "answer",
    "network". On a sensitive list the subject says nothing.
    """
    return "\n\n".join(_paragraphs(organisation, list_name, data, language, sensitive=sensitive))


def _paragraphs(
    organisation: Organisation, name: str, data: Sequence[str], language: str, *, sensitive: bool
) -> Iterator[str]:
    gettext = translations(language).gettext
    values = {"organisation": organisation.name, "list": name}
    if sensitive:
        yield gettext("Subject: Important: something has happened with your data")
    else:
        yield gettext("Subject: Something has happened with your data on our mailing list")
    yield gettext("Dear reader,")
    yield (
        gettext(
            "You are, or were, on the mailing list “%(list)s” of %(organisation)s. On [day] [what "
            "happened, in one or two plain sentences], so that somebody else may have seen data of "
            "yours."
        )
        % values
    )
    yield gettext("It is about these data:") + "\n" + _data(data, language)
    if sensitive:
        yield gettext(
            "That you are on this list can say something about your health, your beliefs or "
            "another private matter. We know how serious this is, and we are sorry."
        )
    else:
        yield gettext("We are sorry that this happened.")
    yield gettext(
        "What this may mean for you: you may get mail that you did not ask for, or mail that "
        "pretends to be from us. We never ask for a password or a payment in a mail. [Anything "
        "else that may follow.]"
    )
    yield gettext("What we have done: [what was done, and what will be done].")
    yield gettext(
        "What you can do: do not press links in mails that you did not expect. [Anything else.]"
    )
    yield _closing(organisation, language)


def _data(data: Sequence[str], language: str) -> str:
    gettext = translations(language).gettext
    names = {
        "address": gettext("your e-mail address"),
        "name": gettext("your name"),
        "language": gettext("the language you read"),
        "source": gettext("where we have your address from"),
        "answer": gettext("whether you are on the list, what you answered and when"),
        "network": gettext(
            "part of your network address, or the IP address of your sign-up, and the name of your "
            "browser"
        ),
    }
    return "\n".join(f"- {names[one]}" for one in data)


def _closing(organisation: Organisation, language: str) -> str:
    gettext = translations(language).gettext
    contact = organisation.officer or organisation.email or organisation.telephone or "[…]"
    lines = [gettext("Your questions go to: %(contact)s") % {"contact": contact}]
    if organisation.authority:
        authority = " ".join(filter(None, (organisation.authority, organisation.authority_url)))
        lines.append(
            gettext("You can complain to the authority: %(authority)s") % {"authority": authority}
        )
    return "\n".join([*lines, "", organisation.name])
