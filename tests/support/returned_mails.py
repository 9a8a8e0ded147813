"""Messages that came back, as files, with the marks of a mail of ours filled in.

Imports messages and what lies below.
"""

from __future__ import annotations

from pathlib import Path

from repermit.db.models.mails import Mail
from repermit.emails import message_id as emails_message_id
from tests.support.builders import make_settings

FOLDER = Path(__file__).parents[1] / "data/bounces"
NAMES = sorted(path.stem for path in FOLDER.glob("*.eml"))
KEY = make_settings().secret_keys[-1]


def verp_of(mail: Mail, *, key: bytes = KEY) -> str:
    """Return the envelope sender of a mail that has one of its own."""
    return emails_message_id.make_return_path(
        "verp", sender="praktijk@example.org", mail_id=mail.id, owner=_owner_of(mail), key=key
    )


def message_id_of(mail: Mail, *, key: bytes = KEY) -> str:
    """Return the Message-ID of a mail."""
    return emails_message_id.make_message_id(
        mail.id, _owner_of(mail), sender_domain="example.org", key=key
    )


def _owner_of(mail: Mail) -> str:
    owner = mail.sign_up or mail.contact
    return owner.uid if owner is not None else ""


def returned(name: str, *, verp: str = "", message_id: str = "") -> bytes:
    """Return a file with these marks in it; without a mark it is as a server that hides it."""
    raw = (FOLDER / f"{name}.eml").read_bytes()
    raw = raw.replace(b"@VERP@", verp.encode() or b"praktijk@example.org")
    return raw.replace(b"@MESSAGE_ID@", message_id.encode() or b"<hidden@example.org>")


def returned_for(name: str, mail: Mail) -> bytes:
    """Return a file about a mail of ours and whom it went to, with both marks."""
    raw = returned(name, verp=verp_of(mail), message_id=message_id_of(mail))
    address = mail.contact.address if mail.contact is not None else None
    return raw.replace(b"jan@example.net", (address or "jan@example.net").encode())


def reply_to(mail: Mail, text: str, *, sender: str = "jan@example.net", number: int = 1) -> bytes:
    """Return what a person wrote back."""
    return (
        f"From: Jan <{sender}>\nSubject: Re: news\nMessage-ID: <{number}@example.net>\n"
        f"In-Reply-To: {message_id_of(mail)}\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
    ).encode()
