"""What replies mean: whose fault a refusal is, and whether trying again can help."""

from __future__ import annotations

import pytest

from repermit.smtp.reply_codes import Reply, make_refusal_error, read_reply
from tests.unit.bounces.test_server_wordings import GONE, NOT_GONE

NOBODY = ("recipient", True)
THIS_MAIL = ("message", True)
OURS = ("server", False)
POLICY = ("policy", False)


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
    error = make_refusal_error(code, f"{status} whatever".encode(), stage="recipient")
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
        # Exchange Online: directory based blocking, and what another server has said.
        (550, "5.4.1 Recipient address rejected: Access denied", NOBODY),
        (
            550,
            "5.4.1 [jan@example.org]: Recipient address rejected: Access denied [A.B.C.D]",
            NOBODY,
        ),
        (550, "5.1.351 Remote server returned unknown recipient -> 550 no", NOBODY),
        # The mail server's limits, logins and moods, and rules that may be a recipient's own.
        (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", OURS),
        (550, "Daily limit exceeded", OURS),
        (550, "5.4.5 Daily user sending limit exceeded", OURS),
        (550, "Too many invalid recipients", OURS),
        (550, "5.7.1 Client does not have permissions to send as this sender", POLICY),
        (553, "5.1.8 sender domain does not exist", OURS),
        (550, "Sender address does not exist", OURS),
        (554, "Message rejected as spam by content filter", POLICY),
        (554, "relay access refused", POLICY),
        # A status for the recipient beside words about the sender, a relay or a limit.
        (550, "5.1.2 sender domain not found", OURS),
        (550, "5.1.2 <praktijk@example.org>: Sender address rejected: Domain not found", OURS),
        (550, "5.1.1 unknown sender", OURS),
        (550, "5.1.1 Invalid return-path", OURS),
        (554, "5.1.1 relay access denied", POLICY),
        (550, "5.1.1 we do not relay", POLICY),
        (550, "5.1.1 sender limit exceeded: your account may not send more than 500 a day", OURS),
        (550, "5.1.1 too many recipients", OURS),
        (550, "5.1.1 sending rate exceeded", OURS),
        (550, "5.1.1 <jan@example.org>: User unknown in relay recipient table", NOBODY),
        (550, "<jan@example.org>: User unknown in relay recipient table", NOBODY),
        (550, "5.1.1 no such user; a note to the sender follows", NOBODY),
        (550, "5.1.1 <sender@limit.example>: user unknown", NOBODY),
        (550, "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup", POLICY),
        (550, "rejected: sender blocked by policy", OURS),
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
        (552, "Requested mail action aborted: exceeded storage allocation", THIS_MAIL),
        (552, "User has exceeded their disk space", THIS_MAIL),
        (550, "5.2.1 the mailbox is disabled", THIS_MAIL),
        (554, "5.7.1 <jan@example.org>: Recipient address rejected: Access denied", POLICY),
        (550, "5.4.1 Access denied", THIS_MAIL),
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
        error = make_refusal_error(code, words.encode(), stage=stage)
        assert (error.scope, error.permanent) == meaning


@pytest.mark.parametrize(
    "words", [one for one in [*GONE, *NOT_GONE] if one.startswith(("50", "55"))]
)
def test_a_reply_and_a_bounce_are_judged_by_one_vocabulary(words: str) -> None:
    code, said = int(words[:3]), words[4:]
    for given in (said, said.upper()):
        error = make_refusal_error(code, given.encode(), stage="recipient")
        is_gone = (error.scope, error.permanent) == NOBODY
        assert is_gone is (words in GONE)


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("5.1.1 Message rejected, listed by zen.example", POLICY),
        ("5.1.1 This looks like spam", POLICY),
        ("5.1.1 HELO host not found", POLICY),
        ("5.1.1 mailbox is full", THIS_MAIL),
        ("5.1.1 user temporarily unavailable", THIS_MAIL),
        ("5.1.1 unknown sender domain", OURS),
        ("5.1.351 Remote server returned unknown recipient -> 550 5.2.1 closed", THIS_MAIL),
        ("User unknown — in Ünicode", NOBODY),
    ],
)
def test_words_outrank_a_status_for_a_mailbox_that_is_not_there(
    words: str, meaning: tuple[str, bool]
) -> None:
    error = make_refusal_error(550, words.encode(), stage="recipient")
    assert (error.scope, error.permanent) == meaning


@pytest.mark.parametrize("code", [400, 450, 451, 452, 499])
def test_a_refusal_for_now_is_never_for_good(code: int) -> None:
    for stage in ("recipient", "message"):
        error = make_refusal_error(code, b"4.1.1 no such user", stage=stage)
        assert (error.scope, error.permanent) == (stage, False)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        # How many mails an account may send.
        (451, "Domain example.org has exceeded the max emails per hour (150/150 (100%)) allowed"),
        (450, "4.7.1 You have exceeded your hourly sending limit"),
        (450, "4.5.3 Daily sending quota exceeded"),
        (450, "4.2.1 Your account has exceeded its 24-hour sending limit"),
        (451, "4.7.1 Too many messages, slow down"),
        (450, "4.7.0 rate limited"),
        (451, "your message was throttled"),
        # The mail system, and what it is busy with.
        (452, "4.3.1 Insufficient system storage"),
        (452, "4.3.1"),
        (451, "4.3.2 System not accepting network messages"),
        (451, "4.3.5 Server configuration error"),
        (452, "Insufficient system resources"),
        (451, "4.7.500 Server busy. Please try again later from [192.0.2.1]"),
        (451, "4.7.651 The mail server [192.0.2.1] has been temporarily rate limited"),
        (451, "Server overloaded"),
        (452, "4.5.3 Too many recipients"),
        (432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        # Who we are.
        (454, "4.7.1 <jan@example.org>: Relay access denied"),
        (451, "4.7.1 relaying denied"),
        (454, "4.7.0 Temporary authentication failure"),
        # The code alone, without a word that would tell as much.
        (432, "4.0.0 no"),
        (454, "4.0.0 no"),
        (450, "4.1.8 <praktijk@example.org>: Sender address rejected: Domain not found"),
        (450, "4.7.25 Client host rejected: cannot find your hostname"),
        (450, "4.7.1 Your IP has a poor reputation"),
    ],
)
def test_a_refusal_for_now_of_the_whole_account_is_the_servers(code: int, words: str) -> None:
    for stage in ("recipient", "message"):
        error = make_refusal_error(code, words.encode(), stage=stage)
        assert (error.scope, error.permanent) == OURS


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (450, "4.7.1 greylisted, try again later"),
        (451, "4.7.1 Greylisting in action, please come back later"),
        (450, "4.2.0 <jan@example.org>: Recipient address rejected: Greylisted"),
        (450, "4.7.1 Sender is graylisted: the rate of first mails is limited"),
        (451, "4.7.1 Please try again later"),
        (450, "4.2.1 The user you try to reach is receiving mail at a rate that is too high"),
        (452, "4.2.2 The recipient's inbox is over quota"),
        (452, "mailbox full: quota exceeded"),
        (451, "4.3.0 Temporary lookup failure"),
        (450, "4.1.1 <sender@limit.example>: unverified address"),
        (450, "4.4.1 no route to the domain"),
        (450, ""),
    ],
)
def test_a_refusal_for_now_of_one_recipient_stays_the_recipients(code: int, words: str) -> None:
    for stage in ("recipient", "message"):
        error = make_refusal_error(code, words.encode(), stage=stage)
        assert (error.scope, error.permanent) == (stage, False)


@pytest.mark.parametrize("code", [399, 600, 250, 354, -1, 421])
def test_a_reply_that_is_no_refusal_of_a_mail_is_the_servers(code: int) -> None:
    error = make_refusal_error(code, b"no such user", stage="recipient")
    assert (error.scope, error.permanent) == OURS


@pytest.mark.parametrize("words", ["5.1.1 no such user", "no such user", "4.7.1 later"])
def test_what_is_refused_before_there_is_a_recipient_is_the_servers(words: str) -> None:
    error = make_refusal_error(550, words.encode(), stage="server")
    assert (error.scope, error.permanent) == OURS


def test_the_servers_words_are_not_kept() -> None:
    for stage in ("server", "recipient", "message"):
        error = make_refusal_error(550, b"5.1.1 jan@example.org is unknown", stage=stage)
        assert "jan" not in repr(error)
        assert "jan" not in repr(vars(error))
