"""Messages announced behind the content of others: one round trip each, and none suffers from the one before it."""

import asyncio

import pytest

from recovery.domain.outcome import OutcomeKind
from tests.chaos.relay import Relay
from tests.support.followers_world import Granted, followers_world
from tests.support.scripted_relay import ScriptedRelay
from tests.support.smtp_servers import EXTENSIONS, RecordingRelay

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""

SENT, UNSENT, AMBIGUOUS = OutcomeKind.SENT, OutcomeKind.UNSENT, OutcomeKind.AMBIGUOUS


@pytest.fixture
async def world():
    async with RecordingRelay() as relay, followers_world(relay) as world:
        assert (await world.send("first")).kind is SENT
        yield world


async def test_a_message_takes_one_round_trip_behind_another(world):
    """Each packet but the first holds a content and the announcement of the next message."""
    before = world.relay.packets
    assert await world.kinds(*(world.send(f"n{n}") for n in range(10))) == [SENT] * 10
    assert world.relay.packets - before == 11
    assert world.recipients() == ["first", *(f"n{n}" for n in range(10))]
    assert world.relay.connections == 1


async def test_without_pipelining_every_command_waits_for_its_reply():
    """A relay that does not offer it gets four packets a message, whoever waits."""
    async with RecordingRelay(EXTENSIONS[:-1]) as relay, followers_world(relay) as world:
        await world.send("first")
        before = relay.packets
        assert await world.kinds(*(world.send(f"n{n}") for n in range(5))) == [SENT] * 5
        assert relay.packets - before == 20


async def test_nothing_is_announced_behind_a_content_whose_reply_takes_long(world):
    """A message that would wait too long there stays free for another connection."""
    world.mailer._pool.answered(30.0)
    before = world.relay.packets
    assert await world.kinds(world.send("a"), world.send("b"), world.send("c")) == [SENT] * 3
    assert world.relay.packets - before == 6


async def test_permission_is_asked_when_the_relay_waits_for_the_content_of_a_follower(world):
    """It was announced while its permission was good: what was reported meanwhile calls it off."""
    permission = Granted()

    async def order_meanwhile():
        assert world.relay.reached[-1] == "DATA"
        permission.why_not = "ordered meanwhile"

    permission.before, permission.fresh = order_meanwhile, False
    sendings = world.send("a"), world.send("b", permission=permission), world.send("c")
    assert await world.kinds(*sendings) == [SENT, OutcomeKind.CALLED_OFF, SENT]
    assert (world.recipients(), permission.uses) == (["first", "a", "c"], 0)
    assert any("b@example.com" in command for command in world.relay.commands)
    assert world.relay.connections == 2


async def test_a_follower_with_permission_from_the_database_is_sent(world):
    """A permission that has to be asked for does not cost the message its place."""
    permission = Granted()
    permission.fresh = False
    assert await world.kinds(world.send("a"), world.send("b", permission=permission), world.send("c")) == [SENT] * 3
    assert (permission.asked, permission.uses, world.relay.connections) == (1, 1, 1)


@pytest.mark.parametrize("phase", ["DATA-BODY", "DOT"])
async def test_only_the_message_whose_content_was_sent_is_ambiguous(world, phase):
    """A line that is lost between content and reply leaves the message in doubt, and no neighbour of it."""
    world.relay.close_at(phase, recipient="a@example.com")
    assert await world.kinds(world.send("a"), world.send("b"), world.send("c")) == [AMBIGUOUS, SENT, SENT]
    assert world.recipients() == ["first", "b", "c"]
    assert world.permissions["b"].uses == 1


async def test_a_follower_does_not_wait_for_a_silent_relay(world, leap):
    """It goes back when its own time is over, and is not sent when the relay speaks again."""
    world.relay.hang_at("DOT", recipient="a@example.com")
    slow, follower = world.send("a"), world.send("b", within=0.2)
    assert (await follower).kind is UNSENT
    assert not slow.done()
    leap(61)
    outcome = await slow
    assert outcome.kind is AMBIGUOUS
    assert "did not answer within 60 s" in outcome.reply
    assert (await world.send("c")).kind is SENT
    assert (world.recipients(), world.permissions["b"].uses) == (["first", "c"], 0)


async def test_a_follower_that_went_back_is_not_sent_after_a_late_reply(world):
    """The relay then waits for its content: the connection is closed without that."""
    world.relay.slow["DOT"] = 0.4
    sendings = world.send("a"), world.send("b", within=0.2)
    assert await world.kinds(*sendings) == [SENT, UNSENT]
    world.relay.slow.clear()
    assert (await world.send("c")).kind is SENT
    assert (world.recipients(), world.relay.connections) == (["first", "a", "c"], 2)


@pytest.mark.parametrize(
    ("reply", "kind", "connections"),
    [
        ("452 4.3.1 disk full", OutcomeKind.LATER, 1),
        ("554 5.6.0 malformed", OutcomeKind.DEAD_MESSAGE, 1),
        ("550 5.7.1 unsigned", OutcomeKind.OUR_FAULT, 2),
        ("421 4.3.0 filter trouble", OutcomeKind.LATER, 2),
        ("354 what?", AMBIGUOUS, 2),
        ("gibberish", AMBIGUOUS, 2),
    ],
)
async def test_a_refused_content_is_not_its_follower_s_fault(world, reply, kind, connections):
    """Whatever a content is answered with, the message behind it is sent."""
    world.relay.answer("DOT", reply, recipient="a@example.com")
    assert await world.kinds(world.send("a"), world.send("b"), world.send("c")) == [kind, SENT, SENT]
    assert (world.recipients(), world.relay.connections) == (["first", "b", "c"], connections)


@pytest.mark.parametrize(
    ("phase", "reply", "kind", "connections"),
    [
        ("RCPT", "550 5.1.1 no such user", OutcomeKind.DEAD_ADDRESS, 1),
        ("RCPT", "450 4.2.0 later", OutcomeKind.LATER, 1),
        ("RCPT", "421 4.3.2 closing", OutcomeKind.DROPPED, 2),
        ("RCPT", "gibberish", OutcomeKind.DROPPED, 2),
        ("DATA", "451 4.3.0 not now", OutcomeKind.LATER, 1),
        ("DATA", "250 what?", OutcomeKind.DROPPED, 2),
    ],
)
async def test_a_refused_follower_has_the_outcome_of_any_message(world, phase, reply, kind, connections):
    """It is quoted to the message that it is about, and those before and after it are sent."""
    world.relay.answer(phase, reply, recipient="b@example.com")
    assert await world.kinds(world.send("a"), world.send("b"), world.send("c")) == [SENT, kind, SENT]
    assert (world.recipients(), world.relay.connections) == (["first", "a", "c"], connections)


async def test_a_relay_that_asks_for_the_content_of_a_refused_follower_gets_none():
    """RFC 2920 section 3.1: then the final dot goes alone, and the next message over the same connection."""
    async with RecordingRelay(lenient=True) as relay, followers_world(relay) as world:
        await world.send("first")
        relay.answer("RCPT", "550 5.1.1 no such user", recipient="b@example.com")
        assert await world.kinds(world.send("a"), world.send("b"), world.send("c")) == [
            SENT,
            OutcomeKind.DEAD_ADDRESS,
            SENT,
        ]
        assert (world.recipients(), relay.connections) == (["first", "a", "c"], 1)


@pytest.mark.parametrize("way", ["421", "close"])
async def test_a_session_that_ends_behind_a_content_is_no_fault(world, way):
    """Relays end sessions after some messages: the one that was announced goes over a new connection."""
    sending = world.send("a")
    await world.relay.until(lambda: any("a@example.com" in command for command in world.relay.commands))
    if way == "421":
        world.relay.answer("MAIL", "421 4.7.0 enough for one session")
    else:
        world.relay.close_at("MAIL")
    assert await world.kinds(sending, world.send("b")) == [SENT, SENT]
    assert world.relay.connections == 2


async def test_a_relay_that_wants_no_follower_gets_none_any_more(world):
    """One that calls it a bad sequence of commands is asked again, over a connection with nothing before it."""
    sendings = world.send("a"), world.send("b"), world.send("c"), world.send("d")
    await world.relay.until(lambda: any("a@example.com" in command for command in world.relay.commands))
    world.relay.answer("MAIL", "503 5.5.1 one at a time")
    assert await world.kinds(*sendings) == [SENT] * 4
    before = world.relay.packets
    assert await world.kinds(world.send("e"), world.send("f")) == [SENT] * 2
    assert world.relay.packets - before == 4
    assert world.relay.connections == 2


async def test_a_relay_that_loses_what_is_behind_a_content_gets_it_again(leap):
    """One that drops what it had not read yet falls silent: the message is sent again, and none behind a content."""
    async with ScriptedRelay() as relay, followers_world(relay) as world:
        first = world.send("first")
        session = await relay.sessions.get()
        await take(session, first)
        sendings = world.send("a"), world.send("b")
        await session.hear(b"DATA\r\n")
        session.say(b"250 ok", b"250 ok", b"354 go on")
        await session.hear(b"DATA\r\n")
        assert b".a\r\n.\r\nMAIL FROM:<shop@example.com>\r\nRCPT TO:<b@example.com>" in session.heard
        session.say(b"250 taken")
        assert (await sendings[0]).kind is SENT
        leap(61)
        await session.hear_the_end()
        await take(session := await relay.sessions.get(), sendings[1])
        sendings = world.send("c"), world.send("d")
        await take(session, sendings[0])
        assert b"d@example.com" not in session.heard
        await take(session, sendings[1])


async def take(session, sending):
    """Take the next message, and see that it counts as sent."""
    await session.hear(b"DATA\r\n")
    session.say(b"250 ok", b"250 ok", b"354 go on")
    await session.hear(b"\r\n.\r\n")
    session.say(b"250 taken")
    async with asyncio.timeout(10):
        assert (await sending).kind is SENT


async def test_replies_count_however_they_are_cut_up():
    """Byte by byte, and all that is due in one packet."""
    async with ScriptedRelay() as relay, followers_world(relay) as world:
        first = world.send("first")
        session = await relay.sessions.get()
        await take(session, first)
        sendings = [world.send(name) for name in "abc"]
        await session.hear(b"DATA\r\n")
        await session.stammer(b"250-one", b"250 ok", b"250 ok", b"354 go on")
        await session.hear(b"DATA\r\n")
        await session.stammer(b"250 taken", b"250 ok", b"250-two", b"250 ok", b"354 go on")
        await session.hear(b"DATA\r\n")
        session.say(b"250-taken", b"250 really", b"250 ok", b"250 ok", b"354 go on")
        await session.hear(b".c\r\n.\r\n")
        session.say(b"250 taken")
        assert await world.kinds(*sendings) == [SENT] * 3


async def test_a_reply_that_came_before_the_content_is_not_taken_for_its_reply():
    """A surplus reply in the packet of the 354 shows that the relay is out of step: no content is sent."""
    async with ScriptedRelay() as relay, followers_world(relay) as world:
        sending = world.send("a")
        session = await relay.sessions.get()
        await session.hear(b"DATA\r\n")
        session.say(b"250 ok", b"250 ok", b"354 go on", b"250 taken already")
        assert (await sending).kind is OutcomeKind.DROPPED
        await session.hear_the_end()
        assert b".a\r\n" not in session.heard
        assert world.permissions["a"].uses == 0


async def test_a_surplus_reply_behind_a_content_costs_no_message_its_content():
    """It shifts the replies to the follower: a 250 in the place of the 354 is seen, and nothing is ambiguous."""
    async with ScriptedRelay() as relay, followers_world(relay) as world:
        first = world.send("first")
        session = await relay.sessions.get()
        await take(session, first)
        sendings = world.send("a"), world.send("b")
        await session.hear(b"DATA\r\n")
        session.say(b"250 ok", b"250 ok", b"354 go on")
        await session.hear(b"DATA\r\n")
        session.say(b"250 taken", b"250 surplus", b"250 ok", b"250 ok", b"354 go on")
        assert await world.kinds(*sendings) == [SENT, OutcomeKind.DROPPED]
        await session.hear_the_end()
        assert b".b\r\n" not in session.heard


async def test_replies_to_a_follower_before_the_one_to_the_content_end_the_connection():
    """A 354 in the place of the reply to a content leaves that content in doubt, and sends no other."""
    async with ScriptedRelay() as relay, followers_world(relay) as world:
        first = world.send("first")
        session = await relay.sessions.get()
        await take(session, first)
        sendings = world.send("a"), world.send("b")
        await session.hear(b"DATA\r\n")
        session.say(b"250 ok", b"250 ok", b"354 go on")
        await session.hear(b"DATA\r\n")
        session.say(b"354 go on", b"250 taken", b"250 ok", b"250 ok")
        assert (await sendings[0]).kind is AMBIGUOUS
        await session.hear_the_end()
        assert b".b\r\n" not in session.heard
        await take(await relay.sessions.get(), sendings[1])


async def test_a_cancelled_follower_is_not_sent(world):
    """The message before it is not disturbed, and the connection is closed when the relay waits for the content."""
    world.relay.slow["DOT"] = 0.2
    sendings = world.send("a"), world.send("b")
    await world.relay.until(lambda: world.relay.reached.count("DATA-BODY") == 2)
    sendings[1].cancel()
    assert (await sendings[0]).kind is SENT
    await world.relay.until(lambda: world.relay.open == 0)
    assert (world.recipients(), world.permissions["b"].uses) == (["first", "a"], 0)
    assert (await world.send("c")).kind is SENT


async def test_a_message_behind_a_cancelled_one_is_sent(world):
    """Cancelled with its content on the wire, a message takes its connection along, and no other message."""
    world.relay.hang_at("DOT", recipient="a@example.com")
    sendings = world.send("a"), world.send("b")
    await world.relay.until(lambda: world.relay.reached[-1:] == ["DOT"] and world.relay.packets > 4)
    sendings[0].cancel()
    assert (await sendings[1]).kind is SENT
    assert sendings[0].cancelled()
    assert world.recipients() == ["first", "b"]


async def test_a_cancelled_message_in_the_queue_is_never_announced(world):
    """Nor does it keep a place."""
    world.relay.slow["DOT"] = 0.1
    sendings = [world.send(name) for name in "abcd"]
    sendings[2].cancel()
    assert await world.kinds(sendings[0], sendings[1], sendings[3]) == [SENT] * 3
    assert not any("c@example.com" in command for command in world.relay.commands)


async def test_followers_count_among_the_messages_of_a_connection():
    """No connection carries more than its share, though messages are announced early."""
    async with RecordingRelay() as relay, followers_world(relay, messages_per_connection=4) as world:
        await world.send("first")
        assert await world.kinds(*(world.send(f"n{n}") for n in range(9))) == [SENT] * 9
        assert [sum(mail.connection == n for mail in relay.mails) for n in (1, 2, 3)] == [4, 4, 2]
        await relay.until(lambda: relay.commands.count("QUIT") == 2)


async def test_a_follower_that_cannot_be_sent_holds_up_nobody():
    """One that cannot be made, or needs what the relay does not offer, ends alone."""
    async with RecordingRelay(("PIPELINING",)) as relay, followers_world(relay) as world:
        world.composer.broken, world.composer.utf8 = {"b"}, {"c"}
        await world.send("first")
        kinds = await world.kinds(*(world.send(name) for name in "abcd"))
        assert kinds == [SENT, OutcomeKind.RENDER_ERROR, OutcomeKind.DEAD_MESSAGE, SENT]
        assert (world.recipients(), relay.connections) == (["first", "a", "d"], 1)


async def test_what_is_announced_at_the_closing_is_sent_and_what_waits_is_not(world):
    """The mailer's end lets go of nothing that a relay has heard of, and begins nothing."""
    world.relay.slow["DOT"] = 0.1
    sendings = [world.send(name) for name in "abc"]
    await world.relay.until(lambda: world.relay.reached.count("DATA-BODY") == 2)
    await world.mailer.aclose()
    assert await world.kinds(*sendings) == [SENT, SENT, UNSENT]
    await world.relay.until(lambda: world.relay.open == 0)
    assert world.relay.commands[-1] == "QUIT"


@pytest.mark.parametrize("fresh", [True, False])
async def test_an_error_nobody_expected_is_told_and_costs_no_other_message(world, fresh):
    """Whoever waits for the outcome gets the error, and nobody waits for ever."""

    class Broken(Granted):
        error = RuntimeError("broken")

        def granted(self):
            if fresh:
                raise self.error
            return False

        async def refused(self):
            raise self.error

    sendings = world.send("a"), world.send("b", permission=Broken()), world.send("c")
    with pytest.raises(RuntimeError, match="broken"):
        await sendings[1]
    assert await world.kinds(sendings[0], sendings[2]) == [SENT, SENT]


async def test_the_relay_of_the_chaos_table_answers_in_order():
    """What it is asked behind a content waits for the late reply to that, as with every server."""
    async with Relay() as relay, followers_world(relay) as world:
        relay.pause = 0.05
        await world.send("first")
        before = relay.packets
        assert await world.kinds(*(world.send(name) for name in "abc")) == [SENT] * 3
        assert relay.packets - before == 4
