"""What the endpoints need that customers and mail systems call: the links they come by, and whom not to write to."""

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
    """Whom not to write to. Its real side is `recovery.mongo.suppressions`; all raise `Unavailable`."""

    async def add(
        self,
        email: str,
        reason: SuppressionReason,
        *,
        shop: str | None = None,
        source: str,
        at: datetime | None = None,
    ) -> bool:
        """Suppress an address, for a shop or for all; return whether that was new."""
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
        """Do as `add` for an address that is known by its pseudonym only."""
        ...

    async def bounced(self, pseudonym: str, report: str, at: datetime | None = None) -> bool:
        """Count a soft bounce, once for each `report` id; return whether it was counted."""
        ...

    async def remove(
        self,
        email: str,
        *,
        shop: str | None = None,
        reason: SuppressionReason | None = None,
        since: datetime | None = None,
    ) -> bool:
        """Lift the suppression for this shop or, without one, that for all; return whether there was one.

        With a `reason`, only one for that reason; with `since`, only one that was made then or later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Feedback:
    """How what comes back from mails is understood and kept.

    The links of any shop open those of all. `expire_after` is how long after its mail a link back leads anywhere.
    Without `bounce_secrets`, nobody may report a bounce.
    """

    links: PerShop[Links]
    suppressions: SuppressionList
    pseudonyms: Pseudonyms
    clock: Clock
    expire_after: timedelta
    bounce_secrets: Sequence[str] = ()
