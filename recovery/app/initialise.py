"""The preparation of the database: replica set, collections, indexes, validators."""

import structlog

from recovery.app.factories import CannotStart, database_of
from recovery.mongo import collections, preflight
from recovery.mongo.collections import Database
from recovery.settings import Settings

log = structlog.get_logger()


async def initialise(settings: Settings) -> list[str]:
    """Make a fresh single node a replica set, and create or update the collections; return a sentence for each change.

    Raises `CannotStart`.
    """
    done = []
    async with database_of(settings, directConnection=True, replicaSet=None) as node:
        if await preflight.fault(node) == preflight.FRESH:
            if why_not := await preflight.initiate(node):
                raise CannotStart(str(why_not))
            done.append("made the server a replica set of one node")
    async with database_of(settings) as database:
        if fault := await preflight.fault(database):
            raise CannotStart(str(fault))
        try:
            return done + await collections.ensure(database)
        except collections.NotAllowed as exc:
            raise CannotStart(str(exc)) from exc


async def ensure(database: Database) -> None:
    """Create or update the collections, as far as the daemon's user may: a validator need not be the newest.

    Raises `recovery.mongo.collections.NotAllowed` if anything vital is missing.
    """
    try:
        await collections.ensure(database)
    except collections.NotAllowed as exc:
        if exc.vital:
            raise
        log.warning("collections are outdated", why=str(exc))
