"""The lines of the record of processing: people, data, grounds, terms, measures, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from repermit.consent import Status
from repermit.reports.papers.held_data import Held
from repermit.reports.papers.processing_record import Register, Term
from repermit.reports.papers.report_wording import Words
from repermit.reports.papers.security_measures import Measure


def categories_of_people(held: Held, words: Words) -> Iterator[tuple[str, str]]:
    """Yield the categories of people, each person in one of them, with how many there are."""
    _ = words.gettext
    for status, title in statuses(words).items():
        yield title, words.number(held.statuses[status])
    if held.only_signed_up:
        yield _("who signed up and has not confirmed it"), words.number(held.only_signed_up)
    if held.only_in_files:
        in_files = words.number(held.only_in_files)
        yield _("who stands only in a file that was handed in and waits"), in_files


def statuses(words: Words) -> dict[Status, str]:
    """Return what people of each status are called."""
    _ = words.gettext
    return {
        Status.UNCONFIRMED: _("on the list, not confirmed"),
        Status.CONFIRMED: _("on the list, with an opt-in"),
        Status.CUSTOMER: _("customers"),
        Status.REMOVED: _("taken off"),
    }


def categories_of_data(held: Held, words: Words) -> Iterator[tuple[str, str]]:
    """Yield the categories of data, with of how many each is held; what is not held is not told."""
    _ = words.gettext
    everybody = sum(held.statuses.values())
    undecided = held.statuses[Status.UNCONFIRMED]
    for title, count in (
        (_("e-mail address"), held.addresses),
        (_("name"), held.names),
        (_("language"), held.languages),
        (_("where the address comes from"), held.sources),
        (_("status, its reason and its day"), everybody),
        (_("when and how they answered, or were taken off"), everybody - undecided),
        (_("that they wrote back, not what"), held.replies),
        (_("how often the links of their mail were opened"), held.openings),
        (_("network in part, browser, openings of links"), held.traces),
        (_("IP address of a sign-up elsewhere, where a file had it"), held.ip_addresses),
        (_("whatever stands in a file that was handed in and waits (files)"), held.files),
        (_("keyed fingerprint of the address of who was taken off"), held.fingerprints),
    ):
        if count:
            yield title, words.number(count)


def bases(words: Words) -> dict[str, str]:
    """Return the grounds of processing."""
    _ = words.gettext
    return {
        "consent": _("Mailing who said Yes: consent (GDPR art. 6(1)(a))."),
        "explicit_consent": _(
            "Mailing who said Yes: explicit consent (GDPR art. 6(1)(a) and 9(2)(a))."
        ),
        "customers": _(
            "Mailing customers about similar things: legitimate interest (GDPR art. 6(1)(f)), with "
            "Directive 2002/58/EC art. 13(2) (Telecommunicatiewet 11.7)."
        ),
        "asking": _(
            "Asking once who has no registered opt-in: decided and attested by the organisation."
        ),
        "proof": _(
            "Keeping proof of answers: GDPR art. 5(2) and 7(1), and for claims art. 17(3)(e)."
        ),
        "suppression": _(
            "Fingerprints of who is not to be mailed: GDPR art. 21(3), 7(3) and 6(1)(c)."
        ),
    }


def roles(words: Words) -> dict[str, str]:
    """Return what each kind of recipient does."""
    _ = words.gettext
    return {
        "hosting": _("keeps the server"),
        "mail": _("sends the mails"),
        "mailbox": _("receives bounces and replies"),
        "database": _("keeps the database"),
        "tool": _("sends the newsletter"),
        "webhook": _("is told of answers"),
        "api": _("fetches what is held"),
        "other": _("another recipient"),
    }


def retention_rows(register: Register, words: Words) -> Iterator[tuple[str, str, str]]:
    """Yield what is kept how long, and why."""
    for term in register.retention:
        what, until, why = _terms(words)[term.key]
        yield what, _length(term, words) or until, why


def _length(term: Term, words: Words) -> str:
    if term.unit == "years":
        return words.ngettext("one year", "%(count)s years", term.number)
    if term.unit == "days":
        return words.ngettext("one day", "%(count)s days", term.number)
    return ""


def _terms(words: Words) -> Mapping[str, tuple[str, str, str]]:
    _ = words.gettext
    return {
        "unconfirmed": (
            _("who is not confirmed"),
            _("until they answer, or until the campaign’s deadline"),
            _("GDPR art. 5(1)(e)"),
        ),
        "confirmed": (
            _("who may be mailed"),
            _("until they say No"),
            _("GDPR art. 6(1)(a) and (f)"),
        ),
        "evidence_years": (
            _("proof of an answer, after what it proves has ended"),
            "",
            _("claims: GDPR art. 17(3)(e), 7(1)"),
        ),
        "trace_days": (
            _("network in part and browser of who answered, and how the links were opened"),
            "",
            _("to notice answers that were not given by people: GDPR art. 4(11), 5(2)"),
        ),
        "access_days": (
            _("who of the organisation looked at whom"),
            "",
            _("security: GDPR art. 32"),
        ),
        "removed_days": (
            _("address and name of who was taken off, after that"),
            "",
            _("to take them off in other tools: GDPR art. 5(1)(e)"),
        ),
        "fingerprints": (
            _("fingerprints of who was taken off"),
            _("as long as the list exists"),
            _("so that nobody is asked again: GDPR art. 21(3), 17(3)(b)"),
        ),
    }


def measure_lines(found: Iterable[Measure], words: Words) -> list[tuple[bool, str]]:
    """Return for each measure whether it is in force, and its sentence."""
    lines = {True: _in_force(words), False: _lacking(words)}
    return [
        (
            one.in_force,
            lines[one.in_force][one.key]
            % {name: words.number(number) for name, number in one.numbers.items()},
        )
        for one in found
    ]


def _in_force(words: Words) -> dict[str, str]:
    _ = words.gettext
    return {
        "passwords": _("Passwords are kept as argon2id hashes: %(users)s."),
        "second_step": _("Every user logs in with a second step (TOTP): %(with)s of %(users)s."),
        "roles": _(
            "There are roles: admins (%(admins)s), and viewers, who see no address (%(viewers)s)."
        ),
        "lock": _("The screen locks after %(minutes)s idle minutes."),
        "access_log": _("Who looked at whose data is logged, and kept for %(days)s days."),
        "tls_pages": _("Pages are served by https alone (HSTS)."),
        "tls_mail": _("Mail goes to the server over TLS whose certificate is checked."),
        "local_mail": _("Mail is handed to a mail server on this machine."),
        "tls_mailbox": _("The mailbox is read over TLS whose certificate is checked."),
        "fingerprints": _(
            "Addresses that are not to be mailed are known by a keyed fingerprint (HMAC-SHA256, "
            "the key outside the database): %(count)s."
        ),
        "chain": _("The record of answers is append-only and hash-chained: %(entries)s entries."),
        "erasure": _(
            "Erasing takes address and name out of database and evidence; done so far: %(erased)s."
        ),
        "private_settings": _("The file with keys and passwords is readable by its user alone."),
        "private_database": _("The database’s file is readable by its user alone."),
    }


def _lacking(words: Words) -> dict[str, str]:
    _ = words.gettext
    return {
        "passwords": _("Not all passwords are kept as argon2id hashes."),
        "second_step": _("Only %(with)s of %(users)s users log in with a second step (TOTP)."),
        "tls_pages": _("Pages are served without https."),
        "tls_mail": _("Mail goes to the server without encryption."),
        "tls_mailbox": _("The mailbox is read without encryption."),
        "private_settings": _("Others on the machine can read the file with keys and passwords."),
        "private_database": _("Others on the machine can read the database’s file."),
    }
