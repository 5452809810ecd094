"""Experiments between two schedules: when the arm is decided, which steps it has, and what changed settings do."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recovery.domain.checkout import Facts
from recovery.domain.decision import COMPARED, Rest, Send, Wait, decide, left, with_arms
from recovery.domain.experiments import HELD_OUT, Arm, Experiment, Experiments
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.outlook import outlook
from recovery.domain.schedule import CONFIRMATION
from recovery.domain.state import KeptConsent, Message, MessageState, Pause, Status
from recovery.engine.writes import claimed, completed, planned
from tests.support.builders import NOON, minutes, report, state
from tests.support.builders import schedule as usual_schedule

KEY = b"a key of some length"
LAST = date(2130, 1, 1)
LEFT = NOON - minutes(30)


def steps(**delays):
    """Steps of these names, each with its delay in minutes, and as useful as the usual ones."""
    usual = usual_schedule().steps[0]
    return tuple(
        replace(usual, name=name.replace("_", "-"), template=name.replace("_", "-"), delay=minutes(delay))
        for name, delay in delays.items()
    )


LATER = steps(reminder_1=120, reminder_2=2 * 24 * 60)
SOONER = steps(reminder_1=10, reminder_2=24 * 60)


def compared(b=LATER, name="later", **changes):
    return Experiment(name, 0.5, LAST, steps=b, **changes)


def schedule_with(*experiments, **changes):
    return replace(usual_schedule(**changes), experiments=Experiments(KEY, tuple(experiments)))


def person(arm, experiment):
    """An address in this arm."""
    return next(
        address
        for number in range(1000)
        if experiment.arm(KEY, "shop.example", address := f"p{number}@example.com") is arm  # type: ignore[arg-type]
    )


def left_by(address, **changes):
    """An open checkout whose first reminder is due at noon by the steps in force."""
    return state(**({"touched_at": LEFT, "facts": report(customer={"email": address}).facts()} | changes))


def test_an_arm_with_a_later_reminder_is_decided_when_the_first_would_be_due():
    """At 30 minutes a is sent its reminder, and b waits for its own; both have their arm from the same moment."""
    experiment = compared()
    schedule = schedule_with(experiment)
    sent = decide(left_by(person(Arm.A, experiment)), schedule, NOON)
    waits = decide(left_by(person(Arm.B, experiment)), schedule, NOON)
    assert isinstance(sent, Send)
    assert sent.due_at == NOON
    assert isinstance(waits, Wait)
    assert waits.until == LEFT + minutes(120)
    assert {each.assigned.arms for each in (sent, waits)} == {((experiment.id, "a"),), ((experiment.id, "b"),)}
    assert sent.assigned.at == waits.assigned.at == NOON


def test_an_arm_with_an_earlier_reminder_is_looked_at_then():
    """At 10 minutes b is sent its reminder, and a has its arm and waits for 30; nobody is decided before."""
    experiment = compared(SOONER)
    schedule = schedule_with(experiment)
    for arm in (Arm.A, Arm.B):
        checkout = left_by(person(arm, experiment))
        before = decide(checkout, schedule, LEFT)
        assert (before.until, before.reason, before.assigned) == (LEFT + minutes(10), COMPARED, None)
        at = decide(checkout, schedule, LEFT + minutes(10))
        assert at.assigned.arms == ((experiment.id, arm.value),)
        assert isinstance(at, Send) is (arm is Arm.B)
        if arm is Arm.A:
            assert (at.until, at.reason) == (NOON, "reminder-1 is due then")


def test_a_kept_arm_is_heeded_by_every_later_decision():
    """The steps of b, each at its time, to the end; and what is left and what lies ahead say the same."""
    experiment = compared()
    schedule = schedule_with(experiment)
    checkout = left_by(person(Arm.B, experiment), experiments={experiment.id: "b"})
    ahead = [(each.step, each.at) for each in outlook(checkout, schedule, None, NOON)]
    assert ahead == [("reminder-1", LEFT + minutes(120)), ("reminder-2", LEFT + timedelta(days=2))]
    assert left(checkout, schedule) == list(LATER)
    assert outlook(left_by(person(Arm.B, experiment)), schedule, None, LEFT) == outlook(checkout, schedule, None, LEFT)
    done = {step.name: Message(state=MessageState.SENT, sent_at=NOON) for step in LATER}
    assert isinstance(decide(checkout.model_copy(update={"messages": done}), schedule, NOON), Rest)


def test_an_arm_is_decided_once():
    """Neither another address, nor an experiment that begins in between, nor another day changes it while it waits."""
    experiment = compared()
    other = left_by(person(Arm.A, experiment), experiments={experiment.id: "b"})
    schedule = schedule_with(replace(experiment, until=date(2000, 1, 1)), Experiment("new", 0.5, LAST))
    for at, expected in ((NOON, Wait), (LEFT + minutes(120), Send)):
        decision = decide(other, schedule, at)
        assert isinstance(decision, expected)
        assert decision.assigned is None


def test_the_arms_of_an_experiment_that_is_gone_have_the_steps_in_force():
    """Taken out of the settings, or changed: what is not settled is due as for everybody, and nothing twice."""
    experiment = compared()
    kept = left_by("ada@example.com", experiments={experiment.id: "b"})
    changed = compared(steps(reminder_1=121))
    for schedule in (usual_schedule(), schedule_with(changed)):
        decision = decide(kept, schedule, NOON)
        assert isinstance(decision, Send)
        assert decision.step == usual_schedule().steps[0]
        sent = {"reminder-1": Message(state=MessageState.SENT, sent_at=NOON)}
        after = decide(kept.model_copy(update={"messages": sent}), schedule, NOON)
        assert (after.until, after.reason) == (LEFT + timedelta(days=1), "reminder-2 is due then")


def test_the_claim_decides_what_follows_the_send():
    """The record of the first reminder of b has the time of its second, though the arm was not stored before."""
    experiment = compared(SOONER[:1] + LATER[1:])
    schedule = schedule_with(experiment)
    checkout, at = left_by(person(Arm.B, experiment)), LEFT + minutes(10)
    request = claimed(checkout, decide(checkout, schedule, at), schedule, "token", "owner", at)
    assert request.checkout == with_arms(checkout, request.assigned) != checkout
    completion = completed(request, Outcome(OutcomeKind.SENT, "250 ok"), at, 0.0)
    assert completion.next_at == LEFT + timedelta(days=2)


def test_an_arm_is_written_though_nothing_else_changes():
    """A checkout that waits for the same time already is given its arm."""
    experiment = compared()
    schedule = schedule_with(experiment)
    checkout = left_by(person(Arm.B, experiment), next_at=LEFT + minutes(120))
    decision = decide(checkout, schedule, NOON)
    assert planned(checkout, decision, schedule, NOON).assigned == decision.assigned


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.ORDERED, "ordered_at": LEFT},
        {"status": Status.CANCELLED},
        {"paused": Pause(at=LEFT, reason="by olga")},
        {"consent": KeptConsent(given=False, basis="", at=LEFT, source="shop")},
        {"messages": {"reminder-1": Message(deferred_to=NOON)}},
        {"facts": Facts()},
    ],
)
def test_who_is_to_get_no_reminder_or_had_a_say_takes_no_part(changes):
    """An order, a cancellation, a pause, a refusal and an operator's act come first."""
    experiment = compared()
    decision = decide(left_by(person(Arm.B, experiment), **changes), schedule_with(experiment), NOON)
    assert decision.assigned is None
    assert decision == replace(decide(left_by(person(Arm.B, experiment), **changes), usual_schedule(), NOON))


def test_who_is_held_out_takes_part_in_no_comparison():
    """They are held out from the same moment, by the steps in force."""
    quiet, experiment = Experiment("quiet", 0.5, LAST), compared(SOONER)
    schedule = schedule_with(experiment, quiet)
    checkout = left_by(person(Arm.HELD_OUT, quiet))
    waits = decide(checkout, schedule, LEFT + minutes(10))
    assert (waits.until, waits.assigned.arms) == (NOON, ((quiet.id, "held out"),))
    kept = with_arms(checkout, waits.assigned)
    assert [(each.step, each.reason) for each in decide(kept, schedule, NOON).given_up] == [("reminder-1", HELD_OUT)]


def test_reminders_against_none_in_force():
    """A schedule without reminders can be compared with one that has some."""
    experiment = compared()
    schedule = replace(schedule_with(experiment), steps=())
    for arm, kind in ((Arm.A, Rest), (Arm.B, Send)):
        checkout = left_by(person(arm, experiment))
        assert decide(checkout, schedule, NOON).until == LEFT + minutes(120)
        decision = decide(checkout, schedule, LEFT + minutes(120))
        assert isinstance(decision, kind)
        assert decision.assigned.arms == ((experiment.id, arm.value),)


def test_another_template_is_heeded_in_either_schedule():
    """A comparison of templates goes on in both schedules, and all mails are known before the start."""
    words = Experiment("words", 0.5, LAST, templates=(("reminder-1", "short"),))
    experiment = compared(steps(reminder_1=120, last_word=600))
    schedule = schedule_with(experiment, words)
    arms = {experiment.id: "b", words.id: "b"}
    assert [(each.name, each.template) for each in schedule.messages_of(arms)] == [
        *(("reminder-1", "short"), ("last-word", "last-word")),
        ("confirmation", "confirmation"),
    ]
    kept = left_by("ada@example.com", experiments=arms)
    assert decide(kept, schedule, LEFT + minutes(120)).step.template == "short"
    assert {(each.template, each.delay) for each in schedule.mails} >= {
        *(("short", minutes(30)), ("short", minutes(120)), ("reminder-1", minutes(120)), ("last-word", minutes(600)))
    }


def test_other_steps_are_another_experiment_and_known_ids_stay():
    """The stored name changes with every part of a step; those of hold-outs and templates are as they were."""
    one = compared(LATER[:1])
    changes = (
        {"delay": minutes(121)},
        {"template": "x"},
        {"subject": "x"},
        {"coupon": "X"},
        {"max_lateness": minutes(1)},
    )
    others = [compared((replace(LATER[0], **each),)) for each in changes]
    assert len({one.id, compared(LATER).id, compared(LATER, name="other").id, *(each.id for each in others)}) == 8
    assert Experiment("quiet", 0.1, LAST).id == "quiet-04702d0e"
    assert compared(LATER[:1], since=date(2020, 1, 1), shops=frozenset({"a"})).id == one.id


def test_a_claim_under_way_comes_first():
    """While a message is being sent nothing is decided."""
    experiment = compared()
    claim = {"token": "t", "owner": "o", "until": NOON + minutes(1)}
    checkout = state(**(left_by(person(Arm.B, experiment)).model_dump() | {"claim": claim}))
    assert decide(checkout, schedule_with(experiment), NOON).assigned is None


_SETTINGS = [
    usual_schedule(),
    schedule_with(compared()),
    schedule_with(compared(SOONER)),
    schedule_with(compared(steps(reminder_2=60, last_word=300)), Experiment("quiet", 0.3, LAST)),
    schedule_with(replace(compared(), until=date(2126, 3, 4))),
    replace(schedule_with(compared(SOONER)), steps=LATER),
]
_EVENTS = some.lists(
    some.tuples(
        some.sampled_from(_SETTINGS), some.integers(0, 40 * 60), some.sampled_from(["look", "look", "touch", "order"])
    ),
    max_size=12,
)


@given(address=some.integers(0, 30), events=_EVENTS)
def test_settings_that_change_at_any_time_mail_no_step_twice_and_lose_nobody(address, events):
    """Whatever comes when: each step is sent once at most, an arm never changes, and every checkout comes to rest."""
    checkout, now = left_by(f"p{address}@example.com", touched_at=NOON), NOON
    sent, arms = [], {}
    for schedule, later, what in [*events, *[(events[-1][0] if events else _SETTINGS[1], 24 * 60, "look")] * 8]:
        now += minutes(later)
        if what == "touch" and checkout.status is not Status.ORDERED:
            checkout = checkout.model_copy(update={"touched_at": now, "status": Status.OPEN})
        if what == "order" and checkout.status is not Status.ORDERED:
            checkout = checkout.model_copy(update={"status": Status.ORDERED, "ordered_at": now})
        for _ in range(10):
            decision = decide(checkout, schedule, now)
            checkout = with_arms(checkout, decision.assigned)
            assert checkout.experiments.items() >= arms.items()
            assert not arms or checkout.experiments == arms
            arms = checkout.experiments
            done = {each.step: Message(state=MessageState.SKIPPED) for each in decision.given_up}
            if isinstance(decision, Send):
                sent.append(decision.step.name)
                done[decision.step.name] = Message(state=MessageState.SENT, sent_at=now)
                assert HELD_OUT not in arms.values() or decision.step.name == CONFIRMATION
            if isinstance(decision, Wait):
                assert decision.until > now
            if not done:
                break
            checkout = checkout.model_copy(update={"messages": {**checkout.messages, **done}})
        else:
            pytest.fail("it is never done")
    assert len(sent) == len(set(sent))
    assert isinstance(decision, Rest)
