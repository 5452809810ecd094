"""Dead letters: how many there are by cause and by the relay's words, a list of them, and each with all its errors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request, Response

from recovery.console import checkout_paths
from recovery.console.desk import Desk
from recovery.console.forms import asked, query
from recovery.console.letter_filters import read
from recovery.console.routes import Routes
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.checkout import shop_of
from recovery.domain.state import Cause
from recovery.domain.wording import alike, in_words
from recovery.http.problems import Problem
from recovery.mongo.dead_letters import MOST_SUMMED, DeadLetters, Filter, KeptLetter, SameError
from recovery.mongo.listing import BadFilter
from recovery.mongo.replays import Replays

LIST = f"{PATH}/dead-letters"
PAGE = 50
MOST_SHOPS = 50
MOST_SAID = 8
"""Different errors that the summary shows."""

CAUSES: Mapping[str, str] = {
    Cause.DEAD_ADDRESS: "the relay refused the address for good",
    Cause.DEAD_MESSAGE: "the relay refused the mail for good",
    Cause.ATTEMPTS: "the relay said no, or did not answer, each time",
    Cause.RENDER_ERROR: "the mail could not be made from its template",
    Cause.LOST: "the relay may have it: it was not known for certain",
    Cause.INVALID: "the document cannot be read or written",
}
"""What each cause means."""


@dataclass(frozen=True, slots=True)
class Said:
    """Errors in the same words: one of them, and how many letters have them."""

    cause: str
    error: str
    times: int


class Letters:
    """The list of dead letters, and the page of each."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._letters = DeadLetters(desk.database)
        self._replays = Replays(desk.database, desk.suppressions, desk.schedules)
        routes.rendering.pages.add("dead-letters")
        routes.page("/dead-letters", self.page)
        routes.page("/dead-letters/{id:path}", self.one)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the summary, and a page of the list."""
        form = asked(request)
        filters = read(form, viewer, self._desk.clock.now())
        summary = found = None
        if filters.filter is not None:
            try:
                found = await self._letters.page(filters.filter, PAGE, form.one("after"))
            except BadFilter as exc:
                raise Problem(422, f"{exc}.") from None
            summary = await self._letters.summary(filters.filter)
        return self._routes.rendering.page(
            request,
            viewer,
            "dead-letters.html",
            current="dead-letters",
            filters=filters,
            causes=CAUSES,
            shops=await self._shops(viewer),
            steps=self._steps(),
            summary=summary,
            summed=MOST_SUMMED,
            errors=gathered(summary.errors)[:MOST_SAID] if summary else [],
            letters=found.letters if found else [],
            path_of=path_of,
            in_words=in_words,
            first=query(LIST, filters.pairs) if form.one("after") else None,
            older=query(LIST, [*filters.pairs, ("after", found.next)]) if found and found.next else None,
            list=LIST,
            now=self._desk.clock.now(),
        )

    async def one(self, request: Request, viewer: Viewer) -> Response:
        """Answer with one letter: its errors, and what a replay of it would come to."""
        id_ = request.path_params["id"]
        found = await self._letters.find(Filter(ids=(id_,), replayed=True)) if viewer.sees(shop_of(id_)) else []
        if not found:
            raise unknown()
        (letter,) = found
        now = self._desk.clock.now()
        expected = (await self._replays.expected([letter], now))[letter.id]
        return self._routes.rendering.page(
            request,
            viewer,
            "dead-letter.html",
            current="dead-letters",
            letter=letter,
            meaning=CAUSES.get(letter.cause),
            expected=expected,
            checkout=checkout_paths.path_of(letter.checkout),
            in_words=in_words,
            list=LIST,
            now=now,
        )

    async def _shops(self, viewer: Viewer) -> Sequence[str] | None:
        """Return the shops to choose from, or None if there are too many."""
        shops = viewer.shops or await self._desk.known_shops(MOST_SHOPS + 1)
        return shops if len(shops) <= MOST_SHOPS else None

    def _steps(self) -> list[str]:
        return list(dict.fromkeys(name for each in self._desk.schedules.each() for name in each.by_name))


def gathered(errors: Iterable[SameError]) -> list[Said]:
    """Return the errors whose words are alike together, the most frequent first. What is shown is the first of each."""
    together: dict[tuple[str, str], Said] = {}
    for each in errors:
        key = each.cause, alike(each.error)
        before = together.get(key)
        times = each.times + (before.times if before else 0)
        together[key] = Said(each.cause, before.error if before else in_words(each.error), times)
    return sorted(together.values(), key=lambda said: -said.times)


def path_of(letter: KeptLetter) -> str:
    """Return the path of a letter's page."""
    return f"{LIST}/{quote(letter.id, safe='')}"


def unknown() -> Problem:
    """Return the problem of a letter that does not exist."""
    return Problem(404, "There is no such dead letter: it was dropped, or is older than 90 days.")
