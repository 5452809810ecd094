"""Shops in the console: when each was last heard of, and what was not accepted."""

from recovery.domain.channels import Answer, Heard
from recovery.mongo.channels import Channels
from tests.support.builders import report
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world
from tests.support.seen_pages import look

PAGE = "/console/shops"


async def test_each_shop_tells_what_became_of_its_reports(world):
    channels = Channels(world.database)
    await channels.add([Heard("lamps.example", "shopify", Answer.ACCEPTED, 1204)])
    await channels.add([Heard("lamps.example", "shopify", Answer.REFUSED, 3, "the signature is wrong")])
    await world.recovery.checkout(report("1", shop="tea.example"))
    async with world.client(READER) as client:
        text = (await client.get(PAGE)).text
    for part in ("1,204", "the signature is wrong", "The last report is lost", "Nothing over HTTP, as from Python"):
        assert part in text
    assert text.count("the last report is lost") == 1
    assert "reminder-1</bdi> after 30 min" in text
    assert f"{world.relay.host}:{world.relay.port}" in text
    assert "/console/checkouts?shop=tea.example" in text


async def test_a_shop_that_only_has_settings_is_told(mongodb, database, relay):
    shops = {"new.example": {"mail": {"sender": "New <hello@new.example>"}}}
    async with console_world(mongodb, database, relay, shops=shops) as world, world.client(OPERATOR) as client:
        text = (await client.get(PAGE)).text
    assert "never reported" in text
    assert "New &lt;hello@new.example&gt;" in text


async def test_a_key_of_one_shop_sees_it_alone(world):
    for shop in ("lamps.example", "shop.example"):
        await world.recovery.checkout(report("1", shop=shop))
    async with world.client(LAMPS_ONLY) as client:
        text = (await client.get(PAGE)).text
    assert "lamps.example" in text
    assert "shop.example/" not in text
    assert "<bdi>shop.example</bdi>" not in text


async def test_pages_lead_to_each_shop_once(world, monkeypatch):
    monkeypatch.setattr("recovery.console.shops.PAGE", 2)
    for number in range(5):
        await world.recovery.checkout(report("1", shop=f"shop-{number}.example"))
    seen, address = [], PAGE
    async with world.client(OPERATOR) as client:
        while address:
            page = (await client.get(address)).text
            seen += [number for number in range(5) if f"<bdi>shop-{number}.example</bdi>" in page]
            links = [
                part.partition('"')[0] for part in page.split('href="') if part.partition(">")[2].startswith("Next")
            ]
            address = links[0] if links else None
    assert seen == [0, 1, 2, 3, 4]


async def test_without_shops_the_page_says_what_to_do(world):
    async with world.client(OPERATOR) as client:
        assert "No shop has reported yet" in (await client.get(PAGE)).text


async def test_the_page_fits_and_can_be_read_by_all(browser, world):
    await Channels(world.database).add(
        [
            Heard("lamps.example", "woocommerce", Answer.ACCEPTED, 31_204),
            Heard(
                "lamps.example", "woocommerce", Answer.UNMAPPED, 2, "line_items: a list is needed, and there is none"
            ),
        ]
    )
    await look(browser, world, OPERATOR, PAGE, "Shops")
