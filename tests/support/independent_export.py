"""Checks an export of the evidence by docs/reference/proof-format.md alone."""

from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from re import fullmatch as match
from typing import Any, NamedTuple

from tests.support import independent_signatures, independent_verifier
from tests.support.independent_signatures import need
from tests.support.independent_verifier import PARTS, leaf_of, unhex

NAMES = {"format", "list", "checkpoint", "entries", "wordings", "leaves"}
STANDING = {"confirmed": "confirmed", "customer": "customer", "added": "unconfirmed"}
OPTIONAL = {"key", "timestamps", "cosigned", "audiences"}
BESIDE = set(
    "evidence_key timestamp_authority restored settings_changed token_made token_revoked "
    "user_added user_invited user_role_changed user_removed password_chosen password_changed "
    "second_step_set_up".split()
)
WORDS = r'[^"]*wordings?|told|attest|own_subject|own_text|own_html'


class Checked(NamedTuple):
    """Which known keys signed an export, and what its timestamps and witnesses tell."""

    signers: list[str]
    stamps: list[tuple[int, Any]]
    cosigned: list[tuple[int, int, str, str]]


def check(
    octets: bytes, *, keys: Iterable[str] = (), ca_file: str = "", witnesses: Collection[str] = ()
) -> Checked:
    """Return what an export that holds says; raise ValueError or the like if it does not."""
    export = independent_verifier.read(octets)
    need(export["format"] == "repermit-evidence/1", "another format")
    need(
        set(export) - {"key", "timestamps", "cosigned", "audiences"} == NAMES
        and type(export["list"]) is str,
        "names",
    )
    top, entries, leaves = export["checkpoint"], export["entries"], export["leaves"]
    note = top.pop("note") if "key" in export else ""
    need(set(top) == {"seq", "hash", "root"} and type(top["seq"]) is int, "names")
    need(type(entries) is type(leaves) is list and 0 < top["seq"] == len(leaves), "leaves")
    check_entries(entries, export["list"], leaves)
    check_erasures(entries)
    check_wordings(entries, export["wordings"])
    check_outcomes(entries, export.get("audiences", {}))
    points = list(points_over(leaves))
    need(points[-1] == top, "a checkpoint of other leaves")
    if "key" in export:
        independent_signatures.verify_note(note, top, export["key"])
    signers = [one for one in keys if independent_verifier.signed_by(note, top, one)]
    need(signers or not list(keys), "no signature of a key that is known")
    stamps = export.get("timestamps", [])
    need(type(stamps) is list and (stamps or "timestamps" not in export), "timestamps")
    shown = export.get("cosigned", [])
    need(type(shown) is list and (shown or "cosigned" not in export), "cosigned")
    notes = []
    for one in shown:
        need(set(one) == {"note"}, "names")
        point = independent_verifier.checkpoint_in(one["note"], export.get("key"))
        need(0 < point["seq"] <= len(points) and points[point["seq"] - 1] == point, "cosigned")
        notes.append((point["seq"], one["note"]))
    first = entries[0]["entry"]["seq"] if entries else 0
    return Checked(
        signers,
        [stamp(one, points, export.get("key"), ca_file) for one in stamps],
        independent_verifier.cosigned_by(witnesses, notes, export.get("key"), first),
    )


def check_entries(entries: list[Any], slug: str, leaves: list[str]) -> None:
    last = 0
    for one in entries:
        leaf, head = leaf_of(one), one["entry"]
        independent_verifier.check_head(head)
        need(last < head["seq"] <= len(leaves) and leaf.hex() == leaves[head["seq"] - 1], "a leaf")
        need(all(type(part["content"]) is dict for part in one["parts"].values()), "a part")
        is_beside = head["event"] == "erased" or (head["list"] == "" and head["event"] in BESIDE)
        need(head["list"] == slug or is_beside, "an entry of another list")
        last = head["seq"]


def check_erasures(entries: list[Any]) -> None:
    erased = set()
    for one in entries:
        head, told = one["entry"], one["parts"].get("consent", {}).get("content", {})
        seqs, parts = told.get("seqs"), told.get("parts")
        may = head["event"] == "erased" and (head["subject"] or head["actor"] == "job")
        if may and type(seqs) is type(parts) is list:
            numbers = [seq for seq in seqs if type(seq) is int and seq < head["seq"]]
            names = [name for name in parts if type(name) is str]
            erased |= {(head["subject"], name, seq) for name in names for seq in numbers}
    for one in entries:
        head = one["entry"]
        for name in PARTS:
            if head[name] and name not in one["parts"]:
                may = {head["subject"], ""} if name != "person" else {head["subject"]} - {""}
                named = {(subject, name, head["seq"]) for subject in may}
                need(named & erased, "a part that is gone, and no erasure names it")


class Launch(NamedTuple):
    """A launch and what came after it; `closed` are the counts, and how everybody stood then."""

    asked: int
    audience: str
    deadline: str
    deleted: list[int]
    closed: list[tuple[dict[str, int], dict[str, str]]]


def check_outcomes(entries: list[Any], audiences: dict[str, list[str]]) -> None:
    launches = launches_in(entries)
    need(set(audiences) <= {number for number, one in launches.items() if one.audience}, "asked")
    for number, launch in launches.items():
        asked = audiences[number] if launch.audience else None
        if asked is not None:
            check_audience(asked, launch)
        for counts, stood in launch.closed[-1:]:
            total = sum(counts.values())
            need(launch.asked - sum(launch.deleted) <= total <= launch.asked, "the sum")
            if asked is not None:
                check_counts(counts, stood, asked, launch)


def check_audience(asked: list[str], launch: Launch) -> None:
    need(type(asked) is list and all(type(one) is str for one in asked), "who was asked")
    need(asked == sorted(set(asked)), "the order of who was asked")
    lines = "".join(one + "\n" for one in asked)
    is_whole = len(asked) == launch.asked
    need(not is_whole or sha256(lines.encode()).hexdigest() == launch.audience, "other people")
    need(0 <= launch.asked - len(asked) <= sum(launch.deleted), "how many were asked")


def check_counts(
    counts: dict[str, int], stood: dict[str, str], asked: list[str], launch: Launch
) -> None:
    fates = [stood.get(one, "unconfirmed") for one in asked]
    unknown = fates.count("") + launch.asked - len(asked)
    for fate in {*counts, *fates} - {""}:
        least = fates.count(fate)
        need(least <= counts.get(fate, 0) <= least + unknown, "a count")


def launches_in(entries: list[Any]) -> dict[str, Launch]:
    found: dict[str, Launch] = {}
    stood: dict[str, str] = {}
    erased: set[str] = set()
    for one in entries:
        head, told = one["entry"], one["parts"].get("consent", {}).get("content", {})
        event, subject, campaign = head["event"], head["subject"], str(head["campaign"])
        if subject:
            fate = fate_after(event, told)
            if fate is not None:
                stood[subject] = "" if subject in erased else fate
            elif event == "erased":
                erased.add(subject)
            deadline = text(told, "deadline") if text(told, "reason") == "no_response" else ""
            last = found[campaign].deadline if campaign in found else ""
            need(not (deadline and last) or last == deadline <= head["at"], "another deadline")
        elif event == "launched" and type(told.get("asked")) is int:
            found[campaign] = Launch(
                told["asked"], text(told, "audience"), text(told, "deadline"), [], []
            )
        elif event == "extended" and campaign in found:
            found[campaign] = found[campaign]._replace(deadline=text(told, "to"))
        elif event == "import_undone" and type(told.get("contacts")) is int:
            for launch in found.values():
                launch.deleted.append(told["contacts"])
        elif event == "closed" and campaign in found and is_count(told.get("counts")):
            found[campaign].closed.append((told["counts"], dict(stood)))
    return found


def fate_after(event: str, told: dict[str, Any]) -> str | None:
    if event in {"removed", "import_undone", "sign_up_undone", "opted_out"}:
        return text(told, "reason") or text(told, "status")
    if event == "erased" and "imported_at" in told:
        return ""
    return STANDING.get(event)


def is_count(counts: Any) -> bool:
    return type(counts) is dict and all(type(count) is int for count in counts.values())


def text(told: dict[str, Any], name: str) -> str:
    return told[name] if type(told.get(name)) is str else ""


def check_wordings(entries: list[Any], wordings: dict[str, str]) -> None:
    told = [one["parts"].get("consent", {}).get("content", {}) for one in entries]
    need(
        {digest for one in told for digest in named_in(one, named=False)} == set(wordings), "named"
    )
    for digest, text in wordings.items():
        need(sha256(text.encode()).hexdigest() == digest, "a wording")


def named_in(value: Any, *, named: bool) -> Iterator[str]:
    if type(value) is dict:
        for name, inner in value.items():
            yield from named_in(inner, named=bool(named or match(WORDS, name)))
    elif named and type(value) is str and match("[0-9a-f]{64}", value):
        yield value


def points_over(leaves: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the checkpoint after each leaf (RFC 9162 §2.1.1)."""
    trees: list[tuple[int, bytes]] = []
    link = bytes(32)
    for seq, text in enumerate(leaves, start=1):
        leaf = unhex(text)
        link = sha256(link + leaf).digest()
        trees.append((1, sha256(b"\x00" + leaf).digest()))
        while len(trees) > 1 and trees[-1][0] == trees[-2][0]:
            (size, left), (_, right) = trees[-2:]
            trees[-2:] = [(2 * size, sha256(b"\x01" + left + right).digest())]
        root = trees[-1][1]
        for _, left in reversed(trees[:-1]):
            root = sha256(b"\x01" + left + root).digest()
        yield {"seq": seq, "hash": link.hex(), "root": root.hex()}


def stamp(one: Any, points: list[dict[str, Any]], key: str | None, ca_file: str) -> tuple[int, Any]:
    need(set(one) == {"note", "reply"}, "names")
    point = independent_verifier.checkpoint_in(one["note"], key)
    need(0 < point["seq"] <= len(points) and points[point["seq"] - 1] == point, "another record")
    return point["seq"], independent_verifier.stamped_at(one, ca_file)
