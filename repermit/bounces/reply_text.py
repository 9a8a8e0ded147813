"""Reading the text of a reply above the quotation, and detecting a plain Yes or No.

The words are data: `yes_no_replies.toml` and `reply_phrases.toml`, in `repermit/data`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from email.message import Message
from itertools import pairwise

from repermit import package_files
from repermit.bounces.message_parts import read_header, read_texts
from repermit.expressions import Expressions
from repermit.imports.remark_phrases import REFUSED, find_refusal, normalize_remark
from repermit.unicode_limits import normalize

# --- A plain Yes or No in every official language of the Union, judged by who writes it. ----------


_WORDS = package_files.load_data("yes_no_replies.toml")
_PHRASES = Expressions("reply_phrases.toml", "answers", "courtesies", "requests", "rest")

ANSWER_WORDS = {
    language: {
        **dict.fromkeys(words["yes"].split(), "yes"),
        **dict.fromkeys(words["no"].split(), "no"),
    }
    for language, words in _WORDS.items()
}
"""The answer that each word gives, by language."""

_COURTESIES = {language: frozenset(words["courtesy"].split()) for language, words in _WORDS.items()}


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
    is_doubtful = any(code in languages for code in _PHRASES.data["ambiguous"].get(line, ()))
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
_MIN_BROKEN_LENGTH = 50
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


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
    if _is("yes", first_line):
        return "yes"
    return "no" if _is("no", first_line) else ""


def asks_to_stop(message: Message) -> bool:
    """Return whether any of a person's own lines asks to get no more mail."""
    text = _read_text(message)
    lines = list_own_lines(text)[:_MAX_LINES]
    # Mail programs break long lines, in the middle of a request too.
    broken = (f"{line} {rest}" for line, rest in pairwise(lines) if _is_broken(line))
    if any(_is_request(piece) for line in (*lines, *broken) for piece in _split_line(line)):
        return True
    first_lines = [_normalize_line(line[:_MAX_LINE_LENGTH]) for line in lines[:2]]
    if first_lines and _is_salutation(first_lines[0]):
        del first_lines[0]
    if not first_lines:
        return False
    is_no = _is("no", first_lines[0]) and bool(_OUR_LINKS.search(text))
    return is_no or _is("refusal", normalize_remark(first_lines[0]))


def _is_broken(line: str) -> bool:
    return len(line) >= _MIN_BROKEN_LENGTH and not line.endswith((".", "!", "?"))


def _split_line(line: str) -> list[str]:
    """Return a line, or the sentences of a line that is too long, each cut off if need be."""
    pieces = [line] if len(line) <= _MAX_LINE_LENGTH else _SENTENCE_END.split(line)[:_MAX_LINES]
    return [piece[:_MAX_LINE_LENGTH] for piece in pieces]


def _is_request(piece: str) -> bool:
    text = _PHRASES.compile("harmless").sub("", normalize_remark(piece))
    return find_refusal(text) == REFUSED or bool(_PHRASES.compile("request").search(text))


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
    for line in _OUR_LINKS.split(text, maxsplit=1)[0].split("\n"):
        stripped = line.strip()
        if _PHRASES.compile("end", re.IGNORECASE).match(stripped) or line.rstrip() == "--":
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


def _is(phrase: str, line: str) -> bool:
    return bool(_PHRASES.compile(phrase).fullmatch(line))


def _may_change(line: str) -> bool:
    """Return whether a line may turn the answer above it into another one."""
    return bool(_PHRASES.compile("changes").search(line))


def _is_salutation(line: str) -> bool:
    return _is("salutation", line) and not _may_change(line)


def _adds_nothing(line: str, names: Collection[str]) -> bool:
    """Return whether a line below the answer is only a name, a greeting or a signature.

    `names`: the words of the sender's name and address, in lower case.
    """
    folded = _normalize_line(line)
    if _is("courtesy", folded):
        return True
    words = line.split()
    return (
        len(words) <= _MAX_NAME_WORDS
        and not _may_change(folded)
        and all(_is_of_a_name(word, names) for word in words)
    )


def _is_of_a_name(word: str, names: Collection[str]) -> bool:
    """Return whether a word can be part of a signature: a name, a number or any kind of address."""
    bare = word.strip(".,:;!|&()/'\"-–—")
    if (
        not bare
        or _normalize_line(bare) in _NAME_WORDS
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
# Our mail below a reply, from its link for Yes, where no mail program has marked it.
_OUR_LINKS = re.compile(
    r"^(?:[^\S\n]*|[^<\n]{0,200}<)https?://\S{1,500}?/yes/\S{1,500}\s{1,9}.{1,200}\s{1,9}<?https?://\S{1,500}?/no/",
    re.MULTILINE,
)
_ON_THE_NET = re.compile(r"https?://|www\.|[^@\s]+@[^@\s]+$", re.IGNORECASE)
_NAME_WORDS = frozenset(_PHRASES.data["name_words"]["words"].split())
