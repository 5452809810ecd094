"""Group commit: concurrent single writes share a bulk write, and so one wait for the journals of the majority."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any, NamedTuple

import pymongo
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError, WriteConcernError, WriteError

from recovery.mongo.intake import Write

MOST_TOGETHER = 32
"""The maximum size of a group. Larger ones would leave others waiting: two groups at a time are a third faster."""


class _Waiting(NamedTuple):
    write: Write
    kept: "asyncio.Future[None]"
    until: float
    """The caller's deadline, by the monotonic clock."""


class GroupCommit:
    """Group commit for a collection of PyMongo's asynchronous client, or Motor's.

    All writes of one iteration of the event loop go out together at its end. A single write does not wait for others;
    writes that arrive while a group is being written go out in the next one, without waiting for its end.
    """

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._waiting: list[_Waiting] = []
        self._groups: set[asyncio.Task[None]] = set()

    async def write(self, write: Write, within: float = math.inf) -> None:
        """Make a write; return once it is acknowledged. Raises `TimeoutError` after `within` seconds.

        Raises PyMongo's errors; an error of one write is raised for its caller alone.
        """
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            # In an empty context: a `pymongo.timeout` of this caller must not apply to the others.
            loop.call_soon(self._go, context=Context())
        self._waiting.append(_Waiting(write, kept, time.monotonic() + within))
        await kept

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST_TOGETHER):
            group = waiting[start : start + MOST_TOGETHER]
            task = asyncio.create_task(self._commit(group))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)
            _watch(group, task)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        faults: Mapping[int, Exception] = {}
        try:
            with pymongo.timeout(_seconds(max(each.until for each in group) - time.monotonic())):
                await self._write([each.write for each in group])
        except BulkWriteError as exc:
            faults = _faults(exc, len(group))
        except Exception as exc:  # noqa: BLE001  raised for each caller
            if len(group) > 1 and not isinstance(exc, PyMongoError):
                await asyncio.gather(*(self._commit([each]) for each in group))  # finds the write at fault
                return
            faults = dict.fromkeys(range(len(group)), exc)
        for number, each in enumerate(group):
            if each.kept.done():  # its caller was cancelled or timed out
                continue
            if number in faults:
                each.kept.set_exception(faults[number])
            else:
                each.kept.set_result(None)

    async def _write(self, writes: Sequence[Write]) -> None:
        if len(writes) == 1:
            await self._collection.update_one(*writes[0])
        else:
            await self._collection.bulk_write([UpdateOne(*write) for write in writes], ordered=False)


def _watch(group: Sequence[_Waiting], task: "asyncio.Task[None]") -> None:
    """Raise `TimeoutError` for callers at their deadlines, by one timer for all, while `task` writes.

    Only their waiting ends: to cancel a call of the driver could leave a connection open.
    """
    first = min(each.until for each in group)
    if first < math.inf:
        alarm = task.get_loop().call_later(max(first - time.monotonic(), 0), _give_up, group, task)
        task.add_done_callback(lambda _: alarm.cancel())


def _give_up(group: Sequence[_Waiting], task: "asyncio.Task[None]") -> None:
    waiting = [each for each in group if not each.kept.done()]
    late = [each for each in waiting if each.until <= time.monotonic()]
    for each in late:
        each.kept.set_exception(TimeoutError())
    if len(late) < len(waiting):
        _watch([each for each in waiting if not each.kept.done()], task)


def _seconds(within: float) -> float | None:
    """Return a timeout for `pymongo.timeout`: None for no limit, and never 0, which would mean the same."""
    return None if within == math.inf else max(within, 0.001)


def _faults(exc: BulkWriteError, count: int) -> Mapping[int, PyMongoError]:
    """Return the errors of a group of `count` writes, by index: or of all if the write concern failed."""
    details: Mapping[str, Any] = exc.details or {}
    if concern := details.get("writeConcernErrors"):
        fault = concern[-1]
        return {
            number: WriteConcernError(str(fault.get("errmsg")), fault.get("code"), fault) for number in range(count)
        }
    return {
        error["index"]: WriteError(str(error.get("errmsg")), error.get("code"), error)
        for error in details.get("writeErrors", ())
    }
