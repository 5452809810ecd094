"""Simulations of a proposed schedule beside the one in force, over kept checkouts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.app.factories import per_shop, suppressions_of
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import StopOn
from recovery.domain.simulation import Comparison, Course, Schedules, Simulation
from recovery.mongo.collections import Database
from recovery.mongo.courses import BATCH, Which, courses
from recovery.settings import Settings
from recovery.settings.proposed import proposed

YOUNG = "too young: their last reminder would not be due yet"
"""The reason to leave out a checkout: nobody knows yet whether it will be ordered before its last reminder."""

A_BREATH, SMALL_BATCH = 10, 50
"""Groups of checkouts that are replayed, and checkouts that are read, before other tasks have their turn: a few
milliseconds."""


def schedules_of(settings: Settings, tables: Mapping[str, Any], origin: str, shop: str | None) -> PerShop[Schedules]:
    """Return the schedules in force and those that a proposal makes of them: for one shop, or for each.

    Raises `SettingsError`, with a sentence for each fault.
    """

    def both(own: Settings) -> Schedules:
        return Schedules(own.to_schedule(), proposed(own, tables, origin).to_schedule())

    return per_shop(settings, both) if shop is None else PerShop(both(settings.of(shop)))


@dataclass(frozen=True, slots=True)
class Kept:
    """Which kept checkouts are simulated: of one shop or of all, those opened since a time, at most so many.

    `now` is the database's time. `pause` is the time in seconds that other tasks have for themselves between two
    stretches of work: None where there are none.
    """

    shop: str | None
    since: datetime
    now: datetime
    at_most: int | None = None
    pause: float | None = None


async def simulate_kept(
    database: Database, settings: Settings, schedules: PerShop[Schedules], which: Kept, most_listed: int
) -> Comparison:
    """Replay kept checkouts by both schedules. Nothing is written. Raises `Unavailable`, `Refused`."""
    simulation = Simulation(schedules, most_listed)
    items = any(StopOn.CUSTOMER in (each.in_force.stop_on, each.new.stop_on) for each in schedules.each())
    batch_size = BATCH if which.pause is None else SMALL_BATCH
    asked = Which(which.since, which.now, which.shop, items, batch_size)
    count = 0
    async for batch in courses(database, suppressions_of(settings, database), asked):
        for reason, left_out in batch.left_out.items():
            simulation.leave_out(reason, left_out)
        for number, (shop, group) in enumerate(batch.groups):
            _take(simulation, shop, group, which.now)
            if which.pause is not None and number % A_BREATH == 0:
                await asyncio.sleep(which.pause)
        count += batch.count
        if which.at_most is not None and count >= which.at_most:
            break
    return simulation.result


def _take(simulation: Simulation, shop: str, group: Sequence[Course], now: datetime) -> None:
    """Replay the checkouts of one person, unless one is too young: what it will become may move mails of the others."""
    longest = simulation.schedules.of_shop(shop).longest
    if max(course.left_at for course in group) + longest > now:
        simulation.leave_out(YOUNG, len(group))
    else:
        simulation.add(shop, group)


def not_known(settings: Settings, since: timedelta, shop: str | None) -> str | None:
    """Return a sentence on checkouts of so long ago that are missing, or None."""
    retention = settings.of(shop or "").schedule.retention
    if since <= retention:
        return None
    return (
        f"Checkouts older than the retention of {retention.days} days are deleted, those that were ordered first: "
        "of that time, too few are counted as ordered."
    )
