"""What happens to a contact: status, evidence, suppression and unsent mails, always together.

And what makes a campaign pause by itself. May import evidence, schema, models and what lies below.
"""

from repermit.contacts.braking import (
    Tally,
    apply_brake,
    end_pilot,
    finish_pilots,
    pause_by_itself,
    release_brake,
    tally,
)
from repermit.contacts.changing import Act, confirm, drop_unsent, erase, remove
from repermit.contacts.looking import (
    fingerprint_of,
    is_suppressed,
    is_undecided,
    list_facts,
    lock,
    new_contact,
    unasked,
)
from repermit.contacts.replying import (
    WaitingReply,
    forget_replies,
    keep_reply,
    replied_at,
    settle_replies,
    waiting_replies,
)

__all__ = [
    "Act",
    "Tally",
    "WaitingReply",
    "apply_brake",
    "confirm",
    "drop_unsent",
    "end_pilot",
    "erase",
    "fingerprint_of",
    "finish_pilots",
    "forget_replies",
    "is_suppressed",
    "is_undecided",
    "keep_reply",
    "list_facts",
    "lock",
    "new_contact",
    "pause_by_itself",
    "release_brake",
    "remove",
    "replied_at",
    "settle_replies",
    "tally",
    "unasked",
    "waiting_replies",
]
