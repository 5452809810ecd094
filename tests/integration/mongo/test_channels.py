"""The stored channels of shops, on a real mongod."""

import asyncio

from structlog.testing import capture_logs

from recovery import Recovery
from recovery.app.channels import ChannelRecords
from recovery.domain.channels import Answer, Heard
from recovery.errors import Unavailable
from recovery.http.channels import ChannelCounts
from recovery.mongo.channels import Answered, Channel, Channels
from recovery.mongo.collections import CHANNELS
from tests.support.builders import NOON, minutes, report


async def test_counts_add_up(database):
    """Each answer has its number, its time by the database's clock, and the reason of the last."""
    channels = Channels(database)
    signature = Heard("a.example", "shopify", Answer.REFUSED, 2, "the signature is wrong")
    await channels.add([Heard("a.example", "shopify", Answer.ACCEPTED, 5), signature])
    await channels.add(
        [Heard("a.example", "shopify", Answer.REFUSED, 1, "too long"), Heard("b", "api", Answer.IGNORED, 1)]
    )
    first, second = await channels.all()
    assert (first.shop, first.channel, second.shop) == ("a.example", "shopify", "b")
    accepted, refused = first.answers[Answer.ACCEPTED], first.answers[Answer.REFUSED]
    assert (accepted.times, refused.times, refused.reason) == (5, 3, "too long")
    assert refused.at > accepted.at
    assert (await database[CHANNELS].find_one({"_id": "a.example/shopify"}))["at"] == refused.at


async def test_what_is_not_proven_makes_no_channel(database):
    """A stranger's shop is not stored; of a shop that is known, the refusal is."""
    channels = Channels(database)
    await channels.add([Heard("a.example", "shopify", Answer.ACCEPTED, 1)])
    strangers = [Heard(shop, "shopify", Answer.REFUSED, 1, "signature", proven=False) for shop in ("a.example", "x")]
    await channels.add(strangers)
    (channel,) = await channels.all()
    assert channel.answers[Answer.REFUSED].times == 1


async def test_nothing_heard_is_nothing_written(database):
    """A pass without reports does not ask the database."""
    await Channels(database).add([])
    assert await Channels(database).all() == []


async def test_the_newest_checkout_of_each_shop_is_told(database):
    """Shops that never report over HTTP are found by their checkouts."""
    recovery = Recovery(database.client, database=database.name)
    for shop, number in (("a.example", 1), ("a.example", 2), ("b.example", 3)):
        at = NOON.replace(year=2026, month=3, day=number)
        await recovery.checkout(report(str(number), shop=shop, touched_at=at))
    opened = {shop: at async for shop, at in Channels(database).opened()}
    assert {shop: at.day for shop, at in opened.items()} == {"a.example": 2, "b.example": 3}


class Away:
    """A store whose database is away the first time."""

    def __init__(self, channels):
        self.channels = channels
        self.fault = Unavailable("away")

    async def add(self, heard):
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        await self.channels.add(heard)


async def test_counts_survive_an_outage(database):
    """What could not be stored is stored with the next pass; the outage is logged once, and its end."""
    records = ChannelRecords(Away(Channels(database)), ChannelCounts())
    records.counts.note("checkout", 202, {"shop": "a.example"})
    with capture_logs() as logs:
        await records.store()
        records.counts.note("order", 202, {"shop": "a.example"})
        await records.store()
    assert [entry["event"] for entry in logs] == ["database unavailable", "database recovered"]
    (channel,) = await Channels(database).all()
    assert channel.answers[Answer.ACCEPTED].times == 2


async def test_a_stop_does_not_wait_for_the_last_write():
    """A database that hangs does not hold up the end of the daemon."""

    class Hanging:
        async def add(self, heard):
            await asyncio.Event().wait()

    records = ChannelRecords(Hanging(), ChannelCounts())
    records.counts.note("checkout", 202, {"shop": "a.example"})
    async with asyncio.timeout(30):
        await records.finish()


async def test_a_damaged_channel_is_passed_over(database):
    """What a newer version stores in an answer does not keep the others from being shown."""
    await database[CHANNELS].insert_one(
        {"_id": "a/api", "shop": "a", "channel": "api", "at": NOON, "answers": {"pondered": {"at": NOON + minutes(1)}}}
    )
    assert await Channels(database).all() == [Channel("a", "api", {})]


async def test_shops_are_named_in_order_a_page_at_a_time(database):
    """Those with settings, with reports over HTTP, and with checkouts are there, each once."""
    recovery = Recovery(database.client, database=database.name)
    for shop in ("b.example", "e.example"):
        await recovery.checkout(report("1", shop=shop, touched_at=NOON.replace(year=2026)))
    channels = Channels(database)
    await channels.add([Heard(shop, "api", Answer.ACCEPTED, 1) for shop in ("b.example", "d.example")])
    also = ["a.example", "c.example"]
    assert await channels.names(also, 3) == ["a.example", "b.example", "c.example"]
    assert await channels.names(also, 3, "c.example") == ["d.example", "e.example"]
    assert await channels.newest("a.example") is None
    assert (await channels.newest("e.example")) is not None
    assert [each.shop for each in await channels.of(["d.example", "a.example"])] == ["d.example"]
    assert await channels.of([]) == []


def test_a_channel_whose_last_report_was_not_taken_is_lost():
    """What is accepted later makes it well again."""
    accepted, refused = Answered(5, NOON), Answered(1, NOON + minutes(1), "the signature is wrong")
    assert not Channel("a.example", "api", {Answer.ACCEPTED: accepted}).lost
    assert Channel("a.example", "api", {Answer.ACCEPTED: accepted, Answer.REFUSED: refused}).lost
    assert not Channel(
        "a.example", "api", {Answer.ACCEPTED: Answered(6, NOON + minutes(2)), Answer.REFUSED: refused}
    ).lost
    assert not Channel("a.example", "api").lost
