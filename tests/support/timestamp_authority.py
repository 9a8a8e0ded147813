"""A timestamping authority on loopback (RFC 3161), whose replies `openssl ts` makes."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes as key_hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from repermit.clock import SystemClock

_DAY = timedelta(days=1)
_CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""


class Authority:
    """An authority with a certificate of its own; `ca_file` is that of whoever vouches for it.

    - `answers`: "well", "down" (503), "nonce" (the reply to another request), "other" (of another
      text), "rubbish", or "refused" (a reply that says so).
    - `expired`: its certificate ended a day ago.
    """

    def __init__(self, folder: Path, *, expired: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.answers = "well"
        self.asked: list[bytes] = []
        self.port = 0
        (folder / "serial").write_text("01\n", "utf-8")
        (folder / "ts.conf").write_text(_CONFIG.format(folder=folder), "utf-8")
        _make_certificates(folder, expired=expired)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ts"

    def reply_to(self, query: bytes) -> bytes:
        """Return the reply to a query."""
        if self.answers == "rubbish":
            return b"rubbish"
        if self.answers == "nonce":
            digest = self._run("-query", "-text", "-in", self._file("query.tsq", query)).decode()
            query = self._query(_imprint(digest))
        elif self.answers == "other":
            query = self._query("00" * 32)
        elif self.answers == "refused":
            query = self._run("-query", "-digest", "00" * 20, "-sha1", "-cert")
        return self._reply(query)

    def reply_over(self, text: str) -> bytes:
        """Return a reply over a text, without being asked."""
        query = self._query(hashlib.sha256(text.encode()).hexdigest())
        return self._reply(query)

    def _reply(self, query: bytes) -> bytes:
        return self._run(
            *("-reply", "-config", "ts.conf", "-section", "own", "-queryfile"),
            *(self._file("query.tsq", query), "-signer", "tsa.pem", "-inkey", "tsa.key"),
        )

    def _query(self, digest: str) -> bytes:
        return self._run("-query", "-digest", digest, "-sha256", "-cert")

    def _file(self, name: str, octets: bytes) -> str:
        (self.folder / name).write_bytes(octets)
        return name

    def _run(self, *arguments: str) -> bytes:
        ran = subprocess.run(
            ["openssl", "ts", *arguments], cwd=self.folder, capture_output=True, check=False
        )
        return ran.stdout


def _imprint(text: str) -> str:
    """Return the digest in a query that openssl has written out."""
    block = text.partition("Message data:")[2].partition("Policy")[0]
    lines = (line.partition(" - ")[2][:48] for line in block.splitlines())
    return "".join(line.replace("-", " ").replace(" ", "") for line in lines)


def _make_certificates(folder: Path, *, expired: bool) -> None:
    now = SystemClock().now()
    until = now - _DAY if expired else now + 3650 * _DAY
    root_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Root", root_key, "Root", root_key, (now - 20 * _DAY, now + 7300 * _DAY))
    own = _certificate("Authority", own_key, "Root", root_key, (now - 20 * _DAY, until))
    (folder / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "tsa.pem").write_bytes(own.public_bytes(Encoding.PEM))
    octets = own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "tsa.key").write_bytes(octets)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    valid: tuple[datetime, datetime],
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=key is issuer_key, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if key is not issuer_key:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key, key_hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {name}")])


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """Let an authority answer on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            authority.asked.append(query)
            if authority.answers == "down":
                self.send_error(503)
                return
            reply = authority.reply_to(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
