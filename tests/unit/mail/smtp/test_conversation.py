"""The conversation with a relay: replies are taken in order, however they are cut up, and nonsense ends it."""

import asyncio

import pytest

from recovery.mail.smtp.conversation import LONGEST_REPLY, Conversation, Disconnected, Reply, command


class Transport:
    """Records the written bytes."""

    def __init__(self):
        self.written = b""
        self.closing = False

    def set_protocol(self, protocol):
        self.protocol = protocol

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closing


@pytest.fixture
async def conversation():
    return Conversation(Transport())


def heard(conversation, data, at_once=None):
    """Let the relay say something, in pieces of so many bytes."""
    step = at_once or len(data)
    for start in range(0, len(data), step):
        conversation.data_received(data[start : start + step])


@pytest.mark.parametrize("at_once", [1, 2, 7, None])
async def test_replies_are_heard_in_order_however_they_are_cut_up(conversation, at_once):
    """Several replies, one of them of several lines, come out whole, whatever the packets."""
    conversation.say(b"MAIL\r\nRCPT\r\nDATA\r\n", replies=3)
    heard(conversation, b"250 2.1.0 ok\r\n550-5.1.1 no such\r\n550 5.1.1 user\r\n354 go on\r\n", at_once)
    assert [await conversation.hear() for _ in range(3)] == [
        Reply(250, "2.1.0 ok"),
        Reply(550, "5.1.1 no such\n5.1.1 user"),
        Reply(354, "go on"),
    ]
    assert conversation.is_open


async def test_who_waits_is_woken_by_a_whole_reply(conversation):
    """An incomplete reply is not returned."""
    conversation.say(b"NOOP\r\n")
    waiting = asyncio.create_task(conversation.hear())
    heard(conversation, b"250-first\r\n250 la")
    await asyncio.sleep(0)
    assert not waiting.done()
    heard(conversation, b"st\r\n")
    assert await waiting == (250, "first\nlast")


async def test_a_bare_code_is_a_reply(conversation):
    """RFC 5321 section 4.2 lets the text be missing."""
    conversation.say(b"NOOP\r\n")
    heard(conversation, b"250\r\n")
    assert await conversation.hear() == (250, "")


@pytest.mark.parametrize(
    "nonsense", [b"hello\r\n", b"25 x\r\n", b"2500 x\r\n", b"\r\n", b"250x\r\n", "２５０ x\r\n".encode()]
)
async def test_what_is_no_reply_ends_it(conversation, nonsense):
    """Out of step once, nothing that follows can be trusted."""
    conversation.say(b"NOOP\r\n")
    heard(conversation, nonsense + b"250 ok\r\n")
    with pytest.raises(Disconnected, match="invalid reply"):
        await conversation.hear()
    assert not conversation.is_open


async def test_what_is_said_unasked_ends_it(conversation):
    """A 421 on an idle connection is raised at its next use."""
    heard(conversation, b"421 4.4.2 idle too long\r\n")
    with pytest.raises(Disconnected, match=r"421 4\.4\.2 idle too long"):
        conversation.say(b"NOOP\r\n")


@pytest.mark.parametrize("flood", [b"x" * (LONGEST_REPLY + 1), b"250-more\r\n" * 10_000])
async def test_a_reply_without_end_is_not_kept(conversation, flood):
    """Memory is bounded, whatever the relay sends."""
    conversation.say(b"NOOP\r\n")
    heard(conversation, flood)
    with pytest.raises(Disconnected, match="too long"):
        await conversation.hear()


async def test_replies_before_the_end_are_heard(conversation):
    """What was answered before the line went dead counts."""
    conversation.say(b"MAIL\r\nRCPT\r\n", replies=2)
    heard(conversation, b"550 no\r\n")
    conversation.connection_lost(None)
    assert await conversation.hear() == (550, "no")
    with pytest.raises(Disconnected, match="the connection was lost"):
        await conversation.hear()


@pytest.mark.parametrize("word", [b"TO:<a@b.example>\r\nDATA", b"TO:<a\x00@b.example>"])
def test_a_command_is_one_command(word):
    """Nothing that came from outside can become another command."""
    with pytest.raises(ValueError, match="control character"):
        command(b"RCPT", word)
