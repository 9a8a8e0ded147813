"""Finding the mail of ours that a message is about, by marks that only we can have made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from repermit.db.models.mails import Mail
from repermit.emails import message_id
from repermit.errors import LinkError

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import Traces


def find_mail(traces: Traces, keys: Sequence[bytes]) -> Mail | None:
    """Return the mail that the first good mark names, or None.

    `keys` are all secret keys. A mark whose signature does not hold is passed over, and so is one
    of a mail that is gone. Whom a report calls its recipient is not looked at: anybody can write
    that, and a forwarded mail fails elsewhere than we sent it.
    """
    for number in _numbers(traces, keys):
        found: Mail | None = Mail.get_or_none(Mail.id == number)
        if found is not None:
            return found
    return None


def _numbers(traces: Traces, keys: Sequence[bytes]) -> Iterator[int]:
    yield from _signed(traces.return_paths, message_id.read_return_path, keys)
    yield from _signed(traces.message_ids, message_id.read_message_id, keys)


def _signed(
    marks: Sequence[str], read: Callable[[str, Sequence[bytes]], int], keys: Sequence[bytes]
) -> Iterator[int]:
    for mark in marks:
        try:
            yield read(mark, keys)
        except LinkError:
            continue
