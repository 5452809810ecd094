"""Courses of kept checkouts, for simulations: those of one person together. Nothing is written.

They are read in the order of the index of addresses, by one cursor and in batches, so that memory holds those of one
batch, however many there are.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from bson.min_key import MinKey
from pymongo import ASCENDING

from recovery.domain.checkout import Facts, shop_of
from recovery.domain.fields import Address
from recovery.domain.simulation import Course
from recovery.domain.state import CheckoutState, MessageState, Status
from recovery.domain.suppression import Suppression
from recovery.engine.writes import Unreadable
from recovery.mongo.collections import BY_ADDRESS, CHECKOUTS, FORGIVING, Database, Document, of_shop
from recovery.mongo.documents import read
from recovery.mongo.errors import translating
from recovery.mongo.listing import needing
from recovery.mongo.marks import mark
from recovery.mongo.suppressions import Suppressions

BATCH = 500
"""Checkouts that are read together by default."""

CANCELLED = "cancelled: it is not kept when"
DEAD = "with a dead letter: its mails did not arrive"
DAMAGED = "cannot be read: damaged, or of a newer version"

_FIELDS = (
    *("address", "schema", "status", "revision", "confirm", "consent", "settled", "paused"),
    *("opened_at", "touched_at", "active_at", "ordered_at"),
    *("facts.customer", "facts.time_zone"),
)


@dataclass(slots=True)
class Batch:
    """Checkouts that were read together: those of one person at one shop in one group; and how many are left out, why.

    `count` is the number of all of them.
    """

    count: int = 0
    groups: list[tuple[str, list[Course]]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Which:
    """The checkouts to read: opened between two times, of one shop or of all, with their items if these matter.

    `batch` is how many are read together. Those of one person stay together, so there may be more.
    """

    since: datetime
    until: datetime
    shop: str | None = None
    items: bool = False
    batch: int = BATCH


ORDER = [("address", ASCENDING), ("opened_at", ASCENDING), ("_id", ASCENDING)]


def query(which: Which) -> Document:
    """Return the query for the checkouts, which the index serves in its order."""
    return {
        "address": {"$gte": MinKey()},  # all of them: without a condition, the server would use no other bounds either
        "opened_at": {"$gte": which.since, "$lt": which.until},
        "_id": {"$type": "string"} if which.shop is None else of_shop(which.shop),
    }


async def courses(database: Database, suppressions: Suppressions, which: Which) -> AsyncIterator[Batch]:
    """Yield the courses of checkouts, in batches. Raises `Unavailable`, and `Refused` without the index."""
    kept = database.get_collection(CHECKOUTS, **FORGIVING)
    fields = dict.fromkeys((*_FIELDS, *(["facts.items"] * which.items)), 1)
    documents: list[Document] = []
    with translating(), needing(BY_ADDRESS):
        async with kept.find(query(which), fields, sort=ORDER, hint=BY_ADDRESS, batch_size=which.batch) as cursor:
            async for document in cursor:
                if len(documents) >= which.batch and _address(document) != _address(documents[-1]):
                    yield await _batch(documents, suppressions)
                    documents = []
                documents.append(document)
    if documents:
        yield await _batch(documents, suppressions)


async def _batch(documents: Sequence[Document], suppressions: Suppressions) -> Batch:
    batch = Batch(count=len(documents))
    found: list[tuple[str, Address | None, CheckoutState]] = []
    for document in documents:
        state = read(document)
        if isinstance(state, Unreadable):
            batch.left_out[DAMAGED] += 1
        elif why := _left_out(state, document):
            batch.left_out[why] += 1
        else:
            customer = state.facts.customer
            found.append((shop_of(state.id), None if customer is None else customer.address, state))
    people = {(shop, address) for shop, address, _ in found if address is not None}
    suppressed = await suppressions.of(people)
    found.sort(key=lambda each: (each[0], each[1] or ""))
    for (shop, address), group in groupby(found, key=lambda each: each[:2]):
        made = [_course(state, address, suppressed.get((shop, address or ""))) for _, _, state in group]
        batch.groups += [(shop, made)] if address is not None else [(shop, [each]) for each in made]
    return batch


def _address(document: Mapping[str, object]) -> object:
    """Return the address in a document, or its id if it has none: it then belongs to no other."""
    return document.get("address") or document["_id"]


def _left_out(state: CheckoutState, document: Document) -> str | None:
    """Return why a checkout cannot be simulated, or None."""
    if state.status is Status.CANCELLED:
        return CANCELLED
    dead = mark("", MessageState.DEAD)
    marks = document.get("settled")
    return DEAD if isinstance(marks, list) and any(str(each).endswith(dead) for each in marks) else None


def _course(state: CheckoutState, address: str | None, suppression: Suppression | None) -> Course:
    facts = Facts.model_construct(
        customer=state.facts.customer, time_zone=state.facts.time_zone, items=state.facts.items
    )
    return Course(
        id=state.id,
        person=address,
        left_at=state.left_at,
        opened_at=state.opened_at,
        facts=facts,
        consent=state.consent,
        ordered_at=state.ordered_at if state.status is Status.ORDERED else None,
        confirm=state.confirm,
        paused=state.pause,
        suppression=suppression,
    )
