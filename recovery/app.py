"""The composition root: settings in, running parts out."""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from recovery.checkout import CheckoutState
from recovery.client import Recovery, connect
from recovery.daemon.expirer import Expirer
from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.share import Share
from recovery.daemon.supervisor import Supervisor
from recovery.daemon.sweep import Sweep
from recovery.daemon.telemetry import Telemetry
from recovery.daemon.watcher import Watcher
from recovery.engine import Engine, Limits
from recovery.http.app import create_app
from recovery.http.security import refusal
from recovery.http.server import serve
from recovery.mail.compose import Composer, Identity
from recovery.mail.dkim import BadKey, Signer, load_key
from recovery.mail.mailer import SmtpMailer
from recovery.mail.pool import Relay
from recovery.mail.templates import Rendered, Templates
from recovery.mongo import collections, server
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import OPTIONS, Database
from recovery.mongo.daemons import Daemons
from recovery.mongo.feed import GONE, REPORTED, Feed
from recovery.mongo.positions import Positions
from recovery.mongo.shadows import MongoShadows
from recovery.schedule import OnAmbiguous
from recovery.settings import Settings

log = structlog.get_logger()


class CannotStart(Exception):
    """Recovery cannot do its work as things are; the message says why, and what to mend."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The daemon does its work. `port` is where it serves HTTP, if it does."""

    port: int | None


@asynccontextmanager
async def database_of(settings: Settings, **options: Any) -> AsyncIterator[Database]:
    """Connect to the database that the settings name."""
    client = connect(settings.mongodb.uri.get_secret_value(), **options)
    async with client:
        yield client.get_database(settings.mongodb.database, **OPTIONS)


def composer_of(settings: Settings) -> Composer:
    """Return what makes mails, its templates checked.

    Raises `recovery.mail.templates.TemplateError`, or `CannotStart` if there is no signing with the key it is given.
    """
    templates = Templates(settings.mail.templates)
    schedule = settings.to_schedule()
    templates.check([*schedule.steps, *([schedule.confirmation] if schedule.confirmation else [])])
    mail = settings.mail
    return Composer(templates, Identity(mail.sender, mail.reply_to, mail.message_id_domain), sign=signer_of(settings))


def signer_of(settings: Settings) -> Signer | None:
    """Return what signs mails, or None where that is left to the relay. Raises `CannotStart`."""
    dkim = settings.dkim
    if dkim.domain is None or dkim.selector is None or dkim.private_key_file is None:
        return None
    try:
        return Signer(dkim.domain, dkim.selector, load_key(dkim.private_key_file))
    except BadKey as exc:
        raise CannotStart(f"dkim.private_key_file: {exc}") from exc


def relay_of(settings: Settings) -> Relay:
    """Return the relay that the settings name."""
    smtp = settings.smtp
    return Relay(
        host=smtp.host,
        port=smtp.port,
        tls=smtp.tls,
        username=smtp.username,
        password=smtp.password.get_secret_value() if smtp.password else None,
        ca_file=str(smtp.ca_file) if smtp.ca_file else None,
        local_hostname=smtp.local_hostname,
        connections=smtp.connections,
        messages_per_connection=smtp.messages_per_connection,
        idle_seconds=smtp.idle.total_seconds(),
        timeout_seconds=smtp.timeout.total_seconds(),
    )


def preview(settings: Settings, step: str, checkout: CheckoutState) -> tuple[Rendered, bytes]:
    """Return a step's mail for a checkout, in words and as a whole message. Raises `CannotStart`, `RenderError`."""
    schedule = settings.to_schedule()
    steps = {each.name: each for each in (*schedule.steps, schedule.confirmation) if each is not None}
    if step not in steps:
        raise CannotStart(f"There is no step {step}; there are {', '.join(steps)}.")
    message = composer_of(settings).compose(checkout, steps[step], checkout.ordered_at or checkout.touched_at)
    return Templates(settings.mail.templates).render(steps[step], checkout), message.content


async def initialise(settings: Settings) -> list[str]:
    """Make a fresh single node a replica set, and the database ready; return a sentence for each thing done.

    Raises `CannotStart`.
    """
    done = []
    async with database_of(settings, directConnection=True, replicaSet=None) as node:
        if await server.fault(node) == server.FRESH:
            if why_not := await server.initiate(node):
                raise CannotStart(why_not)
            done.append("made the server a replica set of one node")
    async with database_of(settings) as database:
        if fault := await server.fault(database):
            raise CannotStart(fault)
        return done + await collections.ensure(database)


async def run(settings: Settings, *, stop: asyncio.Event, on_ready: Callable[[Ready], None] = lambda _: None) -> None:
    """Run the daemon, with the API beside it, until `stop` is set; then finish what is with the relay and return.

    Raises `CannotStart`, `recovery.mail.templates.TemplateError` or `recovery.http.server.CannotListen` before any
    work is done; later only what is a fault of our own.
    """
    api_keys = [key.get_secret_value() for key in settings.http.api_keys]
    if settings.http.enabled and (why := refusal(settings.http.host, api_keys)):
        raise CannotStart(why)
    composer = composer_of(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(database_of(settings))
        if fault := await server.fault(database):
            raise CannotStart(fault)
        await collections.ensure(database)
        clock = MongoClock(database, time.monotonic)
        await clock.measure()
        mailer = SmtpMailer(composer, relay_of(settings), clock)
        stack.push_async_callback(mailer.aclose)
        await _work(settings, database, clock, mailer, stop=stop, on_ready=on_ready)


async def _work(
    settings: Settings,
    database: Database,
    clock: MongoClock,
    mailer: SmtpMailer,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[Ready], None],
) -> None:
    daemon = settings.daemon
    name = daemon.name or socket.gethostname()
    share = Share(f"{name}#{token_hex(4)}")  # a name may be given twice by mistake; a heartbeat may not
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    checkouts, shadows = MongoCheckouts(database), MongoShadows(database)
    engine = Engine(
        checkouts=checkouts,
        shadows=shadows,
        mailer=mailer,
        clock=clock,
        observer=telemetry,
        schedule=settings.to_schedule(),
        owner=share.daemon,
        limits=_limits_of(settings),
    )
    sweep = Sweep(
        checkouts,
        shadows,
        engine,
        share,
        clock,
        interval=daemon.sweep_interval,
        grace=daemon.sweep_grace,
        repair=lambda: collections.ensure(database),
    )
    heartbeat = Heartbeat(
        Daemons(database), share, engine, clock, interval=daemon.heartbeat, expiry=daemon.heartbeat_expiry
    )
    positions = Positions(database, name)
    feeds = {stream.name: Feed(database, stream) for stream in (REPORTED, GONE)}
    expirer = Expirer(shadows, share, clock)
    engine.on_alarm = expirer.wake_for

    async def readiness() -> Mapping[str, str | None]:
        return {
            "mongodb": heartbeat.fault,
            "relay": engine.breaker.fault,
            "sweep": sweep.fault,
            **{f"stream {name}": feed.fault for name, feed in feeds.items()},
        }

    telemetry.gauge("recovery_in_flight", "Messages claimed and not yet recorded", lambda: engine.in_flight)
    telemetry.gauge(
        "recovery_breaker_open",
        "1 while no message is claimed, for a fault of the relay",
        lambda: engine.breaker.fault is not None,
    )
    async with Supervisor() as root:
        root.start("engine", engine.run())
        await heartbeat.beat()
        root.start("heartbeat", heartbeat.run())
        for stream, feed in feeds.items():
            watcher = Watcher(stream, feed, positions, engine, sweep, share, clock, as_room_allows=stream == GONE.name)
            root.start(f"watcher {stream}", watcher.run())
        root.start("sweep", sweep.run())
        if daemon.expirer:
            root.start("expirer", expirer.run())
        closing = asyncio.Event()
        if settings.http.enabled:
            app = create_app(
                Recovery(database.client, database=database.name),
                api_keys=[key.get_secret_value() for key in settings.http.api_keys],
                shopify_secret=_secret(settings.shopify.webhook_secret),
                readiness=readiness,
                registry=registry,
                max_body=settings.http.max_body,
            )
            root.start(
                "http",
                serve(
                    app,
                    settings.http.host,
                    settings.http.port,
                    stop=closing,
                    on_listening=lambda port: on_ready(Ready(port)),
                ),
            )
        else:
            on_ready(Ready(None))
        await root.wait(stop)
        log.info("stopping", in_flight=engine.in_flight)
        closing.set()
        await root.stop("expirer", "sweep", *(f"watcher {stream}" for stream in feeds))
        await engine.stop(daemon.stop_grace.total_seconds())
        await root.finish("http")
        await heartbeat.leave()


def _limits_of(settings: Settings) -> Limits:
    in_flight = settings.daemon.in_flight
    if settings.schedule.on_ambiguous is OnAmbiguous.SKIP:
        in_flight = min(in_flight, 2 * settings.smtp.connections)
    return Limits(in_flight, settings.daemon.hand_over_within.total_seconds())


def _secret(value: Any) -> str | None:
    return value.get_secret_value() if value is not None else None


class _IntoTheLog(logging.Handler):
    """Gives what libraries log to our log: a line of the same form, and never a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, record.getMessage(), logger=record.name)


def configure_logging(settings: Settings) -> None:
    """Write log lines to standard error: for people on a terminal, as JSON elsewhere, unless the settings say which."""
    as_json = settings.log.format == "json" or (settings.log.format == "auto" and not sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log.level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_IntoTheLog()], level=logging.WARNING, force=True)
