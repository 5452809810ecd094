"""The form of the words of a mail: its fields, what was written into them, and how they differ between versions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from recovery.console.forms import Form
from recovery.domain.edits import Edit, Key
from recovery.http.problems import Problem
from recovery.mail.templates.editing import Editable, one_text

PREFIX = "word"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form: a word, the text in the field, and what is wrong with it."""

    word: Editable
    text: str
    fault: str = ""

    @property
    def name(self) -> str:
        """Its name in the form."""
        return field_name(self.word.key)

    @property
    def label(self) -> str:
        """The word as a person reads it: `free why`."""
        return self.word.key[1].replace("_", " ")

    @property
    def rows(self) -> int:
        """The lines that the field shows."""
        return min(8, max(1, max(len(self.text), len(self.word.below)) // 56 + 1 + self.text.count("\n")))

    @property
    def is_changed(self) -> bool:
        """Whether it is another text than without the console."""
        return self.text not in ("", self.word.below)


@dataclass(frozen=True, slots=True)
class Change:
    """A word that differs between two versions. A text that a version does not have is None."""

    mail: str
    key: str
    before: str | None
    after: str | None

    @property
    def line(self) -> str:
        """The change in a line."""
        name = f"{self.mail or 'all mails'}, {self.key.replace('_', ' ')}"
        return f"{name}: {_said(self.before)} → {_said(self.after)}"


def field_name(key: Key) -> str:
    """Return the name of the field of a word."""
    return f"{PREFIX}:{key[0]}:{key[1]}"


def fields_of(words: Iterable[Editable], form: Form | None = None) -> list[Field]:
    """Return the fields with the words as they are, or as a form has them.

    Raises `Problem` (422) if the form has a field for another word.
    """
    fields = [Field(word, word.text) for word in words]
    if form is None:
        return fields
    posted = form.names(f"{PREFIX}:")
    names = {field.name for field in fields}
    for name in posted:
        if name not in names:
            raise Problem(422, f"{name}: this mail uses no such word (any more): load the page again.")
    return [replace(field, text=one_text(form.text(field.name))) if field.name in posted else field for field in fields]


def edit_of(version: Edit, fields: Sequence[Field]) -> Edit:
    """Return the edit of a version, with the words of these fields instead of its own.

    A word that is empty, or the same as without the console, is left out: it follows the files.
    """
    of_fields = {field.word.key for field in fields}
    words = {key: text for key, text in version.words if key not in of_fields}
    words |= {field.word.key: field.text for field in fields if field.is_changed}
    return Edit(version.shop, version.locale, tuple(sorted(words.items())))


def merged(fields: Sequence[Field], base: Sequence[Editable], newest: Sequence[Editable], by: str) -> list[Field]:
    """Return the fields of somebody who began at the version `base`, when somebody else has saved the `newest`.

    A word that only the other changed is theirs; one that both changed stays as it was written here, and says so.
    """
    began = {word.key: word.text for word in base}
    written = {field.word.key: field for field in fields}
    result = []
    for word in newest:
        field = written.get(word.key)
        before = began.get(word.key, word.below)
        if field is None or (field.text or word.below) == before:
            result.append(Field(word, word.text))
        elif word.text in (before, field.text):
            result.append(Field(word, field.text))
        else:
            result.append(Field(word, field.text, f"{by} has changed this word to: {word.text}"))
    return result


def changes(before: Edit, after: Edit) -> Iterator[Change]:
    """Yield the words that differ between two versions."""
    old, new = dict(before.words), dict(after.words)
    for mail, key in sorted({*old, *new}):
        if old.get((mail, key)) != new.get((mail, key)):
            yield Change(mail, key, old.get((mail, key)), new.get((mail, key)))


def with_faults(fields: Iterable[Field], faults: Mapping[Key, str]) -> list[Field]:
    """Return the fields, each with what is wrong with it."""
    return [replace(field, fault=faults.get(field.word.key, "")) for field in fields]


def _said(text: str | None) -> str:
    return "the word of the files" if text is None else f"“{text}”"
