"""Simulations of schedules with experiments: each person by the steps of their arm, and the arms counted."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from recovery.domain.checkout import Customer, Facts
from recovery.domain.experiments import Experiment, Experiments
from recovery.domain.per_shop import PerShop
from recovery.domain.simulation import Course, Schedules, Simulation, replay
from recovery.domain.simulation.arms import Arms
from recovery.domain.simulation.drawn import drawn
from tests.support.builders import schedule

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
SHOP = "shop.example"
USUAL = schedule()
LATER = Experiment(
    "later", 0.5, date(2030, 1, 1), steps=tuple(replace(step, delay=4 * step.delay) for step in USUAL.steps[:2])
)
QUIET = Experiment("quiet", 0.3, date(2030, 1, 1))
WORDS = Experiment("words", 0.5, date(2030, 1, 1), templates=(("reminder-1", "short"),))


def with_(*experiments, **changes):
    return replace(USUAL, experiments=Experiments(b"a key", experiments, **changes))


def people(count):
    """Return the checkouts of so many people, two each, of which every third is ordered after an hour."""
    for number in range(count):
        address = f"p{number}@example.com"
        facts = Facts(customer=Customer(email=address))
        yield [
            Course(
                f"{SHOP}/{number}-{each}",
                address,
                left_at := NOON + timedelta(days=each * 20, seconds=number),
                left_at,
                facts,
                ordered_at=left_at + timedelta(hours=1) if number % 3 == each else None,
            )
            for each in (0, 1)
        ]


def simulated(in_force, new, groups):
    simulation = Simulation(PerShop(Schedules(in_force, new)))
    for group in groups:
        simulation.add(SHOP, group)
    return simulation.result


def test_each_person_is_replayed_by_the_steps_of_their_arm():
    """The same mails as by the daemon's own way, in which the arm is decided when the first reminder is due."""
    found = with_(LATER, QUIET)
    mails, skipped = Counter(), Counter()
    for group in people(60):
        for entries in replay(group, found):
            mails.update(entry.step for entry in entries if entry.reason is None)
            skipped.update((entry.step, entry.reason) for entry in entries if entry.reason is not None)
    compared = simulated(found, USUAL, people(60))
    assert (compared.in_force.mails, compared.in_force.skipped) == (mails, skipped)
    assert {reason for _, reason in skipped} == {"held out"}
    assert compared.same < compared.checkouts
    assert compared.changed
    assert compared.new == simulated(USUAL, USUAL, people(60)).new


def test_the_arms_are_counted_with_their_reminders():
    """Each checkout counts in the arm of its person; who is held out counts in no other and gets none."""
    compared = simulated(USUAL, with_(LATER, QUIET), people(60))
    arms = with_(LATER, QUIET).experiments
    expected = Counter(arm for n in range(60) for arm in arms.arms(SHOP, f"p{n}@example.com").items() for _ in (0, 1))
    assert compared.new.arms == expected
    assert set(expected) == {(QUIET.id, "held out"), (QUIET.id, "reminded"), (LATER.id, "a"), (LATER.id, "b")}
    assert compared.new.arm_reminders[QUIET.id, "held out"] == 0
    assert compared.new.arm_reminders[QUIET.id, "reminded"] == compared.new.reminders
    by_arm = [compared.new.arm_reminders[LATER.id, arm] / compared.new.arms[LATER.id, arm] for arm in "ab"]
    assert by_arm[0] > by_arm[1] > 0
    assert compared.in_force.arms == {}


def test_another_template_changes_no_time_and_is_counted():
    """Both arms of a comparison of templates are the same schedule."""
    compared = simulated(USUAL, with_(WORDS), people(30))
    assert compared.same == compared.checkouts
    assert sum(compared.new.arms.values()) == compared.checkouts
    arms = Arms(with_(WORDS), SHOP)
    assert arms.schedule({WORDS.id: "a"}) is arms.schedule({WORDS.id: "b"})


def test_an_experiment_counts_whatever_its_days_and_only_at_its_shops():
    """What is tried need not have begun; of two hold-outs that follow each other the later one counts."""
    before, after = replace(QUIET, name="one", until=date(2020, 1, 1)), replace(QUIET, since=date(2029, 1, 1))
    found = with_(
        after, before, replace(LATER, shops=frozenset({"other.example"})), left_out=frozenset({"@own.example"})
    )
    assert {id_ for n in range(9) for id_ in found.experiments.arms(SHOP, f"p{n}@a.example")} == {QUIET.id}
    assert found.experiments.arms(SHOP, "p1@own.example") == {}
    assert Arms(found, SHOP).of(None) == {}


def test_a_drawn_population_has_people_in_both_arms():
    """Checkouts of one person are in the same arm; those of different people need not be."""
    groups = list(drawn(400, 1, NOON, NOON + timedelta(days=3), "UTC"))
    assert all(len({each.person for each in group}) == 1 for group in groups)
    assert len({group[0].person for group in groups}) == len(groups)
    compared = simulated(USUAL, with_(LATER), groups)
    assert sum(compared.new.arms.values()) == 400
    assert 150 < compared.new.arms[LATER.id, "b"] < 250
    whole = compared.new.arm_reminders
    assert sum(whole.values()) == compared.new.reminders


def test_a_difference_is_by_the_steps_of_the_arm():
    """A step that the arm of a person has not is no such step for them."""
    found = with_(LATER)
    group = next(each for each in people(30) if found.experiments.arms(SHOP, each[0].person)[LATER.id] == "b")
    [difference] = simulated(USUAL, found, [[replace(group[0], ordered_at=None)]]).different
    fates = {step: (old.at, new.at, new.why) for step, old, new in difference.fates}
    assert fates["reminder-3"] == (group[0].left_at + timedelta(days=3), None, "no such step")
    assert fates["reminder-1"][1] == group[0].left_at + timedelta(hours=2)


def test_the_longest_delay_is_that_of_any_arm():
    """A checkout is too young while a reminder of either schedule of an experiment could come."""
    slow = replace(LATER, steps=(replace(USUAL.steps[0], delay=timedelta(days=9)),))
    assert Schedules(USUAL, with_(slow)).longest == timedelta(days=10)
