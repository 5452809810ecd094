"""The last check before a message is handed over: is it still what its claim was made for?

A claim is made on facts that are a moment old when it takes hold, and older when a connection is found and the relay
has said that it will take the message. Whoever is about to hand it over asks here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from recovery.engine.ports import Checkouts
from recovery.engine.writes import Claiming
from recovery.errors import Unavailable

HeldBackNow = Callable[[Sequence[Claiming]], Awaitable[dict[str, str]]]
"""Says of which of these messages the address must not be written to any more, and why, by checkout id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a message must not be handed over, or None where it may; and since when that is known, in loop seconds."""

    why_not: str | None
    known_at: float


class LastCheck:
    """Asks the database about claims: all that is asked within one turn of the event loop goes out together."""

    def __init__(self, checkouts: Checkouts, held_back_now: HeldBackNow) -> None:
        self._checkouts = checkouts
        self._held_back_now = held_back_now
        self._waiting: list[tuple[Claiming, asyncio.Future[Answer]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, claim: Claiming) -> Answer:
        """Return whether a claim still holds, of a checkout that nothing was reported of and that may be written to.

        For a message that keeps whether its content went out, that is kept by this: it must go out at once, or be
        recorded otherwise. Where the database does not say, it must not be handed over.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._go)
        self._waiting.append((claim, answer))
        return await answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.create_task(self._answer(waiting))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, waiting: Sequence[tuple[Claiming, "asyncio.Future[Answer]"]]) -> None:
        known_at = asyncio.get_running_loop().time()
        try:
            faults = await self._faults([claim for claim, _ in waiting])
        except Exception as exc:  # noqa: BLE001  whatever it is, those who wait must be told
            why = "the database does not say whether" if isinstance(exc, Unavailable) else f"{exc!r}: unknown if"
            faults = dict.fromkeys((claim.seen.id for claim, _ in waiting), f"{why} it may still be handed over")
        for claim, answer in waiting:
            if not answer.done():  # whoever asked has gone
                answer.set_result(Answer(faults.get(claim.seen.id), known_at))

    async def _faults(self, claims: Sequence[Claiming]) -> dict[str, str]:
        kept = [claim for claim in claims if claim.message.handed_over is not None]
        others = [claim for claim in claims if claim.message.handed_over is None]
        held, handed_over, held_back = await asyncio.gather(
            self._checkouts.held(others) if others else _none(),
            self._checkouts.hand_over(kept) if kept else _none(),
            self._held_back_now(claims),
        )
        gone = {claim.seen.id for claim in claims} - held - handed_over
        return held_back | dict.fromkeys(gone, "something was reported of the checkout since it was claimed")


async def _none() -> set[str]:
    return set()
