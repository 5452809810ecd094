"""The marks of settled messages, by which checkouts are found: one for each, and one more with its reason.

No index can hold the state of every message, since the names of steps are data. A mark is only for finding: who reads
by it compares the message as well.
"""

from collections.abc import Mapping

from recovery.domain.state import Message, MessageState
from recovery.mongo.collections import Document

LONGEST_REASON = 200
"""Characters of a reason in a mark."""


def mark(step: str, state: MessageState, reason: str | None = None) -> str:
    """Return the mark of a message in this state, or of one that is in it for this reason."""
    return f"{step} {state.value}" if reason is None else f"{step} {state.value}: {reason[:LONGEST_REASON]}"


def marks_of(messages: Mapping[str, Message]) -> list[str]:
    """Return the marks of those of these messages that are settled, by step name."""
    marks = []
    for step, message in messages.items():
        if message.state.settled:
            marks.append(mark(step, message.state))
            if message.reason:
                marks.append(mark(step, message.state, message.reason))
    return marks


def marks_of_step(step: str) -> Document:
    """Match the marks of a step: a replay removes them."""
    return {"$regex": f"^{step} "}
