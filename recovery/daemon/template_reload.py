"""Compiles templates before mails need them, and reloads them when their files change, without a restart."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

import structlog

EVERY = 2.0
"""Seconds between two looks at the folder. Each costs one stat per file."""

AT_FIRST = 1.0
"""Seconds until the first template is compiled: everything else at a daemon's start comes first."""

BETWEEN = 0.05
"""Seconds between two steps of compilation, which take some of the event loop's time though they are in a thread."""

DONE = object()

log = structlog.get_logger()


class Refreshing(Protocol):
    """A set of templates that can be reloaded: `recovery.mail.templates.templates.Templates`."""

    def prepare(self) -> Iterator[None]:
        """Compile what is expected and not compiled yet, one mail at a time."""
        ...

    async def refresh(self) -> Exception | None:
        """Take over changed files if they pass their check; return the error if they do not."""
        ...


async def reload(templates: Refreshing) -> None:
    """Compile what is expected, and poll for changes, for ever; log a change that fails its check."""
    await asyncio.sleep(AT_FIRST)
    while True:
        await _compile(templates)
        await asyncio.sleep(EVERY)
        if (fault := await templates.refresh()) is not None:
            log.error("template change refused", fault=str(fault))


async def _compile(templates: Refreshing) -> None:
    mails, done = templates.prepare(), False
    try:
        while not done:
            done = await asyncio.to_thread(next, mails, DONE) is DONE
            await asyncio.sleep(BETWEEN)
    except Exception as exc:  # noqa: BLE001  such as too many open files: mails are sent all the same
        log.warning("templates not precompiled", fault=str(exc))
