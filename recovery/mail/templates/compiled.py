"""A compiled template, filled for each mail."""

from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2.runtime import Context

from recovery.mail.templates.blame import blamed
from recovery.mail.templates.references import joined
from recovery.mail.templates.sandbox import Sandbox, as_template_error


class CompiledTemplate:
    """A compiled template: `name` identifies it in errors; `source` is its text if it is not a file.

    The values of `known` names are the same in all its mails.
    """

    def __init__(
        self, sandbox: Sandbox, name: str, source: str | None = None, *, known: Mapping[str, str] | None = None
    ) -> None:
        self._name, self._sandbox, self._known = name, sandbox, known or {}
        self._references = False
        try:
            self._compiled = self._flat() if source is None else sandbox.from_string(source)
        except Exception as exc:
            raise as_template_error(exc, name) from exc
        self._fill = self._compiled.root_render_func
        self._is_flat = source is None

    def _flat(self) -> jinja2.Template:
        try:
            found = self._sandbox.flat(self._name, self._known)
        except Exception:  # noqa: BLE001 - compiled as it is written, it fails in the same way, with the right line
            found = None
        if found is None:
            return self._sandbox.get_template(self._name)
        compiled, self._references = found
        return compiled

    def fill(self, names: dict[str, Any]) -> str:
        """Return the template rendered with these names, or raise `TemplateError`."""
        try:
            pieces = list(self._fill(self._context(names)))
        except Exception:  # noqa: BLE001
            return self._fill_again(names)
        return joined(pieces) if self._references else "".join(pieces)

    def _context(self, names: dict[str, Any]) -> Context:
        """Return Jinja's context, as its `new_context` does, which would list the global names for each mail again."""
        return Context(self._sandbox, names, self._compiled.name, self._compiled.blocks)

    def _fill_again(self, names: dict[str, Any]) -> str:
        try:
            written = self._sandbox.get_template(self._name) if self._is_flat else self._compiled
            return written.render(names)  # fails in the same way, and its error has the template's line
        except Exception as exc:
            raise blamed(exc, self._name, self._sandbox, names) from exc
