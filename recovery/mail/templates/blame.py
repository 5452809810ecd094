"""Blame for an error in a mail: the word at fault, not the line of the template that uses it."""

import linecache
import traceback
from typing import Any

from recovery.mail.templates.files import TemplateError
from recovery.mail.templates.sandbox import Sandbox, as_template_error
from recovery.mail.templates.words import written


def blamed(exc: Exception, template: str, sandbox: Sandbox, names: dict[str, Any]) -> TemplateError:
    """Return the error of a mail that could not be rendered with these names, with the file and line of its fault.

    A word becomes a part of the template that uses it when that is compiled, so the error names the template. A word on
    that line that fails in the same way by itself is what is at fault.
    """
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename.endswith(".j2")]
    line = ""
    if frames:
        linecache.checkcache(frames[-1].filename)  # a running daemon reads changed templates
        line = linecache.getline(frames[-1].filename, frames[-1].lineno or 0)
    for key in written(line):
        if (word := sandbox.words.find(sandbox.mail, key)) is None:
            continue
        try:
            sandbox.from_string(word.text).render({"more": 1} | names)
        except Exception as same:  # noqa: BLE001 - whatever a template can raise
            if (type(same), str(same)) == (type(exc), str(exc)):
                return as_template_error(same, f"{word.path}, line {word.line}")
    return as_template_error(exc, template)
