"""The heartbeat: announces this daemon and its abilities, finds the other daemons, and measures the clock."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from recovery.daemon.outage import Outage
from recovery.daemon.share import Ability, Share
from recovery.errors import Unavailable
from recovery.mongo.clock import MongoClock
from recovery.mongo.daemons import Daemons
from recovery.mongo.pauses import Pauses

log = structlog.get_logger()


class Heartbeat:
    """Writes a heartbeat every `interval`; a daemon without one for `expiry` counts as dead: others take its share.

    `ability` returns the daemon's current abilities. `on_shared` is called whenever the shares change, `on_outage`
    whenever the database is unavailable, and `on_paused` with the names of the pauses of sending, each time.
    """

    def __init__(
        self,
        daemons: Daemons,
        share: Share,
        on_shared: Callable[[], None],
        clock: MongoClock,
        *,
        interval: timedelta,
        expiry: timedelta,
        ability: Callable[[], Ability] = Ability,
        on_outage: Callable[[], None] = lambda: None,
        pauses: Pauses | None = None,
        on_paused: Callable[[Iterable[str]], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._daemons = daemons
        self._share = share
        self._on_shared = on_shared
        self._on_outage = on_outage
        self._pauses = pauses
        self._on_paused = on_paused
        self._clock = clock
        self._interval = interval
        self._expiry = expiry
        self._ability = ability
        self._before = Ability()
        self._monotonic = monotonic
        self._beat_at = monotonic()
        self._error: str | None = None
        self._outage = Outage(task="heartbeat")

    @property
    def fault(self) -> str | None:
        """The database's fault as the heartbeat sees it, which includes that it does not answer at all; or None."""
        if self._error is not None:
            return f"MongoDB is not available: {self._error}"
        silent_for = self._monotonic() - self._beat_at
        if silent_for > self._expiry.total_seconds():
            return f"MongoDB has not answered for {silent_for:.0f} s"
        return None

    async def run(self) -> None:
        """Write heartbeats for ever, after the first one: at once, a start would look like a fault that lasts."""
        while True:
            await asyncio.sleep(self._interval.total_seconds())
            try:
                await self.beat()
                self._error = None
                self._outage.over()
            except Unavailable as exc:
                self._error = str(exc)
                self._on_outage()
                self._outage.tell(exc)

    async def beat(self) -> None:
        """Write one heartbeat, and share the work with the daemons that are alive. Raises `Unavailable`."""
        await self._clock.measure()
        now = self._clock.now()
        own = self._lasting(self._ability())
        await self._daemons.beat(self._share.daemon, now, _as_fields(own))
        if self._pauses is not None:
            self._on_paused(await self._pauses.names())
        alive = await self._daemons.alive(now, self._expiry)
        self._beat_at = self._monotonic()
        before = self._share.daemons
        if self._share.among({daemon: _from_fields(says) for daemon, says in alive.items()}, own):
            if before != self._share.daemons:
                log.info("shares rebalanced", daemons=len(self._share.daemons))
            self._on_shared()  # what dead daemons had in hand is looked at now

    async def leave(self) -> None:
        """Deregister this daemon. If the database is unavailable, the others notice when the heartbeat expires."""
        try:
            await self._daemons.leave(self._share.daemon)
        except Unavailable as exc:
            log.warning("could not deregister daemon", error=str(exc))

    def _lasting(self, now: Ability) -> Ability:
        """Return the ability with only those faults that the last heartbeat had too: a brief fault moves no shares."""
        lasting = Ability(now.sick & self._before.sick, now.well, now.expires)
        self._before = now
        return lasting


def _as_fields(ability: Ability) -> dict[str, Any]:
    """Return an ability as the fields of a heartbeat: none if nothing is wrong."""
    fields: dict[str, Any] = {} if ability.expires else {"expires": False}
    if ability.sick:
        fields |= {"sick": sorted(ability.sick), "well": sorted(ability.well)}
    return fields


def _from_fields(says: Mapping[str, Any]) -> Ability:
    """Return the ability in a heartbeat's fields; an older daemon sends none, and unknown values count as able."""
    sick, well = (value if isinstance(value, list) else [] for value in (says.get("sick"), says.get("well")))
    return Ability(frozenset(map(str, sick)), frozenset(map(str, well)), says.get("expires") is not False)
