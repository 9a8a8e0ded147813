"""Who may log in: added, invited, changed, removed; and what evidence says of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from repermit.accounts import api_tokens, sessions, two_factor, users
from repermit.accounts.user_info import Role
from repermit.accounts.users import IssuedInvitation
from repermit.db.connection import Database
from repermit.db.models.accounts import Session, User
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.errors import AddressError, NotFound, Refused
from repermit.webhooks import endpoints
from tests.support.admin_pages import make_admin, make_session, make_user
from tests.support.builders import NOW, make_settings
from tests.support.chain_faults import iter_chain_faults

ACTOR = "cli:keeper"
HOUR = timedelta(hours=1)


def add(
    database: Database, email: str = "anna@example.org", role: Role = Role.ADMIN
) -> IssuedInvitation:
    return users.add_user(database, email, role=role, now=NOW, actor=ACTOR)


def events() -> list[tuple[str, str, str]]:
    entries = Evidence.select().order_by(Evidence.seq)
    return [(one.event, one.actor, one.subject) for one in entries]


def all_parts() -> str:
    return " ".join(part.json for part in EvidencePart.select())


def test_a_user_who_is_added_gets_a_link_and_has_no_password(database: Database) -> None:
    invited = add(database, "Anna@Example.org")
    assert invited.user.email == "anna@example.org"
    assert invited.user.role is Role.ADMIN
    assert not invited.user.has_password
    assert invited.ends_at == NOW + timedelta(hours=72)
    assert users.find_invitation(invited.token, now=NOW) == invited.user
    assert invited.token not in repr(invited)


def test_one_address_is_one_user(database: Database) -> None:
    add(database)
    with pytest.raises(Refused):
        add(database, "ANNA@example.org")
    assert [one.email for one in users.list_users()] == ["anna@example.org"]


def test_what_is_no_address_is_no_user(database: Database) -> None:
    with pytest.raises(AddressError):
        add(database, "anna")
    assert users.list_users() == ()


@pytest.mark.parametrize(
    ("after", "works"),
    [(72 * HOUR - timedelta(microseconds=1), True), (72 * HOUR, False), (73 * HOUR, False)],
)
def test_a_link_works_for_72_hours(database: Database, after: timedelta, works: bool) -> None:
    invited = add(database)
    found = users.find_invitation(invited.token, now=NOW + after)
    assert (found is not None) is works


def test_a_new_link_ends_the_one_before(database: Database) -> None:
    first = add(database)
    second = users.invite_user(database, first.user.id, now=NOW, actor=ACTOR)
    assert users.find_invitation(first.token, now=NOW) is None
    assert users.find_invitation(second.token, now=NOW) is not None


def test_a_new_link_leaves_the_second_step(database: Database) -> None:
    user = make_user(database)
    users.invite_user(database, user.id, now=NOW, actor=ACTOR)
    assert User.get_by_id(user.id).totp_secret


def test_a_link_for_a_lost_phone_takes_the_second_step_away_and_ends_sessions(
    database: Database,
) -> None:
    user = make_user(database)
    make_session(database, user)
    users.invite_user(database, user.id, now=NOW, actor=ACTOR, renews_second_step=True)
    assert User.get_by_id(user.id).totp_secret == ""
    assert sessions.list_open_sessions(user.id, now=NOW) == ()
    assert two_factor.count_codes_left(user.id) == 0


def test_a_link_for_a_lost_phone_ends_the_password_too(database: Database) -> None:
    """Whoever knows it could set up an app of their own before the link is opened."""
    user = make_user(database)
    users.invite_user(database, user.id, now=NOW, actor=ACTOR)
    assert users.find_user_by_email(user.email).has_password
    users.invite_user(database, user.id, now=NOW, actor=ACTOR, renews_second_step=True)
    assert not users.find_user_by_email(user.email).has_password


def test_nobody_who_is_not_there_is_invited_or_changed(database: Database) -> None:
    with pytest.raises(NotFound):
        users.invite_user(database, 7, now=NOW, actor=ACTOR)
    with pytest.raises(NotFound):
        users.find_user_by_email("nobody@example.org")


def test_a_role_is_changed_and_noted_once(database: Database) -> None:
    make_admin(database)
    user = make_user(database)
    for _ in range(2):
        changed = users.change_role(
            database,
            user.id,
            role=Role.ADMIN,
            end_webhooks=endpoints.remove_by_creator,
            now=NOW,
            actor=ACTOR,
        )
        assert changed.role is Role.ADMIN
    assert events() == [("user_role_changed", ACTOR, f"user:{user.id}")]


def test_the_last_admin_can_be_neither_removed_nor_demoted(database: Database) -> None:
    admin = make_admin(database)
    make_user(database)
    with pytest.raises(Refused, match="last admin"):
        users.remove_user(
            database, admin.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
        )
    with pytest.raises(Refused, match="last admin"):
        users.change_role(
            database,
            admin.id,
            role=Role.VIEWER,
            end_webhooks=endpoints.remove_by_creator,
            now=NOW,
            actor=ACTOR,
        )
    assert User.get_by_id(admin.id).role == "admin"


def test_an_admin_who_cannot_log_in_yet_does_not_count(database: Database) -> None:
    admin = make_admin(database)
    invited = make_admin(database, password="")
    with pytest.raises(Refused, match="last admin"):
        users.remove_user(
            database, admin.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
        )
    users.remove_user(
        database, invited.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
    )


def test_a_viewer_can_be_removed_and_stay_a_viewer(database: Database) -> None:
    make_admin(database)
    user = make_user(database)
    users.change_role(
        database,
        user.id,
        role=Role.VIEWER,
        end_webhooks=endpoints.remove_by_creator,
        now=NOW,
        actor=ACTOR,
    )
    users.remove_user(
        database, user.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
    )
    assert len(users.list_users()) == 1


def test_of_two_admins_who_remove_each_other_at_once_one_stays(database: Database) -> None:
    admins = [make_admin(database), make_admin(database)]

    def remove(user: User) -> bool:
        with database.connection_context():
            try:
                users.remove_user(
                    database,
                    user.id,
                    end_webhooks=endpoints.remove_by_creator,
                    now=NOW,
                    actor=ACTOR,
                )
            except Refused:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, admins)) == [False, True]


def test_evidence_holds_no_address_once_somebody_is_removed(database: Database) -> None:
    make_admin(database)
    person = add(database, role=Role.VIEWER).user
    entry = Evidence.get(Evidence.event == "user_added")
    assert (entry.actor, entry.subject) == (ACTOR, person.actor)
    assert "anna" in all_parts()
    users.remove_user(
        database, person.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
    )
    assert "anna" not in all_parts()
    assert not User.select().where(User.email.contains("anna")).exists()
    assert list(iter_chain_faults()) == []
    assert [one[0] for one in events()] == ["user_added", "user_removed", "erased"]


def test_a_number_is_never_given_twice(database: Database) -> None:
    make_admin(database)
    first = add(database).user
    users.remove_user(
        database, first.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
    )
    assert add(database).user.id > first.id


def test_removing_somebody_ends_their_sessions(database: Database) -> None:
    make_admin(database)
    user = make_user(database)
    make_session(database, user)
    users.remove_user(
        database, user.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
    )
    assert not Session.select().exists()


def test_who_becomes_a_viewer_keeps_no_token_that_tells_addresses(database: Database) -> None:
    make_admin(database)
    user = make_admin(database)
    made = [
        api_tokens.make_token(database, name, scopes=["read:contacts"], now=NOW, actor=maker)
        for name, maker in (("theirs", f"user:{user.id}"), ("other", "user:1"))
    ]
    users.change_role(
        database,
        user.id,
        role=Role.VIEWER,
        end_webhooks=endpoints.remove_by_creator,
        now=NOW,
        actor=ACTOR,
    )
    assert [api_tokens.find_token(one.bearer) is None for one in made] == [True, False]
    users.change_role(
        database,
        user.id,
        role=Role.ADMIN,
        end_webhooks=endpoints.remove_by_creator,
        now=NOW,
        actor=ACTOR,
    )
    assert api_tokens.find_token(made[0].bearer) is None
    told = [one[0] for one in events()]
    assert told[-3:] == ["token_revoked", "user_role_changed", "user_role_changed"]


def test_removing_somebody_revokes_the_tokens_that_they_made_and_no_others(
    database: Database,
) -> None:
    make_admin(database)
    user = make_user(database)
    makers = {"Theirs": f"user:{user.id}", "Gone": f"user:{user.id}", "Other": "user:1"}
    made = {
        name: api_tokens.make_token(database, name, scopes=["read:status"], now=NOW, actor=maker)
        for name, maker in makers.items()
    }
    api_tokens.revoke_token(database, made["Gone"].id, now=NOW - HOUR, actor=ACTOR)
    users.remove_user(
        database, user.id, end_webhooks=endpoints.remove_by_creator, now=NOW, actor=ACTOR
    )
    revoked = {one.name: one.revoked_at for one in api_tokens.list_tokens()}
    assert revoked == {"Theirs": NOW, "Gone": NOW - HOUR, "Other": None}
    assert api_tokens.find_token(made["Theirs"].bearer) is None
    assert [one[:2] for one in events()][-3:] == [
        ("token_revoked", ACTOR),
        ("user_removed", ACTOR),
        ("erased", ACTOR),
    ]
    assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("how", ["removed", "made a viewer"])
def test_no_webhook_goes_on_telling_addresses_where_a_former_admin_chose(
    database: Database, how: str
) -> None:
    make_admin(database)
    user, settings = make_admin(database), make_settings()
    theirs, others = (
        endpoints.add(database, f"https://{host}/", settings=settings, now=NOW, actor=maker)
        for host, maker in (("a.example.org", f"user:{user.id}"), ("b.example.org", "user:1"))
    )
    end: dict[str, Any] = {"end_webhooks": endpoints.remove_by_creator, "now": NOW, "actor": ACTOR}
    if how == "removed":
        users.remove_user(database, user.id, **end)
    else:
        users.change_role(database, user.id, role=Role.ADMIN, **end)
        assert len(endpoints.list_webhooks()) == 2
        users.change_role(database, user.id, role=Role.VIEWER, **end)
    assert theirs.id != others.id
    assert [one.id for one in endpoints.list_webhooks()] == [others.id]
    assert ("webhook_removed", ACTOR) in [one[:2] for one in events()]
    assert list(iter_chain_faults()) == []


def test_a_session_that_somebody_ends_themselves_is_noted_once(database: Database) -> None:
    user, other = make_user(database), make_user(database)
    _, session = make_session(database, user)
    for who in (other, user, user):
        users.end_own_session(database, session.id, user_id=who.id, now=NOW)
    assert sessions.list_open_sessions(user.id, now=NOW) == ()
    actor = f"user:{user.id}"
    assert events() == [("session_ended", actor, actor)]


def test_ending_somebodys_sessions_is_noted(database: Database) -> None:
    user, other = make_user(database), make_user(database)
    for one in (user, user, other):
        make_session(database, one)
    users.end_sessions(database, user.id, now=NOW, actor=ACTOR)
    assert sessions.list_open_sessions(user.id, now=NOW) == ()
    assert len(sessions.list_open_sessions(other.id, now=NOW)) == 1
    assert events() == [("sessions_ended", ACTOR, f"user:{user.id}")]


def test_a_language_is_kept(database: Database) -> None:
    user = make_user(database)
    users.set_language(database, user.id, "nl")
    assert users.find_user_by_email(user.email).language == "nl"


# --- The first admin.


def first(database: Database) -> Any:
    return users.invite_first_admin(database, now=NOW, actor=ACTOR)


def test_the_first_admin_need_not_be_known(database: Database) -> None:
    invited = first(database)
    assert (invited.user.email, invited.user.role) == ("", Role.ADMIN)
    assert json.loads(all_parts()) == {"role": "admin"}


def test_every_link_of_the_first_admin_works_until_one_is_used(database: Database) -> None:
    links = [first(database), first(database)]
    assert len(users.list_users()) == 1
    assert all(users.find_invitation(one.token, now=NOW) for one in links)


def test_the_first_admin_may_be_known_already(database: Database) -> None:
    added = add(database)
    assert first(database).user == added.user
    assert users.find_invitation(added.token, now=NOW) is not None


def test_a_viewer_is_no_first_admin(database: Database) -> None:
    make_user(database)
    assert first(database) is not None


def test_where_there_is_an_admin_nobody_becomes_the_first(database: Database) -> None:
    make_admin(database)
    assert first(database) is None


def test_an_admin_who_is_to_choose_a_new_password_is_an_admin_still(database: Database) -> None:
    admin = make_admin(database)
    users.invite_user(database, admin.id, now=NOW, actor=ACTOR, renews_second_step=True)
    assert first(database) is None


def test_somebody_who_is_added_takes_the_first_admins_place(database: Database) -> None:
    nameless = first(database)
    add(database)
    assert users.find_invitation(nameless.token, now=NOW) is None
    assert [one.email for one in users.list_users()] == ["anna@example.org"]
