"""The schedule: the one in force by shop, and another one tried beside it. Nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import Request, Response

from recovery.console.desk import Desk
from recovery.console.forms import Form, asked
from recovery.console.routes import Routes
from recovery.console.schedule_charts import pairs, week
from recovery.console.trial import MOST_TRIED, BadSchedule
from recovery.console.viewer import Viewer
from recovery.domain.schedule import CONFIRMATION
from recovery.domain.scopes import Scope
from recovery.domain.simulation import Cause, Comparison, Sums
from recovery.http.problems import Problem

PATH = "/schedule"
MOST_SHOPS = 500

PERIODS: Mapping[str, str] = {"7": "the last 7 days", "30": "the last 30 days", "90": "the last 90 days"}
USUAL = "30"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table that stands two schedules beside each other."""

    name: str
    in_force: int
    new: int

    @property
    def change(self) -> str:
        """The change, with its sign."""
        return f"{self.new - self.in_force:+,}" if self.new != self.in_force else "="


class SchedulePage:
    """The page, and the act that tries a schedule: one at a time, as it takes a part of a daemon's core."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._is_trying = False
        routes.rendering.pages.add("schedule")
        routes.page(PATH, self.page)
        routes.act(PATH, self.try_, Scope.READ)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the schedule in force of a shop, and the form to try another."""
        shops, shop = await self._shops(viewer, asked(request).one("shop"))
        text = self._desk.trial.in_force(shop) if self._desk.trial is not None else ""
        return self._page(request, viewer, shops, shop, text=text, period=USUAL)

    async def try_(self, request: Request, viewer: Viewer, form: Form) -> Response:
        """Answer with what the schedule of the form would do."""
        shops, shop = await self._shops(viewer, form.one("shop"))
        text, period = form.text("schedule"), form.one("since") or USUAL
        shown: dict[str, Any] = {"text": text, "period": period}
        if period not in PERIODS:
            raise Problem(422, "since: is not one of the periods of the form.")
        if self._desk.trial is None:
            raise Problem(503, "No schedule can be tried here.")
        if self._is_trying:
            fault = "Another schedule is being tried: wait for its result, and try again."
            return self._page(request, viewer, shops, shop, **shown, status=503, faults=[fault])
        self._is_trying = True
        try:
            compared = await self._desk.trial.compare(text, shop, timedelta(days=int(period)))
        except BadSchedule as exc:
            return self._page(request, viewer, shops, shop, **shown, status=422, faults=exc.problems)
        finally:
            self._is_trying = False
        return self._page(request, viewer, shops, shop, **shown, compared=compared, **_drawn(compared))

    async def _shops(self, viewer: Viewer, wanted: str | None) -> tuple[Sequence[str], str]:
        """Return the shops that a viewer may choose, and the chosen one. Raises `Problem` for a shop of others."""
        shops = viewer.shops or await self._desk.known_shops(MOST_SHOPS)
        if wanted is not None and not viewer.sees(wanted):
            raise Problem(403, f"This key is not for the shop {wanted}.")
        return shops, wanted or next(iter(shops), "")

    def _page(
        self, request: Request, viewer: Viewer, shops: Sequence[str], shop: str, *, status: int = 200, **names: Any
    ) -> Response:
        shown: dict[str, Any] = {"compared": None, "faults": ()} | names
        return self._routes.rendering.page(
            request,
            viewer,
            "schedule.html",
            current="schedule",
            status=status,
            shops=list(dict.fromkeys([*shops, shop])) if shop else [],
            shop=shop,
            schedule=self._desk.schedules.of_shop(shop),
            periods=PERIODS,
            most=MOST_TRIED,
            **shown,
        )


def _drawn(compared: Comparison) -> dict[str, Any]:
    """Return the tables and charts of a comparison."""
    old, new = compared.in_force, compared.new
    steps = sorted({*old.mails, *new.mails}, key=lambda step: (step == CONFIRMATION, step))
    saved = [Line(f"{step}: the order came first", old.saved[step], new.saved[step]) for step in steps]
    most = max(*old.hours, *new.hours)
    return {
        "mails": [
            *(Line(step, old.mails[step], new.mails[step]) for step in steps),
            Line("all reminders", old.reminders, new.reminders),
        ],
        "saved": [
            *(line for line in saved if line.in_force or line.new),
            Line("people who ordered before any reminder", old.ordered_unreminded, new.ordered_unreminded),
        ],
        "held": _held(old, new),
        "arms": _arms(old, new),
        "chart": pairs(
            [(step, old.mails[step], new.mails[step]) for step in steps],
            described="Mails by step: in force, and by the new schedule",
        ),
        "weeks": [
            (name, week(sums.hours, most, described=f"Mails by hour of the week, {name}"))
            for name, sums in (("in force", old), ("new", new))
        ],
    }


def _arms(old: Sums, new: Sums) -> list[Line]:
    """Return the numbers of checkouts and reminders in each arm of each experiment."""
    return [
        Line(f"{experiment} {arm}: {what}", counts[0][experiment, arm], counts[1][experiment, arm])
        for experiment, arm in sorted({*old.arms, *new.arms})
        for what, counts in (
            ("checkouts", (old.arms, new.arms)),
            ("reminders", (old.arm_reminders, new.arm_reminders)),
        )
    ]


def _held(old: Sums, new: Sums) -> list[Line]:
    """Return the numbers of messages that are moved, and not sent, for each reason."""
    moved = [
        Line(
            f"reminders moved by {cause}",
            *(sum(n for (_, by), n in s.moved.items() if by is cause) for s in (old, new)),
        )
        for cause in Cause
    ]
    skipped = [
        Line(f"{step} not sent: {reason}", old.skipped[step, reason], new.skipped[step, reason])
        for step, reason in sorted({*old.skipped, *new.skipped})
    ]
    return [line for line in (*moved, *skipped) if line.in_force or line.new]
