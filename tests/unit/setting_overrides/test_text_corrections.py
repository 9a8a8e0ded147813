"""Texts in the admin's words: kept with their evidence, and in use wherever something is said."""

from __future__ import annotations

import json

import pytest

from repermit.campaigns import launch_refusals, preview
from repermit.campaigns.sensitive_lists import find_revealing_places
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.settings import Correction
from repermit.errors import Refused
from repermit.i18n import catalogues, correctable_texts
from repermit.setting_overrides import current_settings, text_corrections
from repermit.setting_overrides.current_settings import (
    TEXTS_VERSION_KEY,
    ChangeWatch,
    CurrentSettings,
    read_versions,
)
from tests.support.builders import NOW, make_asked, make_list, make_settings
from tests.support.public_pages import Pages, everything_in

pytestmark = pytest.mark.usefixtures("usual_texts")

YES = "Yes, keep sending me these mails"
USUAL = "Ja, blijf mij deze mails sturen"


def correct(database: Database, form: str, *, source: str = YES, language: str = "nl") -> bool:
    text = correctable_texts.texts_in(language)[correctable_texts.key_of(source)]
    return text_corrections.save_correction(database, text, (form,), now=NOW, actor="user:1")


def test_a_correction_is_kept_with_what_was_and_what_is(database: Database) -> None:
    assert correct(database, "Ja, graag")
    assert correct(database, "Ja, heel graag")
    assert text_corrections.read_corrections("nl") == {
        correctable_texts.key_of(YES): ("Ja, heel graag",)
    }
    assert text_corrections.read_corrections("de") == {}
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.event, entry.actor) == ("text_corrected", "user:1")
    assert json.loads(EvidencePart.get(EvidencePart.seq == entry.seq).json) == {
        "language": "nl",
        "text": YES,
        "before": ["Ja, graag"],
        "after": ["Ja, heel graag"],
    }


def test_what_is_said_already_leaves_no_entry(database: Database) -> None:
    assert not correct(database, "")
    assert not correct(database, USUAL)
    correct(database, "Ja, graag")
    before, version = Evidence.select().count(), read_versions()[TEXTS_VERSION_KEY]
    assert not correct(database, " Ja, graag ")
    assert Evidence.select().count() == before
    assert read_versions()[TEXTS_VERSION_KEY] == version != ""
    assert correct(database, "")
    assert not Correction.select().exists()


def test_what_is_refused_leaves_nothing(database: Database) -> None:
    before = everything_in(database)
    with pytest.raises(Refused):
        correct(database, "Ja %(list)s")
    assert everything_in(database) == before


def test_every_process_says_so_at_its_next_look(database: Database) -> None:
    present, watch = CurrentSettings(make_settings()), ChangeWatch(seconds=0)
    correct(database, "Ja, graag")
    assert catalogues.load_translations("nl").gettext(YES) == USUAL
    assert watch.is_past()
    present.settings()
    assert catalogues.load_translations("nl").gettext(YES) == "Ja, graag"
    assert not ChangeWatch(seconds=0).is_past()
    catalogues.install_corrections({})
    current_settings.read_current_settings(make_settings(), database)
    assert catalogues.load_translations("nl").gettext(YES) == "Ja, graag"
    correct(database, "")
    present.settings()
    assert catalogues.load_translations("nl").gettext(YES) == USUAL


def test_pages_and_new_mails_say_so_at_once(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    pages = Pages(database, make_settings())
    contact = make_asked(database, mailing_list, campaign)
    assert f">{USUAL}</button>" in pages.get("yes", contact.uid).text
    correct(database, "Ja, graag")
    assert ">Ja, graag</button>" in pages.get("yes", contact.uid).text
    shown = preview.preview_mail(mailing_list, settings=pages.settings, now=NOW, language="nl")
    assert "Ja, graag" in shown.text
    assert USUAL not in shown.html + shown.text


def test_the_name_of_a_sensitive_list_stands_in_no_text(database: Database) -> None:
    make_list(database, slug="beside", name="Leven met hiv", sensitive=True)
    subject = "%(list)s: do you still want it?"
    with pytest.raises(Refused, match="name of a sensitive list"):
        correct(database, "Leven met HIV, %(list)s: mag het?", source=subject)
    assert correct(database, "%(list)s: mogen wij mailen?", source=subject)


def test_a_list_that_became_sensitive_after_a_text_showed_it_is_not_launched(
    database: Database,
) -> None:
    about = make_list(database, slug="beside", name="Leven met hiv", languages=())
    correct(database, "Ja, leven met hiv")
    current_settings.read_current_settings(make_settings(), database)
    assert not launch_refusals.list_missing_fields(about)
    about.sensitive = True
    (lack,) = launch_refusals.list_missing_fields(about)
    assert "a text that was corrected shows its name" in lack
    about.name = "Anders"
    assert not launch_refusals.list_missing_fields(about)


def test_a_text_that_tells_what_a_sensitive_list_is_about_is_told(
    database: Database,
) -> None:
    about = make_list(
        database, slug="beside", name="Groep", purpose="Nieuws over diabetes", sensitive=True
    )
    correct(database, "Ja, over mijn diabetes")
    current_settings.read_current_settings(make_settings(), database)
    told = " ".join(find_revealing_places(about, make_settings()))
    assert "a text that was corrected (Ja, over mijn diabetes)" in told
