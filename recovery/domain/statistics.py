"""The statistics of experiments, in closed form on the standard library. Every interval is of 95 %.

A test compares them with statsmodels. Sums are exact (`Fraction`): the variance of amounts of money is a small
difference of large numbers.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, erfc, sqrt
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)
"""The quantile of a two-sided interval of 95 %."""

POWER_Z = NormalDist().inv_cdf(0.8)
"""The quantile of a power of 80 %: of five experiments with a true difference, four show it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval of 95 %."""

    value: float
    low: float
    high: float

    @property
    def shows_difference(self) -> bool:
        """Whether zero is outside of it."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of amounts, with their sum and the sum of their squares."""

    count: int
    total: Decimal
    squares: Decimal

    @property
    def mean(self) -> Fraction:
        """The mean amount."""
        return Fraction(self.total) / self.count

    @property
    def variance_of_mean(self) -> Fraction:
        """The squared standard error of the mean. It needs two amounts."""
        spread = Fraction(self.squares) - Fraction(self.total) ** 2 / self.count
        return max(spread, Fraction(0)) / (self.count - 1) / self.count


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, without correction for continuity."""
    rate, z2 = hits / count, Z * Z
    middle = (rate + z2 / (2 * count)) / (1 + z2 / count)
    half = Z * sqrt(rate * (1 - rate) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return middle - half, middle + half


def rate_difference(hits: int, count: int, other_hits: int, other_count: int) -> Interval:
    """Return the difference of a rate from another, with Newcombe's interval (1998, method 10).

    Both counts are at least 1.
    """
    rate, other = hits / count, other_hits / other_count
    (low, high), (other_low, other_high) = wilson(hits, count), wilson(other_hits, other_count)
    difference = rate - other
    return Interval(
        difference,
        difference - sqrt((rate - low) ** 2 + (other_high - other) ** 2),
        difference + sqrt((high - rate) ** 2 + (other - other_low) ** 2),
    )


def mean_difference(sample: Sample, other: Sample) -> Interval | None:
    """Return the difference of a mean from another, with its interval; None without two amounts in each.

    The number of checkouts is large, so the means are normal whatever the amounts are.
    """
    if min(sample.count, other.count) < 2:
        return None
    difference = float(sample.mean - other.mean)
    half = Z * sqrt(sample.variance_of_mean + other.variance_of_mean)
    return Interval(difference, difference - half, difference + half)


def relative_difference(sample: Sample, other: Sample) -> Interval | None:
    """Return by which part a mean is higher than another, with its interval by the delta method; None if unknown.

    The variance of a/b is about (var a + (a/b)² var b) / b².
    """
    if min(sample.count, other.count) < 2 or other.mean <= 0:
        return None
    ratio = sample.mean / other.mean
    half = Z * sqrt((sample.variance_of_mean + ratio**2 * other.variance_of_mean) / other.mean**2)
    value = float(ratio - 1)
    return Interval(value, value - half, value + half)


def sample_ratio_p(count: int, other_count: int, share: float) -> float:
    """Return the p value of the chi-square test that `count` is this share of both; 1 without any."""
    total = count + other_count
    if not total:
        return 1.0
    expected = total * share
    chi_square = (count - expected) ** 2 / expected + (count - expected) ** 2 / (total - expected)
    return erfc(sqrt(chi_square / 2))


def wanted(rate: float, lift: float, share: float) -> int:
    """Return the checkouts in both arms that show, in four experiments of five, that a rate is higher by `lift`.

    `rate` is that of the arm with this share of the checkouts.
    """
    better = min(rate + lift, 1.0)
    variance = rate * (1 - rate) / share + better * (1 - better) / (1 - share)
    return ceil((Z + POWER_Z) ** 2 * variance / lift**2)
