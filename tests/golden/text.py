"""Outputs as text that is the same in every run."""

from __future__ import annotations

import difflib
import hashlib
import io
import re
import shlex
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.golden.system import Ran
from tests.support.inbox import Received

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

# Headers that nearly every page has alike; they are kept once.
_USUAL_HEADERS = {
    *("Cache-Control", "Content-Security-Policy", "Cross-Origin-Opener-Policy"),
    *("Cross-Origin-Resource-Policy", "Permissions-Policy", "Referrer-Policy"),
    *("Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "X-Robots-Tag"),
}
_STYLE = re.compile(r"(?<=<style>).+?(?=</style>)", re.DOTALL)
_TOKEN = re.compile(
    r"""(?<![A-Za-z0-9-])(?:
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}  # UUID
    | (?:[0-9a-f]|=\n){32,} | (?:[0-9A-F]|=\n){32,}                 # hex, as of ids and digests
    | [A-Z2-7]{32}                                                  # base32, for the app
    | [A-Za-z0-9+/]{43}=                                            # base64, as of signatures
    | (?=SIGN*[0-9])(?=SIGN*[a-z])(?=SIGN*[A-Z])SIGN{22,}           # base64url
    )(?![A-Za-z0-9-])""".replace("SIGN", r"(?:[A-Za-z0-9_-]|=\n)"),
    re.VERBOSE,
)
"""A random or derived token, also where quoted-printable breaks its line."""


class Book:
    """The files of one run, by their path within the master."""

    def __init__(self, folder: str) -> None:
        self.files: dict[str, str] = {}
        self._folder = folder
        self._shared: dict[str, str] = {}
        self._digests: dict[str, str] = {}

    def keep(self, path: str, content: str | bytes, *, like: str = "") -> None:
        """Keep an output under a path that is not taken yet.

        `like` is the path of one that is nearly the same; then only the difference is kept.
        """
        assert path not in self.files, path
        text = content if isinstance(content, str) else render_bytes(content)
        # The folder of the run is another one each time.
        text = text.replace(self._folder, "<folder>")
        self._digests[path] = hashlib.sha256(text.encode()).hexdigest()[:16]
        text = _STYLE.sub(lambda style: f"({self._share('style', style[0])})", text)
        text = _canonicalise(text)
        if like:
            before, after = self.files[like].splitlines(), text.splitlines()
            _, _, *lines = difflib.unified_diff(before, after, n=0, lineterm="")
            text = "\n".join((f"(as {like}, but for this:)", *lines, ""))
        self.files[path] = text

    def keep_page(self, path: str, response: TestResponse, notes: Sequence[str]) -> None:
        """Keep what a page answered: status, headers, body; and what the next one says first."""
        if "Allow" in response.headers:
            # Werkzeug takes the methods from a set.
            response.headers["Allow"] = ", ".join(sorted(response.headers["Allow"].split(", ")))
        usual = [f"{k}: {v}\n" for k, v in response.headers if k in _USUAL_HEADERS]
        # The length follows from the body.
        own = [
            f"{name}: {value}\n"
            for name, value in response.headers
            if name not in {*_USUAL_HEADERS, "Content-Length"}
        ]
        asked = response.request
        head = f"{asked.method} {asked.full_path.rstrip('?')}\n{response.status}\n"
        shared = f"(headers: {self._share('headers', ''.join(usual))})\n"
        body = render_bytes(response.data)
        self.keep(
            path, "".join((head, *own, shared, "\n", body, *(f"\n{note}\n" for note in notes)))
        )

    def _share(self, kind: str, text: str) -> str:
        """Keep what repeats once, and return where."""
        if text not in self._shared:
            number = 1 + sum(path.startswith(f"shared/{kind}-") for path in self._shared.values())
            self._shared[text] = f"shared/{kind}-{number}.txt"
            self.keep(self._shared[text], text)
        return self._shared[text]

    def keep_digests(self) -> None:
        """Keep a digest of each file with its tokens as they are.

        Not of pages: their cookie is compressed, which is done otherwise elsewhere.
        """
        paths = [path for path in self._digests if not path.startswith("pages/")]
        self.keep("digests.txt", "".join(f"{self._digests[path]}  {path}\n" for path in paths))


def _canonicalise(text: str) -> str:
    """Replace tokens, numbered by their first appearance, and pictures of them.

    So a text stays as it is when the order changes in which random numbers are drawn.
    """
    numbers: dict[str, int] = {}

    def name_token(found: re.Match[str]) -> str:
        token = found[0].replace("=\n", "")
        return f"<token-{numbers.setdefault(token, len(numbers) + 1)}>"

    return _TOKEN.sub(name_token, re.sub(r"data:image/svg\+xml[^\"]*", "<picture>", text))


def render_bytes(data: bytes) -> str:
    """Return bytes as text: the members of a ZIP or workbook, or the text itself."""
    if data.startswith(b"PK\x03\x04"):
        return _render_zip(data)
    text = data.decode("utf-8")
    if "\n" in text and not re.search(r"(?<!\r)\n|\r(?!\n)", text):
        return "(lines end with CR LF)\n" + text.replace("\r\n", "\n")
    return text.replace("\r", "␍")


def _render_zip(data: bytes) -> str:
    """Return the names of the members, without their times, which are in the machine's zone.

    Of members that have one name in different folders, as proofs have, the first alone is shown.
    """
    shown: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            is_first = name.rpartition("/")[2] not in {one.rpartition("/")[2] for one in shown}
            shown[name] = _render_member(name, archive.read(name)) if is_first else ""
    return "".join(f"=== {name}\n{text}\n" for name, text in shown.items())


def _render_member(name: str, data: bytes) -> str:
    """Return a member as text; the XML of a workbook with a line for each element."""
    text = render_bytes(data)
    return text.replace("><", ">\n<") if name.endswith((".xml", ".rels")) else text


def render_command(arguments: Sequence[str], ran: Ran) -> str:
    """Return what somebody at a shell would see of a command, and its exit code."""
    parts = [f"$ repermit {shlex.join(arguments)}\n", render_bytes(ran.out)]
    if ran.err:
        parts.append(f"--- stderr\n{render_bytes(ran.err)}")
    if ran.code:
        parts.append(f"--- exit code {ran.code}\n")
    return "".join(parts)


def render_mail(mail: Received) -> str:
    """Return a mail with its envelope as it came over the wire."""
    options = " ".join(("", *mail.mail_options))
    recipients = "".join(f"RCPT TO:<{one}>\n" for one in mail.rcpt_tos)
    return f"MAIL FROM:<{mail.mail_from}>{options}\n{recipients}\n{render_bytes(mail.raw)}"
