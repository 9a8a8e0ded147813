"""How many mails an address gets at the wish of whoever types it."""

from __future__ import annotations

import pytest

from repermit.contacts.requested_mails_per_day import may_mail_on_request


@pytest.mark.parametrize(("sent", "expected"), [(0, True), (2, True), (3, False), (4, False)])
def test_three_mails_a_day_at_most_go_out_on_request(sent: int, expected: bool) -> None:
    assert may_mail_on_request(sent) is expected
