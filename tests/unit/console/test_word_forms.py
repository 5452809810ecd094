"""The form of the words of a mail."""

import pytest

from recovery.console.forms import Form
from recovery.console.word_forms import Field, changes, edit_of, fields_of, merged
from recovery.domain.edits import Edit
from recovery.http.problems import Problem
from recovery.mail.templates.editing import Editable

SUBJECT, LEAD, FOOT = ("reminder-1", "subject"), ("reminder-1", "lead"), ("", "foot")


def word(key, text, below=None):
    return Editable(key, text, text if below is None else below, "the package, words.toml")


WORDS = [word(SUBJECT, "Hello"), word(LEAD, "New", "Old"), word(FOOT, "Bye")]


def form(**values):
    names = {"subject": "word:reminder-1:subject", "lead": "word:reminder-1:lead", "foot": "word::foot"}
    return Form([(names[name], value) for name, value in values.items()])


def test_a_field_has_what_was_written_or_the_word():
    """A field that was not posted stays as it is; blanks around a text go."""
    fields = fields_of(WORDS, form(subject=" Hi \r\n there ", lead=""))
    assert [field.text for field in fields] == ["Hi \n there", "", "Bye"]


def test_a_field_of_no_word_is_refused():
    """As of a page that was opened before a template changed: nothing is dropped in silence."""
    with pytest.raises(Problem, match="word:reminder-1:gone") as refused:
        fields_of(WORDS, Form([("word:reminder-1:gone", "x")]))
    assert refused.value.status == 422


def test_a_word_that_is_empty_or_as_in_the_files_is_not_kept():
    """So it follows the files; words of other mails stay."""
    version = Edit("a.example", "", ((LEAD, "New"), (("reminder-2", "free"), "Free")))
    edit = edit_of(version, fields_of(WORDS, form(subject="Hi", lead="Old", foot="")))
    assert edit == Edit("a.example", "", ((SUBJECT, "Hi"), (("reminder-2", "free"), "Free")))
    assert [change.line for change in changes(version, edit)] == [
        "reminder-1, lead: “New” → the word of the files",
        "reminder-1, subject: the word of the files → “Hi”",
    ]


def test_nothing_is_lost_of_two_who_save():
    """What only one changed is theirs; where both did, the second keeps their text and reads the other's."""
    base = [word(SUBJECT, "Hello"), word(LEAD, "Lead"), word(FOOT, "Bye"), word(("", "more"), "More")]
    newest = [
        word(SUBJECT, "Theirs", "Hello"),
        word(LEAD, "Theirs", "Lead"),
        word(FOOT, "Bye"),
        word(("", "more"), "Same", "More"),
    ]
    written = [
        Field(newest[0], "Mine"),
        Field(newest[1], "Lead"),
        Field(newest[2], "Mine"),
        Field(newest[3], "Same"),
    ]
    fields = merged(written, base, newest, "olga")
    assert [field.text for field in fields] == ["Mine", "Theirs", "Mine", "Same"]
    assert [field.fault for field in fields] == ["olga has changed this word to: Theirs", "", "", ""]


def test_a_word_that_was_cleared_stays_cleared():
    """An empty field means the words of the files, also where somebody else saved meanwhile."""
    base = newest = [word(LEAD, "New", "Old")]
    assert merged([Field(newest[0], "")], base, newest, "olga")[0].text == ""
