"""The steps of `campaign.txt`, done one after the other; what they show goes into a book."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyotp
import xlsxwriter
from justhtml import JustHTML
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from tests.golden.system import System, list_commands
from tests.golden.text import Book, render_command, render_mail
from tests.support.inbox import HANG_UP, Inbox
from tests.support.webhook_receiver import Receiver

if TYPE_CHECKING:
    from flask.testing import FlaskClient

FOLDER = Path(__file__).parent
PUBLIC_URL = "https://ask.example.org"
LINK = re.compile(rf"{PUBLIC_URL}(/(yes|no|me|confirm|fresh|address|receipt)/[\w.-]+)")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class Script:
    """The campaign in the current folder; `play` runs it through."""

    def __init__(self, system: System, book: Book, inbox: Inbox, receiver: Receiver) -> None:
        self._system = system
        self._book = book
        self._inbox = inbox
        self._receiver = receiver
        self._values: dict[str, str] = {}
        self._headers: dict[str, str] = {"Accept-Language": "en"}
        self._user = ""
        self._client: FlaskClient | None = None
        self._pages = contextlib.ExitStack()
        self._shown = ""
        self._refused: dict[str, str] = {}
        self._mails: dict[str, int] = {}
        self._first_mails: dict[str, str] = {}
        self._run: set[tuple[str, ...]] = set()
        self._visited: set[tuple[str, str]] = set()

    def play(self) -> None:
        """Do every step, and keep what is left at the end."""
        shutil.copytree(FOLDER / "input", ".", dirs_exist_ok=True)
        Path("config.toml").chmod(0o600)
        _write_workbook("members.xlsx")
        self._inbox.reply_to_rcpt = self._refused.get
        for line, name, step in _read_steps((FOLDER / "campaign.txt").read_text("utf-8")):
            try:
                self._do(name, step)
            except Exception as error:
                error.add_note(f"at line {line} of campaign.txt: {step}")
                raise
        self._keep_database()
        self._keep_coverage()
        self._book.keep_digests()

    def _do(self, name: str, step: str) -> None:
        """Do one step; what it shows is kept under its name, if it has one."""
        # No two acts have one moment, as on any real clock.
        self._system.clock.advance(timedelta(seconds=1))
        verb, _, rest = step.partition(" ")
        if verb == "remember":
            # A regular expression is no shell word.
            word, _, pattern = rest.partition(" ")
            self._values[word] = re.findall(pattern, self._shown)[0]
            return
        words = [self._fill_in(word) for word in shlex.split(rest)]
        if verb == "repermit":
            self._run_command(name, words)
        elif verb == "SEND":
            self._send_form(name, *words)
        elif verb.isupper():
            self._request(name, verb, *words)
        else:
            getattr(self, f"_do_{verb.replace('-', '_')}")(*words)

    def _fill_in(self, word: str) -> str:
        """Put values and links into a word."""
        return re.sub(r"\{([\w-]+)(?:\.(\w+))?\}", lambda found: self._value(*found.groups()), word)

    def _value(self, name: str, kind: str | None) -> str:
        if kind is None:
            return self._values[name]
        if name == "code":
            return pyotp.TOTP(self._values[f"secret-{kind}"]).at(self._system.clock.now())
        for mail in reversed(self._inbox.to(f"{name}@example.org")):
            body = mail.message.get_body(("plain",))
            assert body is not None
            found = [path for path, its in LINK.findall(body.get_content()) if its == kind]
            if found:
                return str(found[0])
        raise LookupError((name, kind))

    # --- Commands and jobs.

    def _run_command(self, name: str, words: list[str]) -> None:
        self._close_pages()
        ran = self._system.run(*words)
        command = words[2:] if words[0] == "--config" else words
        self._run |= {tuple(command[:length]) for length in range(len(command) + 1)}
        self._shown = ran.out.decode()
        self._book.keep(f"cli/{name}.txt", render_command(words, ran))
        if "-o" in words and ran.code == 0:
            self._do_file(words[words.index("-o") + 1])
        self._keep_mails()

    def _do_help(self) -> None:
        for words in list_commands():
            given = (*words, "--help")
            name = "-".join(words) or "repermit"
            self._book.keep(f"help/{name}.txt", render_command(given, self._system.run(*given)))

    def _do_jobs(self) -> None:
        self._close_pages()
        self._system.do_jobs()
        self._keep_mails()

    def _keep_mails(self) -> None:
        for mail in self._inbox.mails[sum(self._mails.values()) :]:
            recipient = mail.rcpt_tos[0]
            self._mails[recipient] = number = self._mails.get(recipient, 0) + 1
            path = f"mail/{recipient}-{number}.eml"
            first = self._first_mails.setdefault(mail.message["Subject"], path)
            self._book.keep(path, render_mail(mail), like="" if first == path else first)

    # --- Pages.

    def _open_pages(self) -> FlaskClient:
        """Return a browser, in which the user of now has logged in."""
        if self._client is None:
            self._client = self._pages.enter_context(self._system.serve_pages())
            self._client.environ_base |= {"HTTP_USER_AGENT": BROWSER, "REMOTE_ADDR": "192.0.2.7"}
            if self._user:
                # A code of the app counts once.
                self._do_advance("1")
                email, password = f"email={self._user}@example.org", self._values["PASSWORD"]
                self._send_form("", "/admin/login", "/login", email, f"password={password}")
                code = self._value("code", self._user)
                self._send_form("", "/admin/second-step", "/second-step", f"code={code}")
        return self._client

    def _close_pages(self) -> None:
        self._client = None
        self._pages.close()
        self._keep_mails()

    def _request(self, name: str, method: str, path: str, *given: str) -> TestResponse:
        body: dict[str, Any] = {"data": _read_fields(given)}
        if given and given[0].startswith("{"):
            body = {"json": json.loads(given[0])}
        response = self._open_pages().open(path, method=method, headers=self._headers, **body)
        return self._keep_page(name, response)

    def _send_form(self, name: str, page: str, into: str, *given: str) -> None:
        """Fill in the first form of a page that leads `into` somewhere, and send it."""
        html = self._shown if page == "-" else self._request("", "GET", page).text
        action, fields = _find_form(html, into, given)
        # A form without an address is sent to that of its page.
        path = action.removeprefix(PUBLIC_URL) or page
        data = fields | _read_fields(given)
        client = self._open_pages()
        response = client.post(path, data=data, headers=self._headers)
        notes: list[str] = []
        if response.status_code == 303:
            following = self._request("", "GET", response.location).text
            notes = re.findall(r"<p class=\"note.*?</p>", following, re.DOTALL)
        self._keep_page(name, response, notes)

    def _keep_page(
        self, name: str, response: TestResponse, notes: Sequence[str] = ()
    ) -> TestResponse:
        """Keep what a page answered, if it has a name, and note that it was visited.

        `notes` are what the page says first to which the answer leads.
        """
        assert response.status_code < 500, response.text
        asked = response.request
        with contextlib.suppress(HTTPException):
            adapter = self._open_pages().application.url_map.bind("")
            rule, _ = adapter.match(asked.path, asked.method, return_rule=True)
            self._visited.add((asked.method, rule.rule))
        is_text = (response.mimetype or "").startswith(("text/", "application/json"))
        self._shown = response.text if is_text else ""
        if name:
            self._book.keep_page(f"pages/{name}.http", response, notes)
        return response

    def _do_login(self, user: str) -> None:
        self._close_pages()
        self._user = user

    def _do_logout(self) -> None:
        self._do_login("")

    def _do_language(self, language: str) -> None:
        self._headers["Accept-Language"] = language

    def _do_bearer(self, token: str = "") -> None:
        self._headers.pop("Authorization", None)
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def _do_until_done(self, path: str) -> None:
        while json.loads(self._request("", "GET", path).text)["is_busy"]:
            pass

    def _do_visit_admin(self, *given: str) -> None:
        values = dict(one.split("=") for one in given)
        rules = self._open_pages().application.url_map.iter_rules()
        shown = {one.rule for one in rules if "GET" in (one.methods or ())}
        for rule in sorted(one for one in shown if one.startswith("/admin")):
            for path, name in _list_paths(rule, values):
                self._request(f"admin-{self._headers['Accept-Language']}/{name}", "GET", path)

    # --- Values, time and files.

    def _do_set(self, word: str, value: str) -> None:
        self._values[word] = value

    def _do_refuse(self, recipient: str, reply: str) -> None:
        self._refused[recipient] = reply

    def _do_hang_up_on(self, recipient: str) -> None:
        self._inbox.reply_to_data = lambda mail: HANG_UP if recipient in mail.rcpt_tos else None

    def _do_advance(self, minutes: str) -> None:
        self._system.clock.advance(timedelta(minutes=int(minutes)))

    def _do_move_to(self, when: str) -> None:
        self._system.clock.move_to(datetime.fromisoformat(when).replace(tzinfo=UTC))

    def _do_mkdir(self, name: str) -> None:
        Path(name).mkdir()

    def _do_copy(self, name: str, other: str) -> None:
        shutil.copy(name, other)

    def _do_replace(self, name: str, other: str, text: str, new: str) -> None:
        Path(other).write_text(Path(name).read_text("utf-8").replace(text, new), "utf-8")

    def _do_file(self, name: str) -> None:
        kept_as = name.replace(".zip", ".zip.txt").replace(".xlsx", ".xlsx.txt")
        self._book.keep(f"files/{kept_as}", Path(name).read_bytes())

    def _do_sql(self, name: str, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(name)) as database, database:
            database.execute(statement)

    def _do_return(self, person: str, sample: str) -> None:
        ask = self._inbox.to(f"{person}@example.org")[0]
        raw = (FOLDER.parent / f"data/bounces/{sample}.eml").read_bytes()
        raw = raw.replace(b"@VERP@", ask.mail_from.encode())
        raw = raw.replace(b"@MESSAGE_ID@", ask.message["Message-ID"].encode())
        raw = raw.replace(b"<reply-1@", f"<reply-{person}@".encode())
        raw = re.sub(rb"(?i)jan@example\.net", ask.rcpt_tos[0].encode(), raw)
        Path(f"{person}.eml").write_bytes(raw)

    # --- What is left.

    def _keep_database(self) -> None:
        """Keep the record as it is stored, and the schema."""
        with contextlib.closing(sqlite3.connect("repermit.db")) as database:
            database.row_factory = sqlite3.Row
            for table, order in (("evidence", "seq"), ("evidence_part", "seq, part")):
                rows = database.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
                lines = [json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows]
                self._book.keep(f"database/{table}.jsonl", "".join(lines))
            wordings = [row[0] for row in database.execute("SELECT content FROM wording")]
            self._book.keep("database/wordings.txt", "\n---\n".join(sorted(wordings)))
            found = database.execute("SELECT sql FROM sqlite_master WHERE sql > '' ORDER BY name")
            self._book.keep("database/schema.sql", "".join(f"{row[0]};\n" for row in found))

    def _keep_coverage(self) -> None:
        """Keep what webhooks were told, and which commands and pages the script has used."""
        for number, told in enumerate(self._receiver.told, start=1):
            head = "".join(f"{name}: {value}\n" for name, value in told.headers.items())
            text = f"POST {told.path}\n{head}\n{told.body.decode()}\n"
            self._book.keep(f"webhooks/{number:03}.http", text)
        order = "".join(f"{mail.rcpt_tos[0]}\n" for mail in self._inbox.mails)
        self._book.keep("mail/order.txt", order)
        self._book.keep("log.txt", self._system.log)
        used = {f"repermit {' '.join(words)}": words in self._run for words in list_commands()}
        self._book.keep("commands.txt", _list_used(used))
        rules = self._open_pages().application.url_map.iter_rules()
        used = {
            f"{method} {re.sub('<[^>]*>', '<>', one.rule)}": (method, one.rule) in self._visited
            for one in sorted(rules, key=lambda one: one.rule)
            for method in sorted((one.methods or set()) - {"HEAD", "OPTIONS"})
        }
        self._book.keep("routes.txt", _list_used(used))
        self._close_pages()


def _read_steps(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each step with the number of its line and its name, "" for one without."""
    steps: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(" "):
            steps[-1] = (steps[-1][0], steps[-1][1] + line)
        elif line and not line.startswith("#"):
            steps.append((number, line))
    for number, step in steps:
        named = re.fullmatch(r"([\w./-]+): (.+)", step)
        yield number, named[1] if named else "", named[2] if named else step


def _read_fields(given: tuple[str, ...]) -> dict[str, Any]:
    """Return fields of a form; `name=@file` is a file, and what is given twice has two values."""
    fields: dict[str, Any] = {}
    for name, _, value in (one.partition("=") for one in given):
        if value.startswith("@"):
            fields[name] = (io.BytesIO(Path(value[1:]).read_bytes()), value[1:])
        else:
            fields.setdefault(name, []).append(value)
    return fields


def _find_form(html: str, into: str, given: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the address of a form that leads `into` somewhere, and its fields as shown.

    The first such form, but rather one with a button that says something of what is `given`.
    """
    forms: Sequence[Any] = JustHTML(html, sanitize=False).root.query("form[method=post]")
    leads = [(form.attrs.get("action") or "", form) for form in forms]
    for form in forms:
        # A button may lead elsewhere.
        buttons = form.query("button[formaction]")
        leads += [(button.attrs["formaction"] or "", form) for button in buttons]
    exact = [lead for lead in leads if lead[0].endswith(into)]
    found = exact or [lead for lead in leads if into in lead[0]]
    assert found, f"no form leads to {into}, only to {[address for address, _ in leads]}"
    address, form = max(found, key=lambda lead: _has_button(lead[1], given))
    fields: dict[str, Any] = {}
    for field in form.query("input, select, textarea"):
        if name := field.attrs.get("name"):
            fields.setdefault(name, []).extend(_list_values(field))
    return address, fields


def _has_button(form: Any, given: Sequence[str]) -> bool:
    buttons = form.query("button[name]")
    return any(f"{one.attrs['name']}={one.attrs.get('value')}" in given for one in buttons)


def _list_values(field: Any) -> list[str]:
    """Return what a browser would send of a field that nobody has touched."""
    if field.name == "textarea":
        return [field.to_text(strip=False)]
    if field.name == "select":
        options = field.query("option")
        chosen = [one for one in options if "selected" in one.attrs] or options[:1]
        return [one.attrs.get("value") or "" for one in chosen]
    kind = field.attrs.get("type")
    is_off = kind in {"checkbox", "radio"} and "checked" not in field.attrs
    return [] if is_off or kind == "file" else [field.attrs.get("value") or ""]


def _list_paths(rule: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the paths of a route, and the names to keep them under.

    `values` are what stands in a part that varies, by the path up to there with <> for such parts.
    """
    shape, choices = "", []
    for segment in rule.split("/")[1:]:
        options = re.match(r"<any\(([^)]*)\)", segment)
        shape += "/<>" if "<" in segment else f"/{segment}"
        if options:
            choices.append([(one.strip(), one.strip()) for one in options[1].split(",")])
        elif "<" in segment:
            choices.append([(values[shape], "_")])
        else:
            choices.append([(segment, segment)])
    for chosen in itertools.product(*choices):
        name = "-".join(part for _, part in chosen[1:])
        yield "".join(f"/{value}" for value, _ in chosen), name or "index"


def _list_used(used: Mapping[str, bool]) -> str:
    return "".join(f"{'used' if is_used else '----'}  {one}\n" for one, is_used in used.items())


def _write_workbook(name: str) -> None:
    """Write a workbook with dates as numbers and as dates, and a column of consents."""
    rows: tuple[tuple[Any, ...], ...] = (
        ("E-mailadres", "Voornaam", "Achternaam", "Toestemming", "Toestemming op"),
        ("excel@example.org", "Eks", "Cel", "ja", 44000),
        ("refuser@example.org", "Ref", "User", "nee", 44001.5),
        ("dated@example.org", "Da", "Tum", "ja", date(2020, 6, 1)),
    )
    with xlsxwriter.Workbook(name, {"default_date_format": "yyyy-mm-dd"}) as book:
        # Otherwise that of now, which makes it another file each time.
        book.set_properties({"created": datetime(2026, 3, 1)})  # noqa: DTZ001
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
