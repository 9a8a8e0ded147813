"""Links for one use, as tests ask for them and open them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import FreshLink
from repermit.privacy import data_links, rectification
from repermit.privacy.data_links import OpenedLink
from repermit.settings.definitions import Settings
from tests.support.builders import NOW

TRACE = {"network": "198.51.100.0/24", "browser": "Firefox"}


def newest(purpose: str = "see") -> FreshLink:
    """Return the newest link of a purpose."""
    query = FreshLink.select().where(FreshLink.purpose == purpose)
    found: FreshLink = query.order_by(FreshLink.id.desc()).get()
    return found


def asked_for(database: Database, contact: Contact, *, now: datetime = NOW) -> FreshLink:
    """Ask for a link and return it."""
    data_links.ask_for_link(database, uid=contact.uid, language="nl", now=now)
    return newest()


def opened_for(database: Database, contact: Contact, *, now: datetime = NOW) -> OpenedLink:
    """Ask for a link, open it, and return what it opened."""
    link = asked_for(database, contact, now=now)
    opened = data_links.open_link(database, uid=link.uid, now=now)
    assert opened is not None
    return opened


def correct_address(database: Database, settings: Settings, contact: Contact, address: str) -> None:
    """Have a person correct their address, by the links that they get."""
    access = opened_for(database, contact).authority
    rectification.ask_new_address(
        database, authority=access, address=address, language="en", now=NOW
    )
    uid = newest("address").uid
    rectification.confirm_new_address(database, uid=uid, settings=settings, now=NOW, trace=TRACE)


def at_once(database: Database, *acts: Callable[[], object]) -> list[object]:
    """Do these things at the same time, each on a connection of its own; return what they gave."""
    start = threading.Barrier(len(acts))
    done: list[object] = []

    def run(act: Callable[[], object]) -> None:
        with database.connection_context():
            start.wait()
            done.append(act())

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done
