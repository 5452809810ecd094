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

AT_ONCE = 256
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
    """Reports that are written together, no two of one checkout.

    `sending` is there once they are sent, and `kept`, what became of each, once that has ended.
    """

    __slots__ = ("calls", "kept", "sending")

    def __init__(self) -> None:
        self.calls: list[Asked] = []
        self.sending: asyncio.Task[Sequence[Kept | Exception]] | None = None
        self.kept: Sequence[Kept | Exception] | None = None

    async def end(self) -> Sequence[Kept | Exception]:
        """Wait until what is sent has ended; return what became of each."""
        try:
            self.kept = await self.sending  # type: ignore[misc]  # it is sent
        except Exception as exc:  # noqa: BLE001  the result of these reports, and of no others
            self.kept = [exc] * len(self.calls)
        return self.kept


class _Sent(NamedTuple):
    report: Checkout | Order
    id: str
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
        self._room = most
        self._more_room = asyncio.Event()
        self._sent: deque[ReportResult | _Sent | None] = deque()
        """What is on its way, in order, and None at the end: a queue of asyncio's would cost more for each report."""
        self._more_sent = asyncio.Event()
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
            while True:
                while not self._sent:
                    self._more_sent.clear()
                    await self._more_sent.wait()
                if (sent := self._sent.popleft()) is None:
                    break
                result = sent if isinstance(sent, ReportResult) else await self._result(sent)
                self._room += 1
                self._more_room.set()
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
        for sent in self._sent:
            if isinstance(sent, _Sent) and sent.group.sending is not None:
                left.add(sent.group.sending)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _feed(self, reports: Iterable[Item] | AsyncIterable[Item]) -> None:
        try:
            if isinstance(reports, AsyncIterable):
                async for item in reports:
                    if not self._room:
                        await self._wait_for_room()
                    if self._begin(item):
                        await asyncio.sleep(0)
            else:
                for item in reports:
                    if not self._room:
                        await self._wait_for_room()
                    if self._begin(item):
                        await asyncio.sleep(0)
        finally:
            self._put(None)

    async def _wait_for_room(self) -> None:
        while not self._room:
            self._more_room.clear()
            await self._more_room.wait()

    def _put(self, sent: ReportResult | _Sent | None) -> None:
        self._sent.append(sent)
        self._more_sent.set()

    def _begin(self, item: Item) -> bool:
        """Put a report into a group; return whether that is full, and sent: then others have their turn."""
        self._room -= 1
        if isinstance(item, Exception):
            self._put(ReportResult(None, error=item))
            return False
        call, id_ = asked(item), item.id
        before = self._latest.get(id_)
        group = self._group() if before is None else _Group()
        self._latest[id_] = group
        self._put(_Sent(item, id_, group, len(group.calls)))
        group.calls.append(call)
        if before is not None:
            self._send(before)
            group.sending = asyncio.create_task(self._after(before, group.calls))
        elif len(group.calls) == self._together:
            self._send(group)
            return True
        return False

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
        report, id_, group, place = sent
        if (ended := group.kept) is None:
            self._send(group)
            ended = await group.end()
        kept = ended[place]
        if self._latest.get(id_) is group:
            del self._latest[id_]
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
