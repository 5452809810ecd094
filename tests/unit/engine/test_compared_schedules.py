"""The engine with two schedules: the arm is kept whatever holds a message back, and a dead sender changes nothing."""

from dataclasses import replace
from datetime import date, timedelta

from recovery.domain.experiments import Arm, Experiment, Experiments
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.state import MessageState
from recovery.domain.warmup import Warmup
from tests.support.builders import NOON, minutes, report, schedule, state
from tests.support.engine_in_memory import DUE, EngineInMemory
from tests.unit.engine.test_warmup import Counted

USUAL = schedule()
LATER = Experiment(
    "later", 0.5, date(2130, 1, 1), steps=tuple(replace(step, delay=4 * step.delay) for step in USUAL.steps[:2])
)
KEY = b"a key of some length"
COMPARED = replace(USUAL, experiments=Experiments(KEY, (LATER,)))


def arm_of(kept):
    return LATER.arm(KEY, "shop.example", kept.facts.customer.address)


def people(count, domain="example.com"):
    return [state(str(n), facts=report(customer={"email": f"p{n}@{domain}"}).facts()) for n in range(count)]


async def test_each_arm_goes_on_by_its_own_delays():
    """After the first look all have their arm; each next alarm is that of the arm's own schedule."""
    scene = EngineInMemory(*people(30), plan=COMPARED)
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        for kept in scene.store.kept.values():
            assert kept.experiments == {LATER.id: arm_of(kept).value}
            after = {Arm.A: timedelta(days=1), Arm.B: minutes(120)}[arm_of(kept)]
            assert kept.next_at == scene.store.alarms[kept.id] == NOON + after
        scene.clock.time = NOON + minutes(120)
        await scene.look()
        sent = {kept.messages["reminder-1"].state for kept in scene.store.kept.values()}
        assert sent == {MessageState.SENT}
        assert {kept.next_at - NOON for kept in scene.store.kept.values() if arm_of(kept) is Arm.B} == {
            timedelta(days=4)
        }


async def test_what_a_warm_up_puts_off_has_its_arm():
    """Both arms count from the same moment: one whose reminder may not go today has its arm like one that waits."""
    scene = EngineInMemory(
        *people(20),
        plan=COMPARED,
        allowance=(counted := Counted(sent=10)),
        warmup=(Warmup(NOON.date(), 10, 1.5, 1000, 0.003), counted),
    )
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        for kept in scene.store.kept.values():
            assert not kept.messages
            assert kept.experiments == {LATER.id: arm_of(kept).value}


async def test_what_waits_for_its_turn_at_a_slowed_receiver_has_its_arm():
    """The arm is written with the turn, as the other one is with its own waiting."""
    scene = EngineInMemory(*people(40, "gmail.com"), plan=COMPARED)
    scene.monotonic = lambda: 0.0
    governor = scene.engine.sender.governor
    throttled = Outcome(
        OutcomeKind.THROTTLED, "421 4.7.28 Our system has detected an unusual rate of mail - gsmtp", to_recipient=True
    )
    async with scene.running():
        scene.clock.time = DUE
        for each in range(5):
            governor.tell(f"x{each}", governor.of("a@gmail.com"), throttled, 0.0, DUE)
        assert governor.slows
        await scene.look()
        waiting = [kept for kept in scene.store.kept.values() if not kept.messages]
        assert sum(arm_of(kept) is Arm.A for kept in waiting) > 5
        for kept in waiting:
            assert kept.experiments == {LATER.id: arm_of(kept).value}
