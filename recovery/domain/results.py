"""What reminders bring: sums by day, added up, and the lift of each experiment. Pure: `now` is passed in.

Three figures stand side by side, as each alone misleads: who came back by our link, who ordered within a window after
a mail, and how many more ordered than of those who were held out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from recovery.domain.experiments import Arm, Experiment, Kind
from recovery.domain.statistics import (
    Interval,
    Sample,
    mean_difference,
    rate_difference,
    relative_difference,
    sample_ratio_p,
    wanted,
)

LOPSIDED_BELOW = 0.001
"""The p value below which the sizes of two arms are not those of their share: the experiment is broken somewhere."""

USUAL_RATE = 0.08
"""The rate of orders by which the wanted number is estimated while nobody was held out yet."""


class By(StrEnum):
    """What the rows of results are."""

    SHOP = "shop"
    STEP = "step"
    LANGUAGE = "language"
    COUPON = "coupon"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts, and money in one currency or none.

    `checkouts` had their first mail, or were assigned to the arm. `returned` came back by our link, and
    `returned_orders` were ordered after that; `ordered` within the window. `money` is that of `ordered`, `squares` the
    sum of its squares. `open`: not ordered, and the window is not over.
    """

    mails: int = 0
    checkouts: int = 0
    returned: int = 0
    returned_orders: int = 0
    ordered: int = 0
    open: int = 0
    money: Decimal = Decimal(0)
    squares: Decimal = Decimal(0)
    returned_money: Decimal = Decimal(0)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Sums)))


@dataclass(frozen=True, slots=True)
class Cell:
    """The sums of one day (UTC) of a shop: of the mails of a step, or of an arm of an experiment."""

    day: date
    shop: str
    currency: str
    sums: Sums
    step: str = ""
    language: str = ""
    coupon: str = ""
    experiment: str = ""
    arm: str = ""

    def group(self, by: By) -> str:
        """Return the row that it belongs to."""
        if by is By.WEEK:
            year, week, _ = self.day.isocalendar()
            return f"{year}-W{week:02d}"
        return str(getattr(self, by.value))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of results: a group, its counts, and its money by currency. `lift` is that of a hold-out, if any.

    `by_mail`: the row is of a step or a coupon, so of mails that are seldom the first of their checkout.
    """

    group: str
    sums: Sums
    money: Mapping[str, Decimal] = field(default_factory=dict)
    returned_money: Mapping[str, Decimal] = field(default_factory=dict)
    lift: "Lift | None" = None
    by_mail: bool = False

    @property
    def whole(self) -> int:
        """The number that its counts are parts of: its checkouts, or its mails."""
        return self.sums.mails if self.by_mail else self.sums.checkouts


class Verdict(StrEnum):
    """How far the difference between two arms can be believed."""

    LOPSIDED = "the arms do not have their shares"
    TOO_LITTLE = "too little data"
    EARLY = "a look before the end date"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Lift:
    """The difference between the arms of an experiment: reminded against held out, or arm b against a.

    `missing` is the number of checkouts that it still takes; `final_on` the day from which nothing changes any more,
    and `compares` what the arms differ in; both are None if the experiment is no longer in the settings. `money` is the
    difference per checkout, by currency; `relative_money` the same as a part of the base's, 0.1 for 10 %.
    """

    experiment: str
    treated: Sums
    base: Sums
    verdict: Verdict
    is_hold_out: bool
    orders: Interval | None = None
    money: Mapping[str, Interval] = field(default_factory=dict)
    relative_money: Mapping[str, Interval] = field(default_factory=dict)
    missing: int = 0
    ratio_p: float | None = None
    final_on: date | None = None
    compares: Kind | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """Rows, their total, and the lift of each experiment."""

    rows: Sequence[Row]
    total: Row
    lifts: Sequence[Lift]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a result depends on beside its cells: the experiments of the settings, the window, and what matters."""

    experiments: Sequence[Experiment]
    window: timedelta
    smallest_lift: float


USUAL = Terms((), timedelta(days=5), 0.02)
"""The terms of the default settings."""


def by_day(cells: Iterable[Cell]) -> list[tuple[date, Sums]]:
    """Return the sums of each day, oldest first."""
    found: dict[date, Sums] = {}
    for cell in cells:
        found[cell.day] = found.get(cell.day, Sums()) + cell.sums
    return [(day, found[day]) for day in sorted(found)]


def results(cells: Iterable[Cell], by: By, terms: Terms, now: datetime) -> Results:
    """Return the results of these cells, in rows."""
    mails: list[Cell] = []
    arms: list[Cell] = []
    for cell in cells:
        (arms if cell.experiment else mails).append(cell)
    groups = sorted({cell.group(by) for cell in mails})
    by_mail = by in (By.STEP, By.COUPON)  # who is held out gets no step, and no coupon
    rows = [
        _row(
            group,
            [cell for cell in mails if cell.group(by) == group],
            None if by_mail else _hold_out([cell for cell in arms if cell.group(by) == group], terms, now),
            by_mail=by_mail,
        )
        for group in groups
    ]
    return Results(rows, _row("total", mails, _hold_out(arms, terms, now)), lifts(arms, terms, now))


def _row(group: str, cells: Sequence[Cell], lift: Lift | None, *, by_mail: bool = False) -> Row:
    money = _by_currency(cells, lambda sums: sums.money)
    return Row(group, _total(cells), money, _by_currency(cells, lambda sums: sums.returned_money), lift, by_mail)


def _total(cells: Iterable[Cell]) -> Sums:
    return sum((cell.sums for cell in cells), Sums())


def _by_currency(cells: Iterable[Cell], amount: Callable[[Sums], Decimal]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for cell in cells:
        if value := amount(cell.sums):
            found[cell.currency] += value
    return dict(sorted(found.items()))


def _hold_out(cells: Sequence[Cell], terms: Terms, now: datetime) -> Lift | None:
    """Return the lift of the latest hold-out among these cells."""
    latest = max(((cell.day, cell.experiment) for cell in cells if _is_hold_out(cell)), default=None)
    if latest is None:
        return None
    return _lift(latest[1], [cell for cell in cells if cell.experiment == latest[1]], terms, now)


def _is_hold_out(cell: Cell) -> bool:
    return cell.arm in (Arm.HELD_OUT, Arm.REMINDED)


def lifts(cells: Sequence[Cell], terms: Terms, now: datetime) -> list[Lift]:
    """Return the lift of each experiment, the latest first."""
    last: dict[str, date] = {}
    for cell in cells:
        last[cell.experiment] = max(cell.day, last.get(cell.experiment, cell.day))
    names = sorted(last, key=lambda name: (last[name], name), reverse=True)
    return [_lift(name, [cell for cell in cells if cell.experiment == name], terms, now) for name in names]


def _lift(name: str, cells: Sequence[Cell], terms: Terms, now: datetime) -> Lift:
    is_hold_out = _is_hold_out(cells[0])
    less, more = (Arm.HELD_OUT, Arm.REMINDED) if is_hold_out else (Arm.A, Arm.B)
    base = [cell for cell in cells if cell.arm == less]
    treated = [cell for cell in cells if cell.arm == more]
    experiment = next((each for each in terms.experiments if each.id == name), None)
    first, second = _total(treated), _total(base)
    ratio_p = None
    if experiment is not None:
        chosen = second if is_hold_out else first  # the arm that has the share
        ratio_p = sample_ratio_p(
            chosen.checkouts, first.checkouts + second.checkouts - chosen.checkouts, experiment.share
        )
    both = min(first.checkouts, second.checkouts) > 0
    missing = _missing(first, second, experiment, terms)
    final_on = None if experiment is None else _final_on(experiment, terms.window)
    return Lift(
        name,
        first,
        second,
        _verdict(ratio_p, missing, final_on, now),
        is_hold_out,
        rate_difference(first.ordered, first.checkouts, second.ordered, second.checkouts) if both else None,
        _money(treated, base, mean_difference),
        _money(treated, base, relative_difference),
        missing,
        ratio_p,
        final_on,
        None if experiment is None else experiment.kind,
    )


def _missing(treated: Sums, base: Sums, experiment: Experiment | None, terms: Terms) -> int:
    """Return the number of checkouts that are missing to see the smallest lift that is worth knowing."""
    count = treated.checkouts + base.checkouts
    share = experiment.share if experiment is not None else min(max(base.checkouts / max(count, 1), 0.01), 0.5)
    rate = base.ordered / base.checkouts if base.checkouts else USUAL_RATE
    return max(wanted(rate, terms.smallest_lift, share) - count, 0)


def _final_on(experiment: Experiment, window: timedelta) -> date:
    days = -(-window // timedelta(days=1))
    return experiment.until + timedelta(days=1 + days)


def _verdict(ratio_p: float | None, missing: int, final_on: date | None, now: datetime) -> Verdict:
    if ratio_p is not None and ratio_p < LOPSIDED_BELOW:
        return Verdict.LOPSIDED
    if missing:
        return Verdict.TOO_LITTLE
    if final_on is not None and now.date() < final_on:
        return Verdict.EARLY
    return Verdict.FINAL


def _money(
    treated: Sequence[Cell], base: Sequence[Cell], difference: Callable[[Sample, Sample], Interval | None]
) -> dict[str, Interval]:
    """Return a difference in money per checkout, by currency, where it is known."""
    found = {}
    for currency in sorted({cell.currency for cell in treated} & {cell.currency for cell in base} - {""}):
        first, second = (
            _sample(_total(cell for cell in cells if cell.currency == currency)) for cells in (treated, base)
        )
        if (interval := difference(first, second)) is not None:
            found[currency] = interval
    return found


def _sample(sums: Sums) -> Sample:
    return Sample(sums.checkouts, sums.money, sums.squares)
