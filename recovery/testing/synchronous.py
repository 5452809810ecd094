"""The kit for tests of synchronous services."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import wraps
from os import PathLike
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from recovery.client.synchronous import SyncRecovery
from recovery.testing.clock import BEGINNING
from recovery.testing.kit import RecoveryKit
from recovery.testing.mails import Mail

P = ParamSpec("P")
T = TypeVar("T")


def _waited(
    call: Callable[Concatenate[RecoveryKit, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["SyncRecoveryKit", P], T]:
    """Return a method of the asynchronous kit as a synchronous one."""

    @wraps(call)
    def waited(self: "SyncRecoveryKit", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(call(self.kit, *args, **kwargs))

    return waited


def _same(call: Callable[Concatenate[RecoveryKit, P], T]) -> Callable[Concatenate["SyncRecoveryKit", P], T]:
    """Return a method of the asynchronous kit that is synchronous already."""

    @wraps(call)
    def same(self: "SyncRecoveryKit", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return call(self.kit, *args, **kwargs)

    return same


class SyncRecoveryKit(SyncRecovery):
    """`RecoveryKit` for services that take a `SyncRecovery`, without an event loop of your own.

    Close it at the end of a test, or use it in a `with` block; the fixture does that. Not for use in a coroutine.
    """

    def __init__(
        self,
        *,
        config: str | PathLike[str] | None = None,
        now: datetime = BEGINNING,
        **settings: Mapping[str, Any],
    ) -> None:
        self._begin(RecoveryKit(config=config, now=now, **settings))

    @classmethod
    def around(cls, kit: RecoveryKit) -> Self:
        """Return the synchronous form of a kit."""
        made = cls.__new__(cls)
        made._begin(kit)  # noqa: SLF001 - its own
        return made

    def _begin(self, kit: RecoveryKit) -> None:
        self.kit = kit
        self._own = None
        self._recovery = kit
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, always in the same event loop. Raises `RuntimeError` within another one."""
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public function raises where there is none
            call.close()
            raise RuntimeError("an event loop is running here: await the methods of `kit.kit`, the asynchronous kit")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(call)

    @property
    def now(self) -> datetime:
        """The time of the clock."""
        return self.kit.now

    @property
    def mails(self) -> list[Mail]:
        """The mails that the relay has taken, in order."""
        return self.kit.mails

    advance = _waited(RecoveryKit.advance)
    bounce = _waited(RecoveryKit.bounce)
    unsubscribe = _waited(RecoveryKit.unsubscribe)
    click = _waited(RecoveryKit.click)
    deliver = _waited(RecoveryKit.deliver)
    request = _waited(RecoveryKit.request)
    why = _same(RecoveryKit.why)
    refuse_mail = _same(RecoveryKit.refuse_mail)
    accept_mail = _same(RecoveryKit.accept_mail)
    pause_sending = _same(RecoveryKit.pause_sending)
    resume_sending = _same(RecoveryKit.resume_sending)
    crash_at_next_mail = _same(RecoveryKit.crash_at_next_mail)

    def relay_gone(self) -> AbstractContextManager[None]:
        """Return a context manager within which no relay can be reached."""
        return self.kit.relay_gone()

    def database_unavailable(self) -> AbstractContextManager[None]:
        """Return a context manager within which the database answers nobody: calls raise `Unavailable`."""
        return self.kit.database_unavailable()

    def close(self) -> None:
        """End the kit."""
        super().close()
        if self._loop is not None:
            self._loop.close()
            self._loop = None
