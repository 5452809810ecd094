"""The composition root: settings in, running parts out."""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from recovery.app.factories import (
    CannotStart,
    api_keys_of,
    composers_of,
    database_of,
    feedback_of,
    limits_of,
    per_shop,
    recovery_of,
    relay_of,
    suppressions_of,
    webhooks_of,
)
from recovery.daemon.expirer import Expirer
from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.metrics import Telemetry
from recovery.daemon.readiness import Readiness
from recovery.daemon.share import Share
from recovery.daemon.supervisor import Supervisor
from recovery.daemon.sweep import Sweep
from recovery.daemon.template_reload import reload
from recovery.daemon.watcher import Watcher
from recovery.domain.per_shop import PerShop
from recovery.engine.engine import Engine
from recovery.http.app import create_app
from recovery.http.security import refusal
from recovery.http.server import serve
from recovery.mail.composer import Composer
from recovery.mail.smtp.mailer import SmtpMailer
from recovery.mail.smtp.pool import Relay
from recovery.mongo import collections, preflight
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import Database
from recovery.mongo.daemons import Daemons
from recovery.mongo.feed import GONE, REPORTED, Feed
from recovery.mongo.positions import Positions
from recovery.mongo.queues import Shops
from recovery.mongo.shadows import MongoShadows
from recovery.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ready:
    """The daemon does its work. `port` is where it serves HTTP, if it does."""

    port: int | None


async def initialise(settings: Settings) -> list[str]:
    """Make a fresh single node a replica set, and the database ready; return a sentence for each thing done.

    Raises `CannotStart`.
    """
    done = []
    async with database_of(settings, directConnection=True, replicaSet=None) as node:
        if await preflight.fault(node) == preflight.FRESH:
            if why_not := await preflight.initiate(node):
                raise CannotStart(why_not)
            done.append("made the server a replica set of one node")
    async with database_of(settings) as database:
        if fault := await preflight.fault(database):
            raise CannotStart(fault)
        try:
            return done + await collections.ensure(database)
        except collections.NotAllowed as exc:
            raise CannotStart(str(exc)) from exc


async def _ensure(database: Database) -> None:
    """Make the collections what they must be, as far as the daemon's user may: a validator need not be the newest.

    Raises `recovery.mongo.collections.NotAllowed` where more than that is wanting.
    """
    try:
        await collections.ensure(database)
    except collections.NotAllowed as exc:
        if exc.vital:
            raise
        log.warning("the collections are not quite what they must be", why=str(exc))


async def run(settings: Settings, *, stop: asyncio.Event, on_ready: Callable[[Ready], None] = lambda _: None) -> None:
    """Run the daemon, with the API beside it, until `stop` is set; then finish what is with the relay and return.

    Raises `CannotStart`, `TemplateError` or `CannotListen` before any
    work is done; later only what is a fault of our own.
    """
    if settings.http.enabled and (why := refusal(settings.http.host, api_keys_of(settings))):
        raise CannotStart(why)
    composers = composers_of(settings)
    relays = per_shop(settings, relay_of)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(database_of(settings))
        if fault := await preflight.fault(database):
            raise CannotStart(fault)
        try:
            await _ensure(database)
        except collections.NotAllowed as exc:
            raise CannotStart(str(exc)) from exc
        clock = MongoClock(database, time.monotonic)
        await clock.measure()
        mailers = {relay: SmtpMailer(composers, relay, clock) for relay in relays.each()}
        for mailer in mailers.values():
            stack.push_async_callback(mailer.aclose)
        await _work(settings, database, clock, relays, mailers, composers, stop=stop, on_ready=on_ready)


async def _work(
    settings: Settings,
    database: Database,
    clock: MongoClock,
    relays: PerShop[Relay],
    mailers: Mapping[Relay, SmtpMailer],
    composers: PerShop[Composer],
    *,
    stop: asyncio.Event,
    on_ready: Callable[[Ready], None],
) -> None:
    daemon = settings.daemon
    name = daemon.name or socket.gethostname()
    share = Share(f"{name}#{token_hex(4)}")  # a name may be given twice by mistake; a heartbeat may not
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    expirer = Expirer(MongoShadows(database), share, clock)
    lanes = _lanes(settings, database, clock, relays, mailers, share, telemetry, expirer)
    feeds = {stream.name: Feed(database, stream) for stream in (REPORTED, GONE)}
    heartbeat = Heartbeat(
        Daemons(database),
        share,
        lanes.behind,
        clock,
        interval=daemon.heartbeat,
        expiry=daemon.heartbeat_expiry,
        ability=lambda: lanes.ability(expires=daemon.expirer, follows=not any(feed.fault for feed in feeds.values())),
        on_outage=lanes.outage,
    )
    readiness = Readiness(
        {
            "mongodb": lambda: heartbeat.fault,
            "relay": lambda: lanes.relay_fault,
            "sending": lambda: lanes.unsent_fault,
            "suppressing": lambda: lanes.brake_fault,
            "sweep": lambda: lanes.sweep_fault,
            **{f"stream {name}": partial(getattr, feed, "fault") for name, feed in feeds.items()},
        }
    )
    telemetry.watch(in_flight=lambda: lanes.in_flight, breaker_open=lambda: lanes.relay_fault is not None)
    async with Supervisor() as root:
        for lane in lanes.all:
            root.start(f"engine {lane.relay}", lane.engine.sender.run())
        await heartbeat.beat()
        root.start("heartbeat", heartbeat.run())
        positions = Positions(database, name)
        for stream, feed in feeds.items():
            watcher = Watcher(
                stream,
                feed,
                positions,
                lanes,
                share,
                clock,
                as_room_allows=stream == GONE.name,
                repair=lambda: _ensure(database),
            )
            root.start(f"watcher {stream}", watcher.run())
        for lane in lanes.all:
            root.start(f"sweep {lane.relay}", lane.sweep.run())
        for templates in dict.fromkeys(composer.templates for composer in composers.each()):
            root.start(f"templates {templates.folder} {id(templates)}", reload(templates))
        if daemon.expirer:
            root.start("expirer", expirer.run())
        root.start("readiness", readiness.run())
        closing = asyncio.Event()
        if settings.http.enabled:
            api = _api(settings, database, clock, readiness, registry, telemetry)
            host, port = settings.http.host, settings.http.port
            listening = serve(api, host, port, stop=closing, on_listening=lambda port: on_ready(Ready(port)))
            root.start("http", listening)
        else:
            on_ready(Ready(None))
        await root.wait(stop)
        await _stop(root, lanes, heartbeat, closing, feeds, daemon.stop_grace.total_seconds())


async def _stop(
    root: Supervisor,
    lanes: Lanes,
    heartbeat: Heartbeat,
    closing: asyncio.Event,
    feeds: Iterable[str],
    grace: float,
) -> None:
    """End what was begun, within `grace` seconds. First of all nothing more is claimed."""
    log.info("stopping", in_flight=lanes.in_flight)
    for lane in lanes.all:
        lane.engine.sender.begin_stop()
    closing.set()
    sweeps = (f"sweep {lane.relay}" for lane in lanes.all)
    await root.stop("readiness", "expirer", *sweeps, *(f"watcher {stream}" for stream in feeds))
    await asyncio.gather(*(lane.engine.sender.stop(grace) for lane in lanes.all))
    await root.stop("heartbeat")
    await heartbeat.leave()
    await root.finish("http")


def _lanes(
    settings: Settings,
    database: Database,
    clock: MongoClock,
    relays: PerShop[Relay],
    mailers: Mapping[Relay, SmtpMailer],
    share: Share,
    telemetry: Telemetry,
    expirer: Expirer,
) -> Lanes:
    """Return a lane for each relay."""
    daemon = settings.daemon
    checkouts, shadows = MongoCheckouts(database), MongoShadows(database)
    addresses = MongoAddresses(database, suppressions_of(settings, database))
    schedules = per_shop(settings, Settings.to_schedule)

    def lane_by(relay: Relay) -> Lane:
        engine = Engine(
            checkouts=checkouts,
            shadows=shadows,
            addresses=addresses,
            mailer=mailers[relay],
            clock=clock,
            observer=telemetry,
            schedules=schedules,
            owner=share.daemon,
            limits=limits_of(settings),
        )
        engine.alarms.on_set = expirer.wake_for
        own = frozenset(shop for shop, theirs in relays.by_shop.items() if theirs == relay)
        others = frozenset(relays.by_shop) - own
        sweep = Sweep(
            checkouts,
            shadows,
            engine,
            share.mine if len(mailers) == 1 else lambda id_: share.mine(id_) and relays.of(id_) == relay,
            clock,
            interval=daemon.sweep_interval,
            grace=daemon.sweep_grace,
            everybodys=lambda id_: relays.of(id_) == relay,
            shops=Shops(but=others) if relay == relays.default else Shops(only=own),
            everybodys_after=2 * daemon.heartbeat_expiry,
        )
        return Lane(relay.address, engine, sweep)

    lane_of = {relay: lane_by(relay) for relay in mailers}
    return Lanes(PerShop(lane_of[relays.default], {shop: lane_of[relay] for shop, relay in relays.by_shop.items()}))


def _api(
    settings: Settings,
    database: Database,
    clock: MongoClock,
    readiness: Readiness,
    registry: CollectorRegistry,
    telemetry: Telemetry,
) -> Any:
    async def faults() -> Mapping[str, str | None]:
        return readiness.faults()

    return create_app(
        recovery_of(settings, database.client),
        feedback_of(settings, database, clock),
        api_keys=api_keys_of(settings),
        webhooks=webhooks_of(settings),
        readiness=faults,
        registry=registry,
        observer=telemetry,
        max_body=settings.http.max_body,
    )


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
