"""The records of receivers: what is stored, shown and logged of those that are slowed."""

from datetime import UTC, datetime
from types import SimpleNamespace

from structlog.testing import capture_logs

from recovery.daemon.lanes import Lane
from recovery.daemon.receivers import ReceiverRecords
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.engine.receivers import RECOVERS_IN, Count, Governor
from recovery.errors import Unavailable
from tests.support.ports_in_memory import SetClock

AT = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
FLOODED = Outcome(OutcomeKind.THROTTLED, "421 4.7.28 an unusual rate of mail - gsmtp", to_recipient=True)


class Store:
    """Keeps what it is given, as the database does."""

    def __init__(self):
        self.written = []
        self.known = []
        self.unavailable = False

    async def slowed(self, relay, now):
        if self.unavailable:
            raise Unavailable("no primary")
        return self.known

    async def add(self, relay, counts, slowed=(), freed=()):
        if self.unavailable:
            raise Unavailable("no primary")
        self.written.append((relay, dict(counts), [each.receiver for each in slowed], sorted(freed)))


class Scene:
    """The records of one lane, by a clock that is set."""

    def __init__(self, store=None):
        self.now, self.shown, self.store = 0.0, {}, store or Store()
        self.governor = Governor()
        engine = SimpleNamespace(sender=SimpleNamespace(governor=self.governor))
        lanes = [Lane("relay:25", engine, SimpleNamespace())]
        self.records = ReceiverRecords(self.store, lanes, SetClock(), self.show, lambda: self.now)

    def show(self, rates):
        self.shown = dict(rates)


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
    after = Scene()
    after.store.known = before.governor.slowed(0.0)
    await after.records.resume()
    assert after.governor.slowed(0.0) == before.governor.slowed(0.0)


async def test_a_start_without_the_database_goes_on():
    scene = Scene()
    scene.store.unavailable = True
    await scene.records.resume()
    assert not scene.governor.slows
