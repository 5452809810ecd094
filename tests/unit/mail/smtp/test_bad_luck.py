"""Relays that offer PIPELINING and cannot, answer out of order, or lose the line: one message in doubt at most."""

from itertools import permutations

import pytest

from recovery.domain.outcome import OutcomeKind
from tests.support.session_world import CONTENT, SessionWorld

SENT, AMBIGUOUS, DROPPED = OutcomeKind.SENT, OutcomeKind.AMBIGUOUS, OutcomeKind.DROPPED
BODY = b"Subject: hello"


@pytest.fixture
async def world():
    """A session that offers PIPELINING."""
    return SessionWorld("pipelining", chunking=False)


@pytest.fixture
async def pair(world):
    """Two messages, one with its content on the wire and the other announced behind it."""
    first, second = world.begin(), world.message()
    world.owner.waiting.append(second)
    world.hear("250 ok", "250 ok", "354 go on")
    assert world.packets()[-1].endswith(
        b"\r\n.\r\nMAIL FROM:<shop@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n"
    )
    return first, second


def kind(delivery):
    return delivery.ended.result().kind


@pytest.mark.parametrize("heard", [1, 2])
@pytest.mark.parametrize("way", ["silence", "close"])
async def test_a_relay_that_answers_only_the_first_commands_of_a_packet_gets_no_content(world, heard, way):
    """The message is not in doubt, and the pool hears of it: commands go one by one over the next connection."""
    delivery = world.begin()
    world.hear(*["250 ok"] * heard)
    if way == "close":
        world.lose()
    else:
        world.session._is_silent()
    assert (kind(delivery), world.owner.told, world.session.is_open) == (DROPPED, ["answered in part"], False)
    assert BODY not in b"".join(world.packets())


async def test_a_relay_that_answers_nothing_is_not_taken_for_one_that_cannot(world):
    """It may be gone, or shut down."""
    delivery = world.begin()
    world.lose()
    assert (kind(delivery), world.owner.told) == (DROPPED, [])


@pytest.mark.parametrize(
    "words",
    [
        "503 5.5.0 pipelining forbidden",
        "554 5.5.1 Error: improper command pipelining",
        "554 SMTP synchronization error",
        "421 4.7.0 Improper use of SMTP command pipelining",
    ],
)
@pytest.mark.parametrize("accepted", [0, 1, 2])
async def test_a_relay_that_refuses_haste_gets_the_message_again(world, words, accepted):
    """Whatever the code, it is not about the message: this one goes over a connection that waits for each reply."""
    delivery = world.begin()
    world.hear(*["250 ok"] * accepted, words)
    assert (delivery.ended.done(), world.owner.told) == (False, ["pipeline no more", "again"])
    assert not world.session.is_open


async def test_without_pipelining_such_words_are_about_the_message():
    """Else the message would go round for ever."""
    world = SessionWorld(chunking=False)
    delivery = world.begin()
    world.hear("554 5.5.1 Error: improper command pipelining")
    assert (kind(delivery), world.owner.told) == (OutcomeKind.OUR_FAULT, [])


async def test_an_address_that_speaks_of_pipelines_is_dead(world):
    """It is named in the refusal."""
    delivery = world.begin()
    world.hear("250 ok", "550 5.1.1 <pipeline@example.com> no such user", "503 5.5.1 RCPT first")
    assert (kind(delivery), world.owner.told) == (OutcomeKind.DEAD_ADDRESS, [])


@pytest.mark.parametrize("words", ["503 5.5.1 one at a time", "554 SMTP synchronization error"])
async def test_a_relay_that_refuses_haste_behind_a_content_gets_the_follower_again(world, pair, words):
    """The message before it is sent, and other relays' packets of commands are not held against this one."""
    first, second = pair
    world.hear("250 taken", words)
    assert (kind(first), second.ended.done()) == (SENT, False)
    assert world.owner.told == ["follow no more", "again"]


@pytest.mark.parametrize("order", list(permutations(["250 ok", "250 ok too", "354 go on"])))
@pytest.mark.parametrize("together", [True, False])
async def test_replies_out_of_order_send_no_content(world, order, together):
    """Only a 354 in its place asks for the content."""
    delivery = world.begin()
    for replies in [order] if together else [(reply,) for reply in order]:
        world.hear(*replies)
    if order[2] == "354 go on":
        assert CONTENT[:10] in world.packets()[-1]
    else:
        assert (kind(delivery), world.session.is_open) == (DROPPED, False)
        assert BODY not in b"".join(world.packets())


@pytest.mark.parametrize("order", list(permutations(["250 taken", "250 ok", "354 go on"])))
async def test_replies_out_of_order_behind_a_content_leave_one_message_in_doubt(world, pair, order):
    """It is in doubt if a 354 stands in the place of its reply; the other one is not, and its content is not sent."""
    first, second = pair
    world.hear(order[0], *order[1:], "250 ok")
    assert kind(first) is (AMBIGUOUS if order[0] == "354 go on" else SENT)
    if order[2] == "354 go on":
        assert kind(second) is DROPPED
    else:
        assert (second.ended.done(), world.owner.told) == (False, ["again"])
    assert sum(BODY in packet for packet in world.packets()) == 0


@pytest.mark.parametrize("heard", [(), ("250 taken",), ("250 taken", "250 ok"), ("250 taken", "250 ok", "250 ok")])
@pytest.mark.parametrize("way", ["silence", "close"])
async def test_a_line_that_is_lost_behind_a_content_leaves_no_neighbour_in_doubt(world, pair, heard, way):
    """Before the reply to it, the first message is in doubt; after that, none is."""
    first, second = pair
    world.hear(*heard)
    if way == "close":
        world.lose()
    else:
        world.session._is_silent()
    assert kind(first) is (SENT if heard else AMBIGUOUS)
    if len(heard) < 2:
        assert (second.ended.done(), world.owner.told[-1]) == (False, "again")
    else:
        assert kind(second) is DROPPED
    assert world.owner.freed == 1


async def test_a_line_that_is_lost_in_the_midst_of_a_reply_leaves_the_message_in_doubt(world, pair):
    """Half a reply says nothing."""
    first, second = pair
    world.session.conversation.data_received(b"250-tak")
    world.lose()
    assert (kind(first), second.ended.done()) == (AMBIGUOUS, False)
