"""The filters of the list of checkouts, from a query string or a form, with the fault of each for its field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from recovery.console.forms import Form
from recovery.console.viewer import Viewer
from recovery.domain.fields import Email
from recovery.domain.state import MessageState, Status
from recovery.mongo.listing import MOST_SHOPS, BadFilter, Filters
from recovery.settings.durations import parse_duration

NAMES = ("shop", "status", "step", "state", "reason", "since", "until", "email")
LONGEST = 500
"""Characters of a filter."""

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters as they were typed, the fault of each by its name, and what they mean; None if that is not clear."""

    typed: Mapping[str, str]
    faults: dict[str, str] = field(default_factory=dict)
    filters: Filters | None = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The filters that are set, to be sent again."""
        return [(name, value) for name, value in self.typed.items() if value]


def read(form: Form, viewer: Viewer, shops: Sequence[str], now: datetime) -> Asked:
    """Return the filters of a form. `shops` are those that the viewer may choose from; more than 50 if not all are.

    Without a filter by shop it is all of `shops`, if one list can have as many.
    """
    asked = Asked({name: (form.one(name) or "")[:LONGEST] for name in NAMES})
    typed, faults = asked.typed, asked.faults
    given: dict[str, Any] = {
        "shops": _shops(typed["shop"], viewer, shops, faults, by_address=bool(typed["email"])),
        "status": _choice(typed["status"], Status, "status", faults),
        "step": typed["step"] or None,
        "state": _choice(typed["state"], MessageState, "state", faults),
        "reason": typed["reason"] or None,
        "since": _time(typed["since"], "since", now, faults),
        "until": _time(typed["until"], "until", now, faults),
        "email": _email(typed["email"], faults),
    }
    if faults or not (given["shops"] or given["email"]):
        return asked
    try:
        return Asked(typed, faults, Filters(**given))
    except BadFilter as exc:
        faults[exc.field] = exc.message
        return asked


def _shops(
    typed: str, viewer: Viewer, shops: Sequence[str], faults: dict[str, str], *, by_address: bool
) -> tuple[str, ...]:
    if typed:
        if not viewer.sees(typed):
            faults["shop"] = "there is no such shop"
        return (typed,)
    if by_address and not viewer.shops:
        return ()
    if by_address and len(shops) > MOST_SHOPS:
        faults["shop"] = f"choose one: your key is for more than {MOST_SHOPS}"
    return tuple(shops) if len(shops) <= MOST_SHOPS else ()


def _choice(typed: str, kind: type[Choice], name: str, faults: dict[str, str]) -> Choice | None:
    if not typed:
        return None
    try:
        return kind(typed)
    except ValueError:
        faults[name] = f"is one of {', '.join(kind)}"
        return None


def _email(typed: str, faults: dict[str, str]) -> str | None:
    if not typed:
        return None
    try:
        return _EMAIL.validate_python(typed)
    except ValidationError:
        faults["email"] = "this is not an e-mail address"
        return None


def _time(typed: str, name: str, now: datetime, faults: dict[str, str]) -> datetime | None:
    """Return a time that is given as a day, as a time, or as how long ago. Without a zone it is in UTC."""
    if not typed:
        return None
    try:
        return now - parse_duration(typed)
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(typed)
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        faults[name] = "a day as in 2026-03-01, a time as in 2026-03-01T14:05Z, or how long ago as in 2d"
        return None
