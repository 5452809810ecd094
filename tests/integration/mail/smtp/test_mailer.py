"""The mailer against a real SMTP server: permission, timeouts, cancellation."""

import asyncio
import time
from dataclasses import replace

import pytest

from recovery.domain.outcome import OutcomeKind
from recovery.mail.composer import RenderError
from tests.support.smtp_world import a_smtp_world

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""


async def test_permission_is_asked_when_the_relay_waits_for_the_content(smtp_world):
    """However slow the relay was before: what was reported until then counts, and no content goes out."""
    await smtp_world.send()
    used = smtp_world.permission.uses

    async def order_meanwhile():
        assert smtp_world.relay.reached[-1] == "DATA", "the relay has said that it will take the message"
        smtp_world.permission.why_not = "ordered meanwhile"

    smtp_world.permission.before = order_meanwhile
    assert (await smtp_world.send()).kind is OutcomeKind.CALLED_OFF
    assert (len(smtp_world.relay.mails), smtp_world.permission.uses) == (1, used)
    smtp_world.permission.before = smtp_world.permission.why_not = None
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_the_time_that_permission_takes_is_not_the_relay_s(smtp_world, leap):
    """A database that is slow to answer does not count as a relay that is."""
    await smtp_world.send()

    async def slowly():
        leap(61)
        await asyncio.sleep(0.01)

    smtp_world.permission.before = slowly
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_the_relay_has_its_own_time_after_the_dot(leap):
    """Longer than for other replies: a sender that stops waiting after the dot sends twice."""
    async with a_smtp_world(dot_timeout_seconds=600.0) as smtp_world:
        smtp_world.relay.hang_at("DOT")
        sending = asyncio.create_task(smtp_world.send())
        await smtp_world.relay.until(lambda: "DOT" in smtp_world.relay.reached)
        leap(599)
        await asyncio.sleep(0.01)
        assert not sending.done()
        leap(2)
        outcome = await sending
    assert outcome.kind is OutcomeKind.AMBIGUOUS
    assert "within 600 s" in outcome.reply


async def test_an_answer_that_came_while_the_process_stood_still_is_heard():
    """A container that was frozen wakes to its timers and to the answer: what the relay has taken is known."""
    async with a_smtp_world(dot_timeout_seconds=0.2) as smtp_world:
        await smtp_world.send()
        smtp_world.permission.used = lambda: asyncio.get_running_loop().call_soon(time.sleep, 0.4)
        assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_the_words_of_a_refusal_name_nobody(smtp_world):
    """They are kept and logged, and outlive the erasure of whom they are about."""
    said = "550 5.1.1 <ann@example.com>: no such user, says Ann@Example.com: ANN at x, or Ann Other"
    smtp_world.relay.answer("RCPT", said)
    outcome = await smtp_world.send()
    assert outcome.kind is OutcomeKind.DEAD_ADDRESS
    assert "no such user" in outcome.reply
    assert "example.com" not in outcome.reply.lower()
    assert "ann" not in outcome.reply.lower()


async def test_a_mail_that_cannot_be_made_names_nobody(smtp_world):
    """Why is kept and logged, too, and may quote what the customer wrote."""
    smtp_world.composer.error = RenderError("reminder-1: 'ann@example.com' of 'Ann Other' cannot be written")
    outcome = await smtp_world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.RENDER_ERROR, "reminder-1: '…' of '…' cannot be written")


async def test_a_relay_says_whether_it_lets_us_in():
    """Without a message; a fault has the same outcome as it would have for one."""
    async with a_smtp_world() as smtp_world:
        assert await smtp_world.mailer.greet() is None
        await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
        smtp_world.relay.answer("EHLO", "421 4.3.2 closing down")
        assert (await smtp_world.mailer.greet()).kind is OutcomeKind.CONNECTION
    outcome = await smtp_world.mailer.greet()
    assert outcome.kind is OutcomeKind.CONNECTION


async def test_a_connection_that_is_lost_while_permission_is_asked_is_not_ambiguous(smtp_world):
    """Nothing of the content was said, so the relay cannot have it."""
    await smtp_world.send()
    used = smtp_world.permission.uses

    async def hang_up():
        smtp_world.permission.before = None
        smtp_world.relay.hang_up()
        await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
        await asyncio.sleep(0.01)

    smtp_world.permission.before = hang_up
    assert (await smtp_world.send()).kind is OutcomeKind.DROPPED
    assert smtp_world.permission.uses == used


@pytest.mark.parametrize("phase", ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
async def test_a_cancelled_send_leaves_nothing_behind(phase):
    """A send that is cancelled, wherever it stood, closes its connection and frees its place."""
    async with a_smtp_world(connections=1) as smtp_world:
        smtp_world.relay.hang_at(phase)
        sending = asyncio.create_task(smtp_world.send())
        await smtp_world.relay.until(lambda: phase in smtp_world.relay.reached)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
        assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_a_message_that_cannot_be_rendered_is_not_sent(smtp_world):
    """A fault of the template is an outcome in words, and no connection is opened for it."""
    smtp_world.composer.error = RenderError("first: no such template")
    outcome = await smtp_world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.RENDER_ERROR, "first: no such template")
    assert smtp_world.relay.connections == 0


async def test_an_address_beyond_ascii_goes_to_a_relay_that_takes_it(smtp_world):
    """An address that needs SMTPUTF8 is sent with it, and its 8-bit content is declared."""
    content = "To: zoë@example.com\r\n\r\nhello\r\n".encode()
    smtp_world.composer.envelope = replace(
        smtp_world.composer.envelope, recipient="zoë@example.com", content=content, needs_utf8=True
    )
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.mails[0].recipient == "zoë@example.com"
    mail = next(command for command in smtp_world.relay.commands if command.startswith("MAIL"))
    assert mail == f"MAIL FROM:<shop@example.com> SIZE={len(content)} BODY=8BITMIME SMTPUTF8"


async def test_an_address_beyond_ascii_is_not_dead_where_our_relay_does_not_take_it():
    """Without SMTPUTF8 such a message cannot be sent, and nobody is suppressed: the address may be sound."""
    async with a_smtp_world(extensions=("8BITMIME",)) as smtp_world:
        plain = smtp_world.composer.envelope
        smtp_world.composer.envelope = replace(plain, recipient="zoë@example.com", needs_utf8=True)
        outcome = await smtp_world.send()
        assert outcome.kind is OutcomeKind.DEAD_MESSAGE
        assert "SMTPUTF8" in outcome.reply
        smtp_world.composer.envelope = plain
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
        assert smtp_world.relay.connections == 1
        assert "MAIL FROM:<shop@example.com>" in smtp_world.relay.commands


async def test_what_a_closed_connection_offered_is_not_held_against_an_address(smtp_world):
    """Whether a relay takes an address beyond ASCII is asked of a connection that stands, not of a closed one."""
    await smtp_world.send()
    smtp_world.relay.say("421 4.4.2 idle too long", close=True)
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
    smtp_world.composer.envelope = replace(smtp_world.composer.envelope, recipient="zoë@example.com", needs_utf8=True)
    assert (await smtp_world.send()).kind is OutcomeKind.SENT


async def test_closing_says_goodbye(smtp_world):
    """`aclose()` ends every kept session with QUIT; afterwards nothing is sent."""
    await asyncio.gather(*(smtp_world.send() for _ in range(3)))
    await smtp_world.mailer.aclose()
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
    assert smtp_world.relay.commands.count("QUIT") == 3
    assert (await smtp_world.send()).kind is OutcomeKind.UNSENT
    assert smtp_world.relay.connections == 3


async def test_a_message_under_way_survives_the_closing(smtp_world):
    """A message that is with the relay when the mailer is closed is finished, and its connection closed after it."""
    smtp_world.relay.hang_at("DOT")
    sending = asyncio.create_task(smtp_world.send())
    await smtp_world.relay.until(lambda: "DOT" in smtp_world.relay.reached)
    await smtp_world.mailer.aclose()
    for session in smtp_world.relay._open:
        session.transport.write(b"250 2.0.0 at last\r\n")
    assert (await sending).reply == "250 2.0.0 at last"
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
