"""What people answer: Yes, No, and signing up anew.

May import contacts, evidence, models, messages, links, consent, suspicion and what lies below.
"""

from repermit.answers.confirming import confirm_sign_up, decline_sign_up, look_up_sign_up
from repermit.answers.facts import (
    Giver,
    PageShown,
    Recorded,
    SignedUp,
    SignUpFacts,
    Standing,
    Trace,
)
from repermit.answers.looking import find_joinable, foresee, join_id, look_up
from repermit.answers.pending import Pending, Seen
from repermit.answers.recording import answer_for, disown, record_answer
from repermit.answers.signing_up import forget_old_sign_ups, sign_up

__all__ = [
    "Giver",
    "PageShown",
    "Pending",
    "Recorded",
    "Seen",
    "SignUpFacts",
    "SignedUp",
    "Standing",
    "Trace",
    "answer_for",
    "confirm_sign_up",
    "decline_sign_up",
    "disown",
    "find_joinable",
    "foresee",
    "forget_old_sign_ups",
    "join_id",
    "look_up",
    "look_up_sign_up",
    "record_answer",
    "sign_up",
]
