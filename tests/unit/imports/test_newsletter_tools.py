"""The exports of the tools that are known, as each writes them, and what they prove."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from repermit import package_files
from repermit.imports import newsletter_tools
from repermit.imports.readers.rows import Row, SignUpProof
from tests.support.list_files import as_csv, from_text, mailchimp_csv, opened, write_zip

OPTIN = datetime(2018, 2, 12, 17, 59, 31, tzinfo=UTC)
JAN = {"Email Address": "jan@example.org", "First Name": "Jan", "Last Name": "de Vries"}
SIGNED_UP = JAN | {
    "OPTIN_TIME": "2018-02-12 17:59:31",
    "OPTIN_IP": "46.140.110.82",
    "CONFIRM_TIME": "2018-02-12 18:06:58",
    "CONFIRM_IP": "46.140.110.82",
}


def row_of(folder: Path, tool: str, *records: str, name: str = "list.csv") -> Row:
    """Return the only row of a file that is known to be this tool's."""
    text = as_csv([record.split("|") for record in records])
    file = from_text(folder, text, name=name)
    assert [part.tool for part in file.parts] == [tool]
    (row,) = file.rows()
    return row


def mailchimp_row(folder: Path, *, name: str = "list.csv", **values: str) -> Row:
    (row,) = from_text(folder, mailchimp_csv(values), name=name).rows()
    return row


# --- Mailchimp.


def test_in_mailchimps_optin_time_with_optin_ip_is_a_sign_up(tmp_path: Path) -> None:
    row = mailchimp_row(tmp_path, **SIGNED_UP)
    method = "web form (Mailchimp OPTIN_TIME, OPTIN_IP)"
    assert row == Row(
        line=2,
        address="jan@example.org",
        name="Jan de Vries",
        proof=SignUpProof(method, OPTIN, "", "46.140.110.82"),
        since=datetime(2018, 2, 12, 18, 6, 58, tzinfo=UTC),
    )


def test_each_sign_up_at_mailchimp_has_its_own_moment_and_ip(tmp_path: Path) -> None:
    later = SIGNED_UP | {"OPTIN_TIME": "2019-02-12 17:59:31", "OPTIN_IP": "192.0.2.7"}
    rows = from_text(tmp_path, mailchimp_csv(SIGNED_UP, later)).rows()
    proofs = [row.proof for row in rows if row.proof]
    assert [(proof.at, proof.ip) for proof in proofs] == [
        (OPTIN, "46.140.110.82"),
        (OPTIN.replace(year=2019), "192.0.2.7"),
    ]


@pytest.mark.parametrize("missing", ["OPTIN_TIME", "OPTIN_IP"])
def test_in_mailchimps_one_of_them_proves_nothing(tmp_path: Path, missing: str) -> None:
    row = mailchimp_row(tmp_path, **SIGNED_UP | {missing: ""})
    assert row.proof is None
    assert row.opted_out == ""


def test_in_mailchimps_confirm_time_alone_only_tells_since_when(tmp_path: Path) -> None:
    row = mailchimp_row(tmp_path, **SIGNED_UP | {"OPTIN_TIME": "", "OPTIN_IP": ""})
    assert (row.proof, row.since) == (None, datetime(2018, 2, 12, 18, 6, 58, tzinfo=UTC))


def test_mailchimps_zip_goes_in_whole(tmp_path: Path) -> None:
    names = {
        "subscribed": "a@example.org",
        "unsubscribed": "b@example.org",
        "cleaned": "c@example.org",
        "nonsubscribed": "d@example.org",
    }
    path = write_zip(
        tmp_path / "audience_export.zip",
        {
            f"{kind}_members_export_1.csv": mailchimp_csv(SIGNED_UP | {"Email Address": address})
            for kind, address in names.items()
        },
    )
    file = opened(path)
    assert [part.tool for part in file.parts] == ["mailchimp"] * 4
    assert [(row.address[0], row.opted_out, row.proof is None) for row in file.rows()] == [
        ("a", "", False),
        ("b", "unsubscribed", True),
        ("c", "cleaned", True),
        ("d", "", True),
    ]
    assert [row.address for row in file.iter_part_rows(file.parts[2])] == ["c@example.org"]


@pytest.mark.parametrize("kind", ["Non-subscribed", "non_subscribed", "nonsubscribed"])
def test_who_never_subscribed_at_mailchimp_proves_nothing(tmp_path: Path, kind: str) -> None:
    row = mailchimp_row(tmp_path, name=f"{kind}_email_audience_export_1.csv", **SIGNED_UP)
    assert (row.proof, row.opted_out) == (None, "")


@pytest.mark.parametrize("rest", ["email_audience_export_1a2b3c", "x"])
@pytest.mark.parametrize("kind", ["cleaned", "unsubscribed"])
def test_mailchimps_file_names_are_believed_whatever_is_left_of_the_columns(
    tmp_path: Path, kind: str, rest: str
) -> None:
    name = f"{kind}_{rest}.csv"
    row = row_of(tmp_path, "generic", "email", "a@example.org", name=name)
    assert (row.opted_out, row.said) == (kind, name)


def test_members_of_a_zip_are_known_by_their_names_alone(tmp_path: Path) -> None:
    kinds = ("subscribed", "unsubscribed", "cleaned", "nonsubscribed")
    members = {f"{kind}_x.csv": f"Email Address\n{kind}@example.org\n" for kind in kinds}
    file = opened(write_zip(tmp_path / "unsubscribed and others.zip", members))
    assert [row.opted_out for row in file.rows()] == ["", "unsubscribed", "cleaned", ""]
    assert [part.holds for part in file.parts] == ["", "unsubscribed", "cleaned", "nonsubscribed"]


def test_a_note_at_mailchimp_is_a_remark(tmp_path: Path) -> None:
    row = mailchimp_row(tmp_path, **SIGNED_UP | {"NOTES": "do not mail"})
    assert (row.opted_out, row.said, row.proof) == ("remark", "NOTES: do not mail", None)


def test_a_mailchimp_audience_with_german_fields_is_known(tmp_path: Path) -> None:
    row = row_of(
        tmp_path,
        "mailchimp",
        "Emailadresse|Vorname|Nachname|OPTIN_TIME|OPTIN_IP|LEID",
        "a@example.org|Eva|Braun|2018-02-12 17:59:31|46.140.110.82|1",
    )
    assert (row.name, row.proof is not None) == ("Eva Braun", True)


# --- The others.


def test_brevos_blacklisted_is_an_opting_out(tmp_path: Path) -> None:
    header = "EMAIL|PRENOM|NOM|EMAIL_BLACKLISTED|DOUBLE_OPT-IN|OPT_IN|ADDED_TIME|MODIFIED_TIME"
    out = row_of(tmp_path, "brevo", header, "a@example.org|Eva|Petit|1|1|yes|31-12-2023 10:00:00|")
    assert (out.name, out.opted_out) == ("Eva Petit", "unsubscribed")
    on = row_of(tmp_path, "brevo", header, "a@example.org|Eva|Petit|0|2|no|31-12-2023 10:00:00|")
    assert (on.opted_out, on.proof) == ("", None)
    assert on.since == datetime(2023, 12, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "opted_out", "is_proved"),
    [
        ("active", "", True),
        ("unsubscribed", "unsubscribed", False),
        ("bounced", "cleaned", False),
        ("junk", "complained", False),
        ("unconfirmed", "", False),
    ],
)
def test_mailerlites_double_optin_is_a_proof_unless_its_status_is_against_it(
    tmp_path: Path, status: str, opted_out: str, *, is_proved: bool
) -> None:
    row = row_of(
        tmp_path,
        "mailerlite",
        "Subscriber|Name|Last name|Status|Subscribed|Opted in at|Optin IP|IP address",
        f"a@example.org|Eva|Prins|{status}|2024-01-01 12:00:00|2024-01-01 12:05:00|192.0.2.7|",
    )
    assert (row.name, row.opted_out, row.proof is not None) == ("Eva Prins", opted_out, is_proved)
    assert row.since == datetime(2024, 1, 1, 11, tzinfo=UTC)


def test_mailerlites_ip_of_who_sent_it_in_proves_nothing(tmp_path: Path) -> None:
    row = row_of(
        tmp_path,
        "mailerlite",
        "Subscriber|Subscribed|Opt-in date|IP address",
        "a@example.org|2024-01-01 12:00:00|2024-01-01 12:00:00|192.0.2.7",
    )
    assert row.proof is None


@pytest.mark.parametrize(
    ("source", "is_proved"),
    [("https://www.example.org/aanmelden", True), ("", False), ("import", False)],
)
def test_lapostas_source_url_is_a_proof_and_its_ip_is_not(
    tmp_path: Path, source: str, *, is_proved: bool
) -> None:
    row = row_of(
        tmp_path,
        "laposta",
        "member_id|email|state|signup_date|ip|source_url",
        f"x1|a@example.org|active|2024-01-01 12:00:00|192.0.2.7|{source}",
    )
    assert (row.proof is not None) is is_proved
    method = row.proof.method if row.proof else "web form (Laposta signup_date, source_url)"
    assert method == "web form (Laposta signup_date, source_url)"


def test_lapostas_states_are_understood(tmp_path: Path) -> None:
    header = "E-mailadres|Relatiestatus|Aanmelddatum"
    row = row_of(tmp_path, "laposta", header, "a@example.org|Uitgeschreven|1-1-2024")
    assert row.opted_out == "unsubscribed"


@pytest.mark.parametrize(
    ("status", "opted_out"),
    [("enabled", ""), ("blocklisted", "unsubscribed"), ("disabled", "unsubscribed")],
)
def test_listmonks_blocklisted_and_disabled_are_opted_out(
    tmp_path: Path, status: str, opted_out: str
) -> None:
    at = "2024-01-01 12:00:00.123 +0000 UTC"
    row = row_of(
        tmp_path,
        "listmonk",
        "uuid|email|name|attributes|status|created_at|updated_at",
        f"u-1|a@example.org|Eva|{{}}|{status}|{at}|{at}",
    )
    assert (row.name, row.opted_out, row.proof) == ("Eva", opted_out, None)
    assert row.since == datetime(2024, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "names", ["First Name|Middle Name|Last Name", "Given Name|Additional Name|Family Name"]
)
def test_each_address_of_google_contacts_is_a_row(tmp_path: Path, names: str) -> None:
    text = as_csv(
        [
            [
                *names.split("|"),
                "Labels",
                "E-mail 1 - Label",
                "E-mail 1 - Value",
                "E-mail 2 - Value",
            ],
            ["Eva", "van", "Dam", "*", "Work", "a@example.org ::: b@example.org", "c@example.org"],
        ]
    )
    file = from_text(tmp_path, text)
    assert file.parts[0].tool == "google"
    assert [(row.line, row.address, row.name) for row in file.rows()] == [
        (2, "a@example.org", "Eva van Dam"),
        (2, "b@example.org", "Eva van Dam"),
        (2, "c@example.org", "Eva van Dam"),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "First Name|Last Name|E-mail Address|E-mail Type|E-mail 2 Address|E-mail 2 Type",
        "Voornaam|Achternaam|E-mailadres|E-mailtype|E-mailadres 2|E-mailtype 2",
        "Vorname|Nachname|E-Mail-Adresse|E-Mail-Typ|E-Mail 2: Adresse|E-Mail 2: Typ",
        "Prénom|Nom|Adresse de messagerie|Type de messagerie|Adresse de messagerie 2|x",
    ],
)
def test_each_address_of_outlook_is_a_row(tmp_path: Path, header: str) -> None:
    record = ["Eva", "Dam", "a@example.org", "SMTP", "b@example.org", "SMTP"]
    file = from_text(tmp_path, as_csv([header.split("|"), record]), encoding="cp1252")
    assert file.parts[0].tool == "outlook"
    assert [(row.address, row.name) for row in file.rows()] == [
        ("a@example.org", "Eva Dam"),
        ("b@example.org", "Eva Dam"),
    ]


@pytest.mark.parametrize(
    ("status", "opted_out", "is_proved"),
    [
        ("active", "", True),
        ("new", "", False),
        ("bounced", "cleaned", False),
        ("abused", "complained", False),
        ("deleted", "unsubscribed", False),
    ],
)
def test_rapidmails_confirmation_is_a_proof_unless_its_status_is_against_it(
    tmp_path: Path, status: str, opted_out: str, *, is_proved: bool
) -> None:
    confirmed = "2024-01-01 12:05:00|192.0.2.7" if status != "new" else "|"
    row = row_of(
        tmp_path,
        "rapidmail",
        "foreign_id|email|status|created|created_ip|activated|activated_ip",
        f"|a@example.org|{status}|2024-01-01 12:00:00|192.0.2.7|{confirmed}",
    )
    assert (row.opted_out, row.proof is not None) == (opted_out, is_proved)
    assert row.since == datetime(2024, 1, 1, 11, tzinfo=UTC)


def test_rapidmails_imported_recipients_have_no_proof(tmp_path: Path) -> None:
    row = row_of(
        tmp_path,
        "rapidmail",
        "foreign_id|email|status|created|created_ip|activated|activated_ip",
        "|a@example.org|active|2024-01-01 12:00:00||2024-01-01 12:00:00|",
    )
    assert row.proof is None


@pytest.mark.parametrize("source", ["-59", "https://www.example.org/sign-up"])
def test_klaviyos_consent_timestamp_only_tells_since_when(tmp_path: Path, source: str) -> None:
    row = row_of(
        tmp_path,
        "klaviyo",
        "Email|IP Address|Source|Email Marketing Consent|Email Marketing Consent Timestamp",
        f"a@example.org|192.0.2.7|{source}|SUBSCRIBED|2024-03-05 12:01:02",
    )
    assert (row.opted_out, row.said, row.proof) == ("", "", None)
    assert row.since == datetime(2024, 3, 5, 11, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "record", "opted_out"),
    [
        ("State|Accepts Email Marketing|Total Spent", "disabled|yes|0.00", ""),
        ("State|Accepts Email Marketing|Total Spent", "enabled|no|0.00", "unsubscribed"),
        ("State|Email Marketing: Status|Tax Exempt", "disabled|subscribed|FALSE", ""),
        ("State|Email Marketing: Status|Tax Exempt", "enabled|unsubscribed|FALSE", "unsubscribed"),
    ],
)
def test_shopifys_state_is_about_an_account(
    tmp_path: Path, header: str, record: str, opted_out: str
) -> None:
    row = row_of(tmp_path, "shopify", f"Email|{header}", f"a@example.org|{record}")
    assert (row.opted_out, bool(row.said)) == (opted_out, bool(opted_out))


@pytest.mark.parametrize(
    ("header", "record", "opted_out"),
    [
        ("blacklisted|optedin|bouncecount|disabled|uniqid", "0|0|3|0|x", ""),
        ("blacklisted|optedin|bouncecount|disabled|uniqid", "1|0|0|0|x", "unsubscribed"),
        ("blacklisted|optedin|bouncecount|disabled|uniqid", "0|1|0|1|x", "unsubscribed"),
        (
            "Did this subscriber manually confirm|Number of bounces|Is this account disabled?",
            "0|3|1",
            "unsubscribed",
        ),
    ],
)
def test_phplists_optedin_is_no_refusal(
    tmp_path: Path, header: str, record: str, opted_out: str
) -> None:
    row = row_of(tmp_path, "phplist", f"email|{header}", f"a@example.org|{record}")
    assert (row.opted_out, row.proof) == (opted_out, None)


def test_hubspots_file_of_unsubscribes_and_bounces_is_read_as_it_says(tmp_path: Path) -> None:
    header = "Email|Portal Bounce|Portal Unsubscribe|Portal Spam Report|Marketing Information"
    records = [["FALSE"] * 4 for _ in range(5)]
    for place in range(4):
        records[place][place] = "TRUE"
    lines = ["|".join((f"{number}@example.org", *record)) for number, record in enumerate(records)]
    marks = ["cleaned", "unsubscribed", "complained", "unsubscribed", ""]
    assert marks_of(tmp_path, header, *lines) == marks


@pytest.mark.parametrize(
    ("title", "marks"),
    [
        # MailPoet.
        ("Global status", {"Unsubscribed": "unsubscribed", "Bounced": "cleaned"}),
        ("List status", {"Subscribed": "", "Unconfirmed": "", "Inactive": "unsubscribed"}),
        # Constant Contact.
        ("Email permission status", {"Express": "", "Implied": "", "Not set": "", "Pending": ""}),
        ("Email permission status", {"Unsubscribed": "unsubscribed", "Temp hold": ""}),
        ("Email Delivery Status", {"delivered": "", "bounced": "cleaned"}),
        ("Subscription state", {"subscribed": "", "unsubscribed": "unsubscribed"}),
        ("Email status", {"Active": "", "Awaiting Confirmation": "", "No Permissions Set": ""}),
        # rapidmail, in German.
        ("Status", {"Aktiv": "", "Unbestätigt": "", "Gebounct": "cleaned"}),
        ("Status", {"Unerwünscht": "unsubscribed", "Abgemeldet": "unsubscribed"}),
    ],
)
def test_a_status_of_another_tool_is_read(
    tmp_path: Path, title: str, marks: dict[str, str]
) -> None:
    rows = (f"a{number}@example.org|{text}" for number, text in enumerate(marks))
    assert marks_of(tmp_path, f"Email|{title}", *rows) == list(marks.values())


# --- Bounces and complaints, as customer databases write them.


def marks_of(folder: Path, *records: str) -> list[str]:
    """Return the mark of each row of a file of several columns."""
    text = as_csv([record.split("|") for record in records])
    return [row.opted_out for row in from_text(folder, text).rows()]


@pytest.mark.parametrize(
    "header",
    [
        "Email hard bounce reason",
        "hs_email_hard_bounce_reason_enum",
        "Grund für Hard Bounce der E-Mail",
        "Hard-Bounce-Grund",
        "Reden hard bounce",
        "Email Bounced Reason",
        "EmailBouncedReason",
    ],
)
def test_a_reason_for_a_hard_bounce_is_a_bounce_and_none_says_nothing(
    tmp_path: Path, header: str
) -> None:
    records = ("2|b@example.org||UNKNOWN_USER", "3|c@example.org||", "4|d@example.org|true|OTHER")
    said = ("5|e@example.org||550 no such user", "6|f@example.org||None", "7|g@example.org||n/a")
    assert marks_of(
        tmp_path, f"Record ID|Email|Unsubscribed from all email|{header}", *records, *said
    ) == ["cleaned", "", "unsubscribed", "cleaned", "", ""]


@pytest.mark.parametrize(
    ("header", "text", "mark"),
    [
        ("Email Bounced Date", "2024-03-01T10:00:00.000Z", "cleaned"),
        ("IsEmailBounced", "true", "cleaned"),
        ("IsEmailBounced", "false", ""),
        ("Invalid email address", "true", "cleaned"),
        ("hs_email_bad_address", "true", "cleaned"),
        ("Ungültige E-Mail-Adresse", "Ja", "cleaned"),
        ("Ongeldig e-mailadres", "Ja", "cleaned"),
        ("Cleaned On", "2021-01-01", "cleaned"),
        ("Global Bounce", "TRUE", "cleaned"),
        ("Portal Spam Report", "TRUE", "complained"),
        ("Marked as spam", "yes", "complained"),
        # Not hard, or not known to be so.
        ("Soft bounce reason", "MAILBOX", ""),
        ("Bounced", "soft", ""),
        ("Bounce reason", "Temporary failure", ""),
        ("Bounce reason", "452 4.2.2 mailbox full", ""),
        ("Bounce status", "not bounced", ""),
        ("Soft bounces", "2", ""),
        ("Bounce rate", "12", ""),
        ("Emails Bounced", "3", ""),
        # "Soft" is also a part of other words.
        ("Bounce reason", "blocked by Microsoft software", "cleaned"),
        ("Bounce reason", "Not found", "cleaned"),
        ("Bounce date", "4.3.2024", "cleaned"),
    ],
)
def test_a_bounce_counts_unless_it_is_soft(
    tmp_path: Path, header: str, text: str, mark: str
) -> None:
    assert marks_of(tmp_path, f"Email|{header}", f"a@example.org|{text}") == [mark]


def test_the_date_of_a_soft_bounce_is_none_of_a_hard_one(tmp_path: Path) -> None:
    header = "Email|Bounced date|Bounce type|Hard bounce reason"
    rows = ("a@example.org|2024-01-01|Soft|", "b@example.org|2024-01-01|Hard|")
    both = "c@example.org|2024-01-01|Soft|UNKNOWN_USER"
    assert marks_of(tmp_path, header, *rows, both) == ["", "cleaned", "cleaned"]


@pytest.mark.parametrize(
    ("title", "marks"),
    [
        ("Email Suppressions", {'["HARD_BOUNCE"]': "cleaned", '["UNSUBSCRIBE"]': "unsubscribed"}),
        ("Email Suppressions", {'["SPAM_COMPLAINT"]': "complained", "[]": "", "": ""}),
        ("Email Suppressions", {'["HARD_BOUNCE", "UNSUBSCRIBE"]': "unsubscribed"}),
        ("Email Suppressions", {'["USER_SUPPRESSED"]': "unsubscribed"}),
        ("Email Suppressions", {'["INVALID_EMAIL"]': "cleaned", "None": ""}),
        ("On Hold", {"On Hold Bounce": "cleaned", "On Hold Opt Out": "unsubscribed", "No": ""}),
        ("Home-On Hold", {"Yes": "unsubscribed", "0": "", "2": "unsubscribed"}),
        ("Contact Is Deleted", {"Yes": "unsubscribed", "No": ""}),
        ("is_deceased", {"1": "unsubscribed", "0": ""}),
        # CleverReach, GetResponse and Mautic.
        ("deactivated", {"2021-01-01 00:00:00": "unsubscribed", "1609459200": "unsubscribed"}),
        ("deactivated", {"0": ""}),
        ("Removal reason", {"user unsubscribed": "unsubscribed", "bounced": "cleaned"}),
        ("dnc_email", {"1": "unsubscribed", "0": ""}),
        # Dynamics, Mailjet and Salesforce in German and Dutch.
        ("Do not allow Bulk Emails", {"Allow": "", "Do Not Allow": "unsubscribed"}),
        ("donotbulkemail", {"false": "", "true": "unsubscribed"}),
        ("Geen bulk-e-mails toestaan", {"Toestaan": "", "Niet toestaan": "unsubscribed"}),
        ("Keine Massen-E-Mails zulassen", {"Zulassen": "", "Nicht zulassen": "unsubscribed"}),
        ("Do Not Send Email", {"0": "", "1": "unsubscribed"}),
        ("Keine E-Mails senden", {"Nein": "", "Ja": "unsubscribed"}),
        ("No email", {"No": "", "Yes": "unsubscribed"}),
        ("Receive emails", {"No": "unsubscribed", "Yes": ""}),
        ("isexcludedfromcampaigns", {"false": "", "true": "unsubscribed"}),
        ("IsUnsub", {"false": "", "true": "unsubscribed"}),
        ("Afmelden voor e-mail", {"0": "", "1": "unsubscribed"}),
        ("Grund für unzustellbare E-Mail", {"550 user unknown": "cleaned", "": ""}),
        ("Unsubscribe", {"https://example.org/unsubscribe?u=1": "", "2021-01-01": "unsubscribed"}),
        # A bounce in the answer to a question for consent.
        ("Person - Marketing status", {"Subscribed": "", "Bounced": "cleaned"}),
        ("_customer_opted_in", {"0": "unsubscribed", "1": ""}),
    ],
)
def test_why_somebody_is_not_mailed_any_more_is_read(
    tmp_path: Path, title: str, marks: dict[str, str]
) -> None:
    cells = [["Email", title]]
    cells += [[f"a{number}@example.org", text] for number, text in enumerate(marks)]
    file = from_text(tmp_path, as_csv(cells))
    assert [row.opted_out for row in file.rows()] == list(marks.values())
    assert list(file.find_ambiguous_columns()) == []


def test_in_civicrm_do_not_mail_is_about_letters(tmp_path: Path) -> None:
    header = "Email|Do Not Email|Do Not Mail|Do Not Trade|On Hold|Use for Bulk Mail|Deceased"
    rows = ("a@example.org|No|Yes|No|No|Yes|No", "b@example.org|Yes|No|Yes|No|No|No")
    more = ("c@example.org|No|No|Yes|On Hold Bounce|No|No", "d@example.org|No|No|No|No|No|Yes")
    text = as_csv([record.split("|") for record in (header, *rows, *more)])
    file = from_text(tmp_path, text)
    assert file.parts[0].tool == "civicrm"
    assert [row.opted_out for row in file.rows()] == ["", "unsubscribed", "cleaned", "unsubscribed"]
    assert list(file.find_ambiguous_columns()) == []


@pytest.mark.parametrize("part", ["Street", "City", "State", "State/Province", "Country"])
def test_salesforces_mailing_address_is_no_answer(tmp_path: Path, part: str) -> None:
    text = as_csv([["Email", f"Mailing {part}"], ["a@example.org", "NO"], ["b@example.org", "Ede"]])
    rows = list(from_text(tmp_path, text).rows())
    assert [row.opted_out for row in rows] == ["", ""]
    assert rows[1].said == ""


@pytest.mark.parametrize("title", ["isoptinpending", "Consent to track", "Tracking consent"])
def test_another_question_than_for_mail_is_no_refusal(tmp_path: Path, title: str) -> None:
    assert marks_of(tmp_path, f"Email|{title}", "a@example.org|No", "b@example.org|Yes") == ["", ""]


def test_each_tool_is_described_by_known_keys_and_fields() -> None:
    folder = package_files.find_asset("data") / "newsletter_tools"
    names = {path.stem for path in folder.glob("*.toml")} - {"shared_by_all"}
    known_names = {tool.name for tool in newsletter_tools._KNOWN}
    assert names == known_names, "imports/newsletter_tools.py names the tools in their order"
    known = {"told_by", "at_least", "titles", "ip_proves", "form_proves", "zone"}
    fields = {newsletter_tools.find_field(title)[0] for title in newsletter_tools._RANKED} | {
        "address",
        "",
    }
    for name in names:
        document = package_files.load_newsletter_tool(name)
        assert document.keys() <= {"label", "import", "export", "steps"}, name
        assert document["import"].keys() <= known, name
        assert set(document["import"].get("titles", {}).values()) <= fields, name
        exported = {"formats", "delimiter", "bom", "keep", "removed"}
        assert document.get("export", {}).keys() <= exported, name
        assert document.get("steps", {}).keys() in ({"keep", "removed"}, set()), name
