"""The document of the API against what it describes: every route, every answer, every mistake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from repermit.accounts import api_tokens
from repermit.clock import ManualClock
from repermit.contacts import status_changes
from repermit.db.connection import Database
from repermit.evidence.consent_receipt import REPRESENTATIVE
from repermit.rules.consent import Basis, CampaignState, MailKind, MailState, Reason
from repermit.rules.consent import Status as ContactStatus
from repermit.web.api import routes
from repermit.web.api.routes import make_openapi_document
from repermit.webhooks import events as webhooks_events
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.public_pages import Pages, served

DOCUMENT = make_openapi_document("https://ask.example.org")
SCHEMAS = DOCUMENT["components"]["schemas"]


class HurriedClock(ManualClock):
    """A clock that goes a second further whenever it is read, so that nobody asks too often."""

    def now(self) -> datetime:
        self.move_to(super().now() + timedelta(seconds=1))
        return super().now()


@pytest.fixture
def pages(database: Database) -> Pages:
    return Pages(database, make_settings(evidence_key=bytes(range(32))))


@pytest.fixture
def bearer(database: Database) -> str:
    """Fill the database a little; return a token for everything."""
    mailing_list = make_list(database)
    make_campaign(database, mailing_list)
    contact = make_contact(database, mailing_list, "anna@example.org")
    act = status_changes.Act(at=NOW, actor="person")
    key = make_settings().fingerprint_key
    with database.atomic():
        status_changes.confirm_contact(contact, basis=Basis.ANSWER, act=act, fingerprint_key=key)
    for reason in Reason:
        make_removed(database, mailing_list, reason)
    made = api_tokens.make_token(database, "tool", scopes=api_tokens.SCOPES, now=NOW, actor="me")
    return made.bearer


def test_the_document_has_every_route_and_no_other(pages: Pages) -> None:
    routes = {
        (rule.rule.removeprefix("/api/v1").replace("<", "{").replace(">", "}"), method.lower())
        for rule in pages.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1")
    }
    described = {
        (path, name)
        for path, item in DOCUMENT["paths"].items()
        for name in item
        if name != "parameters"
    }
    assert described == routes


def test_operations_are_called_as_their_views(pages: Pages) -> None:
    named = {
        operation["operationId"]
        for item in DOCUMENT["paths"].values()
        for name, operation in item.items()
        if name != "parameters"
    }
    assert {f"api.{name}" for name in named} == {
        rule.endpoint for rule in pages.app.url_map.iter_rules() if rule.endpoint[:4] == "api."
    }


def test_the_document_is_told_without_a_token(pages: Pages) -> None:
    response = pages.client.get("/api/v1/openapi.json", headers={"Host": "evil.example.net"})
    assert response.content_type == "application/json"
    assert response.json == DOCUMENT


def test_the_webhook_of_the_document_is_not_called_as_a_list_is() -> None:
    assert [*DOCUMENT["webhooks"]] == ["entry"]


def words(of: Any, *, or_null: bool = False) -> set[str | None]:
    return {*map(str, of)} | ({None} if or_null else set())


@pytest.mark.parametrize(
    ("schema", "field", "expected"),
    [
        ("Entry", "type", words(webhooks_events.EVENTS)),
        ("Campaign", "state", words(CampaignState)),
        ("Contact", "status", words(ContactStatus, or_null=True)),
        ("Contact", "reason", words(Reason, or_null=True)),
        ("Contact", "basis", words(Basis, or_null=True)),
    ],
)
def test_the_words_of_a_field_are_those_of_the_code(
    schema: str, field: str, expected: set[str | None]
) -> None:
    assert set(SCHEMAS[schema]["properties"][field]["enum"]) == expected


def test_the_words_of_an_entry_are_those_of_the_code() -> None:
    fields = SCHEMAS["Entry"]["properties"]["data"]["properties"]
    assert set(fields["reason"]["enum"]) == words(Reason, or_null=True)
    assert set(fields["given_by"]["enum"]) == {
        webhooks_events.GIVEN_BY_PERSON,
        REPRESENTATIVE,
        None,
    }
    assert set(fields["status"]["enum"]) == {ContactStatus.CONFIRMED, ContactStatus.REMOVED}


@pytest.mark.parametrize("schema", ["Contact", "Answers"])
def test_the_example_of_an_answer_is_one(schema: str) -> None:
    described = {**SCHEMAS[schema], "components": DOCUMENT["components"]}
    (example,) = described["examples"]
    jsonschema_rs.Draft202012Validator(described).validate(example)


def test_every_count_of_a_status_is_described() -> None:
    counts = SCHEMAS["Status"]["properties"]
    assert counts["contacts"]["required"] == [*ContactStatus]
    assert counts["removed"]["required"] == [*Reason]
    assert counts["mails"]["required"] == [*MailKind]
    kinds = counts["mails"]["properties"].values()
    assert all(kind["required"] == [*MailState] for kind in kinds)
    for of in (counts["contacts"], counts["removed"], counts["mails"], *kinds):
        assert list(of["properties"]) == of["required"]


def test_the_limits_of_a_question_are_those_of_the_code() -> None:
    limits = {
        one["name"]: one["schema"] for one in DOCUMENT["paths"]["/answers"]["get"]["parameters"]
    }
    assert limits["since"]["maximum"] == routes.MAX_CURSOR
    assert (limits["limit"]["maximum"], limits["limit"]["default"]) == (
        routes.MAX_ENTRIES,
        routes.DEFAULT_ENTRIES,
    )
    assert limits["list"]["pattern"] == f"^{routes.SLUG}$"
    assert SCHEMAS["Question"]["properties"]["address"]["maxLength"] == routes.MAX_ADDRESS_LENGTH


def checks_of(recorder: ScenarioRecorder) -> Iterator[tuple[str, str]]:
    """Yield the name of each check, and what it found, "" for nothing."""
    for checks in recorder.checks.values():
        for one in checks:
            yield one.name, str(one.failure_info.failure) if one.failure_info else ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.everyday("[5-")
@pytest.mark.parametrize("examples", [5, 25])
def test_schemathesis_finds_nothing(database: Database, bearer: str, examples: int) -> None:
    clock = HurriedClock(NOW)

    def pages_at(url: str) -> Pages:
        return Pages(database, make_settings(public_url=url), clock=clock)

    settings = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "headers": {"Authorization": f"Bearer {bearer}"},
            "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
        }
    )
    with served(pages_at) as pages:
        address = f"{pages.settings.public_url}/api/v1/openapi.json"
        described = schemathesis.openapi.from_url(address, config=settings)
        happened = list(from_schema(described).execute())
    errors = [one for one in happened if isinstance(one, events.NonFatalError | events.FatalError)]
    done = [one.recorder for one in happened if isinstance(one, events.ScenarioFinished)]
    checked = {name for recorder in done for name, _ in checks_of(recorder)}
    found = [said for recorder in done for said in checks_of(recorder) if said[1]]
    ended = [
        (one.phase.name.name, one.status)
        for one in happened
        if isinstance(one, events.PhaseFinished)
    ]
    assert errors == []
    assert found == []
    assert {
        "not_a_server_error",
        "response_schema_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
        "unsupported_method",
        "ignored_auth",
    } <= checked
    assert ("FUZZING", Status.SUCCESS) in ended
    assert ("COVERAGE", Status.SUCCESS) in ended
