"""TLS and login, against aiosmtpd: an implementation that is not ours."""

import asyncio
import os
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager

import pytest
from aiosmtpd import smtp as aiosmtpd

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.mailer import RelayUnreachable, check_relay
from tests.support.smtp_servers import RecordingRelay, _Session
from tests.support.smtp_world import CONTENT, SmtpWorld, mailing, meet_silence
from tests.support.tls_front import TlsFront

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
    if shutil.which("openssl") is None and not os.environ.get("CI"):
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


@asynccontextmanager
async def fronted_world(certificate):
    """A mailer with one connection, which is encrypted by a front that hears how it ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    options = {"tls": "implicit", "ca_file": str(certificate / "cert.pem"), "connections": 1}
    async with (
        RecordingRelay() as relay,
        TlsFront(relay, context) as front,
        mailing(front.host, front.port, **options) as (mailer, composer),
    ):
        yield SmtpWorld(relay, mailer, composer), front


async def end_of(front):
    return await asyncio.wait_for(front.ends.get(), 10)


async def test_a_connection_that_is_given_up_ends_tls(certificate):
    """The relay waits for a content that was called off, and hears close_notify: nobody cut the line."""
    async with fronted_world(certificate) as (smtp_world, front):
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
        smtp_world.permission.why_not = "ordered meanwhile"
        assert (await smtp_world.send()).kind is OutcomeKind.CALLED_OFF
        assert await end_of(front) == "close_notify"


async def test_the_last_goodbye_ends_tls(certificate):
    """After QUIT and its reply, close_notify is the last that the relay hears."""
    async with fronted_world(certificate) as (smtp_world, front):
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
        await smtp_world.mailer.aclose()
        assert await end_of(front) == "close_notify"
        assert smtp_world.relay.commands[-1] == "QUIT"


async def test_a_connection_to_a_silent_relay_ends_tls(certificate, leap):
    """What it says when it has been silent for too long is no reply, and it is told so."""
    async with fronted_world(certificate) as (smtp_world, front):
        outcome = await meet_silence(smtp_world, leap, "DOT")
        assert outcome.kind is OutcomeKind.AMBIGUOUS
        assert await end_of(front) == "close_notify"


async def test_a_relay_that_does_not_answer_the_end_of_tls_keeps_no_connection(certificate, leap):
    """It has a moment to answer; then the socket is closed without that."""
    async with fronted_world(certificate) as (smtp_world, front):
        assert (await smtp_world.send()).kind is OutcomeKind.SENT
        session = smtp_world.mailer._pool._kept[0]
        socket = session._transport.get_extra_info("socket")
        front.stop_reading()
        session.drop()
        for _ in range(3):
            await asyncio.sleep(0)
        assert socket.fileno() != -1
        leap(1.1)
        await asyncio.sleep(0.02)
        assert socket.fileno() == -1
