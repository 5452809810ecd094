"""The engine's writes as MongoDB updates: each is guarded, and of one checkout or of a group of equal ones."""

from collections.abc import Hashable, Sequence
from datetime import datetime

from pymongo import UpdateMany, UpdateOne

from recovery.domain.experiments import Assignment
from recovery.domain.state import CheckoutState, Claim, MessageState
from recovery.engine.writes import ClaimRequest, Completion, Plan, Unreadable, reminded_at
from recovery.mongo.batch_updates import HISTORY_KEPT, GuardedUpdate
from recovery.mongo.collections import Document
from recovery.mongo.documents import to_document
from recovery.mongo.marks import marks_of


def unchanged(seen: CheckoutState) -> Document:
    """Match the checkout only if it is unchanged: nothing reported, claimed or planned since it was read."""
    return {
        "_id": seen.id,
        "status": seen.status,
        "revision": seen.revision,
        "next_at": seen.next_at,
        "claim.token": seen.claim.token if seen.claim else None,
    }


def planned(plan: Plan) -> GuardedUpdate:
    """Return the update for a plan."""
    claim = plan.seen.claim
    return GuardedUpdate(
        seen=plan.seen,
        guard=unchanged(plan.seen),
        fields={
            "status": plan.status,
            "next_at": plan.next_at,
            "purge_at": plan.purge_at,
            **_assigned(plan.seen, plan.assigned),
        },
        messages={step: to_document(message) for step, message in plan.messages.items()},
        marks=marks_of(plan.messages),
        history=[entry.model_dump() for entry in plan.history],
        drops_claim=claim is not None and plan.next_at != claim.until,
    )


def claimed(claims: Sequence[ClaimRequest]) -> list[UpdateOne | UpdateMany]:
    """Return the updates for claims: one per group of equal claims, which takes the server half the time or less."""
    alike: dict[Hashable, list[ClaimRequest]] = {}
    for claim in claims:
        alike.setdefault(_claim_group(claim), []).append(claim)
    return [_claimed_together(each) for each in alike.values()]


def _claim_group(claim: ClaimRequest) -> Hashable:
    """Return the key of a claim's group: claims with equal keys need the same guard and the same update."""
    seen, message = claim.seen, claim.seen.messages.get(claim.step.name)
    return (
        *(seen.status, seen.revision, seen.claim and seen.claim.token, seen.next_at is None),
        *(claim.step.name, message and (message.state, message.attempts)),
        *(claim.message.attempts, claim.message.due_at, claim.message.replayed_at, claim.message.deferred_to),
        claim.message.coupon,
        *(claim.message.ambiguous, claim.message.handed_over),
        *(claim.token, claim.owner, claim.until),
        *(claim.assigned, claim.assigned and tuple(seen.experiments.items())),
    )


def _claimed_together(claims: Sequence[ClaimRequest]) -> UpdateOne | UpdateMany:
    claim = claims[0]
    name = claim.step.name
    message = claim.seen.messages.get(name)
    guard = unchanged(claim.seen) | {
        f"messages.{name}.state": message and message.state,
        f"messages.{name}.attempts": message and message.attempts,
    }
    if next_at := [each.seen.next_at for each in claims if each.seen.next_at is not None]:
        guard["next_at"] = {"$lte": max(next_at)}  # if another writer has moved it, then into the future
    changes = {
        **_assigned(claim.seen, claim.assigned),
        f"messages.{name}": to_document(claim.message),
        "claim": to_document(Claim(token=claim.token, owner=claim.owner, until=claim.until)),
        "next_at": claim.until,
    }
    if len(claims) == 1:
        return UpdateOne(guard, {"$set": changes})
    return UpdateMany(guard | {"_id": {"$in": [each.seen.id for each in claims]}}, {"$set": changes})


def _assigned(seen: CheckoutState, assigned: Assignment | None) -> Document:
    """Return the fields of the arms that a checkout is assigned to now."""
    if assigned is None:
        return {}
    return {"experiments": {**seen.experiments, **dict(assigned.arms)}, "assigned_at": assigned.at}


def handed_over(claim: ClaimRequest) -> UpdateOne:
    """Return the update that records that the content of a claimed message is sent now."""
    held = {"_id": claim.seen.id, "claim.token": claim.token, "revision": claim.seen.revision}
    return UpdateOne(held, {"$set": {f"messages.{claim.step.name}.handed_over": True}})


def renewed(claims: Sequence[ClaimRequest], until: datetime) -> UpdateMany:
    """Return the update that extends these leases, as far as the claims still hold."""
    these = {"_id": {"$in": [claim.seen.id for claim in claims]}}
    tokens = {"claim.token": {"$in": list({claim.token for claim in claims})}}
    return UpdateMany(these | tokens, {"$set": {"claim.until": until, "next_at": until}})


def completed(completion: Completion) -> GuardedUpdate:
    """Return the update that records a send, if nothing was reported meanwhile."""
    request, seen = completion.request, completion.request.seen
    fields: Document = {"next_at": completion.next_at}
    if (at := reminded_at(completion)) is not None:
        fields["written_at"] = at
    if completion.status is not seen.status:
        fields["status"] = completion.status
    if completion.purge_at != seen.purge_at:
        fields["purge_at"] = completion.purge_at
    return GuardedUpdate(
        seen=seen,
        guard={"_id": seen.id, "claim.token": request.token, "revision": seen.revision},
        fields=fields,
        messages={request.step.name: to_document(completion.message)},
        marks=marks_of({request.step.name: completion.message}),
        history=[entry.model_dump() for entry in completion.history],
        drops_claim=True,
    )


def recorded(completion: Completion) -> UpdateOne:
    """Return the update that records a send in spite of a report meanwhile: the checkout is due again at once."""
    request = completion.request
    message = f"messages.{request.step.name}"
    changes: Document = {message: to_document(completion.message)}
    if (at := reminded_at(completion)) is not None:
        changes["written_at"] = at
    update: Document = {"$set": changes, "$unset": {"claim": ""}, "$currentDate": {"next_at": True}}
    if marks := marks_of({request.step.name: completion.message}):
        update["$addToSet"] = {"settled": {"$each": marks}}
    if completion.history:
        entries = [entry.model_dump() for entry in completion.history]
        update["$push"] = {"history": {"$each": entries, "$slice": -HISTORY_KEPT}}
    # A look with nothing to send may have removed a lapsed claim: then nobody else has started the message again.
    lapsed = {f"{message}.state": MessageState.SENDING, f"{message}.attempts": request.message.attempts}
    either = [{"claim.token": request.token}, {"claim.token": {"$exists": False}, **lapsed}]
    return UpdateOne({"_id": request.seen.id, "$or": either}, update)


def as_seen(document: Unreadable) -> Document:
    """Match an unreadable document only if it is unchanged."""
    return {"_id": document.id, "revision": document.revision, "next_at": document.next_at}


def set_aside(document: Unreadable, purge_at: datetime) -> UpdateOne:
    """Return the update that sets an unreadable document aside, if unchanged. It never makes the document larger."""
    return UpdateOne(
        as_seen(document), {"$set": {"next_at": None, "purge_at": purge_at}, "$unset": {"claim": "", "history": ""}}
    )


def put_to_rest(seen: CheckoutState, purge_at: datetime) -> UpdateOne:
    """Return the update that sets aside a checkout that cannot be written, unless it was reported since."""
    rest = {"$set": {"next_at": None, "purge_at": purge_at}, "$unset": {"claim": "", "history": ""}}
    return UpdateOne({"_id": seen.id, "revision": seen.revision}, rest)


def is_dead(document: Document | None, step: str | None) -> bool:
    """Return True if a message is dead in the stored document."""
    state = ((document or {}).get("messages", {}).get(step) or {}).get("state")
    return bool(state == MessageState.DEAD)
