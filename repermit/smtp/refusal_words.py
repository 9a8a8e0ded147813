"""The causes of refusals, recognised by the words that mail servers really use.

The same words serve for replies while sending and for replies quoted in a bounce. Words about our
side, a policy or a full mailbox outrank words that say that a recipient is unknown.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Cause(StrEnum):
    """Why a mail is refused permanently.

    - `gone`: no such mailbox or domain, and nothing else.
    - `ours`: a limit, a login or a sender of our side.
    - `policy`: an objection to our name, our address or the mail.
    - `mailbox`: the mailbox exists and takes no mail now.
    - `unclear`: the words do not say.
    """

    GONE = "gone"
    OURS = "ours"
    POLICY = "policy"
    MAILBOX = "mailbox"
    UNCLEAR = ""


def normalize_reply_text(reply_text: str) -> str:
    """Return a reply's text in lower case on one line, without addresses, host names and codes.

    - An address may contain any word: limits@example.org says nothing about a limit.
    - So may a host name: spam.filter.example does not call anything spam.
    - The lines of a longer reply repeat its code (RFC 5321 §4.2.1), often amid a sentence.

    The other functions here take a text in this form, unless they say otherwise.
    """
    text = _ADDRESS.sub("", " ".join(reply_text.lower().replace("’", "'").split()))
    return " ".join(_HOST.sub("", _CODE.sub(" ", text)).split())


_ADDRESS = re.compile(r"<?(?<![^\s<>])[^\s<>]+@[^\s<>]+>?")
_CODE = re.compile(r"(?<![\w.])[45]\d\d[ -]+(?:#?[245]\.\d{1,3}\.\d{1,3}\b)?")
# Three labels at least; Exchange's RESOLVER.ADR.… is a reason. A URL stays, since it is often all
# that a blocklist gives.
_HOST = re.compile(r"(?<![\w./@:-])(?!resolver\.)[a-z0-9-]+(?:\.[a-z0-9-]+){2,}(?![\w/])")


def is_about_our_limit(reply_text: str) -> bool:
    """Return whether a reply is about the number of mails that our account may send."""
    return bool(_OUR_LIMIT.search(reply_text))


def reports_other_cause(reply_text: str) -> bool:
    """Return whether a reply is about anything but a mailbox or domain that does not exist.

    This counts even with a status for such a mailbox, since many relays make one up (Sendmail gives
    5.1.1 to every 550 without a status).
    """
    return bool(_OTHER_CAUSES.search(reply_text))


def find_cause_in_text(reply_text: str) -> Cause:
    """Return the cause that a reply's words give by themselves, without a status.

    A limit comes first: "too many unknown recipients" is about us, not about this recipient.
    """
    if _MAILBOX.search(reply_text):
        return Cause.MAILBOX
    if _OURS.search(reply_text):
        return Cause.OURS
    if _POLICY.search(reply_text):
        return Cause.POLICY
    if reports_other_cause(reply_text):
        return Cause.MAILBOX
    return (
        Cause.GONE
        if _NO_SUCH_USER.search(reply_text) or _NO_SUCH_DOMAIN.search(reply_text)
        else Cause.UNCLEAR
    )


def reports_unknown_user(reply_text: str) -> bool:
    """Return whether a reply is about a user or mailbox that does not exist, and not a domain."""
    return bool(_NO_SUCH_USER.search(reply_text))


def reports_foreign_domain(reply_text: str, address: str) -> bool:
    """Return whether the missing domain in a reply is another than the address's.

    A relay may miss its own smarthost or a host named by the domain's MX, and a server may miss the
    sender's domain (Courier: "517 Domain does not exist: …").

    - `reply_text`: as the server wrote it.
    """
    domain = address.rpartition("@")[2].strip("<>. ").lower()
    text = " ".join(reply_text.lower().split())
    names = _LOOKED_UP.findall(text)
    # The text before the code names hosts on the way.
    reply = _CODE.split(text)[-1].replace(address.lower(), "") if domain else ""
    if not names and _NO_SUCH_DOMAIN.search(normalize_reply_text(reply)):
        names = _DOMAIN_NAME.findall(reply)
    return bool(domain and names) and domain not in {name.strip(".") for name in names}


# The number of mails that an account may send; some servers add a status for something else.
_OUR_LIMIT = re.compile(
    r"\bsend(ing|er)? (\w+ )?(limit|quota|rate|throttl)|\b(mail|message) rate\b|"
    r"\b(daily|hourly|24-hour) (\w+ )?(limit|quota)|max(imum)? (e-?)?mails|"
    r"(limit|exceeded)\b.{0,60}\bper (hour|day)"
)

_LIMIT_OR_SENDER = (
    rf"{_OUR_LIMIT.pattern}|too (many|much|fast)|throttl|may not send|authenti|"
    r"(limit|rate) ((was|is|has been) )?(exceeded|reached)|"
    r"\bsender('s)? (e-?mail )?(address|domain|mailbox|host|verif|reject|refus|denied|unknown|"
    r"block|not\b|is not|does)|"
    r"(unknown|invalid|bad|illegal|no such|unauthori[sz]ed|verify( the)?|domain of( the)?) "
    r"(envelope )?(sender|return.path|from address)|"
    r"(return.path|mail from|from address)\b.{0,40}(reject|refus|denied|invalid|unknown|\bnot\b)"
)
_NOT_RELAYED = (
    r"\brelay(ing)? ((access|is|was) )?(denied|refused|prohibited|not (permitted|allowed))|"
    r"(not|cannot|unable to|refuse to|no) relay"
)

# Objections to our host (RFC 5321 §4.1.4, RFC 7208, RFC 7372), whose "unknown name" is not the
# recipient's; "my name was rejected" is qmail's.
_OUR_HOST = (
    r"\b(helo|ehlo|spf|dkim|dmarc|ptr|rdns)\b|\breverse[ -](dns|lookup|host|map|record|name)|"
    r"\bclient host|(?<!\bor )\b(ip|network|host('s)?) address|"
    r"\b(your|sending|connecting) (ip|host|name|server|domain|network|isp|mail ?server|mta)\b|"
    r"\byour (e-?mail )?address(?! book)|"
    r"\bmy name was rejected|\bhost ?name\b.{0,30}(invalid|reject|unknown|resolve)"
)
_UNWANTED = (
    r"spam|unsolicited|\bbulk\b|\b(black|block|deny|exclusion) ?list|\bblock(ed|ing)\b|reputation|"
    r"\brbl\b|dns ?bl|/(dns)?bl\b|(?<!not )(?<!n't )\blisted (at|by|in|on)\b|\bpolic(y|ies)\b|"
    r"prohibit|\bvirus|malware|phish|recipient preferences|gr[ae]y-?list"
)
_NO_ROOM = (
    r"(mail ?box|inbox|account|user|folder|disk|storage|maildir)\b.{0,40}"
    r"(\bfull\b|over ?quota|exceeded|over (its|the) )|\bfull (mail ?box|inbox)|"
    r"(recipient|user|mail ?box|account|disk|over) ?quota|\bquota (is |was |has been )?exceeded|"
    r"(insufficient|not enough|no|out of) (\w+ )?(disk|storage|space)"
)
# A mailbox that is closed for now, and a local delivery that failed.
_OUT_OF_ORDER = (
    r"(account|mail ?box|user|recipient|address)\b.{0,40}"
    r"\b(disabled|suspended|inactive|deactivated|locked|frozen)\b|\btemporar(y|ily)\b|"
    r"\bnot found, try again|\btry (again )?later|"
    r"(could ?n[o']t|cannot|can't|unable to) (create|open|write|lock)|permission denied"
)

_OTHER_CAUSES = re.compile(
    f"{_LIMIT_OR_SENDER}|{_NOT_RELAYED}|{_OUR_HOST}|{_UNWANTED}|{_NO_ROOM}|{_OUT_OF_ORDER}"
)
_MAILBOX = re.compile(_NO_ROOM)
_OURS = re.compile(
    rf"{_LIMIT_OR_SENDER}|limit|quota|exceed|\brate\b|log ?in|password|suspend|sender|return.path|"
    r"mail from|from address"
)
_POLICY = re.compile(
    rf"{_OUR_HOST}|{_UNWANTED}|polic|black ?list|block|\brelay(?! recipient)|"
    r"not (permitted|allowed)"
)

_KIND = r"(?:(?:local|virtual|remote|final|delivery|destination|recipient|user|e-?mail|mail) )"
_RECIPIENT = (
    r"(?:users?|userid|user ?name|recipients?|mail ?box(?:es)?|address(?:ee)?|account|person|"
    r"customer|subscriber|alias|login name)"
)
_DOMAIN = r"(?:(?:domain|host)(?: name)?)"
_MISSING = (
    r"(?:unknown(?! (?:error|reason|status|cause|problem|failure))|"
    r"(?:was |is |could |can )?not (?:be )?(?:found|known|recogni[sz]ed|exist)|"
    r"(?:doesn't|does not|didn't|did not) exist|(?:wasn't|isn't|couldn't be|can't be|cannot be) "
    r"(?:found|known|recogni[sz]ed)|no longer (?:exists?|valid|in use)|non-?existent)"
)

_NO_SUCH_USER = re.compile(
    rf"\b(?:no such|unknown|non-?existent|unrecogni[sz]ed|invalid|undefined) "
    rf"(?:(?:or|and) \w+ )?{_KIND}{{0,3}}{_RECIPIENT}\b|"
    rf"\b(?:{_RECIPIENT}|name)\b(?:[^.;]|\.(?=\S)){{0,80}}\b{_MISSING}\b|"
    rf"\b{_RECIPIENT} has been (?:deleted|closed)\b|"
    # Domino and Notes; the name of the directory depends on the version.
    r"\bnot listed in (?:the )?(?:\S+ ){0,5}(?:directory|address book)|"
    rf"\bnot an? (?:valid|registered|known|existing) (?:(?:gateway|relay) |{_KIND}){{0,2}}"
    rf"{_RECIPIENT}\b|"
    r"\bnot our (?:user|customer)\b|(?:doesn't|does not) have an? (?:\S+ )?account|"
    r"\bno mailbox (?:here )?(?:by|with) that name|"
    # Outlook.com, old and new; the number distinguishes it from RFC 5321's sentence for any 550. It
    # means "not found by SMTP address lookup" (Microsoft, Email non-delivery reports, 5.5.0).
    r"\bmailbox unavailable \((?:s20\d{8}|-?\d+:\d+:-?\d+)\)|"
    # Exim; Exchange, in all its spellings.
    r"\bunrout(?:e)?able (?:mail )?address|\bresolver\.adr\.\w*recip\w*notfound|"
    # Other languages.
    r"\b(?:empf\S{1,4}nger|benutzer|adresse|postfach)\b.{0,40}"
    r"\b(?:unbekannt|nicht gefunden|existiert nicht)|\bunbekannter? (?:empf|benutzer)|"
    r"\b(?:gebruiker|ontvanger|adres|postvak|domein)\b.{0,40}\b(?:onbekend|bestaat niet|"
    r"niet gevonden)|\bonbekende? (?:gebruiker|ontvanger)|"
    r"\b(?:utilisateur|destinataire|adresse|bo.{1,2}te)\b.{0,40}(?:inconnue?\b|n'existe pas)|"
    r"\b(?:usuario|destinatario|utente|indirizzo)\b.{0,40}(?:desconocido|no existe|sconosciuto|"
    r"inesistente|non esiste)"
)

_NO_SUCH_DOMAIN = re.compile(
    rf"\b(?:no such|unknown|non-?existent) (?:{_KIND}|recipient's ){{0,2}}{_DOMAIN}\b|"
    rf"\b{_DOMAIN}\b(?:[^.;]|\.(?=\S)){{0,80}}\b{_MISSING}\b|\bunrout(?:e)?able domain|"
    # A domain that takes no mail at all (RFC 7505), in the words of Postfix, Exim, Sendmail,
    # OpenSMTPD, Yahoo, Gmail and qmail.
    r"null[ -]?mx|\bno mx (?:record )?found for\b|\bindicated no smtp service|"
    rf"\b{_DOMAIN}\b(?: \S+){{0,2}} (?:doesn't|does not) accept (?:any )?e?-?mail"
    r"(?! (?:from|sent))|"
    r"\bcouldn't find (?:any host named|a mail exchanger)|"
    # Outlook.com, for a domain that its relay cannot find.
    r"\bdomain is not reachable\. please check the domain\b|"
    # The DNS's own term, and the words of Sun's and iPlanet's server.
    r"\bnxdomain\b|\billegal host/domain name"
)

_NAME = r"((?:[\w-]{1,63}\.)+[\w-]{1,63})"
_LOOKED_UP = re.compile(
    r"(?:\b(?:name|domain)=|\bhost named |\blookup of |\bhost (?=\S{1,255} (?:was |is )?not found)|"
    r"\bdomain (?=\S{1,255} (?:does not|doesn't) )|"
    rf"\b{_DOMAIN} {_MISSING}: ?|\b(?:no such|unknown) {_DOMAIN}:? )['\"<]?{_NAME}"
)
# Not a version, an IP address, or a part of a URL.
_DOMAIN_NAME = re.compile(rf"(?<![\w./-])(?=\S*\.[a-z][\w-]+\.?(?![\w.-])){_NAME}(?![\w/.-]*/)")
