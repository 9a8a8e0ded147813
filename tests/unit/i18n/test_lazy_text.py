"""Lazy texts: English as they are, another language by their template."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from repermit.errors import Refused, TransportError
from repermit.i18n.lazy_text import LazyJoin, LazyText, deserialize, serialize

AT = datetime(2026, 12, 22, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (LazyText(), ""),
        (LazyText("100% sure"), "100% sure"),
        (LazyText("until %(at)s", at=AT), "until 2026-12-22 17:00"),
        (
            LazyText("%(count)s rows, line %(line)s", count=1234, line="1234"),
            "1,234 rows, line 1234",
        ),
        (LazyText("one of %(all)s", all=LazyJoin(("a", "b"))), "one of a, b"),
        (
            LazyText("%(why)s; %(why)s", why=LazyText("no %(what)s", what="name")),
            "no name; no name",
        ),
    ],
)
def test_it_is_english_by_itself(said: LazyText, text: str) -> None:
    assert said == text
    assert str(said) == text


def test_another_language_fills_in_its_own_template() -> None:
    dutch = {"until %(at)s": "tot %(at)s"}
    assert LazyText("until %(at)s", at=AT).render(dutch.__getitem__, str) == f"tot {AT}"


def test_an_error_keeps_what_it_says() -> None:
    error = Refused("there is no list %(list)s", cli="; add %(list)s", list="news")
    assert str(error) == "there is no list news; add news"
    assert (error.said.template, error.said.cli) == (
        "there is no list %(list)s",
        "; add %(list)s",
    )
    assert error.said.values == {"list": "news"}
    assert error.said.render(str, str) == "there is no list news"
    assert error.said.fill(list="b") == "there is no list b; add b"
    said = LazyText("already said")
    assert Refused(said).said is said
    assert TransportError(0, reason="no way").said.template == "%(reason)s (%(reply)s)"


def test_what_is_kept_can_still_be_put_into_another_language() -> None:
    said = LazyText(
        "line %(line)s of %(all)s: %(why)s",
        code="odd",
        cli=" (--line)",
        line="3",
        all=LazyJoin((LazyText("a"), "b"), by="; "),
        why=LazyText("too long"),
    )
    kept = deserialize(serialize(said))
    assert (kept, kept.code, kept.template) == (said, "odd", said.template)
    assert kept.cli == " (--line)"
    before = '{"said":"no %(what)s","code":"","values":{"what":"name"}}'
    assert (deserialize(before), deserialize(before).cli) == ("no name", "")
    assert kept.values == said.values
    assert serialize(LazyText("too long")) == "too long"
    assert deserialize("too long").template == "too long"
