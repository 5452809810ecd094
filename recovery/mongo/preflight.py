"""The preflight check of a MongoDB server: can Recovery run on it, and if not, what to do."""

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from recovery.mongo.collections import Database, Document
from recovery.mongo.errors import said

OLDEST = (6, 0)
RECOMMENDED = (7, 0, 4)

ALONE = (
    "MongoDB runs standalone, and change streams need a replica set (one node is enough): "
    "start mongod with --replSet rs0, then run: recovery init"
)
FRESH = "MongoDB's replica set has not been initiated yet. Run: recovery init"

_ALREADY_INITIATED = 23
_NOT_REPLICATING = 76


async def fault(database: Database) -> str | None:
    """Return the reason why Recovery cannot run on this server and what to do, in a sentence, or None."""
    try:
        admin = database.client.admin
        if unfit := _unfit(await admin.command("hello"), await admin.command("buildInfo")):
            return unfit
        await database.list_collection_names()  # a user without rights fails here, not at the first write
    except ConnectionFailure as exc:
        if "RSGhost" in str(exc):
            return FRESH
        if "for replica set name" in str(exc):
            return f"{said(exc)}: fix replicaSet in mongodb.uri, or, if the server is standalone: {ALONE}"
        return f"MongoDB cannot be reached: {said(exc)}. Is it running, and is mongodb.uri right?"
    except OperationFailure as exc:
        return f"MongoDB refuses access: {said(exc)}. Check the user, the password and the roles in mongodb.uri."
    except PyMongoError as exc:
        return f"MongoDB cannot be used: {said(exc)}."
    return None


def _unfit(hello: Document, build: Document) -> str | None:
    is_router = hello.get("msg") == "isdbgrid"
    if "setName" not in hello and not is_router:
        return FRESH if hello.get("isreplicaset") else ALONE
    if not (hello.get("isWritablePrimary") or is_router):
        return "MongoDB's replica set has no reachable primary: see rs.status() there."
    if tuple(build["versionArray"][:2]) < OLDEST:
        return f"MongoDB {build['version']} is too old: Recovery needs 6.0, and 7.0.4 or newer in production."
    return None


async def advice(database: Database) -> str:
    """Return a note on the version of a server that Recovery can run on."""
    build = await database.client.admin.command("buildInfo")
    if tuple(build["versionArray"][:3]) < RECOMMENDED:
        return f"MongoDB {build['version']} is fine for tests; use 7.0.4 or newer in production, 8.0 is recommended"
    return f"MongoDB {build['version']}"


async def initiate(database: Database) -> str | None:
    """Make a fresh node a replica set of one; return the reason why that failed, in a sentence, or None.

    `database` must be connected to that node directly. A node that is in a replica set is not changed.
    """
    try:
        await database.client.admin.command("replSetInitiate")
    except OperationFailure as exc:
        if exc.code == _ALREADY_INITIATED:
            return None
        return ALONE if exc.code == _NOT_REPLICATING else f"MongoDB refuses to initiate: {said(exc)}."
    except PyMongoError as exc:
        return f"MongoDB cannot be reached: {said(exc)}. Is it running, and is mongodb.uri right?"
    return None
