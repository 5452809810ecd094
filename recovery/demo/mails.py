"""A received mail, and its parts for people to read."""

from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Literal


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail accepted `at` this time, for the SMTP `recipient`; `content` is the whole message."""

    at: datetime
    recipient: str
    content: bytes

    @property
    def subject(self) -> str:
        """The decoded subject."""
        return self.header("Subject")

    @property
    def to(self) -> str:
        """The recipient's name, or else the address."""
        header = self._message()["To"]
        names = [address.display_name for address in header.addresses] if header else []
        return " ".join(filter(None, names)) or self.recipient

    @property
    def message_id(self) -> str:
        """The Message-ID with the brackets, which identifies the mail."""
        return self.header("Message-ID").strip()

    def header(self, name: str) -> str:
        """Return a header, decoded; empty if there is none."""
        return str(self._message()[name] or "")

    def body(self, kind: Literal["html", "plain"]) -> str:
        """Return the body of this kind; empty if there is none."""
        part = self._message().get_body((kind,))
        return str(part.get_content()) if part is not None else ""

    def source(self) -> str:
        """Return the whole message as received."""
        return self.content.decode(errors="replace")

    def _message(self) -> EmailMessage:
        return BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(self.content)
