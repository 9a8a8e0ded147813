"""What people answer: Yes, No, and signing up anew.

May import contacts, evidence, models, messages, links, consent and what lies below.
"""

from repermit.answers.facts import Happening, Recorded, SignedUp, SignUpFacts, Standing, Trace
from repermit.answers.history import history
from repermit.answers.looking import find_joinable, foresee, join_id, look_up
from repermit.answers.recording import answer_for, record_answer
from repermit.answers.signing_up import confirm_sign_up, look_up_sign_up, sign_up

__all__ = [
    "Happening",
    "Recorded",
    "SignUpFacts",
    "SignedUp",
    "Standing",
    "Trace",
    "answer_for",
    "confirm_sign_up",
    "find_joinable",
    "foresee",
    "history",
    "join_id",
    "look_up",
    "look_up_sign_up",
    "record_answer",
    "sign_up",
]
