"""The stored checkouts. Each method is one round trip for a batch, and one more after a conflict."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from bson.errors import InvalidBSON, InvalidDocument
from pymongo import DeleteOne, UpdateMany, UpdateOne
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import BulkWriteError, DocumentTooLarge, PyMongoError, ServerSelectionTimeoutError

from recovery.domain.masking import masked, private
from recovery.domain.state import Cause, CheckoutState
from recovery.engine.writes import ClaimRequest, Completion, DeadLetter, Plan, Unreadable, Written
from recovery.mongo import updates
from recovery.mongo.batch_updates import GuardedUpdate, grouped, together
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, FORGIVING, OPTIONS, Database, Document
from recovery.mongo.dead_letters import letter_write
from recovery.mongo.documents import read
from recovery.mongo.errors import temporary, translated, translating
from recovery.mongo.queues import ALL, Queues, Shops

UNWRITABLE = (InvalidDocument, DocumentTooLarge, UnicodeError, OverflowError)
"""The driver's errors for a document that cannot be sent at all."""

UNWRITABLE_KEPT = timedelta(days=30)
"""Retention of a document that cannot be written: long enough for someone to look at its dead letter."""

Update = UpdateOne | UpdateMany


class MongoCheckouts:
    """The port `Checkouts` on MongoDB."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **FORGIVING)
        self._dead_letters = database.get_collection(DEAD_LETTERS, **OPTIONS)
        self._queues = Queues(self._checkouts)

    @translated
    async def load(self, ids: Sequence[str]) -> tuple[list[CheckoutState], list[Unreadable]]:
        """Return the checkouts with these ids, and those that cannot be read; unknown ids are left out."""
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
        """Return up to `limit` ids of checkouts that are due before that time.

        Ordered ones come first, because customers wait for the confirmation; then the shops take turns, each with its
        longest overdue checkouts. `mine` selects the ids of the caller's share.
        """
        return await self._queues.due(before, limit, mine, shops)

    async def soon(
        self, after: datetime, before: datetime, limit: int, mine: Callable[[str], bool], shops: Shops = ALL
    ) -> AsyncIterator[list[str]]:
        """Yield, up to `limit` at a time, the ids of checkouts that become due between these times.

        Claimed ones are left out: they wait for the end of a lease, which has no shadow.
        """
        with translating():
            async for ids in self._queues.soon(after, before, limit, mine, shops):
                yield ids

    @translated
    async def plan(self, plans: Sequence[Plan]) -> Written:
        """Write those plans whose checkout is unchanged, with their dead letters."""
        seen = [plan.seen for plan in plans]
        guards = [updates.unchanged(plan.seen) for plan in plans for _ in plan.letters]
        letters = await self._write_letters([letter for plan in plans for letter in plan.letters], guards)
        matched = await self._write_guarded([updates.planned(plan) for plan in plans])
        if matched == len(plans):
            return Written({plan.seen.id: plan.next_at for plan in plans}, letters)
        return await self._afterwards([each.id for each in seen], letters)

    @translated
    async def claim(self, claims: Sequence[ClaimRequest]) -> set[str]:
        """Claim those checkouts that are unchanged; return the ids of those that now hold these fencing tokens."""
        matched = await self._write_together(
            updates.claimed(claims),
            lambda: [update for claim in claims for update in updates.claimed([claim])],
            [claim.seen for claim in claims],
        )
        ids = {claim.seen.id for claim in claims}
        if matched == len(claims):
            return ids
        mine = {"claim.token": {"$in": list({claim.token for claim in claims})}}
        return {document["_id"] async for document in self._find(list(ids), mine, "_id")}

    @translated
    async def held(self, claims: Sequence[ClaimRequest]) -> set[str]:
        """Return the ids of those checkouts that are still claimed by these claims, without a report since."""
        found = self._find([claim.seen.id for claim in claims], None, "revision", "claim.token")
        kept = {each["_id"]: (each["revision"], each.get("claim", {}).get("token")) async for each in found}
        return {claim.seen.id for claim in claims if kept.get(claim.seen.id) == (claim.seen.revision, claim.token)}

    @translated
    async def hand_over(self, claims: Sequence[ClaimRequest]) -> set[str]:
        """Record that the content of these messages is sent now; return the same ids as `held`."""
        result = await self._checkouts.bulk_write([updates.handed_over(claim) for claim in claims], ordered=False)
        if result.matched_count == len(claims):
            return {claim.seen.id for claim in claims}
        return await self.held(claims)

    @translated
    async def renew(self, claims: Sequence[ClaimRequest]) -> None:
        """Extend these leases to their `until`, as far as the claims still hold."""
        alike: dict[datetime, list[ClaimRequest]] = {}
        for claim in claims:
            alike.setdefault(claim.until, []).append(claim)
        await self._checkouts.bulk_write([updates.renewed(each, until) for until, each in alike.items()], ordered=False)

    @translated
    async def complete(self, completions: Sequence[Completion]) -> Written:
        """Record the outcomes of sends, with their dead letters."""
        seen = [each.request.seen for each in completions]
        dead = [each for each in completions if each.letter is not None]
        guards: list[Document] = [{"_id": each.request.seen.id, "claim.token": each.request.token} for each in dead]
        letters = await self._write_letters([each.letter for each in dead if each.letter is not None], guards)
        matched = await self._write_guarded([updates.completed(each) for each in completions])
        if matched == len(completions):
            return Written({each.request.seen.id: each.next_at for each in completions}, letters)
        await self._write([updates.recorded(each) for each in completions], seen)
        return await self._afterwards([each.id for each in seen], letters)

    @translated
    async def set_aside(self, documents: Sequence[Unreadable], at: datetime, purge_at: datetime) -> Written:
        """Set unreadable documents aside, each with a dead letter, unless they have changed since: no more looks."""
        letters = [DeadLetter(each.id, None, Cause.INVALID, each.fault, at) for each in documents]
        kept = await self._write_letters(letters, [updates.as_seen(each) for each in documents])
        rest = [updates.set_aside(each, purge_at) for each in documents]
        await self._checkouts.bulk_write(rest, ordered=False, bypass_document_validation=True)
        return Written({letter.checkout: None for letter in kept}, kept)

    async def _write_guarded(self, changes: Sequence[GuardedUpdate]) -> int:
        """Make guarded updates by as few statements as possible; return how many matched."""
        groups, alone = grouped(changes)
        matched = 0
        if groups:
            members = [change for group in groups for change in group]
            matched += await self._write_together(
                [together(group) for group in groups],
                lambda: [change.alone() for change in members],
                [change.seen for change in members],
            )
        if alone:
            matched += await self._write([change.alone() for change in alone], [change.seen for change in alone])
        return matched

    async def _write_together(
        self, statements: Sequence[Update], alone: Callable[[], Sequence[Update]], seen: Sequence[CheckoutState]
    ) -> int:
        """Make updates by statements for many of them, or each `alone` if that fails; return how many matched.

        None of them may match again once it was made: the driver does not retry update_many, so that is done here, and
        what was made but not acknowledged is not counted.
        """
        try:
            return (await self._checkouts.bulk_write(list(statements), ordered=False)).matched_count
        except ServerSelectionTimeoutError:  # nothing was sent, and the driver has waited long enough
            raise
        except (PyMongoError, *UNWRITABLE) as exc:
            if isinstance(exc, PyMongoError) and temporary(exc):
                return (await self._checkouts.bulk_write(list(statements), ordered=False)).matched_count
            return await self._write(alone(), seen)  # one bad document fails a whole update_many

    async def _write(self, writes: Sequence[Update], seen: Sequence[CheckoutState]) -> int:
        """Make updates, each of one checkout; return how many matched. One that cannot be written is set aside."""
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
        """Set aside checkouts that are valid but cannot be written, such as documents at the maximum size."""
        hello = await self._checkouts.database.command("hello")
        now: datetime = hello["localTime"].replace(tzinfo=UTC)
        letters = [
            DeadLetter(each.id, None, Cause.INVALID, f"cannot be written: {_nameless(each, fault)}", now)
            for each, fault in found
        ]
        await self._dead_letters.bulk_write([letter_write(letter) for letter in letters], ordered=False)
        rest = [updates.put_to_rest(each, now + UNWRITABLE_KEPT) for each, _ in found]
        await self._checkouts.bulk_write(rest, ordered=False, bypass_document_validation=True)

    async def _write_letters(self, letters: Sequence[DeadLetter], guards: Sequence[Document]) -> Sequence[DeadLetter]:
        """Write the dead letters of checkouts that still match their guards; return those letters.

        A letter is written before its message is marked as dead: a daemon that dies in between leaves a superfluous
        letter for a moment, never a dead message without one.
        """
        if not letters:
            return ()
        found = self._checkouts.find({"$or": list(guards)}, {"_id": 1}, batch_size=len(guards) + 1)
        held = {document["_id"] async for document in found}
        kept = [letter for letter in letters if letter.checkout in held]
        if kept:
            await self._dead_letters.bulk_write([letter_write(letter) for letter in kept], ordered=False)
        return kept

    async def _afterwards(self, ids: Sequence[str], letters: Sequence[DeadLetter]) -> Written:
        """Return the stored state after some updates did not match; delete letters of messages that are not dead."""
        fields = ["next_at", *(f"messages.{letter.step}.state" for letter in letters)]
        kept = {document["_id"]: document async for document in self._find(ids, None, *dict.fromkeys(fields))}
        held = [letter for letter in letters if updates.is_dead(kept.get(letter.checkout), letter.step)]
        if undone := [DeleteOne({"_id": each.id, "at": each.at}) for each in letters if each not in held]:
            await self._dead_letters.bulk_write(undone, ordered=False)
        return Written({id_: document.get("next_at") for id_, document in kept.items()}, held)

    async def _documents(self, ids: Sequence[str], unreadable: list[Unreadable]) -> list[Document]:
        """Return the documents with these ids; one that is not valid BSON does not fail the batch."""
        try:
            return await self._find(ids).to_list()
        except InvalidBSON as exc:
            if len(ids) == 1:
                unreadable.append(Unreadable(ids[0], f"is not valid BSON: {exc}", *await self._guarded_by(ids[0])))
                return []
        return [document for id_ in ids for document in await self._documents([id_], unreadable)]

    async def _guarded_by(self, id_: str) -> tuple[object, object]:
        found = await self._find([id_], None, "revision", "next_at").to_list()
        return (found[0].get("revision"), found[0].get("next_at")) if found else (None, None)

    def _find(self, ids: Sequence[str], query: Document | None = None, *fields: str) -> AsyncCursor[Document]:
        """Find these checkouts in one round trip: the server's default first batch is 101 documents."""
        matching = {"_id": {"$in": list(ids)}} | (query or {})
        return self._checkouts.find(matching, list(fields) or {"history": {"$slice": -1}}, batch_size=len(ids) + 1)


def _nameless(checkout: CheckoutState, fault: str) -> str:
    """Return a driver's error with the customer's data masked: it may quote the whole document."""
    customer = checkout.facts.customer
    return masked(fault, private(customer.email, customer.name) if customer is not None else ())
