"""Requests for data in the console."""

import json
from pathlib import Path

import pytest

from recovery.mongo.data_requests import DataRequests
from tests.support.builders import report
from tests.support.console_forms import post, token_of
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, tab
from tests.support.seen_pages import look

LIST = "/console/requests"


async def _ask(world, shop: str, id_: str = "1", email: str = "ada@example.com") -> None:
    await world.recovery.request_data(shop, id_, email, ["17"])


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_a_request_is_answered_with_the_export_and_done(browser, world, javascript):
    for shop in ("lamps.example", "shop.example"):
        await world.recovery.checkout(report("17", shop=shop))
    await _ask(world, "lamps.example")
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, LIST)
        async with opened.page.expect_download() as download:
            await opened.page.get_by_role("button", name="Export").click()
        file = await download.value
        assert file.suggested_filename == "lamps.example-1.json"
        exported = json.loads(Path(await file.path()).read_text(encoding="utf-8"))
        assert [each["_id"] for each in exported["checkouts"]] == ["lamps.example/17"], "of that shop alone"
        await opened.page.get_by_role("button", name="Done …").click()
        await opened.page.get_by_role("button", name="Mark it as answered").click()
        assert await opened.page.get_by_role("status").inner_text() == "The request is marked as answered."
        assert "No request is open" in await opened.page.locator("main").inner_text()
    (answered,) = await DataRequests(world.database).answered((), 9)
    assert answered.done_by == "olga in the console"


async def test_who_only_reads_sees_shortened_addresses_and_exports_nothing(world):
    await _ask(world, "shop.example")
    async with world.client(READER) as client:
        page = (await client.get(LIST)).text
    assert "ad…@example.com" in page
    assert "ada@example.com" not in page
    assert "<button" not in page.partition("<main")[2]


async def test_a_key_of_one_shop_sees_and_touches_its_own(world):
    await _ask(world, "lamps.example", email="ada@example.com")
    await _ask(world, "shop.example", email="bob@example.com")
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get(LIST)).text
        assert "ada@example.com" in page
        assert "bob@example.com" not in page
        for act in ("/export", "/done"):
            token = await token_of(client, LIST, act)
            for id_ in ("shop.example/1", "lamps.example/9", ""):
                assert (await post(client, LIST + act, token, {"id": id_, "sure": "yes"})).status == 404
    assert len(await DataRequests(world.database).open((), 9)) == 2


async def test_the_page_fits_and_can_be_read_by_all(browser, world):
    await _ask(
        world, "a-shop-with-a-long-name.myshopify.com", "12345678901234567890", "a.rather.long.address@example.com"
    )
    await _ask(world, "lamps.example", "2")
    await DataRequests(world.database).done("lamps.example/2", "olga in the console")
    await look(browser, world, OPERATOR, LIST, "Requests for data")
