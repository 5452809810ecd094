"""A limit on messages in a time, such as `14/s` or `2000/d`."""

import re
from dataclasses import dataclass
from datetime import timedelta

PERIODS = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}

_FORM = re.compile(r"\s*([0-9]+)\s*/\s*([a-z]+)\s*", re.ASCII)

MOST = 10**9


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in any `period`."""

    count: int
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Return the rate in a text such as `30/min`. Raises `ValueError` with the fault."""
        found = _FORM.fullmatch(text)
        if found is None or found[2] not in PERIODS:
            raise ValueError(
                f"must be a number of messages per time, such as 14/s, 30/min, 200/h or 2000/d, not {text!r}"
            )
        count = int(found[1][:12])
        if not 0 < count <= MOST:
            raise ValueError(f"must allow 1 to {MOST} messages: to send none at all, stop the daemon")
        return cls(count, PERIODS[found[2]])

    def __str__(self) -> str:
        """Return the rate as `parse` reads it."""
        unit = next(unit for unit, period in PERIODS.items() if period == self.period)
        return f"{self.count}/{unit}"
