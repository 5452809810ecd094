"""Compiles a shop's templates, and reloads them when their files change, without a restart."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

import structlog

EVERY = 2.0
"""Seconds between two looks at the folder. Each costs one stat per file."""

AT_FIRST = 1.0
"""Seconds until the first template is compiled: everything else at a daemon's start comes first."""

BETWEEN = 0.05
"""Seconds between two steps of compilation: each blocks the event loop for some milliseconds."""

log = structlog.get_logger()


class Refreshing(Protocol):
    """A set of templates that can be reloaded: `recovery.mail.templates.templates.Templates`."""

    def prepare(self) -> Iterator[None]:
        """Compile what is not compiled yet, one small step at a time."""
        ...

    async def refresh(self) -> Exception | None:
        """Take over changed files if they pass their check; return the error if they do not."""
        ...


async def reload(templates: Refreshing) -> None:
    """Compile the templates step by step, then poll for changes for ever; log a change that fails its check."""
    await asyncio.sleep(AT_FIRST)
    try:
        for _ in templates.prepare():
            await asyncio.sleep(BETWEEN)
    except Exception as exc:  # noqa: BLE001  such as too many open files: mails are sent all the same
        log.warning("templates not precompiled", fault=str(exc))
    while True:
        await asyncio.sleep(EVERY)
        if (fault := await templates.refresh()) is not None:
            log.error("template change refused", fault=str(fault))
