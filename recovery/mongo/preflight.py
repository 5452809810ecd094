"""The preflight check of a MongoDB server: can Recovery run on it, and if not, what to do."""

from dataclasses import dataclass

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from recovery.mongo.collections import Database, Document
from recovery.mongo.errors import said

OLDEST = (6, 0)
RECOMMENDED = (7, 0, 4)

_ALREADY_INITIATED = 23
_NOT_REPLICATING = 76


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why Recovery cannot run on a server, and what to do about it. As text, both in one sentence."""

    detail: str
    fix: str

    def __str__(self) -> str:
        return f"{self.detail}: {self.fix}"


_START = "start mongod with --replSet rs0, then run recovery init."
ALONE = Fault("MongoDB runs standalone, and change streams need a replica set (one node is enough)", _START)
FRESH = Fault("MongoDB's replica set is not initiated yet", "run recovery init.")


async def fault(database: Database) -> Fault | None:
    """Return the reason why Recovery cannot run on this server, or None."""
    try:
        admin = database.client.admin
        if unfit := _unfit(await admin.command("hello"), await admin.command("buildInfo")):
            return unfit
        await database.list_collection_names()  # a user without rights fails here, not at the first write
    except ConnectionFailure as exc:
        if "RSGhost" in str(exc):
            return FRESH
        if "for replica set name" in str(exc):
            return Fault(said(exc), f"fix replicaSet in mongodb.uri or, if the server is standalone, {_START}")
        return _unreachable(exc)
    except OperationFailure as exc:
        return Fault(
            f"MongoDB refuses access ({said(exc)})", "check the user, the password and the roles in mongodb.uri."
        )
    except PyMongoError as exc:
        return Fault(f"MongoDB cannot be used ({said(exc)})", "check mongodb.uri, and read MongoDB's log.")
    return None


def _unreachable(error: PyMongoError) -> Fault:
    return Fault(f"MongoDB cannot be reached ({said(error)})", "start it, or fix mongodb.uri.")


def _unfit(hello: Document, build: Document) -> Fault | None:
    is_router = hello.get("msg") == "isdbgrid"
    if "setName" not in hello and not is_router:
        return FRESH if hello.get("isreplicaset") else ALONE
    if not (hello.get("isWritablePrimary") or is_router):
        return Fault(
            "MongoDB's replica set has no reachable primary",
            "start a majority of its nodes; rs.status() in mongosh shows their states.",
        )
    if tuple(build["versionArray"][:2]) < OLDEST:
        return Fault(
            f"MongoDB {build['version']} is too old", "update it to 7.0.4 or newer; 6.0 is the minimum, for tests."
        )
    return None


async def advice(database: Database) -> str:
    """Return a note on the version of a server that Recovery can run on."""
    build = await database.client.admin.command("buildInfo")
    if tuple(build["versionArray"][:3]) < RECOMMENDED:
        return f"MongoDB {build['version']} is fine for tests; use 7.0.4 or newer in production, 8.0 is recommended"
    return f"MongoDB {build['version']}"


async def initiate(database: Database) -> Fault | None:
    """Make a fresh node a replica set of one; return the reason why that failed, or None.

    `database` must be connected to that node directly. A node that is in a replica set is not changed.
    """
    try:
        await database.client.admin.command("replSetInitiate")
    except OperationFailure as exc:
        if exc.code == _ALREADY_INITIATED:
            return None
        if exc.code == _NOT_REPLICATING:
            return ALONE
        return Fault(
            f"MongoDB refuses to initiate a replica set ({said(exc)})", "run rs.initiate() as its administrator."
        )
    except PyMongoError as exc:
        return _unreachable(exc)
    return None
