"""More daemons on one database: each reads every change, also of checkouts that are not its share."""

from benchmarks.bench import Bench
from benchmarks.cost import Cost
from benchmarks.figures import benchmark
from benchmarks.figures.burst import metered
from benchmarks.measured import Figure

NUMBERS = (1, 2, 4, 8)
"""Daemons beside each other."""

Spent = dict[int, tuple[float, float]]
"""Microseconds of processor time a mail, of all daemons together and of mongod, by the number of daemons."""


@benchmark("daemons", "what a mail costs by the number of daemons on one database")
async def measure(bench: Bench) -> list[Figure]:
    """The growth of a mail's cost from one daemon to the most is what following costs, for each daemon more."""
    count = bench.size(4_000, 600)
    rounds: list[Spent] = []
    for round_ in range(bench.rounds):
        spent: Spent = {}
        for number in NUMBERS:
            bench.tell(f"daemons: {number}, round {round_ + 1} of {bench.rounds}")
            _, cost = await metered(bench, count, daemons=number)
            spent[number] = _each(cost, count)
        rounds.append(spent)
    figures = []
    for place, who in enumerate(("daemons", "mongod")):
        for number in NUMBERS:
            name = f"a mail, {number} daemon{'s' * (number > 1)}: {who}"
            figures.append(Figure(name, "us", tuple(spent[number][place] for spent in rounds)))
    followed = [_growth(spent, 0) for spent in rounds]
    sent = [spent[1][0] - each for spent, each in zip(rounds, followed, strict=True)]
    served = tuple(_growth(spent, 1) for spent in rounds)
    paid = tuple(mail / each if each > 0 else float("inf") for mail, each in zip(sent, followed, strict=True))
    return [
        *figures,
        Figure("a mail of another's share, in each daemon", "us", tuple(followed)),
        Figure("a mail, in mongod for each daemon more", "us", served),
        Figure("daemons of which each spends half its time on others' mails", "", paid),
    ]


def _each(cost: Cost, count: int) -> tuple[float, float]:
    daemons = sum(seconds for name, seconds in cost.seconds.items() if name.startswith("daemon"))
    return 1e6 * daemons / count, 1e6 * cost.seconds["mongod"] / count


def _growth(spent: Spent, place: int) -> float:
    """Return the increase of the cost of a mail for each daemon more."""
    fewest, most = NUMBERS[0], NUMBERS[-1]
    return (spent[most][place] - spent[fewest][place]) / (most - fewest)
