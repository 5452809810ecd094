"""The records of receivers: what is stored, shown and logged of those that are slowed."""

from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from recovery.daemon.lanes import Lane
from recovery.daemon.receivers import ReceiverRecords
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.receivers import OTHERS
from recovery.engine.receivers import RECOVERS_IN, Count, Governor
from recovery.errors import Unavailable
from recovery.mongo.receivers import Reception
from tests.support.ports_in_memory import SetClock

AT = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
FLOODED = Outcome(OutcomeKind.THROTTLED, "421 4.7.28 an unusual rate of mail - gsmtp", to_recipient=True)


class Store:
    """Keeps what it is given, as the database does."""

    def __init__(self):
        self.written = []
        self.known = {}
        self.counts = {}
        self.unavailable = False

    async def heard(self, relays, now, of):
        if self.unavailable:
            raise Unavailable("no primary")
        names = self.known.keys() | {receiver for _, receiver in of}
        return [Reception("relay:25", name, self.counts.get(name, {}), self.known.get(name)) for name in sorted(names)]

    async def add(self, relay, counts, slowed=(), freed=()):
        if self.unavailable:
            raise Unavailable("no primary")
        self.written.append((relay, dict(counts), [each.receiver for each in slowed], sorted(freed)))
        for receiver, count in counts:
            self.counts.setdefault(receiver, Counter())[count] += counts[receiver, count]
        self.known |= {each.receiver: each for each in slowed}
        for receiver in freed:
            self.known.pop(receiver, None)


class Scene:
    """The records of one lane of a daemon, by a clock that is set."""

    def __init__(self, store=None, *, daemons=1, lanes=1):
        self.now, self.shown, self.store = 0.0, {}, store or Store()
        self.governors = [Governor() for _ in range(lanes)]
        self.governor = self.governors[0]
        self.clock = SetClock()
        self.clock.time = AT
        senders = [SimpleNamespace(governor=governor) for governor in self.governors]
        of = [Lane("relay:25", SimpleNamespace(sender=sender), SimpleNamespace()) for sender in senders]
        self.records = ReceiverRecords(self.store, of, self.clock, self.show, lambda: self.now, daemons=lambda: daemons)

    def show(self, rates):
        self.shown = dict(rates)

    def answers(self, receiver, **numbers):
        """Have the governor count so many answers of each kind."""
        for kind, number in numbers.items():
            outcome = Outcome(OutcomeKind[kind], "250" if kind == "SENT" else "550 5.1.1 nobody", to_recipient=True)
            for each in range(number):
                self.governor.tell(str(each), receiver, outcome, self.now, AT)


async def test_a_receiver_that_is_slowed_is_logged_once_stored_and_shown_until_it_is_free():
    scene = Scene()
    scene.governor.tell("a", "google", FLOODED, 0.0, AT)
    with capture_logs() as lines:
        await scene.records.store()
        await scene.records.store()
        assert scene.shown.keys() == {"google"}
        scene.now = 5 * RECOVERS_IN
        await scene.records.store()
    assert [(line["event"], line["receiver"]) for line in lines] == [
        ("receiver slowed", "google"),
        ("receiver recovered", "google"),
    ]
    assert scene.shown == {}
    assert scene.store.written == [
        ("relay:25", {("google", Count.DEFERRED): 1}, ["google"], []),
        ("relay:25", {}, ["google"], []),
        ("relay:25", {}, [], ["google"]),
    ]


async def test_what_cannot_be_stored_is_stored_later():
    scene = Scene()
    scene.governor.tell("a", "google", FLOODED, 0.0, AT)
    scene.store.unavailable = True
    await scene.records.store()
    scene.store.unavailable = False
    await scene.records.store()
    assert scene.store.written == [("relay:25", {("google", Count.DEFERRED): 1}, ["google"], [])]


async def test_a_restart_forgets_nothing():
    before = Scene()
    before.governor.tell("a", "google", FLOODED, 0.0, AT)
    await before.records.store()
    after = Scene(before.store)
    await after.records.resume()
    assert after.governor.slowed(0.0) == before.governor.slowed(0.0)


async def test_a_start_without_the_database_goes_on():
    scene = Scene()
    scene.store.unavailable = True
    await scene.records.resume()
    assert not scene.governor.slows


async def test_what_one_daemon_heard_slows_the_other_which_logs_and_shows_it():
    one = Scene(daemons=2)
    other = Scene(one.store, daemons=2)
    one.governor.tell("a", "google", FLOODED, 0.0, AT)
    with capture_logs() as lines:
        for scene in (one, other, other):
            await scene.records.store()
    assert other.governor.slowed(0.0) == one.governor.slowed(0.0)
    assert [line["event"] for line in lines] == ["receiver slowed"] * 2
    assert other.shown == one.shown


async def test_all_daemons_free_a_receiver_when_its_rate_has_recovered():
    one = Scene(daemons=2)
    other = Scene(one.store, daemons=2)
    one.governor.tell("a", "google", FLOODED, 0.0, AT)
    for scene in (one, other, one, other):
        await scene.records.store()
    for scene in (one, other):
        scene.now = 5 * RECOVERS_IN
        await scene.records.store()
        assert not scene.governor.slows
    assert one.store.known == {}


async def test_daemons_and_the_lanes_of_a_relay_divide_the_rate():
    scene = Scene(daemons=3, lanes=2)
    await scene.records.store()
    assert [governor.part for governor in scene.governors] == [1 / 6] * 2


@pytest.mark.parametrize(
    ("answers", "complaints", "slowed"),
    [
        ({"SENT": 94, "DEAD_ADDRESS": 6}, 0, {"google"}),
        ({"SENT": 96, "DEAD_ADDRESS": 4}, 0, set()),
        ({"SENT": 100}, 3, {"google"}),
        ({"SENT": 1001}, 3, set()),
    ],
)
async def test_unknown_users_and_complaints_slow_their_receiver(answers, complaints, slowed):
    scene = Scene()
    scene.answers("google", **answers)
    scene.answers("microsoft", SENT=100)
    for _ in range(complaints):
        scene.governor.reported("google", Count.COMPLAINT)
    await scene.records.store()
    assert {each.receiver for each in scene.governor.slowed(0.0)} == slowed


async def test_a_cap_is_logged_with_its_reason_and_lifted_when_the_share_is_low_again():
    scene = Scene()
    scene.answers("google", SENT=94, DEAD_ADDRESS=6)
    with capture_logs() as lines:
        await scene.records.store()
        await scene.records.store()
        scene.answers("google", SENT=150)  # above the limit no more, and not yet well below it
        await scene.records.store()
        assert scene.governor.slows
        scene.answers("google", SENT=50)
        await scene.records.store()
        await scene.records.store()
    assert [line["event"] for line in lines] == ["receiver slowed", "receiver recovered"]
    assert lines[0]["reply"] == "6.0% of 100 messages in 24 hours were to unknown users, above 5%"
    assert scene.store.known == {}


async def test_small_receivers_that_are_counted_together_are_not_slowed_together():
    scene = Scene()
    for number in range(100):
        scene.answers(f"d{number}.example", DEAD_ADDRESS=1)
    await scene.records.store()
    assert scene.store.counts == {OTHERS: {Count.UNKNOWN: 100}}
    assert not scene.governor.slows
