"""A daemon takes the words that were written in the console, without a restart."""

import asyncio

import pytest
from structlog.testing import capture_logs

from recovery.app.shops import composers_of
from recovery.daemon import template_reload
from recovery.daemon import words as daemon_words
from recovery.daemon.words import WordsWatch
from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.errors import Unavailable
from recovery.mail.templates import samples
from recovery.mongo.words import EditedWords
from recovery.settings.given import given_settings
from tests.support.builders import NOON

SHOP, OWN, OTHER = "lamps.example", "own.example", "other.example"
KEY = ("reminder-1", "subject")


def edit(text, shop=SHOP):
    return Edit(shop, "", ((KEY, text),) if text else ())


@pytest.fixture
def composers(tmp_path):
    """Two shops with settings of their own, one of them with a folder of its own; and all others."""
    (tmp_path / "words.toml").write_text('[reminder-1]\nsubject = "folder"\n')
    shops = {
        SHOP: {"brand": {"name": "Lamps"}},
        OWN: {"mail": {"sender": "a <a@b.example>", "templates": str(tmp_path)}},
    }
    return composers_of(given_settings({"shops": shops}))


@pytest.fixture
def words(database):
    return EditedWords(database)


@pytest.fixture
def watch(words, composers):
    templates = composers.map(lambda composer: composer.templates)
    return WordsWatch(words, templates.each(), templates.of_shop)


def subject(composers, shop, name="reminder-1"):
    composer, sample = composers.of_shop(shop), samples.left_open()
    step = next(step for step in composer.templates._steps if step.name == name)
    return composer.render(sample.model_copy(update={"id": f"{shop}/1"}), step).subject


def subjects(composers):
    return [subject(composers, shop) for shop in (SHOP, OWN, OTHER)]


DEFAULT = "You left Arc floor lamp behind"


async def test_a_start_takes_the_words_in_force_before_the_first_mail(words, watch, composers):
    """The newest of each shop, for the mails of that shop alone, also if it shares its templates with others."""
    await words.save(edit("old"), "olga", NOON, after=0)
    await words.save(edit("new"), "olga", NOON, after=1)
    await watch.begin()
    assert subjects(composers) == ["new", "folder", DEFAULT]


async def test_words_for_all_stand_below_a_shop_s_own_folder_and_above_that_of_all(words, watch, composers):
    """And a shop's own words of the console above everything. What its folder does not say is said by those for all."""
    for_all = Edit(ALL_SHOPS, "", ((KEY, "all"), (("reminder-2", "subject"), "all again")))
    await words.save(for_all, "olga", NOON, after=0)
    await watch.begin()
    assert subjects(composers) == ["all", "folder", "all"]
    assert subject(composers, OWN, "reminder-2") == "all again"
    await words.save(edit("own", OWN), "olga", NOON, after=0)
    await words.save(edit("other", OTHER), "olga", NOON, after=0)
    await watch.refresh()
    assert subjects(composers) == ["all", "own", "other"]


async def test_the_words_of_the_files_come_back(words, watch, composers):
    """With a version without words, and with a document that somebody has deleted."""
    await words.save(edit("new"), "olga", NOON, after=0)
    await words.save(edit("other", OTHER), "olga", NOON, after=0)
    await watch.begin()
    await words.save(edit(""), "olga", NOON, after=1)
    await words._words.delete_many({"of": f"{OTHER}/"})
    await watch.refresh()
    assert subjects(composers) == [DEFAULT, "folder", DEFAULT]


async def test_words_that_cannot_be_taken_are_logged_and_those_before_stay(words, watch, composers):
    """At the start: those of the files. The log names the shop and the word's line, once."""
    with capture_logs() as log:
        await words.save(edit("{{ nobody }}"), "olga", NOON, after=0)
        await watch.begin()
        assert subject(composers, SHOP) == DEFAULT
        await words.save(edit("fine"), "olga", NOON, after=1)
        await watch.refresh()
        await words.save(edit("{{ nobody }}"), "olga", NOON, after=2)
        await watch.refresh()
        await watch.refresh()
    assert subject(composers, SHOP) == "fine"
    fault = f"console/{SHOP}/words.toml, line 2: 'nobody' is undefined"
    assert [(line["event"], line["fault"]) for line in log if line["log_level"] == "error"] == [
        ("template change refused", fault)
    ] * 2


async def test_nothing_is_read_while_nothing_is_saved(words, watch, composers, monkeypatch):
    """Only the numbers of the versions are asked for."""
    await words.save(edit("new"), "olga", NOON, after=0)
    await watch.begin()
    asked = []
    monkeypatch.setattr(words, "edits", lambda numbers: asked.append(numbers))
    await watch.look()
    assert asked == []


async def _passed(_files):
    return None


async def test_the_looks_go_on_while_the_database_is_away(words, watch, composers, monkeypatch):
    """The words stay as they are, and new ones are taken when it is back."""
    monkeypatch.setattr(daemon_words, "EVERY", 0.001)
    monkeypatch.setattr(template_reload, "EVERY", 0.001)
    monkeypatch.setattr(template_reload, "AT_FIRST", 0)
    monkeypatch.setattr(template_reload, "BETWEEN", 0)
    await watch.begin()
    numbers, failed = words.numbers, asyncio.Event()

    async def away():
        failed.set()
        raise Unavailable("away")

    monkeypatch.setattr(words, "numbers", away)
    templates = composers.of_shop(SHOP).templates
    monkeypatch.setattr(templates, "trial", _passed)  # which other tests see, and which takes its time
    tasks = [asyncio.create_task(watch.run()), asyncio.create_task(template_reload.reload(templates))]
    try:
        async with asyncio.timeout(60):
            await failed.wait()
            monkeypatch.setattr(words, "numbers", numbers)
            await words.save(edit("new"), "olga", NOON, after=0)
            while subject(composers, SHOP) != "new":
                await asyncio.sleep(0.01)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
