"""What a replay of dead letters would come to, as far as can be known now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.domain.outlook import Ahead, replay
from recovery.domain.per_shop import PerShop
from recovery.domain.recipient import NOTHING_KNOWN, RecipientHistory
from recovery.domain.schedule import Schedule
from recovery.domain.state import CheckoutState
from recovery.engine.writes import RecipientQuery
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import Database
from recovery.mongo.dead_letters import KeptLetter
from recovery.mongo.suppressions import Suppressions


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected result of a replay of one letter.

    `ahead` is the forecast of its message; None if the checkout is checked again, or, with `gone`, not even that.
    """

    ahead: Ahead | None = None
    gone: bool = False

    @property
    def sends(self) -> bool:
        """Whether a mail would go out at once."""
        return self.ahead is not None and self.ahead.at is not None and self.ahead.why is None

    def told(self, would: str) -> str:
        """Return it in words; `would` is "would" or "will"."""
        if self.ahead is not None and self.ahead.at is not None and self.ahead.why is not None:
            return f"{would} wait until {self.ahead.at:%Y-%m-%d %H:%M:%S} UTC: {self.ahead.why}"
        return self.alike(would)

    def alike(self, would: str) -> str:
        """Return it in words that are the same for letters of which the same becomes."""
        if self.gone:
            return "its checkout is gone, or still cannot be read"
        if self.ahead is None:
            return f"its checkout {would} be checked again"
        if self.ahead.at is None and not self.ahead.waits:
            return f"{would} not be sent: {self.ahead.why}"
        if self.ahead.why is not None:
            return f"{would} wait: {self.ahead.why}"
        return f"{would} send {self.ahead.step}"


class Replays:
    """Forecasts replays by the schedules, the checkouts, and what is known of their customers."""

    def __init__(self, database: Database, suppressions: Suppressions, schedules: PerShop[Schedule]) -> None:
        self._checkouts = MongoCheckouts(database)
        self._addresses = MongoAddresses(database, suppressions)
        self._schedules = schedules

    async def expected(self, letters: Sequence[KeptLetter], now: datetime) -> Mapping[str, Expected]:
        """Return the expected result of a replay of each letter, by its id. Raises `Unavailable`."""
        states, _ = await self._checkouts.load(list({letter.checkout: None for letter in letters}))
        histories = await self._histories(states, now)
        kept = {state.id: state for state in states}
        return {letter.id: self._of(letter, kept.get(letter.checkout), histories, now) for letter in letters}

    def _of(
        self,
        letter: KeptLetter,
        state: CheckoutState | None,
        histories: Mapping[str, RecipientHistory],
        now: datetime,
    ) -> Expected:
        if state is None:
            return Expected(gone=True)
        if letter.step is None:
            return Expected()
        history = histories.get(state.id, NOTHING_KNOWN)
        return Expected(replay(state, letter.step, self._schedules.of(state.id), history, now))

    async def _histories(self, states: Sequence[CheckoutState], now: datetime) -> Mapping[str, RecipientHistory]:
        gap = max((schedule.min_gap_per_address for schedule in self._schedules.each()), default=timedelta())
        query = RecipientQuery(written_since=now - gap if gap else None, imminent_until=now, orders=True)
        return await self._addresses.histories(states, query)
