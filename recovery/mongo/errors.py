"""Translation of the driver's errors: `Unavailable` for temporary ones, `Refused` for all others.

The daemon retries after both. Temporary errors are expected; the others are logged as errors.
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
    211,  # KeyNotFound: while the keys of the cluster's clock are rotated
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
"""Labels by which the server or the driver says that the call may be retried."""


@contextmanager
def translating() -> Iterator[None]:
    """Translate the driver's errors: raise `Unavailable` for temporary ones, and `Refused` for all others."""
    try:
        yield
    except PyMongoError as exc:
        if temporary(exc):
            raise Unavailable(said(exc)) from exc
        raise Refused(f"{type(exc).__name__}: {said(exc)}") from exc


def translated(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorate a coroutine function so that it raises as in `translating`."""

    @wraps(call)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with translating():
            return await call(*args, **kwargs)

    return wrapped


def said(exc: PyMongoError) -> str:
    """Return the driver's message as one line, without the document: that may contain personal data."""
    if isinstance(exc, BulkWriteError) and (errors := (exc.details or {}).get("writeErrors")):
        return f"{errors[0].get('errmsg')} (code {errors[0].get('code')})"
    line = str(exc).partition("\n")[0]
    for detail in (", Timeout:", " (configured timeouts:", ", full error"):
        line = line.partition(detail)[0]
    return line.rstrip(".")


def temporary(exc: PyMongoError) -> bool:
    """Return True if the same call is known to be able to succeed later: by labels first, then classes, then codes."""
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
