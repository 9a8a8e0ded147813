"""Reading the text of a reply above the quotation, and detecting a plain Yes or No."""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from email.message import Message

from repermit import package_files
from repermit.bounces.message_parts import read_header, read_texts
from repermit.imports.remark_phrases import REFUSED, find_refusal
from repermit.unicode_limits import normalize

# --- A plain Yes or No in every official language of the Union, judged by who writes it. ----------


_WORDS = package_files.load_data("yes_no_replies.toml")

ANSWER_WORDS = {
    language: {
        **dict.fromkeys(words["yes"].split(), "yes"),
        **dict.fromkeys(words["no"].split(), "no"),
    }
    for language, words in _WORDS.items()
}
"""The answer that each word gives, by language."""

_COURTESIES = {language: frozenset(words["courtesy"].split()) for language, words in _WORDS.items()}

# "No" begins an agreement in Polish, Czech and Slovak, and is "but" in Bulgarian and the languages
# of its neighbours; "ja" is "I" and "and".
_AMBIGUOUS_WORDS = {
    "no": frozenset({"bg", "cs", "hr", "pl", "sk", "sl"}),
    "ja": frozenset({"et", "hr", "pl", "sk"}),
}


def interpret_line(line: str, languages: Collection[str], *, default: str) -> str:
    """Return "yes" or "no" if a line is a plain answer in one of these languages, else "".

    - `default`: the answer when the languages do not decide; dropped if the line means something
      else in one of them.
    - "" if two of the languages give opposite answers.
    """
    words = line.split()
    answers = {answer for language in languages if (answer := _find_answer(words, language))}
    if len(answers) == 1:
        return answers.pop()
    is_doubtful = bool(_AMBIGUOUS_WORDS.get(line, frozenset()).intersection(languages))
    return "" if answers or is_doubtful else default


def _find_answer(words: list[str], language: str) -> str:
    if not words or not _COURTESIES.get(language, frozenset()).issuperset(words[1:]):
        return ""
    return ANSWER_WORDS.get(language, {}).get(words[0], "")


# --- The text above the quotation, and whether it is a plain Yes or No. ---------------------------


# Characters of a plain text, and of HTML, most of which is markup.
_MAX_TEXT_LENGTH = 50_000
_MAX_HTML_LENGTH = 500_000
_MAX_TAG_LENGTH = 500
_MAX_NAME_WORDS = 6
# How many of a person's own lines are read; a signature or a long story follows below.
_MAX_LINES = 10
_MAX_LINE_LENGTH = 300


def detect_plain_answer(message: Message) -> str:
    """Return "yes" or "no" if a reply is a plain answer in Dutch, English, German or French, or "".

    The first own line decides. Only a name, a greeting or a signature may follow: "Ja, maar…" is
    no plain answer. If the writer's language is known, use `interpret_line` as well.
    """
    lines = list_own_lines(_read_text(message))
    if lines and _is_salutation(_normalize_line(lines[0])):
        del lines[0]
    if not lines:
        return ""
    first_line = _normalize_line(lines[0])
    names = set(_normalize_line(read_header(message, "From")).split())
    if not all(_adds_nothing(line, names) for line in lines[1:]):
        return ""
    if _YES.fullmatch(first_line):
        return "yes"
    return "no" if _NO.fullmatch(first_line) else ""


def asks_to_stop(message: Message) -> bool:
    """Return whether any of a person's own lines asks to get no more mail."""
    return any(
        find_refusal(line[:_MAX_LINE_LENGTH]) == REFUSED
        for line in list_own_lines(_read_text(message))[:_MAX_LINES]
    )


def read_first_line(message: Message) -> str:
    """Return the first own line below the salutation, cut off if it is too long."""
    lines = list_own_lines(normalize("NFC", _read_text(message)))
    if len(lines) > 1 and _is_salutation(_normalize_line(lines[0])):
        del lines[0]
    return lines[0][:_MAX_LINE_LENGTH] if lines else ""


def read_only_line(message: Message) -> str:
    """Return a message's text if it is one line, in lower case and without punctuation; else "".

    The writer's name and a quotation, introduced in any language, may follow.
    """
    names = set(_normalize_line(read_header(message, "From")).split())
    lines = _above_quotation(normalize("NFC", _read_text(message)))
    own_line = lines[0] if lines else ""
    is_alone = all(_is_the_writer(line, names) for line in lines[1:])
    return _normalize_line(own_line) if is_alone and len(own_line) <= _MAX_ANSWER_LENGTH else ""


def _above_quotation(text: str) -> list[str]:
    """Return the own lines without the introduction of a quotation, which has a date or address."""
    head = re.split(r"^[^\S\n]*>", text, maxsplit=1, flags=re.MULTILINE)[0]
    lines = list_own_lines(head)
    if head == text or not lines or not lines[-1].endswith(":"):
        return lines
    for index in (len(lines) - 1, len(lines) - 2):
        if index > 0 and _INTRODUCES.search(lines[index]):
            return lines[:index]
    return lines


def _is_the_writer(line: str, names: Collection[str]) -> bool:
    """Return whether a line holds only words of the writer's name and address, and numbers."""
    return all(
        set(_normalize_line(word).split()) <= set(names) or _NUMBER.fullmatch(word.strip(".,:;"))
        for word in line.split()
    )


def list_own_lines(text: str) -> list[str]:
    """Return the non-empty lines above the quotation and the closing greeting."""
    lines = []
    for line in text.split("\n"):
        stripped = line.strip()
        if _END.match(stripped) or line.rstrip() == "--":
            break
        if stripped:
            lines.append(stripped)
    return lines


def _read_text(message: Message) -> str:
    plain_text = next((text for text in read_texts(message) if text.strip()), "")
    if plain_text:
        return plain_text[:_MAX_TEXT_LENGTH]
    source = next(iter(read_texts(message, "html")), "")
    return html_to_text(source[:_MAX_HTML_LENGTH])[:_MAX_TEXT_LENGTH]


def html_to_text(source: str) -> str:
    """Return the text of an HTML page above its first quotation, with a line for each block.

    One pass from left to right, so that its time is linear for any input.
    """
    pieces: list[str] = []
    position = 0
    while (start := source.find("<", position)) >= 0:
        pieces.append(" ".join(source[position:start].split()))
        tag = source[start + 1 : start + _MAX_TAG_LENGTH].partition(">")[0].lower()
        if _QUOTES.match(tag):
            return _unescape(pieces)
        unseen = _UNSEEN.match(tag)
        end_mark = _CLOSES[unseen[0]] if unseen else ">"
        end = source.find(end_mark, start)
        pieces.append("\n" if _BREAKS.match(tag) else " ")
        # An unclosed element hides the rest, as in a browser.
        position = end + len(end_mark) if end >= 0 else len(source)
    return _unescape([*pieces, source[position:]])


def _unescape(pieces: list[str]) -> str:
    return html.unescape("".join(pieces)).replace("\xa0", " ")


_BREAKS = re.compile(r"/?(br|p|div|tr|li|h\d)\b")
_UNSEEN = re.compile(r"style|script|title|!--")
_CLOSES = {"style": "</style>", "script": "</script>", "title": "</title>", "!--": "-->"}
_QUOTES = re.compile(
    r"(blockquote|hr)\b|div\b.*(gmail_quote|yahoo_quoted|appendonsend|divrplyfwdmsg|moz-cite)",
    re.DOTALL,
)


def _normalize_line(line: str) -> str:
    """Return a line in lower case, without punctuation, with one space between its words."""
    return " ".join(re.sub(r"[^\w]+|_", " ", line.lower()).split())


def _is_salutation(line: str) -> bool:
    return bool(_SALUTATION.fullmatch(line)) and not _CHANGES.search(line)


def _adds_nothing(line: str, names: Collection[str]) -> bool:
    """Return whether a line below the answer is only a name, a greeting or a signature.

    `names`: the words of the sender's name and address, in lower case.
    """
    folded = _normalize_line(line)
    if _CHANGES.search(folded):
        return False
    words = line.split()
    is_short = len(words) <= _MAX_NAME_WORDS
    return bool(_COURTESY.fullmatch(folded)) or (
        is_short and all(_is_of_a_name(word, names) for word in words)
    )


def _is_of_a_name(word: str, names: Collection[str]) -> bool:
    """Return whether a word can be part of a signature: a name, a number or any kind of address."""
    bare = word.strip(".,:;!|&()/'\"-–—")
    if (
        not bare
        or _normalize_line(bare) in _OF_NAMES
        or set(_normalize_line(bare).split()) <= set(names)
    ):
        return True
    if _NUMBER.fullmatch(bare) or _ON_THE_NET.match(bare):
        return True
    # Some people write everything in capitals; initials are short.
    return bare[0].isupper() and (len(bare) <= _MAX_INITIALS_LENGTH or not bare.isupper())


_MAX_INITIALS_LENGTH = 4
_MAX_ANSWER_LENGTH = 40
_INTRODUCES = re.compile(r"\d|@")
# Whether there is a digit is seen first: tried in every place, it would take their number squared.
_NUMBER = re.compile(r"(?=[()+./-]*\d)[\d()+./-]+[a-zA-Z]{0,2}")
_ON_THE_NET = re.compile(r"https?://|www\.|[^@\s]+@[^@\s]+$", re.IGNORECASE)
_OF_NAMES = frozenset(
    "van de der den ten ter te en und and et von vom zu du le la les del della di da dos el bin "
    "ibn op in aan dr ir drs ing mr mrs ms mw mevr mevrouw dhr heer fam familie herr frau madame "
    "monsieur gr grt grtz vg lg liefs tel telefoon telefon tél mob mobiel mobil phone fax t m e "
    "email bv".split()
)

# What may turn an answer into another one, be it alone on its line and with a capital.
_CHANGES = re.compile(
    r"\b(ja|nee|neen|niet|geen|maar|wel|toch|yes|no|not|but|except|however|doch|nein|nicht|kein\w*|"
    r"aber|oui|non|pas|mais|stop\w*|als|tenzij|if|unless|wenn|falls|si|alleen|only|nur|seulement|"
    r"nooit|never|nie|niemals|jamais|again|eraf|weg|uit|mij|me|mich|moi|"
    r"afmeld\w*|afgemeld|uitschrijv\w*|uitgeschreven|verwijder\w*|schrap\w*|opzeg\w*|"
    r"unsubscri\w*|remov\w*|delet\w*|cancel\w*|opt|"
    r"abmeld\w*|abbestell\w*|lösch\w*|entfern\w*|streich\w*|austrag\w*|"
    r"désabon\w*|désinscri\w*|supprim\w*|retir\w*|enlev\w*|spam|avg|gdpr|dsgvo|rgpd)\b"
)

_SALUTATION = re.compile(
    r"(beste|geachte|hallo|hoi|hi|hello|dear|dag|goede\w*|good|guten|liebe[rs]?|sehr geehrte\w*|"
    r"bonjour|bonsoir|madame|monsieur|lieve)( [^\s]+){0,6}"
)

_THANKS = (
    r"(hoor|graag|gerne?|prima|akkoord|bitte|danke|danke schön|vielen dank|please|thanks|thank you|"
    r"dank u( wel)?|dank je( wel)?|dankuwel|dankjewel|bedankt|merci|merci beaucoup|volontiers|svp|"
    r"s il vous plaît|alstublieft|aub|avec plaisir)"
)
_COURTESY = re.compile(
    rf"((alvast|heel|hartelijk|many) )?{_THANKS}( (alvast|in advance|im voraus|d avance))?|"
    r"(nog )?(een )?(fijne|prettige|goede|mooie) (dag|avond|middag|week|weekend|zondag)( nog)?|"
    r"have a (nice|good) (day|evening|weekend)|schönen (tag|abend)( noch)?|"
    r"bonne (journée|soirée)|tot ziens|doei|bye|tschüss"
)
_YES = re.compile(rf"(ja|jazeker|jawel|yes|oui|graag|gerne|volontiers)( {_THANKS}){{0,3}}")
_NO = re.compile(
    rf"(nee|neen|no|nein|non|liever niet|lieber nicht)( {_THANKS}){{0,3}}|"
    rf"({_THANKS} )?(stop|afmelden|uitschrijven|unsubscribe|abmelden|abbestellen|"
    rf"(se |me )?désabonner|désinscription|désabonnement|unsubscribe me|remove me)"
    rf"( {_THANKS}){{0,2}}"
)

_END = re.compile(
    r"(>|_{5,}|-{3,}|={5,}|\*{5,}|"
    # The line above a quotation, in one piece or before its line break.
    r"(op|on|am|le) .{6,200}(schreef|wrote|schrieb|a écrit|:$)|"
    r"(op|on|am|le) (\w{2,3}\.? )?\d{1,2}\b.{0,200}$|"
    r"(van|from|von|de|verzonden|sent|gesendet|envoyé)\s?: |"
    # Lines that telephones and mail programs add, and closing greetings: no answer is below them.
    r"(sent|verstuurd|verzonden|gesendet|envoyé|von mein\w*|get outlook|télécharge\w*|download\w*|"
    r"outlook (voor|für|for|pour)) |"
    r"(met (vriendelijke|hartelijke) groet|vriendelijke groet|hartelijke groet|groet(en|jes)?\b|"
    r"mvg\b|kind regards|best regards|regards\b|best wishes|yours |sincerely|mit freundlichen|"
    r"freundliche grüße|viele grüße|liebe grüße|mfg\b|cordialement|bien à vous|salutations))",
    re.IGNORECASE,
)
