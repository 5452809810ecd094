"""A running daemon with its console, and browser pages that notice what a page must not do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.async_api import Browser, Page

from recovery import Recovery
from recovery.mongo.collections import Database
from recovery.settings import Settings
from recovery.settings.given import given_settings
from tests.support.running_daemon import running
from tests.support.smtp_servers import RecordingRelay

OPERATOR, READER, LAMPS_ONLY, REPORTER = (
    f"{name}-key-0123456789abcdef" for name in ("operator", "reader", "lamps", "reporter")
)
KEYS = [
    {"name": "olga", "secret": OPERATOR},
    {"name": "rudi", "secret": READER, "scopes": ["read"]},
    {"name": "lena", "secret": LAMPS_ONLY, "shops": ["lamps.example"]},
    {"name": "till", "secret": REPORTER, "scopes": ["report"]},
]
"""Keys: of an operator with all scopes, of a reader, of an operator of one shop, and of a service that reports."""

LISTENER = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(
    `${event.violatedDirective} ${event.blockedURI} ${event.sourceFile || ""}:${event.lineNumber}`));
"""


@dataclass(slots=True)
class ConsoleWorld:
    """A daemon in this process, on a database and a relay of the test's own. `url` is where it serves HTTP."""

    settings: Settings
    url: str
    database: Database
    relay: RecordingRelay
    recovery: Recovery
    stop: asyncio.Event

    @asynccontextmanager
    async def client(self, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """Yield an HTTP client, signed in with a key."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            if key is not None:
                answer = await client.post("/console/sign-in", data={"key": key})
                assert answer.status_code == 303, answer.text
            yield client


@asynccontextmanager
async def console_world(
    mongodb: str, database: Database, relay: RecordingRelay, **sections: Mapping[str, Any]
) -> AsyncIterator[ConsoleWorld]:
    """Run a daemon with these settings until the end of the block."""
    values: dict[str, Mapping[str, Any]] = {
        "mongodb": {"uri": mongodb, "database": database.name},
        "smtp": {"host": relay.host, "port": relay.port, "tls": "none"},
        "http": {"port": 0, "keys": KEYS},
        "daemon": {"name": "console-test"},
    }
    settings = given_settings(values | sections)
    stop = asyncio.Event()
    async with running(settings, stop) as ready, Recovery(mongodb, database=database.name, timeout=60) as recovery:
        url = f"http://127.0.0.1:{ready.port}"
        yield ConsoleWorld(settings, url, database, relay, recovery, stop)


@dataclass(slots=True)
class Tab:
    """A page in a browser, and everything that went wrong in it."""

    page: Page
    world: ConsoleWorld
    wrong: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        """Open a page of the console."""
        await self.page.goto(f"{self.world.url}{path}")

    async def sign_in(self, key: str, path: str = "/console") -> None:
        """Sign in with a key, without the form, and open a page."""
        answer = await self.page.context.request.post(
            f"{self.world.url}/console/sign-in", form={"key": key}, max_redirects=0
        )
        assert answer.status == 303, await answer.text()
        await self.go(path)

    async def sign_in_by_form(self, key: str, path: str = "/console") -> None:
        """Sign in with a key as people do, on the way to a page."""
        await self.go(path)
        await self.page.get_by_label("Key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url(f"{self.world.url}{path}")


@asynccontextmanager
async def tab(
    browser: Browser, world: ConsoleWorld, *, javascript: bool = True, width: int = 1280, scheme: str = "light"
) -> AsyncIterator[Tab]:
    """Open a page. At its end, no policy of its content was violated, and nothing failed in it."""
    context = await browser.new_context(
        java_script_enabled=javascript,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    if javascript:
        await context.add_init_script(LISTENER)
    page = await context.new_page()
    opened = Tab(page, world)
    page.on("pageerror", lambda error: opened.wrong.append(f"error: {error}"))
    page.on("console", lambda line: opened.wrong.append(line.text) if "Content Security Policy" in line.text else None)
    page.on("requestfailed", lambda request: _note(opened.wrong, request.url, request.failure))
    page.on("request", lambda request: _note_foreign(opened, request.url))
    try:
        yield opened
        if javascript:
            opened.wrong += await page.evaluate("window.violations")
        assert opened.wrong == []
    finally:
        await context.close()


def _note(wrong: list[str], url: str, failure: str | None) -> None:
    if failure != "net::ERR_ABORTED":  # left, or a stream that was open
        wrong.append(f"{url}: {failure}")


def _note_foreign(opened: Tab, url: str) -> None:
    if not url.startswith((opened.world.url, "data:", "about:", "blob:")):
        opened.wrong.append(f"asked for {url}")
