"""Endpoints for batches, many reports in one request: the body is read, and the answer written, a line at a time.

Like `recovery.http.api.reports`, they answer beside FastAPI; `batch_docs` documents them. The body has no limit of its
own; a report in it has that of a single one. Memory does not grow with the body: what is read waits for room among the
reports that are on their way to the database, and those for the caller to read the answer.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, NamedTuple

import structlog
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from recovery.client import ReportResult, Unavailable
from recovery.domain.checkout import Checkout, Order
from recovery.domain.splitting import Elements, Fault, FaultKind, Lines, Part, Splitter
from recovery.http.api.ingestion import Ingestion
from recovery.http.api.reports import encoded, refuse, shop_in
from recovery.http.keys import Caller
from recovery.http.keys import Scope as KeyScope
from recovery.http.log_bound import LogBound
from recovery.http.middleware import AnswerCount, headers_of, host_fault
from recovery.http.problems import Problem, details_of, invalid_body, problem_of
from recovery.http.security import Guard
from recovery.http.streaming import NotRead, StreamedAnswer, abort_stream, begin_stream, parts

CHECKOUTS, ORDERS = "/checkouts", "/orders"
"""The paths of batches."""

_MODELS: Mapping[str, type[Checkout] | type[Order]] = {CHECKOUTS: Checkout, ORDERS: Order}

MOST_BATCHES = 8
"""Batches that are read at the same time; a further one gets 503."""

MOST_OF_A_KEY = 6
"""Those of one key, if there are several: the batches of one shop leave room for those of the others."""

RETRY_AFTER = 30
"""Seconds after which a batch that got 503 is to be sent again."""

MOST_BYTES = 1024 * 1024
"""Bytes of the reports of one batch that are on their way at the same time; one report may be longer."""

LINES = "application/x-ndjson"
_SPLITTERS: Mapping[str, type[Lines] | type[Elements]] = {LINES: Lines, "application/json": Elements}

_STATUSES = {FaultKind.TOO_LONG: 413, FaultKind.BROKEN: 422, FaultKind.CUT_OFF: 400}
"""The status of the problem of a line that cannot be read."""

_log = structlog.get_logger()


class Batches:
    """Answers the requests for which `takes` is true, from callers that `guard` authenticates.

    The answer is 200 with a result for each report, in their order: a batch is taken, whatever becomes of a report in
    it. Only if nothing of its body can be read, the answer is a problem. `count` notes every report. A report has at
    most `max_body` bytes.
    """

    def __init__(self, ingestion: Ingestion, guard: Guard, count: AnswerCount, *, max_body: int) -> None:
        self._ingestion = ingestion
        self._guard = guard
        self._count = count
        self._max_body = max_body
        self._read: Counter[str] = Counter()
        self._outages = LogBound()

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Return whether a request is a batch."""
        return scope.get("path") in _MODELS and scope.get("method") == "POST"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store the reports of a batch, and answer."""
        if problem := host_fault(scope):
            await refuse(problem, scope, receive, send)
            return
        kind, headers = scope["path"][1:-1], headers_of(scope)
        answer = _answer_of(headers, send)
        try:
            caller = await self._guard.admit(headers, KeyScope.REPORT)
            splitter = _splitter(headers, self._max_body)
            with self._room(caller):
                begin_stream(scope)
                await self._answer(kind, _Reading(_MODELS[scope["path"]], caller, splitter, receive), answer)
        except NotRead:
            await abort_stream(scope, receive)
        except Exception as exc:
            if not answer.begun:
                status = await refuse(exc, scope, receive, send)
                self._count.note(kind, status, scope.get("state", {}))
            if not isinstance(exc, Problem):
                raise

    @contextmanager
    def _room(self, caller: Caller) -> Iterator[None]:
        read, own = self._read.total(), self._read[caller.name]
        if read >= MOST_BATCHES:
            raise _no_room(f"{read} batches")
        if own >= MOST_OF_A_KEY and self._guard.has_several_keys:
            raise _no_room(f"{own} batches of the key {caller.name!r}")
        self._read[caller.name] += 1
        try:
            yield
        finally:
            self._read[caller.name] -= 1

    async def _answer(self, kind: str, reading: "_Reading", answer: "_Results") -> None:
        """Write the result of each report, until the batch or the connection ends."""
        try:
            async with aclosing(reading.reports()) as reports, aclosing(self._ingestion.report(reports)) as results:
                async for each in results:
                    line = reading.done()
                    problem = self._problem_of(each.error)
                    if problem is not None and line.is_body:
                        raise problem
                    await answer.write(line.number, each, problem)
                    if problem is not None:
                        self._count.note(kind, problem.status, {"reason": problem.detail, "shop": line.shop})
                    elif each.report is not None:
                        self._count.note(kind, 202, {"shop": each.report.shop})
            await answer.end()
        except (ClientDisconnect, NotRead) as exc:
            _log.info("batch broken off", kind=kind, read=reading.number, reason=type(exc).__name__)
            if isinstance(exc, NotRead):
                raise
        finally:
            await answer.close()

    def _problem_of(self, error: Exception | None) -> Problem | None:
        if error is None or isinstance(error, Problem):
            return error
        if not isinstance(error, Unavailable):
            return problem_of(error)
        if (left_out := self._outages.left_out(asyncio.get_running_loop().time())) is not None:
            _log.warning("database unavailable", error=str(error), not_logged_before=left_out)
        return Problem(503, "The database is unavailable. The report may not have been stored: send it again.")


def _no_room(what: str) -> Problem:
    why = f"{what} are being read: send this one again in {RETRY_AFTER} s."
    return Problem(503, why, headers={"Retry-After": str(RETRY_AFTER)})


class _Line(NamedTuple):
    number: int
    size: int
    shop: str | None
    is_body: bool
    """Whether it is the fault of the body as a whole, of which nothing was read."""


class _Reading:
    """Reads the reports of one batch. `number` is that of the last line read."""

    def __init__(
        self, model: type[Checkout] | type[Order], caller: Caller, splitter: Splitter, receive: Receive
    ) -> None:
        self._model = model
        self._caller = caller
        self._splitter = splitter
        self._receive = receive
        self._on_their_way: deque[_Line] = deque()
        self._bytes = 0
        self._fewer = asyncio.Event()
        self.number = 0

    async def reports(self) -> AsyncGenerator[Checkout | Order | Problem, None]:
        """Yield the report of each line, or the problem that it has. Raises `ClientDisconnect`."""
        async with aclosing(self._found()) as found:
            async for some in found:
                for part in some:
                    if isinstance(part, Fault):
                        self._on_their_way.append(_Line(part.number, 0, None, part.ends and not self.number))
                        self.number = part.number
                        yield Problem(_STATUSES[part.kind], part.why)
                        if part.ends:
                            return
                        continue
                    number, data = part
                    read, shop = self._read_piece(data)
                    size = len(data)
                    while self._bytes + size > MOST_BYTES and self._on_their_way:
                        self._fewer.clear()
                        await self._fewer.wait()
                    self._bytes += size
                    self._on_their_way.append(_Line(number, size, shop, is_body=False))
                    self.number = number
                    yield read

    def done(self) -> _Line:
        """Return the line of the next result: they come in the order of the reports."""
        line = self._on_their_way.popleft()
        self._bytes -= line.size
        self._fewer.set()
        return line

    async def _found(self) -> AsyncGenerator[Iterable[Part], None]:
        """Yield what each part of the body has: a generator within a generator would cost more for each report."""
        try:
            async with aclosing(parts(self._receive)) as body:
                async for data in body:
                    yield self._splitter.feed(data)
        except Problem as exc:
            yield [Fault(self.number + 1, exc.detail, FaultKind.CUT_OFF)]
            return
        yield self._splitter.end()

    def _read_piece(self, data: bytes) -> tuple[Checkout | Order | Problem, str | None]:
        """Return the report or its problem, and with that, the shop for the log."""
        try:
            report = self._model.model_validate_json(data)
            self._caller.needs_shop(report.shop)
        except ValidationError as exc:
            return invalid_body(exc), shop_in(data)
        except Problem as exc:
            return exc, None
        return report, None


class _Results:
    """The answer: a line for each result, or, if `minimal`, for each report that is not stored, and then the totals."""

    def __init__(self, lines: StreamedAnswer, *, minimal: bool) -> None:
        self._lines = lines
        self._minimal = minimal
        self._kept = self._refused = 0

    @property
    def begun(self) -> bool:
        """Whether anything was sent."""
        return self._lines.begun

    async def write(self, number: int, result: ReportResult, problem: Problem | None) -> None:
        """Write the result of the report in this line."""
        if problem is not None:
            self._refused += 1
            await self._lines.write(_encoded({"line": number} | details_of(problem)))
        elif result.report is not None:
            self._kept += 1
            if not self._minimal:
                await self._lines.write(f'{{"line": {number}, "id": {encoded(result.report.id)}}}\n'.encode())

    async def end(self) -> None:
        """Write the end of the answer."""
        if self._minimal:
            await self._lines.write(_encoded({"stored": self._kept, "not_stored": self._refused}))
        await self._lines.end()

    async def close(self) -> None:
        """Drop what is not sent yet, if the answer did not come to its end."""
        await self._lines.close()


def _encoded(values: Mapping[str, Any]) -> bytes:
    return f"{encoded(values)}\n".encode()


def _splitter(headers: Mapping[str, str], limit: int) -> Splitter:
    """Return the splitter for a media type. It rejects others: any web page can post a form (CSRF)."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _SPLITTERS:
        detail = f"The body must be lines of JSON, with 'Content-Type: {LINES}', or an array, with 'application/json'."
        raise Problem(415, detail)
    return _SPLITTERS[media_type](limit)


def _answer_of(headers: Mapping[str, str], send: Send) -> _Results:
    """Return the answer, as the caller prefers it (RFC 7240, section 4.2)."""
    minimal = any(each.partition(";")[0].strip() == "return=minimal" for each in headers.get("prefer", "").split(","))
    applied = [(b"preference-applied", b"return=minimal")] if minimal else []
    return _Results(StreamedAnswer(send, [(b"content-type", LINES.encode()), *applied]), minimal=minimal)
