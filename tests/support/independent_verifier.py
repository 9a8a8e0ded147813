"""Checks a proof with Python's standard library alone, by docs/reference/proof-format.md."""

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from re import fullmatch as match
from typing import Any, NamedTuple

from tests.support import independent_record, independent_signatures
from tests.support.independent_signatures import need

FIELDS = set("seq at event list campaign subject actor consent person trace".split())
CLAIM = set("list subject named controller retention entries wordings record".split())
MAY_CLAIM = {"register", "campaign_entries"}
SETS = {"launched": "deadline", "extended": "to"}
NAMES = {"format", *"statement seal paths previous checkpoint".split()}
FORMATS = {
    "repermit-proof/1": {"last", "consistency"},
    "repermit-proof/2": {"last", "consistency", "key", "timestamps", "cosigned"},
}
PARTS = ("consent", "person", "trace")
AT = r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
SAID = {
    "confirmed": {"answer": {"yes"}, "basis": {"answer", "sign_up", "imported", "thin"}},
    "customer": {"basis": {"customer"}},
    "removed": {"answer": {"no"}},
}
TEXTS = (
    "answer method reason basis by file purpose note proof given_by arrived_at left_at at basis_at "
    "asked_at asked_again_at reminded_at deadline requested_at confirmed_at address name source "
    "since list_name frequency privacy_url language status imported_at "
    "mail_wording page_wording link_page_wording wording attest privacy_wording"
).split()
UNSEEN = ("frequency", "privacy_url", "language")
WORDS = "mail_wording page_wording link_page_wording wording attest privacy_wording".split()
text_of = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Checked(NamedTuple):
    """What a proof says; `stamps` are (entry, time), `cosigned` (entry, seconds, key, origin)."""

    record: dict[str, Any]
    signers: list[str]
    stamps: list[tuple[int, datetime]]
    cosigned: list[tuple[int, int, str, str]]


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
    need(type(path) is list, "a path")
    steps, size = [unhex(one) for one in path], top["seq"]
    need(type(size) is type(seq) is int and 0 < seq <= size, "an entry behind the checkpoint")
    was, now = climb(seq, size, steps, older, leaf and sha256(b"\x00" + leaf).digest())
    need(not steps and now == unhex(top["root"]) and (leaf or was == older), "a path")


def check_head(head: dict[str, Any]) -> None:
    need(type(head["seq"]) is type(head["campaign"]) is int, "numbers")
    need(head["seq"] > 0 <= head["campaign"] and match(AT, head["at"]), "an entry")
    need(datetime.fromisoformat(head["at"]), "no moment")
    need(all(match("|[0-9a-f]{64}", head[one]) for one in PARTS), "digests")
    need(all(type(head[one]) is str for one in ("event", "list", "actor", "subject")), "texts")


def shaped(proof: dict[str, Any]) -> None:
    said, seal = proof["statement"], proof["seal"]
    named, retention, wordings = said["named"], said["retention"], said["wordings"]
    need(match("[0-9a-f]{32}", said["subject"]) and type(said["list"]) is str, "the statement")
    need(set(named) == {"salt", "digest"} and set(retention) == {"pii", "proof", "trace"}, "names")
    is_named = match("[0-9a-f]{32}", named["salt"]) and match("[0-9a-f]{64}", named["digest"])
    need(is_named or named == {"salt": "", "digest": ""}, "named")
    if "register" in said:
        need(set(said["register"]) == {"storage_locations", "recipients"}, "register")
        lists = list(said["register"].values())
        need(all(type(one) is list for one in lists), "register")
        need(all(type(text) is str and text for one in lists for text in one), "register")
    campaigns = said.get("campaign_entries", [])
    need(type(campaigns) is list and ("campaign_entries" not in said or campaigns), "campaigns")
    texts = [*said["controller"].values(), *retention.values(), *wordings.values()]
    need(all(type(one) is str for one in texts) and said["entries"], "texts")
    need(type(said["entries"]) is list and "parts" in seal, "entries")
    heads = [one["entry"] for one in [*said["entries"], seal]]
    for head in (one["entry"] for one in campaigns):
        check_head(head)
    if "last" in proof:
        need(proof["last"]["parts"] == {}, "parts of the last entry")
        heads.append(proof["last"]["entry"])
    for head in heads:
        check_head(head)
        is_last = "last" in proof and head is proof["last"]["entry"]
        need(match("[0-9a-f]{32}", head["subject"]) or (is_last and head["subject"] == ""), "whose")
    need(set(seal["parts"]) == {"consent"}, "the seal's one part")
    need(seal["entry"]["person"] == seal["entry"]["trace"] == "", "the seal's one part")
    sealed = datetime.fromisoformat(seal["entry"]["at"])
    last_seq = 0
    for one in said["entries"]:
        head, told = one["entry"], one["parts"].get("consent", {}).get("content", {})
        after = datetime.fromisoformat(head["at"]) - sealed
        need(after <= timedelta(days=1), "an entry later than the seal")
        need(last_seq < head["seq"] < seal["entry"]["seq"], "order")
        last_seq = head["seq"]
        for name, values in SAID.get(head["event"], {}).items():
            need(told.get(name) in {None, "", *values}, "what an event cannot say")
    check_campaigns(said, seal["entry"])
    for part in [part for one in [*said["entries"], seal] for part in one["parts"].values()]:
        told = part["content"]
        need(type(told) is dict and type(told.get("sensitive")) in {bool, type(None)}, "a part")
        need(all(told.get(one) is None or type(told[one]) is str for one in TEXTS), "texts")
        unseen = told.get("unseen", {"purpose": ""})
        need(type(unseen["purpose"]) is str, "what the list was for")
        need(all(type(unseen.get(one, "")) in {str, type(None)} for one in UNSEEN), "texts")


def check_campaigns(said: dict[str, Any], seal: dict[str, Any]) -> None:
    numbers, last_seq = {one["entry"]["campaign"] for one in said["entries"]} - {0}, 0
    sealed = datetime.fromisoformat(seal["at"])
    told: dict[int, list[tuple[int, Any]]] = {}
    for one in said.get("campaign_entries", []):
        head = one["entry"]
        need(set(one["parts"]) == {"consent"} and head["person"] == head["trace"] == "", "a part")
        need(head["subject"] == "" and head["list"] == said["list"], "a campaign of others")
        need(head["campaign"] in numbers, "a campaign of others")
        need(last_seq < head["seq"] < seal["seq"], "order")
        need(datetime.fromisoformat(head["at"]) - sealed <= timedelta(days=1), "later")
        content, name = one["parts"]["consent"]["content"], SETS[head["event"]]
        need(type(content) is dict, "a part")
        told.setdefault(head["campaign"], []).append((head["seq"], content.get(name)))
        last_seq = head["seq"]
    for one in said["entries"]:
        head, content = one["entry"], one["parts"].get("consent", {}).get("content", {})
        set_before = [at for seq, at in told.get(head["campaign"], []) if seq < head["seq"]]
        deadline = content.get("deadline")
        if content.get("reason") == "no_response" and deadline and set_before:
            need(match(AT, deadline) and datetime.fromisoformat(deadline), "a deadline")
            need(set_before[-1] == deadline <= head["at"], "another deadline, or an early removal")


def number(text: str) -> int:
    need(match("0|-?[1-9][0-9]{0,15}", text) and abs(int(text)) < 2**53, "a number")
    return int(text)


def read(octets: bytes) -> dict[str, Any]:
    """Return a document; raise ValueError for JSON in another form."""
    found = json.loads(
        octets.decode(),
        object_pairs_hook=lambda two: dict(zip(dict(two), [one[1] for one in two], strict=True)),
        parse_int=number,
        parse_float=number,
        parse_constant=number,
    )
    need(type(found) is dict, "no object")
    need(text_of(found).encode(), "a lone surrogate")
    return dict(found)


def check(
    octets: bytes, *, keys: Iterable[str] = (), ca_file: str = "", witnesses: Collection[str] = ()
) -> Checked:
    """Return what a proof that holds says; raise ValueError or the like if it does not hold.

    With `keys`, one of them must have signed it; with `ca_file`, that must vouch for timestamps;
    with `witnesses`, keys as well, each of them must have cosigned it.
    """
    proof = read(octets)
    need(proof["format"] in FORMATS and set(proof) - FORMATS[proof["format"]] == NAMES, "names")
    said, seal, paths, top = (proof[one] for one in ("statement", "seal", "paths", "checkpoint"))
    note = top.pop("note") if "key" in proof else ""
    need(set(said) - MAY_CLAIM == CLAIM and set(top) == {"seq", "hash", "root"}, "names")
    words, own, last = said["wordings"], [*said["entries"], seal], proof.get("last", seal)
    held = [*own, *said.get("campaign_entries", []), last]
    need(set(paths) == {str(one["entry"]["seq"]) for one in held}, "paths")
    for one in held:
        lead(one["entry"]["seq"], top, paths[str(one["entry"]["seq"])], b"", leaf_of(one))
    shaped(proof)
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
    need(seal["entry"]["event"] == "proved" and seal["entry"]["list"] == said["list"], "the seal")
    link = sha256(unhex(proof["previous"]) + leaf_of(last)).hexdigest()
    need(top == {"seq": last["entry"]["seq"], "hash": link, "root": top["root"]}, "the checkpoint")
    need(text_of(said["record"]) == text_of(independent_record.record_of(said)), "the record")
    if "key" in proof:
        independent_signatures.verify_note(note, top, proof["key"])
    signers = [one for one in keys if signed_by(note, top, one)]
    need(signers or not list(keys), "no signature of a key that is known")
    stamped = shown_in(proof, top, "timestamps", "note path reply")
    stamps = [(seq, stamped_at(one, ca_file)) for one, seq in stamped]
    notes = [(seq, one["note"]) for one, seq in shown_in(proof, top, "cosigned", "note path")]
    cosigned = cosigned_by(witnesses, notes, proof.get("key"))
    return Checked(dict(said["record"]), signers, stamps, cosigned)


def shown_in(
    proof: dict[str, Any], top: dict[str, Any], name: str, names: str
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield what others say of earlier checkpoints of the record, and up to which entry."""
    shown, first = proof.get(name, []), proof["statement"]["entries"][0]["entry"]["seq"]
    need(name not in proof or (type(shown) is list and shown), name)
    for one in shown:
        need(set(one) == set(names.split()), "names")
        point = checkpoint_in(one["note"], proof.get("key"))
        lead(point["seq"], top, one["path"], unhex(point["root"]), b"")
        need(point["seq"] >= first, f"{name}: what covers no entry")
        yield one, point["seq"]


def checkpoint_in(note: str, key: str | None) -> dict[str, Any]:
    """Return the checkpoint of a note, its signature by the proof's own key checked."""
    point = independent_signatures.read_stamped(note)
    if key and name_of(key) in names_in(note):
        independent_signatures.verify_note(note, point, key)
    return point


def stamped_at(one: dict[str, Any], ca_file: str) -> datetime:
    reply = independent_signatures.base64_of(one["reply"])
    return independent_signatures.verify_timestamp(one["note"], reply, ca_file)


def cosigned_by(
    witnesses: Collection[str], notes: list[tuple[int, str]], key: str | None, first: int = 0
) -> list[tuple[int, int, str, str]]:
    """Return which notes witnesses cosigned, and when; each must have done so from `first` on."""
    own = {name_of(key)} if key else set()
    need(all(names_in(note) - own for _, note in notes), "no line of a witness")
    found = []
    for by, (seq, note) in ((by, one) for by in witnesses for one in notes):
        times = independent_signatures.cosigned_at(note, by)
        found += [(seq, at, by, note.partition("\n")[0]) for at in times]
    cosigning = {by for seq, _, by, _ in found if seq >= first}
    need(cosigning >= set(witnesses), "a witness who has cosigned nothing of it")
    return found


def signed_by(note: str, top: dict[str, Any], key: str) -> bool:
    try:
        independent_signatures.verify_note(note, top, key)
    except ValueError:
        return False
    return True


def name_of(key: str) -> tuple[str, bytes]:
    name, key_id, _ = key.split("+", 2)
    return name, bytes.fromhex(key_id)


def names_in(note: str) -> set[tuple[str, bytes]]:
    """Return the names and ids that the signatures of a note have."""
    text, blank, lines = note.rpartition("\n\n")
    signed = independent_signatures.signatures_in(lines) if text and blank else []
    return {(signer, made[:4]) for signer, made in signed}
