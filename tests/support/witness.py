"""A witness on loopback, by the texts of c2sp.org/tlog-witness and tlog-cosignature alone."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NAME = "witness.example/w1"


class Witness:
    """A witness that knows one log by its origin and the 32 octets of its Ed25519 key.

    - `answers`: "well", "down" (503), "forged" (a signature of another key), "other" (lines of
      another witness alone), "rubbish", or "endless".
    - `size`, `root`: the newest checkpoint that it has cosigned.
    """

    def __init__(self, origin: str, public: bytes) -> None:
        self.origin, self.public = origin, public
        self.own = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
        self.answers = "well"
        self.now = 1_772_442_000
        self.size, self.root = 0, hashlib.sha256().digest()
        self.asked: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/log"

    @property
    def vkey(self) -> str:
        own = b"\x04" + self.own.public_key().public_bytes_raw()
        return f"{NAME}+{_key_id(NAME, own).hex()}+{base64.b64encode(own).decode()}"

    def add_checkpoint(self, body: str) -> tuple[int, str]:
        """Return the status and the body of the answer to a request."""
        self.asked.append(body)
        if self.answers == "down":
            return 503, ""
        head, _, note = body.partition("\n\n")
        old_line, *proof = head.split("\n")
        text, _, signatures = note.partition("\n\n")
        text += "\n"
        origin, size, root = text.split("\n")[:3]
        if origin != self.origin:
            return 404, ""
        if not self._is_signed(text, signatures):
            return 403, ""
        old, new, new_root = int(old_line.removeprefix("old ")), int(size), base64.b64decode(root)
        if old > new or len(proof) > 63:
            return 400, ""
        if old != self.size:
            return 409, f"{self.size}\n"
        steps = [base64.b64decode(one) for one in proof]
        if not self._goes_on(old, new, new_root, steps):
            return 422, ""
        self.size, self.root = new, new_root
        return 200, self.cosign(text, at=self.now)

    def _is_signed(self, text: str, signatures: str) -> bool:
        wanted = _key_id(self.origin, b"\x01" + self.public)
        for line in signatures.splitlines():
            _, name, encoded = line.split(" ")
            octets = base64.b64decode(encoded)
            if (name, octets[:4]) == (self.origin, wanted):
                try:
                    key = Ed25519PublicKey.from_public_bytes(self.public)
                    key.verify(octets[4:], text.encode())
                except InvalidSignature:
                    return False
                return True
        return False

    def _goes_on(self, old: int, new: int, root: bytes, proof: Sequence[bytes]) -> bool:
        if old == 0:
            return not proof
        if old == new:
            return not proof and root == self.root
        try:
            was, becomes, rest = _replay(old, new, list(proof), self.root, is_whole=True)
        except IndexError:
            return False
        return not rest and was == self.root and becomes == root

    def cosign(self, text: str, *, at: int) -> str:
        """Return the line of a cosignature over a note's text; `at` in POSIX seconds."""
        if self.answers == "rubbish":
            return "rubbish\n"
        if self.answers == "endless":
            return "x" * 200_000
        signing, name = self.own, NAME
        if self.answers == "forged":
            signing = Ed25519PrivateKey.from_private_bytes(b"f" * 32)
        if self.answers == "other":
            signing, name = Ed25519PrivateKey.from_private_bytes(b"o" * 32), "other.example"
        named = self.own if self.answers == "forged" else signing
        public = b"\x04" + named.public_key().public_bytes_raw()
        signature = signing.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        octets = _key_id(name, public) + at.to_bytes(8) + signature
        return f"— {name} {base64.b64encode(octets).decode()}\n"


def _key_id(name: str, typed_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:4]


def _replay(
    old: int, new: int, proof: list[bytes], old_root: bytes, *, is_whole: bool
) -> tuple[bytes, bytes, list[bytes]]:
    """Return both roots as SUBPROOF (RFC 6962 §2.1.2) makes them, and what is left of the proof.

    The recursion of that section, with the last hash of the proof first.
    """
    if old == new:
        if is_whole:
            return old_root, old_root, proof
        return proof[0], proof[0], proof[1:]
    split = 1 << (new - 1).bit_length() - 1
    if old <= split:
        was, becomes, rest = _replay(old, split, proof, old_root, is_whole=is_whole)
        right, rest = rest[0], rest[1:]
        return was, _node(becomes, right), rest
    was, becomes, rest = _replay(old - split, new - split, proof, old_root, is_whole=False)
    left, rest = rest[0], rest[1:]
    return _node(left, was), _node(left, becomes), rest


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@contextmanager
def serving(witness: Witness) -> Iterator[Witness]:
    """Answer on loopback while entered."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            known = self.path == "/log/add-checkpoint"
            status, answer = witness.add_checkpoint(body) if known else (404, "")
            self.send_response(status)
            if status == 409:
                self.send_header("Content-Type", "text/x.tlog.size")
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    witness.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield witness
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
