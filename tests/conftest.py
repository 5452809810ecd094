"""Fixtures of all tiers: one temporary mongod for the whole run, a database for each test, a relay that records."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import hypothesis
import pytest
import uvloop
from pymongo.asynchronous.database import AsyncDatabase

from recovery.mongo.collections import Document
from recovery.testing.mongod import NoMongod, mongod
from tests.support.databases import empty_database, unused_name
from tests.support.dealing import dealt
from tests.support.log_lines import addresses, overheard
from tests.support.quiet_machine import MACHINE
from tests.support.smtp_servers import RecordingRelay

hypothesis.settings.register_profile("recovery", deadline=None)  # no test depends on how fast the machine is
hypothesis.settings.load_profile("recovery")

EVENT_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Run the tests of a module that names `LOOPS` on each of them; a fixture that sets the clock needs asyncio's."""
    wanted = getattr(item.module, "LOOPS", ("asyncio",))
    if "leap" in item.fixturenames:
        wanted = ("asyncio",)
    return {name: EVENT_LOOPS[name] for name in wanted}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have each process of the run begin with long tests."""
    if hasattr(config, "workerinput"):
        items[:] = dealt(items, config.workerinput["workercount"])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Run each test beside the others, unless one of them has the machine for itself: that is waited for before.

    What waits is not timed: this comes before `pytest-timeout`.
    """
    with MACHINE.shared():
        return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no file behind."""
    if not hasattr(config, "workerinput"):
        MACHINE.close()


@pytest.fixture(autouse=True)
def no_log_line_names_a_person(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test while which a customer's address was logged, at whatever level."""
    if request.node.get_closest_marker("names_people"):
        yield  # its lines are what is tested
        return
    with overheard() as lines:
        yield
    assert addresses(lines) == []


@pytest.fixture(scope="session")
def mongodb() -> Iterator[str]:
    """The URI of a replica set of one whose TTL monitor passes every second and whose fail points can be used."""
    with ExitStack() as running:
        try:
            uri = running.enter_context(mongod(ttl_seconds=1, test_commands=True))
        except NoMongod as exc:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(exc))
        yield uri


@pytest.fixture
def database_name() -> str:
    """A name that no other test has."""
    return unused_name()


@pytest.fixture
async def database(mongodb: str, database_name: str) -> AsyncIterator[AsyncDatabase[Document]]:
    """An empty database of this test's own, with collections and indexes."""
    async with empty_database(mongodb, database_name) as database:
        yield database


@pytest.fixture
async def relay() -> AsyncIterator[RecordingRelay]:
    """A relay on loopback that takes everything, or misbehaves as told."""
    async with RecordingRelay() as relay:
        yield relay
