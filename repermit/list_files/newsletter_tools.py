"""The tools whose exports are known: what tells each, what its columns mean, what is a proof.

What a proof is: GDPR art. 7(1); EDPB 05/2020 §108.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from repermit.list_files.column_titles import field_of, is_about_else


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that lists come from.

    An export is this tool's if it has `at_least` of the folded titles in `told_by`. `titles`
    goes before the general ones; None is a column that means nothing here. `ip_proves` and
    `form_proves` say what, beside a date of consent, shows the person's own act.
    `zone` is that of times without one, None being the organisation's.
    """

    name: str
    label: str
    told_by: frozenset[str]
    at_least: int = 2
    titles: Mapping[str, str | None] = field(default_factory=dict)
    ip_proves: bool = True
    form_proves: bool = True
    zone: tzinfo | None = None

    def field_of(self, folded: str) -> tuple[str | None, int]:
        """Return the field that a folded title stands for in this tool's exports, and its rank."""
        if folded in self.titles:
            return self.titles[folded], -1
        return field_of(folded)

    def knows(self, folded: str) -> bool:
        """Say whether it is known what a folded title stands for, be it nothing of use here."""
        is_known = field_of(folded)[0] is not None or is_about_else(folded)
        return folded in self.titles or is_known


def _titles(text: str) -> frozenset[str]:
    return frozenset(text.split())


# "Audience > Export audience": a ZIP of subscribed_, unsubscribed_, cleaned_ and nonsubscribed_
# CSVs, whose own columns are in English whatever the audience's fields are called (listmonk
# issue 688 has a German one). OPTIN_TIME and OPTIN_IP are written when the person sends the form.
# CONFIRM_TIME and CONFIRM_IP are also written for addresses that the account's owner imported:
# such rows have them filled, the IP being the owner's, with OPTIN_TIME empty. Times are UTC.
MAILCHIMP = Tool(
    name="mailchimp",
    label="Mailchimp",
    told_by=_titles(
        "memberrating optintime optinip confirmtime confirmip leid euid lastchanged gmtoff dstoff "
        "unsubtime unsubreason cleantime cleancampaignid"
    ),
    titles={
        "optintime": "consent_at",
        "optinip": "consent_ip",
        "confirmtime": "since",
        "confirmip": None,
        "lastchanged": None,
        "cc": None,
        "region": None,
        "state": None,
    },
    form_proves=False,
    zone=UTC,
)

# ADDED_TIME and MODIFIED_TIME come with every export (developers.brevo.com, "Export contacts").
# ADDED_TIME is when the contact came into the account, however that went. DOUBLE_OPT-IN and OPT_IN
# are attributes that forms set and imports leave at No: neither a proof, without a date, nor a
# person's refusal. "Blacklisted" is Brevo's word for unsubscribed.
BREVO = Tool(
    name="brevo",
    label="Brevo",
    told_by=_titles("addedtime modifiedtime doubleoptin contactid extid landlinenumber"),
    titles={"addedtime": "since", "doubleoptin": None, "optin": None, "modifiedtime": None},
)

# The fields of a subscriber (developers.mailerlite.com): subscribed_at is when they came into the
# account, also by import; opted_in_at and optin_ip are written when the link of a double opt-in
# is pressed. ip_address is that of whatever sent the subscriber in, which may be a program.
# Status: active, unsubscribed, unconfirmed, bounced, junk (marked as spam).
MAILERLITE = Tool(
    name="mailerlite",
    label="MailerLite",
    told_by=_titles(
        "subscriber subscribed subscribedat subscribeddate optedinat optindate optinip "
        "unsubscribedat subscribeip signupip opensrate clicksrate openrate clickrate"
    ),
    titles={
        "optedinat": "consent_at",
        "optindate": "consent_at",
        "optinat": "consent_at",
        "confirmedat": "consent_at",
        "optinip": "consent_ip",
        "confirmationip": "consent_ip",
        "subscribedat": "since",
        "subscribed": "since",
        "ip": None,
        "ipaddress": None,
        "signupip": None,
        "subscribeip": None,
        "state": None,
    },
)

# The members of a list (api.laposta.nl/doc): state is active, unconfirmed, unsubscribed or
# cleaned; source_url is the page of the form. The API wants an ip with every member, so programs
# give their own: alone it shows nothing of the person's.
LAPOSTA = Tool(
    name="laposta",
    label="Laposta",
    told_by=_titles(
        "memberid relatieid signupdate sourceurl relatiestatus aanmelddatum aanmeldip bronurl "
        "uitschrijfdatum aanmeldpagina"
    ),
    titles={
        "signupdate": "consent_at",
        "aanmelddatum": "consent_at",
        "sourceurl": "consent_source",
        "bronurl": "consent_source",
        "bron": "consent_source",
        "aanmeldpagina": "consent_source",
    },
    ip_proves=False,
)

# cmd/subscribers.go writes uuid, email, name, attributes, status, created_at, updated_at. Status
# is enabled, disabled (by the administrator: not to be mailed, though its queries for a campaign
# leave out the blocklisted alone) or blocklisted; who unsubscribed from one list is
# not told at all (listmonk issue 2855). Times are those of Go, with their zone.
LISTMONK = Tool(
    name="listmonk",
    label="listmonk",
    told_by=_titles("uuid attributes createdat updatedat"),
    at_least=3,
    titles={"attributes": None, "updatedat": None},
)

# Contacts > Export: "E-mail 1 - Value" with "First Name" (since 2024) or "Given Name" (before);
# several addresses of one kind stand in one cell, divided by " ::: ".
GOOGLE = Tool(
    name="google",
    label="Google Contacts",
    told_by=_titles("email1value email1label email1type"),
    at_least=1,
    titles={"fileas": None, "status": None},
)

# People > Manage > Export contacts: up to three addresses, each with a type and a display name.
OUTLOOK = Tool(
    name="outlook",
    label="Outlook",
    told_by=_titles(
        "emaildisplayname email2address email2displayname emailtype email2type emailadres2 "
        "emailtype2 weergavenaamvooremail emailweergegevennaam2 emailangezeigtername "
        "email2adresse emailtyp email2typ adressedemessagerie2 typedemessagerie "
        "nomcompletdeladressedemessagerie"
    ),
    # A person's notes and free fields; Outlook's "Initials" repeat what the names say.
    titles={"initials": None, "initialen": None, "initiales": None, "status": None},
)

GENERIC = Tool(name="generic", label="columns", told_by=frozenset(), at_least=1)

_KNOWN = (MAILCHIMP, GOOGLE, OUTLOOK, LISTMONK, LAPOSTA, MAILERLITE, BREVO)


def tool_of(folded: list[str]) -> Tool:
    """Return the tool that writes these folded titles, GENERIC if it is none that is known."""
    titles = frozenset(folded)
    return next((tool for tool in _KNOWN if len(tool.told_by & titles) >= tool.at_least), GENERIC)
