"""Dead letters in the console: what is shown, and what people do with them."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

import pytest
from playwright.async_api import TimeoutError as PlaywrightTimeout

from recovery.domain.state import Cause, MessageState
from recovery.engine.writes import DeadLetter
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from tests.support.console_forms import post, token_of
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, tab
from tests.support.dead_messages import die, now
from tests.support.seen_pages import look
from tests.support.stores import bury

LIST = "/console/dead-letters"
ORDERED = {"status": "ordered", "confirm": False}


async def _left(world) -> set[str]:
    return {each["_id"] async for each in world.database[DEAD_LETTERS].find({"replayed_at": None})}


async def _state(world, id_: str) -> str:
    return (await world.database[CHECKOUTS].find_one({"_id": id_}))["messages"]["reminder-1"]["state"]


async def test_the_list_tells_causes_and_words_and_filters_by_them(world):
    await die(world.database, "1", error="451 4.7.1 later, id a1b2c3d4")
    await die(world.database, "2", error="451 4.7.1 later, id e5f6a7b8")
    await die(world.database, "3", shop="lamps.example", cause=Cause.RENDER_ERROR, error="'x' is undefined")
    async with world.client(READER) as client:
        everything = (await client.get(LIST)).text
        assert everything.count("451 4.7.1 later") == 3, "once for both in the summary, and once for each letter"
        assert "render error" in everything
        assert "<button" not in everything.partition("data-rows")[2], "who only reads has no buttons"
        some = (await client.get(LIST, params={"cause": "render error", "shop": "lamps.example"})).text
        assert "lamps.example/3" in some
        assert "shop.example/1" not in some
        old = (await client.get(LIST, params={"older": "1h"})).text
        assert "No dead letter matches" in old


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("cause", "bad luck", "is one of: dead address"),
        ("older", "30", "needs a unit"),
        ("older", "9999999d", "must not be longer"),
        ("shop", "shop.example", "there is no such shop"),
    ],
)
async def test_the_fault_of_a_filter_is_told_beside_it(world, field, value, fault):
    async with world.client(LAMPS_ONLY) as client:
        answer = await client.get(LIST, params={field: value})
    assert answer.status_code == 200
    assert fault in answer.text


async def test_pages_lead_to_each_letter_once(world, monkeypatch):
    monkeypatch.setattr("recovery.console.letters.PAGE", 2)
    for number in range(5):
        await die(world.database, str(number), at=now() - timedelta(minutes=number + 1))
    seen, address = [], LIST
    async with world.client(OPERATOR) as client:
        while address:
            page = (await client.get(address)).text
            seen += [number for number in range(5) if f'value="shop.example/{number}#reminder-1"' in page]
            links = [
                part.partition('"')[0] for part in page.split('href="') if part.partition(">")[2].startswith("Older")
            ]
            address = links[0].replace("&amp;", "&") if links else None
        assert (await client.get(LIST, params={"after": "nonsense"})).status_code == 422
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_the_chosen_ones_are_tried_and_replayed(browser, world, javascript):
    await die(world.database, "1")
    await die(world.database, "2", **ORDERED, ordered_at=now())
    await die(world.database, "3")
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, LIST)
        if javascript:
            assert await opened.page.get_by_role("button", name="Replay …", exact=True).is_disabled()
        for order_id in ("1", "2"):
            await opened.page.get_by_label(f"Choose shop.example/{order_id}#").check()
        await opened.page.get_by_role("button", name="Dry run", exact=True).click()
        text = await opened.page.locator("main").inner_text()
        assert "would send reminder-1" in text
        assert "would not be sent" in text
        assert len(await _left(world)) == 3, "a dry run changes nothing"
        await opened.page.get_by_role("button", name="Replay these 2").click()
        assert await opened.page.get_by_role("status").inner_text() == "Replayed 2 dead letters."
    assert await _left(world) == {"shop.example/3#reminder-1"}
    async with asyncio.timeout(30):
        while not world.relay.mails:
            await asyncio.sleep(0.01)
    history = (await world.database[CHECKOUTS].find_one({"_id": "shop.example/1"}))["history"]
    assert "requested by olga in the console" in {past["reason"] for past in history}


async def test_a_replay_by_keyboard_alone(browser, world):
    await die(world.database, "1")
    await die(world.database, "2")
    async with tab(browser, world) as opened:
        await opened.go("/console")
        keys = opened.page.keyboard
        await keys.type(OPERATOR)
        await keys.press("Enter")
        await opened.page.wait_for_url(f"{world.url}/console")
        async with asyncio.timeout(60):
            while opened.page.url != f"{world.url}{LIST}":  # typed too slowly, as on a busy machine, it is two keys
                await keys.type("gd")
                with suppress(PlaywrightTimeout):
                    await opened.page.wait_for_url(f"{world.url}{LIST}", timeout=5000)

        async def tab_to(what: str) -> None:
            for _ in range(60):
                await keys.press("Tab")
                focused = await opened.page.evaluate(
                    "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
                )
                if focused == what:
                    return
            pytest.fail(f"no way to {what} by the Tab key")

        await tab_to("Choose shop.example/1#reminder-1")
        await keys.press("Space")
        await tab_to("Replay …")
        await keys.press("Enter")
        await opened.page.get_by_role("heading", name="Replay 1 dead letter?").wait_for()
        await keys.press("Enter")
        await opened.page.get_by_role("status").wait_for()
        assert await opened.page.get_by_role("status").inner_text() == "Replayed 1 dead letter."
    assert await _left(world) == {"shop.example/2#reminder-1"}


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_all_that_match_are_dropped_and_no_others(browser, world, javascript):
    for order_id in ("1", "2"):
        await die(world.database, order_id, cause=Cause.RENDER_ERROR)
    await die(world.database, "3")
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, f"{LIST}?cause=render+error")
        await opened.page.get_by_role("button", name="Drop all …").click()
        await opened.page.get_by_role("heading", name="Drop 2 dead letters?").wait_for()
        await die(world.database, "4", cause=Cause.RENDER_ERROR)
        again = DeadLetter("shop.example/2", "reminder-1", Cause.RENDER_ERROR, "again", now() + timedelta(seconds=1), 1)
        await bury(world.database, [again])
        await opened.page.get_by_role("button", name="Drop them").click()
        said = await opened.page.get_by_role("status").inner_text()
        assert said == "Dropped 1 dead letter. The other one was gone meanwhile."
        assert opened.page.url.partition("&")[0].endswith("?cause=render+error"), "back in the same list"
    assert await _left(world) == {f"shop.example/{order_id}#reminder-1" for order_id in ("2", "3", "4")}
    assert await _state(world, "shop.example/1") == MessageState.DEAD, "its checkout stays"


async def test_all_that_match_are_those_of_the_question_while_new_ones_come(world):
    for number in range(40):
        await die(world.database, f"old-{number}", **ORDERED, ordered_at=now())

    async def arriving() -> None:
        for number in range(40):
            await die(world.database, f"new-{number}", **ORDERED, ordered_at=now())

    async with world.client(OPERATOR) as client:
        token = await token_of(client, LIST)
        ask, _ = await asyncio.gather(post(client, LIST, token, {"do": "all-replay"}), arriving())
        count = int(ask.question.split()[1])
        assert count >= 40
        answer = await post(client, LIST, *ask.yes)
        assert answer.said == f"Replayed {count} dead letters."
    left = await _left(world)
    assert len(left) == 80 - count
    assert all("/new-" in id_ for id_ in left)


async def test_a_key_of_one_shop_sees_and_touches_its_own(world):
    mine = await die(world.database, "1", shop="lamps.example")
    other = await die(world.database, "1")
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get(LIST)).text
        assert "lamps.example/1" in page
        assert "shop.example/1" not in page
        assert (await client.get(f"{LIST}/{quote(mine.id, safe='')}")).status_code == 200
        assert (await client.get(f"{LIST}/{quote(other.id, safe='')}")).status_code == 404
        token = await token_of(client, LIST)
        for do in ("dry-run", "replay", "drop"):
            assert (await post(client, LIST, token, {"do": do, "id": other.id})).status == 404
            sure = {"do": do, "id": other.id, "sure": "yes", "asked": now().isoformat()}
            assert (await post(client, LIST, token, sure)).status == 404
        ask = await post(client, LIST, token, {"do": "all-drop"})
        assert ask.question == "Drop 1 dead letter?"
        await post(client, LIST, *ask.yes)
    assert await _left(world) == {other.id}


async def test_the_question_of_another_person_is_none(world):
    await die(world.database, "1", shop="lamps.example")
    async with world.client(OPERATOR) as client, world.client(LAMPS_ONLY) as another:
        ask = await post(client, LIST, await token_of(client, LIST), {"do": "all-drop"})
        _, fields = ask.yes
        answer = await post(another, LIST, await token_of(another, LIST), fields | {"sure": "yes"})
        assert answer.said.startswith("Nothing was done")
    assert len(await _left(world)) == 1


async def test_what_is_pressed_without_a_choice_is_told(world):
    await die(world.database, "1")
    async with world.client(OPERATOR) as client:
        token = await token_of(client, LIST)
        for fields in ({"do": "replay"}, {"do": "burn"}, {}, {"do": "replay", "sure": "yes", "id": "shop.example/1#"}):
            assert (await post(client, LIST, token, fields)).status == 422
        assert (await post(client, LIST, token, {"do": "all-drop", "older": "x"})).status == 422
        gone = await post(client, LIST, token, {"do": "replay", "id": "shop.example/9#reminder-1"})
        assert gone.said == "There is nothing to do: no dead letter matches any more."
    assert len(await _left(world)) == 1


async def test_a_letter_tells_all_its_errors_and_what_a_replay_would_come_to(browser, world):
    """Also one without a step, of an order id that a browser would take apart."""
    letter = await die(world.database, "a/../b?c#d", error="451 first", at=now() - timedelta(hours=2))
    await bury(world.database, [DeadLetter(letter.checkout, letter.step, Cause.LOST, "second", now(), 4)])
    await bury(world.database, [DeadLetter(letter.checkout, None, Cause.INVALID, "total: not a number", now())])
    async with tab(browser, world) as opened:
        await opened.sign_in(READER, LIST)
        await opened.page.get_by_role("link", name="shop.example/a/../b?c#d").first.click()
        await opened.page.get_by_role("heading", name="If it is replayed now").wait_for()
        assert "its checkout would be checked again" in await opened.page.locator("main").inner_text()
        await opened.page.go_back()
        await opened.page.get_by_role("link", name="shop.example/a/../b?c#d").last.click()
        await opened.page.get_by_role("heading", name="All its errors").wait_for()
        text = await opened.page.locator("main").inner_text()
        for part in ("451 first", "second", "would send reminder-1", "the relay may have it"):
            assert part in text
        assert await opened.page.locator("main button").count() == 0
    async with world.client(OPERATOR) as client:
        assert (await client.get(f"{LIST}/shop.example%2F9%23reminder-1")).status_code == 404


async def test_without_dead_letters_the_page_says_when_there_are_any(world):
    async with world.client(OPERATOR) as client:
        assert "A letter appears here when a message is given up" in (await client.get(LIST)).text


async def test_the_pages_fit_and_can_be_read_by_all(browser, world):
    letter = await die(world.database, "1001", error="451 4.7.1 try again later, id 4bX9zz1Jq2")
    await die(world.database, "1002", shop="lamps.example", cause=Cause.DEAD_ADDRESS, error="550 5.1.1 unknown")
    await look(browser, world, OPERATOR, LIST, "Dead letters")
    await look(browser, world, OPERATOR, f"{LIST}/{quote(letter.id, safe='')}", letter.checkout)
