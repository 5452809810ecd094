"""What is true of every page of the console, checked in a browser."""

from tests.support.accessibility import findings
from tests.support.console_world import ConsoleWorld, tab

PHONE = 390


async def look(browser, world: ConsoleWorld, key: str, path: str, heading: str) -> None:
    """Open a page light and dark, and on a phone: it fits, and axe-core finds nothing serious."""
    for width, scheme in ((1280, "light"), (1280, "dark"), (PHONE, "light")):
        async with tab(browser, world, width=width, scheme=scheme) as opened:
            await opened.sign_in(key, path)
            assert await opened.page.get_by_role("heading", level=1).inner_text() == heading
            too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await opened.page.evaluate(too_wide) <= 0
            assert await findings(opened.page) == []
