"""The bounds of calls: how long each may take, how many there may be at once, and what is said of one that fails."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import PyMongoError, WriteError

from recovery.client.errors import Refused, Unavailable
from recovery.mongo.errors import temporary

TIMEOUT = 4.0
"""Seconds. Whoever reports within a web request must answer it in time: Shopify gives five seconds."""

KEEPING = "acknowledge this within {:.1f} s, so it may not be kept"
READING = "answer within {:.1f} s"
_AT_ONCE = {KEEPING: "acknowledge this, so it may not be kept", READING: "answer"}


class TimeLimit:
    """The time that one call has, from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds, at least 0; `math.inf` without a limit."""
        return max(self.seconds - self.spent, 0.0)

    @property
    def spent(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began


class Bounds:
    """What bounds the calls of one client.

    `timeout` is in seconds, `math.inf` for none; `longest` tells what the client itself allows, which always holds.
    `most_at_once` is how many calls may wait for the database.
    """

    def __init__(self, timeout: float, *, longest: Callable[[], float], most_at_once: float = math.inf) -> None:
        self._timeout = checked(timeout)
        self._longest = longest
        self._most = most_at_once
        self._now = 0

    @contextmanager
    def call(self, timeout: float | None = None, fails_to: str = KEEPING) -> Iterator[TimeLimit]:
        """Hold PyMongo's calls within to the time limit, and translate its errors. Raises `Unavailable`, `Refused`."""
        limit = TimeLimit(min(self._timeout if timeout is None else checked(timeout), self._longest()))
        if self._now >= self._most:
            raise Unavailable(f"{self._now} calls wait for MongoDB already, the most there may be; call again later")
        self._now += 1
        try:
            with pymongo.timeout(None if limit.seconds == math.inf else limit.seconds):
                yield limit
        except WriteError as exc:
            raise _refused(exc) from exc
        except (PyMongoError, TimeoutError) as exc:
            raise Unavailable(_said(exc, limit, fails_to)) from exc
        finally:
            self._now -= 1


def checked(timeout: float) -> float:
    """Return a time limit that is one. Raises `ValueError`."""
    if not timeout > 0:
        raise ValueError(f"timeout is {timeout!r}: give seconds, more than 0, or math.inf for no limit")
    return timeout


def _refused(exc: WriteError) -> Unavailable:
    if temporary(exc):
        return Unavailable(f"MongoDB did not {_AT_ONCE[KEEPING]}; call again later: {exc}")
    return Refused(f"MongoDB refuses this, so it is not kept: {exc}")


def _said(exc: PyMongoError | TimeoutError, limit: TimeLimit, fails_to: str) -> str:
    late = isinstance(exc, TimeoutError) or exc.timeout
    failed = fails_to.format(limit.spent) if late else _AT_ONCE[fails_to]
    why = str(exc).partition(", Timeout: ")[0]  # what follows is the driver's picture of the whole cluster
    return f"MongoDB did not {failed}; call again later{f': {why}' if why else ''}"
