"""What is logged of a database that is not available: once when it goes, and once when it is back."""

import structlog

from recovery.errors import Refused, Unavailable

log = structlog.get_logger()


class Outage:
    """Whether the database answers whoever asks it for something. `where` says who that is."""

    def __init__(self, **where: str) -> None:
        self._where = where
        self._told: str | None = None

    def tell(self, error: Unavailable) -> None:
        """Log an error, unless it is the one that was logged last. What is not known to pass is logged as an error."""
        kind = type(error).__name__ if not isinstance(error, Refused) else str(error)
        if kind == self._told:
            return
        self._told = kind
        if isinstance(error, Refused):
            log.error("the database refuses: trying again", error=str(error), **self._where)
        else:
            log.warning("the database is not available: trying again", error=str(error), **self._where)

    def over(self) -> None:
        """Take note that the database has answered."""
        if self._told is not None:
            self._told = None
            log.info("the database answers again", **self._where)
