"""The sample list: some sixty people in ten languages, with every fate among them.

All live at domains that RFC 2606 keeps for examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from repermit.campaigns.list_translations import TranslationFields
from repermit.campaigns.mailing_lists import ListFields
from repermit.unicode_limits import normalize

LIST: ListFields = {
    "name": "News from De Linde",
    "purpose": "News about our health centre, four times a year",
    "privacy_url": "https://www.example.org/privacy",
    "sender": "De Linde health centre <news@example.org>",
    "language": "en",
}

TEXTS: dict[str, TranslationFields] = {
    "nl": {
        "name": "Nieuws van De Linde",
        "purpose": "Nieuws over ons gezondheidscentrum, vier keer per jaar",
        "privacy_url": "https://www.example.org/nl/privacy",
    },
    "de": {
        "name": "Neues aus De Linde",
        "purpose": "Neuigkeiten aus unserem Gesundheitszentrum, viermal im Jahr",
        "privacy_url": "https://www.example.org/de/datenschutz",
    },
    "fr": {
        "name": "Nouvelles de De Linde",
        "purpose": "Des nouvelles de notre maison de santé, quatre fois par an",
        "privacy_url": "https://www.example.org/fr/confidentialite",
    },
    "pl": {
        "name": "Wiadomości z De Linde",
        "purpose": "Wiadomości o naszym ośrodku zdrowia, cztery razy w roku",
        "privacy_url": "https://www.example.org/pl/prywatnosc",
    },
    "es": {
        "name": "Noticias de De Linde",
        "purpose": "Noticias de nuestro centro de salud, cuatro veces al año",
        "privacy_url": "https://www.example.org/es/privacidad",
    },
    "it": {
        "name": "Notizie da De Linde",
        "purpose": "Notizie dal nostro centro sanitario, quattro volte l’anno",
        "privacy_url": "https://www.example.org/it/privacy",
    },
    "pt": {
        "name": "Notícias da De Linde",
        "purpose": "Notícias do nosso centro de saúde, quatro vezes por ano",
        "privacy_url": "https://www.example.org/pt/privacidade",
    },
    "ro": {
        "name": "Noutăți de la De Linde",
        "purpose": "Noutăți despre centrul nostru de sănătate, de patru ori pe an",
        "privacy_url": "https://www.example.org/ro/confidentialitate",
    },
    "el": {
        "name": "Νέα από το De Linde",
        "purpose": "Νέα από το κέντρο υγείας μας, τέσσερις φορές τον χρόνο",
        "privacy_url": "https://www.example.org/el/privacy",
    },
}

ATTEST = (
    "Decided by the board of De Linde for this demonstration; the addresses come from our own "
    "forms since 2016; none of them opted out."
)
ACCEPTED = "This is the demonstration: its pages and its inbox are on this machine alone."
CUSTOMERS = (
    "Each of them bought a course from De Linde, was told of the newsletter and offered a way out "
    "then, and gets news of similar courses only."
)


@dataclass(frozen=True)
class Person:
    """One row of the file, and what its reader does with the mail.

    `does` is "yes", "no", "one_click", "changes_mind", "looks", "late" or "" (nothing at all).
    """

    address: str
    name: str = ""
    language: str = ""
    since: str = ""
    does: str = ""
    status: str = ""
    consent_at: str = ""
    consent_ip: str = ""
    customer: str = ""


_NAMES = {
    "nl": (
        "Jan Jansen|Fatima el Amrani|Piet de Vries|Sanne Bakker|Willem van den Berg|Joke Visser|"
        "Mehmet Yılmaz|Anneke Smit|Kees Mulder|Lotte Meijer|Henk de Boer|Zoë Kok"
    ),
    "en": (
        "Mary O'Neill|John Smith|Aisha Khan|Peter Brown|Grace Okafor|Tom Walker|Emily Clark|"
        "Raj Patel"
    ),
    "de": "Jürgen Müller|Anna Schäfer|Günther Groß|Lena Fischer|Karl Weiß|Petra Köhler",
    "fr": "Hélène Dupont|François Lefèvre|Chloé Moreau|Amélie Girard|Loïc Henry",
    "pl": "Małgorzata Wójcik|Paweł Żak|Zofia Nowak",
    "es": "Íñigo Muñoz|Lucía Pérez|Carmen Ibáñez",
    "it": "Nicolò Rossi|Giulia D'Angelo|Chiara Conti",
    "pt": "João Gonçalves|Inês Simões",
    "ro": "Ștefan Țepeș|Ioana Brânză",
    "el": "Ελένη Παππά=eleni.pappa|Γιώργος Νικολάου=giorgos.nikolaou",
}
"""The people by language; behind = what stands before the @ where it cannot be told by the name."""

_DOES = ("yes", "", "no", "yes", "looks", "one_click", "yes", "", "changes_mind", "late")

BOUNCING = "moved.away@example.net"
REFUSED = "closed.mailbox@example.net"

_SPECIAL = (
    # A sign-up by the person that another tool recorded.
    Person("opted.in@example.com", "Olivia Inness", "en", "2021-05-03",
           consent_at="2021-05-03 10:12:00", consent_ip="192.0.2.14"),
    Person("aangemeld@example.com", "Ada Aangemeld", "nl", "2022-09-14",
           consent_at="2022-09-14 19:44:10", consent_ip="192.0.2.77"),
    Person("customer@example.com", "Casper Koper", "nl", "2023-01-20", customer="yes"),
    Person("kundin@example.com", "Käthe Kundin", "de", "2023-02-11", customer="yes"),
    Person("left@example.com", "Leo Left", "en", "2018-03-02", status="unsubscribed"),
    Person("afgemeld@example.com", "Aafke Afgemeld", "nl", "2017-11-30", status="unsubscribed"),
    Person("left.long.ago@example.com", "Lara Long", "en", "2016-01-08"),
    Person("info@example.net", "The front desk", "en", "2019-06-06", does="yes"),
    Person("Jan.Jansen@EXAMPLE.com", "Jan Jansen", "nl", "2019-06-06"),
    Person("mary.oneill@example.com", "M. O'Neill", "en", "2020-10-10"),
    Person("no-at-sign.example.com", "Nora Noat", "en", "2019-01-01"),
    Person("two@at@example.com", "Theo Two", "nl", "2019-01-01"),
    Person("zoe@bücher.example", "Zoe Bücher", "de", "2020-02-29"),
    Person(BOUNCING, "Max Moved", "en", "2015-07-01"),
    Person(REFUSED, "Cleo Closed", "en", "2015-08-01"),
)  # fmt: skip

LEFT_BEFORE = "left.long.ago@example.com"
"""Whoever stands in the older file of people who had unsubscribed."""


def people() -> tuple[Person, ...]:
    """Return everybody, in the order of the file."""
    ordinary: list[Person] = []
    for language, names in _NAMES.items():
        for number, named in enumerate(names.split("|")):
            name, _, local = named.partition("=")
            does = _DOES[len(ordinary) % len(_DOES)]
            since = f"20{16 + number % 8}-0{1 + number % 9}-1{number % 10}"
            ordinary.append(Person(_address(local or name), name, language, since, does))
    return (*ordinary, *_SPECIAL)


def as_csv() -> str:
    """Return the file as a spreadsheet would have written it, with semicolons."""
    titles = "E-mail;Name;Language;Since;Status;Optin time;Optin IP;Customer"
    return "\n".join([titles, *(";".join(_cells(person)) for person in people())]) + "\n"


def older_csv() -> str:
    """Return the older file: who had unsubscribed years ago."""
    return f"E-mail;Status\n{LEFT_BEFORE};unsubscribed\n"


def _cells(person: Person) -> tuple[str, ...]:
    return (
        person.address,
        person.name,
        person.language,
        person.since,
        person.status,
        person.consent_at,
        person.consent_ip,
        person.customer,
    )


_PLAIN = str.maketrans({" ": ".", "'": None, "ı": "i", "ł": "l", "ß": "ss", "ü": "ue", "ä": "ae",
                        "ö": "oe"})  # fmt: skip


def _address(name: str) -> str:
    plain = normalize("NFKD", name.lower().translate(_PLAIN))
    return f"{plain.encode('ascii', 'ignore').decode()}@example.com"
