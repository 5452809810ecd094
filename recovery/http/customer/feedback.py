"""Dependencies of the endpoints for customers and mail systems: sealed links, the suppression list, the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.engine.ports import Clock
from recovery.mail.links import Links


class SuppressionList(Protocol):
    """The suppression list, as a port. `recovery.mongo.suppressions` implements it; all methods raise `Unavailable`."""

    async def add(
        self,
        email: str,
        reason: SuppressionReason,
        *,
        shop: str | None = None,
        source: str,
        at: datetime | None = None,
    ) -> bool:
        """Suppress an address, for a shop or for all; return True if it was not suppressed before."""
        ...

    async def suppress(
        self,
        pseudonym: str,
        reason: SuppressionReason,
        *,
        shop: str | None = None,
        source: str,
        at: datetime | None = None,
    ) -> bool:
        """Suppress an address of which only the pseudonym is known; otherwise as `add`."""
        ...

    async def bounced(self, pseudonym: str, report: str, at: datetime | None = None) -> bool:
        """Count a soft bounce; return False if this `report` id was counted before (idempotent)."""
        ...

    async def remove(
        self,
        email: str,
        *,
        shop: str | None = None,
        reason: SuppressionReason | None = None,
        since: datetime | None = None,
    ) -> bool:
        """Remove the suppression for a shop or, without `shop`, that for all; return True if there was one.

        `reason` restricts it to suppressions for that reason, `since` to those made then or later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Feedback:
    """The dependencies of the endpoints for customers and mail systems.

    The `links` of any shop open those of all. A return link works for `expire_after` after its mail. Without
    `bounce_secrets`, bounce reports are rejected.
    """

    links: PerShop[Links]
    suppressions: SuppressionList
    pseudonyms: Pseudonyms
    clock: Clock
    expire_after: timedelta
    bounce_secrets: Sequence[str] = ()
