"""Who looks at a page: what they may see and do."""

from dataclasses import dataclass

from recovery.console.sessions import Session, Sessions
from recovery.domain.scopes import Scope
from recovery.http.keys import Caller

SHOWN = 2
"""Characters of a local part that a viewer with the scope read alone sees."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person, with the scopes and shops of their key."""

    session: Session
    sessions: Sessions

    @property
    def caller(self) -> Caller:
        """The key's caller."""
        return self.session.caller

    @property
    def name(self) -> str:
        """The name that the history gives for what they do."""
        return self.caller.name

    @property
    def shops(self) -> tuple[str, ...]:
        """The shops that they see; empty for all."""
        return tuple(sorted(self.caller.shops))

    @property
    def operates(self) -> bool:
        """Whether they may act, and see whole addresses."""
        return Scope.OPERATE in self.caller.scopes

    @property
    def has_privacy(self) -> bool:
        """Whether they may export and erase a person's data."""
        return Scope.PRIVACY in self.caller.scopes

    def sees(self, shop: str) -> bool:
        """Return whether they see this shop."""
        return not self.caller.shops or shop in self.caller.shops

    def address(self, email: str | None) -> str:
        """Return an address as they may see it: whole, or shortened as in `ad…@example.com`."""
        if not email or self.operates:
            return email or ""
        local, _, domain = email.rpartition("@")
        return f"{local[:SHOWN]}…@{domain}"

    def token(self, act: str) -> str:
        """Return the token for the form of an act."""
        return self.sessions.token(self.session, act)
