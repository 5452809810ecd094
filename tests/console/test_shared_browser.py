"""The browser that tests share: none sees what another left, and one that crashed is started again."""

from contextlib import suppress

from playwright.async_api import Error

from tests.support.chromium import SharedChromium


async def test_what_a_test_leaves_open_is_closed_behind_it():
    """Neither its pages nor its cookies are there for the next."""
    shared = SharedChromium()
    async with shared.lent() as browser:
        context = await browser.new_context()
        await context.add_cookies([{"name": "kept", "value": "1", "url": "http://shop.example"}])
        page = await context.new_page()
    assert page.is_closed()
    async with shared.lent() as again:
        assert again is browser
        assert again.contexts == []
        assert await (await again.new_context()).cookies() == []
    await shared.close()


async def test_a_browser_that_crashed_is_started_again():
    """The test that it crashed in fails; the next gets another."""
    shared = SharedChromium()
    async with shared.lent() as browser:
        await browser.new_page()
        session = await browser.new_browser_cdp_session()
        with suppress(Error):
            await session.send("Browser.crash")
    assert not browser.is_connected()
    async with shared.lent() as another:
        page = await another.new_page()
        assert await page.evaluate("1 + 1") == 2
    await shared.close()
