"""Jinja sandbox, in which the templates of one mail in one language are compiled and rendered."""

import traceback
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import escape
from pydantic import BaseModel

from recovery.mail.templates.bounds import (
    BINARY,
    FILTERS_BOUNDED,
    TooMuch,
    check_arguments,
    check_format,
    counted,
    times,
)
from recovery.mail.templates.files import File, Files, TemplateError
from recovery.mail.templates.flattening import flattened
from recovery.mail.templates.generator import FIELDS, Generator, escaped
from recovery.mail.templates.inlining import ISOLATED, NotWellFormed, inline
from recovery.mail.templates.locales import amount, date, money
from recovery.mail.templates.metadata import Metadata
from recovery.mail.templates.references import write_references
from recovery.mail.templates.words import FILE, Word, Words

NAMES = frozenset(
    {
        *("customer", "items", "total", "currency", "checkout_url", "unsubscribe_url", "coupon", "shop", "order_id"),
        *("locale", "time_zone", "touched_at", "ordered_at", "brand", "direction", "start", "end"),
        *("discount", "discount_code", "shipping", "tax", "tax_included", "order_url", "metadata"),
    }
)
"""The names available to a template; docs/templates.md says what they are, and a test compares."""

GLOBALS: dict[str, Any] = {
    **{name: each for name, each in DEFAULT_NAMESPACE.items() if name not in ("lipsum", "cycler")},
    "range": counted,
}
"""Jinja's global names, without those that make texts or lists of any length."""

_NUMBERS = {"more"}
"""The names of words alone, all of which are numbers."""

_IN_WORDS = NAMES | _NUMBERS
_AMOUNT = "amount in"
"""The filter `money` with currency and locale as arguments; a template cannot name it, for the blank in it."""


class WordTag(Extension):
    """The tag `{% word "headline" %}`, replaced by the word when the template is compiled.

    Where it stands in the text of an HTML page, `recovery.mail.templates.inlining` has written it as `ISOLATED`: then
    each `<bdi>` keeps what a mail puts into the word from turning the words around it (UAX #9).
    """

    tags = {"word", ISOLATED}  # noqa: RUF012 - as the class above has it
    environment: "Sandbox"

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the nodes of the word; its text is escaped where the template is HTML."""
        tag = next(parser.stream)
        line = tag.lineno
        key = parser.stream.expect("string").value
        word = self.environment.words.find(self.environment.mail, key)
        if word is None:
            parser.fail(f'no {FILE} has the word "{key}", neither for {self.environment.mail} nor for all mails', line)
        tree = self.environment.parse_word(word)
        if _is_html(parser.name):
            for data in tree.find_all(nodes.TemplateData):
                data.data = str(escape(data.data))
            if tag.value == ISOLATED:
                _isolate(tree)
        for node in tree.find_all(nodes.Node):
            node.set_lineno(line, override=True)
        return list(tree.body)


def _isolate(word: nodes.Template) -> None:
    """Put a `<bdi>` around each text that a mail puts into a word; a number needs none."""
    before, after = nodes.TemplateData("<bdi>"), nodes.TemplateData("</bdi>")
    for output in list(word.find_all(nodes.Output)):
        output.nodes = [
            each for child in output.nodes for each in ([before, child, after] if _puts_in_text(child) else [child])
        ]


def _puts_in_text(node: nodes.Expr) -> bool:
    return any(
        isinstance(each, nodes.Name) and each.name not in _NUMBERS for each in (node, *node.find_all(nodes.Name))
    )


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja environment that exposes only the fields of brands, customers and items, which is also faster.

    `recovery.mail.templates.bounds` limits its computations.
    """

    intercepted_binops = frozenset(BINARY)
    code_generator_class = Generator
    models: Mapping[str, type] = {model.__name__: model for model in FIELDS}
    escaped = staticmethod(escaped)

    def __init__(self, files: "Sources", chain: tuple[str, ...], words: Words, mail: str) -> None:
        super().__init__(
            loader=_Loader(files, chain),
            undefined=jinja2.StrictUndefined,
            autoescape=_is_html,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[WordTag],
        )
        self.filters |= {**FILTERS_BOUNDED, "money": money, "date": date, _AMOUNT: amount}
        self.globals.clear()
        self.globals.update(GLOBALS)
        self.words = words
        self.mail = mail

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute; called by Jinja."""
        if attribute in FIELDS.get(type(obj), ()):
            return getattr(obj, attribute)
        if type(obj) is Metadata:
            return obj.get(attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an element, or an attribute by its name, as `selectattr` does; called by Jinja."""
        if type(obj) in FIELDS and argument in FIELDS[type(obj)]:
            return getattr(obj, argument)
        if type(obj) is Metadata:
            return obj.get(argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Return whether a template may read this attribute."""
        if isinstance(obj, BaseModel):
            return attr in type(obj).model_fields
        return super().is_safe_attribute(obj, attr, value)

    def _generate(self, source: nodes.Template, *arguments: Any, **named: Any) -> str:
        return super()._generate(_optimised(source), *arguments, **named)

    def flat(self, name: str, known: Mapping[str, str]) -> tuple[jinja2.Template, bool] | None:
        """Return a template as one function, if its inheritance can be resolved when it is compiled; else None.

        The values of `known` names become part of its text. With it, whether all that is put into it may be written as
        character references. It renders what `get_template` renders; its errors do not have the right file and line.
        """
        if (tree := flattened(self, name)) is None:
            return None
        tree = _Folded(_unchanged(tree, known)).visit(tree)
        references = _is_html(name) and write_references(tree)
        code = self.compile(tree, name, name)
        return self.template_class.from_code(self, code, self.make_globals(None)), references

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """Apply one of the limited operators."""
        if type(left) is Decimal and operator == "*":  # price of a line: decimals are limited already
            return left * right
        return BINARY[operator](left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return the checked replacement of `str.format` and `str.format_map`; None for other values."""
        if (safe := super().wrap_str_format(value)) is not None:
            check_format(str(value.__self__))
        return safe

    def call(__self, __context: Context, __obj: Any, *arguments: Any, **named: Any) -> Any:  # noqa: N805
        """Call a function or method for a template; raise `TooMuch` for large numbers as arguments."""
        check_arguments(__obj, arguments, named)
        return super().call(__context, __obj, *arguments, **named)

    def parse_word(self, word: Word, known: Set[str] = _IN_WORDS) -> nodes.Template:
        """Return the syntax tree of a word, which may use the `known` names.

        Raises `jinja2.TemplateSyntaxError` if it is invalid or uses another name.
        """
        try:
            tree = self.parse(word.text, FILE, str(word.path))
        except jinja2.TemplateSyntaxError as exc:
            raise jinja2.TemplateSyntaxError(exc.message or "", word.line, FILE, str(word.path)) from exc
        made = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
        for name in tree.find_all(nodes.Name):
            if name.name not in known | made | self.globals.keys():
                raise jinja2.TemplateSyntaxError(f"'{name.name}' is undefined", word.line, FILE, str(word.path))
        return tree


def _optimised(tree: nodes.Template) -> nodes.Template:
    """Return a tree with constants folded, and the currency and locale of `money` looked up once for all amounts."""
    tree = _Folded().visit(tree)
    if not any(name.name in ("currency", "locale") and name.ctx != "load" for name in tree.find_all(nodes.Name)):
        for each in tree.find_all(nodes.Filter):
            if each.name == "money" and not (each.args or each.kwargs or each.dyn_args or each.dyn_kwargs):
                each.name = _AMOUNT
                each.args = [nodes.Name("currency", "load"), nodes.Name("locale", "load")]
    return tree


def _unchanged(tree: nodes.Template, known: Mapping[str, str]) -> Mapping[str, str]:
    """Return the known names that the template nowhere gives another value."""
    made = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    return {name: value for name, value in known.items() if name not in made}


class _Folded(NodeTransformer):
    """Folding of `known` names, and of products: Jinja does not fold intercepted operators, so each mail would multiply
    again.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = known or {}

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - Jinja's name
        if node.ctx == "load" and node.name in self._known:
            return nodes.Const(self._known[node.name], lineno=node.lineno)
        return node

    def visit_Mul(self, node: nodes.Mul) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        if isinstance(node.left, nodes.Const) and isinstance(node.right, nodes.Const):
            with suppress(TooMuch, TypeError):  # raised again at rendering, with the line
                return nodes.Const(times(node.left.value, node.right.value), lineno=node.lineno)
        return node


class Sources:
    """The sources of templates; HTML with the style sheet inlined, once for all mails."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._inlined: dict[tuple[Path, Path], str] = {}

    def find(self, template: str, chain: tuple[str, ...]) -> File | None:
        """Return the first file of this name in the chain of locales, unchanged."""
        return next(iter(self._files.all(template, chain)), None)

    def inlined(self, environment: jinja2.Environment, template: str, file: File, chain: tuple[str, ...]) -> str:
        """Return an HTML template with inlined styles; raise `jinja2.TemplateSyntaxError` if it is not well-formed."""
        css = self._files.all("style.css", chain)[0]
        if (source := self._inlined.get((file.path, css.path))) is None:
            environment.parse(file.text, template, str(file.path))  # so that errors refer to the text before inlining
            try:
                source = self._inlined[file.path, css.path] = inline(file.text, css.text)
            except NotWellFormed as exc:
                raise jinja2.TemplateSyntaxError(str(exc), exc.line, template, str(file.path)) from exc
        return source


class _Loader(jinja2.BaseLoader):
    def __init__(self, sources: Sources, chain: tuple[str, ...]) -> None:
        self._sources = sources
        self._chain = chain

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, None]:
        if (file := self._sources.find(template, self._chain)) is None:
            raise jinja2.TemplateNotFound(template)
        if not _is_html(template):
            return file.text, str(file.path), None
        return self._sources.inlined(environment, template, file, self._chain), str(file.path), None


def as_template_error(exc: Exception, template: str) -> TemplateError:
    """Return the `TemplateError` for an error of Jinja's, with file and line as far as they are known."""
    match exc:
        case TemplateError():
            return exc
        case jinja2.TemplateSyntaxError():
            return TemplateError(f"{exc.filename or template}, line {exc.lineno}: {exc.message}")
        case jinja2.TemplateNotFound() if exc.name == template:
            return TemplateError(f"{template}: no such template, neither in the shop's folder nor among the defaults")
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename.endswith(".j2")]
    where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else template
    what = f"no template {exc.name}" if isinstance(exc, jinja2.TemplateNotFound) else str(exc)
    return TemplateError(
        f"{where}: {what}" if isinstance(exc, jinja2.TemplateError) else f"{where}: {type(exc).__name__}: {what}"
    )


def _is_html(template: str | None) -> bool:
    return template is not None and template.endswith(".html.j2")
