"""The words of the console among the files: each edit is one more `words.toml`, above or below those of a folder."""

from collections.abc import Iterable
from pathlib import Path

from recovery.domain.edits import Edit, Key
from recovery.mail.templates.files import File, Files
from recovery.mail.templates.words import file_of, parsed, unused

CONSOLE = Path("console")
"""The folder that errors name for words of the console. There is none on any disk."""


def add_edits(files: Files, above: Iterable[Edit] = (), below: Iterable[Edit] = ()) -> None:
    """Add edits to files: above the folder's words, the first on top, and between the folder's and the package's.

    Words that no template uses are left out: a folder may have changed since they were written, and they would change
    nothing.
    """
    upper = [(edit.locale, _used(edit, files)) for edit in above]
    files.add_words(upper, [(edit.locale, _used(edit, files)) for edit in below])


def as_file(edit: Edit) -> File:
    """Return the file of an edit, with one word a line."""
    lines: list[str] = []
    for mail in dict.fromkeys(("", *sorted({mail for (mail, _), _ in edit.words}))):
        lines += [f"[{_quoted(mail)}]"] if mail else []
        lines += [f"{_quoted(key)} = {_quoted(text)}" for (of, key), text in edit.words if of == mail]
    return File(CONSOLE / edit.shop / file_of(edit.locale), "\n".join(lines))


def without_place(edit: Edit, fault: str) -> tuple[Key | None, str]:
    """Return the key of the word of an edit that a fault is about, if it is about one, and the fault without its place.

    Places in a file that nobody can open say nothing to a reader.
    """
    for key, word in parsed(as_file(edit)).items():
        if fault.startswith(place := f"{word.path}, line {word.line}: "):
            return key, fault.removeprefix(place)
    return None, fault


def _used(edit: Edit, files: Files) -> File:
    file = as_file(edit)
    wrong = {key for key, _ in unused(parsed(file), files)}
    if not wrong:
        return file
    left = tuple((key, text) for key, text in edit.words if key not in wrong)
    return _used(Edit(edit.shop, edit.locale, left), files)  # a word may have been used by one of these alone


_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in map(chr, (*range(0x20), 0x7F))} | {
    ord("\\"): "\\\\",
    ord('"'): '\\"',
}


def _quoted(text: str) -> str:
    """Return a basic string of TOML."""
    return f'"{text.translate(_ESCAPES)}"'
