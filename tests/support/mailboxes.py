"""Small IMAP and POP3 servers on loopback, with one mailbox, that misbehave if told to."""

from __future__ import annotations

import base64
import re
import shlex
import socketserver
import ssl
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

HANG_UP = "hang up"


@dataclass
class Stored:
    """One message in the mailbox; `day` is as IMAP writes it."""

    raw: bytes
    number: int
    day: str = "2-Mar-2026"
    is_seen: bool = False


class Mailbox:
    """A mailbox with a server before it, from `with` to its end, on 127.0.0.1 and `port`.

    `lines` are replies that take the place of the usual ones, by the command's word; HANG_UP closes
    the connection. `said` is what came, without what was logged in with. `tokens` are the ones that
    are good. With `tls` "tls" or "starttls" it needs a `context`. `deadly` are the numbers of the
    messages at whose fetching it hangs up.
    """

    protocol = ""

    def __init__(
        self,
        *raws: bytes,
        tls: str = "none",
        context: ssl.SSLContext | None = None,
        lines: dict[str, str] | None = None,
        tokens: tuple[str, ...] = (),
    ) -> None:
        self.messages = [Stored(raw, number) for number, raw in enumerate(raws, 1)]
        self.tls = tls
        self.context = context
        self.lines = lines or {}
        self.tokens = tokens
        self.deadly: set[int] = set()
        self.validity = 7
        self.said: list[str] = []
        speaks = {"imap": _Imap, "pop3": _Pop3}[self.protocol]
        self._server = _Server(("127.0.0.1", 0), speaks)
        self._server.mailbox = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

    @property
    def seen(self) -> list[int]:
        """Return the numbers of the messages that count as read."""
        return [one.number for one in self.messages if one.is_seen]

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the messages that are there."""
        return [one.number for one in self.messages]

    def add(self, *raws: bytes) -> None:
        """Put messages in."""
        for raw in raws:
            self.messages.append(Stored(raw, max(self.numbers, default=0) + 1))

    def accepts(self, answer: bytes) -> bool:
        """Say whether this is XOAUTH2 with a good token."""
        given = base64.b64decode(answer).decode()
        return given in {f"user=me\x01auth=Bearer {token}\x01\x01" for token in self.tokens}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class ImapMailbox(Mailbox):
    """The mailbox by IMAP."""

    protocol = "imap"


class Pop3Mailbox(Mailbox):
    """The mailbox by POP3."""

    protocol = "pop3"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    mailbox: Mailbox

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server
    # Else each reply in several pieces takes 40 ms.
    disable_nagle_algorithm = True

    @property
    def mailbox(self) -> Mailbox:
        return self.server.mailbox

    def setup(self) -> None:
        if self.mailbox.tls == "tls":
            self._begin_tls()
        super().setup()

    def _begin_tls(self) -> None:
        assert self.mailbox.context
        self.request = self.mailbox.context.wrap_socket(self.request, server_side=True)

    def say(self, text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else text
        self.wfile.write(raw + b"\r\n")

    def has_replied(self, word: str, tag: str = "") -> bool:
        """Give the reply that a test wants instead, if there is one."""
        self.mailbox.said.append(word)
        line = self.mailbox.lines.get(word)
        if line == HANG_UP:
            raise ConnectionError
        if line:
            self.say(tag + line)
        return line is not None

    def restart(self) -> None:
        """Go on in TLS."""
        super().finish()
        self._begin_tls()
        super().setup()

    def finish(self) -> None:
        super().finish()
        # The server knows the bare socket only, which TLS has taken over.
        self.request.close()


class _Imap(_Conversation):
    def handle(self) -> None:
        self.say("* OK ready")
        while line := self.rfile.readline().decode():
            tag, word, *rest = line.rstrip("\r\n").split(" ", 2)
            if self.has_replied(word, f"{tag} "):
                continue
            getattr(self, word.lower())(tag, *rest)

    def capability(self, tag: str) -> None:
        self.say("* CAPABILITY IMAP4rev1 STARTTLS AUTH=XOAUTH2")
        self.say(f"{tag} OK done")

    def starttls(self, tag: str) -> None:
        self.say(f"{tag} OK done")
        self.restart()

    def login(self, tag: str, rest: str) -> None:
        self.say(f"{tag} OK done" if shlex.split(rest) == ["me", "secret"] else f"{tag} NO no")

    def authenticate(self, tag: str, _how: str) -> None:
        self.say("+ ")
        if self.mailbox.accepts(self.rfile.readline()):
            self.say(f"{tag} OK done")
            return
        self.say("+ eyJzdGF0dXMiOiI0MDEifQ==")
        assert self.rfile.readline() == b"\r\n"
        self.say(f"{tag} NO no")

    def select(self, tag: str, rest: str) -> None:
        if rest != '"INBOX"':
            self.say(f"{tag} NO no")
            return
        self.say(f"* {len(self.mailbox.messages)} EXISTS")
        self.say(f"* OK [UIDVALIDITY {self.mailbox.validity}]")
        self.say(f"{tag} OK done")

    def uid(self, tag: str, rest: str) -> None:
        word, _, more = rest.partition(" ")
        self.mailbox.said.append(rest)
        getattr(self, f"uid_{word.lower()}")(more)
        self.say(f"{tag} OK done")

    def uid_search(self, wanted: str) -> None:
        numbers = self.mailbox.numbers
        if found := re.fullmatch(r"UID (\d+):\*", wanted):
            # As servers do: the last one always matches.
            numbers = [n for n in numbers if n >= int(found[1])] or numbers[-1:]
        else:
            days = wanted.removeprefix("SINCE ")
            assert re.fullmatch(r"\d\d-[A-Z][a-z]{2}-\d{4}", days)
        self.say(f"* SEARCH {' '.join(map(str, numbers))}")

    def uid_fetch(self, rest: str) -> None:
        number, _, wanted = rest.partition(" ")
        if wanted == "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])":
            self._say_heads([int(one) for one in number.split(",")])
            return
        found = re.fullmatch(r"\(BODY\.PEEK\[\]<0\.(\d+)>\)", wanted)
        assert found
        for message in self.mailbox.messages:
            # One without a byte is gone since it was found.
            if message.number == int(number) and message.raw:
                if message.number in self.mailbox.deadly:
                    raise ConnectionError
                raw = message.raw[: int(found[1])]
                head = f"* 1 FETCH (UID {number} BODY[]<0> {{{len(raw)}}}\r\n"
                self.wfile.write(head.encode() + raw)
                self.say(")")

    def _say_heads(self, numbers: list[int]) -> None:
        for message in self.mailbox.messages:
            if message.number in numbers:
                name = re.search(rb"^Message-ID:.*\n", message.raw, re.MULTILINE)
                head = (name[0] if name else b"") + b"\n"
                said = f"* 1 FETCH (UID {message.number} BODY[HEADER.FIELDS (MESSAGE-ID)]"
                self.wfile.write(f"{said} {{{len(head)}}}\r\n".encode() + head)
                self.say(")")

    def uid_store(self, rest: str) -> None:
        number, _, flags = rest.partition(" ")
        assert flags == r"+FLAGS.SILENT (\Seen)"
        for message in self.mailbox.messages:
            message.is_seen |= message.number == int(number)

    def logout(self, tag: str) -> None:
        self.say("* BYE bye")
        self.say(f"{tag} OK done")


class _Pop3(_Conversation):
    def handle(self) -> None:
        self._deleted: list[Stored] = []
        self._there = list(self.mailbox.messages)
        self.say("+OK ready")
        while line := self.rfile.readline().decode():
            word, *rest = line.split()
            if not self.has_replied(word):
                getattr(self, word.lower())(*rest)
            if word == "QUIT":
                return

    def capa(self) -> None:
        self._list("STLS")

    def stls(self) -> None:
        self.say("+OK")
        self.restart()

    def user(self, _name: str) -> None:
        self.say("+OK")

    def pass_(self, password: str) -> None:
        self.say("+OK" if password == "secret" else "-ERR")

    def auth(self, _how: str) -> None:
        self.say("+ ")
        self.say("+OK" if self.mailbox.accepts(self.rfile.readline()) else "-ERR")

    def list(self) -> None:
        self._list(*(f"{n} {len(one.raw)}" for n, one in enumerate(self._there, 1)))

    def uidl(self) -> None:
        self._list(*(f"{n} id-{one.number}" for n, one in enumerate(self._there, 1)))

    def retr(self, number: str) -> None:
        message = self._there[int(number) - 1]
        if message.number in self.mailbox.deadly:
            raise ConnectionError
        self._say_message(message.raw)

    def top(self, number: str, lines: str) -> None:
        head, _, body = self._there[int(number) - 1].raw.partition(b"\n\n")
        some = b"\n".join(body.split(b"\n")[: int(lines)])
        self._say_message(head + b"\n\n" + some)

    def dele(self, number: str) -> None:
        self._deleted.append(self._there[int(number) - 1])
        self.say("+OK")

    def quit(self) -> None:
        for one in self._deleted:
            # Another conversation may have been quicker.
            if one in self.mailbox.messages:
                self.mailbox.messages.remove(one)
        self.say("+OK")

    def _list(self, *lines: str) -> None:
        self.say("+OK")
        for line in (*lines, "."):
            self.say(line)

    def _say_message(self, raw: bytes) -> None:
        self.say("+OK")
        for line in raw.split(b"\n"):
            self.say(b"." + line if line.startswith(b".") else line)
        self.say(".")


# "pass" is a word of Python's.
setattr(_Pop3, "pass", _Pop3.pass_)
