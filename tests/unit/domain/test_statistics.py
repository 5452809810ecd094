"""The statistics of experiments, against published values and statsmodels."""

import os
from decimal import Decimal
from random import Random

import pytest

from recovery.domain.statistics import (
    POWER_Z,
    Sample,
    Z,
    mean_difference,
    rate_difference,
    relative_difference,
    sample_ratio_p,
    wanted,
)

CLOSE = {"rel": 1e-9, "abs": 1e-9}


@pytest.fixture
def oracle():
    """statsmodels; in CI it must be there."""
    if os.environ.get("CI"):
        import statsmodels
    else:
        statsmodels = pytest.importorskip("statsmodels")
    return statsmodels


def tables(count):
    """Random pairs of rates, as hits and counts, extreme ones among them."""
    random = Random(11)
    for _ in range(count):
        first, second = (int(10 ** random.uniform(0, 5)) for _ in range(2))
        yield random.randint(0, first), first, random.randint(0, second), second


def test_the_interval_of_two_rates_is_the_published_one():
    """56 of 70 against 48 of 80 is the example in Newcombe's paper."""
    found = rate_difference(56, 70, 48, 80)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    assert found.shows_difference


def test_rates_as_statsmodels_has_them(oracle):
    """Newcombe's interval, on a thousand random tables."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    for hits, count, other_hits, other in tables(1000):
        found = rate_difference(hits, count, other_hits, other)
        low, high = confint_proportions_2indep(hits, count, other_hits, other, method="newcomb", compare="diff")
        assert (found.low, found.high) == pytest.approx((low, high), **CLOSE)


def sample_of(amounts):
    """The sums of amounts, as the database makes them."""
    return Sample(len(amounts), sum(amounts, Decimal(0)), sum((each * each for each in amounts), Decimal(0)))


def amounts(random):
    """Money per checkout: mostly nothing."""
    count = random.randint(2, 60)
    return [Decimal(random.choice([0, 0, random.randint(1, 10**7)])) / 100 for _ in range(count)]


def test_money_as_statsmodels_has_it(oracle):
    """The difference of two means with unequal variances."""
    from statsmodels.stats.weightstats import CompareMeans

    random = Random(5)
    for _ in range(200):
        first, second = amounts(random), amounts(random)
        found = mean_difference(sample_of(first), sample_of(second))
        means = CompareMeans.from_data([float(each) for each in first], [float(each) for each in second])
        if not any(first) and not any(second):
            assert (found.low, found.high) == (0, 0)
            continue
        assert (found.low, found.high) == pytest.approx(means.zconfint_diff(usevar="unequal"), **CLOSE)


def test_the_sample_ratio_as_scipy_has_it(oracle):
    """Pearson's chi-square with one degree of freedom."""
    from scipy.stats import chisquare

    random = Random(7)
    for _ in range(500):
        count, other, share = random.randint(0, 5000), random.randint(1, 5000), random.uniform(0.01, 0.5)
        total = count + other
        expected = chisquare([count, other], [total * share, total * (1 - share)]).pvalue
        assert sample_ratio_p(count, other, share) == pytest.approx(expected, **CLOSE)


def test_the_wanted_number_as_statsmodels_has_it(oracle):
    """The size of a sample for two rates with unpooled variances, up to the next whole checkout."""
    from statsmodels.stats.power import normal_sample_size_one_tail

    random = Random(3)
    for _ in range(500):
        rate, lift, share = random.uniform(0, 0.6), random.uniform(0.002, 0.2), random.uniform(0.01, 0.5)
        better = rate + lift
        spread = (rate * (1 - rate) / share + better * (1 - better) / (1 - share)) ** 0.5
        expected = normal_sample_size_one_tail(lift, 0.8, 0.025, std_null=spread, std_alternative=spread)
        assert 0 <= wanted(rate, lift, share) - expected < 1 + 1e-6


@pytest.mark.parametrize(("share", "number"), [(0.05, 30743), (0.1, 16405), (0.2, 9429), (0.5, 6421)])
def test_two_points_of_eight_percent(share, number):
    """From 8 % to 10 %: the figures that docs/results.md quotes."""
    assert wanted(0.08, 0.02, share) == number


def test_money_is_exact():
    """Large amounts that hardly differ: nothing of their variance is lost."""
    near = [Decimal("1000000000.01"), Decimal("1000000000.03")]
    found = mean_difference(sample_of(near), sample_of([Decimal(0), Decimal(0)]))
    assert found.high - found.value == pytest.approx(Z * 0.01, abs=1e-6)


def test_a_relative_difference_covers_the_truth():
    """The delta method: 95 % of the intervals of simulated shops have the true ratio in them."""
    random = Random(2)
    covered = 0
    for _ in range(400):
        first = sample_of([Decimal(random.choices([0, 50, 90], [88, 6, 6])[0]) for _ in range(600)])
        second = sample_of([Decimal(random.choices([0, 50, 90], [90, 5, 5])[0]) for _ in range(600)])
        found = relative_difference(first, second)
        covered += found.low <= 0.2 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_without_data_there_is_no_interval():
    """One amount has no variance, and nothing is relative to nothing."""
    one, none = sample_of([Decimal(3)]), sample_of([Decimal(0), Decimal(0)])
    assert mean_difference(one, none) is None
    assert relative_difference(none, none) is None
    assert sample_ratio_p(0, 0, 0.1) == 1


def test_the_power_is_four_experiments_of_five():
    """The quantile of a power of 80 %."""
    assert pytest.approx(0.8416, abs=1e-4) == POWER_Z
