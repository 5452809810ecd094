"""The outbox: stores reports in a file while the database is unavailable, and delivers them later, in order.

Delivery is at-least-once; the writes are idempotent, so a report that is delivered twice changes nothing.
"""

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
from recovery.client.reports import CheckoutReport, OrderReport, Report, about, as_of, now, read_report, to_json
from recovery.errors import BadOutbox, Refused, Unavailable

T = TypeVar("T")

MOST_KEPT = 100_000
"""The default limit of reports in an outbox, at about a kilobyte each."""

MOST_TOGETHER = 32
"""Reports delivered concurrently from an event loop: this many share a round trip."""

log = logging.getLogger("recovery.outbox")


class Fault(str):
    """The reason why a report can never be delivered."""


class Hop(Protocol):
    """Calls a function that writes to the disk: in a thread if the caller has an event loop, which must not block."""

    async def __call__(self, call: Callable[..., T], /, *args: Any) -> T:
        """Return the result of `call`."""
        ...


async def at_once(call: Callable[..., T], /, *args: Any) -> T:
    """Call a function in this thread, for callers without an event loop."""
    return call(*args)


def opened(path: str | PathLike[str], most: int) -> Journal:
    """Open the journal at `path`. Raises `BadOutbox`."""
    if most < 1:
        raise BadOutbox(f"invalid outbox_limit {most}: must be at least 1")
    try:
        return Journal(path, most)
    except JournalError as exc:
        raise BadOutbox(f"{exc}; give the path of a file in a writable folder on a local disk") from exc


class Outbox:
    """Passes reports to `send`, which writes to the database; stores them in the journal if that is unavailable.

    `send` raises `Refused` or `Unavailable`. While a report of a shop waits, the shop's next reports queue behind it.
    `in_loop` says whether it is used from an event loop.
    """

    def __init__(self, journal: Journal, send: Callable[[Report, float | None], Awaitable[Any]], in_loop: bool) -> None:
        self._journal = journal
        self._send = send
        self._hop: Hop = asyncio.to_thread if in_loop else at_once
        self._courier = TaskCourier(self.deliver) if in_loop else ThreadCourier(self.deliver)
        self._most_together = MOST_TOGETHER if in_loop else 1
        self._stopping = False

    def start(self) -> None:
        """Start the courier, which delivers waiting reports."""
        self._courier.start()

    async def stop(self) -> None:
        """Stop after the current report, and close the file."""
        self._stopping = True
        await self._courier.stop()
        await self._hop(self._journal.close)

    async def take(self, report: Report, timeout: float | None) -> Any:
        """Send a report and return the result of `send`, or None if the report was stored in the file instead.

        Raises `Refused`; `Unavailable` if the file cannot store it either.
        """
        self.start()
        at = now()
        why = "other reports wait before it"
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
            log.error("outbox failed: %s", exc)  # noqa: TRY400  a sentence, no traceback
            return False  # the database may still take it

    async def _keep(self, report: Report, at: datetime, why: str) -> None:
        shop, address, what = about(report)
        try:
            await self._hop(self._journal.keep, shop, address, what, to_json(as_of(report, at)))
        except JournalError as exc:
            raise Unavailable(f"{exc} ({why})") from exc
        log.info("report stored in outbox: %s (%s)", what, why)
        self._courier.wake()

    async def waiting(self) -> int:
        """Return the number of waiting reports. Raises `Unavailable` if the file cannot be read."""
        try:
            return await self._hop(self._journal.waiting)
        except JournalError as exc:
            raise Unavailable(str(exc)) from exc

    async def forget(self, address: str, shop: str | None) -> None:
        """Delete the waiting reports of a person. Raises `Unavailable` if the file cannot be changed."""
        try:
            await self._hop(self._journal.forget, address, shop)
        except JournalError as exc:
            raise Unavailable(str(exc)) from exc

    async def deliver(self) -> bool:
        """Deliver the waiting reports, oldest first; return whether all are delivered. If not, try again later."""
        try:
            with self._journal.delivering() as mine:
                if mine:
                    return await self._deliver_all()
            return not await self._hop(self._journal.holds, None)  # another process delivers, or did until just now
        except JournalError as exc:
            log.error("outbox failed: %s", exc)  # noqa: TRY400  a sentence, no traceback
        except Exception:
            log.exception("outbox delivery failed, will retry")
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
                        log.warning("outbox waits for database: %s", result)
                        return False
            return True
        finally:
            if delivered:
                log.info("outbox delivered: %d reports", delivered)

    async def _all(self, calls: Sequence[Awaitable[T]]) -> Sequence[T]:
        """Make these calls concurrently; return their results. Without an event loop there is only one."""
        return [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)

    async def _outcome(self, report: Report | Fault) -> Fault | Unavailable | None:
        """Send a report; return None, or the reason why it can never or cannot yet be delivered."""
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
        """Remove delivered and undeliverable reports from the queue; return how many were delivered."""
        delivered = [row.number for row, result in zip(rows, results, strict=True) if result is None]
        await self._hop(self._journal.delivered, delivered)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, Fault):
                log.error("report set aside in outbox: %s (%s)", row.what, result)
                await self._hop(self._journal.set_aside, row.number, result)
        return len(delivered)


def _read(row: Waiting) -> Report | Fault:
    try:
        return read_report(row.report)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        return Fault(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}")


def together(reports: Sequence[Report | Fault]) -> int:
    """Return the number of reports, from the first on, that may be delivered concurrently, that is, in any order.

    That is the case for checkouts and orders with a single name each, of different checkouts.
    """
    seen: set[str] = set()
    for number, report in enumerate(reports):
        plain = isinstance(report, CheckoutReport | OrderReport) and report.aliases is None and report.cart is None
        if not plain or report.report.id in seen:  # type: ignore[union-attr]
            return max(number, 1)
        seen.add(report.report.id)  # type: ignore[union-attr]
    return len(reports)
