"""Who may log in, and as what."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import api_tokens, users
from repermit.db.models.accounts import Invitation, User
from repermit.db.models.evidence import Evidence
from repermit.webhooks import endpoints
from tests.support.admin_pages import (
    PASSWORD,
    client_of,
    make_admin,
    make_user,
    post,
)
from tests.support.builders import NOW, make_settings
from tests.support.public_pages import Pages, everything_in, heading_of, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient


def actors() -> list[tuple[str, str, str]]:
    return [(one.event, one.actor, one.subject) for one in Evidence.select()]


def test_everybody_who_may_log_in_is_listed_with_how_far_they_are(
    pages: Pages, client: FlaskClient
) -> None:
    make_user(pages.database, email="viewer@example.org", totp_secret="")
    make_user(pages.database, email="new@example.org", password="")
    make_admin(pages.database, email="")
    words = words_of(client.get("/admin/people/"))
    assert "admin@example.org Admin, you" in words
    assert "viewer@example.org Viewer, has not set up the second step yet" in words
    assert "new@example.org Viewer, has not chosen a password yet" in words
    assert "The first admin, who has not come yet Admin" in words


def test_somebody_is_added_and_their_link_shown_once(client: FlaskClient, admin: User) -> None:
    answer = post(client, "/admin/people/", email="New@example.org", role="viewer")
    (token,) = re.findall(r"https://ask\.example\.org/admin/welcome/([\w-]+)", answer.text)
    invited = users.find_invitation(token, now=NOW)
    assert invited
    assert (invited.email, invited.role) == ("new@example.org", "viewer")
    assert actors() == [("user_added", f"user:{admin.id}", invited.actor)]
    assert token not in client.get("/admin/people/").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"email": "nothing", "role": "viewer"}, "no e-mail address"),
        ({"email": "admin@example.org", "role": "viewer"}, "may log in already"),
        ({"email": "", "role": "viewer"}, "Please fill this in."),
        ({"email": "new@example.org", "role": "owner"}, "Choose one of the two."),
        ({"email": "new@example.org"}, "Choose one of the two."),
    ],
)
def test_what_is_amiss_is_said_at_its_field(
    client: FlaskClient, fields: dict[str, str], said: str
) -> None:
    answer = post(client, "/admin/people/", **fields)
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert f'value="{fields["email"]}"' in answer.text
    assert User.select().count() == 1


def test_whoever_forgot_their_password_gets_a_new_link(pages: Pages, client: FlaskClient) -> None:
    user = make_user(pages.database)
    answer = post(client, f"/admin/people/{user.id}/link", confirmation=PASSWORD)
    assert heading_of(answer) == "A link to pass on"
    assert user.email in words_of(answer)
    assert User.get_by_id(user.id).totp_secret


@pytest.mark.exhaustive
def test_whoever_lost_their_phone_gets_a_new_second_step(pages: Pages, client: FlaskClient) -> None:
    user = make_user(pages.database)
    url, fields = f"/admin/people/{user.id}/link", {"renews_second_step": "yes"}
    post(client, url, **fields, confirmation=PASSWORD)
    assert User.get_by_id(user.id).totp_secret == ""


@pytest.mark.parametrize(
    ("act", "fields", "heading"),
    [
        ("link", {}, "New link for the password"),
        ("link", {"renews_second_step": "yes"}, "New link, and a new second step"),
        ("role", {"role": "admin"}, "Make an admin"),
    ],
)
def test_nobody_else_gets_a_way_in_from_a_screen_left_open(
    pages: Pages, client: FlaskClient, act: str, fields: dict[str, str], heading: str
) -> None:
    user = make_user(pages.database)
    url = f"/admin/people/{user.id}/{act}"
    before = everything_in(pages.database)
    asked = post(client, url, **fields)
    assert (asked.status_code, heading_of(asked)) == (200, heading)
    assert f'action="{url}"' in asked.text
    for name, value in fields.items():
        assert f'name="{name}" value="{value}"' in asked.text
    wrong = post(client, url, **fields, confirmation="")
    assert (wrong.status_code, heading_of(wrong)) == (422, heading)
    assert "Please fill this in." in words_of(wrong)
    assert everything_in(pages.database) == before
    wrong = post(client, url, **fields, confirmation="wrong")
    assert (wrong.status_code, heading_of(wrong)) == (422, heading)
    assert "This password is not right." in words_of(wrong)
    too_soon = post(client, url, **fields, confirmation=PASSWORD)
    assert (too_soon.status_code, too_soon.headers["Retry-After"]) == (429, "1")
    assert not Evidence.select().exists()
    pages.clock.advance(timedelta(seconds=1))
    post(client, url, **fields, confirmation=PASSWORD)
    assert Evidence.get().subject == f"user:{user.id}"


def test_an_admin_is_added_with_the_password_alone(
    pages: Pages, client: FlaskClient, admin: User
) -> None:
    fields = {"email": "new@example.org", "role": "admin"}
    for given, status, said in (
        ({}, 422, "Please fill this in."),
        ({"confirmation": "wrong"}, 422, "This password is not right."),
        ({"confirmation": PASSWORD}, 429, "second"),
    ):
        answer = post(client, "/admin/people/", **fields, **given)
        assert answer.status_code == status
        assert said in words_of(answer)
        assert 'value="new@example.org"' in answer.text
    assert User.select().count() == 1
    pages.clock.advance(timedelta(seconds=1))
    post(client, "/admin/people/", **fields, confirmation=PASSWORD)
    (added,) = User.select().where(User.id != admin.id)
    assert (added.email, added.role) == ("new@example.org", "admin")


def test_nobody_makes_a_link_for_themselves(client: FlaskClient, admin: User) -> None:
    answer = post(client, f"/admin/people/{admin.id}/link", renews_second_step="yes")
    assert answer.location == "/admin/own/"
    assert "You change your own password and second step here." in words_of(
        client.get("/admin/own/")
    )
    assert not Invitation.select().exists()
    assert User.get_by_id(admin.id).totp_secret


def test_a_role_is_changed(pages: Pages, client: FlaskClient, admin: User) -> None:
    user = make_user(pages.database)
    url = f"/admin/people/{user.id}/role"
    answer = post(client, url, role="admin", confirmation=PASSWORD)
    assert answer.location == "/admin/people/"
    assert f"{user.email} is now: Admin." in words_of(client.get("/admin/people/"))
    answer = post(client, f"/admin/people/{admin.id}/role", role="viewer")
    assert answer.location == "/admin/own/"
    assert client.get("/admin/people/").status_code == 403


def test_there_are_two_roles_alone(pages: Pages, client: FlaskClient) -> None:
    user = make_user(pages.database)
    assert post(client, f"/admin/people/{user.id}/role", role="owner").status_code == 400
    assert post(client, f"/admin/people/{user.id}/role").status_code == 400
    assert User.get_by_id(user.id).role == "viewer"


def test_the_last_admin_stays_one(client: FlaskClient, admin: User) -> None:
    post(client, f"/admin/people/{admin.id}/role", role="viewer")
    page = client.get("/admin/people/")
    assert "This is the last admin" in words_of(page)
    post(client, f"/admin/people/{admin.id}/remove")
    assert "This is the last admin" in words_of(client.get("/admin/people/"))
    assert User.get_by_id(admin.id).role == "admin"


def test_somebody_is_removed_after_a_question(
    pages: Pages, client: FlaskClient, admin: User
) -> None:
    user = make_user(pages.database)
    theirs = client_of(pages, user)
    assert heading_of(client.get(f"/admin/people/{user.id}/remove")) == f"Remove {user.email}?"
    assert post(client, f"/admin/people/{user.id}/remove").location == "/admin/people/"
    assert f"{user.email} may not log in any more." in words_of(client.get("/admin/people/"))
    assert theirs.get("/admin/own/").location == "/admin/login"
    subject = f"user:{user.id}"
    actor = f"user:{admin.id}"
    assert actors() == [("user_removed", actor, subject), ("erased", actor, subject)]


@pytest.mark.parametrize("how", ["role", "remove"])
def test_what_ends_with_an_admin_is_said_before_and_ends(
    pages: Pages, client: FlaskClient, how: str
) -> None:
    user, database = make_admin(pages.database), pages.database
    theirs: dict[str, Any] = {"now": NOW, "actor": f"user:{user.id}"}
    made = api_tokens.make_token(database, "Laposta", scopes=["read:answers"], **theirs)
    gone = api_tokens.make_token(database, "Old tool", scopes=["read:answers"], **theirs)
    api_tokens.revoke_token(database, gone.id, **theirs)
    endpoints.add(database, "https://tool.example.org/a", settings=make_settings(), **theirs)
    for url in ("/admin/people/", f"/admin/people/{user.id}/remove"):
        said = words_of(client.get(url))
        assert "The token Laposta: the program that uses it is refused." in said
        assert "The webhook https://tool.example.org/a: it is told nothing more." in said
        assert "Another admin can make them anew" in said
        assert "Old tool" not in said
    said = words_of(client.get("/admin/connecting/"))
    assert "It ends when who added it is an admin no more" in said
    post(client, f"/admin/people/{user.id}/{how}", role="viewer")
    assert api_tokens.find_token(made.bearer) is None
    assert endpoints.list_webhooks() == ()


def test_of_who_made_nothing_nothing_is_said_to_end(pages: Pages, client: FlaskClient) -> None:
    user = make_admin(pages.database)
    assert "Another admin" not in words_of(client.get(f"/admin/people/{user.id}/remove"))


def test_an_admin_may_remove_themselves_if_another_stays(
    pages: Pages, client: FlaskClient, admin: User
) -> None:
    make_admin(pages.database)
    assert "Remove me" in words_of(client.get("/admin/people/"))
    assert post(client, f"/admin/people/{admin.id}/remove").status_code == 303
    assert client.get("/admin/people/").location == "/admin/login"


def test_somebody_is_logged_out_everywhere(pages: Pages, client: FlaskClient) -> None:
    user = make_user(pages.database)
    theirs = client_of(pages, user)
    assert post(client, f"/admin/people/{user.id}/sessions/end").location == "/admin/people/"
    assert theirs.get("/admin/own/").location == "/admin/login"
    assert "logged out everywhere" in words_of(client.get("/admin/people/"))


@pytest.mark.parametrize("act", ["link", "role", "remove", "sessions/end"])
def test_nothing_is_done_to_who_is_not_there(client: FlaskClient, act: str) -> None:
    assert post(client, f"/admin/people/77/{act}", role="admin").status_code == 404
    assert client.get("/admin/people/77/remove").status_code == 404
