"""Simulation and a real daemon, on a schedule of seconds: the same checkouts get the same mails."""

import asyncio
import random
from datetime import timedelta

from recovery import Consent, Order, Recovery
from recovery.app.factories import suppressions_of
from recovery.app.simulation import Kept, schedules_of, simulate_kept
from recovery.demo.timetable import CLOCK_ERROR
from recovery.domain.simulation import replay
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.courses import Which, courses
from recovery.settings.given import given_settings
from tests.support.builders import report
from tests.support.running_daemon import running

SHOP = "shop.example"
STEPS = {"reminder-1": timedelta(seconds=4), "reminder-2": timedelta(seconds=16), "reminder-3": timedelta(seconds=18)}
SCHEDULE = {
    "steps": [{"name": name, "delay": f"{delay.seconds}s", "max_lateness": "1m"} for name, delay in STEPS.items()],
    "min_gap": "500ms",
    "min_gap_per_address": "700ms",
}
REFUSED = Consent(given=False, basis="a box", at="2026-01-01T00:00:00Z", source="checkout")
PEOPLE = 30
IN_TIME = 2.0
"""Seconds that an order must come before the next reminder: on a slow machine, somebody who is later orders nothing."""


async def _leave(recovery, database, dice, number):
    """Report what one person does: leaves one checkout or two, and perhaps orders: at once, or after a reminder."""
    email, time = f"customer{number}@example.com", asyncio.get_running_loop().time
    left_at, next_step = time(), "reminder-1"
    for place in range(1 + (number % 5 == 0)):
        consent = REFUSED if number % 7 == 1 else None
        await recovery.checkout(report(f"{number}-{place}", customer={"email": email}, consent=consent))
    orders = dice.choice(["never", "at once", "after a reminder"])
    if orders == "after a reminder" and number % 7 != 1:
        sent = {"_id": f"{SHOP}/{number}-0", "messages.reminder-1.state": "sent"}
        while not await database[CHECKOUTS].count_documents(sent):
            await asyncio.sleep(0.2)
        next_step = "reminder-2"
    if orders != "never" and time() + IN_TIME < left_at + STEPS[next_step].total_seconds():
        await recovery.order(Order(shop=SHOP, order_id=f"{number}-0"))


def _by_person(mails):
    """Return person, step and time of mails: of two checkouts that are due at once, a daemon may take either first."""
    return sorted((id_.rpartition("-")[0], step, at) for (id_, step), at in mails.items())


async def test_simulation_agrees_with_a_daemon(mongodb, database, relay):
    """Which mails is the same; when is never before the simulated time, and never so late that one is of no use."""
    settings = given_settings(
        {
            "mongodb": {"uri": mongodb, "database": database.name},
            "smtp": {"host": relay.host, "port": relay.port, "tls": "none"},
            "http": {"enabled": False},
            "schedule": SCHEDULE,
        }
    )
    dice = random.Random(15)
    async with running(settings), Recovery(mongodb, database=database.name) as recovery:
        await asyncio.gather(*(_leave(recovery, database, dice, number) for number in range(PEOPLE)))
        async with asyncio.timeout(60):
            while await database[CHECKOUTS].count_documents({"next_at": {"$ne": None}}):
                await asyncio.sleep(0.1)
    sent = {}
    kept = [document async for document in database[CHECKOUTS].find({})]
    for document in kept:
        for step, message in document.get("messages", {}).items():
            if message["state"] == "sent":
                sent[document["_id"], step] = message["sent_at"]
    simulated = {}
    opened = [document["opened_at"] for document in kept]
    which = Which(min(opened), max(opened) + timedelta(days=1))
    schedule = settings.to_schedule()
    async for batch in courses(database, suppressions_of(settings, database), which):
        for _, group in batch.groups:
            for course, entries in zip(group, replay(group, schedule), strict=True):
                simulated |= {(course.id, entry.step): entry.at for entry in entries if entry.reason is None}
    assert sorted(simulated) == sorted(sent)
    assert len(sent) > PEOPLE
    assert len(relay.mails) == len(sent)
    for earliest, actual in zip(_by_person(simulated), _by_person(sent), strict=True):
        assert earliest[:2] == actual[:2]
        assert earliest[2] - CLOCK_ERROR <= actual[2] < earliest[2] + timedelta(minutes=1)
    now = max(opened) + timedelta(days=2)
    schedules = schedules_of(settings, {"schedule": {"min_gap": "400ms"}}, "given here", SHOP)
    result = await simulate_kept(database, settings, schedules, Kept(SHOP, min(opened), now), 5)
    assert sum(result.in_force.mails.values()) == len(sent)
