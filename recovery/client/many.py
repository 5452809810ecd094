"""Many reports in one call: a limited number on their way at a time, and a result for each, in order."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from recovery.client.reports import CheckoutReport, Kept, OrderReport
from recovery.domain.checkout import Checkout, Order

AT_ONCE = 128
"""Reports that are on their way at the same time, with an event loop: several groups."""

GROUP = 64
"""Reports that are written together with an event loop, at most."""

TOGETHER = 200
"""Reports that are written together without one."""

Item = Checkout | Order | Exception
"""What a source of reports yields; an exception in place of what it could not read."""

Asked = CheckoutReport | OrderReport

SendAll = Callable[[Sequence[Asked]], Coroutine[Any, Any, Sequence[Kept | Exception]]]
"""Stores reports; returns what becomes of each."""


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


class _Group:
    """Reports that are written together, no two of one checkout; `sending` is there once they are sent."""

    __slots__ = ("calls", "sending")

    def __init__(self) -> None:
        self.calls: list[Asked] = []
        self.sending: asyncio.Task[Sequence[Kept | Exception]] | None = None


class _Sent(NamedTuple):
    report: Checkout | Order
    group: _Group
    place: int


class Window:
    """Sends reports with an event loop, `most` at a time, those together that are read in one turn of the loop.

    A second report of a checkout waits for the end of its first. `send_all` is called for each group, of at most
    `together` reports, and returns what becomes of each.
    """

    def __init__(self, send_all: SendAll, most: int = AT_ONCE, together: int = GROUP) -> None:
        self._send_all = send_all
        self._together = together
        self._room = asyncio.Semaphore(most)
        self._sent: asyncio.Queue[ReportResult | _Sent | None] = asyncio.Queue()
        self._open: _Group | None = None
        """The group that is not sent yet."""
        self._latest: dict[str, _Group] = {}
        """The group of the last report of each checkout that is on its way."""

    async def results(self, reports: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[ReportResult, None]:
        """Yield the results in order, each as soon as its group and those before it are there.

        The source is read no further than there is room. What it raises is raised after the results of what it yielded.
        """
        feeding = asyncio.create_task(self._feed(reports), name="reports")
        try:
            while (sent := await self._sent.get()) is not None:
                result = sent if isinstance(sent, ReportResult) else await self._result(sent)
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
        self._open = None
        left = set()
        while not self._sent.empty():
            if isinstance(sent := self._sent.get_nowait(), _Sent) and sent.group.sending is not None:
                left.add(sent.group.sending)
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
        group = self._group() if before is None else _Group()
        group.calls.append(call)
        self._latest[item.id] = group
        self._sent.put_nowait(_Sent(item, group, len(group.calls) - 1))
        if before is not None:
            self._send(before)
            group.sending = asyncio.create_task(self._after(before, group.calls))
        elif len(group.calls) == self._together:
            self._send(group)

    def _group(self) -> _Group:
        """Return the open group. What is in it at the end of this turn of the loop is sent: nobody waits for more."""
        if self._open is None:
            self._open = _Group()
            asyncio.get_running_loop().call_soon(self._send, self._open)
        return self._open

    def _send(self, group: _Group) -> None:
        """Send a group, if it is the open one: any other is sent already."""
        if group is self._open:
            self._open = None
            group.sending = asyncio.create_task(self._send_all(group.calls))

    async def _after(self, before: _Group, calls: Sequence[Asked]) -> Sequence[Kept | Exception]:
        if before.sending is not None:
            await asyncio.wait([before.sending])
        return await self._send_all(calls)

    async def _result(self, sent: _Sent) -> ReportResult:
        report, group, place = sent
        self._send(group)
        try:
            kept = (await group.sending)[place]  # type: ignore[misc]  # it is sent
        except Exception as exc:  # noqa: BLE001  the result of these reports, and of no others
            kept = exc
        if self._latest.get(report.id) is group:
            del self._latest[report.id]
        return ReportResult(report, kept) if isinstance(kept, Kept) else ReportResult(report, error=kept)


async def in_batches(
    send_all: SendAll,
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
