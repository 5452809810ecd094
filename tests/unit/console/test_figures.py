"""The figures of the overview: of how many days they are, and who waits for them if they cannot be read."""

import asyncio
from datetime import date

import pytest

from recovery.console.figures import FiguresReader
from recovery.errors import Unavailable
from tests.support.console_alone import NOW, desk


def _reader():
    return FiguresReader(desk())


async def test_who_waits_while_the_database_is_away_does_not_wait_in_turn():
    """Each attempt takes as long as the driver waits for a server: ten open consoles would wait ten times that."""
    reader, asked = _reader(), 0

    async def away(_now, _shops):
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise Unavailable("the database is away")

    reader._backlog.due = away
    together = await asyncio.gather(*(reader.read() for _ in range(10)), return_exceptions=True)
    assert {type(each) for each in together} == {Unavailable}
    assert asked == 1
    with pytest.raises(Unavailable):
        await reader.read()
    assert asked == 2


async def test_the_week_is_of_seven_days():
    """Today and the six before it: days are whole, in UTC."""
    reader, asked = _reader(), []

    async def cells(since, until, shops):
        asked.append((since, until, shops))
        return []

    reader._results.cells = cells
    await reader._last_week((), NOW)
    assert asked == [(date(2026, 2, 27), date(2026, 3, 5), ())]
