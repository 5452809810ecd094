"""Rounds: ours and each peer in turn, and what the tables say of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rich.console import Console

from benchmarks.bench import Bench
from benchmarks.measured import Figure, ratios
from benchmarks.peers.programs import Peer, PeerFailed

Taken = TypeVar("Taken")

errors = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class Rounds(Generic[Taken]):
    """What was taken, by the round's number: of ours, and of each peer that did not fail in that round."""

    ours: dict[int, Taken] = field(default_factory=dict)
    peers: dict[str, dict[int, Taken]] = field(default_factory=dict)

    def figures(
        self,
        what: str,
        unit: str,
        value: Callable[[Taken], float],
        *,
        reach: Mapping[str, float],
        smaller_is_better: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> list[Figure]:
        """Return ours, and each peer with how many times better ours is.

        `reach` tells for a peer how many times that must be, at least. A peer that never ran to the end has no figure
        but a ratio of 0, which reaches nothing.
        """
        made = [Figure(f"{what}, ours", unit, tuple(map(value, self.ours.values())))]
        for name, rounds in self.peers.items():
            if not rounds:
                made.append(Figure(f"{what}: {name} FAILED", "times", (0.0,), reach.get(name, 1)))
                continue
            theirs = [value(taken) for taken in rounds.values()]
            ours = [value(self.ours[round_]) for round_ in rounds]
            made.append(Figure(f"{what}, {name}", unit, tuple(theirs), note=(notes or {}).get(name, "")))
            better = (theirs, ours) if smaller_is_better else (ours, theirs)
            made.append(ratios(f"{what}, ours to {name}", *better, reach.get(name)))
        return made


async def in_turn(
    bench: Bench,
    what: str,
    ours: Callable[[], Awaitable[Taken]],
    peers: Sequence[Peer],
    theirs: Callable[[Peer], Awaitable[Taken]],
) -> Rounds[Taken]:
    """Take ours and then each peer, in every round. A peer that fails is told on stderr and left out of that round."""
    taken: Rounds[Taken] = Rounds(peers={peer.name: {} for peer in peers})
    for round_ in range(bench.rounds):
        bench.tell(f"{what}, round {round_ + 1} of {bench.rounds}: ours")
        taken.ours[round_] = await ours()
        for peer in peers:
            bench.tell(f"{what}, round {round_ + 1} of {bench.rounds}: {peer.name}")
            try:
                taken.peers[peer.name][round_] = await theirs(peer)
            except PeerFailed as failed:
                errors.print(f"{what}, round {round_ + 1}: {failed}", markup=False)
    return taken
