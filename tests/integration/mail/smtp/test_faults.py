"""Faults of a relay at each phase: the outcome, and that the next message goes through."""

import asyncio
from dataclasses import replace

import pytest

from recovery.domain.outcome import OutcomeKind
from tests.support.smtp_servers import RecordingRelay
from tests.support.smtp_world import CONTENT, SmtpWorld, a_smtp_world, mailing, meet_silence

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""


async def test_a_message_arrives_as_it_was_composed(smtp_world):
    """Sender, recipient and every byte arrive, and the outcome holds the relay's reply and the Message-ID."""
    outcome = await smtp_world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.SENT, "250 2.0.0 accepted as 1 for <…>")
    assert outcome.message_id == "<1@example.com>"
    (mail,) = smtp_world.relay.mails
    assert (mail.sender, mail.recipient, mail.content) == ("shop@example.com", "ann@example.com", CONTENT)
    assert smtp_world.relay.commands[0] == "EHLO shop.test"


async def test_a_connection_serves_one_message_after_the_other(smtp_world):
    """Messages sent in turn share one connection and one EHLO."""
    for _ in range(5):
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 1
    assert [c[:4] for c in smtp_world.relay.commands] == ["EHLO"] + ["MAIL", "RCPT", "DATA"] * 5


REFUSALS = [
    ("BANNER", "421 4.3.2 closing", OutcomeKind.CONNECTION),
    ("BANNER", "451 4.3.0 not now", OutcomeKind.CONNECTION),
    ("BANNER", "554 5.7.1 you are listed", OutcomeKind.OUR_FAULT),
    ("EHLO", "421 4.3.2 closing", OutcomeKind.CONNECTION),
    ("EHLO", "501 5.5.4 what a name", OutcomeKind.OUR_FAULT),
    ("MAIL", "421 4.7.0 too many", OutcomeKind.THROTTLED),
    ("MAIL", "451 4.3.0 not now", OutcomeKind.LATER),
    ("MAIL", "552 5.3.4 too big", OutcomeKind.DEAD_MESSAGE),
    ("MAIL", "530 5.7.0 authenticate", OutcomeKind.OUR_FAULT),
    ("MAIL", "553 5.1.8 sender domain", OutcomeKind.OUR_FAULT),
    ("MAIL", "503 5.5.1 out of turn", OutcomeKind.OUR_FAULT),
    ("RCPT", "421 4.7.0 too many", OutcomeKind.THROTTLED),
    ("RCPT", "450 4.2.0 greylisted", OutcomeKind.LATER),
    ("RCPT", "452 4.2.2 full", OutcomeKind.LATER),
    ("RCPT", "454 4.7.0 slow down", OutcomeKind.THROTTLED),
    ("RCPT", "550 5.1.1 no such user", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550-5.1.1 no such\r\n550 5.1.1 user", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550 no such user", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550 5.2.1 disabled", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550 5.7.1 relaying denied", OutcomeKind.OUR_FAULT),
    ("RCPT", "501 5.5.4 syntax", OutcomeKind.OUR_FAULT),
    ("DATA", "421 4.3.2 closing", OutcomeKind.DROPPED),
    ("DATA", "451 4.3.0 not now", OutcomeKind.LATER),
    ("DATA", "554 5.5.1 no valid recipients", OutcomeKind.DEAD_MESSAGE),
    ("DATA", "250 what?", OutcomeKind.DROPPED),
    ("DOT", "421 4.3.0 filter trouble", OutcomeKind.LATER),
    ("DOT", "452 4.3.1 disk full", OutcomeKind.LATER),
    ("DOT", "552 too big", OutcomeKind.DEAD_MESSAGE),
    ("DOT", "554 5.6.0 malformed", OutcomeKind.DEAD_MESSAGE),
    ("DOT", "550 5.1.1 no such user", OutcomeKind.DEAD_ADDRESS),
    ("DOT", "550 5.7.1 unsigned", OutcomeKind.OUR_FAULT),
    ("DOT", "354 what?", OutcomeKind.AMBIGUOUS),
    ("DOT", "gibberish", OutcomeKind.AMBIGUOUS),
    ("RCPT", "gibberish", OutcomeKind.DROPPED),
]


@pytest.mark.parametrize(("phase", "reply", "expected"), REFUSALS)
async def test_what_a_refusal_comes_to(smtp_world, phase, reply, expected):
    """Each refusal at each phase has its outcome and is quoted, and the next message goes through untouched by it."""
    smtp_world.relay.answer(phase, reply)
    outcome = await smtp_world.send(to="bob@example.com")
    assert outcome.kind is expected
    assert reply.split("\r\n")[-1].split(" ", 1)[-1] in outcome.reply
    assert "\n" not in outcome.reply
    assert outcome.message_id == "<1@example.com>"
    assert (await smtp_world.send(to="eve@example.com")).kind is OutcomeKind.SENT
    assert [mail.recipient for mail in smtp_world.relay.mails] == ["eve@example.com"]
    anew = reply.startswith("421") or (expected.blames_relay and expected is not OutcomeKind.THROTTLED)
    assert smtp_world.relay.connections == 1 + anew


async def test_refusals_leave_no_trace_on_kept_connections(smtp_world):
    """A refusal met on a kept connection has the outcome it has on a new one, and so has every message around it."""
    for phase, reply, expected in REFUSALS:
        # Whether a session is ended or never begun is told apart in tests of their own.
        if phase in ("BANNER", "EHLO") or reply.startswith("421"):
            continue
        assert (await smtp_world.send(to="ann@example.com")).kind is OutcomeKind.SENT
        smtp_world.relay.answer(phase, reply)
        assert (await smtp_world.send(to="bob@example.com")).kind is expected
    assert {mail.recipient for mail in smtp_world.relay.mails} == {"ann@example.com"}


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_a_refused_message_costs_no_connection(smtp_world, phase):
    """After a plain refusal the same connection is used again, reset."""
    smtp_world.relay.answer(phase, "450 4.2.0 later")
    await smtp_world.send()
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 1
    assert "RSET" in smtp_world.relay.commands


async def test_a_relay_that_says_421_and_stays_is_left(smtp_world):
    """After a 421 the connection is given up, even where the relay forgets to close it and falls silent."""
    smtp_world.relay.answer("DOT", "421 4.3.0 filter trouble", keep_open=True)
    assert (await smtp_world.send()).kind is OutcomeKind.LATER
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 2


async def test_a_relay_that_refuses_to_reset_gets_a_new_connection(smtp_world):
    """Where RSET fails the connection is given up for a new one, and the message goes through."""
    smtp_world.relay.answer("RCPT", "450 4.2.0 later")
    smtp_world.relay.answer("RSET", "500 what?")
    await smtp_world.send()
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 2


LOSSES = [
    ("BANNER", OutcomeKind.CONNECTION),
    ("EHLO", OutcomeKind.CONNECTION),
    ("MAIL", OutcomeKind.DROPPED),
    ("RCPT", OutcomeKind.DROPPED),
    ("DATA", OutcomeKind.DROPPED),
    ("DATA-BODY", OutcomeKind.AMBIGUOUS),
    ("DOT", OutcomeKind.AMBIGUOUS),
]


@pytest.mark.parametrize(("phase", "expected"), LOSSES)
async def test_what_a_lost_connection_comes_to(smtp_world, phase, expected):
    """A relay that goes away before the content is a matter of connection, after it of doubt; the next goes through."""
    smtp_world.relay.close_at(phase)
    outcome = await smtp_world.send()
    assert (outcome.kind, outcome.message_id) == (expected, "<1@example.com>")
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


@pytest.mark.parametrize(("phase", "expected"), LOSSES)
async def test_what_a_silent_relay_comes_to(smtp_world, leap, phase, expected):
    """A silent relay is waited for no longer than agreed, its connection is closed, and the next message is sent."""
    outcome = await meet_silence(smtp_world, leap, phase)
    assert outcome.kind is expected
    assert "did not answer within 60 s" in outcome.reply
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_content_that_is_not_read_does_not_keep_a_dead_connection(smtp_world, leap):
    """A relay that stops reading in the midst of our content cannot keep our socket open with what is left of it."""
    await smtp_world.send()
    socket = smtp_world.mailer._pool._kept[0]._transport.get_extra_info("socket")
    smtp_world.composer.envelope = replace(smtp_world.composer.envelope, content=b"x" * 32_000_000)
    smtp_world.relay.hang_at("DATA-BODY")
    sending = asyncio.create_task(smtp_world.send())
    await smtp_world.relay.until(lambda: "DATA-BODY" in smtp_world.relay.reached[-1:])
    smtp_world.relay.stop_reading()
    leap(61)
    assert (await sending).kind is OutcomeKind.AMBIGUOUS
    await asyncio.sleep(0)
    assert socket.fileno() == -1


async def test_a_relay_that_cannot_be_reached(smtp_world):
    """A refused connection is reported in words, and the first message after the relay's return goes through."""
    smtp_world.relay.refuse_connections()
    outcome = await smtp_world.send()
    assert outcome.kind is OutcomeKind.CONNECTION
    assert "Error connecting to" in outcome.reply
    await smtp_world.relay.listen()
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


@pytest.mark.parametrize("fault", ["421", "421 of Exim", "close", "refuse RSET"])
async def test_a_session_that_the_relay_ends_is_no_fault(smtp_world, fault):
    """Relays end kept sessions at a whim: the message goes over a new connection, and nobody hears of it."""
    await smtp_world.send()
    match fault:
        case "421":
            smtp_world.relay.answer("MAIL", "421 4.7.0 enough for one session")
        case "421 of Exim":  # no word about our rate
            smtp_world.relay.answer("MAIL", "421 too many messages in this connection")
        case "close":
            smtp_world.relay.close_at("MAIL")
        case _:
            smtp_world.relay.answer("RCPT", "450 4.2.0 later")
            smtp_world.relay.close_at("RSET")
            assert (await smtp_world.send()).kind is OutcomeKind.LATER
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 2


async def test_a_relay_that_ends_every_session_is_reported(smtp_world):
    """If a new connection ends in the same way, it is not retried for ever: the outcome says so."""
    await asyncio.gather(*(smtp_world.send() for _ in range(3)))
    smtp_world.relay.answer("MAIL", "421 4.3.2 closing", times=None)
    assert (await smtp_world.send()).kind is OutcomeKind.DROPPED
    assert smtp_world.relay.connections == 4
    smtp_world.relay.clear_faults()
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_a_connection_that_the_relay_closed_while_idle_is_noticed(smtp_world):
    """A 421 and a close between two messages cost the second message nothing."""
    await smtp_world.send()
    smtp_world.relay.say("421 4.4.2 idle too long", close=True)
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_what_the_relay_says_unasked_ends_the_connection(smtp_world):
    """A relay that said 421 to an idle connection and kept it open would leave the next message hanging: it is new."""
    await smtp_world.send()
    conversation = smtp_world.mailer._pool._kept[0].conversation
    smtp_world.relay.say("421 4.4.2 idle too long")
    while conversation.is_open:
        await asyncio.sleep(0)
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 2
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 1)


@pytest.mark.parametrize("says", ["421 4.4.2 idle too long", None])
async def test_a_kept_connection_that_the_relay_closed_long_ago_is_only_let_go(says):
    """Older than `idle` and closed by the relay, it costs neither the message just sent nor the next one anything."""
    async with a_smtp_world(idle_seconds=0.05, connections=3) as smtp_world:
        for _ in range(3):
            await asyncio.gather(*(smtp_world.send() for _ in range(3)))
            if says:
                smtp_world.relay.say(says, close=True)
            else:
                smtp_world.relay.hang_up()
            await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
            await asyncio.sleep(0.06)
            for _ in range(2):
                outcome = await smtp_world.send()
                assert (outcome.kind, outcome.reply[:4]) == (OutcomeKind.SENT, "250 ")
    assert len(smtp_world.relay.mails) == 15


async def test_a_reply_in_bytes_that_are_not_utf_8_is_kept_as_text(smtp_world):
    """What a foreign server quotes in Latin-1 can be encoded, and so be kept and logged."""
    smtp_world.relay.answer("RCPT", b"450 4.2.0 Postfach des Empf\xe4ngers voll".decode("latin-1"), encoding="latin-1")
    outcome = await smtp_world.send()
    assert outcome.kind is OutcomeKind.LATER
    assert outcome.reply == r"450 4.2.0 Postfach des Empf\xe4ngers voll"
    assert outcome.reply.encode()


async def test_a_banner_in_bytes_that_are_not_utf_8_is_kept_as_text(smtp_world):
    """aiosmtplib reads the banner; its words are made text as well."""
    smtp_world.relay.answer("BANNER", "554 Empfänger unerwünscht", encoding="latin-1")
    outcome = await smtp_world.send()
    assert outcome.reply == r"554 Empf\xe4nger unerw\xfcnscht"


async def test_a_connection_idle_for_too_long_is_not_trusted(smtp_world, leap):
    """A firewall may have forgotten it without a word: the next message takes a new one."""
    await smtp_world.send()
    leap(31)
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 2
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 1)


@pytest.mark.parametrize("phase", ["MAIL", "RCPT"])
async def test_a_relay_that_asks_for_the_content_of_a_refused_message_gets_none(phase):
    """RFC 2920 section 3.1: DATA may be answered with 354 though nothing was taken before; then nothing is sent."""
    async with RecordingRelay(lenient=True) as relay, mailing(relay.host, relay.port) as (mailer, composer):
        smtp_world = SmtpWorld(relay, mailer, composer)
        relay.answer(phase, "550 5.1.1 no such user" if phase == "RCPT" else "451 4.3.0 not now")
        outcome = await smtp_world.send(to="bob@example.com")
        assert outcome.kind is (OutcomeKind.DEAD_ADDRESS if phase == "RCPT" else OutcomeKind.LATER)
        assert (await smtp_world.send(to="eve@example.com")).kind is OutcomeKind.SENT
        assert [mail.recipient for mail in relay.mails] == ["eve@example.com"]
        assert relay.connections == 1
