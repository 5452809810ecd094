"""Messages to a receiver that is slowed wait for their turns; those to all others are sent at once."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

from recovery import Customer
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.state import MessageState, Status
from tests.support.builders import report, state
from tests.support.engine_in_memory import DUE, EngineInMemory
from tests.support.ports_in_memory import Relay

FLOODED = "421 4.7.28 Our system has detected an unusual rate of mail - gsmtp"
BLOCKED = "550 5.7.1 Our system has detected that this message is likely unsolicited mail - gsmtp"


def checkouts(count, domain, **changes):
    found = []
    for number in range(count):
        id_ = f"{domain}-{number}"
        facts = report(id_, customer=Customer(email=f"c{number}@{domain}", name="Ada")).facts()
        found.append(state(id_, **({"facts": facts, "next_at": DUE} | changes)))
    return found


class Picky(Relay):
    """A relay that passes on what Google says: so many messages in each second, by the scene's clock."""

    def __init__(self, scene, kind=OutcomeKind.THROTTLED, reply=FLOODED, a_second=0):
        super().__init__()
        self.scene, self.kind, self.reply, self.a_second = scene, kind, reply, a_second
        self.tries = Counter()
        self.taken_in = Counter()

    async def send(self, checkout, step, *, hand_over_within, permission):
        self.tries[checkout.id] += 1
        if checkout.facts.customer.email.endswith("@gmail.com"):
            second = int(self.scene.now)
            if self.taken_in[second] >= self.a_second:
                return Outcome(self.kind, self.reply, to_recipient=True)
            self.taken_in[second] += 1
        return await super().send(checkout, step, hand_over_within=hand_over_within, permission=permission)


class Scene(EngineInMemory):
    """An engine whose clocks are set together: `now` is in seconds since the messages were due."""

    def __init__(self, *states, **relay):
        super().__init__(*states)
        self.relay = self.engine.sender._mailer = Picky(self, **relay)
        self.monotonic = lambda: self.now
        self.plans = Counter()
        plan, self.store.plan = self.store.plan, self.counted
        self._plan = plan
        self.go_to(0.0)

    async def counted(self, plans):
        self.plans.update(each.seen.id for each in plans)
        return await self._plan(plans)

    def go_to(self, now):
        self.now = now
        self.clock.time = DUE + timedelta(seconds=now)

    async def look_at_due(self):
        for _ in range(20):
            if not (due := self.store.due()):
                return
            await self.look(*due)

    async def run(self, seconds, step=0.25):
        until = self.now + seconds
        while self.now < until:
            await self.look_at_due()
            self.go_to(self.now + step)

    def sent(self, domain):
        return [id_ for id_, _ in self.relay.taken if id_.startswith(f"shop.example/{domain}")]

    def message(self, id_):
        return self.store.kept[f"shop.example/{id_}"].messages["reminder-1"]


async def test_others_are_sent_at_once_while_one_is_slowed_and_nothing_is_asked_in_a_hot_loop():
    scene = Scene(*checkouts(200, "gmail.com"), *checkouts(200, "lamps.example"))
    async with scene.running():
        await scene.run(10)
        assert len(scene.sent("lamps.example")) == 200
        assert scene.sent("gmail.com") == []
        assert scene.engine.sender.paced_rate is None
        assert scene.engine.sender.breaker.fault is None
        refused = sum(scene.relay.tries.values()) - 200
        await scene.run(60)
        assert sum(scene.relay.tries.values()) - 200 - refused <= 60 * 0.3


async def test_all_are_delivered_once_and_none_is_dead():
    scene = Scene(*checkouts(150, "gmail.com"), *checkouts(50, "lamps.example"), a_second=2)
    async with scene.running():
        await scene.run(600)
        assert sorted(scene.sent("gmail.com")) == sorted(set(scene.sent("gmail.com")))
        assert len(scene.sent("gmail.com")) == 150
        assert scene.store.letters == []
        assert all(scene.message(f"gmail.com-{number}").attempts == 1 for number in range(150))


async def test_a_message_that_waits_is_written_once_for_its_turn():
    scene = Scene(*checkouts(40, "gmail.com"), a_second=1)
    async with scene.running():
        governor = scene.engine.sender.governor
        await scene.look(*[f"shop.example/gmail.com-{number}" for number in range(5)])
        assert governor.slows
        scene.plans.clear()
        await scene.look_at_due()
        assert set(scene.plans.values()) == {1}
        assert scene.store.due() == []
        waits = [kept for kept in scene.store.kept.values() if kept.next_at > scene.clock.time]
        assert {kept.next_at for kept in waits} <= set(scene.store.alarms.values())
        # Looked at early, it keeps its turn, and nothing is written.
        scene.plans.clear()
        postponed = [kept.id for kept in waits if "reminder-1" not in kept.messages]
        before = {id_: scene.store.kept[id_] for id_ in postponed}
        await scene.look(*postponed)
        assert scene.plans == {}
        assert {id_: scene.store.kept[id_] for id_ in postponed} == before


async def test_the_history_says_once_why_a_message_waits():
    scene = Scene(*checkouts(30, "gmail.com"))
    async with scene.running():
        await scene.run(900, step=1.0)
        assert max(scene.plans.values()) >= 2
        for kept in scene.store.kept.values():
            reasons = [past.reason for past in kept.history]
            assert ("mails to google are slowed",) * 2 not in list(pairwise(reasons))


async def test_a_block_by_one_receiver_does_not_stop_the_relay():
    scene = Scene(
        *checkouts(30, "lamps.example"), *checkouts(30, "gmail.com"), kind=OutcomeKind.OUR_FAULT, reply=BLOCKED
    )
    async with scene.running():
        await scene.run(5)
        assert len(scene.sent("lamps.example")) == 30
        assert scene.engine.sender.breaker.fault is None
        assert scene.witness.faults == []
        assert scene.store.letters == []
        message = scene.message("gmail.com-0")
        assert (message.state, message.attempts) == (MessageState.WAITING, 0)


async def test_one_mail_that_its_receiver_refuses_while_it_takes_others_is_at_fault_itself():
    """What a filter refuses for its content must end as dead, and not be tried for ever."""
    scene = Scene(*checkouts(1, "gmail.com"), kind=OutcomeKind.OUR_FAULT, reply=BLOCKED)
    async with scene.running():
        for minute in range(200):
            scene.go_to(minute * 60.0)
            scene.engine.sender.governor.tell("other", "google", Outcome(OutcomeKind.SENT, "250"), scene.now, DUE)
            await scene.look_at_due()
        assert scene.message("gmail.com-0").state in (MessageState.DEAD, MessageState.SKIPPED)
        assert scene.message("gmail.com-0").attempts >= 2


async def test_the_relays_own_throttling_slows_the_relay_as_before():
    scene = Scene(*checkouts(5, "gmail.com"), reply="454 4.7.0 Throttling failure: Maximum sending rate exceeded.")
    async with scene.running():
        await scene.look_at_due()
        assert scene.engine.sender.paced_rate is not None
        assert not scene.engine.sender.governor.slows


async def test_a_confirmation_goes_before_the_reminders_to_its_receiver():
    ordered = {"status": Status.ORDERED, "ordered_at": DUE, "touched_at": DUE}
    scene = Scene(*checkouts(50, "gmail.com"), a_second=1)
    async with scene.running():
        await scene.look_at_due()
        (order,) = checkouts(1, "gmail.com", **ordered, id="shop.example/gmail.com-order")
        scene.store.kept[order.id] = order
        await scene.run(30)
        assert order.id in scene.sent("gmail.com")
        assert len(scene.sent("gmail.com")) < 45
