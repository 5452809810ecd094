"""Logs a database outage: once when it begins, and once when it ends."""

import structlog

from recovery.errors import Refused, Unavailable

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
