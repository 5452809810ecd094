"""Whether a MongoDB server is one that Recovery can run on, and how to mend it where it is not."""

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from recovery.mongo.collections import Database, Document
from recovery.mongo.errors import said

OLDEST = (6, 0)
RECOMMENDED = (7, 0, 4)

ALONE = (
    "MongoDB runs on its own, and change streams need a replica set (one node is enough): "
    "start mongod with --replSet rs0, then run: recovery init"
)
FRESH = "MongoDB's replica set has not been initiated yet. Run: recovery init"

_ALREADY_INITIATED = 23
_NOT_REPLICATING = 76


async def fault(database: Database) -> str | None:
    """Return a sentence on what makes this server unfit and what to do about it, or None."""
    try:
        admin = database.client.admin
        if unfit := _unfit(await admin.command("hello"), await admin.command("buildInfo")):
            return unfit
        await database.list_collection_names()  # a user without rights is found out now, not at the first write
    except ConnectionFailure as exc:
        if "RSGhost" in str(exc):
            return FRESH
        if "for replica set name" in str(exc):
            return f"{said(exc)}: mend replicaSet in mongodb.uri, or, if the server is on its own: {ALONE}"
        return f"MongoDB cannot be reached: {said(exc)}. Is it running, and is mongodb.uri right?"
    except OperationFailure as exc:
        return f"MongoDB refuses us: {said(exc)}. Check the user, the password and the roles in mongodb.uri."
    except PyMongoError as exc:
        return f"MongoDB cannot be used: {said(exc)}."
    return None


def _unfit(hello: Document, build: Document) -> str | None:
    is_router = hello.get("msg") == "isdbgrid"
    if "setName" not in hello and not is_router:
        return FRESH if hello.get("isreplicaset") else ALONE
    if not (hello.get("isWritablePrimary") or is_router):
        return "MongoDB's replica set has no primary that we can reach: see rs.status() there."
    if tuple(build["versionArray"][:2]) < OLDEST:
        return f"MongoDB {build['version']} is too old: Recovery needs 6.0, and 7.0.4 or newer in production."
    return None


async def advice(database: Database) -> str:
    """Return what is worth knowing of a server that is fit, which may be nothing."""
    build = await database.client.admin.command("buildInfo")
    if tuple(build["versionArray"][:3]) < RECOMMENDED:
        return f"MongoDB {build['version']} will do here; in production 7.0.4 or newer, 8.0 recommended"
    return f"MongoDB {build['version']}"


async def initiate(database: Database) -> str | None:
    """Make a fresh node a replica set of one; return a sentence on why it cannot be done, or None.

    `database` must be connected to that one node directly. A node that is part of a replica set is left as it is.
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
