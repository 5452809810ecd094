"""The page of results."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from recovery.app.factories import results_of
from recovery.mongo.collections import CHECKOUTS
from tests.support import one_loop
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world, tab

NOW = datetime.now(UTC).replace(microsecond=0)
LAST = (NOW + timedelta(days=9)).date().isoformat()


@one_loop.fixture
async def world(mongodb, database, relay):
    """A daemon with a hold-out that has not ended."""
    experiments = {"quiet": {"share": 0.5, "until": LAST}}
    keys = {"keys": ["a key of some length"]}
    async with console_world(mongodb, database, relay, experiments=experiments, suppressions=keys) as world:
        yield world


def stored(number, experiment, *, shop="shop.example", days=3):
    at = NOW - timedelta(days=days)
    held = number % 2 == 1
    ordered = number % (10 if held else 5) < 2
    mailed = {"messages": {"reminder-1": {"state": "sent", "sent_at": at}}, "written_at": at}
    return {
        "_id": f"{shop}/{number}",
        "shop": shop,
        "status": "ordered" if ordered else "finished",
        "facts": {"total": "20.50", "currency": "EUR", "locale": "de"},
        "opened_at": at,
        "touched_at": at,
        "revision": 1,
        "next_at": None,
        "experiments": {experiment: "held out" if held else "reminded"},
        "assigned_at": at,
        **({} if held else mailed),
        **({"ordered_at": at + timedelta(hours=2)} if ordered else {}),
        **({"returned": {"reminder-1": at + timedelta(hours=1)}} if number % 4 == 0 else {}),
    }


async def fill(world, count=60):
    (experiment,) = world.settings.to_experiments().all
    documents = [stored(number, experiment.id) for number in range(count)]
    documents += [stored(number, experiment.id, shop="lamps.example", days=6) for number in range(8)]
    await world.database[CHECKOUTS].insert_many(documents)
    await results_of(world.settings, world.database).count(NOW)


async def test_an_empty_page_says_when_there_will_be_something(browser, world):
    async with tab(browser, world) as opened:
        await opened.sign_in(READER, "/console/results")
        await opened.page.get_by_role("heading", name="There is nothing yet").wait_for()


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")], ids=["desk", "phone"])
async def test_three_figures_stand_side_by_side(browser, world, javascript, width, scheme):
    """With and without a script, on a desk and a phone; rows as they are chosen."""
    await fill(world)
    async with tab(browser, world, javascript=javascript, width=width, scheme=scheme) as opened:
        await opened.sign_in(READER, "/console/results")
        figures = opened.page.locator(".figure")
        assert await figures.count() == 3
        words = await figures.all_inner_texts()
        assert "came back by our link" in words[0]
        assert "ordered within 5 d" in words[1]
        assert "EUR" in words[1]
        assert "too little data" in words[2]
        await opened.page.get_by_label("Rows by").select_option("step")
        await opened.page.get_by_role("button", name="Show").click()
        await opened.page.get_by_role("cell", name="reminder-1").wait_for()
        assert await opened.page.locator("svg.chart g").count() == 2  # days
        assert "too little data" in await opened.page.locator(".tag.fair").inner_text()
        assert await opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_the_rows_are_a_file(browser, world):
    """The download has what the page shows."""
    await fill(world)
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR, "/console/results")
        async with opened.page.expect_download() as download:
            await opened.page.get_by_role("link", name="Download as CSV").click()
        file = await (await download.value).path()
        rows = list(csv.DictReader(StringIO(file.read_text())))
    assert [row["group"] for row in rows] == ["lamps.example", "shop.example", "total"]
    assert rows[-1]["mails"] == "34"


async def test_a_key_of_one_shop_sees_nothing_of_the_others(world):
    """Neither in the page nor in the file, whatever it asks for."""
    await fill(world)
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get("/console/results")).text
        file = (await client.get("/console/results.csv")).text
        asked = await client.get("/console/results", params={"shop": "shop.example"})
    assert "lamps.example" in page
    assert "shop.example" not in page + file
    assert ",4," in file
    assert asked.status_code == 403


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("by=colour", "by must be one of: shop, step"),
        ("since=soon", "since must be a day such as"),
        ("since=2026-02-02&until=2026-01-01", "since must be before until"),
        ("since=0001-01-01", "since must be before until"),
        ("until=0001-01-02", "must be"),
    ],
)
async def test_a_wrong_address_says_what_to_fix(world, query, sentence):
    """A sentence, and no fault of ours."""
    async with world.client(READER) as client:
        for path in ("results", "results.csv"):
            answer = await client.get(f"/console/{path}?{query}")
            assert answer.status_code == 422
            assert sentence in answer.text
