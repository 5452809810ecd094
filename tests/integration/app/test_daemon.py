"""A daemon as the composition root builds it: what it makes ready before anybody needs it."""

import asyncio
import threading
from functools import partialmethod

import pytest

from recovery import Recovery
from recovery.http import endpoints
from recovery.http.app import Application
from recovery.mail.templates.sandbox import Sandbox
from recovery.mail.templates.words import LANGUAGE
from recovery.settings.given import given_settings
from tests.support.builders import report
from tests.support.running_daemon import running


@pytest.fixture
def settings(mongodb, database, relay):
    return given_settings(
        {
            "mongodb": {"uri": mongodb, "database": database.name},
            "smtp": {"host": relay.host, "port": relay.port, "tls": "none"},
            "http": {"port": 0},
        }
    )


async def test_the_mails_of_a_language_are_compiled_before_the_first_is_due(
    settings, mongodb, database, relay, monkeypatch
):
    """A checkout in German is enough: half an hour before its reminder, German is compiled, in a thread."""
    compile_, loop = Sandbox.flat, asyncio.get_running_loop()
    threads: asyncio.Queue[threading.Thread] = asyncio.Queue()

    def noted(sandbox, *given):
        if sandbox.words.find("", LANGUAGE).text == "de":
            loop.call_soon_threadsafe(threads.put_nowait, threading.current_thread())
        return compile_(sandbox, *given)

    monkeypatch.setattr(Sandbox, "flat", noted)
    async with running(settings), Recovery(mongodb, database=database.name, timeout=60) as recovery:
        await recovery.checkout(report(locale="de-AT"))
        async with asyncio.timeout(60):
            assert await threads.get() is not threading.main_thread()
    assert relay.mails == []


async def test_the_endpoints_are_loaded_though_nobody_has_asked_for_one(settings, monkeypatch):
    """FastAPI is loaded after the start, in a thread: no customer's first click waits for that."""
    load, loop = endpoints.endpoints, asyncio.get_running_loop()
    threads: asyncio.Queue[threading.Thread] = asyncio.Queue()

    def noted(*parts, **options):
        loop.call_soon_threadsafe(threads.put_nowait, threading.current_thread())
        return load(*parts, **options)

    monkeypatch.setattr(endpoints, "endpoints", noted)
    monkeypatch.setattr(Application, "load_later", partialmethod(Application.load_later, after=0))
    async with running(settings), asyncio.timeout(60):
        assert await threads.get() is not threading.main_thread()
