"""The list of checkouts: who sees which, how one is found, and the cancellation of many."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from recovery import Order
from recovery.console import checkouts
from recovery.console.checkout_paths import path_of
from recovery.domain.state import Status
from recovery.mongo.collections import CHECKOUTS
from tests.support.accessibility import findings
from tests.support.builders import report
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, tab

LIST = "/console/checkouts"


async def _report(world, order_id, shop="shop.example", **changes):
    opened = datetime.now(UTC) - timedelta(minutes=5)
    changes = {"customer": {"email": f"ada{order_id}@example.com", "name": "Ada"}, "touched_at": opened} | changes
    changes.setdefault("checkout_url", "https://shop.example/checkouts/1")
    await world.recovery.checkout(report(str(order_id), shop=shop, **changes))


async def _shown(client, **fields):
    """Return the order ids on a page of the list, and the page."""
    answer = await client.get(f"{LIST}?{urlencode(fields)}")
    assert answer.status_code == 200, answer.text
    return re.findall(r'<td data-label="checkout"><a href="[^"]*"><bdi>([^<]*)</bdi>', answer.text), answer.text


async def _asked(client, **fields):
    """Post the form of the list, and return the fields of the question and its page."""
    page = (await client.get(LIST)).text
    token = re.search(r'checkouts/cancel".*?name="token" value="([^"]+)"', page, re.DOTALL)[1]
    answer = await client.post(f"{LIST}/cancel", data={"token": token, **fields})
    assert answer.status_code == 200, answer.text
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text)) | {
        "token": token
    }, answer.text


async def _statuses(world):
    return {each["_id"]: each["status"] async for each in world.database[CHECKOUTS].find({}, {"status": 1})}


async def test_all_shops_are_listed_where_there_are_few(world):
    await _report(world, 1)
    await _report(world, 2, "lamps.example")
    async with world.client(OPERATOR) as client:
        shown, page = await _shown(client)
        assert set(shown) == {"1", "2"}
        assert "all 2 shops" in page
        assert (await _shown(client, shop="lamps.example"))[0] == ["2"]


async def test_where_there_are_many_shops_one_is_chosen(world):
    for number in range(51):
        await _report(world, number, f"shop{number}.example")
    async with world.client(OPERATOR) as client:
        shown, page = await _shown(client)
        assert shown == []
        assert "There are many shops here" in page
        assert (await _shown(client, shop="shop7.example"))[0] == ["7"]
        assert (await _shown(client, email="ada9@example.com"))[0] == ["9"]
        _, page = await _shown(client, order="9")
        assert "choose its shop as well" in page


async def test_every_filter_narrows_the_list(world):
    await _report(world, 1)
    await _report(world, 2, touched_at=datetime.now(UTC) - timedelta(days=2))
    await world.recovery.order(Order(shop="shop.example", order_id="3"))
    async with world.client(OPERATOR) as client:
        assert (await _shown(client, status="ordered"))[0] == ["3"]
        assert (await _shown(client, until="1d"))[0] == ["2"]
        assert set((await _shown(client, since="1d"))[0]) == {"1", "3"}
        assert (await _shown(client, email="ADA2@example.com"))[0] == ["2"]
        assert (await _shown(client, step="reminder-2", state="dead"))[0] == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"email": "nobody"}, "this is not an e-mail address"),
        ({"since": "yesterday"}, "a day as in 2026-03-01"),
        ({"state": "sent"}, "is needed with state and reason"),
        ({"status": "lost"}, "is one of open"),
        ({"status": "open", "step": "reminder-1", "state": "sent"}, "no index has both status and step"),
        ({"order": "nothing"}, "no checkout is known by this order id"),
        ({"after": "nonsense"}, "There is no such page of the list"),
    ],
    ids=["email", "time", "step", "status", "index", "order", "page"],
)
async def test_a_fault_of_a_filter_is_beside_it(world, fields, fault):
    await _report(world, 1)
    async with world.client(OPERATOR) as client:
        _, page = await _shown(client, **fields)
    assert fault in page


@pytest.mark.parametrize(
    "order_id", ["1042", "gid://shopify/Checkout/1?key=a b", "a/../b", "..", ".", "%2F#x", "Größe & <b>", "x/cancel"]
)
async def test_an_order_id_leads_to_its_checkout_whatever_it_is(browser, world, order_id):
    await _report(world, order_id, customer={"email": "ada@example.com"})
    async with tab(browser, world, javascript=False) as opened:
        await opened.sign_in(OPERATOR, LIST)
        await opened.page.get_by_label("Order id").fill(order_id)
        await opened.page.get_by_role("button", name="Find").click()
        await opened.page.get_by_role("heading", name=order_id, level=1).wait_for()
        assert "shop.example" in await opened.page.locator(".crumbs").inner_text()
        await opened.page.get_by_role("button", name="Pause…").click()
        await opened.page.get_by_role("button", name="Pause it").click()
        assert "It is paused." in await opened.page.get_by_role("status").inner_text()
        await opened.page.get_by_text("requested by olga in the console").wait_for()


async def test_a_checkout_is_found_by_its_other_names(world):
    await world.recovery.checkout(report("1"), aliases=["#1001"])
    async with world.client(OPERATOR) as client:
        answer = await client.get(f"{LIST}?order=%231001")
        assert answer.headers["location"] == path_of("shop.example/1")
        answer = await client.get("/console/checkouts/shop.example/%231001")
        assert answer.headers["location"] == path_of("shop.example/1")


async def test_pages_go_on_and_back(browser, world, monkeypatch):
    monkeypatch.setattr(checkouts, "PAGE", 2)
    now = datetime.now(UTC)
    for number in range(5):
        await _report(world, number, touched_at=now - timedelta(minutes=number))
    async with tab(browser, world) as opened:
        await opened.sign_in(READER, LIST)
        seen = []
        for link in ("Older", "Older", "Newer", "Newer", None):
            seen.append(await opened.page.locator("td[data-label=checkout] a").all_inner_texts())
            if link is not None:
                await opened.page.get_by_role("link", name=link).click()
        assert seen == [["0", "1"], ["2", "3"], ["4"], ["2", "3"], ["0", "1"]]
        assert await opened.page.get_by_role("link", name="Newer").count() == 0


async def test_a_key_of_one_shop_sees_and_finds_its_own_alone(world):
    await _report(world, 1)
    await _report(world, 2, "lamps.example")
    async with world.client(LAMPS_ONLY) as client:
        shown, page = await _shown(client)
        assert shown == ["2"]
        assert "shop.example/" not in page.replace("lamps.example/", "")
        assert (await _shown(client, email="ada1@example.com"))[0] == []
        assert "there is no such shop" in (await _shown(client, shop="shop.example"))[1]
        for order in ("1", "shop.example/1"):
            assert "no checkout is known" in (await _shown(client, order=order))[1]
        page = (await client.get(LIST)).text
        token = re.search(r'checkouts/cancel".*?name="token" value="([^"]+)"', page, re.DOTALL)[1]
        foreign = await client.post(
            f"{LIST}/cancel", data={"token": token, "which": "chosen", "id": ["lamps.example/2", "shop.example/1"]}
        )
        assert foreign.status_code == 404
    assert set((await _statuses(world)).values()) == {"open"}


async def test_a_reader_sees_shortened_addresses_and_no_buttons(world):
    await _report(world, 1)
    async with world.client(READER) as client:
        _, page = await _shown(client)
    assert "ad…@example.com" in page
    assert "ada1@example.com" not in page
    assert "Cancel" not in page


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_the_chosen_ones_are_cancelled_after_a_yes(browser, world, javascript):
    for number in (1, 2, 3):
        await _report(world, number)
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, LIST)
        chosen = opened.page.get_by_role("button", name="Cancel the chosen…")
        assert await chosen.is_disabled() is javascript
        for number in (1, 3):
            await opened.page.get_by_role("checkbox", name=f"Choose {number}", exact=True).check()
        await chosen.click()
        await opened.page.get_by_role("heading", name="Cancel 2 chosen checkouts?").wait_for()
        assert set((await _statuses(world)).values()) == {"open"}
        await opened.page.get_by_role("button", name="Cancel them").click()
        assert await opened.page.get_by_role("status").inner_text() == "2 checkouts are cancelled."
    cancelled = Status.CANCELLED.value
    assert await _statuses(world) == {
        "shop.example/1": cancelled,
        "shop.example/2": "open",
        "shop.example/3": cancelled,
    }
    kept = await world.recovery.get("shop.example", "1")
    assert ("cancel", "requested by olga in the console") in [(past.decision, past.reason) for past in kept.history]


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_all_that_match_are_cancelled_and_nothing_else(browser, world, javascript):
    await _report(world, 1)
    await _report(world, 2)
    await _report(world, 3, "lamps.example")
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, f"{LIST}?shop=shop.example")
        await opened.page.get_by_role("button", name="Cancel all that match…").click()
        await opened.page.get_by_role("heading", name="Cancel 2 open checkouts that match?").wait_for()
        await opened.page.get_by_role("link", name="No, go back").click()
        await opened.page.wait_for_url(f"{world.url}{LIST}?shop=shop.example")
        assert set((await _statuses(world)).values()) == {"open"}
        await opened.page.get_by_role("button", name="Cancel all that match…").click()
        await opened.page.get_by_role("button", name="Cancel them").click()
        assert await opened.page.get_by_role("status").inner_text() == "2 checkouts are cancelled."
    assert (await _statuses(world))["lamps.example/3"] == "open"


async def test_all_that_match_are_those_that_the_question_counted(world):
    """While new checkouts arrive, before the question, after it, and while the yes is carried out."""
    for number in range(40):
        await _report(world, f"old-{number}")
    stop = asyncio.Event()
    arrived: list[str] = []

    async def arrive():
        while not stop.is_set():
            number = f"new-{len(arrived)}"
            await _report(world, number)
            arrived.append(f"shop.example/{number}")

    arriving = asyncio.create_task(arrive())
    async with world.client(OPERATOR) as client:
        fields, page = await _asked(client, which="all", shop="shop.example")
        asked_about = int(re.search(r"Cancel (\d+) open checkouts", page)[1])
        before = len(arrived)
        await world.recovery.order(Order(shop="shop.example", order_id="old-7"))
        while len(arrived) < before + 20:
            await asyncio.sleep(0)
        answer = await client.post(f"{LIST}/cancel", data=fields)
        assert answer.status_code == 303
        stop.set()
        await arriving
        said = (await client.get(answer.headers["location"])).text
    assert f"{asked_about - 1} checkouts are cancelled. 1 of them were no longer open." in said
    statuses = await _statuses(world)
    cancelled = {id_ for id_, status in statuses.items() if status == "cancelled"}
    assert len(cancelled) == asked_about - 1
    assert {f"shop.example/old-{number}" for number in range(40)} - cancelled == {"shop.example/old-7"}
    assert cancelled.isdisjoint(arrived[before + 1 :])


async def test_a_question_of_somebody_else_is_not_answered(world):
    await _report(world, 1, "lamps.example")
    async with world.client(OPERATOR) as olga, world.client(LAMPS_ONLY) as lena:
        theirs, _ = await _asked(olga, which="all")
        ours, _ = await _asked(lena, which="all")
        answer = await lena.post(f"{LIST}/cancel", data=ours | {"selection": theirs["selection"]})
        said = (await lena.get(answer.headers["location"])).text
    assert "Nothing was cancelled" in said
    assert set((await _statuses(world)).values()) == {"open"}


async def test_where_nothing_is_chosen_nothing_is_asked(world):
    await _report(world, 1)
    async with world.client(OPERATOR) as client:
        page = (await client.get(LIST)).text
        token = re.search(r'checkouts/cancel".*?name="token" value="([^"]+)"', page, re.DOTALL)[1]
        answer = await client.post(f"{LIST}/cancel", data={"token": token, "which": "chosen"})
        assert "No checkout was chosen." in (await client.get(answer.headers["location"])).text
        answer = await client.post(f"{LIST}/cancel", data={"token": token, "which": "all", "status": "ordered"})
        assert "No checkout that matches is open." in (await client.get(answer.headers["location"])).text
        answer = await client.post(f"{LIST}/cancel", data={"token": token, "which": "all", "status": "lost"})
        assert answer.status_code == 422
        assert "status: is one of open" in answer.text


async def test_a_damaged_checkout_does_not_hide_the_others(world):
    await _report(world, 1)
    damaged = {"_id": "shop.example/2", "shop": "shop.example", "status": "open", "opened_at": datetime.now(UTC)}
    await world.database[CHECKOUTS].insert_one(damaged, bypass_document_validation=True)
    async with world.client(OPERATOR) as client:
        shown, page = await _shown(client)
    assert shown == ["1"]
    assert "<code>shop.example/2</code> cannot be read" in page


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
async def test_the_list_fits_and_can_be_used_by_everybody(browser, world, width, scheme):
    await _report(world, "gid://shopify/Checkout/" + "9" * 60, customer={"email": "ada@example.com"})
    await _report(world, 2, customer={"email": f"{'a' * 60}@subdomain.example.co.uk", "name": "محمد علي"})
    async with tab(browser, world, width=width, scheme=scheme) as opened:
        await opened.sign_in(OPERATOR, LIST)
        assert await findings(opened.page) == []
        for path in (LIST, f"{LIST}?since=nonsense", f"{LIST}?status=finished"):
            await opened.go(path)
            assert await opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_an_empty_list_says_what_to_do(world):
    async with world.client(OPERATOR) as client:
        assert "No checkout was reported yet" in (await _shown(client))[1]
        await _report(world, 1)
        await asyncio.sleep(0)
        assert "Take away a filter" in (await _shown(client, shop="shop.example", status="finished"))[1]
