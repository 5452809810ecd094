"""The kept checkouts: each method is one round trip for a batch, and one more where somebody else was faster."""

from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from datetime import datetime

from pymongo import ASCENDING, UpdateMany, UpdateOne
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import PyMongoError

from recovery.checkout import CheckoutState, Claim, Past
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, FORGIVING, OPTIONS, Database, Document
from recovery.mongo.documents import read, written
from recovery.mongo.errors import temporary, translated
from recovery.ports import Claiming, Completion, DeadLetter, Plan, Unreadable
from recovery.records import reminded_at

HISTORY_KEPT = 50
ERRORS_KEPT = 20


class MongoCheckouts:
    """The port `Checkouts` on a real database."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **FORGIVING)
        self._dead_letters = database.get_collection(DEAD_LETTERS, **OPTIONS)

    @translated
    async def load(self, ids: Sequence[str]) -> tuple[list[CheckoutState], list[Unreadable]]:
        """Return the checkouts of these ids as they are kept now; those that do not exist are left out."""
        states: list[CheckoutState] = []
        unreadable: list[Unreadable] = []
        for document in await self._find(ids).to_list():
            found = read(document)
            if isinstance(found, Unreadable):
                unreadable.append(found)
            else:
                states.append(found)
        return states, unreadable

    @translated
    async def due(self, before: datetime, limit: int, mine: Callable[[str], bool]) -> list[str]:
        """Return up to `limit` ids of checkouts that ought to have been looked at before that time, longest due first.

        `mine` says which of them the caller cares for.
        """
        found: list[str] = []
        async with self._by_next_at({"$lte": before}).batch_size(limit) as cursor:
            async for document in cursor:
                if mine(document["_id"]):
                    found.append(document["_id"])
                if len(found) >= limit:
                    break
        return found

    async def soon(
        self, after: datetime, before: datetime, limit: int, mine: Callable[[str], bool]
    ) -> AsyncIterator[list[str]]:
        """Yield, up to `limit` at a time, the ids of checkouts to be looked at between these times."""
        ids: list[str] = []
        async with self._by_next_at({"$gt": after, "$lte": before}).batch_size(limit) as cursor:
            async for document in cursor:
                if mine(document["_id"]):
                    ids.append(document["_id"])
                if len(ids) == limit:
                    yield ids
                    ids = []
        if ids:
            yield ids

    @translated
    async def plan(self, plans: Sequence[Plan]) -> Mapping[str, datetime | None]:
        """Write the plans that still hold; return each checkout's `next_at` as it is kept afterwards."""
        result = await self._checkouts.bulk_write([_planned(plan) for plan in plans], ordered=False)
        if result.matched_count == len(plans):
            return {plan.seen.id: plan.next_at for plan in plans}
        return await self._next_at([plan.seen.id for plan in plans])

    @translated
    async def claim(self, claims: Sequence[Claiming]) -> set[str]:
        """Claim what can be claimed; return the ids of the checkouts that are now claimed by these tokens."""
        updates = _claimed(claims)
        try:
            result = await self._checkouts.bulk_write(updates, ordered=False)
        except PyMongoError as exc:
            if not temporary(exc):
                raise
            # The driver does not repeat an update of many. What took hold does not match again, and has our token.
            result = await self._checkouts.bulk_write(updates, ordered=False)
        ids = {claim.seen.id for claim in claims}
        if result.matched_count == len(claims):
            return ids
        mine = {"claim.token": {"$in": list({claim.token for claim in claims})}}
        return {document["_id"] async for document in self._find(list(ids), mine, "_id")}

    @translated
    async def held(self, claims: Sequence[Claiming]) -> set[str]:
        """Return the ids of the checkouts that these claims still hold, and of which nothing was reported since."""
        found = self._find([claim.seen.id for claim in claims], None, "revision", "claim.token")
        kept = {each["_id"]: (each["revision"], each.get("claim", {}).get("token")) async for each in found}
        return {claim.seen.id for claim in claims if kept.get(claim.seen.id) == (claim.seen.revision, claim.token)}

    @translated
    async def hand_over(self, claims: Sequence[Claiming]) -> set[str]:
        """Keep that the content of these messages goes out now; return the ids of those that `held` would."""
        result = await self._checkouts.bulk_write([_handed_over(claim) for claim in claims], ordered=False)
        if result.matched_count == len(claims):
            return {claim.seen.id for claim in claims}
        return await self.held(claims)

    @translated
    async def renew(self, claims: Sequence[Claiming]) -> None:
        """Move the ends of these leases to their `until`, where the claims still hold."""
        alike: dict[datetime, list[Claiming]] = {}
        for claim in claims:
            alike.setdefault(claim.until, []).append(claim)
        await self._checkouts.bulk_write([_renewed(each, until) for until, each in alike.items()], ordered=False)

    @translated
    async def complete(self, completions: Sequence[Completion]) -> Mapping[str, datetime | None]:
        """Record how sends ended; return each checkout's `next_at` as it is kept afterwards."""
        result = await self._checkouts.bulk_write([_completed(each) for each in completions], ordered=False)
        if result.matched_count == len(completions):
            return {each.claiming.seen.id: each.next_at for each in completions}
        await self._checkouts.bulk_write([_recorded(each) for each in completions], ordered=False)
        return await self._next_at([each.claiming.seen.id for each in completions])

    @translated
    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters, one for each checkout and step; a document that cannot be read is put to rest as well."""
        await self._dead_letters.bulk_write([_buried(letter) for letter in letters], ordered=False)
        if unreadable := [letter.checkout for letter in letters if letter.step is None]:
            await self._checkouts.update_many(
                {"_id": {"$in": unreadable}}, {"$set": {"next_at": None}}, bypass_document_validation=True
            )

    def _by_next_at(self, between: Document) -> AsyncCursor[Document]:
        """Return the ids of checkouts by their next look.

        `$type` is what lets the server use the partial index: without it, it reads every checkout there is.
        """
        query = {"next_at": between | {"$type": "date"}, "_id": {"$type": "string"}}
        return self._checkouts.find(query, {"_id": 1}).sort("next_at", ASCENDING)

    def _find(self, ids: Sequence[str], query: Document | None = None, *fields: str) -> AsyncCursor[Document]:
        """Find these checkouts in one round trip: the server's own first batch is 101 documents."""
        matching = {"_id": {"$in": list(ids)}} | (query or {})
        return self._checkouts.find(matching, list(fields) or None, batch_size=len(ids) + 1)

    async def _next_at(self, ids: Sequence[str]) -> Mapping[str, datetime | None]:
        found = self._find(ids, None, "next_at")
        return {document["_id"]: document.get("next_at") async for document in found}


def _unchanged(seen: CheckoutState) -> Document:
    """Match the checkout only as it was seen: nothing reported, claimed or planned since."""
    return {
        "_id": seen.id,
        "status": seen.status,
        "revision": seen.revision,
        "next_at": seen.next_at,
        "claim.token": seen.claim.token if seen.claim else None,
    }


def _history(entries: Sequence[Past]) -> Document:
    each = [entry.model_dump() for entry in entries]
    return {"$push": {"history": {"$each": each, "$slice": -HISTORY_KEPT}}} if each else {}


def _planned(plan: Plan) -> UpdateOne:
    changes: Document = {"status": plan.status, "next_at": plan.next_at, "purge_at": plan.purge_at}
    changes |= {f"messages.{step}": written(message) for step, message in plan.messages.items()}
    update: Document = {"$set": changes, **_history(plan.history)}
    claim = plan.seen.claim
    if claim is not None and plan.next_at != claim.until:
        update["$unset"] = {"claim": ""}
    return UpdateOne(_unchanged(plan.seen), update)


def _claimed(claims: Sequence[Claiming]) -> list[UpdateOne | UpdateMany]:
    """Return the updates that claim: one for all that are alike, which takes the server half the time or less."""
    alike: dict[Hashable, list[Claiming]] = {}
    for claim in claims:
        alike.setdefault(_kind(claim), []).append(claim)
    return [_claimed_together(each) for each in alike.values()]


def _kind(claim: Claiming) -> Hashable:
    seen, message = claim.seen, claim.seen.messages.get(claim.step.name)
    return (
        *(seen.status, seen.revision, seen.claim and seen.claim.token, seen.next_at is None),
        *(claim.step.name, message and (message.state, message.attempts)),
        *(claim.message.attempts, claim.message.due_at, claim.message.replayed_at, claim.message.deferred_to),
        *(claim.message.ambiguous, claim.message.handed_over),
        *(claim.token, claim.owner, claim.until),
    )


def _claimed_together(claims: Sequence[Claiming]) -> UpdateOne | UpdateMany:
    claim = claims[0]
    name = claim.step.name
    message = claim.seen.messages.get(name)
    guard = _unchanged(claim.seen) | {
        f"messages.{name}.state": message and message.state,
        f"messages.{name}.attempts": message and message.attempts,
    }
    if next_at := [each.seen.next_at for each in claims if each.seen.next_at is not None]:
        guard["next_at"] = {"$lte": max(next_at)}  # or somebody has moved it, into the future
    changes = {
        f"messages.{name}": written(claim.message),
        "claim": written(Claim(token=claim.token, owner=claim.owner, until=claim.until)),
        "next_at": claim.until,
    }
    if len(claims) == 1:
        return UpdateOne(guard, {"$set": changes})
    return UpdateMany(guard | {"_id": {"$in": [each.seen.id for each in claims]}}, {"$set": changes})


def _handed_over(claim: Claiming) -> UpdateOne:
    held = {"_id": claim.seen.id, "claim.token": claim.token, "revision": claim.seen.revision}
    return UpdateOne(held, {"$set": {f"messages.{claim.step.name}.handed_over": True}})


def _renewed(claims: Sequence[Claiming], until: datetime) -> UpdateMany:
    these = {"_id": {"$in": [claim.seen.id for claim in claims]}}
    tokens = {"claim.token": {"$in": list({claim.token for claim in claims})}}
    return UpdateMany(these | tokens, {"$set": {"claim.until": until, "next_at": until}})


def _completed(completion: Completion) -> UpdateOne:
    seen = completion.claiming.seen
    update = _result(completion)
    update["$set"]["next_at"] = completion.next_at
    if completion.status is not seen.status:
        update["$set"]["status"] = completion.status
    if completion.purge_at != seen.purge_at:
        update["$set"]["purge_at"] = completion.purge_at
    return UpdateOne({"_id": seen.id, "claim.token": completion.claiming.token, "revision": seen.revision}, update)


def _recorded(completion: Completion) -> UpdateOne:
    update = _result(completion) | {"$currentDate": {"next_at": True}}
    return UpdateOne({"_id": completion.claiming.seen.id, "claim.token": completion.claiming.token}, update)


def _result(completion: Completion) -> Document:
    changes: Document = {f"messages.{completion.claiming.step.name}": written(completion.message)}
    if (at := reminded_at(completion)) is not None:
        changes["written_at"] = at
    return {
        "$set": changes,
        "$unset": {"claim": ""},
        **_history(completion.history),
    }


def _buried(letter: DeadLetter) -> UpdateOne:
    kept = {"checkout": letter.checkout, "step": letter.step, "cause": letter.cause, "replayed_at": None}
    error = {"at": letter.at, "error": letter.error, "attempts": letter.attempts}
    update = {"$set": kept | error, "$push": {"errors": {"$each": [error], "$slice": -ERRORS_KEPT}}}
    return UpdateOne({"_id": letter.id}, update, upsert=True)
