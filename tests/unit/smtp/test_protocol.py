"""The dialogue with a mail server as a pure thing: what is said, and what replies mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repermit.errors import TransportError
from repermit.smtp.protocol import (
    Envelope,
    EnvelopeRejected,
    Event,
    InvalidReply,
    MessageAccepted,
    MessageRejected,
    ReadyForBody,
    ServerClosing,
    SmtpClientProtocol,
)
from repermit.smtp.reply_codes import Reply

PIPELINING = {"pipelining": ""}
PLAIN: dict[str, str] = {}
BODY = b"Subject: hello\r\n\r\nhello\r\n"
MAIL = b"MAIL FROM:<praktijk@example.org>\r\n"
RCPT = b"RCPT TO:<jan@example.org>\r\n"
OK = b"250 2.0.0 OK\r\n"
GO_ON = b"354 go on\r\n"


class Talk:
    """A dialogue with all that it has said."""

    def __init__(self, extensions: Mapping[str, str] = PIPELINING) -> None:
        self.dialogue = SmtpClientProtocol(extensions)
        self.said = b""

    def offer(self, **overrides: Any) -> None:
        values = {"sender": "praktijk@example.org", "recipient": "jan@example.org", "size": 700}
        self.dialogue.offer(Envelope(**{**values, **overrides}))
        self._note()

    def send_body(self) -> None:
        self.dialogue.send_body(BODY)
        self._note()

    def hear(self, *lines: bytes) -> list[object]:
        """Hear replies, each in a packet of its own; return their meaning."""
        events = []
        for line in lines:
            events += self.dialogue.receive(line)
            self._note()
        return meaning(events)

    def take_said(self) -> bytes:
        """Return what was said since, and forget it."""
        said, self.said = self.said, b""
        return said

    def _note(self) -> None:
        self.said += b"".join(self.dialogue.take_output())


def meaning(events: Iterable[Event]) -> list[object]:
    """Return events as values that can be compared; errors are not equal to each other."""
    return [_plain(event) for event in events]


def _plain(event: Event) -> object:
    match event:
        case EnvelopeRejected(error, at_once):
            return ("refused", error.code, error.status, error.scope, error.permanent, at_once)
        case MessageRejected(error):
            return ("rejected", error.code, error.status, error.scope, error.permanent)
        case MessageAccepted(reply):
            return reply
        case _:
            return type(event)


def offered(extensions: Mapping[str, str] = PIPELINING) -> Talk:
    """Return a talk in which a mail was offered."""
    talk = Talk(extensions)
    talk.offer()
    talk.take_said()
    return talk


def under_way(extensions: Mapping[str, str] = PIPELINING) -> Talk:
    """Return a talk in which a body was sent, and nothing behind it."""
    talk = offered(extensions)
    assert talk.hear(OK, OK, GO_ON) == [ReadyForBody]
    talk.send_body()
    talk.take_said()
    return talk


both = pytest.mark.parametrize("extensions", [PIPELINING, PLAIN], ids=["pipelined", "plain"])


# --- What is said.


def test_where_it_is_offered_a_whole_envelope_is_said_at_once() -> None:
    talk = Talk(PIPELINING)
    talk.offer()
    assert talk.dialogue.is_waiting
    assert talk.take_said() == MAIL + RCPT + b"DATA\r\n"
    assert talk.hear(OK, OK, GO_ON) == [ReadyForBody]
    assert talk.said == b""


def test_what_was_answered_is_not_waited_for() -> None:
    talk = offered()
    talk.hear(OK, OK, GO_ON)
    assert not talk.dialogue.is_waiting


def test_elsewhere_every_command_waits_for_the_reply_to_the_one_before() -> None:
    talk = Talk(PLAIN)
    talk.offer()
    assert talk.take_said() == MAIL
    assert talk.hear(OK) == []
    assert talk.take_said() == RCPT
    assert talk.hear(OK) == []
    assert talk.take_said() == b"DATA\r\n"
    assert talk.hear(GO_ON) == [ReadyForBody]
    assert talk.said == b""


@both
def test_one_mail_follows_the_other(extensions: Mapping[str, str]) -> None:
    talk = offered(extensions)
    for _ in range(3):
        assert talk.hear(OK, OK, GO_ON) == [ReadyForBody]
        talk.take_said()
        talk.send_body()
        talk.offer()
        assert talk.said.startswith(BODY + b".\r\n")
        assert talk.hear(OK) == [Reply(250, "2.0.0")]


def test_the_next_envelope_travels_behind_the_body() -> None:
    talk = under_way(PIPELINING)
    talk.offer()
    assert talk.said == MAIL + RCPT + b"DATA\r\n"


def test_the_next_envelope_waits_for_the_outcome_where_nothing_may_travel_behind() -> None:
    talk = under_way(PLAIN)
    talk.offer()
    assert talk.said == b""
    assert talk.hear(OK) == [Reply(250, "2.0.0")]
    assert talk.said == MAIL


@pytest.mark.parametrize(
    ("limit", "options"),
    [({}, b""), ({"size": ""}, b" SIZE=700"), ({"size": "0"}, b" SIZE=700"),
     ({"size": "700"}, b" SIZE=700"), ({"size": "many"}, b" SIZE=700")],
)  # fmt: skip
def test_the_size_is_told_to_whoever_asks(limit: dict[str, str], options: bytes) -> None:
    talk = Talk(limit)
    talk.offer()
    assert talk.said == MAIL[:-2] + options + b"\r\n"


def test_a_mail_beyond_the_servers_size_is_not_even_offered() -> None:
    talk = Talk({"size": "699"})
    with pytest.raises(TransportError, match="takes mails of 699 octets at most") as refused:
        talk.offer()
    # Each mail of a campaign is about as large, so it is the server's fault.
    assert (refused.value.scope, refused.value.permanent) == ("server", False)
    assert not talk.dialogue.is_waiting
    talk.offer(size=699)
    assert talk.said.endswith(b" SIZE=699\r\n")


def test_an_address_outside_ascii_goes_where_it_is_offered() -> None:
    talk = Talk({"smtputf8": "", "8bitmime": "", "pipelining": ""})
    talk.offer(recipient="jürgen@example.org", needs_smtputf8=True)
    assert talk.said == (
        MAIL[:-2] + b" BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<j\xc3\xbcrgen@example.org>\r\nDATA\r\n"
    )


def test_an_address_outside_ascii_is_refused_where_it_is_not_offered() -> None:
    talk = Talk()
    with pytest.raises(TransportError) as refused:
        talk.offer(recipient="jürgen@example.org", needs_smtputf8=True)
    error = refused.value
    assert (error.scope, error.permanent, error.status) == ("message", True, "5.6.7")
    assert (talk.said, talk.dialogue.is_waiting) == (b"", False)


@pytest.mark.parametrize("who", ["sender", "recipient"])
@pytest.mark.parametrize(
    "address", ["a@b.org>\r\nRCPT TO:<c@d.org", "a b@example.org", "<a@b>", "a\x00@b", "a\x7f@b"]
)
def test_an_address_cannot_say_more_than_itself(who: str, address: str) -> None:
    talk = Talk()
    with pytest.raises(TransportError) as refused:
        talk.offer(**{who: address})
    assert (refused.value.scope, refused.value.permanent) == ("message", True)
    assert (talk.said, talk.dialogue.is_waiting) == (b"", False)


# --- Envelopes that are refused.


@pytest.mark.parametrize(
    ("replies", "refused"),
    [
        # MAIL is refused, and so all that follows from it: the first refusal says why.
        (
            [b"452 4.3.1 full\r\n", b"503 no\r\n", b"503 no\r\n"],
            ("refused", 452, "4.3.1", "server", False, True),
        ),
        (
            [b"550 5.1.1 no such user\r\n", OK, b"503 no\r\n"],
            ("refused", 550, "5.1.1", "server", False, True),
        ),
        (
            [OK, b"550 5.1.1 unknown\r\n", b"503 no\r\n"],
            ("refused", 550, "5.1.1", "recipient", True, False),
        ),
        (
            [OK, b"450 4.2.0 greylisted\r\n", b"554 no valid recipients\r\n"],
            ("refused", 450, "4.2.0", "recipient", False, False),
        ),
        (
            [OK, OK, b"451 4.3.0 later\r\n"],
            ("refused", 451, "4.3.0", "message", False, False),
        ),
        ([OK, OK, b"554 no\r\n"], ("refused", 554, "", "message", True, False)),
    ],
)
def test_of_an_envelope_the_first_refusal_counts(
    replies: list[bytes], refused: tuple[object, ...]
) -> None:
    talk = offered(PIPELINING)
    assert talk.hear(*replies) == [refused]
    assert talk.take_said() == b"RSET\r\n"
    talk.offer()
    assert talk.hear(OK, OK, OK, GO_ON) == [ReadyForBody]


@pytest.mark.parametrize(
    ("replies", "refused"),
    [
        ([b"452 4.3.1 full\r\n"], ("refused", 452, "4.3.1", "server", False, True)),
        ([OK, b"550 5.1.1 unknown\r\n"], ("refused", 550, "5.1.1", "recipient", True, False)),
        ([OK, OK, b"451 later\r\n"], ("refused", 451, "", "message", False, False)),
    ],
)
def test_in_a_plain_dialogue_nothing_is_said_after_a_refusal(
    replies: list[bytes], refused: tuple[object, ...]
) -> None:
    talk = offered(PLAIN)
    assert talk.hear(*replies) == [refused]
    assert talk.take_said().endswith(b"RSET\r\n")
    talk.offer()
    # The next mail waits until the server has forgotten this one.
    assert talk.said == b""
    assert talk.hear(OK) == []
    assert talk.take_said() == MAIL
    assert talk.hear(OK, OK, GO_ON) == [ReadyForBody]


@pytest.mark.parametrize("answer", [b"250 OK\r\n", b"554 no recipients\r\n"])
def test_a_server_that_wants_the_body_for_nobody_gets_a_lone_dot(answer: bytes) -> None:
    talk = offered(PIPELINING)
    events = talk.hear(OK, b"550 5.1.1 unknown\r\n", GO_ON)
    assert events == [("refused", 550, "5.1.1", "recipient", True, False)]
    assert talk.take_said() == b".\r\n"
    # What is said to the dot is about no mail.
    assert talk.hear(answer) == []
    assert not talk.dialogue.is_waiting
    talk.offer()
    assert talk.hear(OK, OK, GO_ON) == [ReadyForBody]


def test_a_lone_dot_is_answered_before_the_envelope_behind_it() -> None:
    talk = offered(PIPELINING)
    talk.hear(OK, b"550 unknown\r\n", GO_ON)
    talk.offer()
    assert talk.take_said() == b".\r\n" + MAIL + RCPT + b"DATA\r\n"
    assert talk.hear(b"554 nobody\r\n", OK, OK, GO_ON) == [ReadyForBody]


@both
@pytest.mark.parametrize("answer", [b"502 what?\r\n", b"354 go on\r\n", b"451 no\r\n"])
def test_a_server_that_cannot_forget_a_mail_is_left(
    extensions: Mapping[str, str], answer: bytes
) -> None:
    talk = offered(extensions)
    talk.hear(OK, OK, b"554 no\r\n")
    assert talk.hear(answer) == [ServerClosing]


def test_the_refusal_of_one_mail_says_nothing_of_the_next() -> None:
    talk = offered(PIPELINING)
    talk.hear(OK, b"550 unknown\r\n", b"503 no\r\n", OK)
    talk.offer()
    assert talk.hear(OK, OK, GO_ON) == [ReadyForBody]


# --- What becomes of a body.


@both
@pytest.mark.parametrize(
    ("reply", "event"),
    [
        (b"250 2.0.0 queued as 1\r\n", Reply(250, "2.0.0")),
        (b"299 fine\r\n", Reply(299, "")),
        (b"250\r\n", Reply(250, "")),
        (b"250\n", Reply(250, "")),
        (b"550 5.1.1 unknown\r\n", ("rejected", 550, "5.1.1", "recipient", True)),
        (b"554 5.6.0 no\r\n", ("rejected", 554, "5.6.0", "message", True)),
        (b"451 4.3.0 later\r\n", ("rejected", 451, "4.3.0", "message", False)),
        (b"550 5.4.5 daily limit\r\n", ("rejected", 550, "5.4.5", "server", False)),
        (b"354 more?\r\n", InvalidReply),
        (b"199 hm\r\n", InvalidReply),
        (b"600 hm\r\n", InvalidReply),
        (b"25\r\n", InvalidReply),
    ],
)
def test_a_body_is_taken_refused_or_in_doubt(
    extensions: Mapping[str, str], reply: bytes, event: object
) -> None:
    assert under_way(extensions).hear(reply) == [event]


def test_a_reply_over_several_lines_is_one() -> None:
    talk = under_way()
    assert talk.hear(b"250-2.0.0 thank\r\n", b"250-you\r\n") == []
    assert talk.hear(b"250 indeed\r\n") == [Reply(250, "2.0.0")]


def test_the_words_of_all_lines_are_read() -> None:
    talk = under_way()
    replies = b"550-Sorry, there is no such\r\n550-user\r\n550 here\r\n"
    assert talk.hear(replies) == [("rejected", 550, "", "recipient", True)]
    # And nothing of them is kept for the next one.
    talk.offer()
    assert talk.hear(OK, b"550 no\r\n", b"503 no\r\n") == [
        ("refused", 550, "", "message", True, False)
    ]


# --- Servers that go, or make no sense.


@both
@pytest.mark.parametrize("before", [[], [OK], [OK, OK]])
def test_a_server_that_closes_at_an_envelope_is_heard(
    extensions: Mapping[str, str], before: list[bytes]
) -> None:
    events = offered(extensions).hear(*before, b"421 4.3.2 closing\r\n")
    assert events[-1] is ServerClosing
    refusals = [event for event in events[:-1] if isinstance(event, tuple)]
    # No mail is blamed for it.
    assert all(event[3:5] == ("server", False) for event in refusals)


@both
def test_a_server_that_closes_after_a_body_has_not_taken_it(extensions: Mapping[str, str]) -> None:
    events = under_way(extensions).hear(b"421 4.3.2 closing\r\n")
    assert events == [("rejected", 421, "4.3.2", "server", False), ServerClosing]


def test_a_server_may_close_unasked() -> None:
    talk = Talk()
    assert talk.hear(b"421 4.4.2 idle\r\n") == [ServerClosing]


def test_a_server_that_closes_instead_of_forgetting_is_heard() -> None:
    talk = offered(PLAIN)
    talk.hear(b"452 no\r\n")
    assert ServerClosing in talk.hear(b"421 enough\r\n")


def test_a_reply_to_nothing_is_not_understood() -> None:
    talk = Talk()
    assert talk.hear(OK) == [InvalidReply]


@both
@pytest.mark.parametrize(
    "line",
    [
        b"oops\r\n",
        b"\r\n",
        b"2\r\nx\r\n",
        b"250?what\r\n",
        b" 250 OK\r\n",
        b"25x OK\r\n",
        b"\xb2\xb5\xb0 OK\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"354 go on\r\n",
        b"100 hm\r\n",
        b"999 hm\r\n",
    ],
)
def test_what_is_no_reply_ends_the_conversation(extensions: Mapping[str, str], line: bytes) -> None:
    assert offered(extensions).hear(line)[0] is InvalidReply


def test_what_was_said_before_the_nonsense_still_counts() -> None:
    talk = under_way()
    assert talk.hear(OK + b"oops\r\n" + OK) == [Reply(250, "2.0.0"), InvalidReply]


def test_two_replies_to_one_body_are_one_too_many() -> None:
    assert under_way().hear(OK + OK) == [Reply(250, "2.0.0"), InvalidReply]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"250-" + b"x" * 994 + b"\r\n", b"250-\n"])
def test_a_reply_without_end_is_given_up(piece: bytes) -> None:
    talk = under_way()
    heard = 0
    while not (events := talk.hear(piece)):
        heard += len(piece)
        assert heard < 1_000_000
    assert events[0] is InvalidReply


def test_a_reply_as_long_as_any_is_understood() -> None:
    words = b"".join(b"250-" + b"x" * 500 + b"\r\n" for _ in range(100))
    assert under_way().hear(words, OK) == [Reply(250, "")]


# --- Packets.


_REPLIES = st.sampled_from(
    [
        OK,
        GO_ON,
        b"250-2.0.0 in\r\n250 two lines\r\n",
        b"250\r\n",
        b"550 5.1.1 unknown\r\n",
        b"450 4.2.0 greylisted\r\n",
        b"550 5.4.5 daily limit\r\n",
        b"421 4.3.2 closing\r\n",
        b"oops\r\n",
        b"250-cut off",
    ]
)


@pytest.mark.parametrize("extensions", [PIPELINING, PLAIN], ids=["pipelined", "plain"])
@given(
    replies=st.lists(_REPLIES, max_size=6).map(b"".join),
    cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=12),
)
@example(replies=OK + OK + GO_ON, cuts=[])
@example(replies=OK + OK + GO_ON, cuts=list(range(60)))
def test_it_does_not_matter_how_replies_are_cut_into_packets(
    extensions: Mapping[str, str], replies: bytes, cuts: list[int]
) -> None:
    # With a body under way and an envelope behind it, so that every step is in play.
    whole, pieces = (under_way(extensions) for _ in range(2))
    for talk in (whole, pieces):
        talk.offer()
    places = sorted({0, len(replies), *(cut for cut in cuts if cut < len(replies))})
    packets = [replies[start:end] for start, end in pairwise(places)]
    events = _until_the_end(pieces, packets)
    assert events == _until_the_end(whole, [replies])
    # Where it has ended, nobody sends what there was still to say.
    assert pieces.said == whole.said or _ENDS.intersection(events)


_ENDS = {InvalidReply, ServerClosing}


def _until_the_end(talk: Talk, packets: Iterable[bytes]) -> list[object]:
    """Hear packets up to what ends the conversation; whatever comes behind it is not heard."""
    events: list[object] = []
    for packet in packets:
        for event in talk.hear(packet):
            events.append(event)
            if event in _ENDS:
                return events
    return events


@both
@pytest.mark.parametrize(
    ("domain", "scope"), [("example.org", "recipient"), ("other.example", "policy")]
)
def test_a_domain_that_is_not_there_is_the_recipients_only_if_it_is_theirs(
    extensions: Mapping[str, str], domain: str, scope: str
) -> None:
    refused = f"550 Domain does not exist: {domain}.\r\n".encode()
    talk = offered(extensions)
    behind = [b"503 5.5.1 no recipients\r\n"] if extensions else []
    refusals = talk.hear(OK, refused, *behind) + under_way(extensions).hear(refused)
    assert [one[3] for one in refusals if isinstance(one, tuple)] == [scope, scope]
