"""Templates of the mails: loaded, checked at the start, and rendered.

A step's mail is a subject and two templates, `<template>.html.j2` and `<template>.txt.j2`, or for one locale
`<template>.de-CH.html.j2`: the most specific is taken. Each is a Jinja template in a sandbox, with the names, filters
and the tag of docs/templates.md. Any other name is an error, not an empty string. `style.css` is inlined into every
HTML template when it is loaded.
"""

import asyncio
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import TemplateNotFound

from recovery.domain.brand import Brand
from recovery.domain.checkout import shop_of
from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.templates import samples
from recovery.mail.templates.compiled import CompiledTemplate
from recovery.mail.templates.context import UNNAMED, names_of
from recovery.mail.templates.edits import add_edits
from recovery.mail.templates.files import DEFAULTS as DEFAULTS
from recovery.mail.templates.files import Files, stamp
from recovery.mail.templates.files import TemplateError as TemplateError
from recovery.mail.templates.locales import direction, known, sides
from recovery.mail.templates.pages import PageWords
from recovery.mail.templates.sandbox import Sandbox, Sources, as_template_error
from recovery.mail.templates.trial import tried
from recovery.mail.templates.words import FILE, LANGUAGE, Words

Chain = tuple[str, ...]
Edits = tuple[Edit, ...]

EVERY = ""
"""The shop of mails without words of a shop's own."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered mail: subject, text and HTML; in the HTML, character references stand for what is not ASCII.

    They do where they can: a template that includes others, or calls `super()`, has the characters themselves.
    """

    subject: str
    text: str
    html: str


class Templates:
    """The templates of a shop's folder, and the package's for every file that is missing there.

    `time_zone` is the shop's, for times in mails to customers whose time zone is unknown. `is_shops_own` is whether the
    folder is that of some shops alone: then words of the console for all shops stand below it, and else above.
    """

    def __init__(self, folder: Path | None = None, time_zone: str = "UTC", *, is_shops_own: bool = False) -> None:
        self.folder = folder
        self.edits: Edits = ()
        """The words of the console for all shops, and for those that these templates serve. `refresh` takes them."""
        self._time_zone = time_zone
        self._is_shops_own = is_shops_own
        self._stamp = stamp(folder)
        self._taken: Edits = ()
        self._edition = Edition(Files(folder), time_zone)
        self._by_shop: dict[str, Edition] = {}
        self._steps: tuple[Step, ...] = ()
        self._refreshing = asyncio.Lock()

    def check(self, steps: Iterable[Step]) -> None:
        """Render the mails of these steps with a sample; raise `TemplateError` for the first fault.

        In every language, if the shop has templates of its own. The package's are known to be valid: then only their
        existence and their subjects are checked. Later reloads are checked with the same steps.
        """
        self._steps = tuple(steps)
        if self.folder is None:
            for step in self._steps:
                self._edition.check_subject(step)
            return
        for _ in self._edition.checks(self._steps):
            pass

    def expect(self, checkout: CheckoutState) -> None:
        """Note that this checkout may get mails: `prepare` compiles those of its language before they are due."""
        self.edition(shop_of(checkout.id)).expect(checkout.facts.locale or "en")

    def prepare(self) -> Iterator[None]:
        """Compile the mails in English and in the languages that are expected, one mail a turn, so that none waits.

        Most daemons never send a mail in most languages. May run in a thread, while other mails are rendered.
        """
        for edition in (self._edition, *self._by_shop.values()):
            yield from edition.prepare(self._steps)

    def render(
        self,
        step: Step,
        checkout: CheckoutState,
        *,
        checkout_url: str | None = None,
        unsubscribe_url: str | None = None,
        brand: Brand = UNNAMED,
    ) -> Rendered:
        """Return the mail of this step for this checkout, with these links; or raise `TemplateError`."""
        edition = self.edition(shop_of(checkout.id)) if self._by_shop else self._edition
        return edition.render(step, checkout, checkout_url, unsubscribe_url, brand)

    def edition(self, shop: str = EVERY) -> "Edition":
        """Return the compiled mails of a shop, or those of all shops without words of their own."""
        return self._by_shop.get(shop, self._edition)

    @property
    def locales(self) -> tuple[str, ...]:
        """English, and the locales that have files of their own."""
        return tuple(dict.fromkeys(self._edition.locales))

    def pages(self, shop: str = EVERY) -> PageWords:
        """Return the words of the pages behind the links in a shop's mails, as the files have them now."""
        return self.edition(shop).pages

    def language(self, locale: str, shop: str = EVERY) -> str:
        """Return the language that a mail to a customer with this locale is in; "" if its words do not say."""
        return self.edition(shop).language(locale)

    def files(self, shop: str = EVERY, edits: Edits | None = None) -> Files:
        """Return the files of a shop as they are now, with the words of the console. Raises `TemplateError`."""
        edits = self.edits if edits is None else edits
        common = [edit for edit in edits if edit.shop == ALL_SHOPS]
        own = [edit for edit in edits if edit.shop == shop and shop != ALL_SHOPS]
        files = Files(self.folder)
        if self._is_shops_own:
            add_edits(files, own, common)
        else:
            add_edits(files, [*own, *common])
        return files

    async def trial(self, files: Files) -> TemplateError | None:
        """Render all mails with these files in a process of their own; return the first fault."""
        return await tried(files, self._time_zone, self._steps)

    def edition_of(self, files: Files) -> "Edition":
        """Return the mails of other files, which nobody gets."""
        return Edition(files, self._time_zone)

    def begin(self) -> list[TemplateError]:
        """Take the words of the console at the start of a daemon, in this process; return a fault for each that cannot.

        The first mail has them, so it does not wait for a trial: they passed one before they were saved. Only mails in
        languages that they change are rendered.
        """
        self._taken = self.edits
        faults = []
        for shop in _shops(self.edits):
            touched = {edit.locale for edit in self.edits if edit.shop in (shop or ALL_SHOPS, ALL_SHOPS)}
            try:
                edition = Edition(self.files(shop), self._time_zone)
                edition.check_touched(self._steps, touched)
            except TemplateError as fault:
                faults.append(fault)
            else:
                self._put(shop, edition)
        return faults

    async def refresh(self) -> TemplateError | None:
        """Reload the shop's folder if a file in it has changed, and take changed words of the console.

        New templates replace the old ones only if they pass the check, first in a process of their own. Otherwise
        their fault is returned, once, and nothing changes.
        """
        async with self._refreshing:
            try:
                now, edits = stamp(self.folder), self.edits
                if (now, edits) == (self._stamp, self._taken):
                    return None
                changed = {edit.shop for edit in {*edits} ^ {*self._taken}}
                every = now != self._stamp or ALL_SHOPS in changed
                self._stamp, self._taken = now, edits
                for shop in self._by_shop.keys() - {edit.shop for edit in edits}:
                    del self._by_shop[shop]
                if every and (fault := await self._renew(EVERY, edits)):
                    return fault
            except TemplateError as fault:
                return fault
            shops = [shop for shop in _shops(edits) if shop and (every or shop in changed)]
            refused = [each for each in [await self._renew(shop, edits) for shop in shops] if each is not None]
            return TemplateError("; ".join(map(str, refused))) if refused else None

    async def _renew(self, shop: str, edits: Edits) -> TemplateError | None:
        try:
            files = self.files(shop, edits)
            if fault := await self.trial(files):
                return fault
            edition = Edition(files, self._time_zone)
            for _ in edition.checks(self._steps):
                await asyncio.sleep(0)
        except TemplateError as fault:
            return fault
        self._put(shop, edition)
        return None

    def _put(self, shop: str, edition: "Edition") -> None:
        if shop:
            self._by_shop[shop] = edition
        else:
            self._edition = edition


def _shops(edits: Edits) -> list[str]:
    """Return the shops that have edits, in order, `EVERY` first if there are any for all."""
    return sorted({EVERY if edit.shop == ALL_SHOPS else edit.shop for edit in edits})


class Edition:
    """Compiled mails of one snapshot of the files: each mail once in each language that has files of its own."""

    def __init__(self, files: Files, time_zone: str) -> None:
        self._files = files
        self._time_zone = time_zone
        self._sources = Sources(files)
        self._chain = lru_cache(maxsize=256)(files.chain)  # customers may report any number of locales
        self._words: dict[Chain, Words] = {}
        self._languages: dict[Chain, str] = {}
        self._mails: dict[tuple[str, str | None, Chain], _Mail] = {}
        self._expected = ["en"]
        self._heard_of = {self._chain("en")}
        self.pages = PageWords(files, self.sandbox)
        """The words of the pages behind the links in mails."""

    def expect(self, locale: str) -> None:
        """Note that mails to customers with this locale will be sent."""
        if (chain := self._chain(locale)) not in self._heard_of:
            self._heard_of.add(chain)
            self._expected.append(locale)

    def prepare(self, steps: Iterable[Step]) -> Iterator[None]:
        """Compile the mails that are expected and were not prepared yet, one a turn, by rendering a sample."""
        while self._expected:
            locale = self._expected.pop(0)
            for step in steps:
                self.check(step, locale)
                yield

    def checks(self, steps: Iterable[Step]) -> Iterator[None]:
        """Render these mails with a sample, one in one language a turn; raise `TemplateError` for the first fault.

        Then render the pages.
        """
        for step in steps:
            for locale in self.locales:
                self.check(step, locale)
                yield
        self.pages.check()

    def check_touched(self, steps: Iterable[Step], locales: Set[str]) -> None:
        """Render the mails that words in these locales change; raise `TemplateError` for the first fault."""
        for step in steps:
            for locale in self.locales:
                if not locales.isdisjoint(self._chain(locale)):
                    self.check(step, locale)

    def language(self, locale: str) -> str:
        """Return the language that a mail to a customer with this locale is in, as its words say it; "" if they do not.

        Mails that say it by Jinja, as by `{{ locale }}`, do not.
        """
        chain = self._chain(locale)
        if (found := self._languages.get(chain)) is None:
            word = self.sandbox("", chain).words.find("", LANGUAGE)
            found = self._languages[chain] = word.text if word is not None and known(word.text) is not None else ""
        return found

    @property
    def locales(self) -> tuple[str, ...]:
        """The locales in which mails are checked: English, and those that have files of their own."""
        return "en", *self._files.locales

    def check(self, step: Step, locale: str) -> None:
        """Render one mail in one language with a sample; raise `TemplateError` for a fault."""
        self.check_subject(step, locale)
        self.render(step, samples.of(step.name, locale), samples.CHECKOUT_URL, samples.UNSUBSCRIBE_URL)

    def check_subject(self, step: Step, locale: str = "en") -> None:
        """Find the templates of this step and render its subject with a sample; raise `TemplateError` for a fault."""
        sample = samples.of(step.name, locale)
        names = names_of(step, sample, self._time_zone, samples.CHECKOUT_URL, samples.UNSUBSCRIBE_URL)
        chain = self._chain(names["locale"])
        for name in (f"{step.template}.txt.j2", f"{step.template}.html.j2"):
            if self._sources.find(name, chain) is None:
                raise as_template_error(TemplateNotFound(name), name)
        sandbox = self.sandbox(step.template, chain)
        try:
            _subject(sandbox, step.subject).fill(names)
        except TemplateError as exc:
            if step.subject is None:  # the error names the file of the words, and the line
                raise
            raise TemplateError(f"{step.name}: {exc}") from exc

    def render(
        self,
        step: Step,
        checkout: CheckoutState,
        checkout_url: str | None,
        unsubscribe_url: str | None,
        brand: Brand = UNNAMED,
    ) -> Rendered:
        """Return the mail of this step for this checkout, with these links; or raise `TemplateError`."""
        mail = self._mail(step.template, step.subject, checkout.facts.locale or "en")
        names = names_of(step, checkout, self._time_zone, checkout_url, unsubscribe_url, brand, mail.written)
        return Rendered(mail.subject.fill(names), mail.text.fill(names), mail.html.fill(names))

    def sandbox(self, mail: str, chain: Chain) -> Sandbox:
        """Return the sandbox of a mail in a language. Raises `TemplateError` if its words cannot be read."""
        if (words := self._words.get(chain)) is None:
            words = self._words[chain] = Words(self._files, chain)
        return Sandbox(self._sources, chain, words, mail)

    def _mail(self, mail: str, subject: str | None, locale: str) -> "_Mail":
        chain = self._chain(locale)
        key = (mail, subject, chain)
        if (found := self._mails.get(key)) is None:
            sandbox = self.sandbox(mail, chain)
            written = sides(_direction(sandbox, locale))
            text, html = (
                CompiledTemplate(sandbox, f"{mail}.{ending}", known=written) for ending in ("txt.j2", "html.j2")
            )
            found = self._mails[key] = _Mail(_subject(sandbox, subject), text, html, written)
        return found


@dataclass(frozen=True, slots=True)
class _Mail:
    """A compiled mail in one language, with the names that follow from the direction of its writing."""

    subject: CompiledTemplate
    text: CompiledTemplate
    html: CompiledTemplate
    written: dict[str, str]


def _direction(sandbox: Sandbox, locale: str) -> str:
    """Return the direction of a mail's words: that of the language which they say they are in, else of the locale."""
    language = sandbox.words.find(sandbox.mail, LANGUAGE)
    return direction(language.text if language is not None else locale)


def _subject(sandbox: Sandbox, own: str | None) -> CompiledTemplate:
    if own is not None:
        return CompiledTemplate(sandbox, f'the subject "{own}"', own)
    if (word := sandbox.words.find(sandbox.mail, "subject")) is None:
        raise TemplateError(f"{sandbox.mail} has no subject: give the step one, or {FILE} a subject for it")
    try:
        sandbox.parse_word(word)
    except Exception as exc:
        raise as_template_error(exc, FILE) from exc
    return CompiledTemplate(sandbox, f"{word.path}, line {word.line}", word.text)
