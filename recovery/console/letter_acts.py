"""Acts on dead letters: a dry run of a replay, a replay, a drop; of the chosen ones, or of all that match the filters.

All that match are read when the question is asked. The yes works on these, unless they died again meanwhile.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fastapi import Request, Response

from recovery.console.desk import Desk
from recovery.console.forms import Form, query
from recovery.console.letter_filters import NAMES, read
from recovery.console.letters import LIST, path_of, unknown
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.viewer import Viewer
from recovery.domain.checkout import shop_of
from recovery.http.problems import Problem
from recovery.mongo.dead_letters import DeadLetters, Filter, KeptLetter
from recovery.mongo.replays import Expected, Replays
from recovery.mongo.selections import Selections, TooMany

PATH = "/dead-letters"
"""The path of the act, below that of the console."""

DRY_RUN, REPLAY, DROP = "dry-run", "replay", "drop"
EVERY = "all-"
"""The beginning of the name of an act on all that match."""

AT_ONCE = 500
"""Letters that are read and written at once."""

MOST_FORECAST = 1_000
"""Letters, the newest, whose replay is forecast for a question."""

MOST_SHOWN = 200
"""Letters that a dry run lists one by one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The letters of a question: their number, the newest of them, and the fields by which the yes finds them all."""

    count: int
    letters: Sequence[KeptLetter]
    fields: tuple[tuple[str, str], ...]


class LetterActs:
    """What people do with dead letters."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._clock = desk.clock
        self._letters = DeadLetters(desk.database)
        self._selections = Selections(desk.database)
        self._replays = Replays(desk.database, desk.suppressions, desk.schedules)
        routes.act(PATH, self.act)

    async def act(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask | Response:
        """Do what the button that was pressed says."""
        pressed = form.one("do") or ""
        do = pressed.removeprefix(EVERY)
        if do not in (DRY_RUN, REPLAY, DROP):
            raise Problem(422, "Press one of the buttons: dry run, replay or drop.")
        back = query(LIST, form.only(*NAMES))
        if is_sure(form) and do != DRY_RUN:
            return await self._done(do, viewer, form, back)
        chosen = await self._chosen(viewer, form, every=pressed != do, replayed=do == DROP)
        if not chosen.count:
            return Done("There is nothing to do: no dead letter matches any more.", back, 0)
        if do == DROP:
            return Ask(
                f"Drop {_number(chosen.count)}?",
                "Drop them" if chosen.count > 1 else "Drop it",
                back,
                (("do", do), *chosen.fields),
                ("They are deleted for good, with their errors. Their checkouts stay.",),
            )
        expected = await self._replays.expected(chosen.letters, self._clock.now())
        if do == DRY_RUN:
            return self._dry_run(request, viewer, chosen, expected, back)
        question = f"Replay {_number(chosen.count)}?"
        details = self._details(chosen, expected)
        return Ask(
            question, "Replay them" if chosen.count > 1 else "Replay it", back, (("do", do), *chosen.fields), details
        )

    def _dry_run(
        self, request: Request, viewer: Viewer, chosen: Chosen, expected: Mapping[str, Expected], back: str
    ) -> Response:
        return self._routes.rendering.page(
            request,
            viewer,
            "dead-letters-forecast.html",
            current="dead-letters",
            count=chosen.count,
            number=_number(chosen.count),
            results=_alike(expected, "would"),
            letters=chosen.letters[:MOST_SHOWN],
            forecast=len(chosen.letters),
            expected=expected,
            path_of=path_of,
            fields=chosen.fields,
            back=back,
            list=LIST,
        )

    def _details(self, chosen: Chosen, expected: Mapping[str, Expected]) -> tuple[str, ...]:
        results = [f"{times:,}: {result}" for result, times in _alike(expected, "will")]
        if chosen.count > len(chosen.letters):
            results.append(f"This is of the newest {len(chosen.letters):,}; the others are checked in the same way.")
        return (*results, "Each checkout is checked again first: who ordered or unsubscribed meanwhile gets no mail.")

    async def _chosen(self, viewer: Viewer, form: Form, *, every: bool, replayed: bool) -> Chosen:
        """Return the letters of a question, and keep their ids. Raises `Problem`.

        `replayed` says whether those that were replayed already may be among them.
        """
        now = self._clock.now()
        asked = read(form, viewer, now)
        kept: list[tuple[str, str]] = [("asked", now.isoformat()), *form.only(*NAMES)]
        if not every:
            letters = await self._letters.find(Filter(_ids(form, viewer), replayed=replayed))
            return Chosen(len(letters), letters, (*(("id", letter.id) for letter in letters), *kept))
        if asked.filter is None:
            faults = "; ".join(f"{name}: {fault}" for name, fault in asked.faults.items())
            raise Problem(422, f"The filters are not clear ({faults}): go back and correct them.")
        which = replace(asked.filter, replayed=asked.filter.replayed and replayed)
        try:
            name, count = await self._selections.keep(self._letters.ids(which), viewer.name, now)
        except TooMany as exc:
            raise Problem(422, f"These letters cannot be handled together: {exc}.") from None
        first = await self._letters.page(which, MOST_FORECAST)
        return Chosen(count, first.letters, (("selection", name), *kept))

    async def _done(self, do: str, viewer: Viewer, form: Form, back: str) -> Done:
        before = _asked(form) + timedelta(milliseconds=1)
        asked_about = count = 0
        async for ids in self._meant(form, viewer):
            asked_about += len(ids)
            # One that died again since the question is another story: it is left alone.
            which = Filter(ids, before=before, replayed=do == DROP, shops=viewer.shops)
            letters = await self._letters.find(which)
            if do == DROP:
                count += await self._letters.drop(letters)
            else:
                count += await self._letters.replay(letters, self._clock.now(), f"{viewer.name} in the console")
        if not asked_about:
            return Done("Nothing was done: the question was asked more than an hour ago. Ask again.", back, 0)
        verb, rest = ("Dropped", "gone") if do == DROP else ("Replayed", "no longer dead")
        left = asked_about - count
        others = (
            f" {'The other one was' if left == 1 else f'The other {left:,} were'} {rest} meanwhile." if left else ""
        )
        return Done(f"{verb} {_number(count)}.{others}", back, count)

    async def _meant(self, form: Form, viewer: Viewer) -> AsyncIterator[tuple[str, ...]]:
        """Yield the ids that the person was asked about."""
        if name := form.one("selection"):
            async for chunk in self._selections.ids(name, viewer.name):
                for start in range(0, len(chunk), AT_ONCE):
                    yield tuple(chunk[start : start + AT_ONCE])
        else:
            ids = _ids(form, viewer)
            for start in range(0, len(ids), AT_ONCE):
                yield ids[start : start + AT_ONCE]


def _ids(form: Form, viewer: Viewer) -> tuple[str, ...]:
    ids = tuple(dict.fromkeys(form.all("id")))
    if not ids:
        raise Problem(422, "Choose at least one dead letter: tick the box in front of it.")
    if not all(viewer.sees(shop_of(id_)) for id_ in ids):
        raise unknown()
    return ids


def _asked(form: Form) -> datetime:
    try:
        return datetime.fromisoformat(form.one("asked") or "").astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(422, "The form is incomplete: go back, and ask again.") from None


def _alike(expected: Mapping[str, Expected], would: str) -> list[tuple[str, int]]:
    """Return the expected results, and how many letters have each, the most frequent first."""
    return Counter(each.alike(would) for each in expected.values()).most_common()


def _number(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"
