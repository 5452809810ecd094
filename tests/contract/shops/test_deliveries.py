"""Webhooks delivered twice, late and in any order, into a real mongod: the state in the end is the same."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from recovery import Recovery
from recovery.domain.decision import Send, decide
from recovery.domain.state import Status
from recovery.http.inbound.accesses import WebhookAccess
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from recovery.shops import ADAPTERS
from tests.support.builders import schedule
from tests.support.shop_platforms import FIRST, PLATFORMS
from tests.support.stripe_events import CREATED, completed, event
from tests.support.webhook_world import WebhookWorld

ALL = [adapter.name for adapter in ADAPTERS]


class World(WebhookWorld):
    """All platforms' webhooks on a real database."""

    def __init__(self, database, **access):
        super().__init__(Recovery(database.client, database=database.name), **access)
        self.checkouts = database[CHECKOUTS]
        self._stored = MongoCheckouts(database)

    async def deliver(self, name, messages):
        """Begin again, and deliver these messages; each is answered with 200."""
        await self.checkouts.delete_many({})
        for message in messages:
            answer = await self.send(name, message)
            assert (answer.status_code, list(answer.json())) == (200, ["id"]), answer.text

    async def mails(self):
        """Return the mails that would ever go out: of every stored checkout, within the days of the schedule."""
        ids = [each["_id"] async for each in self.checkouts.find({}, {"_id": 1})]
        states, unreadable = await self._stored.load(ids)
        assert unreadable == []
        due = [(state, state.touched_at + timedelta(minutes=31, days=day)) for state in states for day in range(5)]
        return [decision.step.name for state, at in due if isinstance(decision := decide(state, schedule(), at), Send)]

    async def state(self, name, order_id=None):
        """Return the checkout of a platform, by its own id or another."""
        return await self.ingestion.get(PLATFORMS[name].shop, order_id or PLATFORMS[name].checkout_id)


@pytest.fixture
def world(database):
    return World(database)


def orders(*messages):
    """Return every order of these messages, each of them once and doubled, and one with the first repeated last."""
    for each in permutations(messages):
        yield each
        yield (*each, *each)
        yield (*each, each[0])


@pytest.mark.parametrize("name", ALL)
async def test_who_has_ordered_is_not_reminded(world, name):
    """Whether the order comes before or after its checkout, once or twice."""
    platform = PLATFORMS[name]
    for messages in orders(platform.left, platform.changed, platform.ordered):
        await world.deliver(name, messages)
        assert (await world.state(name)).status is Status.ORDERED, messages
        assert await world.mails() == [], messages


@pytest.mark.parametrize("name", ALL)
async def test_the_latest_checkout_counts(world, name):
    """An older report that arrives later, or again, changes nothing."""
    platform = PLATFORMS[name]
    seen = []
    for messages in orders(platform.left, platform.changed):
        await world.deliver(name, messages)
        state = await world.state(name)
        seen.append((state.facts, state.touched_at, state.consent, state.status, await world.mails()))
        assert state.facts.total == Decimal(platform.total)
    assert all(each == seen[0] for each in seen)
    assert "reminder-1" in seen[0][-1]


@pytest.mark.parametrize("name", ALL)
async def test_the_same_again_wakes_nobody(world, name):
    """A platform that repeats what was stored causes no look."""
    platform = PLATFORMS[name]
    await world.deliver(name, [platform.left, platform.ordered])
    revision = (await world.state(name)).revision
    for message in (platform.left, platform.ordered, platform.ordered):
        assert (await world.send(name, message)).status_code == 200
    assert (await world.state(name)).revision == revision


STRIPES = {
    "first": event(id="cs_first"),
    "second": event(id="cs_second", recovered_from="cs_first", at=CREATED + 86_400),
}


@pytest.mark.parametrize("recovered", [None, "first", "second"])
async def test_a_recovered_session_of_stripe_ends_the_first(world, recovered):
    """A customer who comes back by a link in a mail buys in a copy of the session: both ids are ordered then."""
    earlier = {None: [], "first": ["first"], "second": ["first", "second"]}[recovered]
    bought = completed(id="cs_bought", recovered_from=f"cs_{recovered}" if recovered else None)
    await world.deliver("stripe", [*(STRIPES[each] for each in earlier), bought])
    for order_id in ("cs_bought", *(f"cs_{each}" for each in earlier)):
        assert (await world.state("stripe", order_id)).status is Status.ORDERED
    assert await world.mails() == []


async def test_a_link_of_an_older_mail_of_stripe_ends_the_newer_session_as_well(world):
    """The customer left the copy too, and came back by the first mail: all are one checkout."""
    bought = completed(id="cs_bought", recovered_from="cs_first")
    for messages in orders(STRIPES["first"], STRIPES["second"]):
        await world.deliver("stripe", [*messages, bought])
        assert await world.mails() == []
    await world.deliver("stripe", [bought, STRIPES["first"]])
    assert (await world.mails(), (await world.state("stripe", "cs_first")).status) == ([], Status.ORDERED)


async def test_a_payment_of_stripe_that_takes_days(database):
    """A debit: ordered at once, and confirmed once it is paid, whichever is heard of first."""
    world = World(database, stripe=WebhookAccess([FIRST], confirm_orders=True))
    unpaid = completed(payment_status="unpaid")
    await world.deliver("stripe", [event(), unpaid])
    assert await world.mails() == []
    paid = event("async_payment_succeeded", payment_status="paid", at=CREATED + 60)
    for messages in orders(unpaid, paid):
        await world.deliver("stripe", messages)
        assert (await world.state("stripe")).status is Status.ORDERED
        assert await world.mails() == ["confirmation"]
