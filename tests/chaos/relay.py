"""The relay of the harness: it records, misbehaves as told, and may take its time."""

import asyncio
import re
from collections.abc import Iterable

from recovery.mail.compose import message_id
from tests.chaos.checker import Accepted
from tests.chaos.ledger import Key
from tests.smtp_servers import RecordingRelay, _Session

DOMAIN = "shop.example"
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>]+>)\r$", re.MULTILINE | re.IGNORECASE)


class Relay(RecordingRelay):
    """A recording relay that answers after the dot only when `pause` seconds have passed."""

    pause = 0.0

    async def listen(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Unhurried(self), self.host, self.port, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def fail(self) -> None:
        """Refuse connections, and cut those that stand."""
        self.refuse_connections()
        for session in tuple(self._open):
            session.transport.abort()
        await asyncio.sleep(0)

    def accepted(self, checkouts: Iterable[str], steps: Iterable[str]) -> list[Accepted]:
        """Return what was taken, by checkout and step; what nobody can have meant is of the checkout `?`."""
        steps = list(steps)
        known = {message_id(id_, step, DOMAIN): Key(id_, step) for id_ in checkouts for step in steps}
        found = []
        for mail in self.mails:
            match = _MESSAGE_ID.search(mail.content)
            name = match[1].decode() if match else "none"
            found.append(Accepted(known.get(name, Key("?", name)), mail.at))
        return found


class _Unhurried(_Session):
    def _say(self, reply: str) -> None:
        pause = self._relay.pause if isinstance(self._relay, Relay) else 0
        if pause and "accepted as" in reply:
            asyncio.get_running_loop().call_later(pause, self._say_late, reply)
        else:
            super()._say(reply)

    def _say_late(self, reply: str) -> None:
        if not self.transport.is_closing():
            super()._say(reply)
