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
"""More would keep the server busy with one batch while the others wait: two at a time are a third faster."""


class _Waiting(NamedTuple):
    write: Write
    kept: "asyncio.Future[None]"
    until: float
    """By the monotonic clock: the caller has gone then."""


class GroupCommit:
    """Writes to a collection of PyMongo's asynchronous client, or Motor's.

    What is asked for within one turn of the event loop goes out together at its end. A lone write waits for nobody;
    while one group is being written, those who come go out in the next, without waiting for its end.
    """

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._waiting: list[_Waiting] = []
        self._groups: set[asyncio.Task[None]] = set()

    async def write(self, write: Write, within: float = math.inf) -> None:
        """Return once this write is kept, or raise `TimeoutError` if it is not known to be `within` this many seconds.

        Raises what PyMongo raises, for this one alone if it alone is at fault.
        """
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            # Not in the context of the caller: a time limit of PyMongo's that holds there is not that of the others.
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
        except Exception as exc:  # noqa: BLE001  handed to whoever it concerns
            if len(group) > 1 and not isinstance(exc, PyMongoError):
                await asyncio.gather(*(self._commit([each]) for each in group))  # whose fault it is, each finds out
                return
            faults = dict.fromkeys(range(len(group)), exc)
        for number, each in enumerate(group):
            if each.kept.done():  # its caller has gone
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
    """Let callers go when their time is over, by one alarm for all, while `task` writes.

    Only the waiting is cut short: a call of the driver that is cancelled can leave a connection open.
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
    """Return a time limit as libraries want it: None is no limit, and 0 must not be taken for none."""
    return None if within == math.inf else max(within, 0.001)


def _faults(exc: BulkWriteError, count: int) -> Mapping[int, PyMongoError]:
    """Return who of a group of `count` failed, by place: those with an error of their own, or all if it is not safe."""
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
