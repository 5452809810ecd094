"""The statistics of experiments, against published values and statsmodels."""

import os
from contextlib import suppress
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

with suppress(ImportError):  # it comes with statsmodels, without which the tests that need it are skipped
    import numpy

TABLES = 10_000
"""Random tables for each comparison with statsmodels, which takes whole columns of them."""


@pytest.fixture
def oracle():
    """statsmodels; in CI it must be there."""
    if os.environ.get("CI"):
        import statsmodels
    else:
        statsmodels = pytest.importorskip("statsmodels")
    return statsmodels


def assert_close(found, expected):
    """Compare intervals with arrays of their ends."""
    for ends, theirs in zip(([each.low for each in found], [each.high for each in found]), expected, strict=True):
        assert numpy.allclose(ends, theirs, rtol=1e-9, atol=1e-9)


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
    """Newcombe's interval."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    rows = list(tables(TABLES))
    columns = numpy.array(rows, dtype=float).T
    assert_close(
        [rate_difference(*row) for row in rows],
        confint_proportions_2indep(*columns, method="newcomb", compare="diff"),
    )


def sample_of(amounts):
    """The sums of amounts, as the database makes them."""
    return Sample(len(amounts), sum(amounts, Decimal(0)), sum((each * each for each in amounts), Decimal(0)))


def amounts(random, count):
    """Money per checkout: mostly nothing."""
    return [Decimal(random.choice([0, 0, random.randint(1, 10**7)])) / 100 for _ in range(count)]


def pairs(seed):
    """Many pairs of samples, in lists of pairs with the same two sizes."""
    random = Random(seed)
    for _ in range(TABLES // 200):
        sizes = random.randint(2, 60), random.randint(2, 60)
        yield [tuple(amounts(random, size) for size in sizes) for _ in range(200)]


def columns_of(samples):
    """An array with a column for each sample."""
    return numpy.array(samples, dtype=float).T


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_money_as_statsmodels_has_it(oracle):
    """The difference of two means with unequal variances; without any money it is nothing."""
    from statsmodels.stats.weightstats import CompareMeans

    for same_sizes in pairs(5):
        firsts, seconds = zip(*same_sizes, strict=True)
        expected = CompareMeans.from_data(columns_of(firsts), columns_of(seconds)).zconfint_diff(usevar="unequal")
        found = [mean_difference(sample_of(first), sample_of(second)) for first, second in same_sizes]
        assert_close(found, numpy.nan_to_num(expected))


def test_relative_money_as_statsmodels_has_it(oracle):
    """The delta method, on the ratio of two means."""
    from statsmodels.stats._delta_method import NonlinearDeltaCov

    def lift(means):
        first, second = numpy.split(means, 2)
        return first / second - 1

    count = 0
    for same_sizes in pairs(6):
        known = [pair for pair in same_sizes if any(pair[1])]
        both = [columns_of(samples) for samples in zip(*known, strict=True)]
        delta = NonlinearDeltaCov(
            lift,
            numpy.concatenate([each.mean(axis=0) for each in both]),
            numpy.diag(numpy.concatenate([each.var(axis=0, ddof=1) / len(each) for each in both])),
        )
        found = [relative_difference(sample_of(first), sample_of(second)) for first, second in known]
        assert_close(found, delta.conf_int().T)
        count += len(known)
    assert count > 0.9 * TABLES


def test_the_sample_ratio_as_scipy_has_it(oracle):
    """Pearson's chi-square with one degree of freedom."""
    from scipy.stats import chisquare

    random = Random(7)
    rows = [(random.randint(0, 5000), random.randint(1, 5000), random.uniform(0.01, 0.5)) for _ in range(TABLES)]
    counts, others, shares = numpy.array(rows).T
    total = counts + others
    expected = chisquare([counts, others], [total * shares, total * (1 - shares)], axis=0).pvalue
    assert numpy.allclose([sample_ratio_p(*row) for row in rows], expected, rtol=1e-9, atol=1e-9)


def test_the_wanted_number_as_statsmodels_has_it(oracle):
    """The size of a sample for two rates with unpooled variances, up to the next whole checkout."""
    from statsmodels.stats.power import normal_sample_size_one_tail

    random = Random(3)
    rows = [(random.uniform(0, 0.6), random.uniform(0.002, 0.2), random.uniform(0.01, 0.5)) for _ in range(TABLES)]
    rates, lifts, shares = numpy.array(rows).T
    better = rates + lifts
    spread = (rates * (1 - rates) / shares + better * (1 - better) / (1 - shares)) ** 0.5
    expected = normal_sample_size_one_tail(lifts, 0.8, 0.025, std_null=spread, std_alternative=spread)
    over = numpy.array([wanted(*row) for row in rows]) - expected
    assert ((over > -1e-6) & (over < 1 + 1e-6)).all()


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
