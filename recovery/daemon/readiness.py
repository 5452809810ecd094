"""Readiness: the faults that an operator must fix, by check. Each is logged once when it begins and when it ends."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

CHECK_EVERY = 1.0
"""Seconds."""

STARTED_WITHIN = 5.0
"""Seconds after the start in which faults are not logged: the streams are being opened."""

log = structlog.get_logger()


class Readiness:
    """The checks of a daemon, by name: each returns a fault, or None."""

    def __init__(self, checks: Mapping[str, Callable[[], str | None]]) -> None:
        self._checks = checks
        self._logged: set[str] = set()

    def faults(self) -> dict[str, str | None]:
        """Return each check's fault, or None."""
        return {name: check() for name, check in self._checks.items()}

    async def run(self) -> None:
        """Log for ever the faults that begin and end."""
        await asyncio.sleep(STARTED_WITHIN)
        while True:
            self.log_changes()
            await asyncio.sleep(CHECK_EVERY)

    def log_changes(self) -> None:
        """Log the faults that have begun or ended since the last call."""
        for name, fault in self.faults().items():
            if fault and name not in self._logged:
                self._logged.add(name)
                log.error("not ready", check=name, why=fault)
            elif not fault and name in self._logged:
                self._logged.discard(name)
                log.info("ready again", check=name)
