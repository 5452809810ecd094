"""Trials of schedules for the console: over kept checkouts, beside the daemon's work."""

from datetime import timedelta

from recovery.app.simulation import Kept, schedules_of, simulate_kept
from recovery.console.trial import MOST_TRIED, BadSchedule
from recovery.domain.schedule import MessageKind
from recovery.domain.simulation import Comparison
from recovery.engine.ports import Clock
from recovery.mongo.collections import Database
from recovery.settings import Settings, SettingsError
from recovery.settings.proposed import proposal_of, text_of

PAUSE = 0.002
"""Seconds between two pieces of work, of some milliseconds each: mails that are due do not wait for a trial."""

MOST_LISTED = 20

LONGEST_TEXT, MOST_STEPS = 20_000, 50
"""Characters of a schedule that is tried, and its steps: each decision looks at all of them, in the daemon's loop."""

MOST_STOPS = 30
"""Full stops of a line: to read a key of thousands of parts takes many seconds, in the daemon's loop as well."""


class ScheduleTrial:
    """The port `Trial` of the console, on the settings and the database of a daemon."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock

    def in_force(self, shop: str) -> str:
        """Return the schedule in force of a shop, as it stands in a configuration file."""
        return text_of(self._settings.of(shop))

    async def compare(self, text: str, shop: str, since: timedelta) -> Comparison:
        """Return the schedule of a text, compared with the one in force. Raises `BadSchedule`, `Unavailable`."""
        if len(text) > LONGEST_TEXT:
            raise BadSchedule((f"this text is longer than {LONGEST_TEXT} characters",))
        if any(line.count(".") > MOST_STOPS for line in text.split("\n")):
            raise BadSchedule((f"a line of this text has more than {MOST_STOPS} full stops",))
        try:
            tables = proposal_of(text, "this text")
            schedules = schedules_of(self._settings, tables, "set in this text", shop)
        except SettingsError as exc:
            problems = exc.problems
        else:
            steps = [step for step in schedules.default.new.mails if step.kind is MessageKind.REMINDER]
            if len(steps) > MOST_STEPS:
                raise BadSchedule((f"schedule.steps: at most {MOST_STEPS} can be tried here",))
            now = self._clock.now()
            which = Kept(shop, now - since, now, at_most=MOST_TRIED, pause=PAUSE)
            return await simulate_kept(self._database, self._settings, schedules, which, MOST_LISTED)
        raise BadSchedule(problems)
