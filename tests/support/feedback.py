"""The dependencies of the endpoints for customers, in memory."""

from datetime import datetime, timedelta
from typing import Any

from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.http.customer.feedback import Feedback
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from tests.support.ports_in_memory import SetClock


class FakeSuppressions:
    """The list of whom not to write to, in memory, that can be made to fail."""

    def __init__(self, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        self.kept: dict[tuple[str | None, str], tuple[SuppressionReason, str]] = {}
        self.kept_at: dict[tuple[str | None, str], datetime] = {}
        self.soft: list[tuple[str, str]] = []
        self.full: list[str] = []
        self.fault: Exception | None = None

    async def add(
        self, email: str, reason: SuppressionReason, *, shop: str | None = None, source: str, at: datetime | None = None
    ) -> bool:
        self._fail()
        new = (shop, email) not in self.kept
        self.kept.setdefault((shop, email), (reason, source))
        self.kept_at.setdefault((shop, email), at or self.clock.now())
        return new

    async def suppress(
        self,
        pseudonym: str,
        reason: SuppressionReason,
        *,
        shop: str | None = None,
        source: str,
        at: datetime | None = None,
    ) -> bool:
        return await self.add(pseudonym, reason, shop=shop, source=source, at=at)

    async def bounced(self, pseudonym: str, report: str, at: datetime | None = None, *, full: bool = False) -> bool:
        self._fail()
        new = (pseudonym, report) not in self.soft
        self.soft += [(pseudonym, report)] if new else []
        self.full += [report] if new and full else []
        return new

    async def remove(
        self,
        email: str,
        *,
        shop: str | None = None,
        reason: SuppressionReason | None = None,
        since: datetime | None = None,
    ) -> bool:
        self._fail()
        there = reason in (None, self.kept.get((shop, email), (None,))[0]) and (shop, email) in self.kept
        there = there and (since is None or self.kept_at[shop, email] >= since)
        if there:
            del self.kept[shop, email], self.kept_at[shop, email]
        return there

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


def feedback(**changes: Any) -> Feedback:
    """Return the dependencies of the endpoints for customers, in memory."""
    pseudonyms = Pseudonyms([])
    clock = changes.get("clock") or SetClock()
    given: dict[str, Any] = {
        "links": PerShop(
            Links(
                Seals(["a key of some length"]),
                pseudonyms,
                base_url="https://mail.shop.example",
                return_path="bounces@bounce.shop.example",
                count_clicks=True,
            )
        ),
        "suppressions": FakeSuppressions(clock),
        "pseudonyms": pseudonyms,
        "clock": clock,
        "expire_after": timedelta(days=30),
    }
    return Feedback(**(given | changes))
