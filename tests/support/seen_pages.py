"""What is true of every page of the console, checked in a browser."""

from collections.abc import AsyncIterator

from playwright.async_api import Page

from tests.support.accessibility import findings
from tests.support.console_world import ConsoleWorld, tab

PHONE = 390


async def in_each_view(page: Page) -> AsyncIterator[str]:
    """Show a page light and dark, and on a phone, one after the other; yield the name of each view."""
    for name, width, scheme in (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", PHONE, "light")):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour is on its way to another
        yield name


async def fits(page: Page) -> None:
    """Nothing of a page is wider than the window, and axe-core finds nothing serious in it."""
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(too_wide) <= 0
    assert await findings(page) == []


async def look(browser, world: ConsoleWorld, key: str, path: str, heading: str) -> None:
    """Open a page, and look at it light and dark, and on a phone: it fits, and can be read by all."""
    async with tab(browser, world) as opened:
        await opened.sign_in(key, path)
        assert await opened.page.get_by_role("heading", level=1).inner_text() == heading
        async for _ in in_each_view(opened.page):
            await fits(opened.page)
