"""The recipients of claims: their histories, and the reasons to hold back messages to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from recovery.domain.recipient import NOTHING_KNOWN, HeldBack, RecipientHistory, held_back
from recovery.domain.schedule import StopOn
from recovery.engine.ports import Addresses, Clock
from recovery.engine.writes import ClaimRequest, RecipientQuery
from recovery.errors import Unavailable


class Recipients:
    """Asks the database about the recipients of claims. `outage` is called when it does not answer."""

    def __init__(
        self, addresses: Addresses, clock: Clock, jitter: Callable[[], float], outage: Callable[[], None]
    ) -> None:
        self._addresses = addresses
        self._clock = clock
        self._jitter = jitter
        self._outage = outage

    async def histories(self, claims: Sequence[ClaimRequest]) -> Mapping[str, RecipientHistory] | None:
        """Return the histories of these checkouts' addresses, by checkout id; None if the lookup fails."""
        now = self._clock.now()
        gap = max((claim.schedule.min_gap_per_address for claim in claims), default=timedelta())
        query = RecipientQuery(
            written_since=now - gap if gap else None,
            imminent_until=now + max((claim.schedule.lease for claim in claims), default=timedelta()),
            orders=any(claim.schedule.stop_on is StopOn.CUSTOMER for claim in claims),
        )
        try:
            return await self._addresses.histories([claim.seen for claim in claims], query)
        except Unavailable:
            self._outage()
            return None

    async def asked_again(
        self, claims: Sequence[ClaimRequest], histories: Mapping[str, RecipientHistory], *, all_: bool
    ) -> Mapping[str, RecipientHistory] | None:
        """Return the histories after the claim: of two daemons that claim and then look, one sees the other."""
        contested = [claim for claim in claims if all_ or histories.get(claim.seen.id, NOTHING_KNOWN).contested]
        if not contested:
            return histories
        again = await self.histories(contested)
        if again is None:
            return None
        return {**histories, **dict.fromkeys((claim.seen.id for claim in contested), NOTHING_KNOWN), **again}

    def held_back(self, request: ClaimRequest, history: RecipientHistory) -> HeldBack | None:
        """Return the decision to hold back a message now, or None."""
        return held_back(request.seen, request.step, history, request.schedule, self._clock.now(), self._jitter())

    async def held_back_now(self, claims: Sequence[ClaimRequest]) -> dict[str, str]:
        """Return the reasons to hold back messages among these, by checkout id. Raises `Unavailable`."""
        histories = await self.histories(claims)
        if histories is None:
            raise Unavailable("the suppression list could not be read")
        found = {}
        for claim in claims:
            history = histories.get(claim.seen.id, NOTHING_KNOWN)
            # A later claim has seen this one and steps back: if both did, neither would be sent.
            others = [replace(other, claimed=False) for other in history.others]
            if held := self.held_back(claim, replace(history, others=others)):
                found[claim.seen.id] = held.reason
        return found
