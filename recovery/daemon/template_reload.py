"""A shop's templates, made ready and read anew when they change, without a restart."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

import structlog

EVERY = 2.0
"""How often the folder is looked at, in seconds. A look costs one stat for each file in it."""

AT_FIRST = 1.0
"""Seconds until anything is made ready: all else that a daemon does at its start comes first."""

BETWEEN = 0.05
"""Seconds between two steps of making ready: each holds everything else up for some milliseconds."""

log = structlog.get_logger()


class Refreshing(Protocol):
    """What can be read anew: `recovery.mail.templates.templates.Templates`."""

    def prepare(self) -> Iterator[None]:
        """Make ready what is not ready yet, a little at a time."""
        ...

    async def refresh(self) -> Exception | None:
        """Take what has changed if it is in order; return what is wrong with it if it is not."""
        ...


async def reload(templates: Refreshing) -> None:
    """Make them ready in small steps, then look for changes for ever; tell of those that are refused."""
    await asyncio.sleep(AT_FIRST)
    try:
        for _ in templates.prepare():
            await asyncio.sleep(BETWEEN)
    except Exception as exc:  # noqa: BLE001  such as too many open files: no reason to send no mails
        log.warning("the templates were not made ready, so that the first mails take longer", fault=str(exc))
    while True:
        await asyncio.sleep(EVERY)
        if (fault := await templates.refresh()) is not None:
            log.error("the templates have a fault, so the former stay in use", fault=str(fault))
