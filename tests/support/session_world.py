"""A session beside a relay that is a page of text: what it wrote, and what the test makes it hear."""

import asyncio
import re
from dataclasses import replace

from recovery.mail.composer import Envelope
from recovery.mail.smtp.delivery import Delivery
from recovery.mail.smtp.session import Session
from tests.support.smtp_world import CHECKOUT

CONTENT = b"Subject: hello\r\n\r\n.one dot\r\nlast\r\n"
ENVELOPE = Envelope("shop@example.com", "ann@example.com", "<1@example.com>", CONTENT, needs_utf8=False)
_COMMANDS = re.compile(rb"^(?:RSET|MAIL|RCPT|BDAT)\b", re.MULTILINE)


class Transport:
    """Keeps what is written, packet by packet."""

    def __init__(self):
        self.packets = []
        self.aborted = False

    def set_protocol(self, protocol):
        self.protocol = protocol

    def write(self, data):
        self.packets.append(data)

    def is_closing(self):
        return self.aborted

    def abort(self):
        self.aborted = True

    def get_extra_info(self, name):
        del name


class Client:
    """A connection as aiosmtplib opens it, to a relay that offers some extensions."""

    def __init__(self, transport, extensions):
        self.transport = transport
        self._extensions = extensions

    def supports_extension(self, name):
        return name in self._extensions

    def close(self):
        pass


class OwnerOfOne:
    """The owner of one session: notes what it hears of it, and gives it the messages that wait to be announced."""

    def __init__(self):
        self.told = []
        self.freed = 0
        self.waiting = []

    def follower(self, session):
        return self.waiting.pop(0) if self.waiting else None

    def answered(self, seconds):
        pass

    def again(self, delivery):
        self.told.append("again")

    def follow_no_more(self):
        self.told.append("follow no more")

    def pipeline_no_more(self):
        self.told.append("pipeline no more")

    def answered_in_part(self):
        self.told.append("answered in part")

    def chunk_no_more(self):
        self.told.append("chunk no more")

    def free(self, session):
        self.freed += 1


class Permit:
    """A permission that is granted, unless a reason against it is set; `known` if nobody has to be asked."""

    def __init__(self, known=True, why_not=None):
        self.known = known
        self.why_not = why_not
        self.asked = 0
        self.uses = 0

    def granted(self):
        return self.known

    async def refused(self):
        self.asked += 1
        return self.why_not

    def used(self):
        self.uses += 1


class SessionWorld:
    """A session to a relay that offers some extensions, its owner, and the packets sent since they were read last."""

    def __init__(self, *extensions, chunking=True):
        self.transport = Transport()
        self.owner = OwnerOfOne()
        client = Client(self.transport, {"chunking", *extensions})
        self.session = Session(client, "hello", self.owner, timeout=20.0, dot_timeout=60.0, chunking=chunking)

    def message(self, permission=None, **changes):
        """Return a message."""
        envelope = replace(ENVELOPE, **changes)
        hand_over_by = asyncio.get_running_loop().time() + 5
        delivery = Delivery(CHECKOUT, lambda: envelope, permission or Permit(), hand_over_by)
        assert delivery.compose()
        return delivery

    def begin(self, permission=None, **changes):
        """Give the session a message; return it."""
        delivery = self.message(permission, **changes)
        self.session.begin(delivery)
        return delivery

    def packets(self):
        """Return the bytes written since the last call."""
        written, self.transport.packets = self.transport.packets, []
        return written

    def hear(self, *replies):
        """Let the relay say these replies, in one packet."""
        self.session.conversation.data_received(b"".join(reply.encode() + b"\r\n" for reply in replies))

    def lose(self):
        """Let the line go dead."""
        self.session.conversation.connection_lost(None)

    def send_one(self):
        """Send a message which the relay takes, so that the connection is trusted for a while."""
        delivery = self.begin()
        while packets := self.packets():
            self.hear(*["250 ok"] * len(_COMMANDS.findall(b"".join(packets))))
        assert delivery.ended.done()
        return delivery.ended.result().kind
