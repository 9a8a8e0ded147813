"""What the name of a file, a member or a sheet says of everybody in it."""

from __future__ import annotations

import pytest

from repermit.imports.readers.container import classify_file_name


@pytest.mark.parametrize(
    ("name", "whom"),
    [
        ("unsubscribed_members_export_1a2b.csv", "unsubscribed"),
        ("unsubscribed_x.csv", "unsubscribed"),
        ("Unsubscribed.csv", "unsubscribed"),
        ("export/unsubscribed_x.csv", "unsubscribed"),
        ("export\\unsubscribed_x.csv", "unsubscribed"),
        ("Afgemeld", "unsubscribed"),
        ("leden afgemeld 2022.xlsx", "unsubscribed"),
        ("Afmeldingen.csv", "unsubscribed"),
        ("Abmeldungen", "unsubscribed"),
        ("Désabonnés.ods", "unsubscribed"),
        ("opt-outs.txt", "unsubscribed"),
        ("cleaned_x.csv", "cleaned"),
        ("cleaned.csv", "cleaned"),
        ("hard bounces.csv", "cleaned"),
        ("nonsubscribed_x.csv", "nonsubscribed"),
        ("Non-subscribed_email_audience_export_1.csv", "nonsubscribed"),
        ("non_subscribed_email_audience_export_1.csv", "nonsubscribed"),
        ("subscribed_members_export_1.csv", ""),
        ("ledenlijst cleaned_1.csv", ""),
        ("cleaned list of members.csv", ""),
        ("lijst zonder afgemelden.csv", ""),
        ("aan- en afmeldingen.csv", ""),
        ("laptoptouts.csv", ""),
        ("Blad1", ""),
    ],
)
def test_a_name_tells_who_opted_out_and_no_more_than_that(name: str, whom: str) -> None:
    assert classify_file_name(name) == whom
