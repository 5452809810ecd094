"""Lists and summaries of dead letters, on a real mongod."""

from datetime import timedelta

import pytest

from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import Cause, Status
from recovery.engine.writes import DeadLetter
from recovery.mongo import dead_letters
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from recovery.mongo.dead_letters import DeadLetters, Filter, SameError
from recovery.mongo.listing import BadFilter, Position
from recovery.mongo.pauses import Pauses
from recovery.mongo.replays import Replays
from recovery.mongo.suppressions import Suppressions
from tests.support.builders import minutes, schedule
from tests.support.dead_messages import die, now
from tests.support.stores import bury


async def _pages(letters, which, limit):
    after = None
    while True:
        page = await letters.page(which, limit, after)
        yield [letter.checkout.partition("/")[2] for letter in page.letters]
        if page.next is None:
            return
        after = page.next


async def test_pages_have_each_letter_once_the_newest_first(database):
    """Letters of one instant, as of a batch, are told apart by their ids."""
    at = now() - minutes(10)
    for order_id, died_at in (("a", at), ("b", at), ("c", at), ("d", at + minutes(1)), ("e", at - minutes(1))):
        await die(database, order_id, at=died_at)
    pages = [page async for page in _pages(DeadLetters(database), Filter(), 2)]
    assert pages == [["d", "c"], ["b", "a"], ["e"]]


@pytest.mark.parametrize("after", ["nonsense", "", str(Position(2**63 - 1, "x"))[:-1] + "!"])
async def test_a_position_that_is_none_is_refused(database, after):
    """Whatever is in the address of a page, it is an error of the caller."""
    with pytest.raises(BadFilter):
        await DeadLetters(database).page(Filter(), 2, after)


@pytest.mark.parametrize("at", [2**63 - 1, -(2**63)])
async def test_a_position_out_of_all_times_is_one(database, at):
    """A position that somebody made up shows everything or nothing."""
    await die(database, "a")
    found = await DeadLetters(database).page(Filter(), 2, str(Position(at, "x")))
    assert len(found.letters) == (1 if at > 0 else 0)


async def test_letters_of_other_shops_are_left_out(database):
    """A shop whose name begins like another's is another one."""
    for shop in ("lamps.example", "lamps.example.org", "shop.example"):
        await die(database, "1", shop=shop)
    letters = DeadLetters(database)
    which = Filter(shops=("lamps.example",))
    assert [letter.checkout for letter in (await letters.page(which, 9)).letters] == ["lamps.example/1"]
    assert [id_ async for id_ in letters.ids(which)] == ["lamps.example/1#reminder-1"]
    assert (await letters.summary(which)).count == 1
    both = Filter(shops=("lamps.example", "shop.example"))
    assert (await letters.summary(both)).count == 2
    assert await letters.find(Filter(shop="shop.example", shops=("lamps.example",))) == []


async def test_a_summary_counts_by_cause_and_by_error(database):
    """The most frequent error is first."""
    await die(database, "1", cause=Cause.LOST, error="lost")
    for order_id in ("2", "3"):
        await die(database, order_id, error="451 later")
    summary = await DeadLetters(database).summary(Filter())
    assert (summary.count, summary.more) == (3, False)
    assert summary.causes == {Cause.ATTEMPTS: 2, Cause.LOST: 1}
    assert summary.errors == [SameError(Cause.ATTEMPTS, "451 later", 2), SameError(Cause.LOST, "lost", 1)]


async def test_a_summary_is_bounded(database, monkeypatch):
    """Of more than it counts, it says that there are more."""
    monkeypatch.setattr(dead_letters, "MOST_SUMMED", 2)
    for order_id in ("1", "2", "3"):
        await die(database, order_id)
    summary = await DeadLetters(database).summary(Filter())
    assert (summary.count, summary.more) == (2, True)


async def test_lists_are_read_from_an_index(database):
    """Neither the letters that wait nor all of them are sorted in memory."""
    for which in (Filter(), Filter(cause=Cause.LOST, step="reminder-1"), Filter(replayed=True)):
        cursor = database[DEAD_LETTERS].find(which.query()).sort([("at", -1), ("_id", -1)]).limit(51)
        plan = str((await cursor.explain())["queryPlanner"]["winningPlan"])
        assert "'SORT'" not in plan
        assert ("'waiting'" if not which.replayed else "'listed'") in plan


async def test_one_that_died_again_meanwhile_is_neither_replayed_nor_dropped(database):
    """What somebody saw of a letter is what they decided about."""
    letter = await die(database, "1")
    letters = DeadLetters(database)
    seen = await letters.find(Filter())
    await bury(database, [DeadLetter(letter.checkout, letter.step, Cause.LOST, "lost", now(), 1)])
    assert await letters.drop(seen) == 0
    await letters.replay(seen, now())
    (kept,) = await letters.find(Filter())
    assert (kept.cause, kept.replayed_at) == (Cause.LOST, None)


async def test_a_replay_tells_who_asked_for_it(database):
    """The history of the checkout names them."""
    await die(database, "1")
    letters = DeadLetters(database)
    await letters.replay(await letters.find(Filter()), now(), "olga in the console")
    history = (await database[CHECKOUTS].find_one({}))["history"]
    assert history[-1]["reason"] == "requested by olga in the console"


async def test_each_letter_has_its_forecast(database):
    """What a replay comes to follows from the checkout as it is now."""
    await die(database, "due")
    await die(database, "ordered", status=Status.ORDERED, ordered_at=now(), confirm=False)
    gone = await die(database, "gone")
    await database[CHECKOUTS].delete_one({"_id": gone.checkout})
    await bury(database, [DeadLetter("shop.example/due", None, Cause.INVALID, "total: not a number", now())])
    letters = await DeadLetters(database).find(Filter())
    replays = Replays(database, Suppressions(database, Pseudonyms(())), PerShop(schedule(min_gap=timedelta(0))))
    expected = await replays.expected(letters, now())
    told = {id_.removeprefix("shop.example/"): each.told("would") for id_, each in expected.items()}
    assert told["due#reminder-1"] == "would send reminder-1"
    assert told["ordered#reminder-1"].startswith("would not be sent: ")
    assert told["gone#reminder-1"] == "its checkout is gone, or still cannot be read"
    assert told["due#"] == "its checkout would be checked again"
    assert [each.sends for each in expected.values()].count(True) == 1


async def test_the_forecast_of_a_replay_knows_pauses(database):
    """Letters of a shop that is paused will wait, and so will all while all sending is paused."""
    await die(database, "due")
    letters = await DeadLetters(database).find(Filter())
    replays = Replays(database, Suppressions(database, Pseudonyms(())), PerShop(schedule(min_gap=timedelta(0))))
    pauses = Pauses(database)
    for shop, why in (("shop.example", "sending for shop.example is paused"), (None, "all sending is paused")):
        await pauses.pause(shop, "ada", "a test", now())
        [expected] = (await replays.expected(letters, now())).values()
        assert (expected.told("will"), expected.sends) == (f"will wait: {why}", False)
    await pauses.resume(None)
    await pauses.resume("shop.example")
    [expected] = (await replays.expected(letters, now())).values()
    assert expected.sends
