"""The page that shows the API, in a real browser, as an operator without internet sees it."""

import asyncio
from urllib.parse import urlsplit

from tests.support.api import Api
from tests.support.serving import serving

KEY = "a key of some length"


async def test_the_api_can_be_tried_out_without_the_internet(browser):
    """The page loads nothing from elsewhere, keeps to its own policy, takes a key and shows the answer."""
    api = Api(api_keys=(KEY,))
    async with serving(api.app) as (port, _, _):
        page = await browser.new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"http://127.0.0.1:{port}/docs")
        await page.get_by_text("Report a checkout").wait_for()
        await page.get_by_role("button", name="Authorize").click()
        await page.get_by_role("textbox").fill(KEY)
        await page.get_by_role("button", name="Apply credentials").click()
        await page.get_by_role("button", name="Close").click()
        await page.locator("#operations-persons-exportPerson").get_by_role("button").first.click()
        await page.get_by_role("button", name="Try it out").click()
        await page.get_by_role("textbox").fill('{"email": "ada@example.com"}')
        async with asyncio.timeout(60), page.expect_response("**/export") as answer:
            await page.get_by_role("button", name="Execute").click()
        assert (await (await answer.value).json())["email"] == "ada@example.com"
        local = [url for url in asked if urlsplit(url).scheme not in ("data", "blob")]
        assert {urlsplit(url).netloc for url in local} == {f"127.0.0.1:{port}"}
        assert complaints == []
        await page.close()
