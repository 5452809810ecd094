"""The check of a relay before any message is sent."""

import asyncio

import pytest

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.mailer import RelayUnreachable, check_relay
from tests.support.configurations import relay_config
from tests.support.smtp_world import a_smtp_world

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""


async def test_check_returns_the_greeting(smtp_world):
    """The check of a working relay returns its banner and quits properly."""
    assert await check_relay(smtp_world.mailer._relay) == "relay.test ESMTP"
    await smtp_world.relay.until(lambda: smtp_world.relay.open == 0)
    assert [command[:4] for command in smtp_world.relay.commands] == ["EHLO", "NOOP", "QUIT"]


@pytest.mark.parametrize("fault", ["refused", "turned away", "no STARTTLS", "no login", "no TLS", "no file"])
async def test_check_says_what_to_fix(fault):
    """What is wrong with a relay is reported in one sentence that names it and the fix."""
    options, words = {
        "refused": ({}, "cannot be reached"),
        "turned away": ({}, "refuses us (554 5.7.1 you are listed)"),
        "no STARTTLS": ({"tls": "starttls"}, "STARTTLS"),
        "no login": ({"username": "shop", "password": "secret"}, "AUTH"),
        "no TLS": ({"tls": "implicit"}, "TLS handshake"),
        "no file": ({"tls": "implicit", "ca_file": "nowhere.pem"}, "nowhere.pem"),
    }[fault]
    async with a_smtp_world(**options) as smtp_world:
        if fault == "refused":
            smtp_world.relay.refuse_connections()
        if fault == "turned away":
            smtp_world.relay.answer("BANNER", "554 5.7.1 you are listed")
        with pytest.raises(RelayUnreachable) as told:
            await check_relay(smtp_world.mailer._relay)
        sentence = str(told.value)
        assert f"127.0.0.1:{smtp_world.relay.port}" in sentence
        assert words in sentence
        assert sentence.endswith(".")


async def test_check_waits_for_a_silent_relay_no_longer_than_agreed(smtp_world, leap):
    """A relay that does not greet is reported after the timeout."""
    smtp_world.relay.hang_at("BANNER")
    checking = asyncio.create_task(check_relay(smtp_world.mailer._relay))
    await smtp_world.relay.until(lambda: "BANNER" in smtp_world.relay.reached)
    leap(61)
    with pytest.raises(RelayUnreachable, match=f"127.0.0.1:{smtp_world.relay.port} did not answer within 60 s"):
        await checking


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tls": "starttls"}, OutcomeKind.OUR_FAULT),
        ({"username": "shop", "password": "secret"}, OutcomeKind.OUR_FAULT),
        ({"tls": "implicit"}, OutcomeKind.CONNECTION),
    ],
)
async def test_nothing_is_sent_below_what_is_demanded(options, expected):
    """A relay without the TLS or the login that is asked for gets no message at all."""
    async with a_smtp_world(**options) as smtp_world:
        assert (await smtp_world.send()).kind is expected
        assert not any(command.startswith("MAIL") for command in smtp_world.relay.commands)


def test_the_password_is_not_shown():
    """A relay's password does not get into logs by way of its repr."""
    assert "hunter2" not in repr(relay_config(username="shop", password="hunter2"))
