"""CHUNKING (RFC 3030): one packet a mail where the relay bears it, and no more in doubt than that packet."""

import asyncio

import pytest

from recovery.app.shops import relay_of
from recovery.domain.outcome import OutcomeKind
from recovery.settings import load_settings
from tests.support.session_world import CONTENT, Permit, SessionWorld

MAIL, RCPT = b"MAIL FROM:<shop@example.com>\r\n", b"RCPT TO:<ann@example.com>\r\n"
CHUNK = b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT

SENT, AMBIGUOUS, DROPPED, CALLED_OFF = (
    OutcomeKind.SENT,
    OutcomeKind.AMBIGUOUS,
    OutcomeKind.DROPPED,
    OutcomeKind.CALLED_OFF,
)


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """A connection that has taken a message is trusted for an hour, however busy the machine is."""
    monkeypatch.setattr("recovery.mail.smtp.session.TRUSTED", 3600.0)


@pytest.fixture
async def world():
    """A session that offers PIPELINING, and has just had one message taken."""
    world = SessionWorld("pipelining")
    assert world.send_one() is SENT
    return world


def kind(delivery):
    return delivery.ended.result().kind


async def test_a_mail_is_one_packet_behind_another(world):
    """MAIL, RCPT, BDAT and the content go together, with no dot stuffed; the replies come in order."""
    delivery = world.begin()
    assert world.packets() == [MAIL + RCPT + CHUNK]
    world.hear("250 ok", "250 ok")
    assert not delivery.ended.done()
    world.hear("250 taken")
    assert (kind(delivery), world.owner.freed, world.session.is_open) == (SENT, 2, True)


async def test_the_first_content_of_a_connection_waits_for_the_reply_to_its_announcement():
    """A relay that ends each connection at MAIL leaves no message in doubt."""
    world = SessionWorld("pipelining")
    delivery = world.begin()
    assert world.packets() == [MAIL + RCPT]
    world.lose()
    assert kind(delivery) is DROPPED


async def test_after_a_rest_the_content_waits_for_the_reply_to_its_announcement(world, monkeypatch):
    """A connection that the relay has closed meanwhile costs the message nothing: it goes elsewhere, without doubt."""
    monkeypatch.setattr("recovery.mail.smtp.session.TRUSTED", 0.0)
    world.send_one()
    world.session.is_kept = True
    delivery = world.begin()
    assert world.packets() == [MAIL + RCPT]
    world.lose()
    assert (delivery.ended.done(), world.owner.told) == (False, ["again"])


async def test_without_pipelining_every_command_waits_for_its_reply():
    """Only DATA, and the wait for its reply, are saved."""
    world = SessionWorld()
    assert world.send_one() is SENT
    delivery = world.begin()
    assert world.packets() == [MAIL]
    world.hear("250 ok")
    assert world.packets() == [RCPT]
    world.hear("250 ok")
    assert world.packets() == [CHUNK]
    world.hear("250 taken")
    assert kind(delivery) is SENT


async def test_the_permission_is_asked_immediately_before_the_packet(world):
    """What has to be asked of the database is asked before anything is said, and used once."""
    permission = Permit(known=False)
    delivery = world.begin(permission)
    assert (world.packets(), permission.uses) == ([], 0)
    while not permission.uses:
        await asyncio.sleep(0)
    assert world.packets() == [MAIL + RCPT + CHUNK]
    world.hear("250 ok", "250 ok", "250 taken")
    assert (kind(delivery), permission.asked, permission.uses) == (SENT, 1, 1)


@pytest.mark.parametrize("extensions", [(), ("pipelining",)])
async def test_where_the_content_waits_the_permission_is_asked_after_the_last_reply(extensions):
    """An order that comes while the relay looks up the recipient calls the message off."""
    world = SessionWorld(*extensions)
    permission = Permit(known=False, why_not="ordered meanwhile")
    delivery = world.begin(permission)
    world.hear("250 ok")
    if extensions:
        world.hear("250 ok")
    else:
        assert not permission.asked
        world.hear("250 ok")
    await asyncio.wait_for(delivery.ended, 5)
    assert (kind(delivery), permission.asked, permission.uses) == (CALLED_OFF, 1, 0)
    assert CHUNK not in b"".join(world.packets())


async def test_a_message_that_is_called_off_says_nothing(world):
    """No part of it is on the wire."""
    delivery = world.begin(Permit(known=False, why_not="ordered meanwhile"))
    await asyncio.wait_for(delivery.ended, 5)
    assert (kind(delivery), world.packets()) == (CALLED_OFF, [])


async def test_a_line_that_is_lost_while_the_permission_is_asked_costs_nothing(world):
    """Nothing was said: the message goes over another connection."""
    delivery = world.begin(Permit(known=False))
    world.session.is_kept = True
    world.lose()
    assert (delivery.ended.done(), world.owner.told, world.packets()) == (False, ["again"], [])


@pytest.mark.parametrize("heard", [(), ("250 ok",), ("250 ok", "250 ok")])
async def test_a_line_that_is_lost_after_the_packet_leaves_the_message_in_doubt(world, heard):
    """The relay may have taken it, however little of that was heard; also over a connection that was kept."""
    world.session.is_kept = True
    delivery = world.begin()
    world.hear(*heard)
    world.lose()
    assert (kind(delivery), world.owner.told) == (AMBIGUOUS, [])


async def test_a_silent_relay_leaves_the_message_in_doubt_after_the_time_for_the_content(world, monkeypatch):
    """The relay has the time that it has after a dot, from the packet on."""
    delivery = world.begin()
    loop = asyncio.get_running_loop()
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + 59)
    await asyncio.sleep(0)
    assert not delivery.ended.done()
    monkeypatch.setattr(loop, "time", lambda: clock() + 61)
    outcome = await delivery.ended
    assert (outcome.kind, "did not answer within 60 s" in outcome.reply) == (AMBIGUOUS, True)


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (("550 5.7.1 not you", "503 5.5.1 MAIL first", "503 5.5.1 RCPT first"), OutcomeKind.OUR_FAULT),
        (("451 4.3.0 not now", "503 5.5.1 MAIL first", "503 5.5.1 RCPT first"), OutcomeKind.LATER),
        (("250 ok", "550 5.1.1 no such user", "503 5.5.1 RCPT first"), OutcomeKind.DEAD_ADDRESS),
        (("250 ok", "550 5.1.1 no such user", "554 5.5.1 no valid recipients"), OutcomeKind.DEAD_ADDRESS),
        (("250 ok", "450 4.2.0 later", "503 5.5.1 RCPT first"), OutcomeKind.LATER),
        (("250 ok", "250 ok", "452 4.3.1 disk full"), OutcomeKind.LATER),
        (("250 ok", "250 ok", "554 5.6.0 malformed"), OutcomeKind.DEAD_MESSAGE),
        (("250 ok", "250 ok", "354 what?"), AMBIGUOUS),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_refused_message_has_the_meaning_of_its_first_refusal(world, replies, expected, together):
    """What the relay says to BDAT behind a refused command only says that nothing was taken."""
    delivery = world.begin()
    for replies_at_once in [replies] if together else [(reply,) for reply in replies]:
        world.hear(*replies_at_once)
    assert kind(delivery) is expected
    first = next(reply for reply in replies if not reply.startswith("250"))
    assert first.partition(" ")[2] in delivery.ended.result().reply


async def test_after_a_refusal_the_connection_is_used_again(world):
    """It is reset; the next content waits for the replies, and the one after that goes at once."""
    refused = world.begin()
    world.hear("250 ok", "550 5.1.1 no such user", "503 5.5.1 RCPT first")
    assert kind(refused) is OutcomeKind.DEAD_ADDRESS
    world.packets()
    following = world.begin()
    assert world.packets() == [b"RSET\r\n" + MAIL + RCPT]
    world.hear("250 reset", "250 ok", "250 ok")
    assert world.packets() == [CHUNK]
    world.hear("250 taken")
    assert kind(following) is SENT
    world.begin()
    assert world.packets() == [MAIL + RCPT + CHUNK]


async def test_a_421_to_the_announcement_is_no_doubt(world):
    """The relay says that it ends the session before it took anything: the message goes over another connection."""
    world.session.is_kept = True
    delivery = world.begin()
    world.hear("421 4.7.0 enough for one session")
    assert (delivery.ended.done(), world.owner.told, world.session.is_open) == (False, ["again"], False)


async def test_a_line_that_is_lost_behind_a_refusal_is_no_doubt(world):
    """The refusal is what counts."""
    delivery = world.begin()
    world.hear("250 ok", "550 5.1.1 no such user")
    world.lose()
    assert kind(delivery) is OutcomeKind.DEAD_ADDRESS


async def test_a_content_that_is_taken_though_its_recipient_was_refused_is_in_doubt(world):
    """The relay contradicts itself, or answers out of order: the connection is given up."""
    delivery = world.begin()
    world.hear("250 ok", "550 5.1.1 no such user", "250 taken")
    assert (kind(delivery), world.session.is_open) == (AMBIGUOUS, False)


@pytest.mark.parametrize("code", [500, 502])
async def test_a_relay_that_does_not_know_bdat_gets_data(world, code):
    """It has taken nothing: the message goes over another connection, where DATA is used."""
    delivery = world.begin()
    world.hear("250 ok", "250 ok", f"{code} what?")
    assert (delivery.ended.done(), world.owner.told) == (False, ["chunk no more", "again"])
    assert not world.session.is_open


async def test_an_error_nobody_expected_ends_one_message(world):
    """It is raised where the outcome is waited for, and the connection is given up."""

    class Broken(Permit):
        def granted(self):
            raise RuntimeError("broken")

    delivery = world.begin(Broken())
    with pytest.raises(RuntimeError, match="broken"):
        await delivery.ended
    assert (world.packets(), world.session.is_open) == ([], False)


async def test_a_content_beyond_ascii_and_such_an_address_are_announced_as_with_data():
    """8BITMIME, SMTPUTF8 and SIZE are said where they are offered and needed, in the same packet."""
    world = SessionWorld("pipelining", "size", "8bitmime", "smtputf8")
    assert world.send_one() is SENT
    content = "Subject: hé\r\n\r\n".encode()
    world.begin(content=content, recipient="jörg@example.com", needs_utf8=True)
    head = (
        "MAIL FROM:<shop@example.com> SIZE=16 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<jörg@example.com>\r\nBDAT 16 LAST\r\n"
    )
    assert world.packets() == [head.encode() + content]


async def test_an_address_beyond_ascii_is_not_sent_where_the_relay_does_not_take_it(world):
    """The message ends alone, and the connection serves the next one."""
    delivery = world.begin(recipient="jörg@example.com", needs_utf8=True)
    assert (kind(delivery), world.packets()) == (OutcomeKind.DEAD_MESSAGE, [])
    world.begin()
    assert world.packets() == [MAIL + RCPT + CHUNK]


@pytest.mark.parametrize("content", [b"a\nb\rc", b".a\r\n..b", b""])
async def test_a_chunk_is_of_whole_lines(world, content):
    """Bare line ends become whole ones, as with DATA, and the length is that of what is sent."""
    world.begin(content=content)
    (packet,) = world.packets()
    command, _, sent = packet.partition(b"BDAT ")[2].partition(b"\r\n")
    assert command == b"%d LAST" % len(sent)
    assert sent.endswith(b"\r\n")
    assert sent.count(b"\r\n") == sent.count(b"\n") == sent.count(b"\r")
    assert sent.startswith(content[:2].rstrip(b"\n"))


@pytest.mark.parametrize("chunking", [False, True])
def test_the_setting_reaches_the_relay(chunking):
    """The pool asks for what smtp.chunking says."""
    assert relay_of(load_settings(smtp={"chunking": chunking})).chunking is chunking
