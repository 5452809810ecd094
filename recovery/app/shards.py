"""The shards of a drawn population: each is drawn and replayed by itself, in any process.

Processes that are started for them import this module, so it imports the domain alone: they begin at once.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from multiprocessing import connection, parent_process
from threading import Thread

from recovery.domain.per_shop import PerShop
from recovery.domain.simulation import Comparison, Schedules, Simulation
from recovery.domain.simulation.drawn import drawn

DRAWN_FROM = datetime(2026, 6, 1, tzinfo=UTC)
"""The time from which checkouts are drawn: always the same, so that a run can be repeated. A Monday; in the months that
follow, few clocks are changed."""

SHARD = 20_000
"""Checkouts that a process draws and replays at a time: about a second."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a drawn population: its number, its size, the seed and the days of the whole."""

    number: int
    size: int
    seed: int
    days: int


def shards_of(count: int, seed: int, days: int, size: int = SHARD) -> Sequence[Shard]:
    """Return the shards of a population, all of one size but for the last."""
    return [Shard(number, min(size, count - begin), seed, days) for number, begin in enumerate(range(0, count, size))]


class ShardReplay:
    """Replays shards by two schedules of a shop. What is worked out for one shard serves the next."""

    def __init__(self, schedules: Schedules, most_listed: int, shop: str) -> None:
        self._simulation = Simulation(PerShop(schedules), most_listed)
        self._shop = shop
        self._time_zone = schedules.in_force.time_zone

    def of(self, shard: Shard) -> Comparison:
        """Return the comparison of both schedules over the checkouts of a shard."""
        until = DRAWN_FROM + timedelta(days=shard.days)
        for group in drawn(shard.size, f"{shard.seed}/{shard.number}", DRAWN_FROM, until, self._time_zone):
            self._simulation.add(self._shop, group)
        return self._simulation.take_result()


def replayed(schedules: Schedules, most_listed: int, shop: str, shard: Shard) -> Comparison:
    """Return the comparison of two schedules over a shard, in a process that was started for it."""
    return _replay(schedules, most_listed, shop).of(shard)


@lru_cache(maxsize=1)
def _replay(schedules: Schedules, most_listed: int, shop: str) -> ShardReplay:
    return ShardReplay(schedules, most_listed, shop)


def begin() -> None:
    """Prepare a process that was started for shards: it ends with the one that started it, however that ends."""
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
