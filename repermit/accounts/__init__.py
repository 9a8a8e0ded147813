"""Who may use what: those who log in, their sessions, the tokens of the API.

May import evidence, models and what lies below.
"""

from repermit.accounts.accesses import note_access
from repermit.accounts.entering import (
    Tried,
    Visit,
    accept_invitation,
    change_password,
    confirm_password,
    log_in,
    note_refusal,
    renew_recovery_codes,
    set_up_second_step,
    take_second_step,
    unlock,
)
from repermit.accounts.passwords import SHORTEST as SHORTEST_PASSWORD
from repermit.accounts.passwords import Weakness, weaknesses
from repermit.accounts.people import Person, Role, actor_of
from repermit.accounts.records import Record, Records, acts, list_security_events, looks
from repermit.accounts.second_steps import codes_left, new_secret, setup_uri
from repermit.accounts.security_events import (
    SecurityEventKind,
    is_security_event_to_note,
    note_security_event,
)
from repermit.accounts.sessions import (
    Login,
    OpenSession,
    end_session,
    find_login,
    is_seen_to_note,
    lock,
    note_seen,
    open_sessions,
)
from repermit.accounts.throttling import Origin
from repermit.accounts.tidying import tidy
from repermit.accounts.tokens import (
    SCOPES,
    MadeToken,
    TokenFacts,
    find_token,
    is_use_to_note,
    make_token,
    note_token_use,
    revoke_token,
    tokens,
)
from repermit.accounts.users import (
    Invited,
    add_user,
    change_role,
    choose_language,
    end_own_session,
    end_sessions,
    find_invitation,
    find_person,
    invite,
    invite_first_admin,
    log_out,
    people,
    remove_user,
)

__all__ = [
    "SCOPES",
    "SHORTEST_PASSWORD",
    "Invited",
    "Login",
    "MadeToken",
    "OpenSession",
    "Origin",
    "Person",
    "Record",
    "Records",
    "Role",
    "SecurityEventKind",
    "TokenFacts",
    "Tried",
    "Visit",
    "Weakness",
    "accept_invitation",
    "actor_of",
    "acts",
    "add_user",
    "change_password",
    "change_role",
    "choose_language",
    "codes_left",
    "confirm_password",
    "end_own_session",
    "end_session",
    "end_sessions",
    "find_invitation",
    "find_login",
    "find_person",
    "find_token",
    "invite",
    "invite_first_admin",
    "is_security_event_to_note",
    "is_seen_to_note",
    "is_use_to_note",
    "list_security_events",
    "lock",
    "log_in",
    "log_out",
    "looks",
    "make_token",
    "new_secret",
    "note_access",
    "note_refusal",
    "note_security_event",
    "note_seen",
    "note_token_use",
    "open_sessions",
    "people",
    "remove_user",
    "renew_recovery_codes",
    "revoke_token",
    "set_up_second_step",
    "setup_uri",
    "take_second_step",
    "tidy",
    "tokens",
    "unlock",
    "weaknesses",
]
