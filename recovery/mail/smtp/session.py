"""SMTP session: one connection to the relay, and the transactions on it, driven by the relay's replies.

Where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA are one packet; and behind the content of a message,
in the same packet, the next one is announced: one round trip a message. With CHUNKING (RFC 3030), if that is wanted,
MAIL, RCPT, BDAT and the content are one packet.
"""

import asyncio
from collections import deque
from typing import Final, Literal, cast

import aiosmtplib

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.conversation import GOODBYE, Conversation, Reply, command, hang_up
from recovery.mail.smtp.delivery import Delivery, silent
from recovery.mail.smtp.owner import Owner
from recovery.mail.smtp.patience import Patience
from recovery.mail.smtp.replies import Phase, read_reply
from recovery.mail.smtp.wording import is_about_pipelining

RSET: Final = "RSET"
_Awaited = Phase | Literal["RSET"]

CLOSING = 421
"""The code after which a relay closes the connection, whatever it was about."""

_GO_ON = {Phase.MAIL: 2, Phase.RCPT: 2, Phase.DATA: 3}
"""The class of the reply after which the transaction goes on, by command."""

TRUSTED = 1.0
"""Seconds after an accepted message in which a content goes out with its announcement, as one chunk. A relay may have
closed a connection at rest: then the content waits until the relay has answered the announcement."""

_UNKNOWN_COMMAND = (500, 502)
"""The codes of a relay that does not know a command, or has not implemented it."""

_OUT_OF_STEP = (OutcomeKind.DROPPED, OutcomeKind.OUR_FAULT, OutcomeKind.AMBIGUOUS)
"""Outcomes after which the connection is closed, and the next message opens a new one."""

_USED = frozenset({"pipelining", "size", "8bitmime", "smtputf8"})


class Session:
    """One connection to the relay. It carries one message, and may have announced the one that follows.

    Only a message whose content is on the wire can be ambiguous; one that was only announced goes elsewhere. `begin()`
    is given a message, and calls its owner's `free()` later, when there is none left.
    """

    def __init__(
        self,
        client: aiosmtplib.SMTP,
        greeting: str,
        owner: Owner,
        *,
        timeout: float,
        dot_timeout: float,
        pipelining: bool = True,
        chunking: bool = False,
    ) -> None:
        transport = cast("asyncio.Transport", client.transport)
        self._client = client
        self._transport = transport
        self._owner = owner
        self._timeout = timeout
        self._dot_timeout = dot_timeout
        self._loop = asyncio.get_running_loop()
        self.conversation = Conversation(transport, self._heard)
        self.greeting = greeting
        self.messages = 0
        """Number of messages announced so far."""
        self.refused = 0
        """Number of messages refused since the last one that was accepted."""
        self.used_at = 0.0
        self.is_kept = False
        """Whether it was at rest before this message: a relay may end such a session at any time."""
        used = _USED if pipelining else _USED - {"pipelining"}
        self._offered = frozenset(name for name in used if client.supports_extension(name))
        self._chunks = chunking and client.supports_extension("chunking")
        self._trusted_until = 0.0
        self._current: Delivery | None = None
        self.follower: Delivery | None = None
        """The message that is announced behind the content of the current one."""
        self._busy = False
        self._behind = False
        self._phase = Phase.MAIL
        self._is_out = False
        """Whether the content of the current message is on the wire: if the connection is lost, it is ambiguous."""
        self._refusal: Reply | None = None
        self._in_transaction = False
        self._unsaid: deque[tuple[_Awaited, bytes]] = deque()
        self._awaited: deque[_Awaited] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._content_at = 0.0
        self._patience = Patience(self._loop, self._is_silent)

    @property
    def is_open(self) -> bool:
        """True if the connection is open, as far as is known."""
        return self.conversation.is_open

    def begin(self, delivery: Delivery) -> bool:
        """Announce a message; return False if it has ended without that. Requires an idle session."""
        commands = delivery.commands(self._offered)
        if commands is None:
            return False
        if not self.is_open:
            delivery.end(OutcomeKind.DROPPED, self.conversation.fault)
            return False
        self._busy = True
        self._current, self._behind = delivery, False
        delivery.abort = self._abort
        self.messages += 1
        # A refused message may have left a transaction open.
        self._unsaid = deque([(RSET, command(b"RSET"))] if self._in_transaction else [])
        self._unsaid.extend(zip(_GO_ON, commands, strict=True))
        if self._chunks:
            self._unsaid.pop()  # BDAT goes with the content
        self._turn_to(delivery)
        if self._chunks and "pipelining" in self._offered and self._loop.time() < self._trusted_until:
            return self._hand_over_at_once(delivery)
        self._say_next()
        return True

    def drop(self) -> None:
        """Close the connection at once, see `hang_up`."""
        self._patience.end()
        hang_up(self._transport)
        self._client.close()

    def leave(self) -> None:
        """Send QUIT and close, without waiting for the reply: the message just sent must not wait for it either."""
        self._patience.end()
        self.conversation.leave()
        self._client.close()

    async def quit(self) -> None:
        """Send QUIT and wait for the reply, as RFC 5321 section 4.1.1.10 asks, for at most `GOODBYE` seconds."""
        try:
            async with asyncio.timeout(GOODBYE):
                await self.conversation.ask(b"QUIT")
                self.drop()
                await self.conversation.lost()
        except OSError:
            pass
        finally:
            self.drop()

    # Events: replies, the end of the connection, silence, the permission, a cancelled message.

    def _heard(self) -> None:
        """Act on replies, or on the end of the connection."""
        if not self._busy:
            return
        try:
            while self._current is not None and (reply := self.conversation.heard()) is not None:
                self._take(self._current, reply)
            if not self.is_open:
                self._lost(self.conversation.fault)
        except Exception as error:  # noqa: BLE001  whatever it is, no message may wait for its outcome for ever
            self._fail(error)
        self._free_if_done()

    def _is_silent(self) -> None:
        if self._current is not None:
            self._lost(silent(self._patience.seconds), fell_silent=True)
            self._free_if_done()

    async def _ask_permission(self, delivery: Delivery) -> None:
        try:
            why_not = await delivery.permission.refused()
            if self._current is delivery:
                self._asking = None
                if why_not is None:
                    self._say_content(delivery)
                else:
                    delivery.end(OutcomeKind.CALLED_OFF, why_not)
                    self._close()  # the relay expects the content
        except Exception as error:  # noqa: BLE001  as above
            self._asking = None
            self._fail(error)
        self._free_if_done()

    def _abort(self, delivery: Delivery) -> None:
        """Close the connection of a cancelled message. One that is only announced waits for its turn."""
        if delivery is self._current:
            self._close()
            self._free_if_done()

    # The transaction.

    def _take(self, current: Delivery, reply: Reply) -> None:
        awaited = self._awaited.popleft()
        if self._refusal is not None:
            self._hear_out(awaited, reply)
        elif awaited == RSET:
            if reply.code == aiosmtplib.SMTPStatus.completed:
                self._say_next()
            else:
                self._lost(f"the relay refuses RSET: {reply.words}")
        elif awaited is Phase.DOT:
            self._owner.answered(self._loop.time() - self._content_at)
            self._answered(current, reply)
        elif reply.code // 100 != _GO_ON[awaited]:
            self._refused(current, reply)
        elif awaited is Phase.MAIL:
            self._phase = Phase.RCPT
            self._say_next()
        elif self._is_out:
            self._phase = Phase.DOT
        else:
            self._phase = Phase.DATA
            if awaited is Phase.DATA or self._chunks:
                self._hand_over(current)
            else:
                self._say_next()

    def _answered(self, current: Delivery, reply: Reply) -> None:
        """Act on the reply to the content."""
        if self._chunks and reply.code in _UNKNOWN_COMMAND:
            self._owner.chunk_no_more()
            self._owner.again(current)
            self._close()
        else:
            self._conclude(current, reply)

    def _refused(self, current: Delivery, reply: Reply) -> None:
        """Wait for the replies to the commands that went with the refused one, but not for those after 421."""
        self._unsaid.clear()
        if self._is_for_haste(reply):
            if self._behind and self._phase is Phase.MAIL:
                self._owner.follow_no_more()
            else:
                self._owner.pipeline_no_more()
            self._owner.again(current)
            self._close()
        elif self._awaited and reply.code != CLOSING:
            self._refusal = reply
        else:
            self._conclude(current, reply)

    def _is_for_haste(self, reply: Reply) -> bool:
        """Return whether a refusal is for commands that did not wait for replies, and not about the message."""
        if "pipelining" not in self._offered:
            return False
        if self._behind and self._phase is Phase.MAIL and reply.code == aiosmtplib.SMTPStatus.bad_command_sequence:
            return True
        return is_about_pipelining(reply.text)

    def _hear_out(self, awaited: _Awaited, reply: Reply) -> None:
        """Hear the remaining replies of a refused message. If the relay still asks for the content, send none.

        RFC 2920 section 3.1: a relay may reply to DATA with 354 even though it accepted no recipient.
        """
        if awaited is Phase.DATA and reply.code // 100 == _GO_ON[Phase.DATA] and self.is_open:
            self._say(b".\r\n", Phase.DOT)
        elif awaited is Phase.DOT and self._is_out and reply.code // 100 == 2 and self._current is not None:
            self._current.end(OutcomeKind.AMBIGUOUS, f"refused, but its content was taken: {reply.words}")
            self._close()
        elif not self._awaited and self._current is not None and self._refusal is not None:
            self._conclude(self._current, self._refusal)

    def _say_next(self) -> None:
        """Send what is unsaid: the next command alone, or all at once where the relay allows it."""
        if not self._unsaid or not self.is_open:
            return
        if "pipelining" in self._offered:
            self._say(b"".join(line for _, line in self._unsaid), *(awaited for awaited, _ in self._unsaid))
            self._unsaid.clear()
        else:
            awaited, line = self._unsaid.popleft()
            self._say(line, awaited)

    def _hand_over_at_once(self, current: Delivery) -> bool:
        """Send a message in one packet, if that is still permitted; return False if it has ended without that."""
        try:
            self._hand_over(current)
        except Exception as error:  # noqa: BLE001  as above
            self._fail(error)
            self._busy = False
        return self._busy

    def _hand_over(self, current: Delivery) -> None:
        """Send the content if that is still permitted; ask first if that is not known."""
        if current.permission.granted():
            self._say_content(current)
        else:
            self._patience.pause()  # the time that the database takes is not the relay's
            self._asking = self._loop.create_task(self._ask_permission(current))

    def _say_content(self, current: Delivery) -> None:
        """Send the content, and announce behind it the message that follows, if there is one."""
        if current.is_over:  # it was cancelled in this turn of the loop
            self._close()
            return
        if not self.is_open:
            self._lost(self.conversation.fault)
            return
        data = current.chunk() if self._chunks else current.content()
        current.permission.used()
        self._is_out = True
        if self._phase is Phase.DATA:
            self._phase = Phase.DOT
        self._content_at = self._loop.time()
        self._patience.begin(self._dot_timeout)
        if self._chunks:
            self._unsaid.append((Phase.DOT, data))
            self._say_next()
            return
        follower = self._owner.follower(self) if "pipelining" in self._offered else None
        commands = None if follower is None else follower.commands(self._offered)
        if follower is None or commands is None:
            self._say(data, Phase.DOT)
            return
        follower.abort = self._abort
        self.follower = follower
        self.messages += 1
        self._say(data + b"".join(commands), Phase.DOT, *_GO_ON)

    def _say(self, data: bytes, *awaited: _Awaited) -> None:
        self._awaited.extend(awaited)
        self.conversation.say(data, replies=len(awaited))

    # The ends of messages.

    def _conclude(self, current: Delivery, reply: Reply) -> None:
        """End the current message as this reply means, and turn to the one behind it."""
        phase = self._phase
        kind = read_reply(phase, *reply)
        # Exim ends a session with "too many messages in this connection": that is no word about our rate.
        ends_session = reply.code == CLOSING and phase is Phase.MAIL and self.is_kept
        if kind is OutcomeKind.CONNECTION or ends_session:
            kind = OutcomeKind.DROPPED
        # Relays may end kept sessions at any time, and that is no failure: only a new connection counts.
        if kind is OutcomeKind.DROPPED and phase is Phase.MAIL and self.is_kept:
            self._owner.again(current)
        else:
            current.end(kind, reply.words, to_recipient=phase is not Phase.MAIL)
        if kind in _OUT_OF_STEP or reply.code == CLOSING:
            self._close()
            return
        self._in_transaction = kind is not OutcomeKind.SENT
        if self._chunks:
            self._trusted_until = 0.0 if self._in_transaction else self._loop.time() + TRUSTED
        self.refused = self.refused + 1 if self._in_transaction else 0
        self._current, self.follower, self._behind = self.follower, None, True
        if self._current is None:
            self._patience.pause()
        elif self._current.is_over:  # the relay expects its content next
            self._close()
        else:
            self.is_kept = True
            self._turn_to(self._current)

    def _turn_to(self, delivery: Delivery) -> None:
        self._current = delivery
        self._phase = Phase.MAIL
        self._is_out = False
        self._refusal = None
        self._patience.begin(self._timeout)

    def _lost(self, why: str, *, fell_silent: bool = False) -> None:
        """End the current message as its phase demands, now that the connection is lost."""
        current = self._current
        if current is None:
            self._close()
        elif self._refusal is not None:
            self._conclude(current, self._refusal)  # the refusal is what counts
            self._close()
        elif self._is_out:
            current.end(OutcomeKind.AMBIGUOUS, f"lost after the dot: {why}")
        elif self._phase is Phase.MAIL and (self._behind if fell_silent else self.is_kept):
            if fell_silent:
                self._owner.follow_no_more()
            self._owner.again(current)
        else:
            if self._phase is not Phase.MAIL and "pipelining" in self._offered:
                self._owner.answered_in_part()
            current.end(OutcomeKind.DROPPED, why)
        self._close()

    def _fail(self, error: Exception) -> None:
        if self._current is not None:
            self._current.fail(error)
        self._close()

    def _close(self) -> None:
        """Drop the connection. The current message has ended; the one announced behind it goes elsewhere."""
        follower, self.follower, self._current = self.follower, None, None
        if follower is not None:
            self._owner.again(follower)
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        self.drop()

    def _free_if_done(self) -> None:
        if self._busy and self._current is None:
            self._busy = False
            self._owner.free(self)
