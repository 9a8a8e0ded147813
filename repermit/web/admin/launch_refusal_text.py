"""What a page says where a launch is refused, by the code of the refusal."""

from __future__ import annotations

from collections.abc import Mapping

from repermit.i18n.lazy_text import N_

LAUNCH_REFUSALS: Mapping[str, str] = {
    "organisation_name": N_("The settings do not say what your organisation is called."),
    "organisation_address": N_("The settings do not give your organisation’s postal address."),
    "organisation_contact": N_(
        "The settings give neither an e-mail address nor a telephone number to reach you by."
    ),
    "organisation_authority": N_(
        "The settings do not say where people can complain: the supervisory authority."
    ),
    "organisation_email": N_(
        "Your organisation’s e-mail address in the settings cannot be used: %(reason)s."
    ),
    "unprotected": N_(
        "Answers would travel unprotected: the address of the pages (public_url in the settings) "
        "must begin with https://"
    ),
    "sender": N_("The sender of the list cannot be used: %(reason)s."),
    "privacy_url": N_("The list does not say where your privacy statement is."),
    "purpose": N_(
        "The list does not say what people will get, so nobody could know what to say Yes to."
    ),
    "frequency": N_("The list does not say how often mail will come."),
    "no_sender": N_("The list does not say who sends it."),
    "corrected_text": N_(
        "The list is sensitive, and a text that was corrected shows its name, which others may see."
    ),
    "check_problem": N_("Something is wrong: %(found)s"),
    "deadline_typed": N_("This has passed already: choose a later day."),
    "deadline_passed": N_("The deadline, %(deadline)s, has passed."),
    "too_near": N_(
        "The deadline is too near: people need %(days)s days to answer, so it must be later than "
        "%(earliest)s."
    ),
    "too_slow": N_(
        "The mails leave too slowly for this deadline: the last one leaves on %(last)s, and people "
        "need %(days)s days to answer. So it must be later than %(earliest)s."
    ),
    "too_far": N_(
        "The deadline, %(deadline)s, is more than a year after the last mail has left. Is its year "
        "right?"
    ),
    "reminder_too_soon": N_(
        "The reminder would leave on %(reminder)s, and the last mail on %(last)s. People need a "
        "day between the two, so remind them fewer days before the deadline."
    ),
    "reminders_too_slow": N_(
        "The reminders leave too slowly: the last one would leave on %(last)s, too late before the "
        "deadline, %(deadline)s. Remind people more days before it, or nobody."
    ),
    "days": N_("Give a number of days from 1 to 365."),
    "reminder_passed": N_(
        "The reminder would leave on %(reminder)s. It can only leave between now and the deadline, "
        "%(deadline)s."
    ),
    "reminder_set": N_("A reminder is set already: %(reminder)s. Nobody gets two."),
    "asked_once": N_(
        "The mail that people got says that they are asked once, and a reminder would break that "
        "promise."
    ),
    "promise_unknown": N_("Tick that your own words do not promise to ask only once."),
    "under_way": N_("A campaign is under way on this list already."),
    "nobody": N_("There is nobody to ask."),
    "taken_back": N_("A file is being taken back from this list; wait until that is done."),
    "taken_in": N_("A file is being taken into this list; wait until that is done."),
    "attest": N_(
        "Say who decided to ask, on what ground, where the addresses came from, and that none of "
        "them opted out."
    ),
    "attest_more": N_(
        "This says too little: who decided to ask, on what ground, where did the addresses come "
        "from, and did none of them opt out?"
    ),
    "read_otherwise": N_(
        "Some read a language in which this list is not described, and get the mail in that of "
        "the list (%(languages)s). You can describe it in theirs too, in step 1."
    ),
    "list_not_in": N_("Nobody gets a mail of this list in this language: see step 1."),
    "own_language": N_("This is the list’s own language."),
}
