"""The connection pool: round trips, reuse, limits."""

import asyncio

import pytest

from recovery.domain.outcome import OutcomeKind
from tests.support.smtp_world import a_smtp_world, meet_silence

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""


async def test_a_message_takes_two_round_trips_where_the_relay_allows_it(smtp_world):
    """With PIPELINING all that goes before the content is one packet; without it, each command waits for its answer."""
    await smtp_world.send()
    before = smtp_world.relay.packets
    await smtp_world.send()
    together = "PIPELINING" in smtp_world.relay._ehlo
    assert smtp_world.relay.packets - before == (2 if together else 4)


async def test_idle_connections_are_let_go_while_others_work(smtp_world, leap):
    """What a burst opened is closed again once it is idle for too long, though one connection goes on working."""
    await asyncio.gather(*(smtp_world.send() for _ in range(8)))
    assert smtp_world.relay.open == 8
    for _ in range(4):
        leap(10)
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 1)
    assert smtp_world.relay.connections == 8


async def test_a_connection_is_renewed_after_its_share_of_messages(smtp_world):
    """After the agreed number of messages a connection is left with QUIT, and the next one opened."""
    for _ in range(250):
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
    await smtp_world.relay.until(lambda: smtp_world.relay.reached.count("QUIT") == 2)
    assert smtp_world.relay.connections == 3
    assert [sum(mail.connection == n for mail in smtp_world.relay.mails) for n in (1, 2, 3)] == [100, 100, 50]


async def test_no_more_connections_than_agreed():
    """However many messages are sent at once, no more connections are open than agreed, and they are shared."""
    async with a_smtp_world(connections=3) as smtp_world:
        outcomes = await asyncio.gather(*(smtp_world.send() for _ in range(60)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}
        assert (smtp_world.relay.most_open, smtp_world.relay.connections) == (3, 3)


async def test_faults_use_up_no_connection(leap):
    """However messages end, their place is free for the next one."""
    async with a_smtp_world(connections=2) as smtp_world:
        for _ in range(6):
            smtp_world.relay.close_at("RCPT")
            assert (await smtp_world.send()).kind is OutcomeKind.DROPPED
            assert (await meet_silence(smtp_world, leap, "DOT")).kind is OutcomeKind.AMBIGUOUS
            smtp_world.relay.answer("RCPT", "550 5.1.1 no")
            assert (await smtp_world.send()).kind is OutcomeKind.DEAD_ADDRESS
        outcomes = await asyncio.gather(*(smtp_world.send() for _ in range(10)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}
        assert smtp_world.relay.most_open <= 2


async def test_a_message_that_waits_too_long_is_not_sent():
    """Without a free connection in time the message is not handed over, and the relay hears nothing of it."""
    async with a_smtp_world(connections=1) as smtp_world:
        smtp_world.relay.hang_at("DOT", recipient="slow@example.com")
        slow = asyncio.create_task(smtp_world.send(to="slow@example.com"))
        await smtp_world.relay.until(lambda: "DOT" in smtp_world.relay.reached)
        outcome = await smtp_world.send(to="ann@example.com", within=0.01)
        assert outcome.kind is OutcomeKind.UNSENT
        assert not any("ann@" in command for command in smtp_world.relay.commands)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await smtp_world.send(to="ann@example.com")).kind is OutcomeKind.SENT


async def test_a_connection_that_opened_too_late_serves_the_next_message(smtp_world):
    """Who ordered while a connection was being opened is not written to, but the connection is kept for another."""
    smtp_world.permission.why_not = "ordered meanwhile"
    outcome = await smtp_world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.CALLED_OFF, "ordered meanwhile")
    assert not any(command.startswith("MAIL") for command in smtp_world.relay.commands)
    smtp_world.permission.why_not = None
    assert (await smtp_world.send()).kind is OutcomeKind.SENT
    assert smtp_world.relay.connections == 1
