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
from repermit.contacts.finding import AddressStanding, address_standing
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
    set_aside,
    settle_replies,
    waiting_replies,
)
from repermit.contacts.requesting import ByHand, add_by_hand, find_contact, remove_at_request
from repermit.contacts.searching import Found, by_letter, count_contacts, find_contacts
from repermit.contacts.timeline import Moment, timeline

__all__ = [
    "Act",
    "AddressStanding",
    "ByHand",
    "Found",
    "Moment",
    "Tally",
    "WaitingReply",
    "add_by_hand",
    "address_standing",
    "apply_brake",
    "by_letter",
    "confirm",
    "count_contacts",
    "drop_unsent",
    "end_pilot",
    "erase",
    "find_contact",
    "find_contacts",
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
    "remove_at_request",
    "replied_at",
    "set_aside",
    "settle_replies",
    "tally",
    "timeline",
    "unasked",
    "waiting_replies",
]
