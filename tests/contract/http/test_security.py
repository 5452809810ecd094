"""Authentication: API keys, and callers on this machine without any."""

import pytest

from tests.support.api import KEY, ORDER, Api, problem


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/checkout"), ("POST", "/order"), ("GET", "/checkouts/s/1"), ("DELETE", "/checkouts/s/1")],
)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer é"])
async def test_key_is_needed(api, method, path, header):
    """Without a valid key, every endpoint of checkouts answers 401 before it reads anything else."""
    headers = {"Authorization": header.encode()}
    answer = await api.client.request(method, path, content=b"nope", headers=headers)
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (api.ingestion.reports, api.ingestion.cancelled) == ([], [])


@pytest.mark.parametrize("key", ["first", "sécond", "third"])
async def test_any_key_will_do(key):
    """Each of several keys is accepted, in any script."""
    api = Api(api_keys=("first", "sécond", "third"))
    answer = await api.post("/order", ORDER, Authorization=f"bearer {key}".encode())
    assert answer.status_code == 202


async def test_empty_key_is_refused():
    """An empty key is an error of the settings."""
    with pytest.raises(ValueError, match="empty"):
        Api(api_keys=(KEY, ""))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.8.8.8", "[::1]:8080", "[::1]"]
)
async def test_without_keys_this_machine_is_let_in(host):
    """Without keys, callers that use a loopback name may report."""
    api = Api(api_keys=())
    assert (await api.post("/order", ORDER, Host=host)).status_code == 202


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "", "[::2]", "[", "a@localhost@b"],
)
async def test_without_keys_other_names_are_kept_out(host):
    """Without keys, any other Host is rejected: it may be DNS rebinding by a web page."""
    api = Api(api_keys=())
    problem(await api.post("/order", ORDER, Host=host), 403)
    assert api.ingestion.reports == []


async def test_with_keys_the_name_does_not_matter(api):
    """With a key, any Host is accepted."""
    assert (await api.post("/order", ORDER, Host="recovery.example")).status_code == 202


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_operation_needs_no_key(api, path):
    """Health, metrics and documentation need no key."""
    answer = await api.client.get(path, headers={"Authorization": "", "Host": "probe.example"})
    assert answer.status_code == 200
