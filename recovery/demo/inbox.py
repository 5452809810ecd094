"""The inbox: an SMTP server on this machine that accepts and stores every mail, and forwards none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session

from recovery.demo.mails import Mail
from recovery.engine.ports import Clock


class Inbox:
    """The received mails. `on_mail` is called for each as it arrives."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.on_mail: Callable[[Mail], None] = lambda _: None
        self._arrived = asyncio.Event()

    def take(self, mail: Mail) -> None:
        """Store a mail."""
        self.mails.append(mail)
        self._arrived.set()
        self.on_mail(mail)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked after every mail."""
        while not holds():
            self._arrived.clear()
            await self._arrived.wait()


class _Handler:
    """Handler of aiosmtpd. A mail's time is that of the reply, when responsibility passes to the receiver."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store a mail once for each of its recipients."""
        content = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self._inbox.take(Mail(self._clock.now(), recipient, content))
        return "250 2.0.0 in the inbox"


@asynccontextmanager
async def listening(inbox: Inbox, clock: Clock) -> AsyncIterator[int]:
    """Listen for mail on a free port of the loopback interface; yield the port."""
    loop = asyncio.get_running_loop()
    handler = _Handler(inbox, clock)
    server = await loop.create_server(
        lambda: SMTP(handler, loop=loop, hostname="localhost", ident="inbox", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
