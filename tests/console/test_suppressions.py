"""Suppressions in the console: the list, the look-up, and the acts."""

from datetime import timedelta

import pytest

from recovery.app.factories import suppressions_of
from recovery.domain.suppression import SuppressionReason
from recovery.mongo.suppressions import Suppressions
from tests.support.console_forms import post, token_of
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, tab
from tests.support.dead_messages import now
from tests.support.seen_pages import look

LIST = "/console/suppressions"
ADA = "ada@example.com"


@pytest.fixture
def suppressions(world) -> Suppressions:
    """The suppressions that the daemon heeds."""
    return suppressions_of(world.settings, world.database)


async def test_the_list_tells_reasons_and_no_addresses(world, suppressions):
    await suppressions.add(ADA, SuppressionReason.COMPLAINT, shop="lamps.example", source="feedback of a provider")
    await suppressions.add("bob@example.com", SuppressionReason.UNSUBSCRIBED, source="the link in a mail")
    async with world.client(READER) as client:
        everything = (await client.get(LIST)).text
        assert "feedback of a provider" in everything
        assert "the link in a mail" in everything
        assert "example.com" not in everything
        assert "Suppress an address" not in everything, "who only reads adds none"
        some = (await client.get(LIST, params={"reason": "complaint"})).text
        assert "the link in a mail" not in some
        assert "is one of: soft bounces" in (await client.get(LIST, params={"reason": "whim"})).text
        assert (await client.get(LIST, params={"after": "x"})).status_code == 422


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_an_address_is_added_looked_up_and_lifted(browser, world, suppressions, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, LIST)
        card = opened.page.get_by_role("region", name="Suppress an address")
        await card.get_by_label("Address").fill(ADA)
        await card.get_by_label("Shop").fill("lamps.example")
        await card.get_by_label("Reason").select_option("complaint")
        await card.get_by_role("button").click()
        await opened.page.get_by_role("button", name="Suppress 1 address").click()
        said = await opened.page.get_by_role("status").inner_text()
        assert said == "The address gets no more reminders from lamps.example."
        card = opened.page.get_by_role("region", name="Look up an address")
        await card.get_by_label("Address").fill("Ada@Example.com")
        await card.get_by_label("Shop").fill("lamps.example")
        await card.get_by_role("button").click()
        row = opened.page.locator("tbody tr")
        assert "complaint" in await row.inner_text()
        assert "olga in the console" in await row.inner_text()
        assert "ada" not in opened.page.url
        await opened.page.get_by_role("button", name="Lift …").click()
        assert "They reported a mail as spam" in await opened.page.locator("main").inner_text()
        await opened.page.get_by_role("button", name="Lift 1 suppression").click()
        assert "it was there for the reason complaint" in await opened.page.get_by_role("status").inner_text()
    assert await suppressions.look_up(ADA, ["lamps.example"]) == []


async def test_a_look_up_finds_it_in_every_shop_that_is_known(world, suppressions):
    async with world.client(READER) as client:
        token = await token_of(client, LIST, "/look-up")
        nothing = (await post(client, f"{LIST}/look-up", token, {"email": ADA})).text
        assert "This address is written to" in nothing
        assert "ad…@example.com" in nothing, "who only reads sees no whole addresses"
        await suppressions.add(ADA, SuppressionReason.HARD_BOUNCE, source="the relay")
        found = (await post(client, f"{LIST}/look-up", token, {"email": ADA})).text
        assert "all shops" in found
        assert "the address does not exist" in found
        assert "<button" not in found.partition("<main")[2]
        wrong = await post(client, f"{LIST}/look-up", token, {"email": "no address", "shop": "a b"})
        assert wrong.status == 422
        assert "this is not an e-mail address" in wrong.text
        assert "this is not the name of a shop" in wrong.text


async def test_a_key_of_one_shop_sees_and_touches_its_own(world, suppressions):
    for shop in ("lamps.example", "shop.example", None):
        await suppressions.add(ADA, SuppressionReason.SHOP, shop=shop, source=f"said by {shop}")
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get(LIST)).text
        assert "said by lamps.example" in page
        assert "said by shop.example" not in page
        assert "there is no such shop" in (await client.get(LIST, params={"shop": "shop.example"})).text
        token = await token_of(client, LIST, "/look-up")
        found = (await post(client, f"{LIST}/look-up", token, {"email": ADA})).text
        assert "said by None" in found, "what is for all shops is for theirs"
        assert "said by shop.example" not in found
        assert found.count("Lift …") == 1
        other = await post(client, f"{LIST}/look-up", token, {"email": ADA, "shop": "shop.example"})
        assert other.status == 422
        lift = _token(found, "/lift")
        for shop in ("shop.example", ""):
            fields = {"email": ADA, "shop": shop, "reason": "shop", "sure": "yes"}
            assert (await post(client, f"{LIST}/lift", lift, fields)).status == 404
        add = await token_of(client, LIST, "/add")
        for fields in ({"shop": "shop.example"}, {"shop": ""}, {"shop": "lamps.example", "reason": "hard bounce"}):
            given = {"email": "bob@example.com", "reason": "shop", "sure": "yes"} | fields
            assert (await post(client, f"{LIST}/add", add, given)).status == 422
    assert len(await suppressions.look_up(ADA, ["lamps.example", "shop.example"])) == 3
    assert await suppressions.look_up("bob@example.com", ["lamps.example", "shop.example"]) == []


async def test_a_suppression_that_changed_since_the_question_stays(world, suppressions):
    """Somebody agreed to lift what they were told of, and nothing stronger."""
    await suppressions.add(ADA, SuppressionReason.UNSUBSCRIBED, source="a link")
    async with world.client(OPERATOR) as client:
        token = await token_of(client, LIST, "/look-up")
        found = (await post(client, f"{LIST}/look-up", token, {"email": ADA})).text
        fields = {"email": ADA, "shop": "", "reason": "unsubscribed"}
        ask = await post(client, f"{LIST}/lift", _token(found, "/lift"), fields)
        assert ask.question.startswith("Lift the suppression of ada@example.com for all shops")
        await suppressions.add(ADA, SuppressionReason.COMPLAINT, source="feedback")
        assert (await post(client, f"{LIST}/lift", *ask.yes)).status == 404
    assert [kept.reason for kept in await suppressions.look_up(ADA, [])] == [SuppressionReason.COMPLAINT]


async def test_what_is_known_already_is_told(world, suppressions):
    await suppressions.add(ADA, SuppressionReason.COMPLAINT, source="feedback")
    async with world.client(OPERATOR) as client:
        token = await token_of(client, LIST, "/add")
        ask = await post(client, f"{LIST}/add", token, {"email": ADA, "reason": "shop"})
        answer = await post(client, f"{LIST}/add", *ask.yes)
        assert answer.said.startswith("The address gets no reminders from any shop already")
        wrong = await post(client, f"{LIST}/add", token, {"email": "x", "reason": "whim"})
        assert (wrong.status, "is one of: shop" in wrong.text) == (422, True)


async def test_the_pages_fit_and_can_be_read_by_all(browser, world, suppressions):
    for number, reason in enumerate(SuppressionReason):
        at = now() - timedelta(days=number)
        await suppressions.add(f"{number}@example.com", reason, source="the relay: 550 5.1.1 unknown", at=at)
    await look(browser, world, OPERATOR, LIST, "Suppressions")


def _token(page: str, act: str) -> str:
    return page.partition(f'action="{LIST}{act}"')[2].partition('name="token" value="')[2].partition('"')[0]
