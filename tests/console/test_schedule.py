"""The page *schedule*: what is in force, another one tried beside it, and what it refuses."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

from recovery import Customer, Order
from recovery.app.trial import ScheduleTrial
from recovery.domain.simulation import Comparison
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import report
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world, tab

LATER = '[schedule]\nsteps = [{ name = "reminder-1", delay = "2h" }, { name = "reminder-2", delay = "1d" }]\n'


async def _fill(world, shop="shop.example"):
    """Report ten checkouts of ten days ago, four of them ordered an hour later."""
    left_at = datetime.now(UTC) - timedelta(days=10)
    for number in range(10):
        customer = Customer(email=f"customer{number}@example.com")
        await world.recovery.checkout(report(str(number), shop=shop, customer=customer, touched_at=left_at))
        if number < 4:
            ordered_at = left_at + timedelta(hours=1)
            await world.recovery.order(Order(shop=shop, order_id=str(number), ordered_at=ordered_at, confirm=False))


async def _kept(world):
    """Return the parts of checkouts that reports make; the daemon goes on meanwhile."""
    found = world.database[CHECKOUTS].find({}, {"facts": 1, "revision": 1, "touched_at": 1}).sort("_id", 1)
    return await found.to_list()


async def _try(page, text):
    await page.get_by_label("Schedule, as in recovery.toml").fill(text)
    await page.get_by_role("button", name="Try it").click()


async def _tried(browser, world, *, javascript):
    await _fill(world)
    before = await _kept(world)
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(READER, "/console/schedule")
        page = opened.page
        assert await page.get_by_role("cell", name="30 min").count() == 1
        await _try(page, LATER)
        result = page.locator("#result")
        await result.wait_for()
        row = result.get_by_role("row").filter(has_text="all reminders")
        assert await row.locator("td").all_inner_texts() == ["all reminders", "22", "12", "-10"]
        assert "ordered before" in await result.inner_text()
        assert await result.locator("svg").count() == 3
        assert LATER.strip() in await page.get_by_label("Schedule, as in recovery.toml").input_value()
    assert await _kept(world) == before


async def test_a_schedule_is_tried(browser, world):
    """A reader sees counts, charts and the checkouts that come out differently; nothing is written."""
    await _tried(browser, world, javascript=True)


async def test_a_schedule_is_tried_without_a_script(browser, world):
    """The same, by the form alone."""
    await _tried(browser, world, javascript=False)


async def test_faults_are_said_beside_the_text(browser, world):
    """The sentences of the settings; the text stays."""
    await _fill(world)
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR, "/console/schedule")
        await _try(opened.page, '[schedule]\nmin_gap = "soon"\n')
        alert = opened.page.get_by_role("alert")
        await alert.wait_for()
        assert "schedule.min_gap" in await alert.inner_text()
        assert "soon" in await opened.page.get_by_label("Schedule, as in recovery.toml").input_value()


async def test_the_text_of_the_schedule_in_force_changes_nothing(browser, world):
    """What the form is filled with is the schedule in force."""
    await _fill(world)
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR, "/console/schedule")
        await opened.page.get_by_role("button", name="Try it").click()
        await opened.page.get_by_text("0 the same at other times, 10 the same").wait_for()


async def test_it_fits_a_phone_and_the_dark(browser, world):
    """Nothing is wider than the screen."""
    await _fill(world)
    async with tab(browser, world, width=390, scheme="dark") as opened:
        await opened.sign_in(OPERATOR, "/console/schedule")
        await _try(opened.page, LATER)
        await opened.page.locator("#result").wait_for()
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await opened.page.evaluate(wide) <= 0


async def test_without_a_checkout_the_page_says_what_to_do(browser, world):
    """No shop is known yet; and a shop without old checkouts has nothing to replay."""
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR, "/console/schedule")
        assert "No shop has reported yet" in await opened.page.locator("main").inner_text()
        await world.recovery.checkout(report("1"))
        await opened.go("/console/schedule")
        await opened.page.get_by_role("button", name="Try it").click()
        await opened.page.get_by_text("No checkout to replay").wait_for()


async def test_a_key_of_one_shop_tries_for_no_other(world):
    """Neither sees its schedule."""
    await _fill(world)
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get("/console/schedule")).text
        assert "lamps.example" in page
        assert "shop.example" not in page
        assert (await client.get("/console/schedule?shop=shop.example")).status_code == 403


async def test_one_schedule_is_tried_at_a_time(world, monkeypatch):
    """The second gets a sentence, and what it wrote."""
    await _fill(world)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*_args):
        begun.set()
        await go_on.wait()
        return Comparison()

    monkeypatch.setattr(ScheduleTrial, "compare", slow)
    async with world.client(OPERATOR) as client:
        page = (await client.get("/console/schedule")).text
        token = re.search(r'action="/console/schedule">\s*<input type="hidden" name="token" value="([^"]+)"', page)[1]
        form = {"token": token, "shop": "shop.example", "since": "30", "schedule": LATER}
        first = asyncio.create_task(client.post("/console/schedule", data=form))
        await begun.wait()
        second = await client.post("/console/schedule", data=form)
        go_on.set()
        assert (await first).status_code == 200
    assert second.status_code == 503
    assert "Another schedule is being tried" in second.text
    assert "delay = &#34;2h&#34;" in second.text


async def test_an_experiment_is_tried(mongodb, database, relay):
    """Each arm with its checkouts and reminders, beside none in force."""
    later = '[experiments.later]\nshare = 0.5\nuntil = "2999-01-01"\nsteps = [{ name = "reminder-1", delay = "2h" }]\n'
    async with console_world(mongodb, database, relay, suppressions={"keys": ["a key of some length"]}) as world:
        await _fill(world)
        async with world.client(READER) as client:
            page = (await client.get("/console/schedule")).text
            token = re.search(r'action="/console/schedule">\s*<input type="hidden" name="token" value="([^"]+)"', page)[
                1
            ]
            form = {"token": token, "shop": "shop.example", "since": "30", "schedule": later}
            answer = await client.post("/console/schedule", data=form)
    assert answer.status_code == 200
    rows = re.findall(r"<tr>.*?later-[0-9a-f]{8} ([ab]: \w+).*?</tr>", answer.text, re.DOTALL)
    assert rows == ["a: checkouts", "a: reminders", "b: checkouts", "b: reminders"]
