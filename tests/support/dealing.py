"""The order of the tests in a run of several processes: each begins with a long test, and has more of them throughout.

`pytest-xdist` gives each process a part of the tests, one after the other, and moves some at the end. In the order of
the files, the tests of real daemons, which mostly wait, would all be in one part, and then run beside nothing else.
"""

from collections import deque
from collections.abc import Sequence
from itertools import groupby

import pytest

LONG = "acceptance"
"""The folder of the long tests."""


def dealt(tests: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """Return the tests in an order whose `processes` equal parts have as many long ones each, evenly spread."""
    short = [test for test in tests if LONG not in test.path.parts]
    groups = _groups([test for test in tests if LONG in test.path.parts])
    order: list[pytest.Item] = []
    for process in range(processes):
        mine = groups[process::processes]
        size = (len(tests) - len(order)) // (processes - process)
        part = short[: max(0, size - sum(map(len, mine)))]
        del short[: len(part)]
        order += _mixed(part, mine)
    return order + short


def _groups(long: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the tests that share what is set up once for their module, and all others one by one; the longest first.

    How long a test may take is what its own time limit tells.
    """
    groups: list[list[pytest.Item]] = []
    for (_, is_shared), found in groupby(long, lambda test: (test.path, _shares(test))):
        tests = list(found)
        groups += [tests] if is_shared else [[test] for test in tests]
    return sorted(groups, key=lambda group: -max(map(_limit, group)))


def _shares(test: pytest.Item) -> bool:
    fixtures = test._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    return any(definitions[-1].scope == "module" for definitions in fixtures)


def _limit(test: pytest.Item) -> float:
    marker = test.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def _mixed(short: Sequence[pytest.Item], groups: Sequence[list[pytest.Item]]) -> list[pytest.Item]:
    """Return the tests with the groups evenly between them, where one file ends and another begins."""
    mixed: list[pytest.Item] = []
    waiting = deque(groups)
    for number, test in enumerate(short):
        begins = number == 0 or test.path != short[number - 1].path
        while begins and waiting and number >= (len(groups) - len(waiting)) * len(short) / len(groups):
            mixed += waiting.popleft()
        mixed.append(test)
    for group in waiting:
        mixed += group
    return mixed
