"""The links in mails, as people and machines follow them: a real daemon, a real browser."""

import asyncio
import json
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import httpx
import pytest

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import MessageState
from recovery.domain.suppression import SuppressionReason
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from recovery.mongo.suppressions import Suppressions
from tests.acceptance.conftest import STEPS, DaemonWorld
from tests.support.builders import minutes, report, state, step

KEY = "a key of some length"
SHOP, ADA = "shop.example", "ada@example.com"
LATER = [STEPS[0], STEPS[1] | {"delay": "12s"}]
"""Time enough to follow a link before the second reminder, on a busy machine, too."""

SETTINGS = {
    "RECOVERY_SCHEDULE__STEPS": json.dumps(LATER),
    "RECOVERY_LINKS__BASE_URL": "http://127.0.0.1:8080",
    "RECOVERY_LINKS__KEYS": KEY,
    "RECOVERY_LINKS__COUNT_CLICKS": "true",
}
PSEUDONYMS = Pseudonyms([])
LINKS = Links(Seals([KEY]), PSEUDONYMS, base_url="", count_clicks=True)
TO_UNSUBSCRIBE = LINKS.unsubscribe(SHOP, ADA)


@pytest.fixture
async def daemon(mongodb, database_name, database, relay):
    """A daemon whose links can be followed."""
    world = DaemonWorld(mongodb, database_name, relay, expirer=True)
    async with world.recovery, world.daemon(**SETTINGS) as running:
        running.world = world
        yield running


@pytest.fixture
def reason(database):
    """Tell why Ada is not written to, or None."""

    async def told() -> SuppressionReason | None:
        found = await Suppressions(database, PSEUDONYMS).of([(SHOP, ADA)])
        return found[SHOP, ADA].reason if found else None

    return told


@pytest.mark.parametrize("javascript", [True, False])
async def test_the_button_unsubscribes_and_looking_does_not(daemon, browser, reason, javascript):
    """Opening the page changes nothing; its button unsubscribes, and the next one undoes that."""
    context = await browser.new_context(java_script_enabled=javascript, locale="de-DE")
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"{daemon.http.base_url}{TO_UNSUBSCRIBE}")
    await page.get_by_role("heading", name="Keine Erinnerungen mehr?").wait_for()
    assert await reason() is None
    await page.get_by_role("button", name="Abmelden").click()
    await page.get_by_role("heading", name="Sie sind abgemeldet").wait_for()
    assert await reason() is SuppressionReason.UNSUBSCRIBED
    await page.get_by_role("button", name="schreiben Sie mir wieder").click()
    await page.get_by_role("heading", name="Zurückgenommen").wait_for()
    assert await reason() is None
    await page.get_by_role("button", name="Doch abmelden").click()
    await page.get_by_role("heading", name="Sie sind abgemeldet").wait_for()
    assert await reason() is SuppressionReason.UNSUBSCRIBED
    assert complaints == [], "the page keeps to its own policy"
    assert await context.cookies() == []


async def test_the_button_behind_the_link_of_a_mail_skips_the_next_reminder(daemon, browser):
    """From the mail to the reminder that never comes: opening the link skips nothing, the button does, and says why."""
    world = daemon.world
    await world.recovery.checkout(report())
    await world.relay.wait_for(1)
    mail = message_from_bytes(world.relay.mails[0].content, policy=policy.default)
    page = await browser.new_page()
    await page.set_content(mail.get_body(("html",)).get_content())
    link = await page.get_by_role("link", name="Unsubscribe").get_attribute("href")
    await page.goto(f"{daemon.http.base_url}{urlsplit(link).path}")
    await page.get_by_role("button", name="Unsubscribe").click()
    await page.get_by_role("heading", name="You are unsubscribed").wait_for()
    async with asyncio.timeout(60):
        while (state := await world.recovery.get(SHOP, "1")).next_at is not None:
            await asyncio.sleep(0.05)
    message = state.messages["reminder-2"]
    assert (message.state, message.reason) == (MessageState.SKIPPED, "the address is suppressed: unsubscribed")
    assert len(world.relay.mails) == 1


async def test_a_provider_unsubscribes_in_one_click(daemon, reason):
    """A scanner's GET changes nothing; the POST of a mailbox provider (RFC 8058) unsubscribes."""
    async with httpx.AsyncClient(base_url=daemon.http.base_url, trust_env=False) as provider:
        for method in ("GET", "HEAD"):
            assert (await provider.request(method, TO_UNSUBSCRIBE)).status_code == 200
        assert await reason() is None
        answer = await provider.post(TO_UNSUBSCRIBE, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.history) == (200, [])
        assert await reason() is SuppressionReason.UNSUBSCRIBED


@pytest.mark.parametrize("javascript", [True, False])
async def test_the_way_back_leads_to_the_checkout(daemon, browser, javascript):
    """A click on the link leads to the shop, by itself or by a button, and is counted; a scanner's GET is not."""
    await daemon.world.recovery.checkout(report())
    link = f"{daemon.http.base_url}{LINKS.back(state(), step('reminder-1', minutes(30)))}"
    counted = 'recovery_clicks_total{shop="shop.example",step="reminder-1"}'
    assert (await daemon.http.get(link)).status_code == 200
    assert counted not in (await daemon.http.get("/metrics")).text
    page = await (await browser.new_context(java_script_enabled=javascript)).new_page()
    referrers: list[str | None] = []

    async def shop(route, request):
        referrers.append(request.headers.get("referer"))
        await route.fulfill(body="<h1>Your basket</h1>", content_type="text/html")

    await page.route("https://shop.example/**", shop)
    await page.goto(link)
    if not javascript:
        await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("heading", name="Your basket").wait_for()
    assert page.url == "https://shop.example/checkouts/1"
    assert referrers == [None], "the shop does not learn the link"
    assert f"{counted} 1.0" in (await daemon.http.get("/metrics")).text
