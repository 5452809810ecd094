"""The meaning of an SMTP reply: the table, row by row, and properties of all replies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.delivery import as_data
from recovery.mail.smtp.replies import MEANINGS, Phase, read_reply

IN_MESSAGE = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT)
SINCE_RCPT = (Phase.RCPT, Phase.DATA, Phase.DOT)
BEFORE_DOT = (Phase.CONNECT, Phase.MAIL, Phase.RCPT, Phase.DATA)


def split(reply: str) -> tuple[int, str]:
    code, _, text = reply.partition(" ")
    return int(code), text


@pytest.mark.parametrize(
    ("phases", "replies", "expected"),
    [
        ([Phase.DOT], ["250 2.0.0 queued as 4F1", "250", "250 2.7.1 odd but taken"], OutcomeKind.SENT),
        (BEFORE_DOT, ["421 4.3.2 closing", "421 4.7.0 not now", "421 5.1.1 what?"], OutcomeKind.CONNECTION),
        ([Phase.DOT], ["421 4.3.0 filter trouble"], OutcomeKind.LATER),
        ([Phase.CONNECT], ["454 4.7.0 try later", "450 greylisted", "400"], OutcomeKind.CONNECTION),
        (
            IN_MESSAGE,
            ["450 busy", "451 4.7.1 greylisted", "452 4.3.1 disk", "450 4.2.2 full", "454 4.7.0 slow", "499 what?"],
            OutcomeKind.LATER,
        ),
        (
            SINCE_RCPT,
            [
                "550 5.1.1 no such user",
                "550 5.1.2 no such domain",
                "553 5.1.3 syntax",
                "551 5.1.6 moved",
                "556 5.1.10 null MX",
                "550 5.2.1 disabled",
                "501 5.1.3 bad recipient syntax",
                "550 5.1.1 The account\n5.1.1 does not exist",
                "550 sorry, no mailbox here by that name (#5.1.1)",
            ],
            OutcomeKind.DEAD_ADDRESS,
        ),
        (
            IN_MESSAGE,
            ["552 too big", "552 5.3.4 too big", "554 5.6.0 malformed", "550 5.6.1 not here"],
            OutcomeKind.DEAD_MESSAGE,
        ),
        (
            list(Phase),
            [
                "530 5.7.0 authenticate first",
                "530 authenticate first",
                "535 5.7.8 wrong password",
                "534 too weak",
                "538 encrypt first",
                "550 5.7.1 refused by policy",
                "554 5.7.26 unauthenticated",
                "553 5.1.8 sender domain",
                "550 5.1.7 sender address",
                "501 5.5.4 syntax",
                "503 5.5.1 bad sequence",
                "500 what?",
                "555 5.5.4 no such parameter",
            ],
            OutcomeKind.OUR_FAULT,
        ),
        (
            [Phase.RCPT],
            [
                "550 User unknown",
                "550 User unknown in relay recipient table",
                "551 user not local",
                "553 mailbox name not allowed",
                "556 takes no mail",
            ],
            OutcomeKind.DEAD_ADDRESS,
        ),
        (
            [Phase.RCPT],
            [
                "550 relay not permitted",
                "550 Relaying denied",
                "550 blocked: listed at bl.test",
                "553 sorry, that domain isn't in my list of allowed rcpthosts",
                "554 Relay access denied",
            ],
            OutcomeKind.OUR_FAULT,
        ),
        (
            [Phase.RCPT],
            [
                *("550 5.4.1 access", "550 5.0.0 no", "550 5.1.0 no", "554 no", "599 what?"),
                *("550 permanent failure", "550", "551 elsewhere", "553 ユーザーが見つかりません"),
            ],
            OutcomeKind.DEAD_MESSAGE,
        ),
        (
            [Phase.DATA, Phase.DOT],
            ["550 looks like spam", "554 rejected", "550 no", "599 what?"],
            OutcomeKind.DEAD_MESSAGE,
        ),
        (
            [Phase.CONNECT, Phase.MAIL],
            ["554 no SMTP service here", "550 go away", "550 5.1.1 sender unknown", "521 no mail", "599 what?"],
            OutcomeKind.OUR_FAULT,
        ),
        (BEFORE_DOT, ["-1 gibberish", "199", "250 what?", "354 what?", "600"], OutcomeKind.CONNECTION),
        ([Phase.DOT], ["-1 gibberish", "199", "354 what?", "600"], OutcomeKind.AMBIGUOUS),
    ],
)
def test_each_row_of_the_table(phases, replies, expected):
    """Every row of the table holds for its replies, in each of its phases."""
    for phase in phases:
        for reply in replies:
            assert read_reply(phase, *split(reply)) is expected, f"{reply!r} at {phase}"


def test_no_sign_occurs_twice_for_one_phase():
    """The table contradicts itself nowhere: a phase and a sign have one meaning."""
    entries = [(phase, sign) for _, phases, signs in MEANINGS for phase in phases for sign in signs.split()]
    assert len(entries) == len(set(entries))


@pytest.mark.parametrize("reply", [f"550 {what}: user unknown" for what in ("4.7.1", "2.7.1", "5.7.1.9", "5.71")])
def test_an_enhanced_code_that_contradicts_the_basic_one_is_not_believed(reply):
    """A code of another class than the basic code, or what only looks like one, counts as no enhanced code."""
    assert read_reply(Phase.RCPT, *split(reply)) is OutcomeKind.DEAD_ADDRESS


phases = st.sampled_from(list(Phase))
texts = st.one_of(
    st.text(max_size=20),
    st.builds("{}.{}.{} so".format, st.sampled_from("245"), st.integers(0, 8), st.integers(0, 30)),
)


@settings(max_examples=100)
@given(phases, st.integers(-1, 999), texts)
def test_every_reply_means_something_and_only_the_dot_can_send(phase, code, text):
    """Whatever a relay says is read; only 2xx after the dot is sent, and only the dot leaves doubt."""
    kind = read_reply(phase, code, text)
    assert (kind is OutcomeKind.SENT) == (phase is Phase.DOT and 200 <= code <= 299)
    assert kind is not OutcomeKind.AMBIGUOUS or phase is Phase.DOT
    assert kind in {row[0] for row in MEANINGS}


@settings(max_examples=100)
@given(phases, st.integers(400, 499), texts)
def test_what_is_transient_kills_nothing(phase, code, text):
    """No 4xx reply, whatever enhanced code stands beside it, ends a message or suppresses an address."""
    kind = read_reply(phase, code, text)
    assert kind in (OutcomeKind.LATER, OutcomeKind.CONNECTION, OutcomeKind.THROTTLED)


@settings(max_examples=100)
@given(st.sampled_from([Phase.CONNECT, Phase.MAIL]), st.integers(-1, 999), texts)
def test_no_address_dies_before_it_was_told(phase, code, text):
    """Before RCPT no reply can be about the customer's address."""
    assert read_reply(phase, code, text) is not OutcomeKind.DEAD_ADDRESS


@settings(max_examples=100)
@given(st.text("ab.\r\n", max_size=30).map(str.encode))
def test_content_survives_the_line(content):
    """What follows DATA ends at its final dot and nowhere before, and read back it has the lines that were given."""
    data = as_data(content)
    assert data.endswith(b".\r\n")
    assert (b"\r\n" + data).index(b"\r\n.\r\n") + 3 == len(data)
    lines = [line.removeprefix(b".") for line in data.split(b"\r\n")[:-2]]
    given_lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert lines == (given_lines[:-1] if given_lines[-1] == b"" and len(given_lines) > 1 else given_lines)
    assert not b"".join(lines).strip(b"ab.")
