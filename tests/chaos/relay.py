"""The relay of the harness: it records, misbehaves as configured, and may be slow."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterable

from recovery.mail.composer import message_id
from tests.chaos.checker import Accepted
from tests.chaos.ledger import Key
from tests.support.smtp_servers import Mail, RecordingRelay, _Fault, _Session

DOMAIN = "shop.example"
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>]+>)\r$", re.MULTILINE | re.IGNORECASE)

UNHEARD = 0.5
"""Seconds in which an answer may not have been heard yet when its line is cut."""


class Relay(RecordingRelay):
    """A recording relay that answers after the dot only when `pause` seconds have passed, or those of a recipient."""

    pause = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.ponders: dict[str, float] = {}
        """Seconds that the answer after the dot takes, by recipient."""
        self.unheard: list[Mail] = []
        """What was taken, and the line cut before its answer was certainly heard."""
        self.refuses: Callable[[str, str], str | None] = lambda _phase, _recipient: None
        """A rule of its own: the reply to a phase, for a recipient from RCPT on, by which it refuses; None if not."""
        self.most_errors = 0
        """The most errors in a row that any session made, without a mail taken in between."""
        self.most_per_session: int | None = None
        """Mails that it takes in one session; at the next MAIL, it closes that with 421."""
        self.announced = 0
        """How often a message was announced in the packet of another's content."""
        self.drops_announced = False
        """Whether it offers PIPELINING and cannot: what comes behind a content is dropped."""
        self.says_of_announced: str | None = None
        """The reply to each command that it drops; None for silence."""

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
            last = session.last
            if last is not None and time.time() - last.at < UNHEARD + self.pause:
                self.unheard.append(last)
            session.transport.abort()
        await asyncio.sleep(0)

    def waiting_behind(self) -> int:
        """Return the number of messages announced behind a content whose reply is pending."""
        return sum(isinstance(session, _Unhurried) and session.is_to_ask for session in self._open)

    def accepted(self, checkouts: Iterable[str], steps: Iterable[str]) -> list[Accepted]:
        """Return what was taken, by checkout and step; what nobody can have meant is of the checkout `?`."""
        names = self._names(checkouts, steps)
        return [Accepted(_key(names, mail), mail.at, mail.handed_at) for mail in self.mails]

    def cut(self, checkouts: Iterable[str], steps: Iterable[str]) -> set[Key]:
        """Return what was taken, and the line cut before its answer was certainly heard."""
        names = self._names(checkouts, steps)
        return {_key(names, mail) for mail in self.unheard}

    def _fault(self, phase: str, recipient: str) -> _Fault | None:
        reply = self.refuses(phase, recipient)
        return super()._fault(phase, recipient) if reply is None else _Fault(phase, "answer", reply, None, None)

    @staticmethod
    def _names(checkouts: Iterable[str], steps: Iterable[str]) -> dict[str, Key]:
        steps = list(steps)
        return {message_id(id_, step, DOMAIN): Key(id_, step) for id_ in checkouts for step in steps}


def _key(names: dict[str, Key], mail: Mail) -> Key:
    match = _MESSAGE_ID.search(mail.content)
    name = match[1].decode() if match else "none"
    return names.get(name, Key("?", name))


class _Unhurried(_Session):
    """Answers in order, as every server does: what comes after a late reply waits behind it."""

    def __init__(self, relay: RecordingRelay) -> None:
        super().__init__(relay)
        self._late: deque[tuple[float, str, str]] = deque()
        self._taken_so_far = self._errors = 0

    @property
    def is_to_ask(self) -> bool:
        """Whether a late reply is followed by the one that asks for the next content."""
        return any(reply.startswith("354") for _, reply, _ in self._late)

    def _reach(self, phase: str) -> bool:
        relay = self._relay
        most = relay.most_per_session if isinstance(relay, Relay) else None
        if phase != "MAIL" or most is None or self._taken_so_far < most:
            return super()._reach(phase)
        self._say("421 too many messages in this connection")
        self.silent = True
        self.transport.close()
        return False

    def _content(self) -> bool:
        went_on = super()._content()
        relay = self._relay
        if isinstance(relay, Relay) and self._buffer and not self._in_content:
            relay.announced += 1
            if relay.drops_announced:
                dropped, self._buffer = self._buffer, bytearray()
                for _ in range(dropped.count(b"\r\n") if relay.says_of_announced else 0):
                    self._say(relay.says_of_announced or "")
        return went_on

    def _count(self, relay: Relay, reply: str) -> None:
        if "accepted as" in reply:
            self._taken_so_far, self._errors = self._taken_so_far + 1, 0
        elif reply[0] in "45":
            self._errors += 1
            relay.most_errors = max(relay.most_errors, self._errors)

    def _say(self, reply: str, encoding: str = "utf-8") -> None:
        relay = self._relay
        pause = 0.0
        if isinstance(relay, Relay):
            self._count(relay, reply)
        if isinstance(relay, Relay) and "accepted as" in reply:
            pause = relay.ponders.get(self.last.recipient if self.last else "", relay.pause)
        if not pause and not self._late:
            super()._say(reply, encoding)
            return
        loop = asyncio.get_running_loop()
        self._late.append((loop.time() + pause, reply, encoding))
        if len(self._late) == 1:
            loop.call_at(self._late[0][0], self._say_late)

    def _say_late(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and not self.transport.is_closing():
            at, reply, encoding = self._late[0]
            if at > loop.time():
                loop.call_at(at, self._say_late)
                return
            self._late.popleft()
            super()._say(reply, encoding)
