"""Suppressions on a real MongoDB."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import WriteError

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import Suppression, SuppressionReason
from recovery.mongo.collections import OPTIONS, SUPPRESSIONS
from recovery.mongo.suppressions import KeptSuppression, NewSuppression, Suppressions, Which
from tests.support.commands import Commands

ADA, BEN = "ada@example.com", "ben@example.com"
SHOP, OTHER = "shop.example", "other.example"
AT = datetime(2026, 3, 5, 12, tzinfo=UTC)
KEYS = ["the newest key of all", "an older key"]

UNSUBSCRIBED, COMPLAINT = SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT
HARD, BY_SHOP = SuppressionReason.HARD_BOUNCE, SuppressionReason.SHOP
SOFT = SuppressionReason.SOFT_BOUNCES


@pytest.fixture
def suppressions(database):
    return Suppressions(database, Pseudonyms(KEYS))


async def held(suppressions, *addresses):
    """Return the reasons of suppressed addresses, by address."""
    return {address: found.reason for address, found in (await suppressions.of(addresses)).items()}


async def everything(suppressions, limit=0, **which):
    return [kept async for kept in suppressions.each(Which(**which), limit=limit)]


async def test_an_unsubscription_is_for_one_shop(suppressions):
    """An unsubscription applies to that shop only."""
    assert await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link", at=AT)
    found = await suppressions.of([(SHOP, "Ada@Example.com"), (OTHER, ADA), (SHOP, BEN)])
    assert found == {(SHOP, "Ada@Example.com"): Suppression(UNSUBSCRIBED, AT)}
    assert not found[SHOP, "Ada@Example.com"].dead


async def test_a_hard_bounce_is_for_all_shops(suppressions):
    """A hard bounce applies to every shop, whichever found it."""
    await suppressions.add(ADA, HARD, shop=SHOP, source="relay", at=AT)
    found = await suppressions.of([(SHOP, ADA), (OTHER, ADA)])
    assert found == dict.fromkeys([(SHOP, ADA), (OTHER, ADA)], Suppression(HARD, AT))
    assert found[OTHER, ADA].dead


async def test_the_same_again_changes_nothing(suppressions):
    """Adding a suppression is idempotent: the second keeps time and source, and returns False."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link", at=AT)
    assert not await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="operator")
    (kept,) = await everything(suppressions)
    assert (kept.at, kept.source) == (AT, "link")


@pytest.mark.parametrize(("first", "then"), [(UNSUBSCRIBED, COMPLAINT), (COMPLAINT, UNSUBSCRIBED)])
async def test_nothing_is_weakened(suppressions, first, then):
    """The stronger reason wins, in either order."""
    await suppressions.add(ADA, first, shop=SHOP, source="a")
    assert await suppressions.add(ADA, then, shop=SHOP, source="b") is (then is COMPLAINT)
    assert await held(suppressions, (SHOP, ADA)) == {(SHOP, ADA): COMPLAINT}


async def test_the_strongest_counts(suppressions):
    """With a suppression for the shop and one for all, the stronger is returned."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link")
    await suppressions.add(ADA, HARD, source="relay")
    assert await held(suppressions, (SHOP, ADA)) == {(SHOP, ADA): HARD}


async def test_a_few_soft_bounces_are_only_counted(suppressions, database):
    """Soft bounces of one day suppress nothing, and a repeated report counts once."""
    pseudonym = Pseudonyms(KEYS).of(ADA)
    assert await suppressions.bounced(pseudonym, "<1@mx>", AT)
    assert not await suppressions.bounced(pseudonym, "<1@mx>", AT)
    assert await suppressions.bounced(pseudonym, "<2@mx>", AT)
    assert await suppressions.of([(SHOP, ADA)]) == {}
    assert await everything(suppressions) == []
    (document,) = await database[SUPPRESSIONS].find().to_list()
    assert (document["soft_bounces"], document["last_bounce_at"]) == (2, AT)
    assert await suppressions.add(ADA, HARD, source="relay")
    (document,) = await database[SUPPRESSIONS].find().to_list()
    assert (document["soft_bounces"], document["reason"]) == (2, "hard bounce")


async def ago(database, days):
    """Return a time so many days before the server's, at noon."""
    now = (await database.command("hello"))["localTime"].replace(tzinfo=UTC)
    return now.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=days)


async def bounced_on(suppressions, database, *days, full=False):
    """Report a soft bounce of Ada's on each of these days, given as days ago."""
    for day in days:
        at = await ago(database, day)
        await suppressions.bounced(Pseudonyms(KEYS).of(ADA), f"<{at}@mx>", at, full=full)


@pytest.mark.parametrize(("full", "days"), [(False, 90), (True, 30)])
async def test_soft_bounces_on_three_days_add_up(suppressions, database, full, days):
    """They stop reminders of all shops for 90 days, or for 30 if the mailbox is full, and are then counted again."""
    await bounced_on(suppressions, database, 5, 5, 3)
    assert await suppressions.of([(SHOP, ADA)]) == {}
    await bounced_on(suppressions, database, 1, full=full)
    found = (await suppressions.of([(SHOP, ADA)]))[SHOP, ADA]
    assert (found.reason, found.dead) == (SOFT, False)
    (kept,) = await everything(suppressions)
    assert kept.until - kept.at == timedelta(days=days)
    await bounced_on(suppressions, database, 0)
    (again,) = await everything(suppressions)
    assert again == kept


async def test_soft_bounces_long_ago_are_forgotten(suppressions, database):
    """Days add up within 90 days only."""
    await bounced_on(suppressions, database, 200, 91, 2, 1)
    assert await suppressions.of([(SHOP, ADA)]) == {}


async def test_a_suppression_for_soft_bounces_ends(suppressions, database):
    """After its end, the address gets reminders again, and is neither listed nor lifted."""
    await bounced_on(suppressions, database, 3, 2, 1)
    await database[SUPPRESSIONS].update_many({}, {"$set": {"until": await ago(database, 1)}})
    assert await suppressions.of([(SHOP, ADA)]) == {}
    assert await everything(suppressions) == []
    assert await suppressions.lift(Which()) == 0
    await bounced_on(suppressions, database, 6, 5, 4)
    assert await held(suppressions, (SHOP, ADA)) == {(SHOP, ADA): SOFT}


async def test_a_stronger_reason_has_no_end(suppressions, database):
    """A hard bounce after soft ones suppresses for good, and soft ones after a hard one change nothing."""
    await bounced_on(suppressions, database, 3, 2, 1)
    assert await suppressions.add(ADA, HARD, source="relay")
    await bounced_on(suppressions, database, 6, 5, 4)
    (kept,) = await everything(suppressions)
    assert (kept.reason, kept.until) == (HARD, None)


async def test_a_time_is_never_in_the_future(suppressions):
    """A reported time is capped at the server's time."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link", at=datetime(2999, 1, 1, tzinfo=UTC))
    assert (await everything(suppressions))[0].at.year < 2999


async def test_text_from_outside_is_only_text(suppressions):
    """A source or an id that looks like a MongoDB operator is stored literally."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="$at", at=AT)
    assert (await everything(suppressions))[0].source == "$at"
    assert await suppressions.bounced(Pseudonyms(KEYS).of(BEN), "$_id")


async def test_removal_lifts_what_it_names(suppressions):
    """A removal lifts the suppression for its shop, or the one for all, and only with the given reason."""
    await suppressions.add(ADA, COMPLAINT, shop=SHOP, source="report")
    await suppressions.add(ADA, HARD, source="relay")
    assert not await suppressions.remove(ADA, shop=SHOP, reason=UNSUBSCRIBED)
    assert await suppressions.remove(ADA)
    assert await held(suppressions, (SHOP, ADA)) == {(SHOP, ADA): COMPLAINT}
    assert await suppressions.remove(ADA, shop=SHOP)
    assert not await suppressions.remove(ADA, shop=SHOP)
    assert await suppressions.of([(SHOP, ADA)]) == {}


async def test_removal_lifts_nothing_older_than_it_says(suppressions):
    """With `since`, older suppressions stay."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link", at=AT)
    assert not await suppressions.remove(ADA, shop=SHOP, since=AT + timedelta(seconds=1))
    assert await suppressions.remove(ADA, shop=SHOP, since=AT)


async def test_older_keys_are_found_and_lifted(database):
    """Suppressions under an older key, or without one, still apply, and can be lifted."""
    for keys, shop in (([], SHOP), (["an older key"], OTHER)):
        await Suppressions(database, Pseudonyms(keys)).add(ADA, UNSUBSCRIBED, shop=shop, source="link")
    now = Suppressions(database, Pseudonyms(KEYS))
    assert set(await now.of([(SHOP, ADA), (OTHER, ADA)])) == {(SHOP, ADA), (OTHER, ADA)}
    assert await now.remove(ADA, shop=SHOP)
    assert set(await now.of([(SHOP, ADA), (OTHER, ADA)])) == {(OTHER, ADA)}


async def test_many_are_found_by_one_query(mongodb, database, database_name):
    """Any number of addresses is one round trip."""
    commands = Commands(lambda name, _: name)

    addresses = [(SHOP, f"{number}@example.com") for number in range(500)]
    pseudonyms = Pseudonyms(KEYS)
    new = [NewSuppression(SHOP, pseudonyms.of(email), UNSUBSCRIBED, "import") for _, email in addresses]
    assert await Suppressions(database, pseudonyms).keep(new) == 500
    async with AsyncMongoClient(mongodb, event_listeners=[commands]) as client:
        suppressions = Suppressions(client.get_database(database_name, **OPTIONS), pseudonyms)
        await suppressions.of(addresses[:1])
        commands.noted.clear()
        assert len(await suppressions.of(addresses)) == 500
        assert commands.noted == ["find"]
        assert await suppressions.of([]) == {}
        assert commands.noted == ["find"]


async def test_the_list_is_narrowed(suppressions):
    """Shop, reason and limit filter the list; a prefix of a shop's name does not match."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link", at=AT)
    await suppressions.add(BEN, BY_SHOP, shop="shop.example.com", source="operator", at=AT)
    await suppressions.add(BEN, HARD, source="relay", at=AT)
    ada = KeptSuppression(SHOP, Pseudonyms(KEYS).of(ADA), UNSUBSCRIBED, AT, "link")
    assert await everything(suppressions, shop=SHOP) == [ada]
    assert [kept.shop for kept in await everything(suppressions, reason=HARD)] == [None]
    assert len(await everything(suppressions)) == 3
    assert len(await everything(suppressions, limit=2)) == 2


async def test_no_address_is_kept(suppressions, database):
    """The collection holds no address, however it was suppressed."""
    await suppressions.add(ADA, UNSUBSCRIBED, shop=SHOP, source="link")
    await suppressions.bounced(Pseudonyms(KEYS).of(ADA), "report")
    assert "example.com" not in str(await database[SUPPRESSIONS].find().to_list())


@pytest.mark.parametrize("document", [{"_id": "shop/ada@example.com"}, {"reason": "unsubscribed"}, {"reason": "bored"}])
async def test_nothing_else_is_kept(database, document):
    """The validator refuses an address as key, a reason without a time, and an unknown reason."""
    with pytest.raises(WriteError):
        await database[SUPPRESSIONS].insert_one({"_id": f"/{'0' * 32}"} | document)


async def test_who_an_older_version_suppressed_is_not_written_to(database, suppressions):
    """Older versions stored `groß` as `gross`: that stops mails to both, and is lifted for the given one only."""
    former = Pseudonyms(KEYS).of("gross@example.com")
    await suppressions.suppress(former, UNSUBSCRIBED, shop=SHOP, source="link")
    assert await held(suppressions, (SHOP, "groß@example.com")) == {(SHOP, "groß@example.com"): UNSUBSCRIBED}
    assert not await suppressions.remove("groß@example.com", shop=SHOP)
    assert await suppressions.remove("gross@example.com", shop=SHOP)
    assert await held(suppressions, (SHOP, "groß@example.com")) == {}
