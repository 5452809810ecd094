"""The results: what reminders bring, in three figures side by side, by shop, step, language, coupon or week."""

from collections.abc import Sequence
from datetime import date, timedelta

from fastapi import Request, Response
from markupsafe import Markup

from recovery.console.charts import Bar, bars
from recovery.console.desk import Desk
from recovery.console.forms import asked, query
from recovery.console.rendering import HEADERS
from recovery.console.routes import Routes
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.results import By, Cell, Lift, Results, Verdict, by_day, results
from recovery.domain.results_text import HEADINGS, cells_of, csv_text, headline, money, part, sentence_of, short
from recovery.http.problems import Problem
from recovery.mongo.results import ResultsReader

USUAL_DAYS, MOST_DAYS = 30, 732
FIRST_DAY = date(2000, 1, 1)
LABELLED = 10
"""Labels below a chart, at most."""


class Asked:
    """The days, rows and shops that a page is asked for. Raises `Problem`."""

    def __init__(self, request: Request, viewer: Viewer, today: date) -> None:
        form = asked(request)
        self.by = _by(form.one("by"))
        self.until = _day("until", form.one("until"), today)
        if self.until < FIRST_DAY:
            raise Problem(422, f"until must be {FIRST_DAY} or later.")
        self.since = _day("since", form.one("since"), self.until - timedelta(days=USUAL_DAYS))
        self.shop = form.one("shop")
        if not timedelta() <= self.until - self.since <= timedelta(days=MOST_DAYS):
            raise Problem(422, f"since must be before until, and by at most {MOST_DAYS} days.")
        if self.shop is not None and not viewer.sees(self.shop):
            raise Problem(403, f"This key is not valid for the shop {self.shop}.")
        self.shops = (self.shop,) if self.shop is not None else viewer.shops

    @property
    def file(self) -> str:
        """The address of the same as a file."""
        days = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return query(f"{PATH}/results.csv", {"by": self.by.value, **days, "shop": self.shop})


def _by(value: str | None) -> By:
    try:
        return By(value or By.SHOP)
    except ValueError:
        raise Problem(422, f"by must be one of: {', '.join(By)}.") from None


def _day(name: str, value: str | None, usual: date) -> date:
    try:
        return usual if value is None else date.fromisoformat(value)
    except ValueError:
        raise Problem(422, f"{name} must be a day such as 2026-12-01.") from None


class ResultsPages:
    """The page, and its rows as a file for a spreadsheet."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._reader = ResultsReader(desk.database)
        routes.rendering.pages.add("results")
        routes.page("/results", self.page)
        routes.page("/results.csv", self.file)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the results."""
        given, cells, found = await self._read(request, viewer)
        total = found.total
        return self._routes.rendering.page(
            request,
            viewer,
            "results.html",
            current="results",
            asked=given,
            choices=list(By),
            window=self._desk.terms.window,
            found=found,
            total=total,
            came_back=part(total.sums.returned, total.sums.checkouts),
            then_ordered=part(total.sums.returned_orders, total.sums.checkouts),
            ordered=part(total.sums.ordered, total.sums.checkouts),
            money=money(total.money),
            lift=headline(total.lift),
            headings=HEADINGS,
            rows=[
                (row.group or "(none)", list(zip(HEADINGS, cells_of(row), strict=True))) for row in [*found.rows, total]
            ],
            chart=chart(cells),
            experiments=[(each, sentence_of(each), whisker(each), _mark(each)) for each in found.lifts],
        )

    async def file(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the rows as CSV."""
        given, _, found = await self._read(request, viewer)
        name = f"results-by-{given.by}-{given.since}-{given.until}.csv"
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(csv_text(found), media_type="text/csv", headers=headers)

    async def _read(self, request: Request, viewer: Viewer) -> tuple[Asked, Sequence[Cell], Results]:
        now = self._desk.clock.now()
        given = Asked(request, viewer, now.date())
        cells = await self._reader.cells(given.since, given.until, given.shops)
        return given, cells, results(cells, given.by, self._desk.terms, now)


def _mark(lift: Lift) -> str:
    """Return the class of a verdict's tag."""
    return {Verdict.LOPSIDED: "bad", Verdict.FINAL: "good"}.get(lift.verdict, "fair")


def chart(cells: Sequence[Cell]) -> Markup:
    """Return a bar for each day with mails: its checkouts, and those of them that were ordered."""
    days = by_day(cell for cell in cells if not cell.experiment)
    data = [
        Bar(
            f"{day:%d %b}",
            {"sent": sums.ordered, "skipped": max(sums.checkouts - sums.ordered, 0)},
            f"{day}: {sums.checkouts:,} checkouts with a first mail, {sums.ordered:,} orders within the window",
        )
        for day, sums in days
    ]
    described = "Checkouts with a first mail by day, and orders within the window"
    return bars(data, described=described, every=-(-len(data) // LABELLED) or 1)


WIDTH, HEIGHT, EDGE = 560, 28, 12


def whisker(lift: Lift) -> Markup | None:
    """Return the interval of a lift as a line with its estimate, beside zero; None where it is not to be shown."""
    interval = lift.orders
    if interval is None or lift.verdict not in (Verdict.EARLY, Verdict.FINAL):
        return None
    most = max(abs(interval.low), abs(interval.high), 0.001)

    def x(value: float) -> float:
        return WIDTH / 2 + value / most * (WIDTH / 2 - EDGE)

    middle = HEIGHT / 2
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="xMinYMid meet">'
        '<title>{}</title><line class="axis" x1="{}" y1="0" x2="{}" y2="{}"/>'
        '<rect class="sent" x="{:.1f}" y="{}" width="{:.1f}" height="2"/>'
        '<rect class="sent" x="{:.1f}" y="{}" width="8" height="8" rx="4"/></svg>'
    ).format(
        f"Lift {short(lift)}",
        WIDTH,
        HEIGHT,
        f"Lift {short(lift)}",
        *(WIDTH / 2, WIDTH / 2, HEIGHT),
        *(x(interval.low), middle - 1, x(interval.high) - x(interval.low)),
        *(x(interval.value) - 4, middle - 4),
    )
