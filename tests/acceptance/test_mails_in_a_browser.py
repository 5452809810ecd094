"""The default mails in a browser: what axe-core finds, and whether they fit a phone."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, Route

from tests.support import one_loop
from tests.support.accessibility import findings
from tests.support.chromium import SharedChromium
from tests.support.default_mails import STEPS, rendered, whole

pytestmark = one_loop.marked


@one_loop.fixture(scope="module")
async def shared_chromium() -> AsyncIterator[SharedChromium]:
    """One browser for all tests of this module that this process runs."""
    shared = SharedChromium()
    yield shared
    await shared.close()


@one_loop.fixture
async def browser(shared_chromium: SharedChromium) -> AsyncIterator[Browser]:
    """Debian's Chromium, without a page of another test."""
    async with shared_chromium.lent() as browser:
        yield browser


async def opened(browser: Browser, html: str, scheme: str, width: int) -> Page:
    """A mail in a window of its own; nothing that it would load is there, as where pictures are blocked."""

    async def blocked(route: Route) -> None:
        await route.abort()

    page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    await page.route("**/*", blocked)
    await page.set_content(html)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", STEPS)
async def test_axe_finds_nothing_serious(browser: Browser, name: str, scheme: str) -> None:
    """In light and dark colours, from left and from right, no finding is serious or critical."""
    page = await opened(browser, "", scheme, 390)
    for language in ("en", "ar"):
        await page.set_content(rendered(name, whole(name, language, 6)).html)
        assert await findings(page) == [], language


async def test_axe_would_find_it(browser: Browser) -> None:
    """A mail whose foot is too pale, and whose pictures say nothing, is found out."""
    html = rendered("reminder-1", whole("reminder-1", "en")).html
    pale = html.replace("color:#6b645a", "color:#a89f92").replace('alt="Arc floor lamp"', "")
    page = await opened(browser, pale, "light", 390)
    found = await findings(page)
    assert {finding.split(" ")[0] for finding in found} >= {"color-contrast", "image-alt"}


@pytest.mark.parametrize("width", [320, 390, 800])
async def test_every_mail_fits_its_window(browser: Browser, width: int) -> None:
    """Nothing sticks out at the side, from left or from right, also with a long name without a blank."""
    page = await opened(browser, "", "light", width)
    for name in STEPS:
        for language in ("en", "ja", "ar"):
            checkout = whole(name, language)
            long = checkout.facts.items[0].model_copy(update={"name": "x" * 200, "variant": "W" * 200})
            facts = checkout.facts.model_copy(update={"items": (long, *checkout.facts.items[1:])})
            await page.set_content(rendered(name, checkout.model_copy(update={"facts": facts})).html)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, (name, language)
