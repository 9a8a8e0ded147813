"""What the words of a refusal say is wrong, as mail servers really write them.

One vocabulary for both ways in which a refusal is heard: as a reply while sending, and quoted in a
bounce. The rule of all of it: words that speak of this side, of a policy or of a full mailbox
outrank whatever says that somebody is unknown.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Cause(StrEnum):
    """Why a mail is refused for good.

    `gone` is "no such mailbox or domain" alone. `ours` is a limit, a login or a sender, `policy`
    what is said of this side's name, address or mail, `mailbox` a mailbox that is there and takes
    no mail now. `unclear` is all that the words leave open.
    """

    GONE = "gone"
    OURS = "ours"
    POLICY = "policy"
    MAILBOX = "mailbox"
    UNCLEAR = ""


def normalize_reply_text(words: str) -> str:
    """Return a server's words in small letters on one line, without what only looks like words.

    - An address may hold any word: limits@example.org says nothing of a limit.
    - A host's name neither: spam.filter.example has not called anything spam.
    - The lines of a longer reply repeat its code (RFC 5321 §4.2.1), often amid a sentence.
    """
    text = _ADDRESS.sub("", " ".join(words.lower().replace("’", "'").split()))
    return " ".join(_HOST.sub("", _CODE.sub(" ", text)).split())


_ADDRESS = re.compile(r"<?(?<![^\s<>])[^\s<>]+@[^\s<>]+>?")
_CODE = re.compile(r"(?<![\w.])[45]\d\d[ -]+(?:#?[245]\.\d{1,3}\.\d{1,3}\b)?")
# Three labels at least; Exchange's RESOLVER.ADR.… is a reason. An address on the web is kept, as
# it often is all that a blocklist gives.
_HOST = re.compile(r"(?<![\w./@:-])(?!resolver\.)[a-z0-9-]+(?:\.[a-z0-9-]+){2,}(?![\w/])")


def is_about_our_limit(words: str) -> bool:
    """Say whether plain words speak of how many mails an account may send."""
    return bool(_OUR_LIMIT.search(words))


def reports_other_cause(words: str) -> bool:
    """Say whether plain words speak of anything but a mailbox or domain that is not there.

    They count also beside a status for such a mailbox, which many a relay makes up (Sendmail gives
    5.1.1 to every 550 that comes without a status).
    """
    return bool(_DENIALS.search(words))


def cause_of_words(words: str) -> Cause:
    """Return what plain words say by themselves, where no status says it.

    A limit comes first: "too many unknown recipients" is about us and not about this one.
    """
    if _MAILBOX.search(words):
        return Cause.MAILBOX
    if _OURS.search(words):
        return Cause.OURS
    if _POLICY.search(words):
        return Cause.POLICY
    if reports_other_cause(words):
        return Cause.MAILBOX
    return Cause.GONE if _NOBODY.search(words) or _NOWHERE.search(words) else Cause.UNCLEAR


def reports_unknown_user(words: str) -> bool:
    """Say whether plain words speak of a person or mailbox that is not there, and not a domain."""
    return bool(_NOBODY.search(words))


def reports_foreign_domain(words: str, address: str) -> bool:
    """Say whether a domain that is not there is another than the address's.

    A relay that cannot find its own smarthost says so, and of a host that a domain's MX names; and
    so does a server that cannot find the sender's domain (Courier: "517 Domain does not exist: …").
    `words` are as the server wrote them.
    """
    domain = address.rpartition("@")[2].strip("<>. ").lower()
    text = " ".join(words.lower().split())
    names = _LOOKED_UP.findall(text)
    # What stands before the code names hosts on the way.
    reply = _CODE.split(text)[-1].replace(address.lower(), "") if domain else ""
    if not names and _NOWHERE.search(normalize_reply_text(reply)):
        names = _DOMAIN_NAME.findall(reply)
    return bool(domain and names) and domain not in {name.strip(".") for name in names}


# How many mails an account may send, which some say beside a status for something else.
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

# What a server holds against this side's host (RFC 5321 §4.1.4, RFC 7208, RFC 7372), whose "unknown
# name" is not the recipient's; "my name was rejected" is how qmail says so.
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
# A mailbox that is closed for now, and a delivery that failed in the house of who knows it.
_OUT_OF_ORDER = (
    r"(account|mail ?box|user|recipient|address)\b.{0,40}"
    r"\b(disabled|suspended|inactive|deactivated|locked|frozen)\b|\btemporar(y|ily)\b|"
    r"\bnot found, try again|\btry (again )?later|"
    r"(could ?n[o']t|cannot|can't|unable to) (create|open|write|lock)|permission denied"
)

_DENIALS = re.compile(
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
_SOMEBODY = (
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

_NOBODY = re.compile(
    rf"\b(?:no such|unknown|non-?existent|unrecogni[sz]ed|invalid|undefined) "
    rf"(?:(?:or|and) \w+ )?{_KIND}{{0,3}}{_SOMEBODY}\b|"
    rf"\b(?:{_SOMEBODY}|name)\b(?:[^.;]|\.(?=\S)){{0,80}}\b{_MISSING}\b|"
    rf"\b{_SOMEBODY} has been (?:deleted|closed)\b|"
    # Domino and Notes; in what form they name their directory is the version's.
    r"\bnot listed in (?:the )?(?:\S+ ){0,5}(?:directory|address book)|"
    rf"\bnot an? (?:valid|registered|known|existing) (?:(?:gateway|relay) |{_KIND}){{0,2}}"
    rf"{_SOMEBODY}\b|"
    r"\bnot our (?:user|customer)\b|(?:doesn't|does not) have an? (?:\S+ )?account|"
    r"\bno mailbox (?:here )?(?:by|with) that name|"
    # Outlook.com, old and new, whose number tells it from RFC 5321's sentence for any 550. That is
    # "not found by SMTP address lookup" (Microsoft, Email non-delivery reports, 5.5.0).
    r"\bmailbox unavailable \((?:s20\d{8}|-?\d+:\d+:-?\d+)\)|"
    # Exim; Exchange, in all its spellings.
    r"\bunrout(?:e)?able (?:mail )?address|\bresolver\.adr\.\w*recip\w*notfound|"
    # Others' languages.
    r"\b(?:empf\S{1,4}nger|benutzer|adresse|postfach)\b.{0,40}"
    r"\b(?:unbekannt|nicht gefunden|existiert nicht)|\bunbekannter? (?:empf|benutzer)|"
    r"\b(?:gebruiker|ontvanger|adres|postvak|domein)\b.{0,40}\b(?:onbekend|bestaat niet|"
    r"niet gevonden)|\bonbekende? (?:gebruiker|ontvanger)|"
    r"\b(?:utilisateur|destinataire|adresse|bo.{1,2}te)\b.{0,40}(?:inconnue?\b|n'existe pas)|"
    r"\b(?:usuario|destinatario|utente|indirizzo)\b.{0,40}(?:desconocido|no existe|sconosciuto|"
    r"inesistente|non esiste)"
)

_NOWHERE = re.compile(
    rf"\b(?:no such|unknown|non-?existent) (?:{_KIND}|recipient's ){{0,2}}{_DOMAIN}\b|"
    rf"\b{_DOMAIN}\b(?:[^.;]|\.(?=\S)){{0,80}}\b{_MISSING}\b|\bunrout(?:e)?able domain|"
    # A domain that takes no mail at all (RFC 7505), as Postfix, Exim, Sendmail, OpenSMTPD, Yahoo,
    # Gmail and qmail write of it.
    r"null[ -]?mx|\bno mx (?:record )?found for\b|\bindicated no smtp service|"
    rf"\b{_DOMAIN}\b(?: \S+){{0,2}} (?:doesn't|does not) accept (?:any )?e?-?mail"
    r"(?! (?:from|sent))|"
    r"\bcouldn't find (?:any host named|a mail exchanger)|"
    # Outlook.com, of a domain that its relay finds nowhere.
    r"\bdomain is not reachable\. please check the domain\b|"
    # The domain name system's own word, and how Sun's and iPlanet's server says it.
    r"\bnxdomain\b|\billegal host/domain name"
)

_NAME = r"((?:[\w-]{1,63}\.)+[\w-]{1,63})"
_LOOKED_UP = re.compile(
    r"(?:\b(?:name|domain)=|\bhost named |\blookup of |\bhost (?=\S{1,255} (?:was |is )?not found)|"
    r"\bdomain (?=\S{1,255} (?:does not|doesn't) )|"
    rf"\b{_DOMAIN} {_MISSING}: ?|\b(?:no such|unknown) {_DOMAIN}:? )['\"<]?{_NAME}"
)
# Not a version, a network address, or what stands in the address of a page.
_DOMAIN_NAME = re.compile(rf"(?<![\w./-])(?=\S*\.[a-z][\w-]+\.?(?![\w.-])){_NAME}(?![\w/.-]*/)")
