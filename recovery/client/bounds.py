"""Limits of calls: timeout, number of concurrent calls (a bulkhead), and the errors of calls that fail."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import pymongo
from pymongo.errors import PyMongoError, WriteError

from recovery.errors import Refused, Unavailable
from recovery.mongo.errors import said, temporary

TIMEOUT = 4.0
"""Default timeout of a call, in seconds. A report within a web request must leave time to answer: Shopify allows five
seconds."""

KEEPING = "acknowledge this within {:.1f} s, so it may not be stored"
READING = "answer within {:.1f} s"
_WITHOUT_TIME = {KEEPING: "acknowledge this, so it may not be stored", READING: "answer"}


class Bounds:
    """The limits of one client's calls.

    `timeout` is in seconds, `math.inf` for none; `shortened` reduces it to the client's own limit, if that is shorter.
    `most_at_once` is the number of calls that may wait for the database at the same time.
    """

    def __init__(self, timeout: float, *, shortened: Callable[[float], float], most_at_once: float = math.inf) -> None:
        self._timeout = checked(timeout)
        self._shortened = shortened
        self.most_at_once = most_at_once
        self.at_once = 0

    def without_bulkhead(self) -> "Bounds":
        """Return the same limits for calls whose number is limited elsewhere."""
        return Bounds(self._timeout, shortened=self._shortened)

    def call(self, timeout: float | None = None, fails_to: str = KEEPING) -> "Call":
        """Return the context manager for one call; it raises `Unavailable` and `Refused`. Raises `ValueError`."""
        return Call(self, self._shortened(self._timeout if timeout is None else checked(timeout)), fails_to)


class Call:
    """One call, as a context manager: it translates PyMongo's errors. Within `driver`, it also enforces the timeout."""

    __slots__ = ("_began", "_bounds", "_fails_to", "_seconds")

    def __init__(self, bounds: Bounds, seconds: float, fails_to: str) -> None:
        self._bounds = bounds
        self._seconds = seconds
        self._fails_to = fails_to

    @property
    def left(self) -> float:
        """Seconds until the timeout, at least 0; `math.inf` without a limit."""
        return max(self._seconds - self.spent, 0.0)

    @property
    def spent(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began

    def driver(self) -> AbstractContextManager[None]:
        """Return a context manager that limits PyMongo to the time that is left.

        A group commit sets the limit itself: to set it for each of its callers would cost 3 µs (measured).
        """
        return pymongo.timeout(None if self._seconds == math.inf else max(self.left, 0.001))  # 0 would be no limit

    def __enter__(self) -> Self:
        bounds = self._bounds
        if bounds.at_once >= bounds.most_at_once:
            raise Unavailable(
                f"too many calls: {bounds.at_once} wait for MongoDB already, the maximum; call again later"
            )
        bounds.at_once += 1
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bounds.at_once -= 1
        if isinstance(exc, PyMongoError | TimeoutError):
            raise self.translated(exc) from exc

    def translated(self, exc: PyMongoError | TimeoutError) -> Unavailable:
        """Return the error of ours for one of PyMongo's that this call met."""
        if isinstance(exc, WriteError):
            return _refused(exc)
        return Unavailable(_why(exc, self.spent, self._fails_to))


def checked(timeout: float) -> float:
    """Return a timeout if it is valid. Raises `ValueError`."""
    if not timeout > 0:
        raise ValueError(f"invalid timeout {timeout!r}: give seconds, more than 0, or math.inf for no limit")
    return timeout


def _refused(exc: WriteError) -> Unavailable:
    if temporary(exc):
        return Unavailable(f"MongoDB did not {_WITHOUT_TIME[KEEPING]}; call again later: {said(exc)}")
    return Refused(f"MongoDB refuses this, so it is not stored: {said(exc)}")


def _why(exc: PyMongoError | TimeoutError, spent: float, fails_to: str) -> str:
    late = isinstance(exc, TimeoutError) or exc.timeout
    failed = fails_to.format(spent) if late else _WITHOUT_TIME[fails_to]
    why = said(exc) if isinstance(exc, PyMongoError) else ""
    return f"MongoDB did not {failed}; call again later{f': {why}' if why else ''}"
