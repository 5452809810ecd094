"""The order of the tests in a run of several processes."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.dealing import dealt


def a_test(path, name, *, limit=None, shared=False):
    """Return a collected test, as far as `dealt` looks at it."""
    scope = SimpleNamespace(scope="module" if shared else "function")
    return SimpleNamespace(
        path=Path("tests") / path,
        name=name,
        _fixtureinfo=SimpleNamespace(name2fixturedefs={"fixture": [scope]}),
        get_closest_marker=lambda _: limit and pytest.mark.timeout(limit).mark,
    )


ROWS = [a_test("acceptance/test_rows.py", f"row-{number}", limit=180) for number in range(20)]
CLUSTER = [a_test("acceptance/test_rows.py", f"three-{number}", limit=180, shared=True) for number in range(4)]
IMAGE = a_test("acceptance/test_image.py", "image", limit=300)
SHORT = [a_test(f"unit/test_{number // 7}.py", f"short-{number}") for number in range(500)]
TESTS = [*ROWS, *CLUSTER, IMAGE, *SHORT]


def parts(order, processes):
    """Return the parts that the processes begin with."""
    waiting = list(order)
    for left in range(processes, 0, -1):
        size = len(waiting) // left
        yield waiting[:size]
        del waiting[:size]


@pytest.mark.parametrize("processes", [1, 2, 6, 600])
def test_each_test_runs_once(processes):
    assert Counter(map(id, dealt(TESTS, processes))) == Counter(map(id, TESTS))


def test_each_part_has_as_many_long_ones_and_begins_with_one():
    """The one that may take longest is the first of all."""
    order = dealt(TESTS, 4)
    assert order[0] is IMAGE
    for part in parts(order, 4):
        begins = [number for number, test in enumerate(part) if test in (IMAGE, CLUSTER[0], *ROWS)]
        assert len(begins) in (5, 6)
        assert begins[0] == 0
        assert max(after - before for before, after in pairwise(begins)) < len(part) / 3


def test_no_file_is_taken_apart_for_a_long_one():
    for part in parts(dealt(TESTS, 4), 4):
        for before, test, after in zip(part, part[1:], part[2:], strict=False):
            assert test in SHORT or before not in SHORT or before.path != after.path


def test_those_that_share_a_fixture_of_their_module_stay_together():
    order = dealt(TESTS, 6)
    first = order.index(CLUSTER[0])
    assert order[first : first + 4] == CLUSTER


def test_without_long_ones_nothing_changes():
    assert dealt(SHORT, 6) == SHORT
