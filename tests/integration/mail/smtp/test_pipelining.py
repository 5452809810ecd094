"""Relays that offer PIPELINING and cannot bear it: they get one command at a time, and every message."""

import asyncio

import pytest

from recovery.domain.outcome import OutcomeKind
from tests.support.followers_world import followers_world
from tests.support.scripted_relay import ScriptedRelay
from tests.support.smtp_servers import RecordingRelay

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""

SENT, DROPPED = OutcomeKind.SENT, OutcomeKind.DROPPED


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
async def test_a_relay_that_refuses_haste_gets_one_command_at_a_time(phase):
    """The refused message is sent over the next connection, as are all others; nobody hears of it."""
    async with RecordingRelay() as relay, followers_world(relay) as world:
        relay.answer(phase, "554 5.5.1 Error: improper command pipelining")
        assert await world.kinds(world.send("a"), world.send("b"), world.send("c")) == [SENT] * 3
        assert (world.recipients(), relay.connections) == (["a", "b", "c"], 2)
        before = relay.packets
        assert (await world.send("d")).kind is SENT
        assert relay.packets - before == 4


async def test_a_relay_that_loses_the_rest_of_a_packet_gets_one_command_at_a_time(leap):
    """The first message is not in doubt when its time is over, and the next one is sent."""
    async with ScriptedRelay() as relay, followers_world(relay) as world:
        sending = world.send("a")
        session = await relay.sessions.get()
        await session.hear(b"DATA\r\n")
        session.say(b"250 ok")
        await asyncio.sleep(0.05)
        leap(61)
        assert (await sending).kind is DROPPED
        sending = world.send("b")
        session = await relay.sessions.get()
        for command in (b"MAIL", b"RCPT", b"DATA"):
            await session.hear(b"\r\n")
            assert session.heard.splitlines()[-1].startswith(command)
            session.say(b"354 go on" if command == b"DATA" else b"250 ok")
        await session.hear(b"\r\n.\r\n")
        session.say(b"250 taken")
        assert (await sending).kind is SENT


async def test_a_relay_that_has_answered_whole_packets_may_be_slow_once(leap):
    """A recipient that it looks up for too long costs nobody the one packet."""
    async with RecordingRelay() as relay, followers_world(relay) as world:
        assert (await world.send("first")).kind is SENT
        relay.hang_at("RCPT", recipient="a@example.com")
        sending = world.send("a")
        await relay.until(lambda: relay.reached[-2:] == ["MAIL", "RCPT"])
        await asyncio.sleep(0.05)
        leap(61)
        assert (await sending).kind is DROPPED
        assert (await world.send("b")).kind is SENT
        before = relay.packets
        assert (await world.send("c")).kind is SENT
        assert relay.packets - before == 2
