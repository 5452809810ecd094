"""Liveness, readiness and metrics."""

from prometheus_client import Counter

from recovery.client import Unavailable
from tests.support.api import CHECKOUT, ORDER, SHOPIFY, Api


async def test_ready(api):
    """While all checks pass, the answer is 200 and lists each."""
    answer = await api.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": {"mongodb": None}, "paused": None})


async def test_not_ready(api):
    """When a check fails, the answer is 503 with the error."""
    api.checks["smtp"] = "the relay refuses everyone"
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    checks = {"mongodb": None, "smtp": "the relay refuses everyone"}
    assert answer.json() == {"ready": False, "checks": checks, "paused": None}


async def test_a_pause_is_told_and_is_no_fault():
    """An operator wanted it: whoever probes for readiness still sends reports here."""
    answer = await Api(paused=lambda: "all sending").client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"mongodb": None}, "paused": "all sending"}


async def test_alive_while_not_ready(api):
    """Liveness does not depend on the checks."""
    api.checks["mongodb"] = "away"
    api.ingestion.fault = Unavailable("away")
    assert (await api.client.get("/healthz")).status_code == 200


async def test_metrics_are_shown(api):
    """All metrics of the registry are shown in the Prometheus text format."""
    Counter("recovery_demo", "A count", registry=api.registry).inc(3)
    answer = await api.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "recovery_demo_total 3.0" in answer.text


async def test_reports_are_counted(api):
    """Each report is counted by its kind and its answer."""
    await api.post("/checkout", CHECKOUT)
    await api.post("/checkout", b"nope")
    await api.post("/checkout", CHECKOUT, Authorization="Bearer wrong")
    await api.post("/order", b" " * 300_000)
    await api.webhook(SHOPIFY)
    await api.webhook(SHOPIFY, topic="products/create")
    api.ingestion.fault = RuntimeError("bad luck")
    await api.post("/order", ORDER)
    await api.client.get("/checkout")
    counted = [
        ("checkout", "accepted"),
        ("checkout", "422"),
        ("checkout", "401"),
        ("order", "413"),
        ("order", "500"),
        ("shopify", "accepted"),
        ("shopify", "ignored"),
    ]
    assert [api.counted(*labels) for labels in counted] == [1] * len(counted)
    assert api.counted("checkout", "405") is None


async def test_a_check_names_nobody(api):
    """A relay's reply may name a customer: the address is masked, and the code stays."""
    api.checks["relay"] = "our fault: 554 5.7.9 message for RCPT TO:<ada@example.com> refused"
    answer = await api.client.get("/readyz")
    assert answer.json()["checks"]["relay"] == "our fault: 554 5.7.9 message for RCPT TO:<…> refused"
