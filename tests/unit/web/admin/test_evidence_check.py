"""Whether the record holds, on the pages: all of it, and a proof that is handed in."""

from __future__ import annotations

import fcntl
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.accounts import Access, User
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.evidence import chain, stored_tree
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.i18n.catalogues import load_translations
from repermit.rules.consent import Reason
from repermit.settings.definitions import EvidenceRules, Settings
from repermit.temporary_files import open_private_folder
from repermit.web.admin import evidence_check
from tests.support.admin_pages import ENGLISH, client_of, csrf_token, make_admin
from tests.support.builders import NOW, make_contact, make_removed
from tests.support.public_pages import Pages, words_of
from tests.support.timestamp_authority import Authority, serving
from tests.unit.evidence.test_timestamps import Stamping

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

URL = "/admin/log/verify"
NOTHING = {"seq": 0, "hash": "0" * 64, "root": "0" * 64}


@pytest.fixture
def admin(database: Database) -> User:
    return make_admin(database, email="anna@example.org")


def send(client: FlaskClient, to: str, /, **fields: Any) -> TestResponse:
    """Send a form, as somebody does who reads English."""
    data = {**fields, "csrf_token": csrf_token(client)}
    return client.post(f"{URL}/{to}", data=data, headers=ENGLISH)


def look(client: FlaskClient) -> str:
    response = client.get(URL, headers=ENGLISH)
    assert response.status_code == 200
    return words_of(response)


def check(client: FlaskClient, octets: bytes, checkpoint: object = "") -> str:
    given = json.dumps(checkpoint) if checkpoint else ""
    return words_of(send(client, "proof", file=(io.BytesIO(octets), "a.json"), checkpoint=given))


def prove(database: Database, mailing_list: MailingList, client: FlaskClient) -> bytes:
    contact = make_removed(database, mailing_list, Reason.NO, "jan@example.org")
    data = {"csrf_token": csrf_token(client)}
    answer = client.post(f"/admin/lists/news/contacts/{contact.id}/proof", data=data)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return archive.read(f"proof-news-{contact.id}.json")


@pytest.mark.parametrize("how", How)
def test_every_fault_has_a_sentence_of_its_own_in_both_languages(how: How) -> None:
    sentence = Fault(3, how).sentence
    others = {str(Fault(3, other).sentence) for other in How if other is not how}
    assert str(sentence) not in others
    # The details of `verify` stand behind it, and it is true without a checkpoint too.
    assert ". " not in str(sentence)
    assert "your" not in str(sentence)
    translations = load_translations("nl")
    assert translations.gettext(sentence.template) != sentence.template


def test_the_log_leads_there(client: FlaskClient) -> None:
    for path in ("", "looks"):
        assert f'href="{URL}"' in client.get(f"/admin/log/{path}").text
    assert "Check the whole record" in look(client)
    assert client.get(f"{URL}/result.json").status_code == 404
    assert client.get(f"{URL}/state.json").json == {"is_busy": False}


def test_a_record_that_holds_is_told_with_its_checkpoint(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    before = Evidence.select().count(), Access.select().count()
    answer = send(client, "chain")
    assert (answer.status_code, answer.location) == (303, URL)
    known = stored_tree.checkpoint()
    said = look(client)
    assert "The record holds." in said
    assert "anna@example.org" in said
    assert "goes on from your checkpoint" not in said
    assert known.hash in said
    found = client.get(f"{URL}/result.json")
    assert found.json == verify_chain.verify_chain(database).to_json()
    # A receipt by mail has them in capitals.
    typed = {"seq": known.seq, "hash": known.hash.upper(), "root": known.root.upper()}
    send(client, "chain", checkpoint=json.dumps(typed))
    assert f"It goes on from your checkpoint, at entry {known.seq}." in look(client)
    assert (Evidence.select().count(), Access.select().count()) == before


def test_a_record_that_does_not_hold_names_the_entry(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    known = stored_tree.checkpoint().to_json()
    send(client, "chain", checkpoint=json.dumps({**known, "root": "0" * 64}))
    said = look(client)
    assert "The record does not hold. Entries were rewritten: an earlier checkpoint" in said
    assert "the checkpoint says otherwise" in said, "what the command says too"
    with database.atomic():
        Evidence.update(actor="person", list="x").where(Evidence.seq == 1).execute()
    send(client, "chain")
    said = look(client)
    assert "The record does not hold. Entry 1 was edited." in said
    assert "The checkpoint at its end" not in said


@pytest.mark.parametrize("pasted", ["no JSON", "[]", "[" * 100_000, '{"seq": 1}'])
@pytest.mark.parametrize("form", ["chain", "proof"])
def test_what_is_no_checkpoint_is_said_to_be_none(
    client: FlaskClient, form: str, pasted: str
) -> None:
    answer = send(client, form, checkpoint=pasted, file=(io.BytesIO(b"{}"), "a.json"))
    assert answer.status_code == 422
    assert "There is no checkpoint in this." in words_of(answer)
    assert answer.text.count(pasted if pasted.isascii() and '"' not in pasted else "&#34;seq") >= 1


def test_a_walk_that_is_under_way_is_waited_for_and_begun_once(
    client: FlaskClient, settings: Settings
) -> None:
    send(client, "chain")
    folder = open_private_folder(settings, "verified")
    (folder / "walk.json").unlink()
    assert "It was cut off" in look(client)
    with (folder / "lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        said = look(client)
        assert "The record is being checked" in said
        assert "Check the whole record" not in said
        assert client.get(f"{URL}/state.json").json == {"is_busy": True}
        send(client, "chain")
        assert "The record is being checked already." in look(client)
    send(client, "chain")
    assert "The record holds." in look(client)


def test_a_proof_is_told_in_words_and_held_against_a_checkpoint(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    octets = prove(database, mailing_list, client)
    said = check(client, octets)
    assert "This file holds. Nothing in it was changed since it was made." in said
    assert "What it shows of one person on the list news" in said
    assert "The person said No" in said
    assert "Made as entry" in said
    own = json.loads(octets)["checkpoint"]
    assert "It agrees with your checkpoint" in check(client, octets, own)
    assert "It agrees with your checkpoint" in check(client, octets, json.loads(octets))
    other = {**own, "root": "0" * 64}
    assert "It does not agree with your checkpoint" in check(client, octets, other)
    elsewhere = {**own, "seq": own["seq"] + 5}
    assert "cannot be told from this file" in check(client, octets, elsewhere)


def test_it_is_told_who_signed_a_proof(
    database: Database, mailing_list: MailingList, settings: Settings, admin: User
) -> None:
    signing = client_of(Pages(database, replace(settings, evidence_key=bytes(range(32)))), admin)
    unsigned = client_of(Pages(database, settings), admin)
    octets = prove(database, mailing_list, signing)
    assert "It is signed with a key of this record." in check(signing, octets)
    assert "with a key that this record does not know" in check(unsigned, octets)
    note = json.loads(octets)["checkpoint"]["note"]
    data = {"checkpoint": note, "csrf_token": csrf_token(signing)}
    file = (io.BytesIO(octets), "proof.json")
    answer = signing.post(f"{URL}/proof", data={**data, "file": file}, headers=ENGLISH)
    assert "It agrees with your checkpoint" in words_of(answer)


def test_parts_that_are_gone_are_counted(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    octets = prove(database, mailing_list, client)
    assert "held no longer" not in check(client, octets)
    subject = json.loads(octets)["statement"]["subject"]
    with database.atomic():
        assert chain.erase_parts(subject, ("person",))
    data = {"csrf_token": csrf_token(client)}
    answer = client.post("/admin/lists/news/contacts/1/proof", data=data)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        octets = archive.read("proof-news-1.json")
    assert "One part is held no longer; nothing is claimed of it." in check(client, octets)


def test_what_proves_nothing_says_why(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    document = json.loads(prove(database, mailing_list, client))
    document["statement"]["list"] = "other"
    said = check(client, json.dumps(document).encode())
    assert "This file proves nothing:" in said
    assert "is not about this person and list" in said
    assert "This file proves nothing: it is not of the form" in check(client, b"no JSON")
    assert "Choose a file first." in words_of(send(client, "proof"))


def test_the_zip_that_a_contacts_page_hands_out_is_taken(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO, "jan@example.org")
    data = {"csrf_token": csrf_token(client)}
    answer = client.post(f"/admin/lists/news/contacts/{contact.id}/proof", data=data)
    said = check(client, answer.data)
    assert "This file holds." in said
    assert "The person said No" in said


def bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", bytes(evidence_check.MAX_FILE_SIZE + 1))
    return made.getvalue()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"%PDF", "het heeft niet de vorm repermit-proof/1: het is geen JSON"),
        (b"\xff\xfe", "het is geen JSON"),
        (b"[]", "iets erin is van een andere soort"),
        (b'{"format": 1}', "er staat format waar checkpoint, format"),
        (bomb(), "uitgepakt is het groter dan 5.000.000 bytes"),
        (b"PK\x03\x04", "de ZIP is beschadigd"),
        (b'{"consistency": null}', "er blijkt niet uit dat een bewijsregister verdergaat"),
    ],
)
def test_what_is_no_proof_is_told_in_our_words_in_dutch_too(
    client: FlaskClient, octets: bytes, said: str
) -> None:
    data = {"file": (io.BytesIO(octets), "a.json"), "csrf_token": csrf_token(client)}
    answer = client.post(f"{URL}/proof", data=data, headers={"Accept-Language": "nl"})
    assert said in words_of(answer)
    for of_python in ("codec", "object has", "Expecting", "attribute"):
        assert of_python not in words_of(answer)


def test_two_checkpoints_are_seen_to_go_on_from_one_another(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    known = stored_tree.checkpoint()
    make_removed(database, mailing_list, Reason.NO)
    shown = verify_chain.verify_chain(database, known=known).to_json()
    octets = json.dumps(shown).encode()
    assert "It goes on from your checkpoint:" in check(client, octets, known.to_json())
    assert "This file holds." in check(client, octets)
    shown["consistency"]["path"] = ["0" * 64]
    assert "proves nothing" in check(client, json.dumps(shown).encode(), known.to_json())
    none = json.dumps({**shown, "consistency": None}).encode()
    assert "does not show that a record goes on" in check(client, none, NOTHING)


def test_nothing_of_a_proof_is_kept(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    octets = prove(database, mailing_list, client)
    make_contact(database, mailing_list)
    before = Evidence.select().count(), Access.select().count()
    check(client, octets)
    assert (Evidence.select().count(), Access.select().count()) == before


# --- Whose timestamps a proof has. ----------------------------------------------------------------


@pytest.fixture
def stamping(database: Database, tmp_path: Path) -> Iterator[Stamping]:
    with serving(Authority(tmp_path / "authority")) as authority:
        yield Stamping(database, authority)


@pytest.mark.parametrize(
    ("given", "is_noted", "said"),
    [
        ("authority", True, ("done", "says CN=Test Authority.")),
        ("", True, ("warning", "But only the record names this authority, not your settings")),
        ("other", True, ("warning", "But only the record names this authority, not your settings")),
        ("", False, ("warning", "Who signed was not checked: neither the settings nor the record")),
        ("other", False, ("warning", "that neither settings nor record name.")),
    ],
)
def test_who_names_the_authority_of_a_timestamp_is_told(
    stamping: Stamping,
    admin: User,
    tmp_path: Path,
    given: str,
    said: tuple[str, str],
    *,
    is_noted: bool,
) -> None:
    stamping.take_off("anna@example.org")
    stamping.pass_time(NOW + timedelta(days=1))
    octets = json.dumps(stamping.prove("anna@example.org")).encode()
    if not is_noted:
        Evidence.delete().where(Evidence.event == "timestamp_authority").execute()
    files = {"authority": stamping.settings.evidence.timestamp_ca_file}
    ca_file = files.get(given) or str(Authority(tmp_path / "other").ca_file) if given else ""
    rules = EvidenceRules(timestamp_ca_file=ca_file)
    settings = replace(stamping.settings, evidence=rules)
    client = client_of(Pages(stamping.database, settings), admin)
    page = send(client, "proof", file=(io.BytesIO(octets), "a.json"), checkpoint="")
    (note,) = re.findall(
        r'<p class="note (\w+)">([^<]*(?:authority|Authority)[^<]*)</p>', page.text
    )
    kind, words = said
    assert note[0] == kind
    assert words in words_of(page)
