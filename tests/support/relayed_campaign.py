"""A campaign through two real mail servers: the organisation's own, and the rest of the world.

Whose mail ends how stands in FATES. Nothing leaves 127.0.0.1: what a name server or a far server
would say of a dead domain is what Postfix says of one.
"""

from __future__ import annotations

import email
import email.policy
import smtplib
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from repermit.clock import SystemClock
from repermit.rules.consent import CampaignState
from tests.support.desk import Desk
from tests.support.mail_servers import AS_NOBODY, NOBODY, Dovecot, Postfix, give_to, wait_until
from tests.support.sending_campaign import make_story

RETURNS = "bounces.example.org"
SENDER = "news@example.org"


class Ending(NamedTuple):
    """What is recorded of a person: status, reason, what came back, its code, a reply's answer.

    The last is "?" for a reply that says neither, and "" where there is none.
    """

    status: str
    reason: str = ""
    bounce: str = ""
    code: str = ""
    reply: str = ""


REACHED = Ending("unconfirmed")
FATES: Mapping[str, tuple[str, int, Ending]] = {
    "fine": ("people.example", 90, REACHED),
    # A Sieve script that answers people, but no mail of this kind.
    "vacation": ("people.example", 10, REACHED),
    # A mail program that answers whatever comes.
    "away": ("people.example", 10, REACHED),
    # Their server refuses them at once, or takes the mail and finds out behind.
    "gone": ("people.example", 15, Ending("removed", "bounce", "hard", "5.1.1")),
    "unknown": ("users.example", 10, Ending("removed", "bounce", "hard", "5.1.1")),
    # They have the mail; its copy went on to an address that there is no more.
    "alias": ("alias.example", 15, Ending("unconfirmed", "", "soft", "5.4.4")),
    "full": ("people.example", 10, Ending("unconfirmed", "", "soft", "5.2.2")),
    "dead": ("dead.example", 10, Ending("removed", "bounce", "hard", "5.4.4")),
    "nomail": ("nullmx.example", 5, Ending("removed", "bounce", "hard", "5.1.0")),
    "blocked": ("blocked.example", 10, Ending("unconfirmed", "", "soft", "5.7.1")),
    "slow": ("slow.example", 5, Ending("unconfirmed", "", "soft", "4.4.1")),
    "nee": ("people.example", 5, Ending("unconfirmed", reply="no")),
    # Their "nee" comes from another address, which their mail is forwarded to.
    "forwarded": ("people.example", 5, Ending("unconfirmed", reply="?")),
}
_RETURNED = ("gone", "unknown", "alias", "full", "dead", "nomail", "blocked")
_KEPT = ("fine", "vacation", "away", "full", "nee", "forwarded")

_FAR = """
virtual_mailbox_domains = people.example
virtual_mailbox_maps = regexp:${{config_directory}}/people
virtual_transport = lmtp:unix:{lmtp}
virtual_alias_domains = alias.example
virtual_alias_maps = regexp:${{config_directory}}/aliases
relay_domains = users.example blocked.example
transport_maps = texthash:${{config_directory}}/transport
smtpd_recipient_restrictions =
  check_recipient_access regexp:${{config_directory}}/access, permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
# Whoever's mail cannot be brought for a second is told.
delay_warning_time = 1s
"""
_TRANSPORT = """
users.example    lmtp:unix:{lmtp}
dead.example     error:5.4.4 Host or domain name not found. Name service error for \
name=dead.example type=A: Host not found
nullmx.example   error:5.1.0 Domain nullmx.example does not accept mail (nullMX)
slow.example     retry:4.4.1 connect to mx.slow.example[192.0.2.25]:25: Connection timed out
bounces.example.org  smtp:[127.0.0.1]:{near}
example.org      smtp:[127.0.0.1]:{near}
"""
_ACCESS = r"""
/^gone[0-9]+@people\.example$/  550 5.1.1 User unknown in virtual mailbox table
/@blocked\.example$/  554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using \
zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1
"""
_ALIASES = "/^(alias[0-9]+)@alias\\.example$/  fine$1@people.example, $1@dead.example\n"
_VACATION = 'require "vacation";\nvacation :days 1 :subject "Weg" "Ik ben er niet.";\n'

_WHAT_IS_RECORDED = """
SELECT contact.address, contact.status, coalesce(contact.reason, ''), mail.bounce,
    mail.bounce_status, coalesce(CASE reply.proposed WHEN '' THEN '?' ELSE reply.proposed END, '')
FROM contact JOIN mail ON mail.contact_id = contact.id
LEFT JOIN reply ON reply.contact_id = contact.id AND reply.decided_at IS NULL
"""


@dataclass
class Setting:
    """How mails come back to repermit: lines for each program, in the words of its files."""

    config: str = ""
    near: str = ""
    near_files: Mapping[str, str] = field(default_factory=dict)
    near_master: str = ""
    dovecot: str = ""
    compiled: tuple[Path, ...] = ()
    users: tuple[str, ...] = (SENDER,)


class RelayedCampaign:
    """The servers and the asks; of all people one in `share` is asked.

    Everything of repermit runs as a user who may do nothing but what its folder lets them.
    """

    def __init__(self, folder: Path, *, share: int = 1) -> None:
        self.folder = folder
        self.house = folder / "repermit"
        self.script = self.house / "venv/bin/repermit"
        self.near, self.far = Postfix(folder, "post.example.org"), Postfix(folder, "mx.example")
        self.dovecot = Dovecot(folder)
        self.people = {
            f"{fate}{number}@{domain}": fate
            for fate, (domain, count, _) in FATES.items()
            for number in range(-(-count // share))
        }

    @contextmanager
    def running(self, setting: Setting) -> Iterator[None]:
        """Run the servers, with the list and its campaign in the database."""
        with ExitStack() as servers:
            self._start(setting, servers)
            self._prepare(setting)
            yield

    def _start(self, setting: Setting, servers: ExitStack) -> None:
        users = {one: "" for one in self.people if self.people[one] in _KEPT}
        users |= {one: "userdb_quota_storage_size=1k" for one in users if one.startswith("full")}
        users |= {f"fine{one.partition('@')[0]}@people.example": "" for one in self._of("alias")}
        users |= dict.fromkeys(setting.users, "")
        far = f"127.0.0.1:{self.far.port}"
        self.dovecot.start(users, submission=far, more=setting.dovecot, compiled=setting.compiled)
        servers.push(self.dovecot)
        for one in self._of("vacation"):
            (self.dovecot.home / "sieve" / f"{one}.sieve").write_text(_VACATION)
        self.far.start(
            _FAR.format(lmtp=self.dovecot.lmtp),
            files={
                "people": f"/^({'|'.join(_KEPT)})(alias)?[0-9]+@people\\.example$/  ok\n",
                "aliases": _ALIASES,
                "transport": _TRANSPORT.format(lmtp=self.dovecot.lmtp, near=self.near.port),
                "access": _ACCESS,
            },
        )
        servers.push(self.far)
        near = f"virtual_transport = lmtp:unix:{self.dovecot.lmtp}\nrelayhost = [127.0.0.1]:"
        self.near.start(
            f"{near}{self.far.port}\n{setting.near}",
            master=setting.near_master,
            files=setting.near_files,
        )
        servers.push(self.near)

    def _prepare(self, setting: Setting) -> None:
        url = f"sqlite:///{self.house}/repermit.db"
        desk = Desk(self.house, database_url=url, inbox=self.near)  # type: ignore[arg-type]
        with desk.config.open("a") as stream:
            stream.write(f'return_path = "verp"\nreturn_domain = "{RETURNS}"\n{setting.config}')
            stream.write("[campaign]\npause_at_bounce_percent = 100\n")
        now = SystemClock().now()
        times = {"launched_at": now, "starts_at": now, "deadline": now + timedelta(days=28)}
        with desk.database() as database:
            story = make_story(database, desk.settings, state=CampaignState.SENDING, **times)
            story.mailing_list.sender = f"Praktijk De Linde <{SENDER}>"
            with database.atomic():
                story.mailing_list.save()
            for one in self.people:
                story.owe(one)
        give_to(NOBODY, self.house)

    def as_nobody(self, *command: str) -> subprocess.Popen[str]:
        """Give a command of repermit."""
        log = (self.folder / "commands.log").open("a")
        with log:
            return subprocess.Popen(
                [self.script, "--config", str(self.house / "config.toml"), *command],
                **AS_NOBODY,
                cwd=self.house,
                stdout=log,
                stderr=log,
                text=True,
            )

    def send(self) -> None:
        """Send all asks, let those who write back do so, and wait until all has come that will."""
        assert self.as_nobody("send").wait() == 0, self.logged()
        wait_until(self._all_have_it, self.logged)
        for one in self._of("away"):
            self._answer(one, "Ik ben er niet.", subject="Automatic reply: ", sender=one)
        for one in self._of("nee"):
            self._answer(one, "Nee", subject="Re: ", sender=one)
        for one in self._of("forwarded"):
            self._answer(one, "Nee", subject="Re: ", sender=f"new-{one}")

    def _all_have_it(self) -> bool:
        ends = [one for one in self.people if self.people[one] in _KEPT and "full" not in one]
        ends += [f"fine{one.partition('@')[0]}@people.example" for one in self._of("alias")]
        return all(map(self.dovecot.mails, ends))

    def _of(self, fate: str) -> list[str]:
        return [one for one in self.people if self.people[one] == fate]

    def _answer(self, reader: str, text: str, *, subject: str, sender: str) -> None:
        """Write back, to where a program or a person would."""
        asked = email.message_from_bytes(self.dovecot.mails(reader)[0], policy=email.policy.SMTP)
        is_program = subject.startswith("Auto")
        answer = EmailMessage()
        answer["From"], answer["Subject"] = sender, f"{subject}{asked['Subject']}"
        answer["To"] = asked["Return-Path"].strip("<>") if is_program else SENDER
        answer["In-Reply-To"] = asked["Message-ID"]
        answer["Message-ID"] = f"<{sender.replace('@', '-')}@people.example>"
        if is_program:
            answer["Auto-Submitted"] = "auto-replied"
        answer.set_content(text)
        with smtplib.SMTP("127.0.0.1", self.far.port) as connection:
            connection.send_message(answer, from_addr="" if is_program else sender)

    @property
    def returned(self) -> int:
        """Return how many messages come back in all."""
        count = Counter(self.people.values())
        fates = (*_RETURNED, "away", "slow", "nee", "forwarded")
        return sum(count[fate] for fate in fates)

    def expected(self) -> dict[str, Ending]:
        """Return what has to be recorded of each."""
        return {one: FATES[fate][2] for one, fate in self.people.items()}

    def recorded(self) -> dict[str, Ending]:
        """Return what is recorded of each, read past repermit."""
        opened = sqlite3.connect(f"file:{self.house}/repermit.db?mode=ro", uri=True)
        try:
            rows: list[Any] = opened.execute(_WHAT_IS_RECORDED).fetchall()
        finally:
            opened.close()
        return {address: Ending(*values) for address, *values in rows}

    def differences(self) -> dict[str, tuple[Ending | None, Ending]]:
        """Return of whom something else is recorded than has to be: what is, and what has to be."""
        recorded = self.recorded()
        pairs = {one: (recorded.get(one), ending) for one, ending in self.expected().items()}
        return {one: pair for one, pair in pairs.items() if pair[0] != pair[1]}

    def wait_for_verdicts(self) -> None:
        """Wait until all is recorded that has to be."""
        while left := len(self.differences()):
            # As long as another one follows, however slowly.
            wait_until(
                lambda left=left: len(self.differences()) < left,  # type: ignore[misc]
                lambda: (self.differences(), self.logged()),
            )

    def logged(self) -> str:
        """Return what all programs have said, the ends of it."""
        logs = [self.near.logged(), self.far.logged(), self.dovecot.logged()]
        commands = self.folder / "commands.log"
        logs.append(commands.read_text() if commands.exists() else "")
        return "\n\n".join(log[-4000:] for log in logs)
