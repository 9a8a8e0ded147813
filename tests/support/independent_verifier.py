"""Checks a proof with the standard library alone, by docs/reference/proof-format.md."""

import json
from hashlib import sha256
from typing import Any

FIELDS = set("seq at event list campaign subject actor consent person trace".split())
CLAIM = set("list subject named controller retention entries wordings record".split())
WORDS = "mail_wording page_wording wording attest".split()
text_of = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def need(holds: object, what: str) -> None:
    if not holds:
        raise ValueError(what)


def unhex(text: str, octets: int = 32) -> bytes:
    need(len(text) == 2 * octets and set(text) <= set("0123456789abcdef"), "not in lower-case hex")
    return bytes.fromhex(text)


def leaf_of(one: dict[str, Any]) -> bytes:
    entry, parts = one["entry"], one["parts"]
    need(set(one) == {"entry", "parts"} and set(entry) == FIELDS, "an entry has other fields")
    for name, part in parts.items():
        need(set(part) == {"salt", "content"}, "a part has other fields")
        digest = sha256(unhex(part["salt"], 16) + text_of(part["content"]).encode()).hexdigest()
        need(name in {"consent", "person", "trace"} and digest == entry[name], "a part")
    return sha256(text_of(entry).encode()).digest()


def climb(first: int, size: int, path: list[bytes], older: bytes, leaf: bytes) -> list[bytes]:
    """Return the roots to which a path leads, of the first so many leaves and of all (RFC 9162)."""
    if size == 1 if leaf else first == size:
        return [leaf or older or path.pop()] * 2
    half, top = 1 << (size - 1).bit_length() - 1, path.pop()
    if first <= half:
        was, now = climb(first, half, path, older, leaf)
        return [was, sha256(b"\x01" + now + top).digest()]
    rest = climb(first - half, size - half, path, b"", leaf)
    return [sha256(b"\x01" + top + one).digest() for one in rest]


def lead(seq: int, top: dict[str, Any], path: list[str], older: bytes, leaf: bytes) -> None:
    steps, size = [unhex(one) for one in path], top["seq"]
    need(type(size) is type(seq) is int and 0 < seq <= size, "an entry behind the checkpoint")
    was, now = climb(seq, size, steps, older, leaf and sha256(b"\x00" + leaf).digest())
    need(not steps and now == unhex(top["root"]) and (leaf or was == older), "a path")


def check(octets: bytes) -> dict[str, Any]:
    """Return the consent record of a proof that holds; raise ValueError or the like if not."""
    proof = json.loads(
        octets.decode(),
        object_pairs_hook=lambda two: dict(zip(dict(two), [one[1] for one in two], strict=True)),
    )
    need(proof.pop("format") == "repermit-proof/1", "another format")
    said, seal, paths, top = (proof[one] for one in ("statement", "seal", "paths", "checkpoint"))
    need(len(proof.keys() - {"last", "consistency"}) == 5 and set(said) == CLAIM, "names")
    words, own, last = said["wordings"], [*said["entries"], seal], proof.get("last", seal)
    need(set(paths) == {str(one["entry"]["seq"]) for one in [*own, last]}, "paths")
    for one in [*own, last]:
        lead(one["entry"]["seq"], top, paths[str(one["entry"]["seq"])], b"", leaf_of(one))
    for shown in [proof["consistency"]] if "consistency" in proof else []:
        need((set(shown), set(shown["earlier"])) == ({"earlier", "path"}, {"seq", "root"}), "names")
        lead(shown["earlier"]["seq"], top, shown["path"], unhex(shown["earlier"]["root"]), b"")
    for head in (one["entry"] for one in own):
        is_own = head["event"] == "erased" or head["list"] == said["list"]
        need(is_own and head["subject"] == said["subject"], "an entry of somebody else")
    told = [one["parts"]["consent"]["content"] for one in own if "consent" in one["parts"]]
    need({part.get(one) for part in told for one in WORDS} - {None, ""} == set(words), "wordings")
    need(all(sha256(words[one].encode()).hexdigest() == one for one in words), "a wording")
    need(told[-1] == {"statement": sha256(text_of(said).encode()).hexdigest()}, "seal")
    need(seal["entry"]["event"] == "proved", "the seal")
    link = sha256(unhex(proof["previous"]) + leaf_of(last)).hexdigest()
    need(top == {"seq": last["entry"]["seq"], "hash": link, "root": top["root"]}, "the checkpoint")
    need(said["record"]["header"]["pii_principal_id"] == said["subject"], "the record")
    return dict(said["record"])
