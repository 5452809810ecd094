"""The scenarios, by theme. Each works on a world and returns what it promises."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.checker import Promise
from tests.chaos.world import World

Play = Callable[[World], Awaitable[Promise]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row: its name, what happens in a phrase, and the play. `nodes` is how many mongods it needs."""

    name: str
    told: str
    play: Play
    nodes: int = 1
    by_hand: bool = False


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, told: str, *, nodes: int = 1, by_hand: bool = False) -> Callable[[Play], Play]:
    """Enter a play under a name; one that is to be run `by_hand` is not part of the whole."""

    def enter(play: Play) -> Play:
        SCENARIOS[name] = Scenario(name, told, play, nodes, by_hand)
        return play

    return enter
