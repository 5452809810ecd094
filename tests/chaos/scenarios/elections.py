"""Three nodes, whose primary goes."""

import asyncio
import time
from itertools import count, takewhile

from tests.chaos.checker import Promise
from tests.chaos.cluster import Cluster
from tests.chaos.scenarios import scenario
from tests.chaos.world import CALLERS, LEASE, SWEEP, World

ELECTED_WITHIN = 20.0
"""Seconds that an election may take on a slow machine, with the drivers' finding out about it."""

MORE_ELECTIONS = 3
"""A driver may hear of one between two calls, and none be refused: of several, some are met by a call."""


async def _while_it_goes(world: World, during: str, *, killed: bool) -> Promise:
    assert world.cluster is not None
    await world.cluster.whole()
    least = world.size(2000, 150)
    burst = during == "burst"
    world.delays = {"reminder-1": world.size(4, 3)}
    touched_at = time.time()
    elected = asyncio.Event()
    # Calls must be made when the primary goes, and while there is none.
    numbers = takewhile(lambda number: number < least or not (burst or elected.is_set()), count())
    names = (f"c{number}" for number in numbers)
    async with world.daemon():
        reports = asyncio.create_task(world.report_all(names, (lambda: touched_at) if burst else time.time))
        if burst:
            await reports
            await world.taken(max(1, int(least * world.rng.uniform(0.05, 0.3))))
        else:
            await _acknowledged(world, int(least * world.rng.uniform(0.1, 0.5)))
        port = await _take_away_primary(world.cluster, killed=killed)
        await world.cluster.primary()
        for _ in range(0 if burst or killed else MORE_ELECTIONS):
            await _acknowledged(world, len(world.ledger.entries) + CALLERS)
            await _take_away_primary(world.cluster, killed=False)
            await world.cluster.primary()
        elected.set()
        world.healed()
        await reports
        await world.settle(90)
    if port is not None:
        world.cluster.start(port)
    return Promise(recover_within=30 + SWEEP + LEASE + ELECTED_WITHIN)


async def _take_away_primary(cluster: Cluster, *, killed: bool) -> int | None:
    if killed:
        return await cluster.kill_primary()
    await cluster.step_down()
    return None


async def _acknowledged(world: World, least: int) -> None:
    while len(world.ledger.entries) < least:
        await asyncio.sleep(0.005)


@scenario("step-down-ingestion", "primary stepped down during ingestion", nodes=3)
async def step_down_ingestion(world: World) -> Promise:
    """Every acknowledged call is kept."""
    return await _while_it_goes(world, "ingestion", killed=False)


@scenario("step-down-burst", "primary stepped down during a burst", nodes=3)
async def step_down_burst(world: World) -> Promise:
    """What was sent during the election is recorded after it."""
    return await _while_it_goes(world, "burst", killed=False)


@scenario("primary-killed-ingestion", "primary killed -9 during ingestion", nodes=3)
async def primary_killed_ingestion(world: World) -> Promise:
    """Every acknowledged call is kept, though the node that took it is gone."""
    return await _while_it_goes(world, "ingestion", killed=True)


@scenario("primary-killed-burst", "primary killed -9 during a burst", nodes=3)
async def primary_killed_burst(world: World) -> Promise:
    """What was sent during the election is recorded after it."""
    return await _while_it_goes(world, "burst", killed=True)
