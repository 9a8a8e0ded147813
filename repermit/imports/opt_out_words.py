"""What people write in a remark about mail: that somebody wants none, or something near it.

Nobody may be asked who refused (GDPR art. 21(3)), and an office notes a refusal in its own words;
so a sentence that can hardly mean anything else is taken for one, and what merely comes near it is
shown to the admin.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from repermit.unicode_limits import normalize

# --- Abbreviations and misspellings, put into the usual spelling. ---------------------------------


# Dutch, English, German and French, as offices shorten them; a dot behind one belongs to it.
_SHORTENED = {
    "geen": r"gn|ge{3,5}n|genn|gneen",
    "niet": r"neit|niett|nt(?= (?:meer )?(?:e-?mail|mail|benader|aanschr))",
    "nicht": r"nciht|nihct|nich|nict",
    "not": r"nto",
    "niets": r"niks|nix|nikss|niest",
    "wil": r"wilt",
    "nieuwsbrief": (
        r"n(?:ie?u?w?s|ws|w) ?-?br(?:i?e?f?|ie[fv]\w{0,3})|newsbriefs?|e-nieuws|nieuwsmails?|"
        r"nieuws brieven|nieuwsbief|nieuwsb"
    ),
    "newsletter": (
        r"ne?wsl(?:tte?rs?|te?rs?|ett?|etr|t)?|news letters?|"
        r"(?<=\bkein )nl|(?<=\bkeine )nl|(?<=\bkeinen )nl"
    ),
    "rundbrief": r"rundschreiben|rundmails?|infobriefe?|infomails?|zusendung(?:en)?",
    "infolettre": r"lettres? d'infos?|lettres? infos?|info lettres?",
    "mail": r"e?-?(?:mial|meil|maill)s?|emial|emal|mailshots?|mailtjs|mailz",
    "mailing": r"maill?ins?g?|maling|meiling|mailngs?",
    "werbung": r"we?rbg",
    "envoyer": r"envoier|envoyez|envoie[sr]?",
    "aanschrijven": r"aanschr|aanschrijv",
    "anschreiben": r"anschr|anschreib",
    "benaderen": r"benad|benader",
    "contact": r"co?nta?ct|cntct|ctct",
    "abbestellt": r"abbest|abbestelt|abbestelld",
    "mailen": r"mialen|mailn|maillen|meilen|emailen",
    "overleden": (
        r"overl|ovl|overled|overldn|overle?dn|overleedn|overlee?de|overleeden|overlden|ovlden|"
        r"overlden|overledden"
    ),
    # "Verst" and "gest" are so only where nothing or a day follows: "verst. d. Sache".
    "verstorben": (
        r"(?:verst|gest)(?=\.?(?:\W*$| ?[,;/|()†!?:=]|(?: am| im| in| seit| ca| anfang| mitte|"
        r" ende)*\.? ?(?:\d|(?:jan(?:uar)?|feb(?:ruar)?|marz|mrz|apr(?:il)?|mai|juni?|juli?|"
        r"aug(?:ust)?|sept?(?:ember)?|okt(?:ober)?|nov(?:ember)?|dez(?:ember)?)\b)))|verstorb|gestorb"
    ),
    "decede": r"dcd|deced|dec'?d",
    "afgemeld": r"afgem|afgemlt|afgemelt|afgemeldt|afgmeld|afgemled",
    "uitgeschreven": r"uitgeschr|uitgesch|uitgeschrv|uitschr|uitgeschreve",
    "opgezegd": r"opgez|opgezgd|opgezecht|opgezegt",
    "abgemeldet": r"abgem|abgemeld|abgemeldt|abgemelded",
    "desabonne": r"desabo|desabon|desab",
    "desinscrit": r"desinscr|desinsc",
    "unsubscribed": r"unsubscr|unsubs",
}
_BY_NAME = dict(enumerate(_SHORTENED))
_SHORT = re.compile(
    r"(?<![\w@.])(?:" + "|".join(f"(?P<w{n}>{_SHORTENED[w]})" for n, w in _BY_NAME.items()) + r")"
    r"(?:\.(?!\w))?(?![\w@])"
)
# Long enough for one slip of the finger to leave no doubt which of them was meant.
_MISSPELT = (
    *("nieuwsbrief", "nieuwsbrieven", "newsletter", "newsletters", "rundbrief", "infolettre"),
    *("afgemeld", "afmelden", "afmelding", "uitgeschreven", "uitschrijven", "uitschrijving"),
    *("verstorben", "deceased", "unsubscribe", "unsubscribed"),
    *(
        "abgemeldet",
        "abmelden",
        "abmeldung",
        "desabonne",
        "desabonnee",
        "desinscrit",
        "desinscrite",
    ),
)
# Words of their own, some of which say the opposite.
_OTHERS = frozenset(
    "angemeldet anmelden anmeldung aangemeld aanmelden aanmelding afgebeld decreased diseased "
    "reabonne reabonnee".split()
)
_SHORTEST = 7


def _without_one(word: str) -> set[str]:
    """Return a word, and all that is left of it without one of its letters."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


# Two words that differ by one letter, or by the order of two, have one of these in common.
_MEANT = {piece: word for word in reversed(_MISSPELT) for piece in _without_one(word)}
_WORD = re.compile(rf"[^\W\d_]{{{_SHORTEST},}}")


def respell(text: str) -> str:
    """Return plain text with abbreviated and misspelt words in their usual spelling."""
    return _SHORT.sub(_usual, _WORD.sub(_meant, text))


def _usual(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    return _BY_NAME[int(group[1:])]


def _meant(match: re.Match[str]) -> str:
    word = match[0]
    if word in _OTHERS or word in _MISSPELT:
        return word
    return next((_MEANT[one] for one in sorted(_without_one(word)) if one in _MEANT), word)


# --- What people write in a remark about mail. ----------------------------------------------------


REFUSED = "refused"
DOUBTFUL = "doubtful"

_MAIL = (
    r"(?:e-?mails?|mails?|mailtjes?|e?-?mailings?|(?:e-|digitale )?nieuwsbrie(?:f|ven)|"
    r"newsletters?|rundbriefe?|reclame(?:mails?)?|werbung|werbemails?|publicites?|pubs?|"
    r"marketing|mktg|spam|"
    r"courriels?|infolettres?|berichten|nachrichten|messages|lettres? d.information|"
    # "Post" is what offices call whatever is sent; "per post" tells of paper.
    r"(?<!per )(?<!by )(?<!via )(?<!par )(?<!mit der )(?<!op de )(?<!with the )"
    r"(?:post|courriers?|correspondentie|correspondence|korrespondenz|correspondance))\b"
    r"(?! ?-?(?:code|box|bus|nl|office|retour|restante)\b)"
    # "Geen mailadres" tells of an address, and "geen nieuwsbrief per post" of paper.
    r"(?![ -](?:adres|address|adresse))"
    r"(?! (?:per|by|via|par|op|met de|mit der|auf) (?:post|papier|paper|brief|courrier)\b)"
)
_VERB = (
    r"(?:mailen|mail|e-?mail|e-?mailen|gemaild|mailed|emailed|mailer|aanschrijven|aangeschreven|"
    r"anschreiben|angeschrieben|schrijven|schreiben|ecrire|write|benaderen|benaderd|contact|"
    r"contacteren|gecontacteerd|contacten|contacter|contacted|kontaktieren|kontaktiert|solliciter|sturen|"
    r"toesturen|verzenden|senden|zusenden|schicken|zuschicken|send|envoyer)\b"
)
_NOT = r"\b(?:niet|nooit|nicht|nie|not|never|ne|pas|plus|jamais|geen|kein\w{0,2}|no|nee|nein|non)\b"
_WANTS = (
    r"\b(?:wil|wilde|willen|wenst|wens|hoeft|mochten?|will|wollen|wunscht|wunschen|braucht|"
    r"wants?|wanted|wish(?:es)?|like|veut|veux|veulent|souhaite\w*|desire\w*|voudrait)\b"
)
# "Geen telefoon maar mail" and "hoeft geen papieren nieuwsbrief" are about something else.
_A_FEW = (
    r"(?: (?!(?:maar|sondern|aber|but|mais|alleen|wel|nur|only|papier\w*|paper|printed|"
    r"gedruckte\w*)\b)[\w'-]+){0,4}?"
)
# "Mail niet aangekomen", "no mail received": what became of a mail, and not whether it is wanted.
_ARRIVED = (
    r"(?!(?: \w+){0,2} (?:ontvangen|aangekomen|gekregen|krijgt|kreeg|gehad|bekend|werkt|geldig|"
    r"arrived|received|gets|got|delivered|known|found|valid|works|longer|angekommen|erhalten|"
    r"bekommt|bekommen|zugestellt|gultig|bekannt|recoit|recus?|arrives?|valide|connu)\b)"
)
_LIST = (
    r"(?:lijst|maillijst|mailinglijst|adreslijst|bestand|list|mailing ?list|verteiler|"
    r"mailverteiler|liste|fichier|nieuwsbrief|newsletter)\b"
)
# What is to be sent, written or asked of somebody who does, or does not, want it.
_ASKED = (
    rf"(?:{_MAIL}|{_VERB}|contact\w*\b|kontakt\w*\b|info(?:s|rmati\w+)?\b|hear from\b|"
    r"(?:van|von) \w+ horen\b|"
    r"entendre parler\b)"
)

# "Afgemeld 3-5-2021", "opted out".
_LEFT = (
    r"\b(?:unsubscri\w+|opt(?:ed|s)?[ -]?out|afgemeld|afmeld\w*|uitgeschreven|uitschrijven|"
    r"opgezegd|opzeggen|geen(?:mail|post|nieuwsbrief)|kein(?:e?mails?|e?post|newsletter)|"
    r"no(?:post|newsletter)|abgemeldet|abmeld\w+|abbestell\w+|ausgetragen|austragen|desabonn\w+|"
    r"desinscri\w+|blocklisted|blacklisted|unsub|uitschrijving|no(?:e?mail|contact)|"
    r"donot(?:e?mail|contact)|dnc|dnm)\b"
)
# "Geen nieuwsbrief", "keine Mails", "plus de newsletter".
_NO_MAIL = (
    r"\b(?:(?:geen|nooit|kein\w{0,2}|no|zonder|ohne|sans|stop|aucune?)"
    r"(?: (?:meer|more|mehr|weitere\w*|enkele|any|further|de|onze|our|unsere\w*))* "
    rf"|(?:plus|pas|jamais) d(?:e |'))(?:{_MAIL}){_ARRIVED}"
)
# "Wil geen mail meer", and "does not want to be contacted".
_WANTS_NONE = rf"{_WANTS}{_A_FEW} {_NOT}{_A_FEW} {_ASKED}"
_NOT_WANTED = rf"{_NOT}{_A_FEW} {_WANTS}{_A_FEW} {_ASKED}"
# "Niet meer mailen", "ne pas contacter".
_DO_NOT = (
    r"\b(?:niet|nooit|nicht|nie|not|never|plus|pas|jamais)\b(?: (?:meer|mehr|more|longer|again|"
    r"langer|per|via|par|lui|leur|be|to|by|te|zu|any|nog|digitaal|ongevraagd))*"
    rf" (?:{_VERB}){_ARRIVED}"
)
_SEND_NOTHING = (
    r"\b(?:niets|nichts|nothing|rien)\b(?: \w+){0,2} (?:sturen|toesturen|senden|schicken|zusenden|"
    r"envoyer|ontvangen|krijgen|erhalten|bekommen|receive|recevoir)\b"
    r"|\b(?:niets|nichts|nothing)\b(?: \w+){0,3} (?:horen|hear)\b"
    rf"|{_WANTS} (?:niets|nichts|nothing) (?:meer|mehr|more)(?: (?:van|von|from) \w+)?\W*$"
)
# "Nieuwsbrief: nee", "mail nicht".
_MAIL_NO = (
    rf"(?<![\w-])(?:{_MAIL}|{_VERB})(?: ?[:=-] ?| )(?:nee|neen|no|nein|non|niet|nicht)\b"
    # "Newsletter no. 12" is a number.
    rf"(?!\.? ?\d){_ARRIVED}"
    # "Nieuwsbrief: n", "newsletter off".
    rf"|(?<![\w-])(?:{_MAIL})"
    r"(?: ?[:=] ?(?:n|0)| ?[:=-]? ?(?:uit|aus|off|uitgezet|ausgeschaltet))\W*$"
)
# "N'écrivez plus".
_WRITE_NOT = r"\bn[e' ] ?(?:\w+ ){0,2}(?:ecri|contact|envo|sollicit)\w+ (?:plus|pas|jamais|rien)\b"
# "Remove from list", "aus dem Verteiler nehmen".
_REMOVE = (
    r"\b(?:verwijder\w*|remov\w+|delet\w+|losch\w*|geloscht|streichen|gestrichen|supprim\w+|"
    rf"retire\w*|enleve\w*|schrap\w*|geschrapt|haal|halen|off|af van)\b{_A_FEW} {_LIST}"
)
_OFF_LIST = (
    rf"\b{_LIST}(?: \w+){{0,2}} (?:verwijder\w*|af|gehaald|halen|loschen|geloscht|nehmen|"
    r"afgehaald|streichen|gestrichen|geschrapt|schrappen)\b"
)
# Where a remark, or its clause, is over; what follows might be about anything.
_END = r"(?=\W*(?:$|\d)|[.,;!?/|]| (?:aub|svp|please|bitte|graag|nu|now)\b)"
# "Nieuwsbrief gestopt op verzoek", "newsletter not wanted", "gestopt met de nieuwsbrief".
_STOPPED = (
    rf"\b(?:{_MAIL})(?: (?!niet|nooit|nicht|nie|not|never|pas|jamais)\w+){{0,2}} "
    r"(?:gestopt|stopgezet|beeindigd|stopped|cancell?ed|ended|abbestellt|gekundigt|beendet|arretee?s?|annulee?s?|"
    r"ongewenst|unerwunscht|unwanted)\b"
    rf"|\b(?:{_MAIL})(?: \w+)? (?:niet|nicht|not|non|no|pas)(?: (?:langer|meer|mehr|longer))? "
    r"(?:gewenst|gewunscht|erwunscht|wanted|wished|desired|souhaitee?s?|desiree?s?)\b"
    rf"|\b(?:gestopt|stopt|stoppen) met(?: \w+)? (?:{_MAIL})"
    r"|\bstop (?:sending|contacting|writing|e?-?mailing|sturen|mailen)\b"
    rf"|\b(?:refuse[sd]?|weigert|weigerde|verweigert|geweigerd)(?: \w+)? (?:{_MAIL})"
    r"|^(?:no|no more|geen|kein\w{0,2}|pas de|plus de) (?:contact|kontakt)\W*$"
)
_CONSENT = (
    r"(?:consent|permission|toestemming|einwilligung|zustimmung|erlaubnis|consentement|accord)\b"
)
# "Geen toestemming", and not "geen toestemming foto's".
_NO_CONSENT = (
    rf"\b(?:geen|zonder|no|without|kein\w{{0,2}}|ohne|pas de|sans|aucun) {_CONSENT}"
    r"(?: (?:gegeven|given|erteilt|donne|meer|more|mehr|bekend))?"
    rf"(?:{_END}|(?=\W*(?:avg|gdpr|dsgvo|rgpd)\b|(?: \w+){{0,3}}? (?:{_MAIL})))"
    rf"|\b(?:{_CONSENT}|opt[ -]?in) ?[:=]? ?(?:nee|neen|no|nein|non){_END}"
    rf"|\bnot consent(?:ed)?(?:{_END}|(?= to(?: \w+)? (?:{_MAIL})))"
)
_WITHDREW = (
    rf"\b(?:withdr[ae]w\w*|revoke[ds]?|trekt|trok|a retire|retire)(?: \w+)? {_CONSENT}"
    rf"|\b{_CONSENT}(?: (?:is|was|wurde|weer|wieder|a ete|2\d{{3}}))* "
    r"(?:withdrawn|revoked|refused|ingetrokken|geweigerd|widerrufen|zuruckgezogen|verweigert|retiree?|refusee?)\b"
    r"|\bwider(?:ruf|rufen|spruch)(?=\W*$|(?: vom| am| im)? \d)"
)
# "Wil er af", "wants to be taken off", "möchte gelöscht werden".
_WANTS_OFF = (
    r"\b(?:(?:wil|wilde|willen|wenst)(?: \w+){0,2} (?:er ?(?:\w+ )?(?:vanaf|af|uit)|eraf|eruit|"
    r"hier (?:van)?af|van (?:de |die |jullie |onze )?\w*lijst(?: af)?|er niet meer (?:op|in|bij))"
    r"|(?:wants?|wanted|wishes|like[sd]?)(?: to be)?(?: taken)? (?:off|out|removed|deleted)"
    r"(?: (?:of |from )?(?:the |our |your |this )?(?:list|mailings?|newsletter))?"
    r"|(?:will|wollen|mochten?)(?: \w+){0,2} raus"
    rf"|take[ns]? (?:(?:me|us|him|her|them|this) )?off(?: (?:your |the |our )?list)?){_END}"
    r"|\b(?:will|wollen|mochten?)(?: \w+){0,2} "
    r"(?:geloscht|gestrichen|ausgetragen|entfernt) werden\b"
    r"|\b(?:veut|souhaite|voudrait) etre (?:retire|supprime|efface|radie)e?s?\b"
)
_OFF = (
    r"(?:be (?:removed|deleted|taken off)|removal|deletion|erasure|remove (?:me|us|him|her|them)|"
    r"verwijderen|verwijdering|verwijderd te worden|loschung|entfernt|geloscht|gestrichen|"
    r"etre (?:retire|supprime|efface)e?s?|suppression|effacement)\b"
    # Of a tooth, of a hedge.
    r"(?! (?:of|van|von|der|des|de|du) "
    r"(?!(?:\w+ )?(?:address|adres|data|daten|gegevens|donnees|list)))"
)
_PLEASE = r"(?:please|pls|bitte|graag|aub|a\.u\.b\.?|svp|s'il vous plait|merci de)"
_TAKE_OFF = (
    r"(?:remove|delete|unsubscribe|verwijder(?:en)?|schrappen|loschen|entfernen|streichen|supprimer|"
    r"retirer)"
)
_WHOM = r"(?:me|us|him|her|them|this|from|mij|ons|hem|haar|uit|van|mich|uns|aus)"
# "Asked to be removed", "please remove", "op verzoek verwijderd", "AVG verzoek verwijderd".
_ASKED_OFF = (
    r"\b(?:asked|asks|request(?:s|ed)?|vraagt|vroeg|gevraagd|verzoekt|verzocht|verzoek|bat|bittet|"
    rf"gebeten|wunscht|antrag|beantragt|demande)(?: \w+){{0,3}} {_OFF}"
    rf"|\b{_OFF} (?:requested|request|beantragt|gevraagd|verzocht|erbeten|gewunscht|demandee?)\b"
    r"|\bop (?:eigen )?verzoek (?:verwijderd|geschrapt|gestopt|(?:uit|van) (?:de )?\w*lijst)\b"
    r"|\b(?:verwijderd|geschrapt|gestopt|removed|deleted|taken off) (?:op|at|on|upon) "
    r"(?:eigen |own |his |her |their )?(?:own )?(?:verzoek|request)\b"
    r"|\bauf (?:eigenen )?wunsch (?:geloscht|entfernt|gestrichen)\b"
    r"|\b(?:supprime|retire|efface)e? a sa demande\b"
    r"|\b(?:avg|gdpr|dsgvo|rgpd)\b[ :-]*(?:verzoek|request|antrag|anfrage|demande)?[ :-]*"
    r"(?:tot |to |de )?"
    rf"(?:{_OFF}|{_TAKE_OFF}\b|verwijderd\b|removed\b|deleted\b|erased\b|supprimee?\b)"
    r"|\bright to be forgotten\b|\bvergetelheid\b|\bvergessenwerden\b|\bdroit a l'oubli\b"
)
_PLEASE_REMOVE = (
    rf"\b{_PLEASE}(?: (?:me|nous|mij|ons|mich|uns))? {_TAKE_OFF}(?:{_END}|(?= {_WHOM}\b))"
    rf"|\b{_PLEASE} (?:aus|uit|van|off|from)(?: (?:dem|der|de|the))? {_LIST}"
    rf"|\b{_TAKE_OFF} (?:sie )?(?:me|us|mij|ons|mich|uns)\b|^a (?:retirer|supprimer|effacer){_END}"
    rf"|\b{_TAKE_OFF},? {_PLEASE}(?!\w)"
)
_OBJECTS = (
    # "Geen bezwaar tegen mail" is the opposite.
    r"\b(?<!geen )(?<!kein )(?<!no )(?<!niet )(?<!nicht )"
    r"(?:maakt bezwaar|bezwaar (?:gemaakt|tegen)|widersprochen|werbewiderspruch|werbesperre|"
    r"mailsperre|objected to|verwijderverzoek|loschantrag|niet storen|toestemming ingetrokken|"
    r"consent withdrawn|einwilligung widerrufen|consentement retire)\b"
)
_NO_THANKS = (
    r"\b(?:nee,? (?:dank\w*|bedankt)|no,? thank(?:s| you)|nein,? danke|non,? merci)\b"
    r"|^stop\W*$"
)
_WHO = r"(?:(?:is|zijn|ist|has|est|a|dhr|hr|heer|mw|mevr|mevrouw|mr|mrs|ms|herr|frau|m|mme)\.? )"
_DEAD = r"(?:overleden|deceased|verstorben|gestorben|gestorven|decedee?|died|passed away)"
_DIED = rf"^{_WHO}{{0,3}}(?:{_DEAD}|r\.?i\.?p\.?(?!\w)|†)"
# "Overleden = nee", as a form or another program writes that somebody lives.
_LIVES = re.compile(
    rf"\b{_DEAD} ?(?:[:=?-]? ?(?:nee|neen|no|nein|non)|[:=] ?(?:n|0|false|falsch|faux|onwaar))"
    r"(?=\W*$| ?[.,;/|\n](?! ?\d))"
)
# "Overleden?", and "overleden moeder" of somebody's mother.
_DIED_IN_DOUBT = (
    rf"\b{_DEAD} ?(?:[:=-] ?)?(?:\?|(?:onbekend|unknown|unbekannt|inconnue?|misschien|maybe|"
    r"vielleicht|peut-etre|moeder|vader|man|vrouw|partner|echtgeno\w+|zoon|dochter|mother|father|"
    r"husband|wife|spouse|son|daughter|mutter|vater|mann|ehe\w+|gatt\w+|sohn|tochter|mere|pere|"
    r"mari|epou\w+|fils|fille)\b)"
)
_DAY = r"(?:\d{1,2}[-./ ]\d{1,2}[-./ ])?(?:19|20)\d\d"
# "D. 2021", "+ 3-5-2021", "b. 1940 d. 2021": signs of a death in the books of families, and also
# an initial, a house number or a date.
_DEATH_SIGN = re.compile(
    rf"^{_WHO}{{0,3}}(?:(?:(?:b|geb|born|nee?)\b\.?|\*)? ?{_DAY}[ ,;/-]*)?"
    rf"(?:d(?:\. ?| )|\+ ?){_DAY}\W*$"
    # "Verst. Kunde" is dead, "verst. d. Sache" understands.
    r"|\b(?:verst|gest)\.(?! ?(?:d|der|die|das|den|dem|ein\w*|kein\w*|nicht|nichts|alles|gut|"
    r"schlecht|nur|uns|was|dass)\b)"
)
# One after the other, they are found twice as fast as all at once.
_CLEAR = tuple(
    re.compile(pattern).search
    for pattern in (
        *(_LEFT, _NO_MAIL, _WANTS_NONE, _NOT_WANTED, _DO_NOT, _SEND_NOTHING, _MAIL_NO),
        *(_WRITE_NOT, _REMOVE, _OFF_LIST, _OBJECTS, _NO_THANKS, _DIED, _STOPPED),
        *(_NO_CONSENT, _WITHDREW, _WANTS_OFF, _ASKED_OFF, _PLEASE_REMOVE),
    )
)
# "Niet afgemeld", and what is also said of a prescription, an invoice or a payment.
_LEFT_IN_DOUBT = re.compile(
    rf"\b(?:niet|nooit|nicht|nie|not|never|pas|jamais|nog)\b{_A_FEW} "
    rf"(?:{_LEFT}|{_ASKED_OFF}|{_WITHDREW})"
    rf"|\b(?:geen|kein\w{{0,2}}|no) (?:{_ASKED_OFF}|{_WITHDREW})"
    rf"|\b(?:recept|factuur|rekening|offerte|vacature)\w*{_A_FEW} uitgeschreven"
    rf"|{_DIED_IN_DOUBT}"
    # "Geen post, wel mail", "geen papieren post".
    r"|\b(?:geen|kein\w{0,2}|no|not|niet|nicht|pas de|plus de)(?: \w+){0,3}? (?:post|courrier)s?"
    r"(?:\W+(?:wel|maar|graag|alleen|enkel|liever|nur|aber|sondern|gerne?|only|but|just|mais|"
    r"seulement|uniquement))*(?:\W+\w+){0,2}?\W+(?:e-?mail|mail|digitaal|online|nieuwsbrief|"
    r"newsletter|courriel)\b(?! (?:nee|neen|no|nein|non|niet|nicht)\b)"
)
# A No and a mail in one clause, or a word that makes one think.
_OF_MAIL = re.compile(
    rf"mail|nieuwsbrief|newsletter|courrie[lr]|\b(?:post|nieuws|brie(?:f|ven)|abon\w+|nb|{_MAIL})\b|"
    rf"\b(?:contact|kontakt|{_VERB})"
)
_NEAR = re.compile(
    rf"\b(?:{_DEAD}|overlijden|deces|heengegaan|ontslapen|entschlafen|heimgegangen|"
    r"wijlen|erven|bezwaar|widerspr\w+|object(?:s|ed|ion)|"
    r"geweigerd|weigert|refused?|refuses|abgelehnt|verweigert|ingetrokken|withdrawn|widerrufen|"
    r"niet meer|nicht mehr|no longer|bounced?|onbestelbaar|unzustellbar|verwijder\w*|removed?|"
    r"geblokkeerd|blocked|gesperrt|bloquee?|geen interesse|not interested|kein interesse|"
    r"pas interessee?|stop(?:t|pen|s|ped|ping)?|(?:komt|kwam) terug|ongeldig|invalid|ungultig|"
    r"avg|dsgvo|gdpr|rgpd|spam|widerruf|please remove|loschung|"
    # Who has left, or was struck off; and a bare "refus".
    r"geschrapt|schrappen|blacklist|gekundigt|kundigung|ausgetreten|austritt|resilie\w*|"
    r"resiliation|radiee?s?|npai|opposition|(?:mag|moet|kan) (?:er ?)?uit|uit (?:de )?mailing\w*|"
    r"(?:lidmaatschap|abonnement|inschrijving) (?:is )?beeindigd|wil ni|"
    r"adres niet gebruiken|niet (?:ver|op)sturen|do not (?:use|send)|nicht verwenden|"
    r"ne pas utiliser|dnd|"
    r"(?:alleen|enkel|uitsluitend|only|nur|uniquement|seulement)(?: \w+)? "
    r"(?:bellen|telefon\w*|telefoon|tel|phone|call|by phone|per tel\w*|anrufen|par tel\w*)|"
    r"(?:contact|kontakt) (?:alleen|only|nur|uniquement)|"
    r"(?:phone|call|telefoon|tel) only|"
    r"niet op (?:de |onze )?(?:\w*lijst|list)|not on (?:the )?list|nicht auf (?:die |der )?liste|"
    r"verwijdering|removal|deletion|gestopt|stopgezet|stopzetten|cleaned|geen belangstelling|"
    r"liever niet|lieber nicht|rather not|ne (?:souhaite|veut) plus)\b"
    r"|\b(?:geen|zonder|no|without|kein\w{0,2}|ohne|pas de|sans|not|niet|nicht|pas) (?:withdraw )?"
    rf"{_CONSENT}(?!(?: \w+)?.{{0,2}} (?:foto|photo|bild|film|video))"
    rf"|\b{_CONSENT} (?:niet|not|nicht|pas)\b"
    r"|^(?:nee|neen|no|nein|non|refus)\W*$"
    # "Tot" is German for dead; "tot 2021" is Dutch for until then.
    rf"|^{_WHO}{{0,3}}(?:dood|dead|morte?|tot)\b(?=\W*$| (?:en|in|seit|sinds|since|depuis|im) )"
    r"|\b(?:is (?:dood|dead)|est morte?|ist tot)\b(?! (?:moe|op)\b)"
    r"|^late (?:mr|mrs|ms|dr)\b|^feue? (?:m|mme|monsieur|madame)\b"
    # "Wil niet": what it is that they do not want stands nowhere.
    r"|†"
    rf"|^{_WANTS} (?:niet|nicht|not|pas)\W*$|^ne (?:veut|souhaite) pas\W*$"
    r"|\b(?:nooit|nie|never|jamais) (?:meer|wieder|more|again|plus)\b"
)
_JOINED = re.compile(r"_+|(?<=\w)-(?=\w)")
_CLAUSE = re.compile(r"[.,;!?/|\n]+")
has_a_no = re.compile(_NOT).search


def plain(text: str) -> str:
    """Return text for comparing: small letters without accents, one space between words."""
    signs = normalize("NFKD", text.casefold().replace("’", "'"))
    bare = "".join(sign for sign in signs if not unicodedata.combining(sign))
    # Don't, doesn't and won't: what counts is the "not".
    return " ".join(re.sub(r"n't\b|(?<=\bdo)nt\b|(?<=\bdoes)nt\b", " not", bare).split())


@lru_cache(maxsize=1024)
def refusal_in(remark: str) -> str:
    """Return what a remark says against mailing: REFUSED, DOUBTFUL or ""."""
    text = _LIVES.sub("", respell(plain(remark)))
    # Tags are often one word: "do_not_mail", "no-mail".
    apart = _JOINED.sub(" ", text)
    said = _said_in(text)
    return said if said == REFUSED or apart == text else _said_in(respell(apart)) or said


def _said_in(text: str) -> str:
    if _is_clear(text):
        rest = _LEFT_IN_DOUBT.sub("", text)
        return REFUSED if rest == text or _is_clear(rest) else DOUBTFUL
    is_near = _DEATH_SIGN.search(text) or any(map(_is_near, _CLAUSE.split(text)))
    return DOUBTFUL if is_near else ""


def _is_clear(text: str) -> bool:
    return any(search(text) for search in _CLEAR)


def _is_near(clause: str) -> bool:
    return bool(_NEAR.search(clause.strip()) or (has_a_no(clause) and _OF_MAIL.search(clause)))
