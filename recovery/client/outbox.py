"""The outbox: keeps reports in a file while the database does not take them, and delivers them later, in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Protocol, TypeVar

from bson.errors import BSONError
from pydantic import ValidationError

from recovery.client.couriers import TaskCourier, ThreadCourier
from recovery.client.journal import Journal, JournalError, Waiting
from recovery.client.reports import CheckoutReport, OrderReport, Report, about, as_of, now, read_report, written
from recovery.errors import BadOutbox, Refused, Unavailable

T = TypeVar("T")

MOST_KEPT = 100_000
"""Reports in an outbox, at about a kilobyte each."""

MOST_TOGETHER = 32
"""Reports that are delivered at once from an event loop: as many share a round trip."""

log = logging.getLogger("recovery.outbox")


class Fault(str):
    """Why a report can never be delivered."""


class Hop(Protocol):
    """Calls a function that writes to a disk, in a thread where the caller has an event loop to keep going."""

    async def __call__(self, call: Callable[..., T], /, *args: Any) -> T:
        """Return what `call` returns."""
        ...


async def at_once(call: Callable[..., T], /, *args: Any) -> T:
    """Call a function here, for callers without an event loop."""
    return call(*args)


def opened(path: str | PathLike[str], most: int) -> Journal:
    """Return the journal at `path`. Raises `BadOutbox`."""
    if most < 1:
        raise BadOutbox(f"outbox_limit is {most}: an outbox must be able to hold one report at least")
    try:
        return Journal(path, most)
    except JournalError as exc:
        raise BadOutbox(f"{exc}; give a file in a folder of this machine that may be written to") from exc


class Outbox:
    """Hands reports to `send`, which writes to the database, or keeps them in the journal if that cannot be.

    `send` raises `Refused` or `Unavailable`. While anything of a shop waits, what the shop reports next waits behind.
    `in_loop` is whether it is used from an event loop.
    """

    def __init__(self, journal: Journal, send: Callable[[Report, float | None], Awaitable[Any]], in_loop: bool) -> None:
        self._journal = journal
        self._send = send
        self._hop: Hop = asyncio.to_thread if in_loop else at_once
        self._courier = TaskCourier(self.deliver) if in_loop else ThreadCourier(self.deliver)
        self._most_together = MOST_TOGETHER if in_loop else 1
        self._stopping = False

    def start(self) -> None:
        """Deliver what waits, from now on."""
        self._courier.start()

    async def stop(self) -> None:
        """End, after the report that is on its way, and close the file."""
        self._stopping = True
        await self._courier.stop()
        await self._hop(self._journal.close)

    async def take(self, report: Report, timeout: float | None) -> Any:
        """Return what `send` returns, or None if the report was kept in the file instead.

        Raises `Refused`; `Unavailable` if the file cannot keep it either.
        """
        self.start()
        at = now()
        why = "others wait before it"
        if not await self._is_behind(report):
            try:
                return await self._send(report, timeout)
            except Refused:
                raise
            except Unavailable as exc:
                why = str(exc)
        await self._keep(report, at, why)
        return None

    async def _is_behind(self, report: Report) -> bool:
        shop, *_ = about(report)
        try:
            return await self._hop(self._journal.holds, shop)
        except JournalError as exc:
            log.error("%s", exc)  # noqa: TRY400  a sentence, no traceback
            return False  # a file that is damaged is no reason not to ask the database

    async def _keep(self, report: Report, at: datetime, why: str) -> None:
        shop, address, what = about(report)
        try:
            await self._hop(self._journal.keep, shop, address, what, written(as_of(report, at)))
        except JournalError as exc:
            raise Unavailable(f"{exc} ({why})") from exc
        log.info("kept in the outbox: %s (%s)", what, why)
        self._courier.wake()

    async def waiting(self) -> int:
        """Return how many reports wait. Raises `Unavailable` if the file cannot be read."""
        try:
            return await self._hop(self._journal.waiting)
        except JournalError as exc:
            raise Unavailable(str(exc)) from exc

    async def forget(self, address: str, shop: str | None) -> None:
        """Delete what waits of a person. Raises `Unavailable` if the file cannot be changed."""
        try:
            await self._hop(self._journal.forget, address, shop)
        except JournalError as exc:
            raise Unavailable(str(exc)) from exc

    async def deliver(self) -> bool:
        """Deliver what waits, oldest first; return whether all is delivered. If not, try again later."""
        try:
            with self._journal.delivering() as mine:
                if mine:
                    return await self._deliver_all()
            return not await self._hop(self._journal.holds, None)  # another process is at it, or ended just now
        except JournalError as exc:
            log.error("%s", exc)  # noqa: TRY400  a sentence, no traceback
        except Exception:
            log.exception("the outbox could not be delivered, and is tried again")
        return False

    async def _deliver_all(self) -> bool:
        delivered = 0
        try:
            while rows := await self._hop(self._journal.oldest, self._most_together):
                if self._stopping:
                    return False
                read = [_read(row) for row in rows]
                group = range(together(read))
                results = await self._all([self._outcome(read[number]) for number in group])
                delivered += await self._settle([rows[number] for number in group], results)
                for result in results:
                    if isinstance(result, Unavailable):
                        log.warning("the outbox waits for the database: %s", result)
                        return False
            return True
        finally:
            if delivered:
                log.info("delivered %d reports of the outbox", delivered)

    async def _all(self, calls: Sequence[Awaitable[T]]) -> Sequence[T]:
        """Return what calls return that are made at once; without an event loop there is one at a time."""
        return [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)

    async def _outcome(self, report: Report | Fault) -> Fault | Unavailable | None:
        """Send a report; return why it cannot be delivered ever, or now, or None if it was."""
        if isinstance(report, Fault):
            return report
        try:
            await self._send(report, None)
        except (Refused, BSONError) as exc:
            return Fault(str(exc))
        except Unavailable as exc:
            return exc
        return None

    async def _settle(self, rows: Sequence[Waiting], results: Sequence[Fault | Unavailable | None]) -> int:
        """Take out of the row what is done with; return how many were delivered."""
        delivered = [row.number for row, result in zip(rows, results, strict=True) if result is None]
        await self._hop(self._journal.delivered, delivered)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, Fault):
                log.error("cannot be delivered, and was set aside in the outbox: %s (%s)", row.what, result)
                await self._hop(self._journal.set_aside, row.number, result)
        return len(delivered)


def _read(row: Waiting) -> Report | Fault:
    try:
        return read_report(row.report)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        return Fault(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}")


def together(reports: Sequence[Report | Fault]) -> int:
    """Return how many reports, from the first on, may be delivered at once, which is in any order.

    They are checkouts and orders of which each goes by one name, and none is of the checkout of another.
    """
    seen: set[str] = set()
    for number, report in enumerate(reports):
        plain = isinstance(report, CheckoutReport | OrderReport) and report.aliases is None and report.cart is None
        if not plain or report.report.id in seen:  # type: ignore[union-attr]
            return max(number, 1)
        seen.add(report.report.id)  # type: ignore[union-attr]
    return len(reports)
