"""Group commit: concurrent single writes share a bulk write, and so one wait for the journals of the majority."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pymongo
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError, WriteConcernError, WriteError

from recovery.mongo.drivers import settled
from recovery.mongo.first_reports import FirstReports
from recovery.mongo.intake import CheckoutWrite, Write, as_update

MOST_TOGETHER = 32
"""The maximum size of a group. Larger ones would leave others waiting: two groups at a time are a third faster."""

MOST_GROUPS = 4
"""Groups of `write_all` that are written at a time; others wait, so that many batches do not hold up a single write.
With fewer the server is idle while Python works, as above."""

DUPLICATE_KEY = 11000

Faults = dict[int, Exception]
M = TypeVar("M", bound="_Member")


@dataclass(slots=True, eq=False)
class _Member:
    write: Write | CheckoutWrite
    until: float
    """The caller's deadline, by the monotonic clock."""
    document: dict[str, Any] | None = None
    """What is inserted instead, if nothing is stored under its id."""


@dataclass(slots=True, eq=False)
class _Waiting(_Member):
    kept: "asyncio.Future[None]" = field(kw_only=True)


class BulkWrite:
    """Writes of a collection in bulk, each with its own result; with either of PyMongo's clients, or Motor's."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    async def write_all(self, writes: Sequence[Write | CheckoutWrite], within: float) -> list[Exception | None]:
        """Make these writes within so many seconds, those of one id in order; return the error of each, or None."""
        until = within + time.monotonic()
        faults = await self._update([_Member(write, until) for write in writes], range(len(writes)))
        return [faults.get(number) for number in range(len(writes))]

    async def _update(self, group: Sequence[_Member], numbers: Sequence[int]) -> Faults:
        """Make the updates at these indices; return the errors."""
        if not numbers:
            return {}
        writes = [as_update(group[number].write) for number in numbers]
        try:
            with _limited([group[number] for number in numbers]):
                if len(writes) == 1:
                    await settled(self._collection.update_one(*writes[0]))
                else:
                    await settled(self._collection.bulk_write([UpdateOne(*write) for write in writes], ordered=False))
        except BulkWriteError as exc:
            return dict(_faults(exc, numbers))
        except Exception as exc:  # noqa: BLE001  raised for each caller
            if len(numbers) == 1 or isinstance(exc, PyMongoError):
                return dict.fromkeys(numbers, exc)
            alone = [await self._update(group, [number]) for number in numbers]  # finds it
            return {number: fault for faults in alone for number, fault in faults.items()}
        return {}


class GroupCommit(BulkWrite):
    """Group commit for a collection of PyMongo's asynchronous client, or Motor's.

    All writes of one iteration of the event loop go out together at its end. A single write does not wait for others;
    writes that arrive while a group is being written go out in the next one, without waiting for its end.

    With `firsts`, first reports are inserted, in a command of their own, at the same time as the updates of the group.
    What turns out to be stored already is updated after that.
    """

    def __init__(self, collection: Any, firsts: FirstReports | None = None) -> None:
        super().__init__(collection)
        self._firsts = firsts
        self._waiting: list[_Waiting] = []
        self._turns = asyncio.Semaphore(MOST_GROUPS)
        self._groups: set[asyncio.Task[Any]] = set()

    async def write(self, write: Write | CheckoutWrite, within: float = math.inf) -> None:
        """Make a write; return once it is acknowledged. Raises `TimeoutError` after `within` seconds.

        Raises PyMongo's errors; an error of one write is raised for its caller alone.
        """
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            # In an empty context: a `pymongo.timeout` of this caller must not apply to the others.
            loop.call_soon(self._go, context=Context())
        self._waiting.append(_Waiting(write, time.monotonic() + within, kept=kept))
        await kept

    async def write_all(self, writes: Sequence[Write | CheckoutWrite], within: float) -> list[Exception | None]:
        """Make these writes as a group of their own; return the error of each, or None.

        That takes so many seconds at most, once the group has its turn. Writes of one id are made in order. A single
        write shares the group of other callers.
        """
        if len(writes) == 1:
            try:
                await self.write(writes[0], within)
            except Exception as exc:  # noqa: BLE001  the error of this write
                return [exc]
            return [None]
        async with self._turns:
            until = within + time.monotonic()
            group = self._with_documents([_Member(write, until) for write in writes])
            task = asyncio.create_task(self._faults(group), context=Context())  # empty, as for `write`
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)
            await asyncio.wait([task], timeout=None if within == math.inf else within)
        if not task.done():  # only the waiting for it ends
            return [TimeoutError() for _ in writes]
        faults = task.result()
        return [faults.get(number) for number in range(len(writes))]

    def _with_documents(self, group: list[M]) -> list[M]:
        """Give those writes their documents that are inserted; return the group."""
        if self._firsts is not None:
            now = self._firsts.now() if len(group) > 1 else None
            for each in group:
                each.document = self._firsts.document(each.write, now)
        return group

    def _go(self) -> None:
        waiting, self._waiting = self._with_documents(self._waiting), []
        for start in range(0, len(waiting), MOST_TOGETHER):
            group = waiting[start : start + MOST_TOGETHER]
            task = asyncio.create_task(self._commit(group))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)
            _watch(group, task)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        """Write a group, and give each caller its result.

        All end together, so that the next writes of these callers are a group again, and not many small ones.
        """
        faults = await self._faults(group)
        for number, each in enumerate(group):
            if each.kept.done():  # its caller was cancelled or timed out
                continue
            if number in faults:
                each.kept.set_exception(faults[number])
            else:
                each.kept.set_result(None)

    async def _faults(self, group: Sequence[_Member]) -> Faults:
        """Write a group; return the errors by index. Writes of one id are made in order."""
        new = {number: each.document for number, each in enumerate(group) if each.document is not None}
        if not new:
            return await self._update(group, range(len(group)))
        ids = {document["_id"] for document in new.values()}
        others = [n for n, each in enumerate(group) if each.document is None and each.write.id not in ids]
        (faults, stored), updated = await asyncio.gather(self._insert(group, new), self._update(group, others))
        if self._firsts is not None:
            self._firsts.inserted(len(new), len(stored))
        after = [n for n, each in enumerate(group) if n in stored or (each.document is None and each.write.id in ids)]
        return faults | updated | await self._update(group, after)

    async def _insert(self, group: Sequence[_Member], new: Mapping[int, dict[str, Any]]) -> tuple[Faults, list[int]]:
        """Insert these documents, by their indices; return the errors, and the indices of what must be an update."""
        numbers = list(new)
        documents = [InsertOne(document) for document in new.values()]
        try:
            with _limited([group[number] for number in numbers]):
                await self._collection.bulk_write(documents, ordered=False)
        except BulkWriteError as exc:
            found = _faults(exc, numbers)
            stored = [number for number, fault in found.items() if fault.code == DUPLICATE_KEY]
            return {number: fault for number, fault in found.items() if number not in stored}, stored
        except PyMongoError as exc:
            return dict.fromkeys(numbers, exc), []
        except Exception:  # noqa: BLE001  the updates find the document at fault
            return {}, numbers
        return {}, []


def _limited(group: Sequence[_Member]) -> AbstractContextManager[None]:
    """Return a context manager that limits PyMongo to the latest deadline of a group."""
    within = max(each.until for each in group) - time.monotonic()
    return pymongo.timeout(None if within == math.inf else max(within, 0.001))  # 0 would be no limit


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


def _faults(exc: BulkWriteError, numbers: Sequence[int]) -> dict[int, WriteError | WriteConcernError]:
    """Return the errors of a bulk write by the callers' indices: an error for all if the write concern failed."""
    details: Mapping[str, Any] = exc.details or {}
    if concern := details.get("writeConcernErrors"):
        fault = concern[-1]
        return {number: WriteConcernError(str(fault.get("errmsg")), fault.get("code"), fault) for number in numbers}
    return {
        numbers[error["index"]]: WriteError(str(error.get("errmsg")), error.get("code"), error)
        for error in details.get("writeErrors", ())
    }
