"""The port of those who count what happens over HTTP: `recovery.daemon.metrics.Telemetry`."""

from typing import Protocol


class HttpObserver(Protocol):
    """Counts requests by what became of them."""

    def reported(self, kind: str, answer: str) -> None:
        """Count a report by its kind and answer: accepted, ignored, unmapped, or the status of the problem."""
        ...

    def wrong_key(self) -> None:
        """Count a call without a right API key."""
        ...

    def bounced(self, kind: str) -> None:
        """Count a bounce or complaint."""
        ...

    def returned(self, shop: str | None, domain: str, kind: str) -> None:
        """Count a bounce or complaint by the shop, if known, and the recipient's domain; `kind` as for `bounced`."""
        ...

    def blocked(self, domain: str) -> None:
        """Count a report that our mail is blocked; `domain` is the recipient's."""
        ...

    def unsubscribed(self, shop: str, by: str) -> None:
        """Count an unsubscription; `by` is link or one-click."""
        ...

    def clicked(self, shop: str, step: str) -> None:
        """Count a customer who came back to their checkout from a step's mail."""
        ...
