"""Readiness: what an operator has to fix, by the name of the check, and each once in the log."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

CHECK_EVERY = 1.0
"""Seconds."""

STARTED_WITHIN = 5.0
"""Seconds in which streams are opened for the first time: nobody need fix that they are not open yet."""

log = structlog.get_logger()


class Readiness:
    """The checks of a daemon: each returns what is wrong with its figure, or None."""

    def __init__(self, checks: Mapping[str, Callable[[], str | None]]) -> None:
        self._checks = checks
        self._told: set[str] = set()

    def faults(self) -> dict[str, str | None]:
        """Return what is wrong, by check."""
        return {name: check() for name, check in self._checks.items()}

    async def run(self) -> None:
        """Log for ever what becomes wrong, and what is well again."""
        await asyncio.sleep(STARTED_WITHIN)
        while True:
            self.tell()
            await asyncio.sleep(CHECK_EVERY)

    def tell(self) -> None:
        """Log what has become wrong or well since this was last called."""
        for name, fault in self.faults().items():
            if fault and name not in self._told:
                self._told.add(name)
                log.error("not ready", check=name, why=fault)
            elif not fault and name in self._told:
                self._told.discard(name)
                log.info("ready again", check=name)
