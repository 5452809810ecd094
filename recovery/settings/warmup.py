"""The section on the warm-up of a new sending address."""

from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from recovery.domain.warmup import Warmup
from recovery.settings.fields import Maybe, Section, rule_violation, setting

LEAST_GROWTH, MOST_GROWTH = 1.01, 2.0
"""The factors from one day to the next. Mailing services advise never more than double."""


def _day(value: object) -> date:
    """Read a day such as `2026-12-01`. TOML has a type for it; the environment has texts."""
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a day such as 2026-12-01")


Day = Annotated[date, BeforeValidator(_day)]
"""A day in UTC, such as 2026-12-01."""


def _growing(value: float) -> float:
    if not LEAST_GROWTH <= value <= MOST_GROWTH:
        raise ValueError(f"must be {LEAST_GROWTH} to {MOST_GROWTH:g}, such as 1.5 for half as many again on each day")
    return value


class WarmupSettings(Section):
    """The warm-up of a new sending address: it sends little at first, and more each day. See docs/mail.md."""

    from_: Maybe[Day] = setting(
        None,
        "The first day (UTC), such as 2026-12-01. Until then, and on that day, first_day messages are allowed in 24"
        " hours. Confirmations count and are always sent; what is left is for reminders, and those beyond it wait until"
        " they are too late to be of use. Shops with the same relay and the same warm-up share it. Empty: no warm-up.",
        alias="from",
    )
    first_day: int = setting(
        50, "The messages in 24 hours on the first day: receivers trust an address by its history.", ge=1, le=1_000_000
    )
    growth: Annotated[float, AfterValidator(_growing)] = setting(
        1.5,
        "How many times as many messages each day may have as the day before. Mailing services advise 2 at most; with"
        " 1.5, 50 become 50,000 in 18 days.",
    )
    last_day: int = setting(
        50_000,
        "The messages in 24 hours at which the warm-up is over: the day after, nothing limits them any more.",
        ge=1,
        le=10_000_000,
    )
    halt_at: float = setting(
        0.003,
        "The share of complaints in 24 hours, of messages sent, above which no reminders are sent and the number does"
        " not grow (from three complaints on). Google and Yahoo ask for less than 0.003. 1: it never halts.",
        gt=0,
        le=1,
    )

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.last_day < self.first_day:
            raise rule_violation("must be at least warmup.first_day", "last_day")
        return self


def warmup_of(settings: WarmupSettings) -> Warmup | None:
    """Return the warm-up, or None without one."""
    if settings.from_ is None:
        return None
    return Warmup(settings.from_, settings.first_day, settings.growth, settings.last_day, settings.halt_at)
