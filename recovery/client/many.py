"""Many reports in one call: a limited number on their way at a time, and a result for each, in order."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from recovery.client.reports import CheckoutReport, Kept, OrderReport
from recovery.domain.checkout import Checkout, Order

AT_ONCE = 128
"""Reports that are on their way at the same time, with an event loop: several groups of a group commit."""

TOGETHER = 200
"""Reports that are written together without one."""

Item = Checkout | Order | Exception
"""What a source of reports yields; an exception in place of what it could not read."""

Asked = CheckoutReport | OrderReport


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What became of one of many reports: `kept` is where it is stored, or None if it is not because of `error`.

    An `error` is what `Recovery.checkout` or `Recovery.order` would have raised, or what the source of the reports
    yielded in place of one; then `report` is None.
    """

    report: Checkout | Order | None
    kept: Kept | None = None
    error: Exception | None = None


def asked(report: Checkout | Order) -> Asked:
    """Return the call that reports it. Raises `TypeError` for anything else."""
    match report:
        case Checkout():
            return CheckoutReport(report=report)
        case Order():
            return OrderReport(report=report)
    raise TypeError(f"cannot report {type(report).__name__}: give checkouts and orders")


class Window:
    """Sends reports with an event loop, `most` at a time. A second report of a checkout waits for the end of its first.

    `send` is called for each report and raises the error that becomes its result.
    """

    def __init__(self, send: Callable[[Asked], Coroutine[Any, Any, Kept]], most: int = AT_ONCE) -> None:
        self._send = send
        self._room = asyncio.Semaphore(most)
        self._sent: asyncio.Queue[ReportResult | tuple[Checkout | Order, asyncio.Task[Kept]] | None] = asyncio.Queue()
        self._latest: dict[str, asyncio.Task[Kept]] = {}
        """The last report of each checkout that is on its way."""

    async def results(self, reports: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[ReportResult, None]:
        """Yield the results in order, each as soon as it and those before it are there.

        The source is read no further than there is room. What it raises is raised after the results of what it yielded.
        """
        feeding = asyncio.create_task(self._feed(reports), name="reports")
        try:
            while (sent := await self._sent.get()) is not None:
                result = sent if isinstance(sent, ReportResult) else await self._result(*sent)
                self._room.release()
                yield result
            await feeding
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await feeding  # a source must not be read when this has ended
            await self._drop()

    async def _drop(self) -> None:
        """Cancel the reports whose results nobody waits for: they may be stored, or not."""
        left = []
        while not self._sent.empty():
            if isinstance(sent := self._sent.get_nowait(), tuple):
                left.append(sent[1])
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _feed(self, reports: Iterable[Item] | AsyncIterable[Item]) -> None:
        try:
            if isinstance(reports, AsyncIterable):
                async for item in reports:
                    await self._begin(item)
            else:
                for item in reports:
                    await self._begin(item)
        finally:
            self._sent.put_nowait(None)

    async def _begin(self, item: Item) -> None:
        await self._room.acquire()
        if isinstance(item, Exception):
            self._sent.put_nowait(ReportResult(None, error=item))
            return
        call = asked(item)
        before = self._latest.get(item.id)
        sending = self._send(call) if before is None else self._after(before, call)
        task: asyncio.Task[Kept] = asyncio.create_task(sending)
        self._latest[item.id] = task
        self._sent.put_nowait((item, task))

    async def _after(self, before: "asyncio.Task[Kept]", call: Asked) -> Kept:
        await asyncio.wait([before])
        return await self._send(call)

    async def _result(self, report: Checkout | Order, task: "asyncio.Task[Kept]") -> ReportResult:
        try:
            return ReportResult(report, await task)
        except Exception as exc:  # noqa: BLE001  the result of this report, and of no other
            return ReportResult(report, error=exc)
        finally:
            if self._latest.get(report.id) is task:
                del self._latest[report.id]


async def in_batches(
    send_all: Callable[[Sequence[Asked]], Awaitable[Sequence[Kept | Exception]]],
    reports: Iterable[Item],
    most: int = TOGETHER,
) -> AsyncGenerator[ReportResult, None]:
    """Yield the results in order, without an event loop: reports are sent when so many are read, or all.

    What the source raises is raised after the results of what it yielded.
    """
    for batch in _batches(reports, most):
        good = [asked(item) for item in batch if not isinstance(item, Exception)]
        results = deque(await send_all(good))
        for item in batch:
            if isinstance(item, Exception):
                yield ReportResult(None, error=item)
                continue
            result = results.popleft()
            if isinstance(result, Kept):
                yield ReportResult(item, result)
            else:
                yield ReportResult(item, error=result)


def _batches(reports: Iterable[Item], most: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    try:
        for item in reports:
            batch.append(item)
            if len(batch) == most:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
