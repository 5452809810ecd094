"""The engine, with fakes in memory for its ports."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from recovery.domain.checkout import Item
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.per_shop import PerShop
from recovery.domain.recipient import RIVALS_TURN, Other, Skip, Standing
from recovery.domain.schedule import OnAmbiguous, StopOn
from recovery.domain.state import Cause, Claim, Message, MessageState, Status
from recovery.domain.suppression import Suppression, SuppressionReason
from recovery.engine.engine import Engine
from recovery.engine.sender import Limits
from recovery.errors import Unavailable
from tests.builders import NOON, AddressBook, Relay, SetClock, Store, Witness, minutes, report, schedule, state, step

DUE = NOON + minutes(30)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    """What waits for a moment waits for a short one."""
    monkeypatch.setattr("recovery.engine.sender.RENEW_EVERY", 0.01)
    monkeypatch.setattr("recovery.engine.sender.ASK_RELAY_EVERY", 0.01)
    monkeypatch.setattr("recovery.engine.sender.BELIEVED_AFTER", 0.02)


class Scene:
    """An engine among fakes."""

    def __init__(self, *states, plan=None, limits=None, by_shop=None):
        self.clock = SetClock()
        self.store = Store(self.clock, *states)
        self.relay = Relay()
        self.witness = Witness()
        self.addresses = AddressBook()
        self.engine = Engine(
            checkouts=self.store,
            shadows=self.store,
            addresses=self.addresses,
            mailer=self.relay,
            clock=self.clock,
            observer=self.witness,
            schedules=PerShop(plan or schedule(), by_shop or {}),
            owner="me",
            limits=limits,
            jitter=lambda: 0.0,
        )

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.engine.sender.run())
        try:
            yield self
        finally:
            task.cancel()

    async def look(self, *ids):
        """Look, and wait until all that was sent is recorded."""
        await self.engine.look(ids or list(self.store.kept), "test")
        async with asyncio.timeout(5):
            while self.engine.sender.in_flight:
                await asyncio.sleep(0.001)

    async def look_until_quiet(self):
        while due := self.store.due():
            await self.look(*due)

    @property
    def only(self):
        (kept,) = self.store.kept.values()
        return kept


async def test_a_look_at_a_new_checkout_sets_its_alarm():
    """A report is answered by `next_at` and a shadow at the first step's due time, and by a line of history."""
    async with Scene(state()).running() as scene:
        await scene.look()
    assert scene.only.next_at == DUE
    assert scene.store.alarms == {scene.only.id: DUE}
    assert scene.only.history[-1].reason == "reminder-1 is due then"


async def test_a_due_message_is_sent_recorded_and_followed_by_the_next_alarm():
    """One look at the due time sends the message, records reply and time, and plans the next step."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, message.sent_at) == (MessageState.SENT, 1, DUE)
    assert message.reply == "250 2.0.0 taken"
    assert scene.only.claim is None
    assert scene.only.next_at == scene.store.alarms[scene.only.id] == NOON + timedelta(days=1)


async def test_many_looks_at_once_send_once():
    """Looks that overlap meet at the claim: one of them sends."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        await asyncio.gather(*(scene.look() for _ in range(10)))
    assert len(scene.relay.taken) == 1


async def test_a_look_that_changes_nothing_writes_nothing():
    """A second look at a checkout that waits leaves it as it is, but for a shadow that was gone."""
    async with Scene(state()).running() as scene:
        await scene.look()
        before = scene.only
        scene.store.alarms.clear()
        await scene.look()
    assert scene.only == before
    assert scene.store.alarms == {before.id: DUE}


async def test_an_order_lets_the_checkout_rest_and_drops_its_shadow():
    """After an order the confirmation goes out and nothing is planned; the document is to be purged some day."""
    async with Scene(state()).running() as scene:
        await scene.look()
        scene.store.report(scene.only.id, status=Status.ORDERED, ordered_at=NOON)
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]
    assert scene.only.next_at is None
    assert scene.only.purge_at == NOON + timedelta(days=30)
    assert scene.store.alarms == {}


async def test_an_order_during_a_send_stops_the_next_reminder_and_is_confirmed():
    """A report that comes while a message is with the relay is not overwritten by its record."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def order(checkout):
            scene.relay.before = None
            scene.store.report(checkout.id, status=Status.ORDERED, ordered_at=DUE)

        scene.relay.before = order
        await scene.look()
        assert scene.only.messages["reminder-1"].state is MessageState.SENT
        assert scene.only.status is Status.ORDERED
        assert scene.only.next_at == DUE, "to be looked at again at once"
        assert scene.engine.behind.is_set()
        await scene.look_until_quiet()
    assert [step for _, step in scene.relay.taken] == ["reminder-1", "confirmation"]
    assert scene.only.next_at is None


async def test_an_order_between_the_look_and_the_claim_wins():
    """A claim is guarded by the revision it saw, so nothing is sent on stale facts."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        load = scene.store.load

        async def load_then_order(ids):
            found = await load(ids)
            scene.store.load = load
            scene.store.report(scene.only.id, status=Status.ORDERED, ordered_at=DUE)
            return found

        scene.store.load = load_then_order
        await scene.look()
    assert scene.relay.taken == []
    assert scene.only.status is Status.ORDERED


@pytest.fixture
def leap(monkeypatch):
    """Lets the event loop's time leap by some seconds, so that facts become stale."""
    ahead = 0.0

    async def leap(_=None, seconds=3.0):
        nonlocal ahead
        loop = asyncio.get_running_loop()
        if not ahead:
            time = loop.time
            monkeypatch.setattr(loop, "time", lambda: time() + ahead)
        ahead += seconds

    return leap


async def test_a_slow_relay_is_sent_to_once_it_is_known_that_nobody_has_ordered(leap):
    """Where the relay takes seconds before the content, the database is asked again, and the message goes out."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.slow = leap
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert len(scene.addresses.asked) == 2


async def test_an_order_while_the_relay_is_slow_calls_the_reminder_off(leap):
    """A report after the claim counts until the content is sent; the attempt does not."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def order_meanwhile(checkout):
            scene.relay.slow = None
            scene.store.report(checkout.id, status=Status.ORDERED, ordered_at=DUE)
            await leap()

        scene.relay.slow = order_meanwhile
        await scene.look()
        assert scene.relay.taken == []
        assert scene.only.messages["reminder-1"].attempts == 0
        await scene.look_until_quiet()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]


async def test_somebody_who_unsubscribes_while_the_relay_is_slow_is_not_reminded(leap):
    """The suppressions are read again with the checkout."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def unsubscribe_meanwhile(checkout):
            scene.addresses.known = {checkout.id: Standing(Suppression(SuppressionReason.UNSUBSCRIBED, DUE))}
            await leap()

        scene.relay.slow = unsubscribe_meanwhile
        await scene.look()
        await scene.look_until_quiet()
    assert scene.relay.taken == []
    assert scene.only.messages["reminder-1"].state is MessageState.SKIPPED


async def test_a_confirmation_is_handed_over_however_slow_the_relay(leap):
    """Only the end of its lease calls it off, so the database is not asked."""
    ordered = state(status=Status.ORDERED, ordered_at=NOON, next_at=NOON)
    async with Scene(ordered).running() as scene:
        scene.relay.slow = leap
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]
    assert len(scene.addresses.asked) == 1


async def test_a_claim_that_another_has_by_now_is_not_acted_on(leap):
    """A sender that stood still for longer than its lease hands over nothing, not even a confirmation."""
    ordered = state(status=Status.ORDERED, ordered_at=NOON, next_at=NOON)
    async with Scene(ordered).running() as scene:

        async def lose_the_claim(checkout):
            scene.relay.slow = None
            kept = scene.store.kept[checkout.id]
            other = kept.claim.model_copy(update={"token": "another's", "owner": "other"})
            scene.store.kept[checkout.id] = kept.model_copy(update={"claim": other})
            await leap(seconds=100.0)

        scene.relay.slow = lose_the_claim
        await scene.look()
    assert scene.relay.taken == []
    assert scene.only.claim.token == "another's"


async def test_where_the_database_is_always_too_slow_nothing_is_sent_and_it_is_told(leap):
    """Each answer is stale when it comes: after some seconds that is a fault for the operator, with the figure."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.slow = leap
        held = scene.store.held

        async def slowly(claims):
            await leap(seconds=0.8)
            return await held(claims)

        scene.store.held = slowly
        now = 0.0
        scene.engine.sender._monotonic = lambda: now
        await scene.look()
        assert scene.engine.sender.unsent_fault is None
        now = 5.0
        await scene.look()
        now = 11.0
        await scene.look()
        assert "for 11 s: the database takes 0.8 s to say whether" in scene.engine.sender.unsent_fault
        scene.relay.slow = None
        await scene.look()
        assert scene.engine.sender.unsent_fault is None
    assert len(scene.relay.taken) == 1


async def test_what_may_have_been_taken_says_when_its_content_goes_out():
    """After one doubt the next sender keeps that it hands over: only one that died after that leaves a second doubt."""
    dead = Claim(token="t", owner="dead", until=DUE)
    begun = state(claim=dead, next_at=DUE, messages={"reminder-1": Message(state="sending", attempts=1)})
    async with Scene(begun).running() as scene:
        scene.clock.time = DUE + minutes(1)
        seen = []

        async def look_at_it(checkout):
            seen.append(scene.store.kept[checkout.id].messages["reminder-1"])

        scene.relay.slow = scene.relay.before = look_at_it
        await scene.look()
    assert [(each.ambiguous, each.handed_over) for each in seen] == [(1, False), (1, True)]
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_of_senders_that_died_twice_in_the_midst_nobody_sends_a_third_time():
    """Once ambiguous, a message is sent at most once more; one that was not handed over may be tried again."""
    dead = Claim(token="t", owner="dead", until=DUE)
    twice = {"state": "sending", "attempts": 2, "ambiguous": 1}
    taken = state("taken", claim=dead, next_at=DUE, messages={"reminder-1": Message(**twice, handed_over=True)})
    kept = state("kept", claim=dead, next_at=DUE, messages={"reminder-1": Message(**twice, handed_over=False)})
    async with Scene(taken, kept).running() as scene:
        scene.clock.time = DUE + minutes(1)
        await scene.look_until_quiet()
    assert scene.relay.taken == [("shop.example/kept", "reminder-1")]
    assert [(letter.checkout, letter.cause) for letter in scene.store.letters] == [("shop.example/taken", Cause.LOST)]


async def test_with_skip_what_a_dead_sender_had_not_handed_over_is_sent():
    """The hand-over is recorded before it happens, so that a message that was never sent is not given up."""
    plan = schedule(on_ambiguous=OnAmbiguous.SKIP)
    dead = Claim(token="t", owner="dead", until=DUE)
    message = Message(state="sending", attempts=1, handed_over=False)
    async with Scene(state(claim=dead, next_at=DUE, messages={"reminder-1": message}), plan=plan).running() as scene:
        scene.clock.time = DUE + minutes(1)
        seen = []

        async def look_at_it(checkout):
            seen.append(scene.store.kept[checkout.id].messages["reminder-1"].handed_over)

        scene.relay.before = look_at_it
        await scene.look_until_quiet()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert seen == [True]


async def test_no_more_is_claimed_than_there_is_room_for():
    """A message for which there is no room stays due, unclaimed, and the engine reports that it is behind."""
    async with Scene(*(state(str(n)) for n in range(5)), limits=Limits(in_flight=2)).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def hold(_):
            await gate.wait()

        scene.relay.before = hold
        await scene.engine.look(list(scene.store.kept), "test")
        assert sum(kept.claim is not None for kept in scene.store.kept.values()) == 2
        assert scene.engine.behind.is_set()
        assert scene.engine.sender.room() == 0
        gate.set()
        await scene.engine.sender.wait_for_room()
        await scene.look_until_quiet()
    assert sorted(scene.relay.taken) == [(f"shop.example/{n}", "reminder-1") for n in range(5)]


async def test_a_transient_refusal_becomes_an_alarm():
    """Backoff is `next_at` and a shadow; there is no other timer."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.LATER, "450 4.2.0 not now")]
        await scene.look()
        assert scene.only.next_at == scene.store.alarms[scene.only.id] == DUE + minutes(5)
        scene.clock.time = DUE + minutes(5)
        await scene.look()
    assert scene.only.messages["reminder-1"].attempts == 2
    assert len(scene.relay.taken) == 1


async def test_a_relay_that_is_down_opens_the_breaker_and_burns_no_attempt():
    """Connection faults leave every message due; claims stop; when the relay is back all is sent, once."""
    async with Scene(*(state(str(n)) for n in range(4))).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.CONNECTION, "refused")] * 4
        await scene.look()
        assert scene.engine.sender.breaker.fault == "connection: refused"
        assert scene.engine.sender.room() == 0
        assert all(kept.messages["reminder-1"].attempts == 0 for kept in scene.store.kept.values())
        scene.clock.time += timedelta(seconds=1)
        assert await scene.engine.sender.wait_for_room() == 1, "a probe"
        await scene.look_until_quiet()
    assert len(scene.relay.taken) == 4
    assert scene.witness.faults == ["connection: refused", None]


async def test_a_relay_that_is_back_is_found_out_though_no_message_comes():
    """Others do the work of a daemon whose relay is at fault: without a message of its own it must find out."""
    async with Scene(*(state(str(n)) for n in range(5))).running() as scene:
        scene.clock.time, sender = DUE, scene.engine.sender
        scene.relay.outcomes = [Outcome(OutcomeKind.CONNECTION, "refused")] * 5
        scene.relay.closed = Outcome(OutcomeKind.CONNECTION, "refused again")
        await scene.look()
        now = time.monotonic() + 2.0
        sender._monotonic = lambda: now
        async with asyncio.timeout(5):
            while sender.breaker.fault != "connection: refused again":
                await asyncio.sleep(0.001)
        assert sender.room() == 0, "the next try has to wait"
        scene.relay.closed = None
        now += 10.0
        async with asyncio.timeout(5):
            while sender.breaker.fault is not None:
                await asyncio.sleep(0.001)
        assert sender.room() == 1, "only a message tells whether it takes any"
        scene.relay.outcomes = [Outcome(OutcomeKind.CONNECTION, "refused once more")]
        scene.clock.time += timedelta(seconds=1)
        await scene.look()
        assert sender.breaker.fault == "connection: refused once more"
        now += 60.0
        scene.clock.time += timedelta(seconds=1)
        await scene.look()
        assert sender.breaker.fault is None
        assert sender.room() > 1
    assert scene.witness.faults == ["connection: refused", None, "connection: refused once more", None]


async def test_a_dead_message_leaves_a_dead_letter_and_the_next_step():
    """A message that cannot be sent becomes a dead letter, and does not delay the next reminder."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 nobody here")]
        await scene.look()
    (letter,) = scene.store.letters
    assert (letter.step, letter.cause, letter.error) == ("reminder-1", Cause.DEAD_ADDRESS, "550 5.1.1 nobody here")
    assert scene.only.messages["reminder-1"].state is MessageState.DEAD
    assert scene.only.next_at == NOON + timedelta(days=1)


async def test_a_message_whose_sender_died_under_skip_leaves_a_dead_letter():
    """A lease that ended without a record is a message lost, where the shop would rather skip than write twice."""
    dead = Claim(token="t", owner="dead", until=DUE)
    begun = state(claim=dead, next_at=DUE, messages={"reminder-1": Message(state="sending", attempts=1)})
    async with Scene(begun, plan=schedule(on_ambiguous=OnAmbiguous.SKIP)).running() as scene:
        scene.clock.time = DUE + minutes(1)
        await scene.look_until_quiet()
    assert [letter.cause for letter in scene.store.letters] == [Cause.LOST]
    assert scene.relay.taken == []
    assert scene.only.claim is None
    assert scene.only.next_at == NOON + timedelta(days=1)


async def test_what_is_too_late_is_skipped_and_the_next_one_sent():
    """After an outage the checkout gets the newest reminder that is still of use, and one only."""
    async with Scene(state()).running() as scene:
        scene.clock.time = NOON + timedelta(days=1, minutes=1)
        await scene.look_until_quiet()
    assert [step for _, step in scene.relay.taken] == ["reminder-2"]
    assert scene.only.messages["reminder-1"].state is MessageState.SKIPPED
    assert scene.only.messages["reminder-1"].reason == "too late to be of use"


async def test_a_record_is_written_once_the_database_is_back():
    """The relay has the mail and only we know: the record is tried again until it is kept."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def fail(_):
            scene.store.unavailable = 2

        scene.relay.before = fail
        await scene.look()
    assert scene.only.messages["reminder-1"].state is MessageState.SENT
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_a_look_during_an_outage_says_so_and_leaves_room():
    """A claim that fails frees its place, so that nothing is lost of the room."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        load = scene.store.load

        async def load_then_fail(ids):
            found = await load(ids)
            scene.store.unavailable = 1
            return found

        scene.store.load = load_then_fail
        room = scene.engine.sender.room()
        with pytest.raises(Unavailable):
            await scene.engine.look(list(scene.store.kept), "test")
        assert scene.engine.sender.room() == room


async def test_no_fault_before_the_content_is_ambiguous():
    """Whatever happens in a send ends as an outcome of that message: an attempt, and not the daemon."""
    plan = schedule(on_ambiguous=OnAmbiguous.SKIP)
    async with Scene(state(), plan=plan).running() as scene:
        scene.clock.time = DUE

        async def explode(_):
            raise RuntimeError("boom")

        scene.relay.slow = explode
        await scene.look()
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, message.ambiguous) == (MessageState.WAITING, 1, 0)
    assert "RuntimeError: boom" in message.reply
    assert scene.engine.sender.breaker.passed_at is None, "it tells nothing of the relay"
    assert [what for what, _ in scene.witness.errors] == ["send"]


async def test_a_fault_after_the_content_is_ambiguous():
    """The relay may have it."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def explode(_):
            raise RuntimeError("boom")

        scene.relay.before = explode
        await scene.look()
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, message.ambiguous) == (MessageState.WAITING, 1, 1)


async def test_a_claim_whose_acknowledgement_is_lost_is_given_back():
    """When the database answers again, claims that succeeded are released by their token, and no attempt is lost."""
    plan = schedule(on_ambiguous=OnAmbiguous.SKIP)
    async with Scene(state("1"), state("2"), plan=plan).running() as scene:
        scene.clock.time = DUE
        claim = scene.store.claim

        async def claim_and_lose(claims):
            scene.store.claim = claim
            await claim(claims[:1])
            scene.store.unavailable = 2
            raise Unavailable("connection reset by peer")

        scene.store.claim = claim_and_lose
        with pytest.raises(Unavailable):
            await scene.look()
        await scene.look_until_quiet()
    assert sorted(scene.relay.taken) == [("shop.example/1", "reminder-1"), ("shop.example/2", "reminder-1")]
    assert [kept.messages["reminder-1"].attempts for kept in scene.store.kept.values()] == [1, 1]
    assert scene.store.letters == []


async def test_a_look_that_is_cancelled_leaves_no_claim_behind():
    """The claim runs to its end, and its messages are sent or given back."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        claim, asked, go_on = scene.store.claim, asyncio.Event(), asyncio.Event()

        async def claim_slowly(claims):
            won = await claim(claims)
            asked.set()
            await go_on.wait()
            return won

        scene.store.claim = claim_slowly
        look = asyncio.create_task(scene.engine.look([scene.only.id], "test"))
        await asked.wait()
        look.cancel()
        stopping = asyncio.create_task(scene.engine.sender.stop(grace=5))
        await asyncio.sleep(0)
        go_on.set()
        await stopping
    assert scene.only.claim is None
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts) == (MessageState.WAITING, 0)
    assert scene.store.alarms == {scene.only.id: scene.only.next_at}, "its shadow wakes another daemon at once"


async def test_a_stop_breaks_off_what_was_not_handed_over():
    """A message that waits for the relay before its content goes back at once, with its attempt."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def hold(_):
            await asyncio.Event().wait()

        scene.relay.slow = hold
        await scene.engine.look([scene.only.id], "test")
        await asyncio.sleep(0)
        await scene.engine.sender.stop(grace=5)
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, scene.only.claim) == (MessageState.WAITING, 0, None)


async def test_a_stop_records_as_ambiguous_what_the_relay_does_not_answer():
    """A stop ends in time: a message handed over and not answered within the grace period is ambiguous."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def hold(_):
            await asyncio.Event().wait()

        scene.relay.before = hold
        await scene.engine.look([scene.only.id], "test")
        await asyncio.sleep(0)
        await scene.engine.sender.stop(grace=0.05)
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.ambiguous, scene.only.claim) == (MessageState.WAITING, 1, None)


async def test_a_stop_records_what_ended_though_the_recorder_has_fallen():
    """Accepted messages are recorded, whatever ended the rest of the daemon."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def hold(_):
            await gate.wait()

        scene.relay.before = hold
        await scene.engine.look([scene.only.id], "test")
        await asyncio.sleep(0)
    gate.set()
    await scene.engine.sender.stop(grace=5)
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_a_message_that_the_relay_hangs_up_on_is_not_tried_for_ever():
    """While the relay takes others, it costs an attempt from the third time on, and ends dead in plain sight."""
    plan = schedule(max_attempts=2, retry_after=minutes(1))
    async with Scene(state("bad"), *(state(str(n)) for n in range(9)), plan=plan).running() as scene:
        now = 0.0
        scene.engine.sender._monotonic = lambda: now
        attempts = []
        for number in range(9):
            scene.clock.time = DUE + minutes(number)
            now += 60.0
            scene.relay.outcomes = [Outcome(OutcomeKind.DROPPED, "the relay ended the connection")]
            await scene.look("shop.example/bad")
            bad = scene.store.kept["shop.example/bad"].messages["reminder-1"]
            attempts.append(bad.attempts)
            now += 1.0
            scene.relay.outcomes = []
            await scene.look(f"shop.example/{number}")
            if bad.state is MessageState.DEAD:
                break
    assert attempts == [0, 0, 1, 2]
    assert bad.reason == Cause.ATTEMPTS
    assert scene.engine.sender.breaker.fault is None


async def test_messages_that_were_with_dead_senders_twice_go_one_at_a_time():
    """One of them may end its sender; the others must not share its fate again."""
    dead = Claim(token="t", owner="dead", until=DUE)
    lost = Message(state="sending", attempts=2, ambiguous=1, handed_over=False)
    suspects = [state(str(n), claim=dead, next_at=DUE, messages={"reminder-1": lost}) for n in range(3)]
    async with Scene(*suspects, state("fine")).running() as scene:
        scene.clock.time = DUE + minutes(1)
        together = []

        async def count(_):
            together.append(sorted(scene.engine.sender._flights))
            await asyncio.sleep(0)

        scene.relay.slow = count
        await scene.look_until_quiet()
    assert len(scene.relay.taken) == 4
    assert max(sum("fine" not in id_ for id_ in ids) for ids in together) == 1


async def test_one_record_that_cannot_be_written_is_lost_alone():
    """Its neighbours are recorded, the engine goes on, and the error is reported."""
    async with Scene(state("1"), state("2")).running() as scene:
        scene.clock.time = DUE
        complete = scene.store.complete

        async def choke(completions):
            if any(each.claiming.seen.id.endswith("/1") for each in completions):
                raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
            return await complete(completions)

        scene.store.complete = choke
        await scene.look()
        assert scene.engine.sender.in_flight == 0
    assert scene.store.kept["shop.example/2"].messages["reminder-1"].state is MessageState.SENT
    assert [type(error) for _, error in scene.witness.errors] == [UnicodeEncodeError]


async def test_a_record_outlives_any_outage_and_no_look_comes_before_it():
    """However long the database is away, the sent mail is recorded, and not claimed again by its own sender."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE

        async def fail(_):
            scene.store.unavailable = 3
            scene.clock.time = DUE + minutes(10)  # far beyond the lease

        scene.relay.before = fail
        await scene.engine.look([scene.only.id], "test")
        async with asyncio.timeout(5):
            while scene.store.unavailable:
                await asyncio.sleep(0.01)
        scene.relay.before = None
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_after_an_outage_lapsed_claims_are_their_owners_for_a_moment():
    """The owner may be about to record its send; a few seconds later it counts as dead."""
    other = Claim(token="t", owner="other", until=DUE)
    sent_by_other = state(claim=other, next_at=DUE, messages={"reminder-1": Message(state="sending", attempts=1)})
    async with Scene(sent_by_other).running() as scene:
        scene.clock.time = DUE + minutes(1)
        now = 0.0
        scene.engine._monotonic = lambda: now
        scene.store.unavailable = 1
        with pytest.raises(Unavailable):
            await scene.look()
        await scene.look()
        assert scene.only.claim == other
        now = 3.1
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_the_lease_of_a_message_that_the_relay_ponders_is_renewed():
    """As long as its sender waits for the final reply, no other may claim the message."""
    plan = schedule(lease=timedelta(seconds=0.03))
    async with Scene(state(), plan=plan).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def ponder(_):
            await gate.wait()

        scene.relay.before = ponder
        await scene.engine.look([scene.only.id], "test")
        scene.clock.time = DUE + minutes(5)
        async with asyncio.timeout(5):
            while scene.only.claim.until < DUE + minutes(5):
                await asyncio.sleep(0.01)
        gate.set()
        async with asyncio.timeout(5):
            while scene.engine.sender.in_flight:
                await asyncio.sleep(0)
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_stopping_finishes_what_is_with_the_relay():
    """After a stop nothing is claimed, and messages that were handed over are recorded."""
    async with Scene(state("1"), state("2")).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def hold(_):
            await gate.wait()

        scene.relay.before = hold
        await scene.engine.look(["shop.example/1"], "test")
        await asyncio.sleep(0)
        stopping = asyncio.create_task(scene.engine.sender.stop(grace=5))
        await asyncio.sleep(0)
        await scene.engine.look(["shop.example/2"], "test")
        gate.set()
        await stopping
    assert scene.relay.taken == [("shop.example/1", "reminder-1")]
    assert scene.store.kept["shop.example/1"].messages["reminder-1"].state is MessageState.SENT
    assert scene.store.kept["shop.example/2"].claim is None


CAPPED = {"min_gap_per_address": timedelta(hours=12)}


async def test_a_suppressed_address_is_skipped_with_that_reason():
    """Nothing is sent, no attempt is counted, the history says why, and the next step has its turn."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: Standing(Suppression(SuppressionReason.UNSUBSCRIBED, NOON))}
        await scene.look()
    message = scene.only.messages["reminder-1"]
    assert scene.relay.taken == []
    assert (message.state, message.attempts) == (MessageState.SKIPPED, 0)
    assert message.reason == scene.only.history[-1].reason == "the address is suppressed: unsubscribed"
    assert scene.only.history[-1].decision == "skipped reminder-1"
    assert scene.witness.held == [("reminder-1", Skip("the address is suppressed: unsubscribed"))]
    assert scene.witness.attempts == []
    assert scene.only.next_at == NOON + timedelta(days=1)


async def test_addresses_are_asked_after_when_the_claim_is_made():
    """A suppression stored before the claim counts: the lookup starts no earlier than the claim."""
    async with Scene(state()).running() as scene:
        await scene.look()
        assert scene.addresses.asked == []
        scene.clock.time = DUE
        await scene.look()
    assert [ids for ids, _ in scene.addresses.asked] == [[scene.only.id]]


async def test_a_database_that_does_not_tell_of_addresses_sends_nothing():
    """Without an answer the message goes back, uncounted and still due; with one it is sent."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.addresses.unavailable = 1
        await scene.look()
        assert scene.relay.taken == []
        assert scene.only.messages["reminder-1"].attempts == 0
        await scene.look_until_quiet()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_of_two_checkouts_of_one_address_one_is_written_about():
    """Due together, one is sent and the other postponed, in one daemon: the second waits for the gap to end."""
    async with Scene(state("1"), state("2"), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        await scene.look()
        assert len(scene.relay.taken) == 1
        (sent, _), *_ = scene.relay.taken
        (other,) = set(scene.store.kept) - {sent}
        scene.addresses.known = {other: Standing(others=[Other(written_at=DUE)])}
        await scene.look(other)
    assert len(scene.relay.taken) == 1
    kept = scene.store.kept[other]
    assert kept.next_at == scene.store.alarms[other] == DUE + timedelta(hours=12)
    assert (kept.messages["reminder-1"].state, kept.messages["reminder-1"].attempts) == (MessageState.WAITING, 0)


async def test_a_postponed_message_is_sent_at_its_new_time():
    """The gap over, the message goes out, and is not late although it was due twelve hours before."""
    async with Scene(state(), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: Standing(others=[Other(written_at=DUE)])}
        await scene.look()
        assert scene.only.history[-1].decision == "postponed reminder-1"
        scene.addresses.known = {}
        scene.clock.time = DUE + timedelta(hours=12)
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert scene.witness.attempts[-1][2] == timedelta(0)


async def test_who_may_have_a_rival_looks_again_after_the_claim():
    """Where another checkout may be claimed at the same moment, it is seen in a second look, after one's own claim."""
    async with Scene(state(), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: Standing(others=[Other(imminent=True)])}
        scene.addresses.later = [{scene.only.id: Standing(others=[Other(claimed=True, imminent=True)])}]
        await scene.look()
    assert len(scene.addresses.asked) == 2
    assert scene.relay.taken == []
    assert scene.only.messages["reminder-1"].deferred_to == DUE + RIVALS_TURN


async def test_who_had_a_rival_only_in_sight_goes_ahead():
    """A checkout does not step back for one that was only due soon and was not claimed."""
    async with Scene(state(), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: Standing(others=[Other(imminent=True)])}
        scene.addresses.later = [{}]
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_a_mail_shows_only_what_was_not_bought_elsewhere():
    """With `stop_on` customer the mail shows the remaining items; the stored checkout is unchanged."""
    bulb = Item(name="Bulb", price="3.00")
    both = state(facts=report(items=(*report().items, bulb)).facts())
    async with Scene(both, plan=schedule(stop_on=StopOn.CUSTOMER)).running() as scene:
        scene.clock.time = DUE
        bought = Other(ordered_at=NOON + minutes(1), bought=report().items)
        scene.addresses.known = {scene.only.id: Standing(others=[bought])}
        await scene.look()
    assert scene.relay.seen[-1].facts.items == (bulb,)
    assert len(scene.only.facts.items) == 2


async def test_an_address_that_the_relay_calls_dead_is_suppressed():
    """It gets no mail again: it is suppressed before the outcome is recorded."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 no such user")]
        await scene.look()
    assert scene.addresses.dead == ["ada@example.com"]


QUOTA = "550 Domain shop.example has exceeded the max emails per fortnight ({}/200)"


def of_several(count):
    """Return checkouts of as many addresses."""
    customer = report().customer
    each = [customer.model_copy(update={"email": f"p{number}@example.com"}) for number in range(count)]
    return [state(str(number), facts=report(customer=one).facts()) for number, one in enumerate(each)]


@pytest.mark.parametrize(
    ("kind", "reply", "fault"),
    [
        (OutcomeKind.DEAD_ADDRESS, QUOTA, "addresses in a row were called dead in the same words"),
        (OutcomeKind.DEAD_MESSAGE, "554 Versandkontingent von {}", "messages in a row were refused in the same words"),
    ],
)
async def test_a_relay_that_refuses_everybody_for_good_kills_nobody(kind, reply, fault):
    """Five in a row with the same wording, whatever the numbers in it: none is suppressed, and all wait."""
    async with Scene(*of_several(8)).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(kind, reply.format(200 + n)) for n in range(8)]
        await scene.look()
        assert scene.addresses.dead == []
        assert scene.store.letters == []
        assert all(kept.messages["reminder-1"].attempts == 0 for kept in scene.store.kept.values())
        assert fault in scene.engine.sender.brake.fault
        assert scene.engine.sender.breaker.fault is not None
        scene.clock.time = DUE + minutes(10)
        scene.engine.sender._monotonic = lambda: 10**9
        await scene.look_until_quiet()
    assert len(scene.relay.taken) == 8
    assert scene.engine.sender.brake.fault is None


async def test_what_we_find_ourselves_is_no_word_of_the_relay():
    """Addresses that this relay cannot accept are given up one by one, however many there are."""
    async with Scene(*of_several(8)).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_MESSAGE, "the relay does not offer SMTPUTF8")] * 8
        await scene.look()
    assert len(scene.store.letters) == 8
    assert scene.engine.sender.brake.fault is None


async def test_what_goes_back_unsent_leaves_no_line_of_history():
    """It may go back many times, and would push other entries out of the history."""
    async with Scene(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.UNSENT, "no connection"), Outcome(OutcomeKind.CALLED_OFF, "a stop")]
        await scene.look()
        await scene.look()
        assert [past.decision for past in scene.only.history] == []
        scene.clock.time += timedelta(seconds=1)
        await scene.look()
    assert [past.decision for past in scene.only.history] == ["sent reminder-1"]


async def test_answers_of_several_connections_come_in_any_order():
    """One that was taken just before the relay turned may be heard of after the first that were called dead."""
    async with Scene(*of_several(9)).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, QUOTA.format(200 + n)) for n in range(8)]
        scene.relay.outcomes.insert(3, Outcome(OutcomeKind.SENT, "250 2.0.0 taken"))
        await scene.look()
        assert scene.addresses.dead == []
        assert scene.store.letters == []


async def test_those_that_were_believed_before_the_brake_knew_better_are_given_back():
    """One each minute is believed, until the fifth shows that it was not them."""
    async with Scene(*of_several(5)).running() as scene:
        scene.clock.time = DUE
        dead = []
        for number in range(5):
            scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, QUOTA.format(number))]
            await scene.look(f"shop.example/{number}")
            dead.append(len(scene.addresses.dead))
    assert dead == [1, 2, 3, 4, 0]
    assert len(scene.store.letters) == 4, "their messages can be replayed"


async def test_dead_addresses_among_living_ones_are_believed():
    """A few dead addresses with the same wording, between accepted messages, are believed."""
    async with Scene(*of_several(40)).running() as scene:
        scene.clock.time = DUE
        for number in range(40):
            if number % 13 == 5:
                scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 no such user")]
            await scene.look(f"shop.example/{number}")
    assert sorted(scene.addresses.dead) == ["p18@example.com", "p31@example.com", "p5@example.com"]
    assert scene.engine.sender.brake.fault is None


async def test_each_shop_has_its_schedule():
    """A checkout is decided on by the schedule of its shop, and by the default where the shop has none."""
    other = state("2").model_copy(update={"id": "other.example/2"})
    async with Scene(
        state("1"), other, by_shop={"other.example": schedule(steps=(step("only", minutes(5)),))}
    ).running() as scene:
        await scene.look()
    assert scene.store.alarms == {"shop.example/1": DUE, "other.example/2": NOON + minutes(5)}
