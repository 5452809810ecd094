"""The desk of the console, from the settings."""

import asyncio
from collections.abc import Callable, Mapping

from recovery.app.factories import per_shop, recovery_of, suppressions_of, terms_of
from recovery.app.mail_tests import ShopMailTests
from recovery.app.trial import ScheduleTrial
from recovery.console.desk import Desk, Sending
from recovery.daemon.words import WordsWatch
from recovery.domain.per_shop import PerShop
from recovery.engine.ports import Clock
from recovery.mail.composer import Composer
from recovery.mongo.collections import Database
from recovery.settings import Settings


def desk_of(
    settings: Settings,
    database: Database,
    clock: Clock,
    faults: Callable[[], Mapping[str, str | None]],
    closing: asyncio.Event,
    composers: PerShop[Composer],
    words: WordsWatch,
) -> Desk:
    """Return the desk of the console. `closing` is set when the daemon stops."""
    return Desk(
        database=database,
        recovery=recovery_of(settings, database.client),
        clock=clock,
        schedules=per_shop(settings, lambda own: own.to_schedule()),
        suppressions=suppressions_of(settings, database),
        faults=faults,
        shops=sorted(settings.shops),
        terms=terms_of(settings),
        closing=closing,
        rendered=lambda checkout, step: composers.of(checkout.id).render(checkout, step),
        trial=ScheduleTrial(settings, database, clock),
        sending=per_shop(settings, lambda own: Sending(own.mail.sender, f"{own.smtp.host}:{own.smtp.port}")),
        composers=composers,
        tests=ShopMailTests(settings, composers, clock),
        words_saved=words.refresh,
    )
