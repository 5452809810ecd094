"""The kept checkouts: each method is one round trip for a batch, and one more where somebody else was faster."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from bson.errors import InvalidBSON, InvalidDocument
from pymongo import DeleteOne, UpdateMany, UpdateOne
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import BulkWriteError, DocumentTooLarge, PyMongoError

from recovery.domain.masking import masked, private
from recovery.domain.state import Cause, CheckoutState
from recovery.engine.writes import Claiming, Completion, DeadLetter, Plan, Unreadable, Written
from recovery.mongo import updates
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, FORGIVING, OPTIONS, Database, Document
from recovery.mongo.documents import read
from recovery.mongo.errors import temporary, translated, translating
from recovery.mongo.queues import ALL, Queues, Shops

UNWRITABLE = (InvalidDocument, DocumentTooLarge, UnicodeError, OverflowError)
"""What the driver raises for a document that cannot be sent at all."""

UNWRITABLE_KEPT = timedelta(days=30)
"""How long a document is kept that cannot be written: as long as its dead letter is likely to be looked at."""

Update = UpdateOne | UpdateMany


class MongoCheckouts:
    """The port `Checkouts` on a real database."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **FORGIVING)
        self._dead_letters = database.get_collection(DEAD_LETTERS, **OPTIONS)
        self._queues = Queues(self._checkouts)

    @translated
    async def load(self, ids: Sequence[str]) -> tuple[list[CheckoutState], list[Unreadable]]:
        """Return the checkouts of these ids as they are kept now; those that do not exist are left out."""
        states: list[CheckoutState] = []
        unreadable: list[Unreadable] = []
        for document in await self._documents(ids, unreadable):
            found = read(document)
            if isinstance(found, Unreadable):
                unreadable.append(found)
            else:
                states.append(found)
        return states, unreadable

    @translated
    async def due(self, before: datetime, limit: int, mine: Callable[[str], bool], shops: Shops = ALL) -> list[str]:
        """Return up to `limit` ids of checkouts that ought to have been looked at before that time.

        Those that were ordered come before all others, for somebody waits for the confirmation; then the shops have
        their turns, each with what is longest due. `mine` says which of them the caller cares for.
        """
        return await self._queues.due(before, limit, mine, shops)

    async def soon(
        self, after: datetime, before: datetime, limit: int, mine: Callable[[str], bool], shops: Shops = ALL
    ) -> AsyncIterator[list[str]]:
        """Yield, up to `limit` at a time, the ids of checkouts to be looked at between these times.

        Those that are claimed are left out: what they wait for is the end of a lease, which has no shadow.
        """
        with translating():
            async for ids in self._queues.soon(after, before, limit, mine, shops):
                yield ids

    @translated
    async def plan(self, plans: Sequence[Plan]) -> Written:
        """Write the plans that still hold, with their dead letters."""
        seen = [plan.seen for plan in plans]
        guards = [updates.unchanged(plan.seen) for plan in plans for _ in plan.letters]
        letters = await self._bury([letter for plan in plans for letter in plan.letters], guards)
        matched = await self._write([updates.planned(plan) for plan in plans], seen)
        if matched == len(plans):
            return Written({plan.seen.id: plan.next_at for plan in plans}, letters)
        return await self._afterwards([each.id for each in seen], letters)

    @translated
    async def claim(self, claims: Sequence[Claiming]) -> set[str]:
        """Claim what can be claimed; return the ids of the checkouts that are now claimed by these tokens."""
        together = updates.claimed(claims)
        try:
            matched = (await self._checkouts.bulk_write(together, ordered=False)).matched_count
        except (PyMongoError, *UNWRITABLE) as exc:
            # The driver does not repeat an update of many. What took hold does not match again, and has our token.
            if isinstance(exc, PyMongoError) and temporary(exc):
                matched = (await self._checkouts.bulk_write(together, ordered=False)).matched_count
            else:  # one of many stops them all: each alone
                alone = [update for claim in claims for update in updates.claimed([claim])]
                matched = await self._write(alone, [claim.seen for claim in claims])
        ids = {claim.seen.id for claim in claims}
        if matched == len(claims):
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
        result = await self._checkouts.bulk_write([updates.handed_over(claim) for claim in claims], ordered=False)
        if result.matched_count == len(claims):
            return {claim.seen.id for claim in claims}
        return await self.held(claims)

    @translated
    async def renew(self, claims: Sequence[Claiming]) -> None:
        """Move the ends of these leases to their `until`, where the claims still hold."""
        alike: dict[datetime, list[Claiming]] = {}
        for claim in claims:
            alike.setdefault(claim.until, []).append(claim)
        await self._checkouts.bulk_write([updates.renewed(each, until) for until, each in alike.items()], ordered=False)

    @translated
    async def complete(self, completions: Sequence[Completion]) -> Written:
        """Record how sends ended, with their dead letters."""
        seen = [each.claiming.seen for each in completions]
        dead = [each for each in completions if each.letter is not None]
        guards: list[Document] = [{"_id": each.claiming.seen.id, "claim.token": each.claiming.token} for each in dead]
        letters = await self._bury([each.letter for each in dead if each.letter is not None], guards)
        matched = await self._write([updates.completed(each) for each in completions], seen)
        if matched == len(completions):
            return Written({each.claiming.seen.id: each.next_at for each in completions}, letters)
        await self._write([updates.recorded(each) for each in completions], seen)
        return await self._afterwards([each.id for each in seen], letters)

    @translated
    async def set_aside(self, documents: Sequence[Unreadable], at: datetime, purge_at: datetime) -> Written:
        """Put documents to rest that cannot be read, each with a dead letter, unless they have changed since."""
        letters = [DeadLetter(each.id, None, Cause.INVALID, each.fault, at) for each in documents]
        kept = await self._bury(letters, [updates.as_seen(each) for each in documents])
        rest = [updates.set_aside(each, purge_at) for each in documents]
        await self._checkouts.bulk_write(rest, ordered=False, bypass_document_validation=True)
        return Written({letter.checkout: None for letter in kept}, kept)

    async def _write(self, writes: Sequence[Update], seen: Sequence[CheckoutState]) -> int:
        """Write these, each of one checkout; return how many took hold. What cannot be written is set aside alone."""
        try:
            return (await self._checkouts.bulk_write(list(writes), ordered=False)).matched_count
        except BulkWriteError as exc:
            if temporary(exc):
                raise
            details = exc.details or {}
            faults = {error["index"]: str(error.get("errmsg")) for error in details.get("writeErrors", ())}
            matched = int(details.get("nMatched", 0))
        except UNWRITABLE as exc:
            if len(writes) > 1:
                return sum([await self._write([write], [each]) for write, each in zip(writes, seen, strict=True)])
            faults, matched = {0: f"{type(exc).__name__}: {exc}"}, 0
        await self._unwritable([(seen[index], fault) for index, fault in faults.items()])
        return matched

    async def _unwritable(self, found: Sequence[tuple[CheckoutState, str]]) -> None:
        """Set aside what is sound but cannot be written, as a document that has no room for more."""
        hello = await self._checkouts.database.command("hello")
        now: datetime = hello["localTime"].replace(tzinfo=UTC)
        letters = [
            DeadLetter(each.id, None, Cause.INVALID, f"cannot be written: {_nameless(each, fault)}", now)
            for each, fault in found
        ]
        await self._dead_letters.bulk_write([updates.buried(letter) for letter in letters], ordered=False)
        rest = [updates.put_to_rest(each, now + UNWRITABLE_KEPT) for each, _ in found]
        await self._checkouts.bulk_write(rest, ordered=False, bypass_document_validation=True)

    async def _bury(self, letters: Sequence[DeadLetter], guards: Sequence[Document]) -> Sequence[DeadLetter]:
        """Keep the letters of what is still as its guard says; return them.

        A letter comes before what it tells of: a daemon that dies between the two leaves a letter too many for a
        moment, never a message that is dead without one.
        """
        if not letters:
            return ()
        found = self._checkouts.find({"$or": list(guards)}, {"_id": 1}, batch_size=len(guards) + 1)
        held = {document["_id"] async for document in found}
        kept = [letter for letter in letters if letter.checkout in held]
        if kept:
            await self._dead_letters.bulk_write([updates.buried(letter) for letter in kept], ordered=False)
        return kept

    async def _afterwards(self, ids: Sequence[str], letters: Sequence[DeadLetter]) -> Written:
        """Return what holds after some writes did not: letters of what is not dead after all are taken back."""
        fields = ["next_at", *(f"messages.{letter.step}.state" for letter in letters)]
        kept = {document["_id"]: document async for document in self._find(ids, None, *dict.fromkeys(fields))}
        held = [letter for letter in letters if updates.is_dead(kept.get(letter.checkout), letter.step)]
        if undone := [DeleteOne({"_id": each.id, "at": each.at}) for each in letters if each not in held]:
            await self._dead_letters.bulk_write(undone, ordered=False)
        return Written({id_: document.get("next_at") for id_, document in kept.items()}, held)

    async def _documents(self, ids: Sequence[str], unreadable: list[Unreadable]) -> list[Document]:
        """Return the documents of these ids; one that is no BSON at all spoils no other."""
        try:
            return await self._find(ids).to_list()
        except InvalidBSON as exc:
            if len(ids) == 1:
                unreadable.append(Unreadable(ids[0], f"is no BSON: {exc}", *await self._guarded_by(ids[0])))
                return []
        return [document for id_ in ids for document in await self._documents([id_], unreadable)]

    async def _guarded_by(self, id_: str) -> tuple[object, object]:
        found = await self._find([id_], None, "revision", "next_at").to_list()
        return (found[0].get("revision"), found[0].get("next_at")) if found else (None, None)

    def _find(self, ids: Sequence[str], query: Document | None = None, *fields: str) -> AsyncCursor[Document]:
        """Find these checkouts in one round trip: the server's own first batch is 101 documents."""
        matching = {"_id": {"$in": list(ids)}} | (query or {})
        return self._checkouts.find(matching, list(fields) or {"history": {"$slice": -1}}, batch_size=len(ids) + 1)


def _nameless(checkout: CheckoutState, fault: str) -> str:
    """Return what a driver says of a document, which may be all that is in it, without whom it is of."""
    customer = checkout.facts.customer
    return masked(fault, private(customer.email, customer.name) if customer is not None else ())
