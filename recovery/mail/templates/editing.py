"""The words of one mail in one language, as somebody edits them: what each is now, and what it would be without."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from recovery.domain.edits import ALL_SHOPS, Edit, Key
from recovery.domain.schedule import Step
from recovery.mail.templates.edits import CONSOLE, as_file, without_place
from recovery.mail.templates.files import DEFAULTS, Files
from recovery.mail.templates.lint import read_templates
from recovery.mail.templates.sandbox import as_template_error
from recovery.mail.templates.templates import Edition, Edits, Templates
from recovery.mail.templates.words import LANGUAGE, SUBJECT, Word, Words, parsed, written

LONGEST_WORD = 2000
"""Characters of an edited word. The longest of the package has some 160."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Editable:
    """A word of a mail: under which key an edit of it is kept, its text, and its text without the edit.

    `origin` says where the text comes from.
    """

    key: Key
    text: str
    below: str
    origin: str

    @property
    def is_for_all(self) -> bool:
        """Whether an edit of it is for all mails in this language."""
        return not self.key[0]


def locale_of(files: Files, locale: str) -> str:
    """Return the locale of the file of words of a language: "", which is `words.toml`, if it has none of its own."""
    return locale if locale in files.locales else ""


def replaced(edits: Edits, edit: Edit) -> Edits:
    """Return edits with this one instead of the one of the same shop and locale."""
    others = (each for each in edits if (each.shop, each.locale) != (edit.shop, edit.locale))
    return (*others, edit) if edit.words else tuple(others)


def editable(templates: Templates, edit: Edit, step: Step, locale: str) -> list[Editable]:
    """Return the words of a mail with an edit, those of the mail alone first. Raises `TemplateError`."""
    files = templates.files(edit.shop, replaced(templates.edits, edit))
    below = templates.files(edit.shop, replaced(templates.edits, Edit(edit.shop, edit.locale)))
    chain = files.chain(locale)
    words, without = Words(files, chain), Words(below, chain)
    found = []
    for key in _used(templates.edition_of(files), files, step, chain):
        now, before = words.place(step.template, key), without.place(step.template, key)
        if now is not None and before is not None:
            found.append(Editable(now[0], one_text(now[1].text), one_text(before[1].text), _origin(now[1])))
    return sorted(found, key=lambda word: word.is_for_all)


def faults_of(templates: Templates, edit: Edit, step: Step, locale: str) -> Mapping[Key, str]:
    """Return the faults of single words of an edit, by key. Nothing in them is executed."""
    files = templates.files(edit.shop, replaced(templates.edits, edit))
    sandbox = templates.edition_of(files).sandbox(step.template, files.chain(locale))
    faults = {}
    for key, word in parsed(as_file(edit)).items():
        if len(word.text) > LONGEST_WORD:
            faults[key] = f"a word has at most {LONGEST_WORD} characters"
        elif _CONTROL.search(word.text):
            faults[key] = "it contains a control character"
        else:
            try:
                sandbox.parse_word(word)
            except Exception as exc:  # noqa: BLE001 - whatever a parser can raise
                faults[key] = without_place(edit, str(as_template_error(exc, f"{word.path}, line {word.line}")))[1]
    return faults


def one_text(text: str) -> str:
    """Return a word as a form gives it back: without blanks around it, and with plain ends of lines."""
    return "\n".join(text.strip().splitlines())


def _used(edition: Edition, files: Files, step: Step, chain: tuple[str, ...]) -> Iterable[str]:
    """Return the keys of the words that a mail uses, in the order of the file of words."""
    sandbox = edition.sandbox(step.template, chain)
    texts: list[str] = []
    for name in (f"{step.template}.html.j2", f"{step.template}.txt.j2"):
        try:
            texts += [file.text for file, _ in read_templates(sandbox, files, name, chain)]
        except Exception as exc:
            raise as_template_error(exc, name) from exc
    used = {key for text in texts for key in written(text)} | ({SUBJECT} if step.subject is None else set())
    keys = [whose for whose, _ in Words(files, ("",)).items()]
    order = [key for mail in (step.template, "") for whose, key in keys if whose == mail]
    return [key for key in dict.fromkeys([*order, *sorted(used)]) if key in used and key != LANGUAGE]


def _origin(word: Word) -> str:
    if word.path.is_relative_to(CONSOLE / ALL_SHOPS):
        return "the console, for all shops"
    if word.path.is_relative_to(CONSOLE):
        return "the console"
    return f"{'the package' if word.path.is_relative_to(DEFAULTS) else 'the folder'}, {word.path.name}"
