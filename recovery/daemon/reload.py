"""A shop's templates, read anew when they change, without a restart."""

import asyncio
from typing import Protocol

import structlog

EVERY = 2.0
"""How often the folder is looked at, in seconds. A look costs one stat for each file in it."""

log = structlog.get_logger()


class Refreshing(Protocol):
    """What can be read anew: `recovery.mail.templates.Templates`."""

    def refresh(self) -> Exception | None:
        """Take what has changed if it is in order; return what is wrong with it if it is not."""
        ...


async def reload(templates: Refreshing) -> None:
    """Look for changes for ever; tell of those that are refused."""
    while True:
        await asyncio.sleep(EVERY)
        if (fault := templates.refresh()) is not None:
            log.error("the templates have a fault, so the former stay in use", fault=str(fault))
