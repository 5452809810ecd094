"""Dependencies of the endpoints for customers and mail systems: sealed links, the suppression list, the clock."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.engine.ports import Clock
from recovery.http.fetching import Fetcher
from recovery.mail.links import Links
from recovery.mongo.returns import Returns
from recovery.mongo.suppressions import Suppressions


@dataclass(frozen=True, slots=True)
class Feedback:
    """The dependencies of the endpoints for customers and mail systems.

    The `links` of any shop open those of all. A return link works for `expire_after` after its mail. Without
    `bounce_secrets`, bounce reports are rejected; a provider without `provider_secrets`, by its name, as well. `fetch`
    returns the file at an address. `returns` records who came back; without it, nobody does.
    """

    links: PerShop[Links]
    suppressions: Suppressions
    pseudonyms: Pseudonyms
    clock: Clock
    expire_after: timedelta
    bounce_secrets: Sequence[str] = ()
    provider_secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    returns: Returns | None = None
    fetch: Callable[[str], Awaitable[bytes]] = field(default_factory=Fetcher)
