"""Experiments: who is held out, when that is decided, and what it changes."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from recovery.domain.decision import Send, Wait, decide, with_arms
from recovery.domain.experiments import HELD_OUT, Arm, Experiment, Experiments
from recovery.domain.state import Message, MessageState, Status
from recovery.domain.statistics import rate_difference, sample_ratio_p
from tests.support.builders import NOON, minutes, report, state
from tests.support.builders import schedule as usual_schedule

KEY = b"a key of some length"
LAST = date(2130, 1, 1)


def hold_out(share=0.5, **changes):
    return Experiment("quiet", share, LAST, **changes)


def schedule_with(*experiments, **changes):
    return replace(usual_schedule(), experiments=Experiments(KEY, tuple(experiments), **changes))


def person(arm, experiment, shop="shop.example"):
    """An address in this arm."""
    return next(
        address
        for number in range(1000)
        if experiment.arm(KEY, shop, address := f"p{number}@example.com") is arm  # type: ignore[arg-type]
    )


def left_by(address, **changes):
    """An open checkout whose first reminder is due at noon."""
    facts = report(customer={"email": address}).facts()
    return state(**({"touched_at": NOON - minutes(30), "facts": facts} | changes))


def test_a_held_out_checkout_gets_no_reminder_and_says_so():
    """Its reminder is skipped with the reason, and the arm is stored with that."""
    experiment = hold_out()
    schedule = schedule_with(experiment)
    checkout = left_by(person(Arm.HELD_OUT, experiment))
    decision = decide(checkout, schedule, NOON)
    assert isinstance(decision, Wait)
    assert [(each.step, each.reason, each.state) for each in decision.given_up] == [
        ("reminder-1", HELD_OUT, MessageState.SKIPPED)
    ]
    assert decision.assigned.arms == ((experiment.id, "held out"),)
    assert decision.assigned.at == NOON


def test_a_reminded_checkout_is_sent_with_its_arm():
    """The arm is stored with the claim: both arms begin at the moment that the first reminder is due."""
    experiment = hold_out()
    decision = decide(left_by(person(Arm.REMINDED, experiment)), schedule_with(experiment), NOON)
    assert isinstance(decision, Send)
    assert decision.assigned.arms == ((experiment.id, "reminded"),)


def test_a_held_out_checkout_stays_so_and_its_order_is_confirmed():
    """All later reminders are skipped, also after the end of the experiment; a confirmation is no reminder."""
    experiment = hold_out()
    schedule = schedule_with(experiment)
    checkout = left_by(person(Arm.HELD_OUT, experiment))
    kept = with_arms(checkout, decide(checkout, schedule, NOON).assigned)
    kept = kept.model_copy(update={"messages": {"reminder-1": Message(state=MessageState.SKIPPED, reason=HELD_OUT)}})
    later = decide(kept, schedule_with(replace(experiment, until=date(2126, 3, 5))), NOON + timedelta(days=1))
    assert [each.reason for each in later.given_up] == [HELD_OUT]
    assert later.assigned is None
    ordered = kept.model_copy(update={"status": Status.ORDERED, "ordered_at": NOON})
    assert decide(ordered, schedule, NOON).step.name == "confirmation"


def test_before_its_reminder_is_due_nothing_is_decided():
    """Who orders within half an hour takes part in nothing."""
    experiment = hold_out()
    checkout = left_by(person(Arm.HELD_OUT, experiment))
    assert decide(checkout, schedule_with(experiment), NOON - minutes(1)).assigned is None
    refused = checkout.model_copy(update={"consent": None})
    strict = replace(schedule_with(experiment), require_consent=True)
    assert decide(refused, strict, NOON).assigned is None


def test_a_checkout_that_had_a_mail_takes_part_in_nothing_new():
    """An experiment that begins in between does not take it."""
    experiment = hold_out()
    sent = {"reminder-1": {"state": "sent", "sent_at": NOON - timedelta(days=1)}}
    checkout = state(
        facts=left_by(person(Arm.HELD_OUT, experiment)).facts, touched_at=NOON - timedelta(days=1), messages=sent
    )
    decision = decide(checkout, schedule_with(experiment), NOON)
    assert isinstance(decision, Send)
    assert decision.assigned is None


@pytest.mark.parametrize(
    "changes",
    [
        {"since": date(2126, 3, 6)},
        {"until": date(2126, 3, 4)},
        {"shops": frozenset({"other.example"})},
    ],
)
def test_an_experiment_has_its_days_and_shops(changes):
    """Outside of them every checkout is reminded as usual."""
    experiment = replace(hold_out(), **changes)
    decision = decide(left_by(person(Arm.HELD_OUT, experiment)), schedule_with(experiment), NOON)
    assert isinstance(decision, Send)
    assert decision.assigned is None
    on_its_days = replace(experiment, since=date(2126, 3, 5), until=date(2126, 3, 5), shops=frozenset())
    assert decide(left_by("ada@example.com"), schedule_with(on_its_days), NOON).assigned is not None


def test_test_recipients_take_part_in_nothing():
    """Neither an address of the shop's own, nor one of its domain."""
    experiment = hold_out()
    address = person(Arm.HELD_OUT, experiment)
    for own in (address, "@example.com"):
        decision = decide(left_by(address), schedule_with(experiment, left_out=frozenset({own})), NOON)
        assert decision.assigned is None


def test_the_second_template_is_that_of_its_arm():
    """Arm b has the other template in the step that has one; a has its own."""
    experiment = Experiment("words", 0.5, LAST, templates=(("reminder-1", "short"),))
    schedule = schedule_with(experiment)
    for arm, template in ((Arm.A, "reminder-1"), (Arm.B, "short")):
        decision = decide(left_by(person(arm, experiment)), schedule, NOON)
        assert (decision.step.name, decision.step.template) == ("reminder-1", template)
        assert decision.assigned.arms == ((experiment.id, arm.value),)
    assert [each.template for each in schedule.mails][-1] == "short"


def test_who_is_held_out_takes_part_in_nothing_else():
    """A held-out checkout would count as one of the other experiment that got no mail."""
    words, quiet = Experiment("words", 0.5, LAST, templates=(("reminder-1", "short"),)), hold_out()
    schedule = schedule_with(words, quiet)
    held = decide(left_by(person(Arm.HELD_OUT, quiet)), schedule, NOON)
    assert held.assigned.arms == ((quiet.id, "held out"),)
    reminded = decide(left_by(person(Arm.REMINDED, quiet)), schedule, NOON)
    assert {name for name, _ in reminded.assigned.arms} == {words.id, quiet.id}


def test_another_definition_is_another_experiment():
    """The stored name changes with the share, the kind and the templates, and not with days or shops."""
    one = hold_out(0.1)
    assert one.id.startswith("quiet-")
    assert one.id == Experiment("quiet", 0.1, date(2031, 2, 3), date(2020, 1, 1), frozenset({"a"})).id
    others = [hold_out(0.2), replace(one, templates=(("reminder-1", "x"),)), replace(one, templates=(("x", "x"),))]
    assert len({one.id, *(each.id for each in others)}) == 4


def test_the_arms_of_an_experiment_that_is_gone_count_no_more():
    """Taken out of the settings, nobody is held out any longer."""
    kept = left_by("ada@example.com", experiments={"quiet-12345678": "held out"})
    assert isinstance(decide(kept, schedule_with(hold_out(0.0001)), NOON), Send)


def test_the_assignment_is_the_same_for_ever():
    """It depends on the key, the experiment, the shop and the address alone: pinned, as restarts must not move it."""
    experiment = Experiment("quiet", 0.1, LAST)
    people = [f"person-{number}@example.com" for number in range(200)]
    held = [number for number, each in enumerate(people) if experiment.arm(KEY, "shop.example", each) is Arm.HELD_OUT]
    assert (experiment.id, held[:5]) == ("quiet-04702d0e", [0, 5, 13, 16, 21])


def test_the_assignment_is_uniform():
    """Of 100,000 people the share is held out, and no more or less in one shop or experiment than in another."""
    for share in (0.05, 0.5):
        experiment = hold_out(share)
        held = Counter(experiment.arm(KEY, "shop.example", f"p{number}@example.com") for number in range(100_000))
        assert sample_ratio_p(held[Arm.HELD_OUT], held[Arm.REMINDED], share) > 0.001
    first, second = hold_out(), Experiment("loud", 0.5, LAST)
    pairs = Counter(
        (first.arm(KEY, "shop.example", each), second.arm(KEY, "shop.example", each))
        for each in (f"p{number}@example.com" for number in range(20_000))
    )
    assert len(pairs) == 4
    assert all(abs(count - 5000) < 300 for count in pairs.values())


def test_experiments_without_an_effect_show_one_as_often_as_chance_does():
    """1,000 A/A experiments through the real assignment: 4 to 6 % of the intervals leave out zero."""
    random = Random(15)
    people = [left_by(f"p{number}@example.com") for number in range(120)]
    false = 0
    for number in range(1000):
        experiments = Experiments(KEY, (Experiment(f"aa-{number}", 0.5, LAST),))
        counts = Counter()
        for checkout in people:
            held = experiments.hold_out(dict(experiments.assigned(checkout, NOON).arms))
            counts[held, random.random() < 0.3] += 1
        reminded, held = counts[False, True] + counts[False, False], counts[True, True] + counts[True, False]
        false += rate_difference(counts[False, True], reminded, counts[True, True], held).shows_difference
    assert 40 <= false <= 60
