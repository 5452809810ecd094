"""`recovery health`: whether the daemon on this machine answers."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def answering():
    """Start an HTTP server that gives this answer to everything; return its port."""
    with contextlib.ExitStack() as stack:

        def start(status, body):
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_):
                    pass

            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)
            return str(server.server_address[1])

        yield start


def test_health_knows_recovery(call, answering):
    """The answer of Recovery's liveness check is healthy."""
    assert call("health", HTTP__PORT=answering(200, b'{"alive":true}'))[:2] == (0, "Recovery is alive.\n")


@pytest.mark.parametrize("body", [b"", b"<h1>It works!</h1>", b"[]", b'{"alive":"yes"}', b'{"status":"ok"}', b"\xff"])
def test_another_service_is_not_taken_for_recovery(call, answering, body):
    """Another service on the port is no healthy Recovery: the error says so, and what to do."""
    port = answering(200, body)
    code, _, complaint = call("health", HTTP__PORT=port)
    assert (code, complaint) == (
        1,
        f"recovery: Something else than Recovery answers on 127.0.0.1 port {port}: stop it, or choose another "
        "http.port.",
    )


def test_an_unhealthy_answer_is_shown(call, answering):
    """Another status is a fault, and is shown with what was answered."""
    code, _, complaint = call("health", HTTP__PORT=answering(500, b"bad luck"))
    assert (code, complaint) == (1, "recovery: Recovery is unhealthy: HTTP status 500: bad luck")
