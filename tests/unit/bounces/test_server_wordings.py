"""What real servers write of a mail that failed, in each place in which they write it.

Each wording is tried as a report's Diagnostic-Code, with and without its type, in capitals,
folded, in the text alone, and in a bounce that is no report; each time beside a copy of a mail
that says the opposite.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.bounces.bounce_results import MessageKind
from repermit.bounces.message_kind import read
from repermit.smtp.refusal_words import reports_foreign_domain
from tests.support.returned_mails import NAMES, returned

GONE_ELSEWHERE = [
    # German.
    "550 Empfänger unbekannt",
    "550 Empfaenger unbekannt",
    "550 Unbekannter Benutzer",
    "550 5.0.0 Dieser Benutzer existiert nicht",
    "550 Das Konto existiert hier nicht mehr",
    "550 Postfach nicht vorhanden",
    "550 Mailbox existiert nicht",
    "550 5.7.1 Kein solcher Benutzer",
    "550 Die eingegebene E-Mail-Adresse konnte nicht gefunden werden.",
    "550 Empfängeradresse ungültig",
    # Dutch.
    "550 Het e-mailadres dat u hebt ingevoerd, is niet gevonden.",
    "550 Geadresseerde onbekend",
    "550 Deze mailbox bestaat niet meer",
    # French.
    "550 Adresse inconnue",
    "550 5.5.0 Boîte aux lettres inexistante",
    "550 Destinataire invalide",
    "550 Cet utilisateur n'existe pas",
    "550 Ce compte n’existe plus",
    "550 L'adresse de messagerie que vous avez entrée est introuvable.",
    # Spanish.
    "550 No existe ese usuario",
    "550 no existe dicha persona",
    "550 El buzón no existe",
    "550 Cuenta inexistente",
    "550 Usuario no encontrado",
    "550 No se encontró la dirección de correo electrónico que ha escrito.",
    # Italian.
    "550 Utente inesistente",
    "550 Destinatario sconosciuto",
    "550 destin. Sconosciuto",
    "550 L'utente non esiste",
    "550 Casella di posta inesistente",
    "550 Indirizzo inesistente",
    "550 nessun utente simile in questo indirizzo",
    "550 Impossibile trovare l'indirizzo di posta elettronica immesso.",
    "550 L'indirizzo non è stato trovato",
    # Portuguese.
    "550 Usuário desconhecido",
    "550 Utilizador inexistente",
    "550 A conta não existe",
    "550 Destinatário não encontrado",
    "550 Não foi possível encontrar o endereço de email inserido.",
    # Polish.
    "550 Nie ma takiego konta",
]

# What is full, closed or out of order, and what is said of others.
NOT_GONE_ELSEWHERE = [
    # German.
    "552 5.1.1 Postfach voll",
    "550 5.1.1 Das Postfach des Empfängers ist voll und kann derzeit keine Nachrichten annehmen.",
    "550 5.1.1 Benutzer hat zuviele Mails auf dem Server",
    "550 5.1.1 Speicherplatz erschöpft",
    "550 5.1.1 Quota überschritten",
    "550 5.1.1 Adressat unbekannt oder Mailbox deaktiviert",
    "550 5.1.1 Das Konto ist gesperrt",
    "550 5.1.1 Benutzer unbekannt, bitte versuchen Sie es später noch einmal",
    "550 5.1.1 Empfänger vorübergehend nicht erreichbar",
    "550 Adresse abgelehnt, Grund: unbekannter Fehler",
    "550 5.1.1 Absender unbekannt",
    "550 Adresse des Absenders unbekannt",
    "550 Ihre IP-Adresse ist unbekannt",
    # Dutch.
    "552 5.1.1 Het postvak van de ontvanger is vol",
    "550 5.1.1 Quotum overschreden",
    "550 5.1.1 Dit account is geblokkeerd",
    "550 5.1.1 Gebruiker is tijdelijk niet bereikbaar",
    "550 Adres geweigerd: onbekende fout",
    "550 5.1.1 Afzender onbekend",
    # French.
    "552 5.1.1 La boîte aux lettres du destinataire est pleine",
    "550 5.1.1 boite aux lettres pleine",
    "550 5.1.1 Messagerie saturée",
    "550 5.1.1 Quota dépassé",
    "550 5.1.1 Destinataire inconnu ou boite aux lettres desactivee",
    "550 5.1.1 Ce compte est suspendu",
    "550 5.1.1 Utilisateur inactif",
    "550 5.1.1 Destinataire inconnu, veuillez réessayer ultérieurement",
    "550 destinataire : erreur inconnue",
    "550 5.1.1 Expéditeur inconnu",
    "550 adresse de l'expéditeur inconnue",
    # Spanish.
    "552 5.1.1 Buzón lleno",
    "550 5.1.1 El buzón del destinatario está lleno y no puede aceptar mensajes",
    "550 5.1.1 Cuota excedida",
    "550 5.1.1 El usuario esta en estado: inactivo",
    "550 5.1.1 Esta casilla ha expirado por falta de uso",
    "550 5.1.1 Cuenta bloqueada",
    "550 5.1.1 Cuenta desactivada",
    "550 5.1.1 Usuario desconocido, intente más tarde",
    "550 5.1.1 Remitente desconocido",
    # Italian.
    "552 5.1.1 Casella piena",
    "552 5.1.1 La cassetta postale del destinatario è piena",
    "550 5.1.1 Spazio esaurito",
    "550 5.1.1 Destinatario sconosciuto o mailbox disatttivata",
    "550 5.1.1 Questo indirizzo e' bloccato per inutilizzo",
    "550 5.1.1 Utente non attivo",
    "550 5.1.1 Casella momentaneamente non disponibile",
    "550 utente: errore sconosciuto",
    "550 indirizzo del mittente inesistente",
    # Portuguese.
    "552 5.1.1 Caixa de correio cheia",
    "550 5.1.1 Conta suspensa",
    "550 5.1.1 Cota excedida",
    # Polish.
    "550 5.1.1 Podane konto jest zablokowane administracyjnie lub nieaktywne",
]

GONE = [
    # Exchange and Exchange Online.
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient jan@example.net not found by lookup",
    "550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found",
    "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 no",
    "550 5.4.1 Recipient address rejected: Access denied. [AM1EUR0.eop-EUR03.prod.outlook.com]",
    "550 5.4.1 [jan@example.net]: Recipient address rejected: Access denied",
    "550 5.4.310 DNS domain example.net does not exist [Message=InfoDomainNonexistent]",
    # Outlook.com, whose number tells it from RFC 5321's sentence for any 550.
    (
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). "
        "[AM6EUR05FT048.eop-eur05.prod.protection.outlook.com 2026-03-02T09:00:05.123Z 08DE0AB]"
    ),
    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
    "550 Requested action not taken: mailbox unavailable (-2019901852:4030:-2147467259)",
    # A status for something else beside words that say it.
    "550 5.2.1 <jan@example.net>... User unknown",
    "550 5.7.1 <jan@example.net>: Recipient address rejected: User unknown in virtual table",
    "553 5.7.1 Invalid recipient jan@example.net (Mode: normal)",
    "550 5.5.0 Adresse destinataire invalide. Invalid recipient.",
    "550 5.4.4 Invalid domain",
    # Cisco.
    "550 #5.1.0 Address rejected.",
    "550 5.1.0 Address rejected jan@example.net",
    # Domino and Notes.
    "User Jan Jansen (jan@example.net) not listed in Domino Directory",
    "User jan not listed in public Name & Address Book",
    # OpenSMTPD.
    "Domain does not exist",
    "No MX found for domain",
    "550 Invalid recipient: <jan@example.net>",
    # A domain that takes no mail (RFC 7505), as Postfix, Exim, Sendmail and Yahoo find out.
    "Domain example.net does not accept mail (nullMX)",
    "an MX or SRV record indicated no SMTP service",
    "550 Host does not accept mail",
    "556 5.1.10 Recipient address has null MX",
    "No mx record found for domain=example.net",
    # Gmail.
    "Your message wasn't delivered to jan@example.net because the address couldn't be found.",
    "Your message wasn’t delivered to jan@example.net because the address couldn’t be found.",
    "550-5.1.1 The email account that you tried to reach does 550-5.1.1 not exist. Please try",
    "DNS Error: DNS type 'mx' lookup of example.net responded with code NXDOMAIN",
    # Postfix, Exim, qmail, Sendmail, Yahoo and others.
    "550 5.1.1 <jan@example.net>: Recipient address rejected: User unknown in relay table",
    "Unrouteable address",
    "550 Unknown user jan@example.net",
    "550 No such user here",
    "550 jan@example.net is not a valid mailbox",
    "Sorry, I couldn't find any host named example.net. (#5.1.2)",
    "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)",
    "Sorry, no mailbox here by that name. (#5.1.1)",
    (
        "554 The mail could not be delivered to the recipient because the domain is not reachable. "
        "Please check the domain and try again (-1:308:-2)"
    ),
    "550 Host unknown (Authoritative answer from name server)",
    "554 delivery error: dd This user doesn't have a mail.yahoo.example account [0]",
    "551 not our user",
    "550 5.0.0 'jan@example.net' is not a registered gateway user",
    "550 The address is no longer in use",
    "550 spam.filter.example says: user unknown",
    "550 Benutzer unbekannt",
    "550 Onbekende gebruiker",
    "550 Utilisateur inconnu",
    "550 5.0.0 Usuario desconocido",
    *GONE_ELSEWHERE,
]

NOT_GONE = [
    # A blocklist, a policy, what was found in the mail.
    "550 Message rejected, listed at bl.example",
    "550 5.1.1 Message rejected, listed by zen.example",
    "553 http://www.blocklist.example/query/bl?ip=192.0.2.1",
    "554 5.1.1 This looks like spam",
    "550 Blocked",
    "550 5.1.1 User unknown; blocked by policy",
    # Barracuda.
    "550 permanent failure for one or more recipients (jan@example.net:blocked)",
    "550 5.1.1 permanent failure for one or more recipients (jan@example.net:blocked)",
    "550 5.1.1 refused [blocked:jan@example.net]",
    "550 5.1.0 Sender address rejected",
    "550 5.1.0 Address rejected: listed at bl.example",
    "550 5.1.1 RCP-P2 Refused due to recipient preferences",
    "550 Mail content denied",
    "550 Denied",
    "550 we do not want this",
    "550 5.1.1 Your IP address is not known here",
    "550 5.1.1 Relay access denied",
    # Who we are: our name, our address, our sender.
    "550 SPF check failed: host is unknown",
    "501 Invalid domain name in HELO",
    "501 5.0.0 Invalid domain name",
    "550 HELO host not found",
    "550 Client host rejected: cannot find your hostname",
    "550 Your domain is unknown",
    "550 Reverse DNS of the host could not be found",
    "550 unknown sender domain",
    "553 Domain of sender address praktijk@example.org does not exist",
    "550 Sender verify failed: no such user",
    "550 5.1.1 verify sender: unknown user",
    "550 This host does not accept mail from dynamic addresses",
    "554 5.2.0 STOREDRV.Submission: sending quota exceeded for user unknown",
    "550 5.1.8 the user is unknown",
    "550 5.7.1 domain not found",
    "550 5.7.1 unknown host",
    # A mailbox that is there.
    "552 5.1.1 mailbox is full",
    "552 sorry, mailbox jan@example.net is over quota temporarily (#5.1.1)",
    "550 5.1.1 user temporarily unavailable",
    "550 5.1.1 account suspended",
    "550 5.1.1 not enough disk space",
    "can't create user output file. Command output: user unknown",
    "550 Mailbox unavailable",
    # The same sentence of others, and of Outlook.com with another reason.
    "550 Requested action not taken: mailbox unavailable",
    "550 5.5.0 Requested action not taken: mailbox unavailable",
    "550 Requested action not taken: mailbox unavailable (not enough free space)",
    "550 Requested action not taken: mailbox unavailable (S3150)",
    "550-Requested action not taken: mailbox unavailable 550-Reject due to policy restrictions.",
    "550 5.1.1 mailbox unavailable (S2017062302); the mailbox is full",
    "550 5.7.1 Messages from [192.0.2.1] weren't sent, they are on our block list (S3150).",
    "550 rejected for an unknown reason",
    "450 4.1.1 User unknown",
    # Another server's reply within.
    "550 5.1.351 Remote server returned unknown recipient -> 550 5.7.1 refused",
    "5.1.0 - Unknown address error 550-'5.7.1 <a@example.org>... Access denied'",
    "5.1.0 - Unknown address error ('550', ['5.2.2 the mailbox is full'])",
    # Postfix, where it asks the next server whether it knows a recipient.
    (
        "550 5.1.1 <jan@example.net>: Recipient address rejected: unverified address: "
        "connect to mx.example.net[192.0.2.1]:25: Connection timed out"
    ),
    (
        "550 5.1.1 <jan@example.net>: Recipient address rejected: undeliverable address: "
        "mail for example.net loops back to myself"
    ),
    *NOT_GONE_ELSEWHERE,
]

OPPOSITE = {
    MessageKind.HARD: "Dit is spam, your mailbox is full, 552 5.2.2 over quota",
    MessageKind.SOFT: "<jan@example.net>: 550 5.1.1 User unknown",
}

REPORT = """From: MAILER-DAEMON@mail.example.org (Mail Delivery System)
Return-Path: <>
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain; charset=utf-8

This is the mail system at host mail.example.org. For help, write to postmaster.

{text}

--b
Content-Type: message/delivery-status; charset=utf-8

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; jan@example.net
Original-Recipient: rfc822;jan@example.net
Action: failed
Status: {status}{diagnostic}

--b
Content-Type: message/rfc822

From: praktijk@example.org
To: jan@example.net
Subject: {copy}

{copy}

--b--
"""

EXIM = """From: Mail Delivery System <Mailer-Daemon@mail.example.org>
Return-Path: <>
X-Failed-Recipients: jan@example.net
Subject: Mail delivery failed: returning message to sender
Content-Type: text/plain; charset=utf-8

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jan@example.net
    {words}

------ This is a copy of the message, including all the headers. ------

Return-path: <praktijk@example.org>
To: jan@example.net

{copy}
"""

UNMARKED_COPY = """From: MAILER-DAEMON@mail.example.org
Return-Path: <>
Subject: Delivery failure
Content-Type: text/plain; charset=utf-8

Unable to deliver message to the following address.

<jan@example.net>:
{words}

From: praktijk@example.org
To: jan@example.net
Subject: {copy}
Message-ID: <1@example.org>

{copy}
"""


def folded(words: str) -> str:
    return re.sub(r"(\S+ \S+ \S+) ", r"\1\n    ", words)


def as_report(words: str, status: str, copy: str) -> str:
    return REPORT.format(
        text="", status=status, diagnostic=f"\nDiagnostic-Code: smtp; {words}", copy=copy
    )


def without_type(words: str, status: str, copy: str) -> str:
    return as_report(words, status, copy).replace("smtp; ", "")


def folded_over_lines(words: str, status: str, copy: str) -> str:
    return as_report(folded(words), status, copy)


def in_capitals(words: str, status: str, copy: str) -> str:
    return as_report(words.upper(), status, copy)


def in_the_text_alone(words: str, status: str, copy: str) -> str:
    text = f"<jan@example.net>: {folded(words)}"
    return REPORT.format(text=text, status=status, diagnostic="", copy=copy)


def by_exim(words: str, _: str, copy: str) -> str:
    return EXIM.format(words=folded(words), copy=copy)


def above_a_copy_without_a_mark(words: str, _: str, copy: str) -> str:
    return UNMARKED_COPY.format(words=words, copy=copy)


PLACES = [
    as_report,
    without_type,
    folded_over_lines,
    in_capitals,
    in_the_text_alone,
    by_exim,
    above_a_copy_without_a_mark,
]
places = pytest.mark.parametrize("place", PLACES, ids=lambda one: one.__name__)


@places
@pytest.mark.parametrize("words", GONE)
def test_words_of_a_mailbox_or_domain_that_is_not_there_are_seen_everywhere(
    words: str, place: Callable[[str, str, str], str]
) -> None:
    for status in ("5.0.0", "5.5.0"):
        raw = place(words, status, OPPOSITE[MessageKind.HARD]).encode()
        assert read(raw).kind is MessageKind.HARD


@places
@pytest.mark.parametrize("words", NOT_GONE)
def test_words_of_anything_else_outrank_a_status_that_a_relay_made_up(
    words: str, place: Callable[[str, str, str], str]
) -> None:
    for status in ("5.1.1", "5.1.3", "5.0.0"):
        raw = place(words, status, OPPOSITE[MessageKind.SOFT]).encode()
        assert read(raw).kind is MessageKind.SOFT


@pytest.mark.parametrize("place", [as_report, folded_over_lines, in_capitals])
@pytest.mark.parametrize("words", ["", "550", "550 sorry", "550 5.0.0 Sorry."])
def test_a_status_counts_where_there_are_no_words(
    words: str, place: Callable[[str, str, str], str]
) -> None:
    assert read(place(words, "5.1.1", "").encode()).kind is MessageKind.HARD
    assert read(place(words, "5.0.0", "").encode()).kind is MessageKind.SOFT


# --- Where a refusal came, and of whom.


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("(in reply to RCPT TO command)", MessageKind.HARD),
        ("(in reply to MAIL FROM command)", MessageKind.SOFT),
        ("(in reply to EHLO command)", MessageKind.SOFT),
        ("(in reply to end of DATA command)", MessageKind.SOFT),
        ("(in reply to DATA command)", MessageKind.SOFT),
    ],
)
def test_who_refuses_another_step_than_the_recipient_says_nothing_of_a_mailbox(
    step: str, kind: MessageKind
) -> None:
    words = "550 User unknown"
    text = f"<jan@example.net>: host mx.example.net[192.0.2.1] said: {words} {step}"
    diagnostic = f"\nDiagnostic-Code: smtp; {words}"
    for field in (diagnostic, ""):
        raw = REPORT.format(text=text, status="5.0.0", diagnostic=field, copy="")
        assert read(raw.encode()).kind is kind


def test_outlook_says_of_a_mail_that_it_took_nothing_of_its_recipient() -> None:
    words = "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)"
    for step, kind in (("RCPT TO", MessageKind.HARD), ("end of DATA", MessageKind.SOFT)):
        text = f"<jan@example.net>: host mx said: {words} (in reply to {step} command)"
        diagnostic = f"\nDiagnostic-Code: smtp; {words}"
        raw = REPORT.format(text=text, status="5.5.0", diagnostic=diagnostic, copy="")
        assert read(raw.encode()).kind is kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("SMTP error from remote mail server after RCPT TO:<jan@example.net>: 550 no such user", 1),
        ("SMTP error from remote mail server after MAIL FROM:<a@example.org>: 550 unknown user", 0),
        ("SMTP error from remote mail server after initial connection: 550 unknown user", 0),
        ("SMTP error from remote mail server after end of data: 550 unknown user", 0),
        ("SMTP error from remote mail server after end of data: 550 5.1.1 unknown user", 1),
        ("Connected to 192.0.2.1 but my name was rejected. 550 unknown user", 0),
        ("Connected to 192.0.2.1 but sender was rejected. 550 5.1.1 unknown user", 0),
        ("192.0.2.1 failed after I sent the message. Remote host said: 550 unknown user", 0),
        ("192.0.2.1 does not like recipient. Remote host said: 550 unknown user", 1),
    ],
)
def test_exim_and_qmail_name_the_step_in_their_own_words(words: str, kind: int) -> None:
    expected = MessageKind.HARD if kind else MessageKind.SOFT
    assert read(by_exim(words, "", "").encode()).kind is expected
    assert read(above_a_copy_without_a_mark(words, "", "").encode()).kind is expected


DOMAIN_NOT_THERE = [
    "517 Domain does not exist: {}.",
    "517-Domain does not exist: {}.",
    "550 unknown domain {}",
    "550 No such domain: <{}>",
    "550 {}: domain not found",
    "550 Domain '{}' unknown",
    "550 Domain name not found: {}",
    "550 Domain {} could not be found",
    "550 no MX record found for {}",
    "550 {} has a null MX",
    "550 Unrouteable domain {}",
    "550 5.1.2 <jan@example.net>: Domain not found: {}",
]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Name service error for name=example.net type=MX: Host not found", MessageKind.HARD),
        ("Name service error for name=EXAMPLE.NET. type=AAAA: Host not found", MessageKind.HARD),
        # A smarthost that does not exist, or a host that the domain's MX names.
        ("Name service error for name=smarthost.example type=A: Host not found", MessageKind.SOFT),
        ("Name service error for name=mx.example.net type=A: Host not found", MessageKind.SOFT),
        ("DNS lookup failure: host smarthost.example.org not found", MessageKind.SOFT),
        ("DNS lookup failure: host example.net not found", MessageKind.HARD),
        ("Sorry, I couldn't find any host named relay.example. (#5.1.2)", MessageKind.SOFT),
        ("Name service error for domain example.net: Host not found, try again", MessageKind.SOFT),
        # The sender's domain; Courier gives no other code for it than for the recipient's.
        *((words.format("example.org"), MessageKind.SOFT) for words in DOMAIN_NOT_THERE),
        ("550 domain of nieuws@example.org does not exist", MessageKind.SOFT),
        *((words.format("example.net"), MessageKind.HARD) for words in DOMAIN_NOT_THERE),
    ],
)
def test_a_host_that_is_not_found_counts_only_if_it_is_the_addresss_domain(
    words: str, kind: MessageKind
) -> None:
    local = as_report(f"Host or domain name not found. {words}", "5.4.4", "")
    assert read(local.replace("smtp;", "X-Postfix;").encode()).kind is kind
    assert read(by_exim(words, "", "").encode()).kind is kind


@pytest.mark.parametrize("piece", ["a,", "a.b,", "a.", f"{'a' * 63}."])
def test_a_reply_with_very_many_hosts_is_read_at_once(piece: str) -> None:
    hosts = piece * (100_000 // len(piece))
    started = time.process_time()
    reports_foreign_domain(f"550 {hosts}/ no such domain", "jan@example.net")
    # It takes hundredths of a second; one repetition too many in a pattern makes it a minute.
    assert time.process_time() - started < 5


@pytest.mark.parametrize("answer", ["NXDOMAIN", "SERVFAIL", "450 NXDOMAIN"])
def test_a_domain_that_gmail_does_not_find_for_now_removes_nobody(answer: str) -> None:
    """Its status says so (4.0.0), though it tries no more."""
    words = f"DNS Error: DNS type 'mx' lookup of example.net responded with code {answer}"
    assert read(as_report(words, "4.0.0", "").encode()).kind is MessageKind.SOFT


# --- Somebody unknown behind a code for now, for as long as the relay tried.

ARRIVED = "Mon, 2 Mar 2026 10:00:00 +0100 (CET)"
FOR_DAYS = "Sat, 7 Mar 2026 10:00:00 +0100 (CET)"
UNKNOWN_FOR_NOW = (
    "450 4.1.1 <jan@example.net>: Recipient address rejected: User unknown in virtual alias table"
)


def given_up(
    words: str = UNKNOWN_FOR_NOW,
    *,
    arrived: str = f"\nArrival-Date: {ARRIVED}",
    action: str = "failed",
    status: str = "4.1.1",
    text: str = "",
    last: str = "",
    written: str = FOR_DAYS,
) -> bytes:
    """Return the report of a relay that tried from `arrived` to `last`, or until it wrote."""
    diagnostic = f"\nDiagnostic-Code: smtp; {words}" if words else ""
    attempt = f"\nLast-Attempt-Date: {last}" if last else ""
    raw = REPORT.format(text=text, status=status, diagnostic=diagnostic + attempt, copy="")
    raw = raw.replace("Reporting-MTA: dns; mail.example.org", f"Reporting-MTA: dns; a.b{arrived}")
    raw = raw.replace("Action: failed\n", f"Action: {action}\n" if action else "")
    return f"Date: {written}\n{raw}".encode()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (UNKNOWN_FOR_NOW, "4.1.1"),
        (UNKNOWN_FOR_NOW, "4.4.7"),
        ("450 <jan@example.net>: Recipient address rejected: User unknown in local table", "4.0.0"),
        ("450 4.1.1 No such user here", "4.4.7 (delivery time expired)"),
        (
            "450 4.1.1 <jan@example.net>: undeliverable address: mx said: 550 5.1.1 Unknown user",
            "4.1.1",
        ),
    ],
)
def test_who_was_unknown_at_every_try_for_days_is_gone(words: str, status: str) -> None:
    assert read(given_up(words, status=status)).kind is MessageKind.HARD
    text = f"<jan@example.net>: host mx.example.net[192.0.2.1] said: {words}"
    assert read(given_up(words, status=status, text=text)).kind is MessageKind.HARD
    assert read(given_up("", status=status, text=text)).kind is MessageKind.HARD


def test_sendmail_gives_up_with_the_reply_that_it_heard_last() -> None:
    text = TRANSCRIPT.format(replies="<<< 450 4.1.1 User unknown").replace("permanent fatal ", "")
    found = read(given_up("450 4.1.1 User unknown", status="4.4.7", text=text))
    assert (found.kind, found.status) == (MessageKind.HARD, "4.1.1")


@pytest.mark.parametrize(
    "words",
    [
        # What passes, or is not said of somebody.
        "450 4.1.1 User unknown, please try again later",
        "450 4.1.1 <jan@example.net>: Recipient address rejected: User temporarily unavailable",
        "450 4.1.1 <jan@example.net>: Recipient address rejected: Greylisted, user unknown",
        "450 4.1.1 <jan@example.net>: unverified address: Address verification in progress",
        "450 4.1.1 <jan@example.net>: unverified address: connect to mx.example.net: timed out",
        "450 4.1.1 Requested action not taken",
        "450 4.1.1 mailbox is full",
        "450 4.1.1 Your IP address is unknown",
        "450 4.1.1 domain not found",
        "450 4.1.1 unknown sender",
        "450 Too many unknown recipients",
        # Another status or code than that of a mailbox that is not there.
        "450 4.1.8 <praktijk@example.org>: Sender address rejected: user unknown",
        "450 4.2.0 User unknown",
        "450 4.2.2 User unknown",
        "450 4.3.0 User unknown",
        "450 4.7.1 User unknown",
        "451 4.1.1 User unknown",
        "452 4.1.1 User unknown",
        "421 4.1.1 User unknown",
        "250 2.1.5 User unknown",
        # Said of somebody else.
        "450 4.1.1 <p@example.com>: Recipient address rejected: User unknown",
        "connect to mx.example.net[192.0.2.1]:25: Connection timed out",
        "",
    ],
)
def test_what_a_code_for_now_says_otherwise_is_soft_for_ever(words: str) -> None:
    for status in ("4.1.1", "4.4.7", "4.0.0"):
        assert read(given_up(words, status=status)).kind is MessageKind.SOFT


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", ""])
def test_a_relay_that_goes_on_trying_removes_nobody(action: str) -> None:
    assert read(given_up(action=action)).kind is not MessageKind.HARD


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("Mon, 2 Mar 2026 10:00:00 +0100", MessageKind.SOFT),
        # A weekend.
        ("Thu, 5 Mar 2026 09:59:59 +0100", MessageKind.SOFT),
        ("Thu, 5 Mar 2026 10:00:00 +0100", MessageKind.HARD),
        ("Thu, 5 Mar 2026 09:00:00 -0000", MessageKind.SOFT),
        ("yesterday", MessageKind.SOFT),
        ("Sun, 1 Mar 2026 10:00:00 +0100", MessageKind.SOFT),
    ],
)
def test_less_than_three_days_of_a_code_for_now_prove_nothing(last: str, kind: MessageKind) -> None:
    assert read(given_up(last=last)).kind is kind
    assert read(given_up(written=last)).kind is kind
    # When it was last tried counts, and not when that was written.
    assert read(given_up(last=last, written=FOR_DAYS)).kind is kind


@pytest.mark.parametrize("arrived", ["", "\nArrival-Date: on Monday", f"\nArrived: {ARRIVED}"])
def test_a_report_that_does_not_say_since_when_it_tried_removes_nobody(arrived: str) -> None:
    assert read(given_up(arrived=arrived)).kind is MessageKind.SOFT


@pytest.mark.parametrize("step", ["EHLO", "MAIL FROM", "end of DATA"])
def test_days_of_a_refusal_at_another_step_say_nothing_of_a_recipient(step: str) -> None:
    text = f"<jan@example.net>: host mx said: {UNKNOWN_FOR_NOW} (in reply to {step} command)"
    assert read(given_up(text=text)).kind is MessageKind.SOFT


GMAIL = """
** Address not found **

Your message wasn't delivered to jan@example.net because the address couldn't be found, or is
unable to receive mail.

Learn more here: https://support.google.com/mail/answer/6596

{before}

{words}

"""
GMAIL_IN_GERMAN = """
** Adresse nicht gefunden **

Ihre Nachricht wurde nicht an jan@example.net zugestellt, weil die Adresse nicht gefunden wurde.

{before}

{words}

"""


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (GMAIL, "The response was:"),
        (GMAIL, "The response from the remote server was:"),
        (GMAIL.replace("was:\n\n", "was:\n"), "The response was:"),
        (GMAIL, "The error that the other server returned was:"),
        (GMAIL_IN_GERMAN, "Antwort des Servers:"),
    ],
)
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("550 5.7.1 Message rejected by the organisation", MessageKind.SOFT),
        ("550 5.7.26 This mail has been blocked because it is unauthenticated", MessageKind.SOFT),
        ("452 4.2.2 The recipient's inbox is out of storage space", MessageKind.SOFT),
        ("552-5.2.2 The recipient's inbox is out\n552 5.2.2 of storage space.", MessageKind.SOFT),
        ("550 5.2.1 The account that you tried to reach is disabled.", MessageKind.SOFT),
        (
            "550 permanent failure for one or more recipients (jan@example.net:blocked)",
            MessageKind.SOFT,
        ),
        ("550 Denied", MessageKind.SOFT),
        ("550 Mailbox unavailable", MessageKind.SOFT),
        ("550-5.1.1 The account that you tried\n550 5.1.1 does not exist.", MessageKind.HARD),
        ("550 #5.1.0 Address rejected.", MessageKind.HARD),
        ("550 No such user here", MessageKind.HARD),
        ("550 5.4.1 Recipient address rejected: Access denied.", MessageKind.HARD),
    ],
)
def test_a_reply_that_gmail_quotes_outranks_its_own_sentence(
    text: str, before: str, words: str, kind: MessageKind
) -> None:
    full = text.format(before=before, words=words)
    head = "Return-Path: <>\nFrom: mailer-daemon@googlemail.com\nSubject: Delivery Status\n"
    assert read(f"{head}X-Failed-Recipients: jan@example.net\n\n{full}".encode()).kind is kind
    status = "4.0.0" if words.startswith("4") else "5.0.0"
    diagnostic = f"\nDiagnostic-Code: smtp; {folded(words)}"
    for field in (diagnostic, ""):
        raw = REPORT.format(text=full, status=status, diagnostic=field, copy="")
        assert read(raw.encode()).kind is kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (
            "DNS Error: DNS type 'mx' lookup of example.net responded with code NXDOMAIN",
            MessageKind.HARD,
        ),
        ("DNS Error: 4567 DNS type 'mx' lookup of example.net timed out", MessageKind.SOFT),
        ("The recipient server did not accept our requests to connect.", MessageKind.SOFT),
    ],
)
def test_what_gmail_says_of_its_own_tries_outranks_its_sentence(
    words: str, kind: MessageKind
) -> None:
    text = GMAIL.format(before="The response was:", words=words)
    raw = REPORT.format(text=text, status="5.0.0", diagnostic="", copy="")
    assert read(raw.encode()).kind is kind


TRANSCRIPT = """The original message was received at Mon, 2 Mar 2026 10:00:00 +0100

   ----- The following addresses had permanent fatal errors -----
<jan@example.net>

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<jan@example.net>
{replies}
550 5.1.1 <jan@example.net>... User unknown
"""


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ("<<< 550 5.1.1 User unknown", MessageKind.HARD),
        ("<<< 550 5.1.1 User unknown\n<<< 503 5.0.0 Need RCPT (recipient)", MessageKind.HARD),
        ("<<< 550 5.1.1 User unknown\n<<< 554 5.5.1 Error: no valid recipients", MessageKind.HARD),
        ("<<< 550-5.1.1 The account does\n<<< 550 5.1.1 not exist", MessageKind.HARD),
        ("<<< 550 Message rejected, listed at bl.example", MessageKind.SOFT),
        ("<<< 550 Denied", MessageKind.SOFT),
        ("<<< 550 User unknown\n<<< 550 Denied", MessageKind.SOFT),
        ("<<< 550-5.1.1 Sorry,\n<<< 550 5.1.1 your mail is spam", MessageKind.SOFT),
        ("<<< 421 closing", MessageKind.SOFT),
    ],
)
def test_what_sendmail_heard_outranks_what_it_makes_of_it(replies: str, kind: MessageKind) -> None:
    text = TRANSCRIPT.format(replies=replies)
    head = "From: MAILER-DAEMON@mail.example.org\nSubject: Returned mail: User unknown\n\n"
    assert read(f"{head}{text}".encode()).kind is kind
    raw = REPORT.format(text=text, status="5.1.1", diagnostic="", copy="")
    assert read(raw.encode()).kind is kind


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ("<<< 550 User unknown\n<<< 503 5.0.0 Need RCPT (recipient)", MessageKind.HARD),
        ("<<< 550-User unknown,\n<<< 550 your mail is spam", MessageKind.SOFT),
        ("<<< 550-Message rejected,\n<<< 550 listed at bl.example", MessageKind.SOFT),
    ],
)
def test_of_a_longer_reply_a_report_gives_a_line_and_the_text_all(
    replies: str, kind: MessageKind
) -> None:
    text = TRANSCRIPT.format(replies=replies)
    diagnostic = f"\nDiagnostic-Code: SMTP; {replies.splitlines()[0].removeprefix('<<< ')}"
    raw = REPORT.format(text=text, status="5.1.1", diagnostic=diagnostic, copy="")
    assert read(raw.encode()).kind is kind


def test_another_host_that_was_busy_before_says_nothing_of_the_mailbox() -> None:
    text = TRANSCRIPT.format(replies="<<< 450 busy\n<<< 550 User unknown")
    diagnostic = "\nDiagnostic-Code: SMTP; 550 User unknown"
    raw = REPORT.format(text=text, status="5.1.1", diagnostic=diagnostic, copy="")
    assert read(raw.encode()).kind is MessageKind.HARD


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("5.2.1 (mailbox disabled, not accepting messages)", ""),
        ("5.1.1", "Your message to <jan> was automatically rejected:\nNot enough disk space"),
    ],
)
def test_a_reason_that_stands_elsewhere_in_a_report_is_heard(status: str, text: str) -> None:
    diagnostic = "\nDiagnostic-Code: smtp; 550 User unknown"
    raw = REPORT.format(text=text, status=status, diagnostic=diagnostic, copy="")
    assert read(raw.encode()).kind is MessageKind.SOFT


@pytest.mark.parametrize(
    "text", ["The account is disabled.", "Sie haben zu viel Spam verschickt.", "Please try later."]
)
def test_a_report_without_words_is_judged_by_the_whole_text(text: str) -> None:
    named = "<jan@example.net>: 550 user unknown"
    for status in ("5.0.0", "5.1.1"):
        raw = REPORT.format(text=f"{text}\n\n{named}", status=status, diagnostic="", copy="")
        assert read(raw.encode()).kind is MessageKind.SOFT


def test_the_comment_on_a_status_is_read_where_there_are_no_other_words() -> None:
    status = "5.4.4 (Illegal host/domain name found)"
    raw = REPORT.format(text="", status=status, diagnostic="", copy="")
    assert read(raw.encode()).kind is MessageKind.HARD


def test_a_bounce_whose_parts_cannot_be_told_from_each_other_is_read_as_a_text() -> None:
    raw = as_report("550 5.1.1 User unknown", "5.1.1", "").replace("boundary=b", "boundary=other")
    assert read(raw.encode()).kind is MessageKind.HARD


@pytest.mark.parametrize("field", ["To", "Delivered-To"])
@pytest.mark.parametrize("place", [as_report, without_type, in_capitals])
def test_who_does_not_know_the_sender_says_nothing_of_the_recipient(
    place: Callable[[str, str, str], str], field: str
) -> None:
    words = "550 5.1.1 <{}>: User unknown"
    for name, kind in (
        ("praktijk@example.org", MessageKind.SOFT),
        ("jan@example.net", MessageKind.HARD),
    ):
        raw = place(words.format(name), "5.1.1", "")
        assert read(f"{field}: <praktijk@example.org>\n{raw}".encode()).kind is kind


def test_a_bounce_without_a_text_says_only_that_it_failed() -> None:
    head = "From: MAILER-DAEMON@a.example\nSubject: failure notice\nContent-Type: text/html"
    assert read(f"{head}\n\n<p>550 5.1.1 user unknown".encode()).kind is MessageKind.SOFT


@pytest.mark.parametrize("code", ["421", "521", "530", "535"])
def test_a_code_of_the_server_itself_says_nothing_of_a_mailbox(code: str) -> None:
    raw = as_report(f"{code} 5.1.1 User unknown", "5.1.1", "")
    assert read(raw.encode()).kind is MessageKind.SOFT


# --- What somebody wrote in the mail that came back.

WITHOUT_COPY = {"gateway_no_such_user"}
bounces = st.deferred(
    lambda: st.sampled_from(
        [
            name
            for name in NAMES
            if read(returned(name)).kind in {MessageKind.HARD, MessageKind.SOFT}
            and name not in WITHOUT_COPY
        ]
    )
)
lines = st.lists(st.sampled_from([*GONE, *NOT_GONE, "<jan@example.net>:", "", "<<< 550 no"]))


@given(bounces, lines)
def test_what_stands_in_the_copy_changes_nothing(name: str, copied: list[str]) -> None:
    raw = returned(name)
    mark = b"\nMessage-ID: <hidden@example.org>\n"
    assert raw.count(mark) <= 1
    head, mark, rest = raw.partition(mark)
    said = "\n".join(copied).encode()
    forged = head + mark + b"X-Said: " + said.replace(b"\n", b"\n ") + b"\n" + rest
    assert read(forged).kind is read(raw).kind


@given(st.sampled_from(NOT_GONE), st.lists(st.sampled_from(["", " ", "\n   ", "- ", "; "])))
def test_words_of_anything_else_outrank_words_of_nobody_beside_them(
    words: str, between: list[str]
) -> None:
    said = words + "".join(between)
    for text in (said, said.swapcase(), said.title()):
        assert read(as_report(text.strip(), "5.1.1", "").encode()).kind is MessageKind.SOFT


# --- Copies that were passed on: whoever was written to has got the mail.

ELSEWHERE = "p@example.com"


@pytest.mark.parametrize(
    "words",
    [
        "550 5.1.1 <p@example.com>: Recipient address rejected: User unknown",
        "550 5.1.1 p@example.com... User unknown",
        "550 no such user (rcpt to=<p@example.com>)",
        "550 5.1.1 jan@example.net forwards to p@example.com: user unknown",
    ],
)
@pytest.mark.parametrize("place", [as_report, without_type, by_exim, in_the_text_alone])
def test_words_that_name_another_address_are_about_a_copy(
    place: Callable[[str, str, str], str], words: str
) -> None:
    assert read(place(words, "5.1.1", "").encode()).kind is MessageKind.SOFT
    about_them = words.replace(ELSEWHERE, "JAN@example.net")
    assert read(place(about_them, "5.1.1", "").encode()).kind is MessageKind.HARD


@pytest.mark.parametrize(
    "text",
    [
        (
            "Your message to jan@example.net was forwarded to p@example.com, which failed:\n\n"
            "550 5.1.1 User unknown"
        ),
        "jan@example.net -> p@example.com\n\nThe remote server said: 550 no such user",
        (
            "The copy for p@example.com of your message to jan@example.net came back.\n\n"
            "No such user here (550)"
        ),
    ],
)
def test_a_text_that_tells_of_a_copy_passed_on_removes_nobody(text: str) -> None:
    head = "From: MAILER-DAEMON@mail.example.org\nReturn-Path: <>\nSubject: Undeliverable: news\n\n"
    assert read(f"{head}{text}\n".encode()).kind is MessageKind.SOFT
    alone = text.replace("p@example.com", "jan@example.net")
    assert read(f"{head}{alone}\n".encode()).kind is MessageKind.HARD


@pytest.mark.parametrize(
    "text",
    [
        "<p@example.com>: host mx.example.com said: 550 5.1.1 User unknown",
        "Mail for jan@example.net is forwarded to p@example.com.\n550 5.1.1 User unknown",
    ],
)
def test_where_a_report_has_no_words_its_text_may_tell_of_a_copy(text: str) -> None:
    raw = REPORT.format(text=text, status="5.1.1", diagnostic="", copy="")
    assert read(raw.encode()).kind is MessageKind.SOFT
    alone = raw.replace("p@example.com", "jan@example.net")
    assert read(alone.encode()).kind is MessageKind.HARD


def test_each_of_several_that_is_gone_by_a_line_of_its_own_is_gone() -> None:
    head = "From: MAILER-DAEMON@mail.example.org\nReturn-Path: <>\nSubject: Returned mail\n\n"
    line = "554 <{}>... 550 Host unknown (Authoritative answer from name server)\n"
    text = line.format("jan@example.net") + line.format("p@example.com")
    assert read(f"{head}{text}".encode()).kind is MessageKind.HARD


@pytest.mark.parametrize(
    ("transcript", "kind"),
    [
        # The mail itself was refused.
        ("<<< 550 : User unknown\n554 5.0.0 Service unavailable", MessageKind.SOFT),
        ("<<< 550 Unknown user jan@example.net\n554 Service unavailable", MessageKind.SOFT),
        # The recipient was; DATA was on its way already.
        (
            (
                "<<< 550 : User unknown\n550 5.1.1 <jan@example.net>... User unknown\n"
                "<<< 503 5.0.0 Need RCPT (recipient)"
            ),
            MessageKind.HARD,
        ),
        (
            "<<< 550 : User unknown\n554 5.0.0 Service unavailable\n<<< 503 5.0.0 Need RCPT",
            MessageKind.HARD,
        ),
        (
            (
                "<<< 554 dd This user doesn't have a yahoo.com account (jan@example.net)\n"
                "554 5.0.0 Service unavailable"
            ),
            MessageKind.HARD,
        ),
    ],
)
def test_sendmail_shows_at_which_step_somebody_was_unknown(
    transcript: str, kind: MessageKind
) -> None:
    words = re.sub("^<<< ", "", transcript.split("\n", maxsplit=1)[0])
    text = (
        "   ----- The following addresses had permanent fatal errors -----\n<jan@example.net>\n"
        f"    (reason: {words})\n\n   ----- Transcript of session follows -----\n"
        f"... while talking to mx.example.net.:\n>>> DATA\n{transcript}"
    )
    diagnostic = f"\nDiagnostic-Code: SMTP; {words}"
    raw = REPORT.format(text=text, status="5.2.0", diagnostic=diagnostic, copy="")
    assert read(raw.encode()).kind is kind


def test_a_host_alone_is_nobodys_name() -> None:
    raw = REPORT.format(
        text="<jan@example.net>\n    (reason: 550 Host unknown)",
        status="5.1.2",
        diagnostic="",
        copy="",
    )
    found = read(raw.replace("rfc822; jan@example.net", "rfc822; @mx.example.org").encode())
    assert (found.kind, found.failed) == (MessageKind.HARD, ())
