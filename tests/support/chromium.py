"""Debian's Chromium, driven by Playwright."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = Path("/usr/bin/chromium")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start a browser. People without it may skip its tests; CI may not."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"there is no {CHROMIUM}")
        pytest.skip(f"there is no {CHROMIUM}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


class SharedChromium:
    """One browser for many tests, one after the other. No test finds what another has opened."""

    def __init__(self) -> None:
        self._running = AsyncExitStack()
        self._browser: Browser | None = None

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Browser]:
        """Yield the browser, started if it does not run; in the end, close the contexts that were left open in it."""
        if self._browser is None or not self._browser.is_connected():
            await self.close()
            self._browser = await self._running.enter_async_context(chromium())
        try:
            yield self._browser
        finally:
            for context in self._browser.contexts:
                await context.close()

    async def close(self) -> None:
        """End the browser."""
        self._browser = None
        await self._running.aclose()
