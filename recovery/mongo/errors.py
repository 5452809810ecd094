"""What the driver raises, in the engine's words: temporary, or not."""

from collections.abc import Callable, Coroutine
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

from recovery.ports import StoreUnavailable

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
    175,  # QueryPlanKilled
    189,  # PrimarySteppedDown
    237,  # CursorKilled
    262,  # ExceededTimeLimit
    371,  # UserWritesBlocked
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11601,  # Interrupted
    11602,  # InterruptedDueToReplStateChange
    13435,  # NotPrimaryNoSecondaryOk
    13436,  # NotPrimaryOrSecondary
    14031,  # OutOfDiskSpace
}


def translated(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make `call` raise `StoreUnavailable` for what passes by itself: a lost connection, an election, a full disk."""

    @wraps(call)
    async def translating(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except PyMongoError as exc:
            if temporary(exc):
                raise StoreUnavailable(str(exc)) from exc
            raise

    return translating


def temporary(exc: PyMongoError) -> bool:
    """Return whether the same call may succeed later."""
    if isinstance(exc, ConnectionFailure | ExecutionTimeout | WaitQueueTimeoutError | WriteConcernError):
        return True
    if isinstance(exc, BulkWriteError):
        details = exc.details or {}
        return bool(details.get("writeConcernErrors")) or any(
            error.get("code") in TEMPORARY_CODES for error in details.get("writeErrors", ())
        )
    return isinstance(exc, OperationFailure) and exc.code in TEMPORARY_CODES
