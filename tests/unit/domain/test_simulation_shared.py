"""Simulations share work between checkouts: what comes of it equals plain replays of every single one."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.experiments import Arm, Experiment, Experiments
from recovery.domain.per_shop import PerShop
from recovery.domain.quiet_hours import zone
from recovery.domain.schedule import CONFIRMATION
from recovery.domain.simulation import Comparison, Schedules, Simulation, Sums, replay
from recovery.domain.simulation.drawn import drawn
from recovery.domain.simulation.pieces import Pieces
from recovery.domain.simulation.replay import never_ordered
from recovery.domain.simulation.way import Way
from recovery.domain.state import Pause
from recovery.domain.suppression import Suppression, SuppressionReason
from tests.unit.domain.test_simulation import ADA, NOON, SCHEDULES, consent, course, schedule, sent

SHOP = "shop.example"


def people(seed, count=24, days=3):
    """Return drawn people, every other of whom left twice as many checkouts; some checkouts are not plain."""
    groups = list(drawn(count, seed, NOON, NOON + timedelta(days=days), "Europe/Berlin"))
    people = [*groups[::3], *(one + other for one, other in zip(groups[1::3], groups[2::3], strict=False))]
    for number, group in enumerate(people):
        at = group[0].left_at + timedelta(hours=5)
        if number % 7 == 1:
            group[0] = replace(group[0], paused=Pause(at=at, reason="a payment is under way"))
        elif number % 7 == 2:
            group[0] = replace(group[0], consent=consent(given=False, at=at))
        elif number % 7 == 3:
            group[0] = replace(group[0], suppression=Suppression(SuppressionReason.UNSUBSCRIBED, at))
        elif number % 7 == 4:
            group[0] = replace(group[0], ordered_at=group[0].left_at - timedelta(minutes=1))
        elif number % 7 == 5:
            group[0] = replace(group[0], ordered_at=group[0].left_at + timedelta(hours=9), confirm=False)
    return people


def compared_plainly(groups, in_force, new):
    """Return the comparison of two schedules by replays of every single checkout, summed up one by one."""
    whole = Comparison()
    for group in groups:
        both = [replay(group, each) for each in (in_force, new)]
        for sums, found, plan in zip((whole.in_force, whole.new), both, (in_force, new), strict=True):
            for each, entries in zip(group, found, strict=True):
                sum_up(sums, each, entries, plan, zone(in_force.time_zone))
        for each, old, other in zip(group, *both, strict=True):
            whole.checkouts += 1
            whole.suppressed += each.suppression is not None
            if sent(old) == sent(other):
                whole.same += 1
            elif sorted(step for step, _ in sent(old)) == sorted(step for step, _ in sent(other)):
                whole.moved += 1
            else:
                whole.changed += 1
    return whole


def sum_up(sums, each, entries, plan, where):
    """Add one checkout to the sums of a schedule."""
    delays = {step.name: step.delay for step in plan.steps}
    reminders = [entry for entry in entries if entry.step != CONFIRMATION and entry.reason is None]
    for entry in entries:
        if entry.reason is not None:
            sums.skipped[entry.step, entry.reason] += 1
            continue
        sums.mails[entry.step] += 1
        wall = entry.at.astimezone(where)
        sums.hours[wall.weekday() * 24 + wall.hour] += 1
        if entry.moved_by is not None:
            sums.moved[entry.step, entry.moved_by] += 1
            sums.moved_for[entry.moved_by] += entry.at - each.left_at - delays[entry.step]
    if each.ordered_at is not None:
        sums.ordered += 1
        sums.ordered_unreminded += not reminders
        would = replay([never_ordered(each)], plan)[0]
        sums.saved.update(
            {entry.step for entry in would if entry.reason is None} - {entry.step for entry in entries} - {CONFIRMATION}
        )


def counts(comparison):
    """Return a comparison without its lists."""
    return replace(comparison, first_changed=[], first_moved=[])


GAPS = st.sampled_from([timedelta(), timedelta(hours=2), timedelta(hours=12)])
PLANS = st.builds(lambda plan, gap: replace(plan, min_gap_per_address=gap), SCHEDULES, GAPS)


@settings(max_examples=80, deadline=None)
@given(PLANS, PLANS, st.integers(0, 10**6))
def test_a_comparison_is_that_of_plain_replays(in_force, new, seed):
    """Every count of it: mails, hours, moves and by how much, skips, savings, orders; whoever is alone or not."""
    groups = people(seed)
    simulation = Simulation(PerShop(Schedules(in_force, new)))
    for group in groups:
        simulation.add(SHOP, group)
    assert counts(simulation.result) == compared_plainly(groups, in_force, new)


@settings(max_examples=80, deadline=None)
@given(SCHEDULES, st.integers(0, 10**6), st.sampled_from([1, 2, 12, 30]))
def test_a_replay_may_begin_where_checkouts_meet(plan, seed, hours):
    """Up to the first mail that the gap holds back, each checkout of a person is as if it were alone."""
    plan = replace(plan, min_gap_per_address=timedelta(hours=hours))
    way = Way(plan, Sums(), "UTC")
    for group in people(seed, days=2):
        assert way.entries(group) == replay(group, plan)


def test_results_are_taken_one_after_the_other():
    """What was worked out stays, and nothing is counted twice: the parts add up to the whole."""
    in_force, new = schedule(), schedule(steps=[{"name": "reminder-1", "delay": "11h"}], quiet_hours="21:00-08:00")
    schedules, groups, parts = PerShop(Schedules(in_force, new)), people(5, count=90), Comparison()
    whole, one = Simulation(schedules), Simulation(schedules)
    for number, group in enumerate(groups):
        whole.add(SHOP, group)
        one.add(SHOP, group)
        if number % 20 == 0:
            parts.add(one.take_result())
    parts.add(one.take_result())
    assert parts == whole.result
    assert whole.result == whole.result  # reading it changes nothing
    assert one.result.checkouts == 0


def test_a_moment_between_two_quiet_nights_is_not_shared():
    """Where mails are sent in five minutes of the day, the ends of a quarter say nothing of its middle."""
    five_minutes = schedule(quiet_hours="13:10-13:05", steps=[{"name": "one", "delay": "1h", "max_lateness": "3d"}])
    pieces = Pieces(five_minutes)
    times = [timedelta(minutes=each) for each in (2, 7, 13)]
    assert [sent(pieces.of(course(each))) for each in times] == [
        [("one", timedelta(hours=1, minutes=5))],
        [("one", timedelta(hours=1, minutes=7))],
        [("one", timedelta(days=1, hours=1, minutes=5))],
    ]


@pytest.mark.parametrize("quiet", ["", "21:00-08:00"])
def test_who_is_held_out_gets_no_reminder_at_all(quiet):
    """The address decides, and not the quarter of an hour; and the arm of the first reminder is that of all."""
    hold_out = Experiment("quiet", share=0.5, until=date(2026, 12, 31))
    experiments = Experiments(b"a key of an experiment, long enough", (hold_out,))
    plan = replace(schedule(quiet_hours=quiet), experiments=experiments)
    simulation = Simulation(PerShop(Schedules(plan, schedule(quiet_hours=quiet))))
    addresses = [f"customer{number}@example.com" for number in range(40)]
    for number, address in enumerate(addresses):
        facts = ADA.model_copy(update={"customer": ADA.customer.model_copy(update={"email": address})})
        simulation.add(SHOP, [course(id=f"{SHOP}/{number}", person=address, facts=facts)])
    held_out = sum(hold_out.arm(experiments.key, SHOP, each) is Arm.HELD_OUT for each in addresses)
    assert 5 < held_out < 35
    assert simulation.result.in_force.mails == {f"reminder-{step}": 40 - held_out for step in (1, 2, 3)}
    assert simulation.result.new.mails == {f"reminder-{step}": 40 for step in (1, 2, 3)}
