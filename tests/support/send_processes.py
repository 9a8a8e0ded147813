"""`repermit send` as processes of their own, and a campaign that is large enough to kill them in.

Imports models and what lies below, and repermit through the command line.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from repermit.clock import ManualClock, SystemClock
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, MailKind, Status
from tests.support.builders import NOW, put_in
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk
from tests.support.sending_campaign import make_story
from tests.support.smtp_sink import Sink


def make_desk(folder: Path, database_url: str, sink: Sink, **mail: int) -> Desk:
    """Return a desk that sends to a sink, with more settings of mail if there are any."""
    desk = Desk(folder, database_url=database_url, inbox=sink)
    # A process goes by the machine's clock.
    desk.clock = ManualClock(SystemClock().now(), ticking=True)
    with desk.config.open("a", encoding="utf-8") as file:
        # Its last table is [mail].
        file.writelines(f"{name} = {value}\n" for name, value in mail.items())
    return desk


def owe_all(desk: Desk, addresses: Sequence[str]) -> None:
    """Launch a campaign that owes an ask to each of these."""
    now = desk.clock.now()
    with desk.database() as database:
        moments = {"launched_at": now, "starts_at": now, "deadline": now + timedelta(days=60)}
        story = make_story(database, desk.settings, state=CampaignState.SENDING, **moments)
        news = story.mailing_list
        put_in(database, Contact, [_contact(news.id, address) for address in addresses])
        query: Any = Contact.select(Contact.id).order_by(Contact.id).tuples()
        asks = [
            {
                "list": news,
                "campaign": story.campaign,
                "contact": contact,
                "kind": MailKind.ASK,
                "due_at": now,
                "message_id": "",
            }
            for (contact,) in query
        ]
        put_in(database, Mail, asks)


def _contact(news: int, address: str) -> dict[str, Any]:
    return {
        "list": news,
        "uid": new_id(),
        "subject": new_id(),
        "address": address,
        "address_key": address,
        "name": "Anna",
        "source": "the counter",
        "status": Status.UNCONFIRMED,
        "status_at": NOW,
    }


class Sender:
    """`repermit send`, under way from `with` to its end."""

    def __init__(self, desk: Desk) -> None:
        self.process = subprocess.Popen(
            [REPERMIT, "--config", desk.config, "send"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> str:
        """Wait until it has done what there was to do; return what it said."""
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said

    def give_up(self) -> str:
        """Wait until it has found that it cannot go on; return what it said."""
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 1, said
        return said

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.communicate(timeout=60)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Put it to sleep as a laptop's lid does, until the end of the block."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.kill()
