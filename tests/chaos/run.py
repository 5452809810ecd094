"""Runs a scenario on the servers that it needs."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tests.chaos.checker import Row
from tests.chaos.cluster import Cluster
from tests.chaos.scenarios import (  # noqa: F401  entered by being imported
    SCENARIOS,
    Scenario,
    addresses,
    announced,
    clocks,
    crashes,
    documents,
    elections,
    intake,
    life,
    limits,
    mails,
    manners,
    orders,
    pauses,
    receivers,
    relays,
    reporters,
    soak,
    storage,
    strangers,
    streams,
    welcome,
)
from tests.chaos.world import World, world

Tell = Callable[[str], None]


async def run(
    scenario: Scenario,
    uri: str,
    seed: int,
    *,
    short: bool,
    cluster: Cluster | None = None,
    minutes: float = 10,
    tell: Tell = lambda _: None,
) -> Row:
    """Play a scenario; return its row. `tell` hears once a second how far it is."""
    began = time.monotonic()
    async with world(uri, f"{seed}/{scenario.name}", short=short, cluster=cluster) as made:
        made.minutes = minutes
        telling = asyncio.create_task(_tell(scenario, made, tell))
        try:
            promise = await scenario.play(made)
            row = await made.row(scenario.name, promise)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
    return replace(row, seed=seed, seconds=time.monotonic() - began)


async def _tell(scenario: Scenario, made: World, tell: Tell) -> None:
    seconds = 0
    while True:
        await asyncio.sleep(1)
        seconds += 1
        reported, taken = len(made.ledger.entries), len(made.relay.mails)
        tell(f"{scenario.name}: {seconds} s, {reported} checkouts reported, {taken} mails taken")
