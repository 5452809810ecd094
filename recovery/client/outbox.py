"""The outbox: keeps reports in a file while the database does not take them, and delivers them later, in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from os import PathLike
from typing import Any, Protocol, TypeVar

from bson.errors import BSONError
from pydantic import ValidationError

from recovery.client.couriers import TaskCourier, ThreadCourier
from recovery.client.errors import BadOutbox, Refused, Unavailable
from recovery.client.journal import Journal, JournalError, Waiting
from recovery.client.reports import Report, about, as_of, now, read_report

T = TypeVar("T")

MOST_KEPT = 100_000
"""Reports in an outbox, at about a kilobyte each."""

_TOGETHER = 100

log = logging.getLogger("recovery.outbox")


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
        shop, *_ = about(report)
        try:
            if not await self._hop(self._journal.holds, shop):
                return await self._send(report, timeout)
            why = "others wait before it"
        except Refused:
            raise
        except (Unavailable, JournalError) as exc:
            why = str(exc)
        await self._keep(report, at, why)
        return None

    async def _keep(self, report: Report, at: datetime, why: str) -> None:
        shop, address, what = about(report)
        try:
            await self._hop(self._journal.keep, shop, address, what, as_of(report, at).model_dump_json())
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
            while rows := await self._hop(self._journal.oldest, _TOGETHER):
                for row in rows:
                    if self._stopping or not await self._deliver(row):
                        return False
                    delivered += 1
            return True
        finally:
            if delivered:
                log.info("delivered %d reports of the outbox", delivered)

    async def _deliver(self, row: Waiting) -> bool:
        """Deliver one report, or set it aside; return whether to go on with the next."""
        try:
            await self._send(read_report(row.report), None)
        except (Refused, BSONError) as exc:
            fault = str(exc)
        except ValidationError as exc:
            wrong = exc.errors(include_url=False, include_input=False, include_context=False)[0]
            fault = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
        except Unavailable as exc:
            log.warning("the outbox waits for the database: %s", exc)
            return False
        else:
            await self._hop(self._journal.delivered, row.number)
            return True
        log.error("cannot be delivered, and was set aside in the outbox: %s (%s)", row.what, fault)
        await self._hop(self._journal.set_aside, row.number, fault)
        return True
