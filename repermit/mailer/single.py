"""One mail over a line, and wait for what becomes of it.

May import messages, errors, and of this room the dialogue and its replies.
"""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from repermit.errors import OutcomeUnknown, TransportError
from repermit.mailer.dialogue import Accepted, Envelope, Garbled, Ready
from repermit.mailer.replies import ENDED, GARBLED, PERHAPS, SILENT
from repermit.messages import letter_of

if TYPE_CHECKING:
    from repermit.mailer.dialogue import Event
    from repermit.mailer.line import Line
    from repermit.mailer.replies import Reply
    from repermit.messages import Letter, Mail
    from repermit.messages.signing import Signer
    from repermit.saying import Said


def hand_over(line: Line, mail: Mail, *, patience: float, signer: Signer | None = None) -> Reply:
    """Send a mail and return the reply that accepts it; each may take `patience` seconds.

    `signer` signs it first, None leaves it unsigned. Raises TransportError if the server has surely
    not accepted it, and OutcomeUnknown if the dot may have left but no reply could be read
    (RFC 5321 §4.5.3.2.6).
    """
    letter = letter_of(mail)
    if signer is not None:
        letter = signer.signed(letter)
    try:
        return _converse(line, letter, patience)
    except TimeoutError:
        raise _lost(line, SILENT) from None
    except OSError:
        raise _lost(line, ENDED) from None


def _converse(line: Line, letter: Letter, patience: float) -> Reply:
    line.offer(
        Envelope(letter.envelope_from, letter.envelope_to, letter.size, letter.needs_smtputf8)
    )
    while True:
        for event in _hear(line, patience):
            match event:
                case Accepted(reply):
                    return reply
                case Ready():
                    line.send_body(letter.wire, None)
                case Garbled():
                    raise _lost(line, GARBLED)
                case _:
                    raise event.error


def _hear(line: Line, patience: float) -> list[Event]:
    """Wait until the server says something, or the system takes more of what is to be sent."""
    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.has_more_to_send else 0)
    with selectors.DefaultSelector() as selector:
        selector.register(line, wanted)
        if not selector.select(patience):
            raise TimeoutError
    return line.pull()


def _lost(line: Line, why: Said) -> TransportError:
    if line.may_have_sent_dot:
        return OutcomeUnknown(0, reason=PERHAPS)
    return TransportError(0, reason=why)
