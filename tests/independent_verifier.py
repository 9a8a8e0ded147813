"""Checks a proof with Python's standard library alone, by what README says of its format."""

import hashlib
import json
from typing import Any

FIELDS = set("seq at event list campaign subject actor consent person trace".split())
PROOF = set("statement seal paths previous checkpoint".split())
CLAIM = set("list subject named controller retention entries wordings record".split())


def need(holds: object, what: str) -> None:
    if not holds:
        raise ValueError(what)


def sha(*octets: bytes) -> bytes:
    return hashlib.sha256(b"".join(octets)).digest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def unhex(text: str, octets: int = 32) -> bytes:
    need(len(text) == 2 * octets and set(text) <= set("0123456789abcdef"), "not in lower-case hex")
    return bytes.fromhex(text)


def leaf_of(one: dict[str, Any]) -> bytes:
    entry, parts = one["entry"], one["parts"]
    need(set(one) == {"entry", "parts"} and set(entry) == FIELDS, "an entry has other fields")
    for name, part in parts.items():
        need(set(part) == {"salt", "content"}, "a part has other fields")
        digest = sha(unhex(part["salt"], 16), canonical(part["content"])).hex()
        need(name in {"consent", "person", "trace"} and digest == entry[name], "a part")
    return sha(canonical(entry))


def climb(first: int, size: int, path: list[bytes], older: bytes, leaf: bytes) -> list[bytes]:
    """Return the roots to which a path leads, of the first so many leaves and of all (RFC 9162)."""
    if size == 1 if leaf else first == size:
        return [leaf or older or path.pop()] * 2
    half, top = 1 << (size - 1).bit_length() - 1, path.pop()
    if first <= half:
        was, now = climb(first, half, path, older, leaf)
        return [was, sha(b"\x01", now, top)]
    return [sha(b"\x01", top, one) for one in climb(first - half, size - half, path, b"", leaf)]


def lead(seq: int, top: dict[str, Any], path: list[str], older: bytes, leaf: bytes) -> None:
    """Raise if a path does not lead from an older root, or else from an entry, to the newest."""
    steps, size = [unhex(one) for one in path], top["seq"]
    need(type(size) is type(seq) is int and 0 < seq <= size, "an entry behind the checkpoint")
    was, now = climb(seq, size, steps, older, leaf and sha(b"\x00", leaf))
    need(not steps and now == unhex(top["root"]) and (leaf or was == older), "a path")


def check(octets: bytes) -> dict[str, Any]:
    """Return the consent record of a proof that holds; raise ValueError or the like if not."""
    proof = json.loads(octets.decode())
    need(proof.pop("format") == "repermit-proof/1", "another format")
    said, seal, paths, top = (proof[one] for one in ("statement", "seal", "paths", "checkpoint"))
    need(set(proof) - {"last", "consistency"} == PROOF and set(said) == CLAIM, "names")
    subject, own, last = said["subject"], [*said["entries"], seal], proof.get("last", seal)
    need(set(paths) == {str(one["entry"]["seq"]) for one in [*own, last]}, "paths")
    for one in [*own, last]:
        lead(one["entry"]["seq"], top, paths[str(one["entry"]["seq"])], b"", leaf_of(one))
    for shown in [proof["consistency"]] if "consistency" in proof else []:
        need((set(shown), set(shown["earlier"])) == ({"earlier", "path"}, {"seq", "root"}), "names")
        lead(shown["earlier"]["seq"], top, shown["path"], unhex(shown["earlier"]["root"]), b"")
    need(all(one["entry"]["subject"] == subject for one in own), "an entry of somebody else")
    need(all(sha(said["wordings"][one].encode()).hex() == one for one in said["wordings"]), "words")
    need(seal["parts"]["consent"]["content"] == {"statement": sha(canonical(said)).hex()}, "seal")
    need(seal["entry"]["event"] == "proved", "the seal")
    link = sha(unhex(proof["previous"]), leaf_of(last)).hex()
    need(top == {"seq": last["entry"]["seq"], "hash": link, "root": top["root"]}, "the checkpoint")
    need(said["record"]["header"]["pii_principal_id"] == subject, "the record of somebody else")
    return dict(said["record"])
