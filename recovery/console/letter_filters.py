"""The filters of the list of dead letters, from a query string or a form, with the fault of each for its field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from recovery.console.forms import Form
from recovery.console.viewer import Viewer
from recovery.domain.state import Cause
from recovery.mongo.dead_letters import Filter
from recovery.settings.durations import parse_duration

NAMES = ("cause", "shop", "step", "older", "replayed")
LONGEST = 200
"""Characters of a filter."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters as they were typed, the fault of each by its name, and what they mean; None if that is not clear."""

    typed: Mapping[str, str]
    filter: Filter | None
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The filters that are set, to be sent again."""
        return [(name, value) for name, value in self.typed.items() if value]

    def with_(self, **changes: str) -> list[tuple[str, str]]:
        """Return the filters that are set, some of them changed."""
        return [(name, value) for name, value in {**self.typed, **changes}.items() if value]


def read(form: Form, viewer: Viewer, now: datetime) -> Asked:
    """Return the filters of a form. Without one by shop, they match all that the viewer sees."""
    typed = {name: (form.one(name) or "")[:LONGEST] for name in NAMES}
    faults: dict[str, str] = {}
    cause = before = None
    if typed["cause"]:
        try:
            cause = Cause(typed["cause"])
        except ValueError:
            faults["cause"] = f"is one of: {', '.join(Cause)}"
    if typed["shop"] and not viewer.sees(typed["shop"]):
        faults["shop"] = "there is no such shop"
    if typed["older"]:
        try:
            before = now - parse_duration(typed["older"])
        except (ValueError, OverflowError) as exc:
            faults["older"] = str(exc)
    if faults:
        return Asked(typed, None, faults)
    which = Filter(
        cause=cause,
        shop=typed["shop"] or None,
        step=typed["step"] or None,
        before=before,
        replayed=bool(typed["replayed"]),
        shops=viewer.shops,
    )
    return Asked(typed, which)
