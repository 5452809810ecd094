"""The words of a mail, edited: a form with each word, a check of what it says, its versions, and the way back."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import Request, Response
from markupsafe import escape

from recovery.console.desk import Desk
from recovery.console.forms import Form, asked, query
from recovery.console.mail_paths import ALL_SHOPS, NAMED, ROUTE, Named, asked_for, language, sample_of
from recovery.console.mails import SCHEMES, chosen, in_scheme
from recovery.console.rendering import frame
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.viewer import Viewer
from recovery.console.word_forms import (
    Change,
    Field,
    changes,
    edit_of,
    fields_of,
    merged,
    with_faults,
)
from recovery.domain.edits import Edit, Key
from recovery.errors import Refused, Unavailable
from recovery.http.problems import Problem
from recovery.mail.composer import RenderError
from recovery.mail.templates.editing import LONGEST_WORD, Editable, editable, faults_of, locale_of, replaced
from recovery.mail.templates.edits import without_place
from recovery.mail.templates.files import Files, TemplateError
from recovery.mail.templates.lint import Fault, lint_mail
from recovery.mongo.words import EditedWords, SavedSince, Version

PAGE, ACT, RESTORE = f"{ROUTE}/edit", f"{ROUTE}/edit", f"{ROUTE}/edit/restore"
FRAME = f"/word-frames/{NAMED}"
EDIT_TOKEN, RESTORE_TOKEN = "/mails/edit", "/mails/edit/restore"

MOST_SHOWN = 30
"""Versions that the page lists."""

LONGEST_SEALED = 6000
"""Characters of an address, which proxies bound: words that make a longer one are not shown in the frame."""

AGAIN = "Look at the page again, and repeat what you did if it is still right."


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail whose words are edited: `newest` is the version in force of its shop and language."""

    named: Named
    newest: Version

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"{self.named.path}/edit"

    def words(self, edit: Edit) -> list[Editable]:
        """Return its words with an edit. Raises `TemplateError`."""
        return editable(self.named.composer.templates, edit, self.named.step, self.named.locale)

    def files(self, edit: Edit) -> Files:
        """Return its files with an edit. Raises `TemplateError`."""
        templates = self.named.composer.templates
        return templates.files(edit.shop, replaced(templates.edits, edit))


@dataclass(frozen=True, slots=True)
class Judged:
    """What is wrong with words: by word, and otherwise; and what lint finds in the mail."""

    faults: Mapping[Key, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    lint: Sequence[Fault] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether they cannot be saved."""
        return bool(self.faults or self.others)

    def elsewhere(self, fields: Sequence[Field]) -> tuple[str, ...]:
        """Return the faults that none of these fields shows."""
        there = {each.word.key for each in fields}
        said = [
            f"{mail or 'all mails'}, {key}: {why}"
            for (mail, key), why in self.faults.items()
            if (mail, key) not in there
        ]
        return (*said, *self.others)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: the fields, faults above them, and the words that were checked, with what lint found."""

    fields: Sequence[Field] = ()
    faults: Sequence[str] = ()
    checked: Edit | None = None
    lint: Sequence[Fault] = ()
    is_unchanged: bool = False
    is_open: bool = False


class WordsPages:
    """The page with the words of a mail, the acts that save and restore them, and the frame of what was checked."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._words = EditedWords(desk.database)
        self._trying = asyncio.Lock()
        routes.page(PAGE, self.page)
        routes.page(FRAME, self.frame)
        routes.act(ACT, self.edit)
        routes.act(RESTORE, self.restore)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the words of a mail as they are now."""
        mail = await self._mail(request, viewer)
        try:
            shown = Shown(fields_of(mail.words(mail.newest.edit)))
        except TemplateError as exc:
            shown = Shown(faults=(str(exc),))
        return await self._page(request, viewer, mail, shown)

    async def edit(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask | Response:
        """Check the words of the form, or save them once they are checked and the person has said yes."""
        mail = await self._mail(request, viewer)
        began, saves = _number(form.one("version")), form.one("do") == "save"
        try:
            fields = fields_of(mail.words(mail.newest.edit), form)
            if began != mail.newest.number:
                return await self._saved_since(request, viewer, mail, form)
            edit = edit_of(mail.newest.edit, fields)
            judged = await self._judged(mail, edit)
        except TemplateError as exc:
            return await self._page(request, viewer, mail, Shown(faults=(str(exc),)), status=422)
        differ = list(changes(mail.newest.edit, edit))
        if judged.is_wrong:
            shown = Shown(with_faults(fields, judged.faults), judged.elsewhere(fields), is_open=True)
            return await self._page(request, viewer, mail, shown, status=422)
        if not saves or not differ:
            shown = Shown(fields, checked=None if saves else edit, lint=judged.lint, is_unchanged=saves)
            return await self._page(request, viewer, mail, shown)
        if not is_sure(form):
            posted = tuple((field.name, field.text) for field in fields)
            return Ask(
                f"Save {_words(differ)} of {_whose(mail)}?",
                "Save",
                mail.path,
                (("do", "save"), ("version", str(began)), *posted),
                tuple(each.line for each in differ),
                grave=False,
            )
        try:
            return await self._save(viewer, mail, edit, began, f"Saved {_words(differ)}")
        except SavedSince as exc:
            return await self._saved_since(request, viewer, Mail(mail.named, exc.newest), form)

    async def restore(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask | Response:
        """Make the words of an earlier version the newest one."""
        mail = await self._mail(request, viewer)
        number, after = _number(form.one("restored")), _number(form.one("version"))
        version = await self._words.version(mail.newest.edit.shop, mail.newest.edit.locale, number)
        if version is None:
            raise Problem(404, f"There is no version {number} of these words: it was never saved, or is not kept.")
        differ = list(changes(mail.newest.edit, version.edit))
        what = f"the words of version {number}" if number else "the words of the files"
        if not differ:
            return Done(f"Nothing was changed: {what} are in force.", mail.path, 0)
        try:
            judged = await self._judged(mail, version.edit)
        except TemplateError as exc:
            judged = Judged(others=(str(exc),))
        if judged.is_wrong:
            why = "; ".join(judged.elsewhere(()))
            return self._refused(request, viewer, mail, f"These words do not fit the templates any more: {why}")
        if not is_sure(form):
            return Ask(
                f"Go back to {what} in {_whose(mail)}? {_words(differ).capitalize()} will change.",
                "Go back",
                mail.path,
                (("restored", str(number)), ("version", str(after))),
                tuple(each.line for each in differ),
                grave=False,
            )
        try:
            return await self._save(viewer, mail, version.edit, after, f"Went back to {what}")
        except SavedSince as exc:
            since = f"{exc.newest.by} has saved version {exc.newest.number} since you opened the page."
            return self._refused(request, viewer, mail, f"{since} {AGAIN}")

    async def frame(self, request: Request, viewer: Viewer) -> Response:
        """Answer with a mail with the words that were checked, for a frame."""
        named, fields = asked_for(self._desk, request, viewer), asked(request)
        edit = self._unsealed(named, fields.one("words") or "")
        mail = Mail(named, Version(edit))
        try:
            html = await asyncio.to_thread(_rendered, mail, edit)
        except (RenderError, TemplateError) as exc:
            return frame(f"<p>The mail cannot be made: {escape(str(exc))}</p>")
        return frame(in_scheme(html, chosen(SCHEMES, fields, "scheme")))

    async def _mail(self, request: Request, viewer: Viewer) -> Mail:
        named = asked_for(self._desk, request, viewer)
        try:
            locale = locale_of(named.composer.templates.files(named.shop), named.locale)
        except TemplateError as exc:
            raise Problem(409, f"The templates cannot be read: {exc}") from exc
        return Mail(named, await self._words.newest(named.shop, locale))

    async def _judged(self, mail: Mail, edit: Edit) -> Judged:
        """Return the faults of an edit. Nothing of it is executed in this process before it has passed a trial."""
        named, templates = mail.named, mail.named.composer.templates
        if faults := faults_of(templates, edit, named.step, named.locale):
            return Judged(faults)
        files = mail.files(edit)
        for_all = any(not mail_of for (mail_of, _), _ in edit.words)
        steps = self._desk.schedules.of_shop(named.shop).messages if for_all else (named.step,)
        async with self._trying:
            if (fault := await templates.trial(files)) is not None:
                key, said = without_place(edit, str(fault))
                return Judged(others=(said,)) if key is None else Judged({key: said})
            lint = await asyncio.to_thread(lambda: {step: lint_mail(files, step, named.locale) for step in steps})
        placed = [
            without_place(edit, fault.detail) for found in lint.values() for fault in found if not fault.is_warning
        ]
        return Judged({key: said for key, said in placed if key is not None}, lint=lint.get(named.step, []))

    async def _save(self, viewer: Viewer, mail: Mail, edit: Edit, after: int, what: str) -> Done:
        """Save an edit, and have this daemon take it. Raises `SavedSince`."""
        version = await self._words.save(edit, viewer.name, self._desk.clock.now(), after=after)
        with suppress(Unavailable, Refused):  # it is saved: the next look takes it
            await self._desk.words_saved()
        return Done(f"{what} of {_whose(mail)}, as version {version.number}. Mails have them in seconds.", mail.path)

    async def _saved_since(self, request: Request, viewer: Viewer, mail: Mail, form: Form) -> Response:
        """Answer with the form as it was written, on top of what somebody else has saved since."""
        newest = mail.newest
        base = await self._words.version(newest.edit.shop, newest.edit.locale, _number(form.one("version")))
        words = mail.words(newest.edit)
        fields = merged(fields_of(words, form), mail.words(base.edit) if base else words, words, newest.by)
        said = (
            f"{newest.by} has saved version {newest.number} since you opened this page. Nothing of yours is lost: what"
            " you wrote stands below, with what they changed beside it. Check it, and save again."
        )
        return await self._page(request, viewer, mail, Shown(fields, (said,), is_open=True), status=409)

    async def _page(self, request: Request, viewer: Viewer, mail: Mail, shown: Shown, *, status: int = 200) -> Response:
        named, edit, checked = mail.named, mail.newest.edit, shown.checked
        versions = await self._words.history(edit.shop, edit.locale)
        address = self._framed(mail, checked)
        return self._routes.rendering.page(
            request,
            viewer,
            "words.html",
            current="mails",
            status=status,
            mail=named,
            path=mail.path,
            language=language(named.locale),
            all_shops=ALL_SHOPS,
            newest=mail.newest,
            own=[field for field in shown.fields if not field.word.is_for_all],
            common=[field for field in shown.fields if field.word.is_for_all],
            is_open=shown.is_open or any(field.is_changed and field.word.is_for_all for field in shown.fields),
            longest=LONGEST_WORD,
            faults=shown.faults,
            unchanged=shown.is_unchanged,
            checked=checked is not None,
            lint=shown.lint,
            differ=list(changes(edit, checked)) if checked is not None else (),
            frame=address,
            shown_in=lambda scheme: f"{address or f'{named.frame}?'}scheme={scheme}",
            versions=[(each, _since(versions, place)) for place, each in enumerate(versions[:MOST_SHOWN])],
            more=max(0, len(versions) - MOST_SHOWN),
            edit_token=EDIT_TOKEN,
            restore_token=RESTORE_TOKEN,
        )

    def _framed(self, mail: Mail, checked: Edit | None) -> str | None:
        """Return the address of the frame with words that were checked; None if they are too many for an address.

        The seal is the proof that the words passed their trial: nothing else is rendered in this process.
        """
        if checked is None:
            return f"{mail.named.frame}?"
        words = json.dumps([checked.locale, checked.words], ensure_ascii=False, separators=(",", ":"))
        sealed = self._routes.sessions.seal(_purpose(mail.named), words)
        if len(sealed) > LONGEST_SEALED:
            return None
        path = mail.named.frame.replace("/mail-frames/", "/word-frames/", 1)
        return f"{query(path, {'words': sealed})}&"

    def _unsealed(self, named: Named, sealed: str) -> Edit:
        opened = self._routes.sessions.unseal(_purpose(named), sealed)
        if opened is None:
            raise Problem(404, "These words were not checked here: check them again.")
        locale, words = json.loads(opened)
        return Edit(named.shop, locale, tuple(((mail, key), text) for (mail, key), text in words))

    def _refused(self, request: Request, viewer: Viewer, mail: Mail, why: str) -> Response:
        return self._routes.rendering.page(
            request,
            viewer,
            "not-possible.html",
            status=409,
            why=why,
            back=mail.path,
            back_to="Back to the words",
            current="mails",
        )


def _whose(mail: Mail) -> str:
    shop = "all shops" if mail.named.shop == ALL_SHOPS else mail.named.shop
    return f"{shop} in {language(mail.named.locale)}"


def _rendered(mail: Mail, edit: Edit) -> str:
    """Return a mail with an edit, with the sample."""
    named = mail.named
    edition = named.composer.templates.edition_of(mail.files(edit))
    return named.composer.render(sample_of(named), named.step, edition).html


def _purpose(named: Named) -> str:
    return f"words of {named.shop}"


def _since(versions: Sequence[Version], place: int) -> list[Change]:
    """Return the changes of a version; the first, or the oldest that is kept, changed the words of the files."""
    version = versions[place]
    before = versions[place + 1].edit if place + 1 < len(versions) else Edit(version.edit.shop, version.edit.locale)
    return list(changes(before, version.edit))


def _number(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Problem(422, "version: is the number of a version of these words; load the page again.")
    return int(text)


def _words(differ: Sequence[Change]) -> str:
    return f"{len(differ)} word{'s' if len(differ) != 1 else ''}"
