"""The words of the pages behind the links in mails, in the language of the mail or the browser, and the shop's brand.

A page takes all of its words from one language: that of the mail, else the first that the browser accepts and the words
are in, else that of `words.toml`. Languages are matched as for mails.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jinja2
from markupsafe import escape

from recovery.domain.brand import Brand
from recovery.domain.masking import plain
from recovery.mail.templates.files import Files, TemplateError
from recovery.mail.templates.locales import direction, fallbacks
from recovery.mail.templates.sandbox import Sandbox, as_template_error
from recovery.mail.templates.words import FILE, PAGES, Word

if TYPE_CHECKING:
    from recovery.mail.templates.templates import Templates

ENGLISH = "en"

MOST_LANGUAGES = 20
"""Languages of a browser that are tried at most: anybody may ask with any number of them."""

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,4}")
_NAMES = frozenset({"brand", "shop"})
_NAME = "\ue000"
"""Stands for the shop's name while a text is rendered and escaped: a character of no script (private use)."""


@dataclass(frozen=True, slots=True)
class PageTexts:
    """The texts of a page. `text` is HTML, with the shop's name isolated; `button` is None if the page has no form."""

    language: str
    direction: str
    title: str
    text: str
    button: str | None


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a shop: its words, and its brand."""

    templates: "Templates"
    brand: Brand

    def branded(self, shop: str) -> Brand:
        """Return the brand, with the shop's key for a name if it has none."""
        return self.brand if self.brand.name else replace(self.brand, name=plain(shop))

    def texts(self, page: str, shop: str, language: str = "", accepted: str = "") -> PageTexts:
        """Return the texts of a page: in this language, if it is known, or as Accept-Language prefers."""
        wanted = [language, *preferred(accepted)] if language else list(preferred(accepted))
        return self.templates.pages(shop).find(page, wanted).filled(self.branded(shop), shop)


class CompiledPage:
    """A page in one language. Raises `TemplateError` for a word that is invalid or uses another name than a page's."""

    def __init__(self, sandbox: Sandbox, words: dict[str, Word], language: str) -> None:
        self.language = language
        self._words = {key: _compiled(sandbox, word) for key, word in words.items()}
        self._where = {key: f"{word.path}, line {word.line}" for key, word in words.items()}

    def filled(self, brand: Brand, shop: str) -> PageTexts:
        """Return the texts for a shop."""
        texts = {key: self._fill(key, brand, shop) for key in self._words if key != "text"}
        text = str(escape(self._fill("text", replace(brand, name=_NAME), shop)))
        name = f"<bdi>{escape(brand.name)}</bdi>"
        written = direction(self.language)
        return PageTexts(self.language, written, texts["title"], text.replace(_NAME, name), button=texts.get("button"))

    def _fill(self, key: str, brand: Brand, shop: str) -> str:
        try:
            return self._words[key].render(brand=brand, shop=plain(shop))
        except Exception as exc:
            raise as_template_error(exc, self._where[key]) from exc


class PageWords:
    """The pages in one snapshot of the files: each is compiled once in each language that has all of its words."""

    def __init__(self, files: Files, sandbox_of: Callable[[str, tuple[str, ...]], Sandbox]) -> None:
        self._files = files
        self._sandbox_of = sandbox_of
        self._compiled: dict[tuple[str, tuple[str, ...]], CompiledPage | None] = {}

    def find(self, page: str, wanted: Iterable[str]) -> CompiledPage:
        """Return a page in the first of these languages that it has, or in that of `words.toml`."""
        common = self._in(page, ("",))
        if common is None:  # the package's file has all words
            raise TemplateError(f"{page} has no words in {FILE}: give it {', '.join(PAGES[page])}")
        for locale in wanted:
            chain = self._files.chain(locale)[:-1]
            if chain and (found := self._in(page, chain)) is not None:
                return found
            if fallbacks(locale)[-1] == fallbacks(common.language)[-1]:
                return common
        return common

    def check(self) -> None:
        """Render every page in every language; raise `TemplateError` for the first fault."""
        for page in PAGES:
            for locale in ("", *self._files.locales):
                self.find(page, [locale] if locale else []).filled(Brand("Shop"), "shop.example")

    def _in(self, page: str, chain: tuple[str, ...]) -> CompiledPage | None:
        """Return a page in a language, or None if that lacks a word of it."""
        if (page, chain) not in self._compiled:
            sandbox = self._sandbox_of(page, chain)
            words = {key: word for key in PAGES[page] if (word := sandbox.words.find(page, key)) is not None}
            whole = len(words) == len(PAGES[page])
            self._compiled[page, chain] = (
                CompiledPage(sandbox, words, _language(sandbox, words, chain)) if whole else None
            )
        return self._compiled[page, chain]


def _language(sandbox: Sandbox, words: dict[str, Word], chain: Sequence[str]) -> str:
    said = sandbox.words.language_of(words["text"])
    return said if said is not None and _TAG.fullmatch(said) else chain[0] or ENGLISH


def _compiled(sandbox: Sandbox, word: Word) -> jinja2.Template:
    try:
        sandbox.parse_word(word, _NAMES)
        return sandbox.from_string(word.text)
    except Exception as exc:
        raise as_template_error(exc, FILE) from exc


def preferred(accepted: str) -> Iterator[str]:
    """Yield the languages of an Accept-Language header (RFC 9110 section 12.5.4), the preferred ones first."""
    liked: list[tuple[float, int, str]] = []
    for number, part in enumerate(accepted.split(",", MOST_LANGUAGES)[:MOST_LANGUAGES]):
        tag, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if _TAG.fullmatch(tag.strip()) and quality > 0:
            liked.append((-quality, number, tag.strip()))
    yield from (tag for *_, tag in sorted(liked))
