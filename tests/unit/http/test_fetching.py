"""Fetching of small files: what is kept, and what is not asked again."""

import pytest

from recovery.http import fetching
from recovery.http.fetching import KEPT, CannotFetch, Fetcher


async def test_a_file_is_fetched_once():
    """A second request is answered from memory, up to a bound."""
    asked = []
    fetch = Fetcher(lambda url: asked.append(url) or url.encode())
    assert [await fetch("https://a.example/1") for _ in range(3)] == [b"https://a.example/1"] * 3
    assert asked == ["https://a.example/1"]
    for number in range(KEPT):
        await fetch(f"https://b.example/{number}")
    await fetch("https://a.example/1")
    assert asked.count("https://a.example/1") == 2


async def test_what_failed_is_not_asked_again_at_once(monkeypatch):
    """Anybody may name an address that does not answer."""
    asked, now = [], [100.0]
    monkeypatch.setattr(fetching.time, "monotonic", lambda: now[0])

    def get(url):
        asked.append(url)
        raise OSError("refused")

    fetch = Fetcher(get)
    for _ in range(3):
        with pytest.raises(CannotFetch):
            await fetch("https://a.example/1")
    assert len(asked) == 1
    now[0] += 11
    with pytest.raises(CannotFetch):
        await fetch("https://a.example/1")
    assert len(asked) == 2


@pytest.mark.parametrize("url", ["http://sns.eu-west-1.amazonaws.com/a.pem", "file:///etc/passwd"])
async def test_only_https_is_fetched(url):
    """Whoever calls it."""
    with pytest.raises(CannotFetch):
        await Fetcher()(url)
