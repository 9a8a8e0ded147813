"""Recognising columns by their titles, and the tools that wrote them (`data/newsletter_tools`).

See GDPR art. 7(1) and EDPB 05/2020 §108 on what a proof is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from repermit import package_files


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that lists are exported from.

    - `known_titles`, `min_matches`: a file is this tool's if it has so many of these folded titles.
    - `titles`: fields by folded title, before the general ones; None for a meaningless column.
    - `ip_proves`, `form_proves`: whether an IP address or a form, besides a date of consent, shows
      the person's own act.
    - `zone`: the time zone of times without one; None for the organisation's.
    """

    name: str
    label: str
    known_titles: frozenset[str]
    min_matches: int = 2
    titles: Mapping[str, str | None] = field(default_factory=dict)
    ip_proves: bool = True
    form_proves: bool = True
    zone: tzinfo | None = None

    def find_field(self, folded: str) -> tuple[str | None, int]:
        """Return the field that a folded title means in this tool's exports, and its rank."""
        if folded in self.titles:
            return self.titles[folded], -1
        return find_field(folded)

    def knows(self, folded: str) -> bool:
        """Say whether the meaning of a folded title is known, useful here or not."""
        is_known = find_field(folded)[0] is not None or is_about_else(folded)
        return folded in self.titles or is_known


def _read(name: str) -> Tool:
    document = package_files.load_newsletter_tool(name)
    table = document["import"]
    return Tool(
        name=name,
        label=document["label"],
        known_titles=frozenset(table["told_by"].split()),
        min_matches=table["at_least"],
        titles={title: field or None for title, field in table.get("titles", {}).items()},
        ip_proves=table.get("ip_proves", True),
        form_proves=table.get("form_proves", True),
        zone=UTC if table.get("zone") == "UTC" else None,
    )


GENERIC = Tool(name="generic", label="columns", known_titles=frozenset(), min_matches=1)

# The first match counts.
_KNOWN = tuple(
    map(
        _read,
        ("mailchimp", "google", "outlook", "listmonk", "laposta", "mailerlite", "brevo"),
    )
)


def detect_tool(folded: list[str]) -> Tool:
    """Return the tool that writes these folded titles; GENERIC if none is known."""
    titles = frozenset(folded)
    matches = (tool for tool in _KNOWN if len(tool.known_titles & titles) >= tool.min_matches)
    return next(matches, GENERIC)


# --- The fields of titles, mostly in Dutch, English, German and French. ---------------------------


_DATA = package_files.load_data("column_titles.toml")
PART_OF_A_NAME = frozenset(_DATA["part_of_a_name"]["titles"].split())
"""Titles that mean the whole name, or one of its parts if another column has the other part."""

FURTHER_ADDRESS = (
    r"имеил(?:адрес)?|епоща|електрон(?:напоща|енадрес)|адресна(?:електроннапоща|имеил)"  # bg
    r"|emailov[ay]adresa|adresaemailu?|elektronickaposta"  # cs, sk
    r"|διευθυνση(?:email|ηλεκτρονικουταχυδρομειου)|ηλεκτρονικ(?:ηδιευθυνση|οταχυδρομειο)"  # el
    r"|correo(?:electronico)?|direcciondecorreo(?:electronico)?|direccion(?:de)?email"  # es
    r"|epost(?:iaadress|adress(?:en)?)?|meiliaadress|mejl(?:adress)?"  # et, sv
    r"|sahkoposti(?:osoite)?|email?osoite"  # fi
    r"|riomhphost|seoladhriomhphoist"  # ga
    r"|eposta|adresaeposte|elektronickaadresa|emailadresa"  # hr
    r"|emailcim|elektronikuslevelcim|dromposta"  # hu
    r"|indirizzo(?:di)?(?:email|postaelettronica)|postaelettronica"  # it
    r"|elpasto(?:adresas)?|elpastas|epasts?|epastaadrese"  # lt, lv
    r"|indirizz(?:tal)?(?:email|elettroniku)"  # mt
    r"|adresemail(?:owy)?|pocztaelektroniczna"  # pl
    r"|enderecode(?:email|correioeletronico)|correioeletronico"  # pt
    r"|adresa(?:de)?email|postaelectronica"  # ro
    r"|epostninaslov|elektronsk(?:inaslov|aposta)|enaslov"  # sl
)


# The field and rank of each title; of two titles for one field, the lower rank is better.
_RANKED = {
    title: (field, rank)
    for field, titles in _DATA["titles"].items()
    for rank, title in enumerate(f"{titles} {_DATA['further_titles'].get(field, '')}".split())
}
# Email, E-mailadres 2, E-Mail 2: Adresse, E-mail 1 - Value, Adresse de messagerie, E-mail (werk).
_ADDRESS = re.compile(
    r"(?:primary|work|home|other|contact|private|business|zakelijk|prive|persoonlijk|subscriber)?"
    r"(?:email|mail)(?:\d)?(?:address|addresses|adres|adressen|adresse|adressen|value)?(?:\d)?"
    r"(?:work|home|other|primary|werk|zakelijk|prive|privat|geschaftlich|contact)?"
    r"|adresse(?:s)?(?:de|d)?(?:email|mail|emails|mails|messagerie|courriel|courrielle)(?:\d)?"
    r"|adresse(?:e|mail)?electronique|courriel|subscriber|relatieemail|mailadresse|emailprofessionnel|"
    + FURTHER_ADDRESS
).fullmatch
# "Wil nieuwsbrief ontvangen?", "Recevoir la newsletter", "AVG akkoord", and their opposites.
_MAY_WE = re.compile(
    r"nieuwsbrie[fv]|newsletter|infolettre|lettredinformation|rundbrief|mailing|marketing|"
    r"toestemming|akkoord|consent|optin|einwilligung|zustimmung|permission|avg|gdpr|dsgvo|rgpd|"
    # "Mag gemaild", "Mogen we je mailen?", "May we email you", "Dürfen wir mailen".
    r"^(?:mag|mogen|kan|may|can|darf|durfen|oke?(?:ay)?)"
    r"(?:ik|je|jou|wij|we|i|wir|u|niet|nicht|not|geen|keine?|to|om|te|per|by){0,4}"
    r"(?:ge|an|ange)?e?mail(?!adres|address)|^e?mail(?:ok|oke|okay|erlaubt|toegestaan|allowed|mag)|"
    r"^accepte(?:les|des)?(?:e?mails|courriels)"
)
_MAY_WE_NOT = re.compile(
    r"geen|niet|afgemeld|afmeld|uitgeschreven|uitschrijf|optout|optedout|unsub|kein|nicht|abgemeld|"
    r"abmeld|desabon|desinscri|^(?:no|stop|sans|pasde|dont|donot)(?=newsl|nieuws|info|lettre|send|rec)"
)
# "Email opt out", "Unsubscribed from all email", whatever else the title says.
_LEFT = re.compile(
    r"optout|optedout|unsubscri|afgemeld|afmelding|uitgeschreven|abgemeldet|abmeldung|desabonn|"
    r"desinscri|blacklist|blocklist|suppressed|(?:niet|donot|dont|nicht)(?:e?mail|contact|kontakt)"
)
# Titles about dates, sources and frequencies. An incomplete double opt-in is no refusal.
_NO_ANSWER = re.compile(
    r"datum|date|dag$|bron$|source|quelle|origin|ip$|id$|naam|name|nom$|titel|open|click|klik|laatste|"
    r"last|letzte|derni|frequen|taal$|sprache|langu|adres|address|incasso|profil|voorwaarden|terms|"
    r"agb|double|dubbel|doppel|tijd|time|form$|formul|contactstatus"
)
_ABOUT_ELSE = re.compile(
    r"foto|photo|bild|video|image|tele(?!se?mails)|phone|sms|whatsapp|bellen|call|anruf|cookie|post|url|link|"
    r"count|aantal|anzahl|nombre|token|hash"
)
# Titles may end in the possible answers: "Nieuwsbrief ja/nee", "Newsletter (y/n)".
_ANSWERS = re.compile(r"(?:janee|jn|yesno|yn|janein|ouinon)$")


def find_field(folded: str) -> tuple[str | None, int]:
    """Return the field that a folded title means, or None, and its rank (0 is best)."""
    if _ADDRESS(folded):
        return "address", 0
    title = folded if folded in _RANKED else _ANSWERS.sub("", folded)
    return _RANKED.get(title) or (_find_question_field(title), len(_RANKED))


def _find_question_field(title: str) -> str | None:
    """Return the field of a title that asks for consent, or for an opt-out."""
    if is_about_else(title):
        return None
    if _LEFT.search(title):
        return "opted_out_at"
    if not _MAY_WE.search(title) or _NO_ANSWER.search(title):
        return None
    return "opted_out_at" if _MAY_WE_NOT.search(title) else "consent"


def is_about_else(folded: str) -> bool:
    """Say whether a folded title is about something other than mail, as photographs or calls."""
    return _ABOUT_ELSE.search(folded) is not None


def is_address_title(folded: str) -> bool:
    """Say whether a folded title means a column of addresses."""
    return _ADDRESS(folded) is not None
