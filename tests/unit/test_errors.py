"""The tree of errors, and what they carry."""

from __future__ import annotations

import re

import pytest

from repermit import errors
from repermit.errors import (
    AddressError,
    ConfigError,
    LaunchRefused,
    ListFileError,
    OutcomeUnknown,
    RepermitError,
    TransportError,
    WordingError,
)
from repermit.i18n.lazy_text import LazyText


def drawn_tree() -> list[tuple[int, str]]:
    """Return what the module's docstring draws: depth and name, from the top."""
    lines = re.findall(r"^ {4}([│├└─ ]*)(\w+) ", errors.__doc__ or "", re.MULTILINE)
    return [(len(branch) // 4, name) for branch, name in lines]


def real_tree(top: type[RepermitError], depth: int = 0) -> list[tuple[int, str]]:
    below = (entry for kind in top.__subclasses__() for entry in real_tree(kind, depth + 1))
    return [(depth, top.__name__), *below]


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    assert drawn_tree() == real_tree(RepermitError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ListFileError("an open quote"), "an open quote"),
        (ListFileError("an open quote", line=3), "line 3: an open quote"),
        (ListFileError("an open quote", line=3, column=2), "line 3, column 2: an open quote"),
        (ListFileError("an open quote", expected="a quote"), "an open quote; expected a quote"),
        (
            LaunchRefused((LazyText("no purpose"), LazyText("nobody to ask"))),
            "no purpose\nnobody to ask",
        ),
        (WordingError((LazyText("no way to stop"),)), "no way to stop"),
        (AddressError("no address"), "no address"),
        (ConfigError("there is none"), "there is none"),
        (TransportError(550, "5.1.1"), "550 5.1.1"),
        (TransportError(421), "421"),
        (OutcomeUnknown(0), "no reply"),
        (TransportError(0, "5.7.8", reason="there is no token"), "there is no token (5.7.8)"),
        (TransportError(535, "5.7.8", reason="the login fails"), "the login fails (535 5.7.8)"),
    ],
)
def test_an_error_reads_as_it_is_shown(error: RepermitError, text: str) -> None:
    assert str(error) == text


def test_an_error_carries_what_a_caller_decides_by() -> None:
    refused = TransportError(550, "5.1.1", scope="recipient", permanent=True)
    assert (refused.code, refused.status) == (550, "5.1.1")
    assert (refused.scope, refused.permanent) == ("recipient", True)
    assert (TransportError(451).scope, TransportError(451).permanent) == ("server", False)
    assert ConfigError("no", key="mail.port").key == "mail.port"
    assert LaunchRefused((LazyText("a"), LazyText("b"))).reasons == ("a", "b")
    assert WordingError((LazyText("a"),)).reasons == ("a",)
    assert AddressError("no address").reason == "no address"
    place = ListFileError("odd", line=3, column=2, expected="even")
    assert (place.reason, place.line, place.column, place.expected) == ("odd", 3, 2, "even")
