"""What the driver raises, in the engine's words: that it passes, or that nobody knows whether it does.

Either way it is tried again. What is known to pass is expected; what is not known is told loudly.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from recovery.errors import Refused, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

TEMPORARY_CODES = {
    6,  # HostUnreachable
    7,  # HostNotFound
    24,  # LockTimeout
    43,  # CursorNotFound
    50,  # MaxTimeMSExpired
    64,  # WriteConcernFailed
    89,  # NetworkTimeout
    91,  # ShutdownInProgress
    112,  # WriteConflict
    133,  # FailedToSatisfyReadPreference
    134,  # ReadConcernMajorityNotAvailableYet
    175,  # QueryPlanKilled
    189,  # PrimarySteppedDown
    202,  # NetworkInterfaceExceededTimeLimit
    211,  # KeyNotFound: of a cluster's clock, while its keys are changed
    237,  # CursorKilled
    262,  # ExceededTimeLimit
    317,  # ConnectionPoolExpired
    365,  # TemporarilyUnavailable
    371,  # UserWritesBlocked
    384,  # ConnectionError
    9001,  # SocketException
    10058,  # LegacyNotPrimary
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11601,  # Interrupted
    11602,  # InterruptedDueToReplStateChange
    13388,  # StaleConfig
    13435,  # NotPrimaryNoSecondaryOk
    13436,  # NotPrimaryOrSecondary
    14031,  # OutOfDiskSpace
}


LABELS = ("RetryableWriteError", "TransientTransactionError", "RetryableError", "SystemOverloadedError")
"""Labels by which the server or the driver says that the same call may be made again."""


@contextmanager
def translating() -> Iterator[None]:
    """Raise `Unavailable` in place of what the driver raises, and `Refused` of what is not known to pass."""
    try:
        yield
    except PyMongoError as exc:
        if temporary(exc):
            raise Unavailable(said(exc)) from exc
        raise Refused(f"{type(exc).__name__}: {said(exc)}") from exc


def translated(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have `call` raise as `translating` does."""

    @wraps(call)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with translating():
            return await call(*args, **kwargs)

    return wrapped


def said(exc: PyMongoError) -> str:
    """Return what the driver says, in a line, and without the document that it was about: that may name a person."""
    if isinstance(exc, BulkWriteError) and (errors := (exc.details or {}).get("writeErrors")):
        return f"{errors[0].get('errmsg')} (code {errors[0].get('code')})"
    line = str(exc).partition("\n")[0]
    for beyond in (", Timeout:", " (configured timeouts:", ", full error"):
        line = line.partition(beyond)[0]
    return line.rstrip(".")


def temporary(exc: PyMongoError) -> bool:
    """Return whether the same call is known to be able to succeed later: labels first, then kinds, then codes."""
    if any(exc.has_error_label(label) for label in LABELS):
        return True
    if isinstance(exc, ConnectionFailure | ExecutionTimeout | WaitQueueTimeoutError | WriteConcernError):
        return True
    if isinstance(exc, BulkWriteError):
        details = exc.details or {}
        return bool(details.get("writeConcernErrors")) or any(
            error.get("code") in TEMPORARY_CODES for error in details.get("writeErrors", ())
        )
    return isinstance(exc, OperationFailure) and exc.code in TEMPORARY_CODES
