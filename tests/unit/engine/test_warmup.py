"""Warm-up: confirmations go, reminders wait where no more are allowed today, and complaints halt it."""

from datetime import date, datetime, timedelta

import pytest

from recovery.domain.recipient import Postpone
from recovery.domain.state import MessageState, Status
from recovery.domain.warmup import LONGEST_WAIT, Warmup
from recovery.engine.engine import WARMING_UP
from recovery.engine.ports import Grant, PastDay
from recovery.errors import Unavailable
from tests.support.builders import NOON, minutes, schedule, state, step
from tests.support.engine_in_memory import DUE, EngineInMemory

WARMUP = Warmup(NOON.date(), 10, 1.5, 1000, 0.003)
A_DAY = timedelta(days=1)


class Counted:
    """An allowance that counts for a warm-up alone, for ever; and its records."""

    def __init__(self, sent=0, wait=3600.0, rate=10**6):
        self.sent = sent
        self.wait = wait
        self.rate = rate
        self.takes = []
        self.complaints = 0
        self.halted = set()
        self.asked = 0
        self.unavailable = False

    async def take(self, wanted, *, urgent=0, limit=None):
        self.takes.append((wanted, urgent, limit))
        warm = wanted if limit is None else min(wanted, max(limit - self.sent, urgent))
        count = min(warm, self.rate)
        self.sent += count
        self.rate -= count
        return Grant(count, 60.0 if count < warm else 0.0, wanted - warm, self.wait)

    async def since(self, at: datetime):
        self.asked += 1
        if self.unavailable:
            raise Unavailable("no primary")
        return PastDay(self.sent, self.complaints, frozenset(self.halted))

    async def halt(self, day: date):
        self.halted.add(day)


def warming(*states, counted, warmup=WARMUP, **engine):
    return EngineInMemory(*states, allowance=counted, warmup=(warmup, counted), **engine)


def reminders(count):
    return [state(f"r{number}") for number in range(count)]


def confirmations(count):
    ordered = {"status": Status.ORDERED, "ordered_at": DUE - minutes(1), "confirm": True, "next_at": DUE}
    return [state(f"c{number}", **ordered) for number in range(count)]


def sent(scene):
    return sorted(
        name
        for kept in scene.store.kept.values()
        for name, message in kept.messages.items()
        if message.state is MessageState.SENT
    )


async def test_confirmations_go_and_reminders_take_what_they_leave():
    """Also behind reminders in a batch. What waits is looked at once, is not claimed, and is no attempt."""
    counted = Counted(wait=3600.0)
    before, after = reminders(100)[:60], reminders(100)[60:]
    scene = warming(*before, *confirmations(5), *after, counted=counted)
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert sent(scene) == ["confirmation"] * 5 + ["reminder-1"] * 5
        waiting = [kept for kept in scene.store.kept.values() if kept.next_at and kept.next_at > DUE]
        held = [kept for kept in waiting if "reminder-1" not in kept.messages]
        assert len(held) == 95
        assert {(kept.claim, kept.next_at - DUE) for kept in held} == {(None, timedelta(hours=1))}
        assert scene.store.letters == []
        assert scene.store.due() == []
        assert not scene.engine.behind.is_set()
        assert sum(count for _, count in scene.witness.looks) == 105
        assert scene.witness.held == [("reminder-1", Postpone(DUE + timedelta(hours=1), WARMING_UP))] * 95
        assert scene.engine.sender.in_flight == 0


async def test_confirmations_go_where_nothing_is_left():
    counted = Counted(sent=10)
    scene = warming(*reminders(3), *confirmations(4), counted=counted)
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert sent(scene) == ["confirmation"] * 4
        assert counted.sent == 14
        assert scene.engine.sender.room() > 0


async def test_what_waits_is_sent_when_there_is_more():
    counted = Counted(sent=10)
    scene = warming(*reminders(3), counted=counted)
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert sent(scene) == []
        scene.clock.time, counted.sent = DUE + minutes(60), 0
        await scene.look_until_quiet()
        assert sent(scene) == ["reminder-1"] * 3


async def test_what_waits_too_long_is_skipped_and_not_dead():
    """It is late from its own due time on: nobody wants a reminder of last week."""
    counted = Counted(sent=10**6, wait=LONGEST_WAIT.total_seconds())
    plan = schedule(steps=(step("reminder-1", minutes(30), timedelta(hours=6)),))
    scene = warming(*reminders(4), counted=counted, plan=plan)
    async with scene.running():
        for hours in range(0, 16, 4):
            scene.clock.time = DUE + timedelta(hours=hours)
            await scene.look_until_quiet()
        assert {kept.messages["reminder-1"].state for kept in scene.store.kept.values()} == {MessageState.SKIPPED}
        assert scene.store.letters == []
        assert sum(wanted for wanted, _, _ in counted.takes) == 8  # at noon:30 and four hours later


async def test_the_history_tells_once_that_a_message_waits():
    """It is bounded, and the rest of it is of more use."""
    counted = Counted(sent=10**6)
    scene = warming(state(), counted=counted, plan=schedule(steps=(step("reminder-1", minutes(30), A_DAY),)))
    async with scene.running():
        for hours in range(4):
            scene.clock.time = DUE + timedelta(hours=hours)
            await scene.look_until_quiet()
        assert len(counted.takes) == 4
        assert [past.reason for past in scene.only.history] == [WARMING_UP]


async def test_a_rate_beside_it_leaves_the_rest_due():
    """What only the rate holds back stays due, and waits for the rate; the others wait for the warm-up."""
    counted = Counted(rate=4)
    scene = warming(*reminders(20), counted=counted)
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert len(sent(scene)) == 4
        assert len(scene.store.due()) == 6
        assert scene.engine.sender.room() == 0


async def test_what_cannot_be_put_off_stays_due_and_the_others_go():
    counted = Counted(sent=8)
    scene = warming(*reminders(5), counted=counted)
    async with scene.running():
        scene.clock.time = DUE
        take = counted.take

        async def then_the_database_is_away(*args, **named):
            scene.store.unavailable = 1
            return await take(*args, **named)

        counted.take = then_the_database_is_away
        await scene.look()
        assert len(sent(scene)) == 2
        assert len(scene.store.due()) == 3
        assert scene.engine.behind.is_set()
        assert scene.engine.sender.in_flight == 0


async def test_a_fault_in_putting_off_leaves_no_room_taken():
    counted = Counted(sent=8)
    scene = warming(*reminders(5), counted=counted)

    async def fails(plans):
        raise RuntimeError("a fault of ours")

    scene.store.plan = fails
    async with scene.running():
        scene.clock.time = DUE
        with pytest.raises(RuntimeError):
            await scene.look()
        assert scene.engine.sender.in_flight == 0
        assert len(scene.store.due()) == 5


async def test_a_message_whose_sender_died_keeps_its_doubt():
    """Putting it off must not forget that the relay may have it."""
    begun = {"reminder-1": {"state": "sending", "attempts": 1}}
    claim = {"token": "t", "owner": "dead", "until": DUE - minutes(1)}
    scene = warming(state(messages=begun, claim=claim, next_at=DUE), counted=Counted(sent=10))
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        message = scene.only.messages["reminder-1"]
        assert (message.may_be_taken, message.attempts) == (True, 1)
        assert scene.only.claim is None
        assert scene.only.next_at > DUE


async def test_complaints_halt_reminders_and_nothing_else():
    counted = Counted(sent=900)
    counted.complaints = 3
    scene = warming(
        *reminders(3), *confirmations(2), counted=counted, warmup=Warmup(NOON.date(), 1000, 1.5, 5000, 0.003)
    )
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert sent(scene) == ["confirmation"] * 2
        assert scene.engine.sender.warmup.limit == 0
        assert scene.engine.sender.warmup.fault.startswith("3 complaints about 900 messages in 24 hours, above 0.3%")
        assert scene.witness.halts == [scene.engine.sender.warmup.fault]
        assert counted.halted == {NOON.date()}


async def test_it_goes_on_when_complaints_are_fewer_and_has_not_grown_meanwhile():
    counted = Counted()
    counted.complaints = 3
    scene = warming(counted=counted)
    watch = scene.engine.sender.warmup
    now = 0.0
    scene.monotonic = lambda: now
    limits = []
    for complaints in (0, 3, 3, 0, 0):
        counted.complaints = complaints
        limits.append(await watch.today())
        scene.clock.time += A_DAY
        now += 86_400.0
    assert limits == [10, 0, 0, 15, 22]
    assert [fault is None for fault in scene.witness.halts] == [False, True]
    assert scene.witness.days == [(1, 10), (2, 15), (2, 15), (2, 15), (3, 22)]


async def test_the_database_is_asked_at_most_once_a_minute():
    counted = Counted()
    scene = warming(counted=counted)
    now = 0.0
    scene.monotonic = lambda: now
    for _ in range(120):
        await scene.engine.sender.warmup.today()
        now += 1.0
    assert counted.asked == 2


async def test_it_is_asked_again_at_once_after_a_failure():
    counted = Counted()
    scene = warming(counted=counted)
    counted.unavailable = True
    with pytest.raises(Unavailable):
        await scene.engine.sender.warmup.today()
    counted.unavailable = False
    assert await scene.engine.sender.warmup.today() == 10


async def test_when_it_is_over_nothing_is_limited_and_nobody_asks():
    """Whatever the complaints: it is about new addresses."""
    counted = Counted(sent=10**6)
    counted.complaints = 10**5
    scene = warming(*reminders(50), counted=counted)
    scene.clock.time = NOON + 60 * A_DAY
    watch = scene.engine.sender.warmup
    now = 0.0
    scene.monotonic = lambda: now
    for _ in range(5):
        assert await watch.today() is None
        now += 3600.0
    assert counted.asked == 1
    assert scene.witness.days == [(61, None)]
    assert scene.witness.halts == []


async def test_days_on_which_it_halted_are_known_after_a_restart():
    """By the calendar it would be over."""
    counted = Counted()
    counted.halted = {NOON.date() + number * A_DAY for number in range(20)}
    scene = warming(counted=counted)
    scene.clock.time = NOON + 20 * A_DAY
    assert await scene.engine.sender.warmup.today() == 10
