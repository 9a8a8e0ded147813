"""Checks signed notes (Ed25519 after RFC 8032 §5.1, slowly) and timestamps, by proof-format.md."""

import subprocess
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from hashlib import sha256, sha512
from re import fullmatch as match
from typing import Any

P = 2**255 - 19
NAME = r"[^+\0- \x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]
"""X, Y, Z and T, by which x = X/Z, y = Y/Z and x * y = T/Z (RFC 8032 §5.1.4)."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise ValueError(what)


def add(one: Point, other: Point) -> Point:
    (x, y, z, t), (u, v, w, s) = one, other
    a, b, c, d = (y - x) * (v - u), (y + x) * (v + u), 2 * D * t * s, 2 * z * w
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    while number:
        total = add(total, point) if number & 1 else total
        point, number = add(point, point), number >> 1
    return total


def is_same(one: Point, other: Point) -> bool:
    (x, y, z, _), (u, v, w, _) = one, other
    return (x * w - u * z) % P == 0 == (y * w - v * z) % P


def point_of(octets: bytes) -> Point:
    """Return the point that 32 octets stand for (RFC 8032 §5.1.3)."""
    number = int.from_bytes(octets, "little")
    y, odd = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and x * x % P == square and (x or not odd), "no point")
    x = P - x if x % 2 != odd else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Return if a signature is a message's under a public key (RFC 8032 §5.1.7)."""
    need(len(public) == 32 and len(signature) == 64, "a key or signature of another length")
    number = int.from_bytes(signature[32:], "little")
    digest, point = sha512(signature[:32] + public + message).digest(), point_of(public)
    need(not is_same(times(8, point), (0, 1, 1, 0)), "a key of small order")
    right = times(int.from_bytes(digest, "little") % ORDER, point)
    need(number < ORDER, "a signature in another form")
    whole = add(point_of(signature[:32]), right)
    need(is_same(times(number, BASE), whole), "a signature")


def base64_of(text: str) -> bytes:
    octets = b64decode(text, validate=True)
    need(b64encode(octets).decode() == text, "base64 in another form")
    return octets


def verify_note(note: str, top: dict[str, Any], key: str) -> None:
    """Return if a note is that of a checkpoint, and signed by a verifier key."""
    public, text, own = lines_of(note, key, b"\x01")
    need(read_text(text) == top, "a note of another checkpoint")
    need(own, "no signature of the key")
    for one in own:
        verify_ed25519(public, text.encode(), one)


def cosigned_at(note: str, key: str) -> list[int]:
    """Return when a witness cosigned a note, in POSIX seconds; a forged cosignature is refused."""
    public, text, own = lines_of(note, key, b"\x04")
    need(all(len(one) == 8 + 64 for one in own), "a cosignature of another length")
    found = [int.from_bytes(one[:8]) for one in own]
    for at, one in zip(found, own, strict=True):
        need(0 < at <= 253402300799, "a cosignature of another time")
        verify_ed25519(public, f"cosignature/v1\ntime {at}\n{text}".encode(), one[8:])
    return found


def lines_of(note: str, key: str, kind: bytes) -> tuple[bytes, str, list[bytes]]:
    """Return a key of a kind, the text of a note, and what its lines by that key hold."""
    text, lines = split_note(note)
    name, key_id, encoded = key.split("+", 2)
    public = base64_of(encoded)
    own_id = sha256(f"{name}\n".encode() + public).digest()[:4]
    need(public[:1] == kind and own_id.hex() == key_id, "the key")
    need(match(NAME, name), "the name of a key")
    signed = signatures_in(lines)
    own = [made[4:] for signer, made in signed if (signer, made[:4]) == (name, own_id)]
    return public[1:], f"{text}\n", own


def split_note(note: str) -> tuple[str, str]:
    text, blank, lines = note.rpartition("\n\n")
    need(blank and not any(sign < " " for sign in note.replace("\n", "")), "no note")
    return text, lines


def signatures_in(lines: str) -> list[tuple[str, bytes]]:
    need(lines.endswith("\n"), "the end of the note")
    found = [one.split(" ") for one in lines[:-1].split("\n")]
    need(all(len(one) == 3 and one[0] == "—" and one[1] for one in found), "a signature line")
    signed = [(one[1], base64_of(one[2])) for one in found]
    need(all(len(made) > 4 and "+" not in name for name, made in signed), "a signature line")
    return signed


def read_text(text: str) -> dict[str, Any]:
    """Return the checkpoint in the text of a note."""
    origin, size, root, chain, end = text.split("\n")
    need(origin and not end and match("0|[1-9][0-9]{0,17}", size), "no checkpoint")
    need(len(base64_of(root)) == 32, "no root")
    digest = chain.removeprefix("repermit-chain-hash ")
    need(chain != digest and match("[0-9a-f]{64}", digest), "no hash of the chain")
    return {"seq": int(size), "hash": digest, "root": base64_of(root).hex()}


def read_stamped(note: str) -> dict[str, Any]:
    """Return the checkpoint in what a timestamp is of, signed or not."""
    if "\n\n" not in note:
        need(not any(sign < " " for sign in note.replace("\n", "")), "a control sign")
        return read_text(note)
    text, lines = split_note(note)
    signatures_in(lines)
    return read_text(f"{text}\n")


SHA256 = bytes.fromhex("608648016503040201")
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
SHAPES = {
    1: b"\xff",
    2: rb"(?s)\0|[\x01-\x7f].*|\0[\x80-\xff].*",
    6: rb"(([\x81-\xff][\x80-\xff]*)?[\0-\x7f])+",
    0x18: rb"[0-9]{14}(\.[0-9]{0,8}[1-9])?Z",
}


def values_in(octets: bytes) -> list[tuple[int, bytes]]:
    """Return the values that stand one behind the other, as (tag, content), in strict DER."""
    found = []
    while octets:
        tag, length, start = octets[0], octets[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(octets[2:start])
            need(length > 0x7F and octets[2], "a length in another form")
        need(start + length <= len(octets) and tag & 0x1F != 0x1F, "a value that is cut off")
        found.append((tag, octets[start : start + length]))
        if tag & 0x20:
            values_in(octets[start : start + length])
        octets = octets[start + length :]
    return found


def inside(value: tuple[int, bytes], tag: int) -> list[tuple[int, bytes]]:
    need(value[0] == tag, "a value of another kind")
    return values_in(value[1])


def read_reply(reply: bytes) -> tuple[bytes, datetime]:
    """Return the digest that a reply is of, and the time that it tells."""
    (response,) = values_in(reply)
    status, token = inside(response, 0x30)
    kind, content = inside(token, 0x30)
    need(inside(status, 0x30)[0] == (2, b"\0") and kind == (6, SIGNED_DATA), "refused")
    (signed,) = inside(content, 0xA0)
    version, algorithms, encapsulated, *rest = inside(signed, 0x30)
    tags = bytes(tag for tag, _ in [version, algorithms, *rest])
    need(match(rb"\x02\x31\xa0?\xa1?\x31", tags), "no signed data")
    kind, wrapped = inside(encapsulated, 0x30)
    ((tag, info),) = inside(wrapped, 0xA0)
    (whole,) = values_in(info)
    version, policy, imprint, *rest = inside(whole, 0x30)
    tags = bytes(tag for tag, _ in [policy, *rest])
    need((kind, tag, version) == ((6, TST_INFO), 4, (2, b"\1")), "no TSTInfo")
    need(match(rb"\x06\x02\x18\x30?\x01?\x02?\xa0?\xa1?", tags), "no TSTInfo")
    need(all(match(SHAPES.get(tag, b"(?s).*"), held) for tag, held in [policy, *rest]), "a value")
    algorithm, (tag, digest) = inside(imprint, 0x30)
    need(inside(algorithm, 0x30) in ([(6, SHA256)], [(6, SHA256), (5, b"")]), "not SHA-256")
    text, _, fraction = rest[1][1].decode().removesuffix("Z").partition(".")
    need(tag == 4 and text[12:] < "60", "no time")
    at = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return digest, at.replace(microsecond=int(fraction.ljust(6, "0")[:6] or 0))


def verify_timestamp(note: str, reply: bytes, ca_file: str) -> datetime:
    """Return the time that a reply tells of a note; `ca_file` vouches for it, "" for nobody."""
    digest, at = read_reply(reply)
    need(digest == sha256(note.encode()).digest(), "a timestamp of another note")
    if ca_file:
        asked = ["openssl", "ts", "-verify", "-digest", digest.hex(), "-in", "/dev/stdin"]
        asked += ["-CAfile", ca_file, "-attime", str(int(at.timestamp()))]
        ran = subprocess.run(asked, input=reply, capture_output=True, check=False)
        need(ran.returncode == 0, "a timestamp that nobody vouches for")
    return at
