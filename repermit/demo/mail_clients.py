"""How the main mail programs show a mail: their width, what they do in the dark, without images.

An approximation by rewriting the mail; what each program keeps of it is as caniemail.com has it
(features `@media (prefers-color-scheme)`, `<style>`, `max-width`, `border-radius`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Dark(StrEnum):
    """What becomes of a mail in the dark."""

    ITS_OWN = "its own dark colours"
    INVERTED = "its colours turned round by the program"
    UNCHANGED = "as by day: this program leaves mails alone"


@dataclass(frozen=True)
class Client:
    """A mail program: `width` of its column in pixels; `is_word` if Word draws the mail."""

    key: str
    name: str
    width: int
    dark: Dark
    is_word: bool = False


CLIENTS = (
    Client("apple-phone", "Apple Mail, phone", 375, Dark.ITS_OWN),
    Client("gmail-phone", "Gmail, phone", 360, Dark.INVERTED),
    Client("apple", "Apple Mail, desk", 720, Dark.ITS_OWN),
    Client("gmail", "Gmail, browser", 680, Dark.UNCHANGED),
    Client("outlook", "Outlook, Windows", 640, Dark.INVERTED, is_word=True),
)


def find_client(key: str) -> Client:
    """Return the program of this key, or the first."""
    return next((client for client in CLIENTS if client.key == key), CLIENTS[0])


def as_shown(html: str, client: Client, *, dark: bool, images: bool) -> str:
    """Return the HTML of a mail as this program would have it drawn."""
    if client.is_word:
        html = _as_word_reads(html)
    is_own = dark and client.dark is Dark.ITS_OWN
    html = _ASKS_FOR_DARK.sub("@media all" if is_own else "@media not all", html)
    html = _SCHEME.sub(rf"\1{'dark' if is_own else 'light'}", html)
    if not images:
        html = _IMAGE.sub(_in_its_place, html)
    if dark and client.dark is Dark.INVERTED:
        html = html.replace("</head>", f"<style>{_TURNED_ROUND}</style></head>", 1)
    return html


_ASKS_FOR_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)", re.IGNORECASE)
_SCHEME = re.compile(r"""(color-schemes?(?:\s*:\s*|" content="))light dark""")
_TURNED_ROUND = "html { filter: invert(1) hue-rotate(180deg); background: #ffffff; }"
_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_ALT = re.compile(r"""\balt=(["'])(.*?)\1""", re.IGNORECASE | re.DOTALL)


def count_images(html: str) -> int:
    """Return how many images the HTML of a mail has."""
    return len(_IMAGE.findall(html))


def _in_its_place(image: re.Match[str]) -> str:
    """Return what stands where an image is not shown: its words."""
    alt = _ALT.search(image[0])
    return f"<span>{alt[2]}</span>" if alt else ""


def _as_word_reads(html: str) -> str:
    """Return what Word makes of it: its own conditional parts, and few properties of style."""
    html = _NOT_FOR_WORD.sub("", html)
    html = _FOR_WORD.sub(r"\1", html)
    html = _MEDIA.sub("", html)
    return _UNKNOWN_TO_WORD.sub("", html)


# <!--[if mso]> … <![endif]--> is a comment to all but Word; <!--[if !mso]><!--> … <!--<![endif]-->
# is one to Word alone.
_NOT_FOR_WORD = re.compile(r"<!--\[if !mso\]><!-->.*?<!--<!\[endif\]-->", re.DOTALL)
_FOR_WORD = re.compile(r"<!--\[if (?:gte )?mso[^\]]*\]>(.*?)<!\[endif\]-->", re.DOTALL)
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_UNKNOWN_TO_WORD = re.compile(
    r"(?<![\w-])(?:max-width|border-radius|box-shadow|overflow)\s*:[^;\"'}]*;?"
)
