"""TLS and login, against aiosmtpd: an implementation that is not ours."""

import asyncio
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager

import pytest
from aiosmtpd import smtp as aiosmtpd

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.mailer import RelayUnreachable, check_relay
from tests.support.smtp_servers import RecordingRelay, _Session
from tests.support.smtp_world import CONTENT, SmtpWorld, mailing

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""


class Inbox:
    """Takes what comes, and notes who sent it and whether it was encrypted."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        encrypted = session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        self.mails.append((envelope.rcpt_tos[0], session.authenticated, encrypted))
        return "250 2.0.0 taken"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the command openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def admit(server, session, envelope, mechanism, auth_data):
    return aiosmtpd.AuthResult(success=(auth_data.login, auth_data.password) == (b"shop", b"secret"), handled=False)


@asynccontextmanager
async def encrypted_relay(certificate, *, implicit=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    inbox = Inbox()
    sessions = []

    def session():
        options = {} if implicit else {"tls_context": context, "require_starttls": True}
        server = aiosmtpd.SMTP(
            inbox,
            hostname="relay.test",
            authenticator=admit,
            auth_required=not implicit,
            auth_require_tls=not implicit,
            **options,
        )
        sessions.append(server)
        return server

    server = await asyncio.get_running_loop().create_server(
        session, "localhost", 0, family=2, ssl=context if implicit else None
    )
    try:
        yield server.sockets[0].getsockname()[1], inbox
    finally:
        server.close()
        await asyncio.gather(*(s._handler_coroutine for s in sessions if s._handler_coroutine), return_exceptions=True)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_mail_goes_encrypted_and_logged_in(certificate, tls):
    """With TLS, begun at once or by STARTTLS, and a login, messages go over reused connections; the check passes."""
    async with encrypted_relay(certificate, implicit=tls == "implicit") as (port, inbox):
        login = {"username": "shop", "password": "secret", "tls": tls, "ca_file": str(certificate / "cert.pem")}
        async with mailing("localhost", port, **login) as (mailer, composer):
            smtp_world = SmtpWorld(None, mailer, composer)
            assert "relay.test" in await check_relay(mailer._relay)
            for _ in range(3):
                assert (await smtp_world.send()).kind is OutcomeKind.SENT
        assert inbox.mails == [("ann@example.com", True, True)] * 3


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_that_is_not_trusted_is_refused(certificate, tls):
    """Without its authority a relay's certificate is not trusted, and nothing is sent to it."""
    async with encrypted_relay(certificate, implicit=tls == "implicit") as (port, inbox):
        async with mailing("localhost", port, username="shop", password="secret", tls=tls) as (mailer, composer):
            assert (await SmtpWorld(None, mailer, composer).send()).kind is OutcomeKind.CONNECTION
            with pytest.raises(RelayUnreachable, match=f"certificate of localhost:{port} is not trusted"):
                await check_relay(mailer._relay)
        assert not inbox.mails


async def test_a_wrong_password_is_our_fault(certificate):
    """A refused login sends nothing, blames no message, and fails the check."""
    async with encrypted_relay(certificate) as (port, inbox):
        login = {"username": "shop", "password": "wrong", "tls": "starttls", "ca_file": str(certificate / "cert.pem")}
        async with mailing("localhost", port, **login) as (mailer, composer):
            outcome = await SmtpWorld(None, mailer, composer).send()
            assert outcome.kind is OutcomeKind.OUR_FAULT
            assert outcome.reply.startswith("535")
            with pytest.raises(RelayUnreachable, match="refuses the user name and password"):
                await check_relay(mailer._relay)
        assert not inbox.mails


class EncryptedRelay(RecordingRelay):
    """Speaks TLS from the first byte on, and offers PIPELINING."""

    context: ssl.SSLContext

    async def listen(self):
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Session(self), self.host, 0, ssl=self.context
        )
        self.port = self._server.sockets[0].getsockname()[1]


async def test_messages_are_announced_behind_others_over_tls(certificate):
    """Encrypted or not, messages that wait share a connection and lose nothing."""
    relay = EncryptedRelay()
    relay.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    relay.context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    options = {"tls": "implicit", "ca_file": str(certificate / "cert.pem"), "connections": 1}
    async with relay, mailing("localhost", relay.port, **options) as (mailer, composer):
        smtp_world = SmtpWorld(relay, mailer, composer)
        await smtp_world.send()
        outcomes = await asyncio.gather(*(smtp_world.send() for _ in range(20)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}
        assert ([mail.content for mail in relay.mails], relay.connections) == ([CONTENT] * 21, 1)
