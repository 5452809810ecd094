"""Owner of SMTP sessions: what a session asks of the pool that opened it, and tells it of the relay."""

from typing import TYPE_CHECKING, Protocol

from recovery.mail.smtp.delivery import Delivery

if TYPE_CHECKING:
    from recovery.mail.smtp.session import Session


class Owner(Protocol):
    """The owner of sessions: it gives them messages, and takes back what they could not send."""

    def follower(self, session: "Session") -> Delivery | None:
        """Return a message to announce behind the content that is about to be sent, or None."""
        ...

    def answered(self, seconds: float) -> None:
        """Note how long the relay took for its reply to the final dot."""
        ...

    def again(self, delivery: Delivery) -> None:
        """Take back a message that the relay has not taken up: it goes over another connection."""
        ...

    def follow_no_more(self) -> None:
        """Note that the relay loses its place when a message is announced behind another."""
        ...

    def pipeline_no_more(self) -> None:
        """Note that the relay refuses commands for coming in one packet, though it offers PIPELINING."""
        ...

    def answered_in_part(self) -> None:
        """Note that the relay answered the first commands of a packet, and then no more."""
        ...

    def chunk_no_more(self) -> None:
        """Note that the relay does not know BDAT, though it offers CHUNKING."""
        ...

    def free(self, session: "Session") -> None:
        """Take back a session that has no message any more; it may be closed."""
        ...
