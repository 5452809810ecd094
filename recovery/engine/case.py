"""A case: a loaded checkout, and the decision about it."""

from dataclasses import dataclass

from recovery.domain.decision import Decision, Send
from recovery.domain.schedule import Schedule
from recovery.domain.state import CheckoutState


@dataclass(frozen=True, slots=True)
class Case:
    """A loaded checkout, with the schedule of its shop and the decision about it."""

    checkout: CheckoutState
    schedule: Schedule
    decision: Decision

    @property
    def is_clean_send(self) -> bool:
        """Whether there is a message to send and nothing to give up before it."""
        return isinstance(self.decision, Send) and not self.decision.given_up
