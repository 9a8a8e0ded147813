"""One worker's shift: it claims and sends what is due until nothing is.

May import mailer, contacts and what lies below, and all of this room.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from repermit.consent import MailState
from repermit.delivery.engine import Engine
from repermit.delivery.letters import Letters
from repermit.delivery.pacing import Rates
from repermit.delivery.supply import Supply
from repermit.delivery.worker import Worker
from repermit.mailer import Mailer
from repermit.models import waiting_without_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database, MailingList


def work_shift(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    mailing_list: MailingList | None,
    tell: Callable[[int, MailState], None],
    should_stop: Callable[[], bool],
    look_after: Callable[[], None],
    worker: Worker | None = None,
    mailer: Mailer | None = None,
) -> str:
    """Send what is due, of one list or of all; return what ended it early, "" if nothing did.

    `tell` hears what has become of each mail, by its number; `look_after` is called all the time,
    for what else there is to do. Raises ConfigError for a mail server
    that cannot even be tried.
    """
    with nullcontext(worker) if worker else Worker.enter(settings) as mine:
        supply = Supply(
            database,
            worker=mine.id,
            fingerprint_key=settings.fingerprint_key,
            rates=Rates.of(settings.mail),
            clock=clock,
            mailing_list=mailing_list,
            at_first=4 * settings.mail.connections,
            on_drop=lambda number, _: tell(number, MailState.DROPPED),
        )
        engine = Engine(
            database,
            settings=settings,
            clock=clock,
            worker=mine.id,
            mailer=mailer or Mailer(settings.mail),
            supply=supply,
            letters=Letters(settings),
            tell=tell,
            should_stop=should_stop,
            look_after=look_after,
        )
        # What a server has accepted must be kept, whoever holds the database.
        with waiting_without_limit(database):
            engine.run()
        return engine.fault
