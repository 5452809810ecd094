"""Simulation and the real engine: the same checkouts get the same mails, at the same virtual times."""

from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.domain.checkout import Facts, Item
from recovery.domain.simulation import Course, replay
from recovery.domain.simulation.arms import Arms
from recovery.domain.simulation.drawn import drawn
from recovery.settings.given import given_settings
from recovery.testing import RecoveryKit
from recovery.testing.configuration import SECRET
from tests.support.kits import BEGINNING, SHOP, checkout, order

DAYS = 6
ZONES = (None, "America/New_York", "Europe/Berlin", "Asia/Kolkata")
GOODS = ({"name": "Lamp", "price": "9.90"}, {"name": "Shade", "price": "5.00"})

SCHEDULES = {
    "default": {},
    "quiet hours": {"quiet_hours": "21:00-08:00", "time_zone": "Europe/Berlin", "require_consent": True},
    "many": {
        "steps": [
            {"name": f"step-{hours}", "delay": f"{hours}h", "max_lateness": "2d", "template": "reminder-1"}
            for hours in (1, 4, 9, 24)
        ],
        "quiet_hours": "22:30-06:45",
        "min_gap": "3h",
        "min_gap_per_address": "5h",
        "stop_on": "customer",
    },
}


def groups_of(count, seed):
    """Return drawn checkouts of people with addresses, zones and items of their own."""
    found = []
    people = drawn(count, seed, BEGINNING - timedelta(days=1), BEGINNING + timedelta(days=DAYS), "UTC")
    for number, group in enumerate(people):
        customer = {"email": f"customer{number}@example.com"}
        group = [replace(each, left_at=max(each.left_at, BEGINNING)) for each in group]
        for place, each in enumerate(group):
            items = tuple(Item.model_validate(goods) for goods in GOODS[: 1 + (number + place) % 2])
            facts = Facts(customer=customer, time_zone=ZONES[number % len(ZONES)], items=items)
            ordered_at = each.ordered_at and max(each.ordered_at, each.left_at + timedelta(milliseconds=1))
            group[place] = replace(each, facts=facts, opened_at=each.left_at, ordered_at=ordered_at)
        found.append(group)
    return found


LATER = {
    "share": 0.4,
    "until": "2999-01-01",
    "steps": [{"name": "reminder-1", "delay": "10m"}, {"name": "later", "delay": "2d", "template": "reminder-2"}],
}
EXPERIMENTS = {"quiet": {"share": 0.3, "until": "2999-01-01"}, "later": LATER}


async def mails_of_engine(groups, schedule, experiments):
    """Report all checkouts and orders at their times to a kit; return the mails that went out."""
    kit = RecoveryKit(schedule=schedule, experiments=experiments)
    events = []
    for course in (each for group in groups for each in group):
        events.append((course.left_at, course.id, _report(course)))
        if course.ordered_at is not None:
            events.append((course.ordered_at, course.id, None))
    for at, id_, report in sorted(events, key=lambda each: each[:2]):
        await kit.advance(to=at)
        await (kit.order(order(id_)) if report is None else kit.checkout(report))
    await kit.advance(days=DAYS + 30)
    return sorted((mail.order_id, mail.step, mail.at) for mail in kit.mails)


def _report(course: Course):
    facts = course.facts
    return checkout(
        course.id,
        customer=facts.customer.model_dump(exclude_none=True),
        items=[each.model_dump(exclude_none=True) for each in facts.items],
        time_zone=facts.time_zone,
        consent=None if course.consent is None else course.consent.model_dump(),
    )


def mails_of_simulation(groups, schedule, experiments):
    """Return the mails of the same checkouts by simulation, those of a person by the steps of their arm."""
    sections = {"schedule": schedule, "experiments": experiments, "suppressions": {"keys": [SECRET]}}
    arms = Arms(given_settings(sections).to_schedule(), SHOP)
    return sorted(
        (course.id, entry.step, entry.at)
        for group in groups
        for course, entries in zip(
            group, replay(group, arms.schedule(arms.of(group[0].facts.customer.address))), strict=True
        )
        for entry in entries
        if entry.reason is None
    )


@pytest.mark.parametrize(
    ("name", "count", "seed", "experiments"),
    [
        ("default", 1000, 1, {}),
        ("quiet hours", 300, 2, {}),
        ("many", 300, 3, {}),
        ("default", 300, 4, EXPERIMENTS),
        ("quiet hours", 300, 5, EXPERIMENTS),
    ],
)
async def test_simulation_agrees_with_the_engine(name, count, seed, experiments):
    """A kit, with its clock, its real engine and its stores, sends what the simulation says, to the millisecond."""
    groups, schedule = groups_of(count, seed), SCHEDULES[name]
    theirs = await mails_of_engine(groups, schedule, experiments)
    assert mails_of_simulation(groups, schedule, experiments) == theirs
    assert len(theirs) > (count / 2 if experiments else count)
    assert {step for _, step, _ in theirs} >= ({"later", "reminder-2"} if experiments else set())
