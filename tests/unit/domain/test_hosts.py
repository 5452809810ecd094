"""Hosts that mean this machine."""

import pytest

from recovery.domain.hosts import is_loopback


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_recognised(host):
    """localhost, in any case, and whole loopback addresses count."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.1", "recovery.example", "1270.0.1", "127.1", "localhost.", "0", "::ffff:10.0.0.1"],
)
def test_what_only_looks_like_this_machine_is_not(host):
    """No other name or address counts."""
    assert not is_loopback(host)
