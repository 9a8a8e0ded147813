"""What all forms of the admin's pages share."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import MultiDict
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from repermit.db.connection import Database
from repermit.i18n.lazy_text import N_
from repermit.settings.definitions import Settings
from repermit.web.admin.forms import Form
from tests.support.public_pages import Pages


class OneField(Form):
    email = StringField(
        N_("E-mail address"), [InputRequired(N_("Please fill this in.")), Length(max=3)]
    )


@pytest.mark.parametrize(
    ("language", "label", "wrong"),
    [
        ("en", "E-mail address", "Please fill this in."),
        ("nl", "E-mailadres", "Vul dit in."),
    ],
)
def test_labels_and_messages_are_in_the_language_of_the_page(
    database: Database, settings: Settings, language: str, label: str, wrong: str
) -> None:
    app = Pages(database, settings).app
    with app.test_request_context("/admin/", headers={"Accept-Language": language}):
        app.preprocess_request()
        form = OneField(MultiDict())
        assert not form.validate()
        assert form.email.label.text == label
        assert form.errors == {"email": [wrong]}
        long = OneField(MultiDict({"email": "four"}))
        assert not long.validate()
        assert "3" in long.errors["email"][0]
        long.refuse("email", "And more.")
        assert long.errors["email"][1:] == ["And more."]
