"""The engine's writes as MongoDB updates: each guarded, for one checkout or for many that are alike."""

from collections.abc import Hashable, Sequence
from datetime import datetime

from pymongo import UpdateMany, UpdateOne

from recovery.domain.state import CheckoutState, Claim, MessageState, Past
from recovery.engine.writes import Claiming, Completion, DeadLetter, Plan, Unreadable, reminded_at
from recovery.mongo.collections import Document
from recovery.mongo.documents import written

HISTORY_KEPT = 50
ERRORS_KEPT = 20


def unchanged(seen: CheckoutState) -> Document:
    """Return the filter for a checkout as it was seen: nothing reported, claimed or planned since."""
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


def planned(plan: Plan) -> UpdateOne:
    """Return the write of a plan."""
    changes: Document = {"status": plan.status, "next_at": plan.next_at, "purge_at": plan.purge_at}
    changes |= {f"messages.{step}": written(message) for step, message in plan.messages.items()}
    update: Document = {"$set": changes, **_history(plan.history)}
    claim = plan.seen.claim
    if claim is not None and plan.next_at != claim.until:
        update["$unset"] = {"claim": ""}
    return UpdateOne(unchanged(plan.seen), update)


def claimed(claims: Sequence[Claiming]) -> list[UpdateOne | UpdateMany]:
    """Return the updates that claim: one for all alike ones, which halves the server's time or better."""
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
    guard = unchanged(claim.seen) | {
        f"messages.{name}.state": message and message.state,
        f"messages.{name}.attempts": message and message.attempts,
    }
    if next_at := [each.seen.next_at for each in claims if each.seen.next_at is not None]:
        guard["next_at"] = {"$lte": max(next_at)}  # else it was moved, into the future
    changes = {
        f"messages.{name}": written(claim.message),
        "claim": written(Claim(token=claim.token, owner=claim.owner, until=claim.until)),
        "next_at": claim.until,
    }
    if len(claims) == 1:
        return UpdateOne(guard, {"$set": changes})
    return UpdateMany(guard | {"_id": {"$in": [each.seen.id for each in claims]}}, {"$set": changes})


def handed_over(claim: Claiming) -> UpdateOne:
    """Return the write that records that the content of a claimed message is sent now."""
    held = {"_id": claim.seen.id, "claim.token": claim.token, "revision": claim.seen.revision}
    return UpdateOne(held, {"$set": {f"messages.{claim.step.name}.handed_over": True}})


def renewed(claims: Sequence[Claiming], until: datetime) -> UpdateMany:
    """Return the write that extends these leases, where the claims still hold."""
    these = {"_id": {"$in": [claim.seen.id for claim in claims]}}
    tokens = {"claim.token": {"$in": list({claim.token for claim in claims})}}
    return UpdateMany(these | tokens, {"$set": {"claim.until": until, "next_at": until}})


def completed(completion: Completion) -> UpdateOne:
    """Return the record of a send, if nothing was reported meanwhile."""
    seen = completion.claiming.seen
    update = _result(completion)
    update["$set"]["next_at"] = completion.next_at
    if completion.status is not seen.status:
        update["$set"]["status"] = completion.status
    if completion.purge_at != seen.purge_at:
        update["$set"]["purge_at"] = completion.purge_at
    return UpdateOne({"_id": seen.id, "claim.token": completion.claiming.token, "revision": seen.revision}, update)


def recorded(completion: Completion) -> UpdateOne:
    """Return the record of a send, whatever was reported meanwhile: the checkout is then due at once."""
    update = _result(completion) | {"$currentDate": {"next_at": True}}
    claiming = completion.claiming
    message = f"messages.{claiming.step.name}"
    # A look that had nothing to send may have removed an expired claim: then no other sender has begun the message.
    lapsed = {f"{message}.state": MessageState.SENDING, f"{message}.attempts": claiming.message.attempts}
    either = [{"claim.token": claiming.token}, {"claim.token": {"$exists": False}, **lapsed}]
    return UpdateOne({"_id": claiming.seen.id, "$or": either}, update)


def _result(completion: Completion) -> Document:
    changes: Document = {f"messages.{completion.claiming.step.name}": written(completion.message)}
    if (at := reminded_at(completion)) is not None:
        changes["written_at"] = at
    return {
        "$set": changes,
        "$unset": {"claim": ""},
        **_history(completion.history),
    }


def as_seen(document: Unreadable) -> Document:
    """Return the filter for an unreadable document as it was seen."""
    return {"_id": document.id, "revision": document.revision, "next_at": document.next_at}


def set_aside(document: Unreadable, purge_at: datetime) -> UpdateOne:
    """Return the write that puts a document to rest. It never makes it larger: there may be no room."""
    return UpdateOne(
        as_seen(document), {"$set": {"next_at": None, "purge_at": purge_at}, "$unset": {"claim": "", "history": ""}}
    )


def put_to_rest(seen: CheckoutState, purge_at: datetime) -> UpdateOne:
    """Return the write that puts a checkout of the largest size to rest, unless it has changed since."""
    rest = {"$set": {"next_at": None, "purge_at": purge_at}, "$unset": {"claim": "", "history": ""}}
    return UpdateOne({"_id": seen.id, "revision": seen.revision}, rest)


def is_dead(document: Document | None, step: str | None) -> bool:
    """Return whether the stored message of a checkout is dead."""
    state = ((document or {}).get("messages", {}).get(step) or {}).get("state")
    return bool(state == MessageState.DEAD)


def buried(letter: DeadLetter) -> UpdateOne:
    """Return the write of a dead letter."""
    kept = {"checkout": letter.checkout, "step": letter.step, "cause": letter.cause, "replayed_at": None}
    if letter.address is not None:
        kept["address"] = letter.address
    error = {"at": letter.at, "error": letter.error, "attempts": letter.attempts}
    update = {"$set": kept | error, "$push": {"errors": {"$each": [error], "$slice": -ERRORS_KEPT}}}
    return UpdateOne({"_id": letter.id}, update, upsert=True)
