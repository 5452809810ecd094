"""Outages of the database as a service of the daemon sees them: logged once at their begin and end, and outlasted."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from recovery.errors import Refused, Unavailable

AGAIN_AFTER = 0.5
"""Seconds until the next try after the database was unavailable."""

log = structlog.get_logger()


class Outage:
    """One service's view of the database: available or not. `where` are fields that name the service in the log."""

    def __init__(self, **where: str) -> None:
        self._where = where
        self._logged: str | None = None

    def tell(self, error: Unavailable) -> None:
        """Log an error, unless it was logged last. `Refused`, which may not pass by itself, is at level error."""
        kind = type(error).__name__ if not isinstance(error, Refused) else str(error)
        if kind == self._logged:
            return
        self._logged = kind
        if isinstance(error, Refused):
            log.error("database refused", error=str(error), **self._where)
        else:
            log.warning("database unavailable", error=str(error), **self._where)

    def over(self) -> None:
        """Note that the database has answered."""
        if self._logged is not None:
            self._logged = None
            log.info("database recovered", **self._where)

    async def insist(self, call: Callable[[], Awaitable[object]]) -> None:
        """Call, and try again for as long as the database is unavailable."""
        while True:
            try:
                await call()
            except Unavailable as exc:
                self.tell(exc)
                await asyncio.sleep(AGAIN_AFTER)
            else:
                self.over()
                return
