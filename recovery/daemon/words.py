"""Takes the words that were written in the console: asks for new versions, and hands them to the templates."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.errors import Refused, Unavailable
from recovery.mongo.words import EditedWords

EVERY = 2.0
"""Seconds between two questions for new versions. Each reads one key of an index for all words of a shop."""

log = structlog.get_logger()


class Worded(Protocol):
    """A set of templates that takes words: `recovery.mail.templates.templates.Templates`."""

    edits: tuple[Edit, ...]
    """The words that it is to have."""

    def begin(self) -> Sequence[Exception]:
        """Take them at once; return a fault for each that cannot be taken."""
        ...

    async def refresh(self) -> Exception | None:
        """Take them if they pass their check; return the error if they do not."""
        ...


class WordsWatch:
    """The words in force of a database, for the `templates`. `of_shop` returns those that serve a shop."""

    def __init__(self, words: EditedWords, templates: Sequence[Worded], of_shop: Callable[[str], Worded]) -> None:
        self._words = words
        self._templates = templates
        self._of_shop = of_shop
        self._numbers: Mapping[str, int] = {}
        self._edits: Mapping[str, Edit] = {}

    async def begin(self) -> None:
        """Have the templates take the words in force before the first mail. Raises `Unavailable`.

        What cannot be taken is logged: then the mails have the words of the files.
        """
        await self.look()
        for templates in self._templates:
            for fault in templates.begin():
                log.error("template change refused", fault=str(fault))

    async def look(self) -> None:
        """Ask for new versions, and hand them to the templates, which take them with their next refresh."""
        numbers = await self._words.numbers()
        if numbers == self._numbers:
            return
        changed = {of: number for of, number in numbers.items() if self._numbers.get(of) != number}
        found = await self._words.edits(changed)
        kept = {of: edit for of, edit in self._edits.items() if of in numbers and of not in changed}
        self._numbers, self._edits = numbers, {**kept, **found}
        in_force = sorted(
            (edit for edit in self._edits.values() if edit.words), key=lambda edit: (edit.shop, edit.locale)
        )
        for templates in self._templates:
            templates.edits = tuple(edit for edit in in_force if self._concerns(edit, templates))

    async def refresh(self) -> None:
        """Take new versions at once, as after one was saved here; a fault is told by the next look of `run`."""
        await self.look()
        for templates in self._templates:
            if (fault := await templates.refresh()) is not None:
                log.error("template change refused", fault=str(fault))

    async def run(self) -> None:
        """Ask for ever. While the database is unavailable, which the heartbeat tells, the words stay as they are."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look()
            except (Unavailable, Refused) as exc:
                log.debug("new words not found", fault=str(exc))

    def _concerns(self, edit: Edit, templates: Worded) -> bool:
        return edit.shop == ALL_SHOPS or self._of_shop(edit.shop) is templates
