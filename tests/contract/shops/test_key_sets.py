"""Webhooks of a platform that signs with published keys, when its keys change or cannot be had."""

import json

import pytest

from recovery.http.inbound.key_sets import KeySets
from tests.support.api import FakeIngestion, problem
from tests.support.saleor_bodies import checkout
from tests.support.shop_platforms import PLATFORMS
from tests.support.signatures import KEY, OTHER_KEY, detached, published
from tests.support.webhook_world import WebhookWorld

URL = "https://lamps.saleor.cloud/.well-known/jwks.json"


@pytest.fixture
def world(monkeypatch):
    """All webhooks, with a clock of the key sets that stands, and whatever `published` says is published."""
    time = [1000.0]
    monkeypatch.setattr("tests.support.webhook_world.KeySets", lambda fetch: KeySets(fetch, lambda: time[0]))
    made = WebhookWorld(FakeIngestion())
    made.time, made.published = time, published("1", KEY)

    def fetched(url):
        made.asked.append(url)
        if isinstance(made.published, Exception):
            raise made.published
        return made.published

    monkeypatch.setattr(made.key_sets, "_fetch", fetched)
    return made


async def sent(world, key=KEY, **header):
    """Send a checkout that this key signed; return the answer."""
    body = json.dumps(checkout()).encode()
    return await world.post("saleor", body, {"Saleor-Signature": detached(body, key, **header)})


async def test_the_keys_are_those_of_the_configured_shop(world):
    """Whatever address a request names: it is not signed."""
    headers = {"Saleor-Api-Url": "https://evil.example/graphql/", "Saleor-Domain": "evil.example"}
    await world.send("saleor", PLATFORMS["saleor"].left, **headers)
    assert world.asked == [URL]


async def test_a_new_key_is_accepted_once_it_is_published(world):
    """Until it is asked for again the answer is 503, since Saleor repeats that, and not a 401."""
    assert (await sent(world)).status_code == 200
    world.published = published("2", OTHER_KEY)
    world.time[0] += 1
    answer = await sent(world, OTHER_KEY, kid="2")
    problem(answer, 503)
    assert answer.headers["retry-after"] == "59"
    assert world.asked == [URL]
    world.time[0] += 59
    assert (await sent(world, OTHER_KEY, kid="2")).status_code == 200
    assert world.asked == [URL, URL]


async def test_a_key_that_is_not_published_is_refused(world):
    """The set of this moment does not have it."""
    problem(await sent(world, kid="7"), 401)


async def test_a_shop_whose_keys_cannot_be_had_is_asked_later(world):
    """Nothing is accepted, and nothing is lost."""
    world.published = OSError("down")
    problem(await sent(world), 503)
    problem(await sent(world), 503)
    assert world.asked == [URL]
    world.published = published("1", KEY)
    world.time[0] += 60
    assert (await sent(world)).status_code == 200
