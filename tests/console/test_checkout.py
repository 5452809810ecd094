"""The page of a checkout: its story, what is to come, its mails, and what people do with it."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from recovery import Consent, Order
from recovery.console.checkout_paths import mail_path_of, path_of
from recovery.domain.state import Cause, Message, MessageState
from recovery.engine.writes import DeadLetter
from recovery.mongo.collections import CHECKOUTS, SUPPRESSIONS
from recovery.mongo.pauses import Pauses
from tests.support import one_loop
from tests.support.accessibility import findings
from tests.support.builders import report
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, tab
from tests.support.stores import bury

ID = "shop.example/1042"
PAGE = path_of(ID)
ACTS = ("send-now", "skip", "postpone", "pause", "resume", "cancel", "export", "erase")


@one_loop.fixture
async def open_checkout(world):
    """A checkout that was left five minutes ago, and looked at since."""
    await _report(world)
    return ID


async def _report(world, order_id="1042", **changes):
    now = datetime.now(UTC)
    facts = {
        "customer": {"email": "ada@example.com", "name": "Ada"},
        "touched_at": now - timedelta(minutes=5),
        "consent": Consent(basis="soft opt-in", at=now - timedelta(days=1), source="box"),
    }
    await world.recovery.checkout(report(order_id, **(facts | changes)))
    await _until(world, lambda kept: kept.history, f"{changes.get('shop', 'shop.example')}/{order_id}")


async def _kept(world, id_=ID):
    shop, _, order_id = id_.partition("/")
    return await world.recovery.get(shop, order_id)


async def _until(world, is_so, id_=ID):
    """Return the checkout as soon as it is so."""
    async with asyncio.timeout(60):
        while not is_so(kept := await _kept(world, id_)):
            await asyncio.sleep(0.02)
    return kept


def _token(page, act):
    return re.search(rf'/{act}"><input type="hidden" name="token" value="([^"]+)"', page.replace("\n", ""))[1]


async def _sure(client, act, **fields):
    """Ask, say yes, and return the page of the question and the answer."""
    token = _token((await client.get(PAGE)).text, act)
    question = await client.post(f"{PAGE}/{act}", data={"token": token, **fields})
    asked = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', question.text))
    return question, await client.post(f"{PAGE}/{act}", data=asked | {"token": token, "sure": "yes"})


async def test_it_tells_what_happened_and_what_is_to_come(browser, world, open_checkout):
    async with tab(browser, world) as opened:
        await opened.sign_in(READER, PAGE)
        ahead = opened.page.locator("section", has=opened.page.get_by_role("heading", name="What is to come"))
        assert re.findall(r"reminder-\d", await ahead.locator("ol").inner_text()) == [
            "reminder-1",
            "reminder-2",
            "reminder-3",
        ]
        assert "An order of this checkout." in await ahead.inner_text()
        happened = opened.page.locator("section", has=opened.page.get_by_role("heading", name="What happened"))
        text = await happened.inner_text()
        for each in ("Waits until", "reminder-1 is due then", "Opened by its customer", "Consent given"):
            assert each in text
        assert "ad…@example.com" in await opened.page.locator("main").inner_text()
        assert "ada@example.com" not in await opened.page.content()
        assert await opened.page.locator("main button").count() == 0


async def test_after_an_order_it_says_why_nothing_is_to_come(world, open_checkout):
    await world.recovery.order(Order(shop="shop.example", order_id="1042", confirm=False))
    await _until(world, lambda kept: kept.purge_at)
    async with world.client(OPERATOR) as client:
        page = (await client.get(PAGE)).text
    assert "Nothing: ordered: no reminders, and this order is not to be confirmed" in page
    assert "Cancel…" not in page


async def test_a_suppressed_address_is_told_with_what_it_stops(world, open_checkout):
    await world.recovery.suppress("ada@example.com")
    async with world.client(OPERATOR) as client:
        page = (await client.get(PAGE)).text
    assert "The address is suppressed: shop" in page
    assert page.count("will not be sent: the address is suppressed: shop") == 3


async def test_a_pause_of_its_shop_is_told(world, open_checkout):
    await Pauses(world.database).pause("shop.example", "olga", "", datetime.now(UTC))
    async with world.client(OPERATOR) as client:
        page = (await client.get(PAGE)).text
        assert "Nothing is sent at present: sending for shop.example is paused." in page
        question = await client.post(f"{PAGE}/send-now", data={"token": _token(page, "send-now")})
    assert "Nothing goes before it is resumed: sending for shop.example is paused." in question.text


async def test_a_dead_letter_of_it_is_told(world, open_checkout):
    dead = Message(state=MessageState.DEAD, attempts=5, reason=Cause.ATTEMPTS.value, reply="550 no")
    await world.database[CHECKOUTS].update_one(
        {"_id": ID}, {"$set": {"messages.reminder-1": dead.model_dump(exclude_none=True)}}
    )
    await bury(world.database, [DeadLetter(ID, "reminder-1", Cause.ATTEMPTS, "550 no", datetime.now(UTC), 5)])
    async with world.client(READER) as client:
        page = (await client.get(PAGE)).text
    assert "reminder-1 is a dead letter: attempts used up" in page
    assert '/console/dead-letters/shop.example%2F1042%23reminder-1"' in page


async def test_a_click_is_part_of_the_story(world, open_checkout):
    at = datetime.now(UTC)
    await world.database[CHECKOUTS].update_one({"_id": ID}, {"$set": {"returned": {"reminder-1": at}}})
    async with world.client(READER) as client:
        assert "Came back by the link of reminder-1" in (await client.get(PAGE)).text


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_its_mails_are_shown_in_a_frame_of_their_own(browser, world, open_checkout, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        await opened.page.locator("details.mail summary", has_text="reminder-2").click()
        frame = opened.page.frame_locator('iframe[title="reminder-2"]')
        await frame.get_by_text("Lamp").first.wait_for()
        assert await opened.page.locator('iframe[title="reminder-2"]').get_attribute("sandbox") == ""


async def test_a_mail_is_shown_as_text_as_well_and_only_where_there_is_one(world, open_checkout):
    async with world.client(OPERATOR) as client:
        html = await client.get(mail_path_of(ID, "reminder-1"))
        assert "sandbox" in html.headers["content-security-policy"]
        text = await client.get(f"{mail_path_of(ID, 'reminder-1')}?as=text")
        assert text.text.startswith("<pre")
        assert (await client.get(mail_path_of(ID, "nonsense"))).status_code == 404
        assert (await client.get(mail_path_of("shop.example/none", "reminder-1"))).status_code == 404


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_the_next_message_is_sent_now(browser, world, open_checkout, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        await opened.page.get_by_role("button", name="Send now…: reminder-1").click()
        await opened.page.get_by_role("heading", name="Send reminder-1 now?").wait_for()
        assert "reminder-1 goes at once." in await opened.page.locator("main").inner_text()
        assert world.relay.mails == []
        await opened.page.get_by_role("button", name="Make it due now").click()
        assert "reminder-1 is due now" in await opened.page.get_by_role("status").inner_text()
    kept = await _until(world, lambda kept: kept.messages["reminder-1"].state is MessageState.SENT)
    assert len(world.relay.mails) == 1
    assert ("send reminder-1 now", "requested by olga in the console") in [
        (past.decision, past.reason) for past in kept.history
    ]


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_a_message_is_skipped(browser, world, open_checkout, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        await opened.page.get_by_role("button", name="Skip…: reminder-2").click()
        await opened.page.get_by_role("button", name="Skip it").click()
        assert "reminder-2 is skipped" in await opened.page.get_by_role("status").inner_text()
        await opened.page.get_by_text("skipped by olga").first.wait_for()
    assert (await _kept(world)).messages["reminder-2"].state is MessageState.SKIPPED


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_the_next_message_is_postponed(browser, world, open_checkout, javascript):
    due = (await _kept(world)).next_at
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        await opened.page.get_by_label("Postpone reminder-1 by").select_option("a week")
        await opened.page.get_by_role("button", name="Postpone…").click()
        await opened.page.get_by_role("button", name="Postpone it").click()
        assert "reminder-1 is postponed to" in await opened.page.get_by_role("status").inner_text()
    kept = await _until(world, lambda kept: kept.next_at > due)
    assert kept.next_at - due == timedelta(days=7)


async def test_a_message_is_postponed_to_a_time(world, open_checkout):
    until = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0, tzinfo=None)
    async with world.client(OPERATOR) as client:
        _, answer = await _sure(client, "postpone", step="reminder-1", until=until.isoformat(timespec="minutes"))
        assert answer.status_code == 303
        past, _ = await _sure(client, "postpone", step="reminder-1", until="2020-01-01T00:00")
        assert past.status_code == 409
        assert "still to come" in past.text
        vague, _ = await _sure(client, "postpone", step="reminder-1", until="tomorrow")
        assert vague.status_code == 422
    assert (await _kept(world)).messages["reminder-1"].deferred_to == until.replace(tzinfo=UTC)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_it_is_paused_resumed_and_cancelled(browser, world, open_checkout, javascript):
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        status = opened.page.get_by_role("status")
        for button, sure, said in (
            ("Pause…", "Pause it", "It is paused."),
            ("Resume…", "Resume it", "It is resumed."),
            ("Cancel…", "Cancel it", "It is cancelled."),
        ):
            await opened.page.get_by_role("button", name=button).click()
            await opened.page.get_by_role("button", name=sure).click()
            assert await status.inner_text() == said
    assert (await _kept(world)).status.value == "cancelled"


async def test_what_is_being_sent_is_not_touched(world, open_checkout):
    """The page says so, and each act is refused with a sentence."""
    claim = {"token": "t", "owner": "another", "until": datetime.now(UTC) + timedelta(minutes=5)}
    async with world.client(OPERATOR) as client:
        before = (await client.get(PAGE)).text
        sending = {
            "messages.reminder-1": {"state": "sending", "attempts": 1},
            "claim": claim,
            "next_at": claim["until"],
        }
        await world.database[CHECKOUTS].update_one({"_id": ID}, {"$set": sending})
        assert "a message is being sent" in (await client.get(PAGE)).text
        kept = await world.database[CHECKOUTS].find_one({"_id": ID})
        for act in ("send-now", "skip", "postpone"):
            fields = {"token": _token(before, act), "step": "reminder-1", "by": "1d"}
            for sure in ({}, {"sure": "yes"}):
                answer = await client.post(f"{PAGE}/{act}", data=fields | sure)
                assert answer.status_code == 409
                assert "reminder-1 is being sent at this moment" in answer.text
    assert await world.database[CHECKOUTS].find_one({"_id": ID}) == kept


async def test_a_yes_to_what_is_no_longer_so_does_nothing(world, open_checkout):
    """The message was sent between the question and the answer: the next one is not sent in its place."""
    async with world.client(OPERATOR) as client:
        token = _token((await client.get(PAGE)).text, "send-now")
        sent = Message(state=MessageState.SENT, sent_at=datetime.now(UTC)).model_dump(exclude_none=True)
        await world.database[CHECKOUTS].update_one({"_id": ID}, {"$set": {"messages.reminder-1": sent}})
        answer = await client.post(f"{PAGE}/send-now", data={"token": token, "step": "reminder-1", "sure": "yes"})
    assert answer.status_code == 409
    assert "reminder-1 is sent already." in answer.text
    assert world.relay.mails == []


async def test_a_persons_data_is_exported_and_erased(world, open_checkout):
    await _report(world, "7", shop="lamps.example")
    async with world.client(OPERATOR) as client:
        token = _token((await client.get(PAGE)).text, "export")
        answer = await client.post(f"{PAGE}/export", data={"token": token})
        assert answer.headers["content-disposition"] == 'attachment; filename="shop-example-1042.json"'
        assert [each["_id"] for each in json.loads(answer.text)["checkouts"]] == [ID]
        question, answer = await _sure(client, "erase")
        assert "Erase ada@example.com at shop.example: 1 checkout and 0 dead letters?" in question.text
        assert answer.headers["location"].startswith("/console/checkouts?said=")
        assert (await client.get(PAGE)).status_code == 404
    assert await _kept(world) is None
    assert await _kept(world, "lamps.example/7") is not None


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
async def test_a_person_is_erased_at_all_shops(browser, world, open_checkout, javascript):
    await _report(world, "7", shop="lamps.example")
    async with tab(browser, world, javascript=javascript) as opened:
        await opened.sign_in(OPERATOR, PAGE)
        async with opened.page.expect_download() as download:
            await opened.page.get_by_role("button", name="Export as JSON").click()
        assert (await download.value).suggested_filename == "shop-example-1042.json"
        await opened.page.get_by_label("at all shops").check()
        await opened.page.get_by_role("button", name="Erase the person…").click()
        await opened.page.get_by_role("heading", name="at all shops: 2 checkouts").wait_for()
        await opened.page.get_by_role("button", name="Erase for good").click()
        assert "erased at all shops: 2 checkouts" in await opened.page.get_by_role("status").inner_text()
    assert await world.database[CHECKOUTS].count_documents({}) == 0
    assert await world.database[SUPPRESSIONS].count_documents({"reason": "erased"}) == 1


async def test_a_key_of_one_shop_neither_sees_nor_touches_anothers(world, open_checkout):
    await _report(world, "1042", shop="lamps.example")
    own = path_of("lamps.example/1042")
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get(own)).text
        assert "at all shops" not in page
        nothing = await client.get(path_of("lamps.example/none"))
        foreign = await client.get(PAGE)
        assert (foreign.status_code, foreign.text) == (nothing.status_code, nothing.text)
        assert (await client.get(mail_path_of(ID, "reminder-1"))).status_code == 404
        tokens = {act: _token(page, act) for act in ACTS if act not in ("resume", "postpone")}
        tokens["postpone"] = re.search(r'/postpone">\s*<input type="hidden" name="token" value="([^"]+)"', page)[1]
        before = await _kept(world)
        for act, token in tokens.items():
            for sure in ({}, {"sure": "yes"}):
                answer = await client.post(f"{PAGE}/{act}", data={"token": token, "by": "1d", **sure})
                assert answer.status_code == 404, act
        # "everywhere" is not theirs to say.
        token = tokens["erase"]
        await client.post(f"{own}/erase", data={"token": token, "everywhere": "yes", "sure": "yes"})
    assert await _kept(world) == before
    assert await _kept(world, "lamps.example/1042") is None


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
async def test_the_page_fits_and_can_be_used_by_everybody(browser, world, width, scheme):
    order_id = "gid://shopify/Checkout/" + "9" * 60
    await _report(world, order_id, customer={"email": f"{'a' * 60}@subdomain.example.co.uk", "name": "محمد علي"})
    async with tab(browser, world, width=width, scheme=scheme) as opened:
        await opened.sign_in(OPERATOR, path_of(f"shop.example/{order_id}"))
        assert await findings(opened.page) == []
        assert await opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await opened.page.get_by_role("button", name="Cancel…").click()
        assert await findings(opened.page) == []
        assert await opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
