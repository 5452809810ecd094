"""The warm-up of a sending address, counted and recorded on a real mongod."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.rate import Rate
from recovery.domain.suppression import SuppressionReason
from recovery.domain.warmup import Warmup
from recovery.engine.ports import Grant, PastDay
from recovery.mongo.allowances import SLOTS, MongoAllowance
from recovery.mongo.queues import ALL, Shops
from recovery.mongo.suppressions import Suppressions
from recovery.mongo.warmups import MongoWarmupRecords

RELAY = "relay.example:25"
FIRST = date(2026, 12, 1)
WARMUP = Warmup(FIRST, 50, 1.5, 50_000, 0.003)
A_DAY = 24 * 3600


def allowance(database, *rates, warmup=WARMUP, relay=RELAY):
    return MongoAllowance(database, relay, [Rate.parse(rate) for rate in rates], warmup)


def records(database, *, warmup=WARMUP, shops=ALL):
    return MongoWarmupRecords(database, RELAY, warmup, shops)


async def a_day_ago(database):
    hello = await database.command("hello")
    return hello["localTime"].replace(tzinfo=UTC) - timedelta(days=1)


async def pass_time(database, seconds):
    """Let the window be so much older."""
    slots = {
        "input": f"$used.{WARMUP.name}",
        "in": {"at": {"$subtract": ["$$this.at", seconds * 1000]}, "n": "$$this.n"},
    }
    await database["allowances"].update_one({}, [{"$set": {"used": {WARMUP.name: {"$map": slots}}}}])


async def test_what_is_beyond_the_limit_is_put_off_until_there_is_more(database):
    mine = allowance(database)
    assert await mine.take(30, limit=50) == Grant(30)
    granted = await mine.take(30, limit=50)
    assert (granted.count, granted.wait, granted.put_off) == (20, 0.0, 10)
    assert A_DAY * 0.9 < granted.put_off_for <= A_DAY * (1 + 1 / SLOTS)
    await pass_time(database, granted.put_off_for + 1)
    assert await mine.take(50, limit=50) == Grant(50)


async def test_the_limit_of_the_next_day_counts_what_was_sent_within_24_hours(database):
    mine = allowance(database)
    await mine.take(50, limit=50)
    await pass_time(database, A_DAY // 2)
    assert (await mine.take(50, limit=75)).count == 25
    await pass_time(database, A_DAY * 5 // 9)
    assert (await mine.take(100, limit=75)).count == 50


async def test_what_is_urgent_is_granted_always_and_counts(database):
    mine = allowance(database)
    granted = await mine.take(60, urgent=5, limit=50)
    assert (granted.count, granted.put_off) == (50, 10)
    granted = await mine.take(10, urgent=4, limit=50)
    assert (granted.count, granted.put_off) == (4, 6)
    assert await mine.take(3, urgent=3, limit=50) == Grant(3)
    assert (await records(database).since(await a_day_ago(database))).sent == 57
    assert (await mine.take(100, limit=60)).count == 3


async def test_a_configured_rate_holds_for_what_is_urgent_as_well(database):
    """What the rate holds back is not put off: it stays due."""
    granted = await allowance(database, "4/h").take(20, urgent=6, limit=10)
    assert (granted.count, granted.put_off) == (4, 10)
    granted = await allowance(database, "4/h").take(20, urgent=6, limit=10)
    assert (granted.count, granted.put_off) == (0, 14)
    assert granted.wait > 0


async def test_while_it_has_halted_only_what_is_urgent_goes(database):
    mine = allowance(database)
    granted = await mine.take(10, urgent=2, limit=0)
    assert (granted.count, granted.put_off) == (2, 8)
    assert (await allowance(database, relay="other.example:25").take(5, limit=0)).put_off_for == A_DAY


async def test_when_it_is_over_only_the_rates_count(database):
    assert await allowance(database).take(10**6, limit=None) == Grant(10**6)
    assert await database["allowances"].count_documents({}) == 0
    assert (await allowance(database, "5/h").take(10, limit=None)).count == 5


async def test_daemons_share_it_and_it_outlives_them(database):
    grants = await asyncio.gather(*(allowance(database).take(7, urgent=1, limit=50) for _ in range(40)))
    assert sum(grant.count for grant in grants if grant.count > 1) <= 50
    assert all(grant.count + grant.put_off == 7 for grant in grants)
    past = await records(database).since(await a_day_ago(database))
    assert past.sent == sum(grant.count for grant in grants)
    assert (await allowance(database).take(1, limit=50)).count == 0


async def test_one_that_begins_on_another_day_counts_anew(database):
    await allowance(database).take(50, limit=50)
    later = Warmup(FIRST + timedelta(days=30), 50, 1.5, 50_000, 0.003)
    assert (await allowance(database, warmup=later).take(50, limit=50)).count == 50
    assert (await records(database, warmup=later).since(await a_day_ago(database))).sent == 50


async def test_what_is_older_than_a_day_is_not_among_what_was_sent(database):
    await allowance(database).take(10, limit=50)
    await pass_time(database, A_DAY + 3600)
    await allowance(database).take(5, limit=50)
    assert (await records(database).since(await a_day_ago(database))).sent == 5


async def test_days_on_which_it_halted_are_kept_once(database):
    """Also before anything was counted, and beside what is."""
    assert await records(database).since(await a_day_ago(database)) == PastDay(0, 0, frozenset())
    second = FIRST + timedelta(days=1)
    await asyncio.gather(*(records(database).halt(day) for day in [FIRST, FIRST, second, second]))
    await allowance(database).take(5, limit=50)
    assert await records(database).since(await a_day_ago(database)) == PastDay(5, 0, frozenset({FIRST, second}))
    later = Warmup(FIRST + timedelta(days=30), 50, 1.5, 50_000, 0.003)
    assert (await records(database, warmup=later).since(await a_day_ago(database))).halted == frozenset()


async def test_complaints_of_the_past_day_count_at_the_shops_of_the_relay(database):
    """One that holds for all shops counts for each; other suppressions do not count."""
    kept = Suppressions(database, Pseudonyms([]))
    await kept.add("ada@example.com", SuppressionReason.COMPLAINT, shop="a.example", source="report")
    await kept.add("ben@example.com", SuppressionReason.COMPLAINT, shop="b.example", source="report")
    await kept.add("cai@example.com", SuppressionReason.COMPLAINT, source="report")
    await kept.add("dee@example.com", SuppressionReason.UNSUBSCRIBED, shop="a.example", source="link")
    old = await a_day_ago(database) - timedelta(hours=1)
    await kept.add("eve@example.com", SuppressionReason.COMPLAINT, shop="a.example", source="report", at=old)
    since = await a_day_ago(database)
    only_a, but_a = Shops(only=frozenset({"a.example"})), Shops(but=frozenset({"a.example"}))
    counted = [(await records(database, shops=shops).since(since)).complaints for shops in (ALL, only_a, but_a)]
    assert counted == [3, 2, 2]


async def test_complaints_are_counted_by_an_index(database):
    """A list of a million suppressions is not read once a minute."""
    query = {"reason": SuppressionReason.COMPLAINT.value, "at": {"$gte": datetime(2026, 12, 1, tzinfo=UTC)}}
    explained = await database.command("explain", {"find": "suppressions", "filter": query}, verbosity="queryPlanner")
    assert "complaints" in str(explained["queryPlanner"]["winningPlan"])
