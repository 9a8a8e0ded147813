"""Write most pages of docs/reference/ from the code: `python -m tests.reference`.

Each function below returns one page. What the code has no words for, such as the meaning of a
fate, stands in reference_texts.toml; a word that is missing there is a KeyError.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from repermit import package_files
from repermit.checks.findings import FINDING_TYPES, Area, FindingType
from repermit.cli import cli
from repermit.exports import handover_steps
from repermit.exports.export_rows import TOOL_FORMATS, ExportKind, Tool
from repermit.imports.uploads import LIFETIME
from repermit.rules import consent
from repermit.settings.definitions import PAGES, SETTINGS, TABLES
from repermit.settings.setting_type import Setting
from repermit.settings.smtp_presets import PRESET_LABELS, PRESETS, Preset
from repermit.web.api.authentication import BURST, PER_MINUTE
from repermit.web.api.problems import PREFIX
from tests.support.command_tree import COMMANDS

FOLDER = Path(__file__).parents[1] / "docs/reference"
TEXTS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    Path(__file__).with_name("reference_texts.toml").read_text("utf-8")
)
Row = tuple[str, ...]


def _page(title: str, source: str, *parts: str) -> str:
    note = f"<!-- python -m tests.reference writes this page from {source}. -->"
    return "\n\n".join([f"# {title}", note, *parts]) + "\n"


def _table(titles: Row, rows: Iterable[Row]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    head, rule, *body = (f"| {' | '.join(_cell(one) for one in line)} |" for line in lines)
    return "\n".join([head, rule.replace(" ", ""), *body])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _numbered(lines: Iterable[str]) -> str:
    return "\n".join(f"{number}. {' '.join(line.split())}" for number, line in enumerate(lines, 1))


# --- Settings. ------------------------------------------------------------------------------------

_TAKES = {
    "text": "text",
    "lines": "text of several lines",
    "boolean": "`true` or `false`",
    "timezone": "the name of a time zone",
    "url": "a web address",
    "email": "an e-mail address",
    "list": "a list of addresses",
}


def settings() -> str:
    """Return the page of every key of config.toml."""
    alone = "\n".join(f"- {key}" for key in _in_file_alone())
    tables = [f"## In the file alone\n\nNo page has these:\n\n{alone}"]
    for name in ("", *TABLES):
        title = f"`[{name}]`" if name else "At the top"
        rows = (_setting(one) for one in SETTINGS.values() if one.table == name)
        columns = ("key", "default", "takes", "what it is", "chosen in the browser")
        tables.append(f"## {title}\n\n{_table(columns, rows)}")
    return _page(
        "Settings",
        "repermit/settings/definitions.py",
        "Every key of `config.toml`. `config.example.toml` explains each at length. A secret `key` "
        "may stand in a file of its own, which `key_file` names. What admins choose on a page, "
        "under *Settings*, holds where `config.toml` does not say it: "
        "[Settings](../how-to/settings.md).",
        *tables,
    )


def _in_file_alone() -> Iterator[str]:
    """Yield the keys that no page has; a table of nothing else as a whole."""
    for name in ("", *TABLES):
        keys = [one for one in SETTINGS.values() if one.table == name]
        alone = [one for one in keys if not one.section]
        if name and alone == keys:
            yield f"all of `[{name}]`"
        else:
            yield from (f"`{one.name}`" + (f" of `[{name}]`" if name else "") for one in alone)


def _setting(setting: Setting) -> Row:
    default = "" if setting.default is None else f"`{json.dumps(setting.default)}`"
    where = ""
    if setting.section:
        where = f"{PAGES[setting.section.page]}: {setting.section.title}"
    words = f"{setting.label}. {setting.help}".strip()
    return (f"`{setting.name}`", default, ", ".join(_takes(setting)), words, where)


def _takes(setting: Setting) -> Iterator[str]:
    if setting.limits:
        least, greatest = setting.limits
        yield f"a whole number from {least}" + (f" to {greatest}" if greatest else "")
    elif setting.choices:
        yield from (f"`{json.dumps(choice)}`" for choice in setting.choices)
    else:
        yield "a list of texts" if setting.key == "secret_keys" else _TAKES[setting.kind]
    if setting.is_secret:
        yield f"secret; or `{setting.name}_file`"


# --- Commands. ------------------------------------------------------------------------------------


def commands() -> str:
    """Return the page of every command with its options and examples."""
    found = {name: one for name, one in COMMANDS.items() if not isinstance(one, click.Group)}
    rows = (
        (f"[`{name}`](#{name.replace(' ', '-')})", next(_paragraphs(one.help or "")))
        for name, one in found.items()
    )
    return _page(
        "Commands",
        "the commands themselves",
        "`repermit [--config FILE] COMMAND`. The file is `config.toml` in this folder, or what "
        "`$REPERMIT_CONFIG` names. Every command has `--help` with an example.",
        "Exit codes: 0 done, 1 refused with the reason on stderr, 2 wrong usage, 75 if `bounce` "
        "should be given the same message later. 130 means stopped with Ctrl-C, 143 with SIGTERM, "
        "while it sent.",
        "`check` and `verify` also exit with 1 if something is wrong or does not hold. With "
        "`--json` a script tells the two apart. What is wrong stands in a document on stdout, with "
        "`works` or `holds` false. A refusal prints nothing there. `verify FILE` has no `--json`: "
        "1 means that the file does not hold, or cannot be read; stderr says which.",
        "What `--json` prints: [JSON documents](json-documents.md).",
        _table(("command", "what it does"), rows),
        *(_command(name, one) for name, one in found.items()),
    )


def _command(name: str, command: click.Command) -> str:
    # Click keeps the help option that it makes first, also for those who ask for help later.
    context = click.Context(command, info_name=name, **cli.context_settings)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    records = (one.get_help_record(context) for one in command.params)
    options = [(f"`{record[0]}`", record[1]) for record in records if record]
    parts = [f"## {name}", f"    {usage}", *_paragraphs(command.help or "")]
    if options:
        parts.append(_table(("option", "what it does"), options))
    examples = "\n".join(vars(command)["examples"])
    return "\n\n".join([*parts, f"```sh\n{examples}\n```"])


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield " ".join(paragraph.replace("\b", "").split())


# --- Mail accounts, and what a check finds. -------------------------------------------------------


def paces(preset: Preset) -> str:
    """Return the rates of a preset in words."""
    rates = {
        "a minute": preset.rate_per_minute,
        "an hour": preset.rate_per_hour,
        "a day": preset.rate_per_day,
    }
    return ", ".join(f"{rate:,} {period}" for period, rate in rates.items() if rate)


def presets() -> str:
    """Return the page of what each preset sets."""
    rows = (
        (
            f"`{name}`",
            PRESET_LABELS[name],
            f"`{one.server}`" if one.server else "yours",
            f"{one.port}, {one.tls}",
            str(one.connections),
            paces(one),
        )
        for name, one in PRESETS.items()
    )
    return _page(
        "Presets",
        "repermit/data/smtp_presets.toml",
        "What `preset` under `[mail]` sets. A value that you give beside it holds instead. The "
        "return path is the sender's own address with all of them. Mails leave evenly, so of two "
        "rates the slower one counts: 8,000 a day is one mail in 10.8 seconds. "
        "[Other mail hosts](../how-to/other-mail-hosts.md) says where the rates come from.",
        _table(("preset", "account", "server", "port", "connections", "at most"), rows),
    )


_MARKS = {"ok": "`ok`", "warning": "`mind`", "problem": "`WRONG`", "unknown": "`?`"}


def check_findings() -> str:
    """Return the page of what `repermit check` may find."""
    parts = []
    for area in Area:
        rows = (_finding(code, one) for code, one in FINDING_TYPES.items() if one.area == area)
        titles = ("code", "verdict", "what was found", "what to do")
        parts.append(f"## `{area}`\n\n{_table(titles, rows)}")
    return _page(
        "Findings of check",
        "repermit/data/check_findings.toml",
        "What `repermit check` may find, by area. A code keeps its meaning. `%(name)s` stands for "
        "a value, which `--json` has in `values`. A launch stops at what is `WRONG`, unless "
        "`--accept CODE=REASON` says why it may be so. How to run it: "
        "[Check](../how-to/check.md).",
        *parts,
    )


def _finding(code: str, words: FindingType) -> Row:
    return (f"`{code}`", _MARKS[words.verdict], words.found, words.remedy)


# --- Words of the rules. --------------------------------------------------------------------------

_ENUMERATIONS: tuple[tuple[str, str, type[StrEnum], str], ...] = (
    (
        "fate",
        "Fates",
        consent.Fate,
        "What becomes of a row of a file. The strongest row of an address decides, in this order.",
    ),
    ("status", "Statuses", consent.Status, "How a contact stands on a list."),
    (
        "reason",
        "Reasons of removal",
        consent.Reason,
        "Every removal makes a suppression. Only the person's own later Yes lifts it.",
    ),
    ("basis", "Bases", consent.Basis, "On what ground somebody may be mailed."),
    ("campaign_state", "States of a campaign", consent.CampaignState, "How a campaign stands."),
    (
        "pause_reason",
        "Reasons of a pause",
        consent.PauseReason,
        "Why a campaign paused by itself.",
    ),
    ("mail_kind", "Kinds of mail", consent.MailKind, "What a mail is for."),
    ("mail_state", "States of a mail", consent.MailState, "How far a mail has come."),
)


def fates_statuses_reasons() -> str:
    """Return the page of the words of the rules."""
    parts = (
        f"## {title}\n\n{intro}\n\n{_table((key.replace('_', ' '), 'meaning'), _words(key, kind))}"
        for key, title, kind, intro in _ENUMERATIONS
    )
    return _page(
        "Fates, statuses and reasons",
        "repermit/rules/consent.py and tests/reference_texts.toml",
        "The words that commands, documents, exports and the API use.",
        *parts,
        "Suppressions that only came with a file keep the file's word as their reason: "
        + ", ".join(f"`{word}`" for word in consent.LEFT_ELSEWHERE)
        + ".",
    )


def _words(key: str, kind: Iterable[str]) -> Iterator[Row]:
    return ((f"`{one}`", TEXTS[key][str(one)]) for one in kind)


# --- Newsletter tools. ----------------------------------------------------------------------------

_TOOLS = (
    *("mailchimp", "laposta", "brevo", "mailerlite", "listmonk", "google", "outlook"),
    *("civicrm", "hubspot", "klaviyo", "phplist", "rapidmail", "shopify"),
)


def newsletter_tools() -> str:
    """Return the page of the tools whose exports are known, and which files are made for."""
    return _page(
        "Newsletter tools",
        "repermit/data/newsletter_tools",
        "Whose exports an import knows by their columns, and for whom `export --for` makes a file, "
        "with the steps to take there. Menus of other tools change now and then, so each step also "
        "says what is to be reached. In a browser: [Handing over](../how-to/handing-over.md).",
        *(_tool(name) for name in _TOOLS),
    )


def _tool(name: str) -> str:
    known = package_files.load_newsletter_tool(name)
    told = ", ".join(f"`{title}`" for title in known["import"]["told_by"].split())
    least = f"An import knows its export by at least {known['import']['at_least']} of these titles"
    parts = [f"## {known['label']}", f"{least}, written in lower case without blanks:", told]
    if "steps" in known:
        parts += _handover(Tool(name))
    return "\n\n".join(parts)


def _handover(tool: Tool) -> Iterator[str]:
    form = TOOL_FORMATS[tool]
    formats = " or ".join(f"`{one}`" for one in form.formats)
    details = f"divided by `{form.delimiter}`" + (", with a byte order mark" if form.bom else "")
    yield f"`export --for {tool}` writes {formats}, {details}."
    columns = {ExportKind.KEEP: form.keep, ExportKind.REMOVED: form.removed}
    for what, titles in columns.items():
        yield f"**{what}**"
        yield _table(
            ("field", "title there"), ((f"`{field}`", title) for field, title in titles.items())
        )
        yield _numbered(handover_steps.list_steps(tool, what))


# --- How long things are kept. --------------------------------------------------------------------


def retention() -> str:
    """Return the page of how long things are kept."""
    keys = [one for one in SETTINGS.values() if one.table == "retention"]
    rows = (
        (TEXTS["retention"][one.name], _term(one), f"`{one.name}`", _limits(one)) for one in keys
    )
    days = LIFETIME.days
    fixed = (
        ("A sign-up that nobody confirms.", "a month", "", ""),
        ("A file that nobody takes in.", "a day" if days == 1 else f"{days} days", "", ""),
        ("Fingerprints of who is not to be asked.", "as long as the list", "", ""),
    )
    return _page(
        "Retention",
        "repermit/settings/definitions.py and tests/reference_texts.toml",
        "How long things are kept. The keys stand under `[retention]`, and on the page *Settings*. "
        "Each part that ends is named by an entry `erased` of the same person, so that the chain "
        "still holds: [Erasing](../explanation/erasing.md).",
        _table(("what", "how long, unless you set it", "key", "takes"), (*rows, *fixed)),
    )


def _term(setting: Setting) -> str:
    return f"{setting.default} {setting.name.rpartition('_')[2]}"


def _limits(setting: Setting) -> str:
    assert setting.limits
    return f"{setting.limits[0]} to {setting.limits[1]}"


# --- The API and webhooks. ------------------------------------------------------------------------


def api() -> str:
    """Return the page of requests, scopes and webhooks."""
    document = package_files.load_data("openapi.json")
    entry = document["components"]["schemas"]["Entry"]["properties"]
    return _page(
        "Reference of API and webhooks",
        "repermit/data/openapi.json and tests/reference_texts.toml",
        f"The API stands under `{PREFIX}/` of `public_url`. The document "
        f"[openapi.json](../../repermit/data/openapi.json), which `{PREFIX}/openapi.json` serves "
        "too, describes it whole (OpenAPI 3.1). How to connect a tool: "
        "[Connect a newsletter tool](../how-to/connect-a-tool.md).",
        "## Requests",
        _table(("request", "scope", "what it tells"), _requests(document)),
        "Each request but the first has the header `Authorization: Bearer rp_…`, with a token that "
        "an admin makes under *Connections*. A token may ask "
        f"{PER_MINUTE} times a minute, {BURST} of them at once; after a 429 wait as long as its "
        "`Retry-After` says. The page *Log* shows when a token looked at people's "
        "data; for `contact` also at whose.",
        'The address of `contact` is sent as `{"address": "…"}`, so that it stands in no URL. '
        "What goes wrong comes as `application/problem+json` (RFC 9457). Times are "
        "RFC 3339 in UTC.",
        "## What `contact` and `answers` return",
        f"```json\n{_example(document, 'Contact')}\n```",
        _table(("key of `contact`", "what it is"), _words("contact", _keys(document, "Contact"))),
        f"```json\n{_example(document, 'Answers')}\n```",
        _table(("key of `answers`", "what it is"), _words("answers", _keys(document, "Answers"))),
        "## Scopes",
        _table(("scope", "a token with it may read"), _words("scope", _scopes(document))),
        "## Parameters of `answers`",
        _table(("parameter", "what it is", "limits"), _parameters(document)),
        "## Errors",
        _table(("status", "what it means"), sorted(_errors(document))),
        "## Webhooks",
        "The same entries are sent to webhooks, signed after the "
        "[Standard Webhooks](https://www.standardwebhooks.com) scheme: "
        "[headers, signature and retries](../how-to/connect-a-tool.md#webhooks).",
        _table(("type", "what happened"), _words("webhook", entry["type"]["enum"])),
        _table(("key of `data`", "what it is"), _words("data", entry["data"]["properties"])),
    )


def _example(document: Mapping[str, Any], schema: str) -> str:
    return json.dumps(document["components"]["schemas"][schema]["examples"][0], indent=2)


def _keys(document: Mapping[str, Any], schema: str) -> Iterable[str]:
    keys: Iterable[str] = document["components"]["schemas"][schema]["properties"]
    return keys


def _scopes(document: Mapping[str, Any]) -> list[str]:
    scopes = {scope.strip("`") for _, scope, _ in _requests(document) if scope.startswith("`")}
    return sorted(scopes, reverse=True)


def _requests(document: Mapping[str, Any]) -> Iterator[Row]:
    for path, found in document["paths"].items():
        for method in ("get", "post"):
            if method in found:
                one = found[method]
                scope = one.get("description", "").removeprefix("Scope: ")
                scope = f"`{scope}`" if scope else "none, and no token"
                yield f"`{method.upper()} {PREFIX}{path}`", scope, f"{one['summary']}."


def _parameters(document: Mapping[str, Any]) -> Iterator[Row]:
    for one in document["paths"]["/answers"]["get"]["parameters"]:
        limits = [
            f"{name} {one['schema'][name]}"
            for name in ("default", "maximum")
            if name in one["schema"]
        ]
        yield f"`{one['name']}`", f"{one['description']}.", ", ".join(limits)


def _errors(document: Mapping[str, Any]) -> set[Row]:
    shared = document["components"]["responses"]
    return {
        (status, f"{shared.get(_read_name(answer), answer)['description']}.")
        for found in document["paths"].values()
        for method in ("get", "post")
        for status, answer in found.get(method, {}).get("responses", {}).items()
        if status != "200"
    }


def _read_name(answer: Mapping[str, Any]) -> str:
    """Return the name of the shared answer that this one refers to; "" if it is its own."""
    return str(answer.get("$ref", "")).rpartition("/")[2]


# --- All of them. ---------------------------------------------------------------------------------

PAGES_WRITTEN: Mapping[str, Callable[[], str]] = {
    "api": api,
    "check-findings": check_findings,
    "commands": commands,
    "fates-statuses-reasons": fates_statuses_reasons,
    "newsletter-tools": newsletter_tools,
    "presets": presets,
    "retention": retention,
    "settings": settings,
}
"""The pages that are written, by name."""


if __name__ == "__main__":  # pragma: no cover  what it calls has tests of its own
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES_WRITTEN.items():
        FOLDER.joinpath(f"{name}.md").write_text(write(), "utf-8")
