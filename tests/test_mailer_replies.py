"""What replies mean: whose fault a refusal is, and whether trying again can help."""

from __future__ import annotations

import pytest

from repermit.mailer.replies import Reply, read_reply, refusal

NOBODY = ("recipient", True)
THIS_MAIL = ("message", True)
OURS = ("server", False)


@pytest.mark.parametrize(
    ("code", "words", "reply"),
    [
        (250, b"2.0.0 OK", Reply(250, "2.0.0")),
        (250, b"OK", Reply(250, "")),
        (550, b"#5.1.1 no", Reply(550, "5.1.1")),
        (550, b"5.1.10 RESOLVER.ADR.RecipientNotFound", Reply(550, "5.1.10")),
        (550, b"4.2.0 a status that contradicts its code", Reply(550, "")),
        (250, b"2.0.0000 no status", Reply(250, "")),
        (-1, b"garbage", Reply(-1, "")),
    ],
)
def test_of_a_reply_its_numbers_are_read(code: int, words: bytes, reply: Reply) -> None:
    assert read_reply(code, words) == reply


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"])
@pytest.mark.parametrize("code", [550, 554])
def test_only_a_mailbox_that_is_not_there_is_the_recipients(code: int, status: str) -> None:
    error = refusal(code, f"{status} whatever".encode(), stage="recipient")
    assert (error.scope, error.permanent) == NOBODY
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("code", "words", "meaning"),
    [
        # No such mailbox or domain, in words alone.
        (550, "No such user here", NOBODY),
        (550, "Unknown user", NOBODY),
        (550, "User unknown in local recipient table", NOBODY),
        (550, "5.0.0 <jan@example.org>... User unknown", NOBODY),
        (550, "Mailbox not found", NOBODY),
        (550, "The email account that you tried to reach does not exist", NOBODY),
        (550, "Recipient address rejected: Domain not found", NOBODY),
        (554, "delivery error: This user doesn't have a example.org account", NOBODY),
        (550, "Unrouteable address", NOBODY),
        (550, "no mailbox here by that name", NOBODY),
        (553, "sorry, that is not a valid mailbox", NOBODY),
        # The mail server's limits, rules and moods.
        (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", OURS),
        (550, "Daily limit exceeded", OURS),
        (550, "5.4.5 Daily user sending limit exceeded", OURS),
        (550, "Too many invalid recipients", OURS),
        (550, "5.7.1 Client does not have permissions to send as this sender", OURS),
        (553, "5.1.8 sender domain does not exist", OURS),
        (550, "Sender address does not exist", OURS),
        (554, "Message rejected as spam by content filter", OURS),
        (554, "relay access refused", OURS),
        (530, "5.1.1 authentication first", OURS),
        (535, "5.7.8 wrong", OURS),
        (521, "takes no mail", OURS),
        (550, "5.5.3 too many recipients", OURS),
        (550, "5.1.90 Your message can't be sent because you've reached your daily limit", OURS),
        (550, "5.2.252 Sender throttled due to continuous send as denied errors", OURS),
        (550, "5.4.6 mail rate exceeded limit", OURS),
        (550, "User jan@example.org has exceeded its 24-hour sending limit", OURS),
        (550, "Account has exceeded the max emails per hour (150/150 (100%)) allowed", OURS),
        (552, "5.2.2 This user has exceeded 500 messages per day", OURS),
        (550, "Your account reached its hourly quota", OURS),
        # Anything else says only that this mail did not go.
        (552, "5.2.2 mailbox full", THIS_MAIL),
        (552, "Mailbox is full", THIS_MAIL),
        (552, "user over quota", THIS_MAIL),
        (552, "Requested mail action aborted: mailbox exceeded storage allocation", THIS_MAIL),
        (550, "5.2.1 the mailbox is disabled", THIS_MAIL),
        (550, "5.4.1 Recipient address rejected: Access denied", THIS_MAIL),
        (550, "Requested action not taken: mailbox unavailable", THIS_MAIL),
        (552, "5.3.4 the message is too big", THIS_MAIL),
        (550, "no", THIS_MAIL),
        (550, "", THIS_MAIL),
    ],
)
def test_a_refusal_for_good_is_judged_by_status_and_then_by_words(
    code: int, words: str, meaning: tuple[str, bool]
) -> None:
    for stage in ("recipient", "message"):
        error = refusal(code, words.encode(), stage=stage)
        assert (error.scope, error.permanent) == meaning


@pytest.mark.parametrize("code", [400, 450, 451, 452, 499])
def test_a_refusal_for_now_is_never_for_good(code: int) -> None:
    for stage in ("recipient", "message"):
        error = refusal(code, b"4.1.1 no such user", stage=stage)
        assert (error.scope, error.permanent) == (stage, False)


@pytest.mark.parametrize("code", [399, 600, 250, 354, -1, 421])
def test_a_reply_that_is_no_refusal_of_a_mail_is_the_servers(code: int) -> None:
    error = refusal(code, b"no such user", stage="recipient")
    assert (error.scope, error.permanent) == OURS


@pytest.mark.parametrize("words", ["5.1.1 no such user", "no such user", "4.7.1 later"])
def test_what_is_refused_before_there_is_a_recipient_is_the_servers(words: str) -> None:
    error = refusal(550, words.encode(), stage="server")
    assert (error.scope, error.permanent) == OURS


def test_the_servers_words_are_not_kept() -> None:
    for stage in ("server", "recipient", "message"):
        error = refusal(550, b"5.1.1 jan@example.org is unknown", stage=stage)
        assert "jan" not in repr(error)
        assert "jan" not in repr(vars(error))
