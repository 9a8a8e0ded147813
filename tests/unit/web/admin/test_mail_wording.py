"""Step 3 of a campaign: the mail's own wording, how it looks, and one to whoever writes it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

from repermit.campaigns import campaign_draft, preview
from repermit.campaigns.campaign_draft import Conditions
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList, find_list
from repermit.emails.wording_validation import ALL_FIELDS, make_default_wording
from repermit.errors import WordingError
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import Status
from repermit.settings.definitions import MailServer, Settings
from repermit.web.admin.result_text import translate_said
from repermit.web.admin.wording_form import list_field_titles
from tests.support.admin_pages import (
    admin_client,
    client_of,
    make_admin,
    post,
    read_version,
)
from tests.support.builders import NOW, make_campaign, make_contact, make_list
from tests.support.inbox import HANG_UP, Inbox
from tests.support.public_pages import Pages, everything_in, words_of
from tests.unit.campaigns.test_launch import start

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/mail"
TEXT = """\
{{ greeting }}

Mogen wij u blijven mailen? Antwoord voor {{ deadline }}.

{{ yes_url }}

{{ no_url }}

{{ organisation }}

{{ silence }}

{{ stop }}

{{ objection }}

{{ privacy_url }}
"""


def own(mailing_list: MailingList, **texts: str) -> None:
    """Give the list a wording of its own."""
    for name, text in texts.items():
        setattr(mailing_list, f"own_{name}", text)
    mailing_list.save()


def save(client: FlaskClient, **fields: str) -> TestResponse:
    return post(client, URL, **{"own_subject": "", "own_text": "", "own_html": "", **fields})


# --- The wording. ---------------------------------------------------------------------------------


def test_the_usual_wording_is_shown_until_there_is_one_of_their_own(client: FlaskClient) -> None:
    page = client.get(URL)
    said = words_of(page)
    assert "You can leave it so and go on" in said
    assert "the subject has 59 characters" in said
    assert 'src="/admin/lists/news/mail/look?language=nl&amp;kind=ask' in page.text
    # No template is seen by whoever asks for none.
    assert "{{" not in page.text
    assert "{{ yes_url }}" in client.get(f"{URL}?view=template").text


def test_every_field_is_explained(pages: Pages) -> None:
    with pages.app.test_request_context("/admin/"):
        assert set(list_field_titles()) == {f"{{{{ {field} }}}}" for field in ALL_FIELDS}


def test_an_own_wording_is_saved_and_the_conditions_come_next(
    database: Database, client: FlaskClient
) -> None:
    answer = save(client, own_subject="Een vraag", own_text=TEXT.replace("\n", "\r\n"))
    assert answer.status_code == 303
    assert answer.location == "/admin/lists/news/conditions"
    saved = find_list("news")
    assert (saved.own_subject, saved.own_text, saved.own_html) == ("Een vraag", TEXT, "")
    with database.atomic():
        assert Evidence.get(Evidence.event == "list_changed").actor.startswith("user:")


def test_whoever_wants_to_stay_does(client: FlaskClient) -> None:
    assert save(client, own_text=TEXT, look="1").location == URL
    page = client.get(URL)
    assert "Saved." in words_of(page)
    assert "Antwoord voor [last day and time]" in page.text
    assert "You can leave it so" not in words_of(page)


def test_an_own_wording_can_be_given_up(client: FlaskClient, mailing_list: MailingList) -> None:
    own(mailing_list, text=TEXT)
    assert save(client, own_text=" \r\n ").status_code == 303
    assert find_list("news").own_text == ""


def test_what_is_missing_is_said_and_nothing_typed_is_lost(
    client: FlaskClient, mailing_list: MailingList
) -> None:
    own(mailing_list, text=TEXT)
    answer = save(
        client, own_subject="x" * 121, own_text="Only for {{ deadline }} and {{ nobody }}"
    )
    assert answer.status_code == 422
    said = words_of(answer)
    for flaw in (
        "Subject: It must be one line of at most 120 characters.",
        "Text: The Yes is missing: put {{ yes_url }} in it",
        "Text: The link to the privacy statement is missing: put {{ privacy_url }} in it",
        "Text: There is no field {{ nobody }} here",
    ):
        assert flaw in said
    assert "Only for {{ deadline }}" in answer.text
    assert "x" * 121 in answer.text
    assert find_list("news").own_text == TEXT


def test_the_second_of_two_admins_is_told_and_saves_only_by_pressing_again(
    client: FlaskClient,
) -> None:
    version = read_version(client.get(URL))
    assert save(client, own_text=f"Anna\n{TEXT}", version=version).status_code == 303
    looked = post(client, f"{URL}/view", own_text=f"Bram\n{TEXT}", version=version)
    answer = save(client, own_text=f"Bram\n{TEXT}", version=read_version(looked))
    assert answer.status_code == 422
    assert "This was changed elsewhere meanwhile, so nothing was saved" in words_of(answer)
    assert "Bram" in answer.text
    assert find_list("news").own_text.startswith("Anna")
    answer = save(client, own_text=f"Bram\n{TEXT}", version=read_version(answer))
    assert answer.status_code == 303
    assert find_list("news").own_text.startswith("Bram")


def test_html_wants_a_text_beside_it(client: FlaskClient) -> None:
    answer = save(client, own_html="<p>{{ greeting }}</p>")
    assert "HTML: There is no text of your own beside it" in words_of(answer)


def test_without_a_sender_there_is_no_mail_yet(
    mailing_list: MailingList, client: FlaskClient
) -> None:
    mailing_list.sender = ""
    mailing_list.save()
    # There is no mail to measure or to look at yet either.
    assert "As saved, the subject has" not in words_of(client.get(URL))
    assert "First say in step 1 who sends it" in words_of(client.get(f"{URL}/look"))
    assert "First say in step 1" in words_of(post(client, f"{URL}/test", own_text=TEXT))
    assert "Nothing was sent" in words_of(post(client, f"{URL}/test"))


def test_a_campaign_under_way_keeps_its_words(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list)
    save(client, own_text=TEXT, look="1")
    assert "keeps the words with which it was launched" in words_of(client.get(URL))


def test_during_a_campaign_its_mail_is_shown_until_something_else_is_typed(
    database: Database, client: FlaskClient, mailing_list: MailingList, settings: Settings
) -> None:
    make_contact(database, mailing_list, "anna@example.org")
    start(database, mailing_list, settings=settings)
    save(client, own_text=TEXT, look="1")
    asked = "Antwoord voor"
    assert asked in TEXT
    assert asked not in words_of(client.get(f"{URL}/look"))
    assert asked not in words_of(post(client, f"{URL}/look", own_text=TEXT, language="nl"))
    typed = TEXT.replace("Mogen", "Zouden")
    shown = words_of(post(client, f"{URL}/look", own_text=typed, language="nl"))
    assert "Zouden wij u blijven mailen?" in shown


def test_the_usual_words_can_be_begun_with_and_are_not_saved_by_that(
    database: Database, client: FlaskClient
) -> None:
    before = everything_in(database)
    page = post(client, f"{URL}/begin", own_subject="", own_text="", own_html="")
    assert page.status_code == 200
    assert "[name of the list]: blijven ontvangen? Uiterlijk [last day in short]" in page.text
    assert "geen antwoord van u, dan halen wij u ook van deze lijst." in words_of(page)
    assert everything_in(database) == before


def test_a_deadline_with_an_hour_takes_the_room_for_the_day_in_a_subject(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    typed = {"own_subject": "Wilt u ons nieuws over de praktijk blijven krijgen?", "language": "nl"}
    told = "though there is room"
    assert told in words_of(post(client, f"{URL}/look", **typed))
    kept = Conditions(deadline="2026-04-24T09:00")
    campaign_draft.save_conditions(database, mailing_list, kept, now=NOW, actor="user:1")
    assert told not in words_of(post(client, f"{URL}/look", **typed))
    page = post(client, f"{URL}/begin", own_subject="", own_text="", own_html="")
    assert "[name of the list]: blijven ontvangen?" in page.text
    assert "Uiterlijk [last day in short]" not in page.text


def test_beginning_with_the_usual_words_takes_away_none_that_were_typed(
    client: FlaskClient,
) -> None:
    page = post(
        client, f"{URL}/begin", own_subject="Mijn vraag", own_text="Mijn tekst", own_html=""
    )
    assert "Mijn vraag" in page.text
    assert "Mijn tekst" in page.text


# --- How it looks. --------------------------------------------------------------------------------


def test_the_mail_is_framed_without_scripts_and_leads_nowhere(client: FlaskClient) -> None:
    page = client.get(f"{URL}/look")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith(
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )
    assert "frame-ancestors 'self'" in policy
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert '<base target="_blank">' in page.text
    said = words_of(page)
    assert "Nieuws van de praktijk: blijven ontvangen? Uiterlijk 30 mrt (59 characters)" in said
    assert "met Ja of Nee antwoorden? (" in said


@pytest.mark.parametrize("language", ["nl", "en", "de", "fr"])
@pytest.mark.parametrize("kind", ["ask", "reminder"])
def test_each_mail_can_be_seen_in_each_language(
    client: FlaskClient, language: str, kind: str
) -> None:
    page = client.get(f"{URL}/look?language={language}&kind={kind}")
    assert f'lang="{language}"' in page.text
    greetings = {"nl": "Geachte lezer", "en": "Dear reader", "de": "Guten Tag", "fr": "Bonjour"}
    assert greetings[language] in words_of(page)


def test_what_cannot_be_chosen_is_the_first_that_can(client: FlaskClient) -> None:
    usual = client.get(f"{URL}/look")
    other = client.get(f"{URL}/look?language=es&kind=notice&shape=film&shade=pink")
    assert other.text == usual.text


def test_light_and_dark_are_those_that_were_chosen_whatever_the_browser_has(
    client: FlaskClient,
) -> None:
    light, dark = (client.get(f"{URL}/look?shade={shade}").text for shade in ("light", "dark"))
    for text in (light, dark):
        assert "prefers-color-scheme" not in text
    assert "@media not all {" in light
    assert "@media all {" in dark
    assert "color-scheme: dark" in dark
    assert "color-scheme: dark" not in light


def test_readers_are_named_as_people_write_their_addresses(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, "jos@xn--bcher-kva.example", name="")
    assert ">jos@bücher.example</option>" in client.get(URL).text


def test_the_text_is_shown_as_it_is(client: FlaskClient, mailing_list: MailingList) -> None:
    own(mailing_list, text=TEXT.replace("Mogen", "Mogen <b>&"))
    page = client.get(f"{URL}/look?shape=text&shade=dark")
    assert "Mogen &lt;b&gt;&amp; wij u" in page.text
    assert "background:#15181c" in page.text


def test_the_deadline_is_that_of_the_conditions(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    assert "maandag 30 maart 2026, 23:59" in words_of(client.get(f"{URL}/look"))
    kept = Conditions(deadline="2026-04-24")
    campaign_draft.save_conditions(database, mailing_list, kept, now=NOW, actor="user:1")
    assert "vrijdag 24 april 2026, 23:59" in words_of(client.get(f"{URL}/look"))
    assert "vrijdag 24 april 2026, 23:59" in words_of(client.get("/admin/lists/news/describe"))
    make_campaign(database, mailing_list, deadline=NOW + timedelta(days=60))
    assert "vrijdag 1 mei 2026" in words_of(client.get(f"{URL}/look"))
    assert "vrijdag 1 mei 2026" in words_of(client.get("/admin/lists/news/describe"))


def test_what_is_typed_can_be_seen_before_it_is_saved(
    database: Database, client: FlaskClient
) -> None:
    before = everything_in(database)
    typed = TEXT.replace("Mogen", "Zouden")
    page = post(client, f"{URL}/look", own_subject="Een vraag", own_text=typed, language="nl")
    said = words_of(page)
    assert "Een vraag (9 characters)" in said
    assert "Zouden wij u blijven mailen?" in said
    assert everything_in(database) == before


def test_what_makes_no_mail_says_why(client: FlaskClient) -> None:
    page = post(client, f"{URL}/look", own_text="<Hello>", shade="dark", view="template")
    assert page.status_code == 200
    said = words_of(page)
    assert "There is no mail to look at yet:" in said
    assert "the right to object is missing: put {{ objection }} in it" in said
    assert page.headers["Content-Security-Policy"].startswith("sandbox;")


# --- One to oneself. ------------------------------------------------------------------------------


@pytest.fixture
def sending(
    database: Database, settings: Settings, mailing_list: MailingList, inbox: Inbox
) -> FlaskClient:
    """Return the client of an admin with a mailbox, where a mail server stands ready."""
    assert mailing_list.slug == "news"
    server = MailServer(server="127.0.0.1", port=inbox.port, tls="none")
    pages = Pages(database, replace(settings, mail=server))
    return client_of(pages, make_admin(database, email="anna@example.org"))


def test_a_mail_to_oneself_says_what_is_typed(sending: FlaskClient, inbox: Inbox) -> None:
    page = post(sending, f"{URL}/test", own_subject="Een vraag", own_text=TEXT, to="bea@x.example")
    assert page.status_code == 200
    assert "Sent to anna@example.org, as it stands here." in words_of(page)
    assert "Antwoord voor [last day and time]" in page.text
    (received,) = inbox.wait_for(1)
    assert received.rcpt_tos == ("anna@example.org",)
    assert received.message["Subject"] == "Een vraag"
    entry = Evidence.get()
    assert (entry.event, entry.list) == ("test_mail_sent", "news")
    assert entry.actor.startswith("user:")
    assert find_list("news").own_text == ""


def test_a_wording_that_may_not_be_is_not_sent(sending: FlaskClient, inbox: Inbox) -> None:
    page = post(sending, f"{URL}/test", own_text="Hello")
    assert page.status_code == 422
    assert "Text: The Yes is missing" in words_of(page)
    assert not inbox.mails


def test_a_server_that_says_no_more_may_have_taken_it(sending: FlaskClient, inbox: Inbox) -> None:
    inbox.reply_to_data = lambda _mail: HANG_UP
    page = post(sending, f"{URL}/test", own_text=TEXT)
    assert page.status_code == 422
    assert "took the mail and said no more: look whether it came" in words_of(page)


def test_a_server_that_does_not_take_it_is_said(
    database: Database, settings: Settings, mailing_list: MailingList
) -> None:
    server = MailServer(server="127.0.0.1", port=9, tls="none")
    client = admin_client(Pages(database, replace(settings, mail=server)))
    assert mailing_list.id
    page = post(client, f"{URL}/test", own_text=TEXT)
    assert page.status_code == 422
    assert "Nothing was sent: the mail server did not take it" in words_of(page)
    assert "Antwoord voor [last day and time]" in page.text


# --- The sentences, against those that messages has. ----------------------------------------------


FLAWED = (
    {"subject": "x" * 121},
    {"subject": "{{ greeting }}", "text": TEXT},
    {"text": "⟦yes_url⟧"},
    {"text": "{% if deadline %}"},
    {"text": "{{ deadline | upper }}"},
    {"text": "{{ deadline"},
    {"text": TEXT + "&#99999999;"},
    {"text": "x" * 103_000},
    {"text": TEXT + "een zin van niets\n" * 3_500},
    {"html": "<p>{{ greeting }}</p>"},
    {"text": TEXT + "\nGratis koffie"},
    {"text": TEXT + "\nbea@example.com"},
    {"text": TEXT + "\nhttps://example.com"},
    {"text": TEXT + "\neinde.begin"},
    {"text": TEXT.replace("{{ yes_url }}", "Ja:{{ yes_url }}")},
    {"text": TEXT, "html": "<p>1 < 2</p>"},
    {"text": TEXT, "html": "<!-- niets -->"},
    {"text": TEXT, "html": "<table></table>"},
    {"text": TEXT, "html": "<img>"},
    {"text": TEXT, "html": "<p><b>vet</p>"},
)


def reasons_against(mailing_list: MailingList, settings: Settings) -> set[LazyText]:
    """Return what messages says of the wordings above, and of a sensitive list's subject."""
    found: set[LazyText] = set()
    for texts in FLAWED:
        for part in ("subject", "text", "html"):
            setattr(mailing_list, f"own_{part}", texts.get(part, ""))
        found |= list_flaws(mailing_list, settings)
    mailing_list.sensitive, mailing_list.own_text = True, TEXT
    mailing_list.own_html, mailing_list.own_subject = "", "{{ purpose }} Nieuws van de praktijk"
    return found | list_flaws(mailing_list, settings)


def list_flaws(mailing_list: MailingList, settings: Settings) -> set[LazyText]:
    try:
        preview.check_asks(mailing_list, settings)
    except WordingError as error:
        return set(error.reasons)
    return set()


def test_whatever_messages_says_of_a_wording_has_a_translation(
    pages: Pages, settings: Settings, mailing_list: MailingList
) -> None:
    reasons = reasons_against(mailing_list, settings)
    assert len(reasons) > 20
    said = []
    for language in ("en", "nl"):
        with pages.app.test_request_context("/admin/", headers={"Accept-Language": language}):
            said.append({translate_said(reason).partition(": ")[2] for reason in reasons})
    assert not said[0] & said[1]


# --- What a text must have, put in by a button. ---------------------------------------------------


def test_what_is_missing_is_put_in_by_a_button_and_can_then_be_saved(client: FlaskClient) -> None:
    refused = save(client, own_text="Mogen wij u blijven mailen?")
    assert refused.status_code == 422
    assert 'formaction="/admin/lists/news/mail/complete"' in refused.text
    page = post(client, f"{URL}/complete", own_text="Mogen wij u mailen?", view="template")
    assert page.status_code == 200
    text = unescape(
        re.findall(r'(?s)<textarea[^>]* name="own_text"[^>]*>(.*?)</textarea>', page.text)[0]
    )
    assert text.strip().startswith("Mogen wij u mailen?")
    # Both answers stand under the words of their buttons, as in the usual text.
    assert "{{ yes_label }}\n{{ yes_url }}" in text.replace("\r", "")
    assert "/complete" not in page.text
    assert find_list("news").own_text == ""
    assert save(client, own_text=text).status_code == 303


def test_a_text_that_lacks_nothing_has_no_such_button_and_stays_as_it_is(
    client: FlaskClient,
) -> None:
    assert "/complete" not in client.get(URL).text
    page = post(client, f"{URL}/complete", own_text=TEXT, view="template")
    assert unescape(page.text).count("{{ yes_url }}") == 2  # with the list of fields
    assert "/complete" not in page.text


def test_on_a_sensitive_list_what_a_yes_means_is_put_in_too(
    client: FlaskClient, mailing_list: MailingList
) -> None:
    mailing_list.sensitive = True
    mailing_list.save()
    page = post(client, f"{URL}/complete", own_text=TEXT, view="template")
    assert "{{ explicit_consent }}" in page.text.partition("</textarea>")[0]


# --- The wording in blocks. -----------------------------------------------------------------------


def fields_in(page: TestResponse) -> dict[str, str]:
    """Return what the form of a page sends if nothing is changed, but for its own proof."""
    form = re.findall(r'(?s)<form method="post" action="[^"]*/mail".*?</form>', page.text)[0]
    inputs = re.findall(
        r'<input(?: type="hidden"| class="heading")? name="([^"]+)" value="([^"]*)"', form
    )
    subject = re.findall(r'<input[^>]* name="own_subject"[^>]* value="([^"]*)"', form)
    # A browser leaves the first line end of a box away.
    boxes = re.findall(r'(?s)<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form)
    found = {**dict(inputs), **dict(boxes), "own_subject": subject[0] if subject else ""}
    return {
        name: unescape(text).replace("\n", "\r\n")
        for name, text in found.items()
        if name != "csrf_token"
    }


def begin(client: FlaskClient) -> dict[str, str]:
    """Return the fields of the form that begins with the usual words."""
    return fields_in(post(client, f"{URL}/begin", view="blocks"))


def find_block(fields: dict[str, str], words: str) -> str:
    return next(name for name, text in fields.items() if words in text)


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_usual_words_in_blocks_are_saved_as_they_are_without_loss(
    client: FlaskClient, language: str
) -> None:
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    fields = begin(client)
    assert not any("{{" in text for name, text in fields.items() if "-fixed-" not in name)
    assert post(client, URL, **fields).status_code == 303
    saved = find_list("news")
    usual = make_default_wording(
        lookup.read_list_facts(saved), language="nl", longest_day="30 sep", has_telephone=True
    )
    assert (saved.own_subject, saved.own_text) == (usual.subject, usual.text)


def test_words_of_a_block_are_changed_and_the_fixed_ones_stay(client: FlaskClient) -> None:
    fields = begin(client)
    fields[find_block(fields, "vraagt u dit")] = (
        "Wij vragen het u tot [Last day  and time].\r\n\r\nEcht."
    )
    fields[find_block(fields, "Waarom u deze mail krijgt")] = "Waarom wij u\r\nschrijven"
    fields[find_block(fields, "Wat wij sturen")] = " "
    assert post(client, URL, **fields).status_code == 303
    text = find_list("news").own_text
    assert (
        "{{ greeting }}\nWij vragen het u tot {{ deadline }}.\n\nEcht.\n\n{{ yes_label }}\n" in text
    )
    assert "## Waarom wij u schrijven\n{{ reason }}\n" in text
    assert "Wat wij sturen" not in text


def test_a_fixed_block_shows_what_the_reader_sees(client: FlaskClient) -> None:
    page = post(client, f"{URL}/begin", view="blocks")
    shown = re.findall(r'(?s)<div class="fixed">(.*?)</div>', page.text)
    said = [re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", one)).strip() for one in shown]
    assert said[0] == "Geachte lezer,"
    assert said[1] == "Ja, blijf mij deze mails sturen Nee, stuur mij deze mails niet meer"
    assert any("Lindelaan 1" in one or "030" in one for one in said)


def test_what_stands_in_brackets_and_is_no_field_is_refused_and_kept(client: FlaskClient) -> None:
    fields = begin(client)
    name = find_block(fields, "vraagt u dit")
    fields[name] += " Voor [naam vd lijst]."
    for url in (URL, f"{URL}/test"):
        page = post(client, url, **fields)
        assert page.status_code == 422
        assert "There is no field [naam vd lijst]. Choose one" in words_of(page)
        assert "Voor [naam vd lijst]." in fields_in(page)[name]
    assert find_list("news").own_text == ""


def test_what_is_no_field_in_the_subject_is_told_of_the_subject(client: FlaskClient) -> None:
    fields = begin(client) | {"own_subject": "Antwoord voor [dag]"}
    page = post(client, URL, **fields)
    assert "Subject: There is no field [dag]." in words_of(page)
    assert "Text: There is no field" not in words_of(page)


def test_whatever_is_emptied_the_right_to_object_and_what_silence_does_stay(
    client: FlaskClient,
) -> None:
    fields = {
        name: text if "-fixed-" in name or not name.startswith("block-") else ""
        for name, text in begin(client).items()
    }
    assert post(client, URL, **fields).status_code == 303
    for shape in ("html", "text"):
        said = words_of(client.get(f"{URL}/look?shape={shape}"))
        assert "Uw recht van bezwaar U kunt altijd" in said
        assert "geen antwoord van u, dan halen wij u ook van deze lijst" in said


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("{{ objection }}", "The right to object is missing: put [the right to object] in it"),
        ("{{ silence }}", "What happens without an answer is missing: put [what happens without"),
    ],
)
def test_what_the_law_asks_for_is_put_in_by_the_button(
    client: FlaskClient, field: str, what: str
) -> None:
    fields = begin(client)
    del fields[find_block(fields, field)]
    page = post(client, URL, **fields)
    assert page.status_code == 422
    assert f"Text: {what}" in words_of(page)
    completed = fields_in(post(client, f"{URL}/complete", **fields))
    assert post(client, URL, **completed).status_code == 303
    assert field in find_list("news").own_text


def test_what_is_missing_in_blocks_is_said_without_a_template(client: FlaskClient) -> None:
    fields = begin(client)
    del fields[find_block(fields, "{{ yes_url }}")]
    page = post(client, URL, **fields)
    assert page.status_code == 422
    assert "Text: The Yes is missing: put [link for Yes] in it" in words_of(page)
    assert "Put in what is missing" in words_of(page)
    completed = fields_in(post(client, f"{URL}/complete", **fields))
    assert post(client, URL, **completed).status_code == 303
    assert find_list("news").own_text.endswith(
        "\n\n{{ yes_label }}\n{{ yes_url }}\n\n{{ no_label }}\n{{ no_url }}\n"
    )


def test_the_template_is_shown_to_whoever_asks_and_nothing_typed_is_lost(
    database: Database, client: FlaskClient
) -> None:
    before = everything_in(database)
    fields = begin(client)
    name = find_block(fields, "vraagt u dit")
    fields[name] = "Zelf bedacht voor [list name] en [name of the list]."
    page = post(client, f"{URL}/view", **fields, show="template")
    assert "Zelf bedacht voor [list name] en {{ list_name }}." in page.text
    assert 'name="view" value="template"' in page.text
    text = unescape(re.findall(r'(?s)name="own_text"[^>]*>(.*?)</textarea>', page.text)[0])
    back = post(client, f"{URL}/view", own_text=text.strip() + "\n", view="template", show="blocks")
    assert "Zelf bedacht voor [list name] en [name of the list]." in fields_in(back)[name]
    assert everything_in(database) == before


@pytest.mark.parametrize(
    "texts", [{"text": TEXT.replace("{{ stop }}", "{{stop}}")}, {"text": TEXT, "html": "<p>x</p>"}]
)
def test_what_cannot_be_shown_in_blocks_is_shown_as_the_template_that_it_is(
    client: FlaskClient, mailing_list: MailingList, texts: dict[str, str]
) -> None:
    own(mailing_list, **texts)
    page = client.get(URL)
    assert "parts that only a template can show" in words_of(page)
    assert "{{ yes_url }}" in page.text
    assert "Edit it in plain words" not in words_of(page)


def test_who_stays_at_the_template_stays_at_it(client: FlaskClient) -> None:
    assert save(client, own_text=TEXT, look="1", view="template").location == f"{URL}?view=template"


# --- The mail as somebody of the list reads it. ---------------------------------------------------


@pytest.fixture
def people(mailing_list: MailingList, database: Database) -> list[Contact]:
    """Return three contacts, of whom the first is not asked."""
    return [
        make_contact(
            database, mailing_list, address=f"{name.lower()}@example.org", name=name, source=source,
            **more,
        )
        for name, source, more in (
            ("Xaver", "de balie", {"status": Status.CONFIRMED}),
            ("Anna", "het formulier van 2019", {}),
            ("Bram", "de open dag", {}),
        )
    ]  # fmt: skip


def test_the_mail_is_seen_as_the_first_who_would_be_asked_reads_it(
    client: FlaskClient, people: list[Contact]
) -> None:
    said = words_of(client.get(f"{URL}/look"))
    assert "Geachte Anna" in said
    assert "het formulier van 2019" in said
    assert "gestuurd naar a…a@example.org" in said
    page = client.get(URL)
    assert f'<option selected value="{people[1].id}">Anna, anna@example.org</option>' in page.text
    assert "Xaver" not in page.text


def test_another_person_can_be_chosen_and_nobody_of_another_list(
    database: Database, client: FlaskClient, people: list[Contact]
) -> None:
    bram = people[2]
    assert "de open dag" in words_of(
        post(client, f"{URL}/look", reader=str(bram.id), view="blocks")
    )
    other = make_contact(database, make_list(database, slug="other"), name="Olga")
    for number in (other.id, people[0].id, "x", "9" * 30):
        assert "Geachte Anna" in words_of(client.get(f"{URL}/look?reader={number}"))


def test_who_looks_at_the_mail_of_somebody_is_in_the_log(
    client: FlaskClient, people: list[Contact]
) -> None:
    assert people
    client.get(URL)
    assert "looked at the mail as people of the list read it" in words_of(
        client.get("/admin/log/looks")
    )


def test_a_mail_to_oneself_names_nobody_of_the_list(
    sending: FlaskClient, inbox: Inbox, people: list[Contact]
) -> None:
    post(sending, f"{URL}/test", view="blocks", reader=str(people[2].id))
    (received,) = inbox.wait_for(1)
    body = received.message.get_body(("plain",))
    assert body
    assert "de open dag" in body.get_content()
    assert "Bram" not in body.get_content()
    assert "bram@" not in body.get_content()
