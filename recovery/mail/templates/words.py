"""The words of mails and pages, apart from templates: `words.toml`, and `words.<locale>.toml` for other languages.

A word is a line of text. The words of one mail are in a table named after its template; those above the first table are
for all mails. A template uses one by `{% word "headline" %}`: its mail's, else the one for all mails. A word may hold
Jinja, with the names of a template. It is inserted when the template is compiled, so that a mail costs no more.

A word of a closer language wins, even if it is for all mails, and that of a farther one for this mail alone: no mail
mixes languages where it need not.

The words of a page that a link in a mail leads to are in a table such as `[page-unsubscribe]`.

A word that no template uses, or of a mail without a template, is an error: it is a typing mistake without any effect.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from recovery.domain.edits import Key
from recovery.mail.templates.files import WORDS, File, Files, TemplateError

FILE = WORDS

SUBJECT = "subject"
"""The word that no template uses: it is the mail's subject."""

LANGUAGE = "language"
"""The word that says which language the words are in, as a language tag (BCP 47)."""

PAGES: Mapping[str, tuple[str, ...]] = {
    **{f"page-{name}": ("title", "text", "button") for name in ("unsubscribe", "done", "undone", "back")},
    **{f"page-{name}": ("title", "text") for name in ("too-late", "expired", "unknown", "away")},
}
"""The words of each page. A page takes all of them from one language."""

_WRITTEN = re.compile(r"""\{%[-+]?\s*word\s+(["'])(?P<key>.*?)\1""")


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its text, and its file and line."""

    text: str
    path: Path
    line: int


Parsed = dict[Key, Word]
"""The words of a file, by mail ("" for all) and key."""


class Words:
    """The words of a chain of locales, by mail or page, and key. Raises `TemplateError`."""

    def __init__(self, files: Files, chain: Sequence[str]) -> None:
        self._by_locale: list[Parsed] = []
        self._languages: dict[Path, str] = {}
        for locale in chain:
            merged: Parsed = {}
            for file in reversed(files.all(FILE, (locale,))):
                found = parsed(file)
                _check(found, files)
                merged |= found
                if (language := found.get(("", LANGUAGE))) is not None:
                    self._languages[file.path] = language.text
            self._by_locale.append(merged)

    def find(self, mail: str, key: str) -> Word | None:
        """Return the word of the closest locale that has it: the mail's or page's, else that for all mails."""
        found = self.place(mail, key)
        return None if found is None else found[1]

    def place(self, mail: str, key: str) -> tuple[Key, Word] | None:
        """Return the same word, with whose it is: the mail's, or "" for all mails."""
        for words in self._by_locale:
            for whose in (mail,) if mail in PAGES else (mail, ""):
                if (found := words.get((whose, key))) is not None:
                    return (whose, key), found
        return None

    def language_of(self, word: Word) -> str | None:
        """Return the language which the file of a word says it is in, or None."""
        return self._languages.get(word.path)

    def items(self) -> Iterator[tuple[tuple[str, str], Word]]:
        """Yield the mail ("" for all) or page and the key of every word, and the word."""
        for words in self._by_locale:
            yield from words.items()

    def keys(self) -> set[tuple[str, str]]:
        """Return the mail ("" for all) or page, and the key, of every word."""
        return {key for words in self._by_locale for key in words}


def written(text: str) -> list[str]:
    """Return the keys of the words that a template uses."""
    return [match["key"] for match in _WRITTEN.finditer(text)]


def _check(words: Parsed, files: Files) -> None:
    """Raise `TemplateError` for the first word that no template and no page uses."""
    for key, why in unused(words, files):
        raise TemplateError(f"{words[key].path}, line {words[key].line}: {why}")


def unused(words: Parsed, files: Files) -> Iterator[tuple[Key, str]]:
    """Yield the key of each word that no template and no page uses, and why it is wrong."""
    templates = list(files.templates())
    mails = {name.removesuffix(".j2").removesuffix(".txt").removesuffix(".html") for name, _ in templates}
    keys = {SUBJECT}
    for text in [text for _, text in templates] + [word.text for word in words.values()]:
        keys |= set(written(text))
    for mail, key in words:
        if mail in PAGES:
            if key not in PAGES[mail]:
                yield (mail, key), f"{mail} has no word {key}{_suggestion(key, set(PAGES[mail]))}"
        elif mail and mail not in mails:
            yield (mail, key), f"there is no mail {mail}{_suggestion(mail, mails | PAGES.keys())}"
        elif key not in keys:
            yield (mail, key), f"no template has the word {key}{_suggestion(key, keys)}"


def _suggestion(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def parsed(file: File) -> Parsed:
    """Return the words of a file. Raises `TemplateError`."""
    try:
        tables = tomllib.loads(file.text)
    except (ValueError, RecursionError) as exc:  # numbers and nesting without end have errors of their own
        raise TemplateError(f"{file.path}: not valid TOML: {exc}") from exc
    words = {}
    for mail, table in {
        "": {key: each for key, each in tables.items() if not isinstance(each, dict)},
        **tables,
    }.items():
        for key, text in table.items() if isinstance(table, dict) else ():
            line = _line(file.text, mail, key)
            if not isinstance(text, str):
                raise TemplateError(f'{file.path}, line {line}: {key} must be text, in "quotes"')
            words[mail, key] = Word(text, file.path, line)
    return words


def file_of(locale: str) -> str:
    """Return the name of the file of words of a locale; "" is for all."""
    return f"{Path(FILE).stem}.{locale}{Path(FILE).suffix}" if locale else FILE


def _line(text: str, mail: str, key: str) -> int:
    """Return the line of a key, or of its table if the key is written in a form that only a TOML parser finds."""
    table, number = "", 1
    for number_now, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"""\s*\[\s*["']?(.*?)["']?\s*\]""", line):
            table = head[1]
            number = number_now if table == mail else number
        elif table == mail and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
            return number_now
    return number
