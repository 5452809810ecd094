"""A daemon whose own clock is wrong, and a service that was down for three days."""

import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tests.chaos.checker import Promise
from tests.chaos.ledger import Key
from tests.chaos.scenarios import scenario
from tests.chaos.world import SHOP, World

HOUR = 3600
DAY = 24 * HOUR

SHIFT = '''\
"""Shifts the wall clock of this process, as an interpreter's first act: the monotonic one stays as it is."""
import ctypes, datetime, gc, time

SECONDS = {seconds}
clock, clock_ns, now = time.time, time.time_ns, datetime.datetime.now
by = datetime.timedelta(seconds=SECONDS)
time.time = lambda: clock() + SECONDS
time.time_ns = lambda: clock_ns() + SECONDS * 10**9
methods = gc.get_referents(datetime.datetime.__dict__)[0]  # of a type written in C, which allows no other way
methods["now"] = classmethod(lambda cls, tz=None: now(tz) + by)
methods["utcnow"] = classmethod(lambda cls: now(datetime.UTC).replace(tzinfo=None) + by)
methods["today"] = classmethod(lambda cls: now() + by)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
'''
"""What Debian's faketime would do, without a package: a `sitecustomize` that every Python process reads first."""


async def _with_a_clock_off_by(world: World, seconds: int) -> Promise:
    world.delays = {"reminder-1": 3.0, "reminder-2": 6.0}
    world.confirms = True
    count = world.size(400, 60)
    names = [f"c{number}" for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="recovery-chaos-") as folder:
        (Path(folder) / "sitecustomize.py").write_text(SHIFT.format(seconds=seconds))
        async with world.daemon(python_path=folder) as daemon:
            said = datetime.fromisoformat(next(e["timestamp"] for e in daemon.log if e["event"] == "ready"))
            off = said.timestamp() - time.time()
            world.expect(abs(off - seconds) < 60, f"the daemon's clock is off by {off:.0f} s: this proves nothing")
            await world.report_all(names)
            for name in world.rng.sample(names, count // 10):
                await world.order(name)
            await world.settle()
    return Promise(on_time=True)


@scenario("clock-ahead", "the daemon's clock an hour ahead")
async def clock_ahead(world: World) -> Promise:
    """The same as without."""
    return await _with_a_clock_off_by(world, HOUR)


@scenario("clock-behind", "the daemon's clock an hour behind")
async def clock_behind(world: World) -> Promise:
    """The same as without."""
    return await _with_a_clock_off_by(world, -HOUR)


USEFUL = {"reminder-1": 12 * HOUR, "reminder-2": 4 * DAY, "reminder-3": 4 * DAY}
"""How late each may be. The windows of the last two overlap after three days, so that the least gap is put to use."""


@scenario("three-days-down", "service down for three days")
async def three_days_down(world: World) -> Promise:
    """Nobody gets more than one mail in the least gap, and what is too late is skipped with a reason."""
    world.delays = {"reminder-1": HOUR / 2, "reminder-2": DAY, "reminder-3": 3 * DAY}
    gap = 6 * HOUR
    world.settings |= {"RECOVERY_SCHEDULE__MIN_GAP": "6h", "RECOVERY_SCHEDULE__STEPS": _steps(world)}
    now = time.time()
    ages = {f"c{number}": world.rng.uniform(0, 2 * DAY) for number in range(world.size(600, 80))}
    async with world.daemon() as daemon:
        await asyncio.gather(*(world.report(name, touched_at=now - age) for name, age in ages.items()))
        await _nothing_due(world)
        await daemon.terminate()
    before = {mail.key: mail.at for mail in _accepted(world)}
    await _pass(world, timedelta(days=3))
    taken = len(world.relay.mails)
    world.healed()
    async with world.daemon():
        await _nothing_due(world)
    after = _accepted(world)[taken:]
    times: dict[str, list[float]] = {}
    for key, at in before.items():
        times.setdefault(key.checkout, []).append(at - 3 * DAY)
    for mail in after:
        times.setdefault(mail.key.checkout, []).append(mail.at)
    crowded = [id_ for id_, at in times.items() if any(b - a < gap for a, b in pairwise(sorted(at)))]
    world.expect(not crowded, f"{len(crowded)} checkouts got two mails within the least gap")
    ends = await world.ends()
    for name, age in ages.items():
        # Long overdue is skipped; what must wait for the gap is not lost.
        old = age + 3 * DAY
        for step, delay in world.delays.items():
            key = Key(f"{SHOP}/{name}", step)
            if old < delay or (key not in before and ends.get(key, ("", ""))[0] in ("", "waiting")):
                world.postponed.add(key)
            world.expect(key not in before or age - delay <= USEFUL[step] + 60, f"{key} was sent, though too late")
            late = key not in before and old - delay > USEFUL[step] + 60
            skipped = ends.get(key, ("", "")) == ("skipped", "too late to be of use")
            world.expect(late == skipped, f"{key} is {old - delay:.0f} s late and {ends.get(key)}")
    waiting = await world.database["checkouts"].count_documents(
        {"next_at": {"$gt": datetime.now(UTC) + timedelta(seconds=gap + 60)}, "status": "open"}
    )
    world.expect(waiting == 0, f"{waiting} checkouts wait for longer than the least gap")
    world.notes.append(f"{taken} sent before, {len(after)} after")
    return Promise(skipped=True)


def _steps(world: World) -> str:
    return json.dumps(
        [
            {"name": name, "delay": f"{delay:.0f}s", "template": name, "subject": name,
             "max_lateness": f"{USEFUL[name]}s"}
            for name, delay in world.delays.items()
        ]
    )  # fmt: skip


def _accepted(world: World) -> list:
    return world.relay.accepted(world.ledger.entries, world.delays)


async def _nothing_due(world: World) -> None:
    """Wait until nothing is due any more, and what is due later has its shadow."""
    async with asyncio.timeout(60):
        while await world.database["checkouts"].find_one(
            {"next_at": {"$type": "date", "$lte": datetime.now(UTC) + timedelta(seconds=30)}}
        ):
            await asyncio.sleep(0.1)
    await world.shadows_set()


async def _pass(world: World, time_: timedelta) -> None:
    """Have time pass in the database, by moving all that it holds into the past."""
    back = int(time_.total_seconds() * 1000)

    def moved(field: str) -> dict:
        return {"$cond": [{"$eq": [{"$type": field}, "date"]}, {"$subtract": [field, back]}, field]}

    fields = ("opened_at", "touched_at", "next_at")
    of_message = {
        f: {"$cond": [{"$eq": [{"$type": f"$$m.v.{f}"}, "date"]}, {"$subtract": [f"$$m.v.{f}", back]}, "$$REMOVE"]}
        for f in ("due_at", "sent_at", "retry_at")
    }
    messages = {
        "$arrayToObject": {
            "$map": {
                "input": {"$objectToArray": {"$ifNull": ["$messages", {}]}},
                "as": "m",
                "in": {"k": "$$m.k", "v": {"$mergeObjects": ["$$m.v", of_message]}},
            }
        }
    }
    await world.database["checkouts"].update_many(
        {}, [{"$set": {field: moved(f"${field}") for field in fields} | {"messages": messages}}]
    )
    await world.database["shadows"].update_many({}, [{"$set": {"expire_at": moved("$expire_at")}}])
    for entry in world.ledger.entries.values():
        if entry.touched_at is not None:
            entry.touched_at -= time_.total_seconds()
