"""The figures, a benchmark each: a function of a `Bench` that returns what it measured."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.measured import Figure

Measure = Callable[[Bench], Awaitable[list[Figure]]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: its name, what it is in a phrase, and how it is measured."""

    name: str
    told: str
    measure: Measure


BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(name: str, told: str) -> Callable[[Measure], Measure]:
    """Enter a benchmark under a name."""

    def enter(measure: Measure) -> Measure:
        BENCHMARKS[name] = Benchmark(name, told, measure)
        return measure

    return enter
