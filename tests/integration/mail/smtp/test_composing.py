"""Messages that wait are composed together: one between two replies of the relay takes more of the processor."""

import asyncio

import pytest

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp import delivery
from recovery.mail.smtp.delivery import COMPOSED_TOGETHER
from tests.support.followers_world import followers_world
from tests.support.smtp_servers import EXTENSIONS, RecordingRelay

SENT, RENDER_ERROR = OutcomeKind.SENT, OutcomeKind.RENDER_ERROR


@pytest.fixture
async def world(monkeypatch):
    monkeypatch.setattr(delivery, "COMPOSING_FOR", 60.0)  # a full machine may take away any number of milliseconds
    async with RecordingRelay() as relay, followers_world(relay) as world:
        assert (await world.send("first")).kind is SENT
        world.composer.composed.clear()
        yield world


async def _composed_at_the_first_reply(world, sendings):
    """Return the number of messages composed before the relay's reply to the first."""
    async with asyncio.timeout(20):
        await sendings[0]
        return len(world.composer.composed)


async def test_those_that_wait_are_composed_with_the_next(world):
    """They are at hand when the relay answers; no more than are worth it, since an order may call off the others."""
    sendings = [world.send(f"n{n}") for n in range(2 * COMPOSED_TOGETHER)]
    assert await _composed_at_the_first_reply(world, sendings) == 1 + COMPOSED_TOGETHER
    assert await world.kinds(*sendings) == [SENT] * len(sendings)
    assert world.composer.composed == [f"n{n}" for n in range(len(sendings))]


async def test_slow_ones_are_composed_one_at_a_time(world, monkeypatch):
    """The replies of other connections wait meanwhile. The second is on the wire, the third announced behind it."""
    monkeypatch.setattr(delivery, "COMPOSING_FOR", 0.002)
    world.composer.takes = 0.003
    sendings = [world.send(f"n{n}") for n in range(6)]
    assert await _composed_at_the_first_reply(world, sendings) <= 3
    assert await world.kinds(*sendings) == [SENT] * len(sendings)


async def test_one_that_cannot_be_composed_ends_alone(world):
    """It ends before its turn, and the others are sent."""
    world.composer.broken.add("n2")
    sendings = [world.send(f"n{n}") for n in range(5)]
    await _composed_at_the_first_reply(world, sendings)
    assert sendings[2].done()
    assert await world.kinds(*sendings) == [SENT, SENT, RENDER_ERROR, SENT, SENT]
    assert "n2" not in world.recipients()


async def test_one_that_cannot_be_composed_is_tried_once():
    """A relay without PIPELINING has no followers: each message is taken when its connection is free."""
    async with RecordingRelay(EXTENSIONS[:-1]) as relay, followers_world(relay) as world:
        world.composer.broken.add("n2")
        sendings = [world.send(f"n{n}") for n in range(5)]
        assert await world.kinds(*sendings) == [SENT, SENT, RENDER_ERROR, SENT, SENT]
        assert world.composer.composed == [f"n{n}" for n in range(5)]
