"""What people may do about what is held of them, what can be proved of it, and when it goes.

May import contacts, evidence, models, messages, consent and what lies below.
"""

from repermit.rights.beyond import Beyond, TakenFile, beyond
from repermit.rights.correcting import ask_new_address, confirm_new_address, correct
from repermit.rights.document import FORMAT, document
from repermit.rights.facts import (
    Entry,
    HandedOn,
    Held,
    Letter,
    Link,
    LinkOpened,
    Moved,
    Opened,
    Openings,
    Recipient,
    SignUp,
    Suppressed,
    Term,
)
from repermit.rights.forgetting import Forgetting, Forgotten, Found, forget, forget_contact, is_user
from repermit.rights.holding import everything_held
from repermit.rights.leaving import delete, say_not_the_person
from repermit.rights.linking import ask_for_link, find_link, find_opened, open_link
from repermit.rights.proving import Proof, prove, prove_contact
from repermit.rights.proving_all import Proofs, proving_all
from repermit.rights.purging import Due, due, purge_due
from repermit.rights.retaining import Ended, end_parts
from repermit.rights.sharing import write_suppressions
from repermit.rights.showing import proof_page
from repermit.rights.standing import standing
from repermit.rights.suppression_import import (
    SuppressionImportResult,
    finish_suppression_imports,
    import_suppressions,
)
from repermit.rights.telling import Told, telling

__all__ = [
    "FORMAT",
    "Beyond",
    "Due",
    "Ended",
    "Entry",
    "Forgetting",
    "Forgotten",
    "Found",
    "HandedOn",
    "Held",
    "Letter",
    "Link",
    "LinkOpened",
    "Moved",
    "Opened",
    "Openings",
    "Proof",
    "Proofs",
    "Recipient",
    "SignUp",
    "Suppressed",
    "SuppressionImportResult",
    "TakenFile",
    "Term",
    "Told",
    "ask_for_link",
    "ask_new_address",
    "beyond",
    "confirm_new_address",
    "correct",
    "delete",
    "document",
    "due",
    "end_parts",
    "everything_held",
    "find_link",
    "find_opened",
    "finish_suppression_imports",
    "forget",
    "forget_contact",
    "import_suppressions",
    "is_user",
    "open_link",
    "proof_page",
    "prove",
    "prove_contact",
    "proving_all",
    "purge_due",
    "say_not_the_person",
    "standing",
    "telling",
    "write_suppressions",
]
