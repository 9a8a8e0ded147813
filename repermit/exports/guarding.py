"""Text that a spreadsheet must not take for a formula.

Imports nothing of repermit. Rules: OWASP, "CSV Injection"; OWASP ASVS 5.0, 1.2.10.
"""

from __future__ import annotations

import re

# The last four are the full-width forms, which spreadsheets in Japanese and Chinese take alike.
_SIGNS = r"=+\-@＝＋－＠"  # noqa: RUF001  these look like the ASCII ones, which is the point

_BLANK = r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]"
_STARTS_LIKE_FORMULA = re.compile(rf"[\t\r\n\x00]|{_BLANK}*[{_SIGNS}]")

# Excel divides a file by its own country's separator, whatever the file's is: in the Netherlands
# "Jan;=1+1" becomes two cells, though it is quoted and the file is divided by commas.
_AFTER_SEPARATOR = re.compile(rf'([,;\t\r\n](?:{_BLANK}|")*)(?=[{_SIGNS}])')

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_IN_JSON_STRING = re.compile(rf'(^"|[,;]\s*)([{_SIGNS}])')


def guard(text: str) -> str:
    """Return text with an apostrophe before whatever a spreadsheet could take for a formula.

    Text that is safe already comes back as it is.
    """
    text = _AFTER_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if _STARTS_LIKE_FORMULA.match(text) else text


def guard_json(text: str) -> str:
    """Return JSON that says the same, with such signs written as escapes.

    An apostrophe would change what was said, and its digest with it.
    """
    return _JSON_STRING.sub(_escaped, text)


def _escaped(string: re.Match[str]) -> str:
    return _IN_JSON_STRING.sub(lambda found: f"{found[1]}\\u{ord(found[2]):04x}", string[0])
