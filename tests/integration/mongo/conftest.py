"""Fixtures of the tests in this folder."""

import pytest

from tests.support.engine_world import running


@pytest.fixture
async def engine_world(database):
    """A house whose engine runs."""
    async with running(database) as engine_world:
        yield engine_world
