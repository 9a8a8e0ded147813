"""Authentication codes are those of the standard library."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from repermit.keyed_hash import KeyedHash


@given(key=st.binary(max_size=200), beginning=st.binary(), message=st.binary())
@example(key=b"k" * 64, beginning=b"", message=b"m")
@example(key=b"k" * 65, beginning=b"", message=b"m")
def test_a_code_is_what_the_standard_library_makes(
    key: bytes, beginning: bytes, message: bytes
) -> None:
    expected = hmac.digest(key, beginning + message, hashlib.sha256)
    assert KeyedHash(key, beginning=beginning).digest(message) == expected


def test_one_message_leaves_nothing_behind_for_the_next() -> None:
    mac = KeyedHash(b"key")
    first = mac.digest(b"first")
    mac.digest(b"second")
    assert mac.digest(b"first") == first
