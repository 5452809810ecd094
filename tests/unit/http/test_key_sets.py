"""Key sets of shops: fetched when a key is unknown, rarely, and within bounds."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from recovery.http.inbound import key_sets
from recovery.http.inbound.key_sets import ASKED_AGAIN_AFTER, KEPT_FOR, KeySets, KeySetUnavailable
from tests.support.signatures import KEY, published

URL = "https://lamps.example/keys"


class World:
    """A shop that publishes keys, and a clock that stands until it is set."""

    def __init__(self):
        self.time = 1000.0
        self.answers = [published("1", KEY)]
        self.asked = []
        self.sets = KeySets(self._fetch, lambda: self.time)

    def _fetch(self, url):
        self.asked.append(url)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def world():
    return World()


async def test_a_key_set_is_fetched_once(world):
    """Once a key is known nothing is asked for; callers at the same time share one request."""
    found = await asyncio.gather(*(world.sets.of(URL, "1") for _ in range(10)))
    assert all(list(keys) == ["1"] for keys in found)
    await world.sets.of(URL, "1")
    assert world.asked == [URL]


async def test_no_key_no_request(world):
    """A signature that names no key is none, and nobody is asked about it."""
    assert await world.sets.of(URL, "") == {}
    assert world.asked == []


async def test_an_unknown_key_is_asked_for_once_a_minute(world):
    """A new key is found without a restart; who names keys that there are not causes one request a minute."""
    await world.sets.of(URL, "1")
    world.time += 1
    world.answers = [published("2", KEY)]
    with pytest.raises(KeySetUnavailable) as caught:
        await world.sets.of(URL, "2")
    assert caught.value.retry_after == ASKED_AGAIN_AFTER - 1
    world.time += ASKED_AGAIN_AFTER
    assert list(await world.sets.of(URL, "2")) == ["2"]
    world.time += ASKED_AGAIN_AFTER - 1
    with pytest.raises(KeySetUnavailable):
        await world.sets.of(URL, "3")
    assert len(world.asked) == 2


async def test_a_key_that_is_not_published_is_refused_for_good(world):
    """A platform that is answered with 503 comes again: only for a set of this very moment is the answer another."""
    assert list(await world.sets.of(URL, "nope")) == ["1"]


async def test_a_set_is_asked_for_again_after_a_day(world):
    """A key that was withdrawn is not trusted for ever; one that cannot be asked for stays."""
    await world.sets.of(URL, "1")
    world.time += KEPT_FOR
    world.answers = [OSError("down")]
    assert list(await world.sets.of(URL, "1")) == ["1"]
    world.time += ASKED_AGAIN_AFTER
    world.answers = [published("2", KEY)]
    assert list(await world.sets.of(URL, "1")) == ["2"]
    assert len(world.asked) == 3


@pytest.mark.parametrize("answer", [OSError("down"), ValueError("answered 404"), b"<html>", b"{}"])
async def test_a_shop_that_cannot_be_asked_is_asked_again_later(world, answer):
    """Nothing is trusted meanwhile, and the log says of which address."""
    world.answers = [answer]
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(KeySetUnavailable, match=r"https://lamps\.example/keys"):
                await world.sets.of(URL, "1")
    assert [(line["event"], line["url"]) for line in lines] == [("could not fetch key set", URL)]
    assert len(world.asked) == 1


async def test_a_request_that_hangs_is_given_up(world, monkeypatch):
    """As in the look-up of a name: nobody waits for it longer than that."""
    monkeypatch.setattr(key_sets, "LONGEST_WAIT", 0.01)
    held = threading.Event()
    world.sets = KeySets(lambda _: held.wait(), lambda: world.time)
    with pytest.raises(KeySetUnavailable):
        await world.sets.of(URL, "1")
    held.set()


async def test_shops_are_apart(world):
    """The key of one shop signs nothing of another."""
    await world.sets.of(URL, "1")
    world.answers = [published("2", KEY)]
    assert list(await world.sets.of("https://bikes.example/keys", "2")) == ["2"]
