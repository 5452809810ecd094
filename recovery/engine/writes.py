"""What is to be written: decisions and outcomes as plans, claims and completions.

Pure: from what was seen, what was decided and the time to the record, for the ports to carry out.
"""

from datetime import datetime

from recovery.domain.checkout import Cause, CheckoutState, Message, MessageState, Past, Status, normalised
from recovery.domain.masking import masked, private
from recovery.domain.outcome import Outcome, OutcomeKind, settle
from recovery.domain.schedule import CONFIRMATION, NOT_BEGUN, Decision, OnAmbiguous, Rest, Schedule, Send, Wait, decide
from recovery.engine.ports import Claiming, Completion, DeadLetter, Plan

REPLY_KEPT = 500
"""Characters of a relay's reply."""


def planned(checkout: CheckoutState, decision: Decision, schedule: Schedule, now: datetime) -> Plan | None:
    """Return what a decision changes, or None where the checkout is already as it ought to be."""
    status, next_at, purge_at = _follows(checkout, decision, schedule, now)
    unchanged = status is checkout.status and next_at == checkout.next_at
    if unchanged and not decision.given_up and (next_at is not None or checkout.purge_at is not None):
        return None
    messages = {}
    history = []
    for given_up in decision.given_up:
        message = checkout.messages.get(given_up.step, NOT_BEGUN)
        messages[given_up.step] = message.model_copy(
            update={
                "state": given_up.state,
                "reason": given_up.cause or given_up.reason,
                "due_at": given_up.due_at,
            }
        )
        history.append(Past(at=now, decision=f"{given_up.state} {given_up.step}", reason=given_up.reason))
    if not decision.given_up and not (checkout.claim and next_at == checkout.claim.until):
        history.append(Past(at=now, decision=_in_words(decision), reason=decision.reason))
    letters = [_letter(checkout, name, each, each.reply or each.reason or "", now) for name, each in messages.items()]
    return Plan(checkout, status, next_at, purge_at, messages, tuple(history), tuple(filter(None, letters)))


def _letter(checkout: CheckoutState, step: str, message: Message, error: str, at: datetime) -> DeadLetter | None:
    """Return the dead letter of a message, if it is dead."""
    if message.state is not MessageState.DEAD or message.reason is None:
        return None
    customer = checkout.facts.customer
    if customer is None:
        return DeadLetter(checkout.id, step, Cause(message.reason), masked(error), at, message.attempts)
    error = masked(error, private(customer.email, customer.name))  # an older version may have kept it as it was said
    address = normalised(customer.email)
    return DeadLetter(checkout.id, step, Cause(message.reason), error, at, message.attempts, address)


def claimed(checkout: CheckoutState, send: Send, schedule: Schedule, token: str, owner: str, now: datetime) -> Claiming:
    """Return the claim of a message, with this attempt counted, until its lease ends.

    Where a second doubt could not be borne, it is kept whether the content went out: for who would rather skip than
    write twice, and for what may have been taken before.
    """
    message = checkout.messages.get(send.step.name, NOT_BEGUN)
    ambiguous = message.ambiguous + message.may_be_taken
    begun = Message(
        state=MessageState.SENDING,
        attempts=message.attempts + 1,
        replayed_at=message.replayed_at,
        deferred_to=message.deferred_to,
        ambiguous=ambiguous,
        handed_over=False if ambiguous or schedule.on_ambiguous is OnAmbiguous.SKIP else None,
    )
    return Claiming(checkout, send.step, begun, token, owner, now + schedule.lease)


def completed(
    claiming: Claiming, due_at: datetime, outcome: Outcome, schedule: Schedule, now: datetime, jitter: float
) -> Completion:
    """Return the record of an ended send, with what follows from it. `jitter` as `settle` has it."""
    settlement = settle(outcome, claiming.message, schedule, now, jitter)
    reply = outcome.reply[:REPLY_KEPT]
    was_made = outcome.kind not in (OutcomeKind.SKIPPED, OutcomeKind.DEFERRED)
    message = Message(
        state=settlement.state,
        attempts=settlement.attempts,
        due_at=due_at,
        retry_at=settlement.retry_at,
        replayed_at=claiming.message.replayed_at,
        deferred_to=settlement.deferred_to or claiming.message.deferred_to,
        sent_at=now if settlement.state is MessageState.SENT else None,
        reason=settlement.cause if was_made else reply,
        message_id=outcome.message_id,
        reply=reply if was_made else None,
        ambiguous=settlement.ambiguous,
    )
    name = claiming.step.name
    after = claiming.seen.model_copy(update={"claim": None, "messages": {**claiming.seen.messages, name: message}})
    status, next_at, purge_at = _follows(after, decide(after, schedule, now), schedule, now)
    tried = outcome.kind if not was_made or outcome.kind is OutcomeKind.SENT else f"tried ({outcome.kind})"
    past = Past(at=now, decision=f"{tried} {name}", reason=reply)
    # What goes back for want of a connection, say, goes round, and would push what is worth knowing out of the history.
    history = () if outcome.kind in (OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF) else (past,)
    letter = _letter(claiming.seen, name, message, outcome.reply, now)
    return Completion(claiming, message, status, next_at, purge_at, history, letter)


def reminded_at(completion: Completion) -> datetime | None:
    """Return when a completion says that a reminder was sent, if it does."""
    return completion.message.sent_at if completion.claiming.step.name != CONFIRMATION else None


def _follows(
    checkout: CheckoutState, decision: Decision, schedule: Schedule, now: datetime
) -> tuple[Status, datetime | None, datetime | None]:
    """Return the status, `next_at` and `purge_at` that follow from a decision.

    What is given up is written first, and the checkout looked at again at once.
    """
    status = Status.OPEN if checkout.status is Status.FINISHED else checkout.status
    if isinstance(decision, Send) or decision.given_up:
        return status, now, None
    if isinstance(decision, Wait):
        return status, decision.until, None
    return decision.status, None, now + schedule.retention


def _in_words(decision: Decision) -> str:
    match decision:
        case Wait(until=until):
            return f"wait until {until:%Y-%m-%d %H:%M:%S} UTC"
        case Rest():
            return "rest"
        case _:
            return "send"
