"""Looking ahead: checkouts are loaded shortly before they are due, and claimed at their instant.

That takes three waits out of the time between due and sent: for the deletion of the shadow, for its event, and for the
load. It is an accelerator alone. The event comes all the same, and has the engine look at what was not claimed here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from recovery.domain.state import CheckoutState
from recovery.engine.alarms import Alarms
from recovery.engine.case import Case
from recovery.engine.ports import Checkouts, Clock, Observer
from recovery.engine.sender import Sender

CAUSE = "ahead"
"""The cause of these looks, for metrics."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checkout loaded before it is due, and the time of its alarm."""

    checkout: CheckoutState
    at: datetime


class Ahead:
    """The checkouts that are loaded ahead: at most `at_most()` of them, and none while the engine is behind.

    A report between load and claim changes the revision, so that the claim fails, as any claim does that did not see
    it. `is_paused` returns whether sending is paused for the checkout of an id, `decided` the decision about a checkout
    at a time, `has_to_wait` whether its message waits for a turn or for the end of a pause, and `claim` the ids of the
    claims that were won.
    """

    def __init__(
        self,
        *,
        checkouts: Checkouts,
        sender: Sender,
        alarms: Alarms,
        clock: Clock,
        observer: Observer,
        is_paused: Callable[[str], bool],
        decided: Callable[[CheckoutState, datetime], Case],
        has_to_wait: Callable[[CheckoutState], bool],
        claim: Callable[[Sequence[Case]], Awaitable[Collection[str]]],
        at_most: Callable[[], int],
    ) -> None:
        self._checkouts = checkouts
        self._sender = sender
        self._alarms = alarms
        self._clock = clock
        self._observer = observer
        self._is_paused = is_paused
        self._decided = decided
        self._has_to_wait = has_to_wait
        self._claim = claim
        self._at_most = at_most
        self._loaded: dict[str, Loaded] = {}
        self._has_loaded = asyncio.Event()
        self._being_claimed: dict[str, asyncio.Event] = {}
        """Set when the claim of the checkout has ended, by checkout id."""

    def __len__(self) -> int:
        """Return the number of checkouts that are loaded and not yet due."""
        return len(self._loaded)

    async def load(self, alarms: Mapping[str, datetime]) -> None:
        """Load the checkouts of these alarms, the earliest first, as far as there is room for their messages.

        What has nothing to send at its alarm, or is paused, is left to the event, and so is what is due before it is
        loaded.
        Raises `Unavailable`.
        """
        room = 0 if self._alarms.behind.is_set() else self._at_most() - len(self._loaded)
        ids = [id_ for id_ in alarms if not self._is_paused(id_)][: max(room, 0)]
        if not ids:
            return
        checkouts, _ = await self._checkouts.load(ids)
        now = self._clock.now()
        for checkout in checkouts:
            at = alarms[checkout.id]
            if at > now and self._case(checkout, at) is not None:
                self._loaded[checkout.id] = Loaded(checkout, at)
        self._has_loaded.set()

    def forget_after(self, time: datetime) -> None:
        """Forget what is due after that time: the database's clock was set back, and it would be held too long."""
        self._loaded = {id_: each for id_, each in self._loaded.items() if each.at <= time}

    def leave(self, ids: Collection[str]) -> None:
        """Leave these checkouts to another look, as far as they are due."""
        if self._loaded:
            now = self._clock.now()
            for id_ in ids:
                if (loaded := self._loaded.get(id_)) is not None and loaded.at <= now:
                    del self._loaded[id_]

    async def due(self) -> Sequence[CheckoutState]:
        """Wait until checkouts that were loaded are due, and take them."""
        while True:
            self._has_loaded.clear()
            now = self._clock.now()
            if due := [each.checkout for each in self._loaded.values() if each.at <= now]:
                for checkout in due:
                    del self._loaded[checkout.id]
                return due
            first = min((each.at for each in self._loaded.values()), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if first is None else (first - now).total_seconds()):
                    await self._has_loaded.wait()

    async def claim(self, due: Sequence[CheckoutState]) -> None:
        """Claim the messages of checkouts that were loaded ahead, and start to send them.

        One that is not to be sent now is left to the event, and so is one whose claim fails. Raises `Unavailable`.
        """
        await self._sender.recorded()
        now = self._clock.now()
        found = [self._case(checkout, now) for checkout in due if not self._sender.has(checkout.id)]
        cases = [case for case in found if case is not None]
        if not cases:
            return
        ids = [case.checkout.id for case in cases]
        self._observer.looked(CAUSE, len(ids))
        with self._claiming(ids):
            self._alarms.answered(await self._claim(cases))

    async def unanswered(self, ids: Sequence[str]) -> list[str]:
        """Return those of these checkouts, whose shadows are gone, that no claim made here has answered."""
        for ended in {self._being_claimed[id_] for id_ in ids if id_ in self._being_claimed}:
            await ended.wait()
        return [id_ for id_ in ids if not self._alarms.was_answered(id_)]

    @contextmanager
    def _claiming(self, ids: Sequence[str]) -> Iterator[None]:
        ended = asyncio.Event()
        self._being_claimed.update(dict.fromkeys(ids, ended))
        try:
            yield
        finally:
            for id_ in ids:
                self._being_claimed.pop(id_, None)
            ended.set()

    def _case(self, checkout: CheckoutState, at: datetime) -> Case | None:
        """Return the case of a checkout if its message is to be sent then, and has not to wait; or None."""
        try:
            case = self._decided(checkout, at)
        except Exception:  # noqa: BLE001  the look that follows reports it
            return None
        return case if case.is_clean_send and not self._has_to_wait(checkout) else None
