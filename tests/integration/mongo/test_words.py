"""The versions of edited words, on a real mongod."""

import asyncio

import pytest

from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.mongo.collections import NEWEST_WORDS, WORDS
from recovery.mongo.words import MOST_KEPT, EditedWords, SavedSince, Version
from tests.support.builders import NOON, minutes

SHOP = "shop.example"
KEY = ("reminder-1", "subject")


@pytest.fixture
def words(database):
    return EditedWords(database)


def edit(text, shop=SHOP, locale=""):
    return Edit(shop, locale, ((KEY, text),) if text else ())


async def test_each_save_is_a_version_and_the_newest_is_in_force(words):
    """It says who saved it, and when; before the first, there are no words."""
    assert await words.newest(SHOP, "") == Version(edit(""))
    await words.save(edit("one"), "olga", NOON, after=0)
    saved = await words.save(edit("two"), "b" * 1000, NOON + minutes(1), after=1)
    assert saved == Version(edit("two"), 2, "b" * 100, NOON + minutes(1))
    assert await words.newest(SHOP, "") == saved
    assert [each.number for each in await words.history(SHOP, "")] == [2, 1]
    assert (await words.version(SHOP, "", 1)).edit == edit("one")
    assert (await words.version(SHOP, "", 0)).edit == edit("")
    assert await words.version(SHOP, "", 3) is None


async def test_shops_and_languages_have_versions_of_their_own(words):
    """A shop's, those for all, and each language."""
    for shop, locale in ((SHOP, ""), (SHOP, "de"), ("other.example", ""), (ALL_SHOPS, "de")):
        await words.save(edit(f"{shop} {locale}", shop, locale), "olga", NOON, after=0)
    await words.save(edit("newer"), "olga", NOON, after=1)
    numbers = await words.numbers()
    assert numbers == {f"{SHOP}/": 2, f"{SHOP}/de": 1, "other.example/": 1, "*/de": 1}
    edits = await words.edits({of: number for of, number in numbers.items() if "other" not in of})
    assert edits[f"{SHOP}/"] == edit("newer")
    assert edits["*/de"] == edit("* de", ALL_SHOPS, "de")
    assert "other.example/" not in edits
    assert await words.edits({}) == {}


async def test_of_two_who_save_the_second_is_told(words):
    """By the version that is newest then, which is the first's; nothing of it is overwritten."""
    await words.save(edit("first"), "olga", NOON, after=0)
    with pytest.raises(SavedSince) as told:
        await words.save(edit("second"), "rudi", NOON, after=0)
    assert told.value.newest == Version(edit("first"), 1, "olga", NOON)
    assert (await words.newest(SHOP, "")).edit == edit("first")


async def test_of_many_who_save_at_the_same_instant_one_does(words, monkeypatch):
    """The unique key decides: none of them saw that another was newest."""
    newest, all_have_looked, looks = words._newest, asyncio.Barrier(8), []

    async def looked(shop, locale):
        found = await newest(shop, locale)
        looks.append(found.number)
        if len(looks) <= 8:
            await all_have_looked.wait()
        return found

    monkeypatch.setattr(words, "_newest", looked)
    saves = [words.save(edit(str(n)), f"key {n}", NOON, after=0) for n in range(8)]
    results = await asyncio.gather(*saves, return_exceptions=True)
    (saved,) = [each for each in results if isinstance(each, Version)]
    assert all(isinstance(each, SavedSince) for each in results if each is not saved)
    assert looks == [0] * 8 + [1] * 7
    assert await words.history(SHOP, "") == [saved]


async def test_old_versions_go(words, database):
    """Of each shop and language the newest are kept; the numbers go on, and an old page is told."""
    documents = [
        {"_id": f"{SHOP}//{n}", "of": f"{SHOP}/", "version": n, "by": "olga", "at": NOON, "words": []}
        for n in range(1, MOST_KEPT + 1)
    ]
    await database[WORDS].insert_many(documents)
    await words.save(edit("x"), "olga", NOON, after=MOST_KEPT)
    assert [each.number for each in await words.history(SHOP, "")] == list(range(MOST_KEPT + 1, 1, -1))
    with pytest.raises(SavedSince):
        await words.save(edit("y"), "olga", NOON, after=0)


@pytest.mark.parametrize("shop", ["", "a/b"])
async def test_what_is_no_shop_has_no_words(words, shop):
    """A slash would make the key of another shop."""
    with pytest.raises(ValueError, match="neither the name of a shop"):
        await words.save(edit("x", shop), "olga", NOON, after=0)


async def test_what_every_daemon_asks_reads_one_key_of_each(words, database):
    """However many versions there are."""
    for shop in ("a", "b"):
        for after in range(10):
            await words.save(edit(str(after), shop), "olga", NOON, after=after)
    pipeline = [
        {"$sort": {"of": 1, "version": -1}},
        {"$group": {"_id": "$of", "version": {"$first": "$version"}}},
    ]
    command = {"aggregate": WORDS, "pipeline": pipeline, "hint": NEWEST_WORDS, "cursor": {}}
    plan = str(await database.command("explain", command, verbosity="queryPlanner"))
    assert "DISTINCT_SCAN" in plan
    assert await words.numbers() == {"a/": 10, "b/": 10}


async def test_what_was_written_by_hand_ends_nothing(words, database):
    """Words that are no words are passed over, and so is a version without a number."""
    strange = [{"mail": "reminder-1", "key": "subject", "text": 1}, "x", {"mail": "", "key": "foot", "text": "Bye"}]
    await database[WORDS].insert_one(
        {"_id": f"{SHOP}//1", "of": f"{SHOP}/", "version": 1, "by": "", "at": NOON, "words": strange}
    )
    raw = database.client.get_database(database.name)
    await raw.command(
        {
            "insert": WORDS,
            "documents": [{"_id": "b//x", "of": "b/", "version": "x", "by": "", "at": NOON, "words": []}],
            "bypassDocumentValidation": True,
        }
    )
    assert await words.numbers() == {f"{SHOP}/": 1}
    assert (await words.edits({f"{SHOP}/": 1}))[f"{SHOP}/"].words == ((("", "foot"), "Bye"),)
    assert (await words.history("b", ""))[0].number == 0
