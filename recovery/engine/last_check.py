"""The last check before a message is handed over: that its claim still holds and its recipient may be written to.

The facts of a claim are a moment old when it is made, and older when a connection is free and the relay has accepted
the envelope. So the database is asked again, immediately before the content is sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from recovery.engine.ports import Checkouts
from recovery.engine.writes import ClaimRequest
from recovery.errors import Unavailable

HeldBackNow = Callable[[Sequence[ClaimRequest]], Awaitable[dict[str, str]]]
"""Returns the reasons to hold back messages among these, by checkout id."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a last check: the reason not to hand over a message, or None, and the loop time of the question."""

    why_not: str | None
    known_at: float


class LastCheck:
    """Asks the database about claims; all questions of one turn of the event loop are asked together."""

    def __init__(self, checkouts: Checkouts, held_back_now: HeldBackNow) -> None:
        self._checkouts = checkouts
        self._held_back_now = held_back_now
        self._waiting: list[tuple[ClaimRequest, asyncio.Future[Checked]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, claim: ClaimRequest) -> Checked:
        """Return whether a claim still holds, nothing was reported of its checkout, and it may be written to.

        For a message whose hand-over is recorded, this records it: the content must be sent at once, or its end be
        recorded otherwise. If the database does not answer, the message must not be handed over.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Checked] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._go)
        self._waiting.append((claim, answer))
        return await answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.create_task(self._answer(waiting))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, waiting: Sequence[tuple[ClaimRequest, "asyncio.Future[Checked]"]]) -> None:
        known_at = asyncio.get_running_loop().time()
        try:
            faults = await self._faults([claim for claim, _ in waiting])
        except Exception as exc:  # noqa: BLE001  whatever it is, the callers wait for an answer
            why = "the database is unavailable" if isinstance(exc, Unavailable) else f"{exc!r}"
            faults = dict.fromkeys((claim.seen.id for claim, _ in waiting), f"the last check failed: {why}")
        for claim, answer in waiting:
            if not answer.done():  # its caller was cancelled
                answer.set_result(Checked(faults.get(claim.seen.id), known_at))

    async def _faults(self, claims: Sequence[ClaimRequest]) -> dict[str, str]:
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
