"""The machine that a test has for itself."""

import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.quiet_machine import QuietMachine


@pytest.fixture
def processes() -> Iterator[list[QuietMachine]]:
    """Three processes of one run: each opens the files for itself, which is what a lock goes by."""
    run = uuid4().hex
    all_ = [QuietMachine(run) for _ in range(3)]
    yield all_
    all_[0].close()


def test_who_is_alone_waits_for_the_others_and_keeps_new_ones_out(processes: list[QuietMachine]) -> None:
    """The one that runs already ends first; one that comes while the machine is waited for begins after it is free."""
    mine, running, coming = processes
    seen: list[str] = []
    runs, may_end, is_alone, may_go = (threading.Event() for _ in range(4))

    def other() -> None:
        with running.shared():
            runs.set()
            may_end.wait(10)
            seen.append("the other ended")

    def judged() -> None:
        with mine.shared(), mine.alone():
            is_alone.set()
            may_go.wait(10)
            seen.append("alone")

    def new() -> None:
        with coming.shared():
            seen.append("a new one began")

    threads = [threading.Thread(target=each) for each in (other, judged, new)]
    threads[0].start()
    assert runs.wait(10)
    threads[1].start()
    assert not is_alone.wait(0.1)
    threads[2].start()
    threads[2].join(0.1)
    assert seen == []
    may_end.set()
    assert is_alone.wait(10)
    may_go.set()
    for each in threads:
        each.join(10)
    assert seen == ["the other ended", "alone", "a new one began"]


def test_two_that_want_it_alone_have_it_one_after_the_other(processes: list[QuietMachine]) -> None:
    """Neither holds its share while it waits for the other, which would never end."""
    begun = threading.Barrier(2)
    inside: list[int] = []

    def judged(machine: QuietMachine) -> None:
        with machine.shared():
            begun.wait(10)
            with machine.alone():
                inside.append(1)
                assert len(inside) == 1
                inside.pop()

    threads = [threading.Thread(target=judged, args=(each,), daemon=True) for each in processes[:2]]
    for each in threads:
        each.start()
    for each in threads:
        each.join(5)
    assert not any(each.is_alive() for each in threads)
