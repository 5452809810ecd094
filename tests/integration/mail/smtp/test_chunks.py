"""CHUNKING (RFC 3030) with a relay on the loopback: what arrives, in how many packets, over which connections."""

import pytest

from recovery.domain.outcome import OutcomeKind
from tests.support.followers_world import followers_world
from tests.support.smtp_servers import EXTENSIONS, RecordingRelay

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""

SENT, AMBIGUOUS = OutcomeKind.SENT, OutcomeKind.AMBIGUOUS


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """A connection that has taken a message is trusted for an hour, however busy the machine is."""
    monkeypatch.setattr("recovery.mail.smtp.session.TRUSTED", 3600.0)


@pytest.fixture
async def world():
    relay = RecordingRelay((*EXTENSIONS, "CHUNKING"))
    async with relay, followers_world(relay, chunking=True) as world:
        assert (await world.send("first")).kind is SENT
        yield world


async def test_mails_that_wait_take_one_packet_each(world):
    """Behind the first one, and every byte of them arrives."""
    before = world.relay.packets
    assert await world.kinds(*(world.send(f"n{n}") for n in range(10))) == [SENT] * 10
    assert world.relay.packets - before == 10
    assert [mail.content for mail in world.relay.mails[1:]] == [
        f"Subject: n{n}\r\n\r\n.n{n}\r\n".encode() for n in range(10)
    ]
    assert (world.relay.connections, "DATA" in world.relay.commands) == (1, False)


async def test_a_relay_that_does_not_offer_it_gets_data():
    """The setting asks for nothing that the relay does not offer."""
    async with RecordingRelay() as relay, followers_world(relay, chunking=True) as world:
        assert await world.kinds(*(world.send(name) for name in "abc")) == [SENT] * 3
        assert relay.commands.count("DATA") == 3


async def test_who_does_not_ask_for_it_gets_data():
    """It is off by default."""
    async with RecordingRelay((*EXTENSIONS, "CHUNKING")) as relay, followers_world(relay) as world:
        assert await world.kinds(*(world.send(name) for name in "abc")) == [SENT] * 3
        assert relay.commands.count("DATA") == 3


async def test_a_refused_recipient_costs_its_neighbours_nothing(world):
    """The relay answers BDAT with 503: the outcome is that of RCPT, over a connection that serves the next one."""
    world.relay.answer("RCPT", "550 5.1.1 no such user", recipient="b@example.com")
    assert await world.kinds(*(world.send(name) for name in "abc")) == [SENT, OutcomeKind.DEAD_ADDRESS, SENT]
    assert (world.recipients(), world.relay.connections) == (["first", "a", "c"], 1)


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA-BODY", "DOT"])
async def test_a_lost_line_leaves_one_message_in_doubt(world, phase):
    """Wherever it is lost, the neighbours of that message are sent once."""
    if phase == "MAIL":
        world.relay.close_at(phase)
    else:
        world.relay.close_at(phase, recipient="a@example.com")
    assert await world.kinds(*(world.send(name) for name in "abc")) == [AMBIGUOUS, SENT, SENT]
    assert world.recipients() == ["first", "b", "c"]


async def test_a_relay_that_does_not_know_bdat_gets_data_from_then_on(world):
    """Though it offers CHUNKING: nothing was taken, and nobody hears of it."""
    world.relay.answer("DOT", "502 5.5.1 not implemented")
    assert await world.kinds(*(world.send(name) for name in "abc")) == [SENT] * 3
    assert world.recipients() == ["first", "a", "b", "c"]
    assert (world.relay.connections, world.relay.commands.count("DATA")) == (2, 3)
