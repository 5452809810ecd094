"""The course of a checkout: what is known of it, and what happened to it apart from our mails."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recovery.domain.checkout import Facts
from recovery.domain.state import CheckoutState, KeptConsent, Pause, Status
from recovery.domain.suppression import Suppression

NO_FACTS = Facts()
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
_OPEN = CheckoutState(id="", status=Status.OPEN, opened_at=_EVER, touched_at=_EVER, revision=1)


@dataclass(frozen=True, slots=True)
class Course:
    """The course of one checkout: left at `left_at`, and perhaps ordered, paused or refused later.

    `person` is what checkouts of one recipient have in common, None if they have no address. Of the facts, the time
    zone, the customer and, if orders of the same customer count, the items matter. A refusal of consent that came after
    `left_at` counts from then on. The suppression of the address counts from its time on.
    """

    id: str
    person: str | None
    left_at: datetime
    opened_at: datetime
    facts: Facts = NO_FACTS
    consent: KeptConsent | None = None
    ordered_at: datetime | None = None
    confirm: bool = True
    paused: Pause | None = None
    suppression: Suppression | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but an order, after it was left, comes between the checkout and its mails."""
        if self.ordered_at is not None and self.ordered_at < self.left_at:
            return False
        return self.suppression is None and self.paused is None and not self._refused_later

    @property
    def consent_given(self) -> bool | None:
        """The customer's word on consent when they left: that of a later refusal is not known, and taken for a yes."""
        if self._refused_later:
            return True
        return None if self.consent is None else self.consent.given

    def as_left(self, messages: dict[str, Any]) -> CheckoutState:
        """Return the checkout as it was left. `messages` are its messages, which the caller changes."""
        consent = self.consent
        if consent is not None and self._refused_later:
            consent = consent.model_copy(update={"given": True})
        known = {"id": self.id, "facts": self.facts, "consent": consent, "messages": messages, "confirm": self.confirm}
        return _OPEN.model_copy(update={**known, "opened_at": self.opened_at, "touched_at": self.left_at})

    def changes(self) -> list[tuple[datetime, dict[str, Any]]]:
        """Return the later changes of the checkout, latest first: the time, and the fields."""
        found: list[tuple[datetime, dict[str, Any]]] = []
        if self.ordered_at is not None:
            at = max(self.ordered_at, self.left_at)
            found.append((at, {"status": Status.ORDERED, "ordered_at": self.ordered_at}))
        if self.paused is not None:
            found.append((max(self.paused.at, self.left_at), {"paused": self.paused}))
        if self.consent is not None and self._refused_later:
            found.append((self.consent.at, {"consent": self.consent}))
        found.sort(key=_at, reverse=True)
        return found

    @property
    def _refused_later(self) -> bool:
        return self.consent is not None and self.consent.given is False and self.consent.at > self.left_at


def _at(change: tuple[datetime, dict[str, Any]]) -> datetime:
    return change[0]
