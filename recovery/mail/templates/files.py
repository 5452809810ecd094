"""Snapshot of the template files: a shop's folder, and the package's defaults."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recovery.errors import RecoveryError
from recovery.mail.templates.locales import fallbacks, known

DEFAULTS = Path(__file__).with_name("defaults")
"""The folder of the default files, which a shop may copy and change."""

_NAME = re.compile(
    r"(?P<stem>.+?)(?:\.(?P<locale>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*))?(?P<ending>\.html\.j2|\.txt\.j2|\.toml|\.css)"
)


WORDS = "words.toml"
"""The name of the files of words."""

Stamp = tuple[tuple[str, int, int], ...]
"""A fingerprint of a folder: names, modification times (ns) and sizes (bytes) of its files."""


class TemplateError(RecoveryError):
    """A template is missing, invalid or cannot be rendered: the message names the file, the line and the fault."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path and its text."""

    path: Path
    text: str


class Files:
    """The files of a shop's folder, and the package's for those that are missing there. May raise `TemplateError`.

    A file may be for one locale: `words.de-CH.toml` is a `words.toml` for German in Switzerland.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise TemplateError(f"{folder}: no such folder of templates; fix mail.templates")
        self._found: dict[tuple[str, str], list[File]] = {}
        for each in (folder, DEFAULTS):
            for path in _listed(each):
                name, locale = _split_locale(path.relative_to(each or DEFAULTS).as_posix())
                self._found.setdefault((name, locale), []).append(File(path, _read(path)))
        self.locales = sorted({locale for _, locale in self._found if locale})
        """The locales that have a file of their own."""

    def add_words(self, above: Iterable[tuple[str, File]], below: Iterable[tuple[str, File]] = ()) -> None:
        """Add files of words, each with its locale: above all others, or between the folder's and the package's.

        Of several, the first comes first.
        """
        for locale, file in reversed([*above]):
            self._found.setdefault((WORDS, locale), []).insert(0, file)
        for locale, file in below:
            files = self._found.setdefault((WORDS, locale), [])
            files.insert(len(files) - sum(each.path.is_relative_to(DEFAULTS) for each in files), file)
        self.locales = sorted({locale for _, locale in self._found if locale})

    def chain(self, locale: str) -> tuple[str, ...]:
        """Return the locales whose files are searched for this one, in order; the last, "", means all locales."""
        return (*(each for each in fallbacks(locale) if each in self.locales), "")

    def all(self, name: str, chain: Sequence[str]) -> list[File]:
        """Return all files of this name, the most specific first; of the same locale, the shop's first."""
        return [file for locale in chain for file in self._found.get((name, locale), ())]

    def templates(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each template, without its locale, and its text."""
        for (name, _), files in self._found.items():
            if name.endswith(".j2"):
                yield from ((name, file.text) for file in files)

    def names(self, ending: str) -> list[str]:
        """Return the names with this ending, each without its locale."""
        return sorted({name for name, _ in self._found if name.endswith(ending)})


def stamp(folder: Path | None) -> Stamp:
    """Return the fingerprint of a folder. Raises `TemplateError` if it cannot be listed."""
    marks = []
    for path in _listed(folder):
        try:
            found = path.stat()
        except OSError:
            continue  # deleted since it was listed
        marks.append((str(path), found.st_mtime_ns, found.st_size))
    return tuple(marks)


def _listed(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    try:
        return sorted(path for path in folder.rglob("*") if _NAME.fullmatch(path.name))
    except OSError as exc:
        raise TemplateError(f"{folder}: cannot list the folder: {exc.strerror}") from exc


def _split_locale(path: str) -> tuple[str, str]:
    """Return a file's name without its locale, and the locale; one unknown to Babel belongs to the name."""
    if (match := _NAME.fullmatch(path)) and match["locale"] and known(match["locale"]):
        return match["stem"] + match["ending"], fallbacks(match["locale"])[0]
    return path, ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as exc:
        raise TemplateError(f"{path}: not UTF-8 text ({exc}): save it as UTF-8") from exc
    except OSError as exc:
        raise TemplateError(f"{path}: cannot read the file: {exc.strerror}") from exc
