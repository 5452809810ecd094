"""The collections, with indexes and validators as data, and the migration that creates them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ASCENDING, DESCENDING, IndexModel, ReadPreference, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from recovery.domain.state import Status
from recovery.domain.suppression import SuppressionReason
from recovery.errors import Refused, Unavailable
from recovery.mongo import fields
from recovery.mongo.errors import translated
from recovery.mongo.schemas import Fields, validator

CHECKOUTS = "checkouts"
SHADOWS = "shadows"
DEAD_LETTERS = "dead_letters"
POSITIONS = "positions"
DAEMONS = "daemons"
SUPPRESSIONS = "suppressions"
DATA_REQUESTS = "data_requests"
ALLOWANCES = "allowances"
RECEIVERS = "receivers"
CHANNELS = "channels"
PAUSES = "pauses"
ACTIVITY = "activity"
RESULTS = "results"
SELECTIONS = "selections"
WORDS = "words"

Document = dict[str, Any]
Database = AsyncDatabase[Document]

ACKNOWLEDGED_WITHIN_MS = 10_000

OPTIONS: dict[str, Any] = {
    "codec_options": CodecOptions(tz_aware=True),
    "write_concern": WriteConcern("majority", wtimeout=ACKNOWLEDGED_WITHIN_MS, j=True),
    "read_concern": ReadConcern("majority"),
    "read_preference": ReadPreference.PRIMARY,
}
"""Options of every collection: acknowledged writes survive any crash of fewer than half of the nodes."""

FORGIVING = OPTIONS | {
    "codec_options": CodecOptions(
        tz_aware=True,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        unicode_decode_error_handler="replace",
    )
}
"""Options for batch reads: an out-of-range date decodes to a number, and invalid UTF-8 to replacement characters, so
that one bad document does not fail the batch."""

BY_STATUS, BY_MARK, BY_ADDRESS = "listed", "settled", "person"
"""The indexes that lists of checkouts are read from, newest first."""

NEWEST_WORDS = "newest"
"""The index by which the newest versions of words are found."""

BY_LAST_MAIL, BY_ASSIGNMENT, BY_DAY = "last_mail", "assigned", "day"
"""The indexes by which results are counted, and read."""

LAYOUT = 7
"""The version of the validators and indexes below; increment it with every change. It is stored in the validators, so
that an older version of Recovery does not undo the changes of a newer one."""


LOOKS = 10
AGAIN_AFTER = 0.1
CONFLICTS = {
    26,  # NamespaceNotFound
    27,  # IndexNotFound
    48,  # NamespaceExists
    276,  # IndexBuildAborted
    12587,  # BackgroundOperationInProgressForNamespace
}
"""Error codes of a race with another process that creates or drops the same collection or index."""

UNAUTHORIZED = 13


@dataclass(frozen=True, slots=True)
class Collection:
    """The definition of a collection: the fields of its documents, and its indexes."""

    fields: Fields
    indexes: tuple[IndexModel, ...] = ()
    obsolete: tuple[str, ...] = ()
    """Names of indexes of older versions, to be dropped once the others exist."""


_LISTED = (("opened_at", ASCENDING), ("_id", ASCENDING))
"""The order of a list, which is read backwards."""

_TITLE = "recovery "
_VALIDATOR = "the validator of"

COLLECTIONS = {
    CHECKOUTS: Collection(
        fields.CHECKOUT,
        indexes=(
            IndexModel(
                [("shop", ASCENDING), ("next_at", ASCENDING)],
                name="queues",
                partialFilterExpression={"next_at": {"$type": "date"}},
            ),
            # Few checkouts are ordered and still due: their confirmations are found however long the backlog is.
            IndexModel(
                [("next_at", ASCENDING)],
                name="confirmations",
                partialFilterExpression={"status": Status.ORDERED.value, "next_at": {"$type": "date"}},
            ),
            IndexModel([("purge_at", ASCENDING)], name="purge_at", expireAfterSeconds=0),
            # One more key with each report: a list of a shop reads the ranges of all four statuses, and merges them.
            IndexModel([("shop", ASCENDING), ("status", ASCENDING), *_LISTED], name=BY_STATUS),
            # Nothing before the first message is settled, so it costs a report nothing.
            IndexModel(
                [("shop", ASCENDING), ("settled", ASCENDING), *_LISTED],
                name=BY_MARK,
                partialFilterExpression={"settled": {"$exists": True}},
            ),
            IndexModel([("address", ASCENDING), *_LISTED], name=BY_ADDRESS),
            IndexModel(
                [("known_as", ASCENDING)], name="known_as", partialFilterExpression={"known_as": {"$exists": True}}
            ),
            # Both times only grow: each key is the last of its index, the cheapest to insert.
            IndexModel(
                [("written_at", ASCENDING)],
                name=BY_LAST_MAIL,
                partialFilterExpression={"written_at": {"$exists": True}},
            ),
            IndexModel(
                [("assigned_at", ASCENDING)],
                name=BY_ASSIGNMENT,
                partialFilterExpression={"assigned_at": {"$exists": True}},
            ),
        ),
        obsolete=("next_at", "address"),
    ),
    SHADOWS: Collection(
        fields.SHADOW,
        indexes=(IndexModel([("expire_at", ASCENDING)], name="expire_at", expireAfterSeconds=0),),
    ),
    DEAD_LETTERS: Collection(
        fields.DEAD_LETTER,
        indexes=(
            IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=90 * 24 * 3600),
            IndexModel([("checkout", ASCENDING)], name="checkout"),
            # Lists, newest first. Most letters were replayed some day: those that were not have an index of their own.
            IndexModel(
                [("at", ASCENDING), ("_id", ASCENDING)],
                name="waiting",
                partialFilterExpression={"replayed_at": None},
            ),
            IndexModel([("at", ASCENDING), ("_id", ASCENDING), ("cause", ASCENDING)], name="listed"),
        ),
    ),
    POSITIONS: Collection(
        fields.POSITION,
        indexes=(IndexModel([("saved_at", ASCENDING)], name="saved_at", expireAfterSeconds=30 * 24 * 3600),),
    ),
    DAEMONS: Collection(
        fields.DAEMON,
        indexes=(IndexModel([("beat_at", ASCENDING)], name="beat_at", expireAfterSeconds=3600),),
    ),
    ALLOWANCES: Collection(
        fields.ALLOWANCE,
        indexes=(IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=3 * 24 * 3600),),
    ),
    RECEIVERS: Collection(
        fields.RECEIVER,
        indexes=(
            IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=2 * 24 * 3600),
            IndexModel([("slowed.at", ASCENDING)], name="slowed", sparse=True),
        ),
    ),
    CHANNELS: Collection(
        fields.CHANNEL,
        indexes=(IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=90 * 24 * 3600),),
    ),
    PAUSES: Collection(fields.PAUSE),
    ACTIVITY: Collection(
        fields.ACTIVITY,
        indexes=(IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=8 * 24 * 3600),),
    ),
    RESULTS: Collection(fields.RESULT, indexes=(IndexModel([("_id.day", ASCENDING)], name=BY_DAY),)),
    DATA_REQUESTS: Collection(
        fields.DATA_REQUEST,
        indexes=(
            IndexModel([("asked_at", ASCENDING)], name="asked_at", expireAfterSeconds=90 * 24 * 3600),
            IndexModel([("address", ASCENDING)], name="address"),
        ),
    ),
    SELECTIONS: Collection(
        fields.SELECTION,
        indexes=(IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=3600),),
    ),
    WORDS: Collection(
        fields.WORDS,
        indexes=(IndexModel([("of", ASCENDING), ("version", DESCENDING)], name=NEWEST_WORDS),),
    ),
    SUPPRESSIONS: Collection(
        fields.SUPPRESSION,
        indexes=(
            IndexModel(
                [("at", ASCENDING)],
                name="complaints",
                partialFilterExpression={"reason": SuppressionReason.COMPLAINT.value},
            ),
            # A list, newest first, reads the ranges of all reasons, and merges them.
            IndexModel([("reason", ASCENDING), ("at", ASCENDING), ("_id", ASCENDING)], name="listed"),
        ),
    ),
}


def of_shop(shop: str) -> Document:
    """Return the range of ids of a shop's documents, which start with its name and a slash."""
    return {"$gte": f"{shop}/", "$lt": f"{shop}0"}  # "0" follows "/"


class NotAllowed(Refused):
    """The database user may not create or change the collections; the message says what is missing and what to do.

    `vital` is True if the daemon cannot work without it; an outdated validator is not vital.
    """

    def __init__(self, left: list[str], *, vital: bool) -> None:
        super().__init__(
            f"MongoDB does not allow this user to create or change the collections "
            f"({'; '.join(left) or 'an index of an older version is left'}): run `recovery init` as a user with the "
            "role recoveryInit, see docs/running.md"
        )
        self.vital = vital


@translated
async def ensure(database: Database) -> list[str]:
    """Create missing collections, validators and indexes, and fix those that differ; return a sentence for each change.

    Several daemons may do this at the same time, as after a collection was dropped: after a conflict, it starts again.
    Idempotent. Raises `NotAllowed` if the user lacks a right, and `Unavailable`, also if another process takes long,
    as for an index over much data.
    """
    done: list[str] = []
    for attempt in range(LOOKS):
        try:
            await _ensure(database, done)
        except OperationFailure as exc:
            if exc.code not in CONFLICTS:
                raise
            if attempt == LOOKS - 1:
                raise Unavailable(f"another process is changing the collections, try again: {exc}") from exc
            await asyncio.sleep(AGAIN_AFTER)
        else:
            break
    return done


async def _ensure(database: Database, done: list[str]) -> None:
    present = {info["name"]: info async for info in await database.list_collections()}
    refused: OperationFailure | None = None
    for name, wanted in COLLECTIONS.items():
        if _is_newer(present.get(name)):
            continue
        try:
            if name not in present:
                await database.command({"create": name, **_validation(wanted)})
                done.append(f"created collection {name}")
            await _ensure_indexes(database, name, wanted, done)
            if name in present and _validation_differs(present[name], wanted):
                await database.command({"collMod": name, **_validation(wanted)})
                done.append(f"renewed the validator of {name}")
        except OperationFailure as exc:
            if exc.code != UNAUTHORIZED:
                raise
            refused = exc
    if refused is not None:
        left = await faults(database)
        raise NotAllowed(left, vital=any(not fault.startswith(_VALIDATOR) for fault in left)) from refused


async def _ensure_indexes(database: Database, name: str, wanted: Collection, done: list[str]) -> None:
    for fault, index in await _index_faults(database, name, wanted):
        if "missing" not in fault:
            await database[name].drop_index(index.document["name"])
        await database[name].create_indexes([index])
        done.append(f"made index {name}.{index.document['name']}")
    for index_name in wanted.obsolete:
        if index_name in await database[name].index_information():
            await database[name].drop_index(index_name)
            done.append(f"dropped index {name}.{index_name}")


async def faults(database: Database) -> list[str]:
    """Return a sentence for each collection, validator or index that is missing or differs.

    Otherwise a wrong TTL index would go unnoticed: it simply never expires anything.
    """
    found = []
    present = {info["name"]: info async for info in await database.list_collections()}
    for name, wanted in COLLECTIONS.items():
        if name not in present:
            found.append(f"collection {name} is missing")
            continue
        if _is_newer(present[name]):
            continue
        if _validation_differs(present[name], wanted):
            found.append(f"{_VALIDATOR} {name} is missing or differs")
        found += [fault for fault, _ in await _index_faults(database, name, wanted)]
    return found


def _validation(wanted: Collection) -> Document:
    """Return the validation options. Level `moderate`: invalid documents forced in by hand can still be updated."""
    schema = {"title": f"{_TITLE}{LAYOUT}"} | validator(wanted.fields)
    return {"validator": {"$jsonSchema": schema}, "validationLevel": "moderate"}


def _is_newer(info: Mapping[str, Any] | None) -> bool:
    """Return True if a newer version of Recovery defined this collection."""
    schema = (info or {}).get("options", {}).get("validator", {}).get("$jsonSchema", {})
    number = str(schema.get("title", "")).removeprefix(_TITLE)
    return number.isdigit() and int(number) > LAYOUT


def _validation_differs(info: Mapping[str, Any], wanted: Collection) -> bool:
    options = info.get("options", {})
    return any(options.get(key) != value for key, value in _validation(wanted).items())


async def _index_faults(database: Database, name: str, wanted: Collection) -> list[tuple[str, IndexModel]]:
    present = await database[name].index_information()
    found = []
    for index in wanted.indexes:
        specification = index.document
        have = present.get(specification["name"])
        if have is None:
            found.append((f"index {name}.{specification['name']} is missing", index))
        elif any(
            have.get(key) != specification.get(key) for key in ("expireAfterSeconds", "partialFilterExpression")
        ) or [field for field, _ in have["key"]] != list(specification["key"]):
            found.append((f"index {name}.{specification['name']} differs from its definition", index))
    return found
