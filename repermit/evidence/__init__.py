"""The append-only, hash-chained record of answers, removals and admins' acts.

May import models and what lies below. An entry names a person by a random subject only; what is
personal stands in up to three salted parts, whose digests the entry holds. Over the entries' leaves
stands a Merkle tree (RFC 9162), whose root a checkpoint carries elsewhere.
"""

from repermit.evidence.agreeing import Agreement, agreement, shown_to_go_on
from repermit.evidence.apart import Walk, last_walk, walk_apart
from repermit.evidence.appending import append, erase_parts, erase_parts_of, keep_wording
from repermit.evidence.checking import Verified, verify, verify_chain
from repermit.evidence.checking_proofs import Checked, check_proof, faults_of_consistency
from repermit.evidence.erased_proofs import TERMS_TOLD_SINCE
from repermit.evidence.erasures import erased_as
from repermit.evidence.events import EVENTS
from repermit.evidence.facts import Checkpoint, Entry
from repermit.evidence.faults import Fault, How
from repermit.evidence.gathering import (
    entries_about,
    entries_about_each,
    entries_between,
    entry_at,
    hash_before,
    told_elsewhere,
    wordings_of,
)
from repermit.evidence.kept_counts import TALLIED_UPTO
from repermit.evidence.leaves import PARTS, canonical, leaf, part_digest
from repermit.evidence.proofs import LARGEST as LARGEST_PROOF
from repermit.evidence.proofs import is_about, told_by
from repermit.evidence.tallied_days import TALLIED_AFTER, TALLIED_IN, tallied_zones
from repermit.evidence.tree import (
    Paths,
    check_consistency,
    check_inclusion,
    checkpoint,
    checkpoint_at,
    consistency,
    grow_tree,
    inclusion,
)

__all__ = [
    "EVENTS",
    "LARGEST_PROOF",
    "PARTS",
    "TALLIED_AFTER",
    "TALLIED_IN",
    "TALLIED_UPTO",
    "TERMS_TOLD_SINCE",
    "Agreement",
    "Checked",
    "Checkpoint",
    "Entry",
    "Fault",
    "How",
    "Paths",
    "Verified",
    "Walk",
    "agreement",
    "append",
    "canonical",
    "check_consistency",
    "check_inclusion",
    "check_proof",
    "checkpoint",
    "checkpoint_at",
    "consistency",
    "entries_about",
    "entries_about_each",
    "entries_between",
    "entry_at",
    "erase_parts",
    "erase_parts_of",
    "erased_as",
    "faults_of_consistency",
    "grow_tree",
    "hash_before",
    "inclusion",
    "is_about",
    "keep_wording",
    "last_walk",
    "leaf",
    "part_digest",
    "shown_to_go_on",
    "tallied_zones",
    "told_by",
    "told_elsewhere",
    "verify",
    "verify_chain",
    "walk_apart",
    "wordings_of",
]
