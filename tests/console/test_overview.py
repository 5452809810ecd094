"""The overview, while it is open."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from recovery.mongo.pauses import Pauses
from tests.support import one_loop
from tests.support.builders import report
from tests.support.console_forms import post, token_of
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world, tab


@one_loop.fixture
async def world(mongodb, database, relay):
    """A daemon whose relay may have one mail a day."""
    smtp = {"host": relay.host, "port": relay.port, "tls": "none", "rate": "1/d"}
    async with console_world(mongodb, database, relay, smtp=smtp) as world:
        yield world


async def test_it_tells_what_is_due_while_it_is_open(browser, world):
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR)
        figures = opened.page.locator("#figures")
        assert "nothing waits" in await figures.inner_text()
        await _overdue(world, "shop.example")
        await figures.get_by_text("the oldest since").wait_for()
        await opened.page.locator("#state").get_by_text("mongodb").wait_for()


async def test_without_a_script_it_tells_the_same(browser, world):
    await _overdue(world, "shop.example")
    async with tab(browser, world, javascript=False) as opened:
        await opened.sign_in(OPERATOR)
        assert "the oldest since" in await opened.page.locator("#figures").inner_text()
        assert "console-test" in await opened.page.locator("#state").inner_text()


async def test_a_key_of_one_shop_sees_nothing_of_the_others(world):
    await _overdue(world, "shop.example")
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get("/console")).text
    assert "nothing waits" in page
    assert "Daemons" not in page


async def test_an_overview_that_is_no_longer_live_says_so(browser, world):
    """As when the daemon is gone, or the session is over: figures of an hour ago look like those of now."""
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR)
        stale = opened.page.get_by_text("These figures are no longer kept up to date")
        await opened.page.locator("#state").get_by_text("mongodb").wait_for()
        assert not await stale.is_visible()
        world.stop.set()
        await stale.wait_for()
        opened.wrong.clear()  # the daemon is not there any more


async def test_the_daemon_stops_although_an_overview_is_open(world):
    async with world.client(OPERATOR) as client, client.stream("GET", "/console/live") as answer:
        parts = answer.aiter_lines()
        assert await anext(parts) == "event: part"
        world.stop.set()
        async with asyncio.timeout(30):
            async for _ in parts:
                pass


async def _overdue(world, shop: str) -> None:
    """Leave a checkout due: of the two that are, the relay may have one a day."""
    for order_id in ("1", "2"):
        left_at = datetime.now(UTC) - timedelta(minutes=33)
        await world.recovery.checkout(
            report(order_id, shop=shop, customer={"email": f"{order_id}@example.com"}, touched_at=left_at)
        )
    async with asyncio.timeout(30):
        while not world.relay.mails:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_all_sending_is_paused_and_resumed(browser, world, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR)
        await opened.page.get_by_label("Reason").fill("the relay moves")
        await opened.page.get_by_role("button", name="Pause").click()
        await opened.page.get_by_role("heading", name="Pause all sending?").wait_for()
        assert await Pauses(world.database).all() == []
        await opened.page.get_by_role("button", name="Pause").click()
        alarm = opened.page.get_by_role("alert")
        assert "All sending is paused" in await alarm.inner_text()
        assert "by olga: the relay moves" in await alarm.inner_text()
        assert "All sending is paused." in await opened.page.get_by_role("status").inner_text()

        await alarm.get_by_role("button", name="Resume").click()
        await opened.page.get_by_role("button", name="Resume").click()
        assert "All sending is resumed." in await opened.page.get_by_role("status").inner_text()
        assert await opened.page.get_by_role("alert").count() == 0
        assert await Pauses(world.database).all() == []


async def test_a_key_of_one_shop_pauses_that_shop_alone(browser, world):
    await Pauses(world.database).pause(None, "olga", "", datetime.now(UTC))
    async with tab(browser, world) as opened:
        await opened.sign_in(LAMPS_ONLY)
        assert await opened.page.get_by_role("button", name="Resume").count() == 0
        await opened.page.get_by_label("Shop").fill("lamps.example")
        await opened.page.get_by_role("button", name="Pause").click()
        await opened.page.get_by_role("button", name="Pause").click()
        await opened.page.get_by_label("Shop").fill("shop.example")
        await opened.page.get_by_role("button", name="Pause").click()
        assert "is not valid for this shop" in await opened.page.locator("main").inner_text()
    assert [each.shop for each in await Pauses(world.database).all()] == [None, "lamps.example"]


async def test_a_shop_that_nobody_knows_cannot_be_paused(world):
    """Its name is misspelt, and nothing would stop; as on the command line. A pause that is there can be ended."""
    await _overdue(world, "shop.example")
    async with world.client(OPERATOR) as client:
        token = await token_of(client, "/console", "/pause")
        for shop, said in (("shop.exampel", "There is no shop shop.exampel"), ("*", "is not the name of a shop")):
            answer = await post(client, "/console/pause", token, {"shop": shop, "sure": "yes"})
            assert (answer.status, said in answer.text) == (422, True)
        assert await Pauses(world.database).all() == []
        answer = await post(client, "/console/pause", token, {"shop": "shop.example"})
        assert answer.question == "Pause sending for shop.example?"
        await Pauses(world.database).pause("gone.example", "olga", "", datetime.now(UTC))
        while "gone.example" not in (await client.get("/console")).text:  # its figures are a second old at most
            await asyncio.sleep(0.1)
        resume = await token_of(client, "/console", "/resume")
        yes = {"shop": "gone.example", "sure": "yes"}
        assert (await post(client, "/console/resume", resume, yes)).said == "Sending for gone.example is resumed."
        assert (await post(client, "/console/resume", resume, yes)).said == "Sending for gone.example was not paused."


async def test_a_double_click_does_an_act_once(browser, world):
    """The second would answer that there is nothing to resume."""
    await Pauses(world.database).pause(None, "olga", "", datetime.now(UTC))
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR)
        await opened.page.get_by_role("alert").get_by_role("button", name="Resume").click()
        await opened.page.get_by_role("heading", name="Resume all sending?").wait_for()
        posts = []
        opened.page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
        await opened.page.get_by_role("button", name="Resume").dblclick()
        await opened.page.get_by_role("status").wait_for()
        assert await opened.page.get_by_role("status").inner_text() == "All sending is resumed."
        assert len(posts) == 1


async def test_it_tells_what_was_sent_and_how_late(browser, world):
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR)
        sent = opened.page.locator(".figure").filter(has_text="sent")
        assert await sent.locator("b").inner_text() == "0"
        await _overdue(world, "shop.example")
        await sent.locator("b", has_text="1").wait_for()
        assert "1 sent" in await opened.page.locator(".chart title").last.text_content()


async def test_a_reader_sees_no_buttons_for_acts(world):
    async with world.client(READER) as client:
        page = (await client.get("/console")).text
    assert "Sign out" in page
    assert "Pause" not in page.replace("Pauses", "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone(browser, world, scheme):
    async with tab(browser, world, width=390, scheme=scheme) as opened:
        await opened.sign_in(OPERATOR)
        assert await opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
