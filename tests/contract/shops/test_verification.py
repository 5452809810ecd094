"""What every adapter accepts and refuses: signatures, pings, topics, and bodies that nobody ought to send."""

import copy
import json
import random
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from recovery.http.inbound.accesses import WebhookAccess
from recovery.shops import ADAPTERS
from tests.support.api import FakeIngestion, problem
from tests.support.builders import NOON
from tests.support.shop_platforms import FIRST, PLATFORMS, SECOND, WRONG
from tests.support.webhook_world import WebhookWorld

ALL = [adapter.name for adapter in ADAPTERS]
SIGNATURES = {adapter.name: adapter.signature_header for adapter in ADAPTERS}
TIMED = [name for name in ALL if PLATFORMS[name].timed]
PINGS = [each.ping for each in PLATFORMS.values() if each.ping]


@pytest.fixture
def world():
    return WebhookWorld(FakeIngestion())


def untouched(ingestion):
    """Return whether nothing was stored."""
    kept = (ingestion.reports, ingestion.cancelled, ingestion.left, ingestion.touched, ingestion.paused)
    return not any((*kept, ingestion.erased, ingestion.requests))


def refused(answer, world):
    """Assert that a request was answered with 401 and nothing was stored."""
    problem(answer, 401)
    assert answer.headers["www-authenticate"]
    assert untouched(world.ingestion)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("secret", [FIRST, SECOND])
async def test_each_configured_secret_is_accepted(world, name, secret):
    """So that one can be changed without a gap: the checkout is stored, whichever signed."""
    platform = PLATFORMS[name]
    answer = await world.send(name, platform.left, secret=secret)
    assert (answer.status_code, answer.json()) == (200, {"id": f"{platform.shop}/{platform.checkout_id}"})
    assert [report.id for report in world.ingestion.reports] == [f"{platform.shop}/{platform.checkout_id}"]
    assert world.counted(name, "accepted") == 1


@pytest.mark.parametrize("name", ALL)
async def test_another_secret_is_refused(world, name):
    """A signature by nobody that is configured."""
    refused(await world.send(name, PLATFORMS[name].left, secret=WRONG), world)


@pytest.mark.parametrize("name", ALL)
async def test_a_body_with_one_bit_changed_is_refused(world, name):
    """Wherever the bit is."""
    rng, platform = random.Random(1), PLATFORMS[name]
    body = json.dumps(platform.left[1]).encode()
    headers = platform.topic(platform.left[0]) | platform.sign(body, FIRST, NOON)
    assert (await world.post(name, body, headers)).status_code == 200
    world.ingestion.reports.clear()
    for _ in range(100):
        changed = bytearray(body)
        changed[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        refused(await world.post(name, bytes(changed), headers), world)
    refused(await world.post(name, b"", headers), world)
    refused(await world.post(name, body + b" ", headers), world)


@pytest.mark.parametrize("name", ALL)
async def test_a_signature_with_one_character_changed_is_refused(world, name):
    """Or with one too few, or none, or that of another body."""
    platform = PLATFORMS[name]
    [(header, whole)] = platform.sign(json.dumps(platform.left[1]).encode(), FIRST, NOON).items()
    other = platform.sign(b"{}", FIRST, NOON)[header]
    last = "0" if whole[-2] != "0" else "1"
    for wrong in (f"{whole[:-2]}{last}{whole[-1]}", whole[: len(whole) // 2], " ", "x", "t=1,v1=", "a..b", other):
        refused(await world.send(name, platform.left, **{header: wrong}), world)
    refused(await world.send(name, platform.left, **{header: None}), world)


@pytest.mark.parametrize("name", ALL)
async def test_a_platform_that_is_not_configured_has_no_endpoint(name):
    """Not even for a request that an empty secret signed."""
    world = WebhookWorld(FakeIngestion(), **{name: WebhookAccess(["", ""])})
    problem(await world.send(name, PLATFORMS[name].left), 404)
    problem(await world.post(name, PLATFORMS[name].ping or b"{}", {}), 404)
    assert untouched(world.ingestion)


@pytest.mark.parametrize("name", TIMED)
async def test_a_recorded_request_is_refused_later(world, name):
    """The problem says that it is too old, so that a wrong clock is found."""
    answer = await world.send(name, PLATFORMS[name].left, at=NOON - timedelta(seconds=301))
    refused(answer, world)
    assert "older than 300 seconds" in answer.json()["detail"]
    assert (await world.send(name, PLATFORMS[name].left, at=NOON - timedelta(seconds=300))).status_code == 200


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("body", PINGS)
async def test_a_ping_is_answered(world, name, body):
    """The unsigned question of the platform itself, and of no other, is answered with 200 and changes nothing."""
    answer = await world.post(name, body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == (200 if body == PLATFORMS[name].ping else 401)
    assert untouched(world.ingestion)


@pytest.mark.parametrize("name", ALL)
async def test_what_is_about_something_else_is_answered_with_200(world, name):
    """Platforms drop a subscription that fails, so a topic too many does no harm."""
    answer = await world.send(name, PLATFORMS[name].other)
    assert (answer.status_code, list(answer.json())) == (200, ["ignored"])
    assert untouched(world.ingestion)


def null_everywhere(value):
    """Yield a payload with each of its values in turn replaced by null, by a list, by a number beyond 64 bits."""

    def places(holder):
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, inner in pairs:
            yield (key,)
            yield from ((key, *rest) for rest in places(inner))

    for path in list(places(value)):
        for wrong in (None, [], 2**70, {"a": [None]}):
            changed = copy.deepcopy(value)
            holder = changed
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = wrong
            yield changed


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["left", "ordered"])
async def test_a_wrong_value_anywhere_is_answered_with_200(world, name, kind):
    """It is stored without that value, or the reason is told; no body and no address is logged."""
    topic, payload = getattr(PLATFORMS[name], kind)
    with capture_logs() as lines:
        for changed in null_everywhere(payload):
            answer = await world.send(name, (topic, changed))
            assert answer.status_code == 200, (changed, answer.text)
            assert set(answer.json()) <= {"id", "ignored"}
    told = json.dumps(lines, default=str)
    assert "@" not in told
    assert "Lovelace" not in told


HOSTILE = {
    "nothing": b"",
    "no JSON": b"nope",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"hush"',
    "half": b'{"a": ',
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "a lone surrogate": rb'{"a": "\ud83d"}',
    "a long number": b'{"a": ' + b"9" * 5000 + b"}",
    "an infinite number": b'{"a": 1e999, "b": NaN}',
    "the same name twice": b'{"type": 1, "type": 2, "id": 1, "id": 2}',
    "five megabytes": b'{"a": "' + b"x" * 5_000_000 + b'"}',
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_body_is_answered_with_the_reason(world, name, body):
    """Signed or not, nothing is stored, and nothing falls over."""
    with capture_logs() as lines:
        answer = await world.send(name, body)
    assert (answer.status_code, list(answer.json())) == (200, ["ignored"])
    assert len(json.dumps(lines, default=str)) < 2000
    refused(await world.send(name, body, secret=WRONG), world)


@pytest.mark.parametrize("name", ALL)
async def test_a_request_without_a_signature_costs_nothing(world, name):
    """Neither is its body read, nor does anyone ask the shop for its keys."""
    taken = 0

    async def body():
        nonlocal taken
        for _ in range(100):
            taken += 65536
            yield b" " * 65536

    path = f"/webhooks/{name}/{PLATFORMS[name].shop}"
    problem(await world.client.post(path, content=body()), 401)
    assert (taken <= 2 * 65536, world.asked) == (True, [])


def test_every_adapter_has_a_platform():
    """None is left out of this suite."""
    assert set(ALL) <= set(PLATFORMS)
    assert {name.lower() for name in SIGNATURES.values()} == {
        header.lower() for each in PLATFORMS.values() for header in each.sign(b"{}", FIRST, NOON)
    }
