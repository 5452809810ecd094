"""The pages behind the links with a shop's brand, in the language of the mail: a real daemon, a real browser."""

import json
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import STEPS, DaemonWorld
from tests.support.builders import report

WORDS = """
language = "ar"
unsubscribe = "إلغاء الاشتراك"

[page-unsubscribe]
title = "هل نتوقف عن التذكير؟"
text = "لن يذكّرك {{ brand.name }} بعد الآن."
button = "إلغاء الاشتراك"

[page-done]
title = "تم إلغاء اشتراكك"
text = "لن يرسل إليك {{ brand.name }} أي تذكير."
button = "تراجع"
"""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cf50ff1f0005fe02fe"
    "a735c1c30000000049454e44ae426082"
)


@pytest.fixture
async def daemon(mongodb, database_name, database, relay, tmp_path):
    """A daemon of a shop with a brand, and with Arabic words."""
    (tmp_path / "words.ar.toml").write_text(WORDS)
    settings = {
        "RECOVERY_SCHEDULE__STEPS": json.dumps(STEPS[:1]),
        "RECOVERY_LINKS__BASE_URL": "http://127.0.0.1:8080",
        "RECOVERY_LINKS__KEYS": "a key of some length",
        "RECOVERY_MAIL__TEMPLATES": str(tmp_path),
        "RECOVERY_BRAND__NAME": "Lamps & متجر",
        "RECOVERY_BRAND__LOGO_URL": "https://cdn.example/logo.png",
        "RECOVERY_BRAND__COLOUR": "#ffd500",
        "RECOVERY_BRAND__WEBSITE": "https://lamps.example/",
    }
    world = DaemonWorld(mongodb, database_name, relay, expirer=True)
    async with world.recovery, world.daemon(**settings) as running:
        running.world = world
        yield running


async def test_an_arabic_mail_leads_to_an_arabic_page(daemon, browser):
    """The page is in the mail's language in a German browser, from right to left, with the logo and the colours."""
    world = daemon.world
    await world.recovery.checkout(report(locale="ar-EG"))
    await world.relay.wait_for(1)
    mail = message_from_bytes(world.relay.mails[0].content, policy=policy.default)
    context = await browser.new_context(locale="de-DE", color_scheme="light")
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    asked: list[str] = []

    async def logo(route, request):
        asked.append(request.url)
        await route.fulfill(body=PIXEL, content_type="image/png")

    await page.route("https://cdn.example/**", logo)
    await page.set_content(mail.get_body(("html",)).get_content())
    link = await page.get_by_role("link", name="إلغاء الاشتراك").get_attribute("href")
    asked.clear()
    await page.goto(f"{daemon.http.base_url}{urlsplit(link).path}")
    await page.get_by_role("heading", name="هل نتوقف عن التذكير؟").wait_for()
    assert await page.locator("html").get_attribute("dir") == "rtl"
    image = page.get_by_role("img", name="Lamps & متجر")
    assert await image.evaluate("each => each.complete && each.naturalWidth") == 1
    assert asked == ["https://cdn.example/logo.png"]
    button = page.get_by_role("button", name="إلغاء الاشتراك")
    colours = "each => [getComputedStyle(each).backgroundColor, getComputedStyle(each).color]"
    assert await button.evaluate(colours) == ["rgb(255, 213, 0)", "rgb(28, 25, 23)"]
    await button.click()
    await page.get_by_role("heading", name="تم إلغاء اشتراكك").wait_for()
    assert complaints == [], "the page keeps to its own policy"
