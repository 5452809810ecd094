"""The machine that a test has for itself."""

import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.quiet_machine import QuietMachine


@pytest.fixture
def processes() -> Iterator[tuple[QuietMachine, QuietMachine]]:
    """Two processes of one run: each opens the files for itself, which is what a lock goes by."""
    run = uuid4().hex
    both = QuietMachine(run), QuietMachine(run)
    yield both
    both[0].close()


def test_who_is_alone_waits_for_the_others_and_keeps_new_ones_out(
    processes: tuple[QuietMachine, QuietMachine],
) -> None:
    """The one that runs already ends first; the one that comes later begins when the machine is free again."""
    mine, theirs = processes
    seen: list[str] = []
    running, may_end, is_alone, may_go = (threading.Event() for _ in range(4))

    def other() -> None:
        with theirs.shared():
            running.set()
            may_end.wait(10)
            seen.append("the other ended")
        is_alone.wait(10)
        with theirs.shared():
            seen.append("a new one began")

    def judged() -> None:
        with mine.shared(), mine.alone():
            is_alone.set()
            may_go.wait(10)
            seen.append("alone")

    threads = [threading.Thread(target=each) for each in (other, judged)]
    threads[0].start()
    assert running.wait(10)
    threads[1].start()
    assert not is_alone.wait(0.1)
    may_end.set()
    assert is_alone.wait(10)
    may_go.set()
    for each in threads:
        each.join(10)
    assert seen == ["the other ended", "alone", "a new one began"]
