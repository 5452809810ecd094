"""Code generator of the sandbox: for fields of brands, customers and items, and for what is put into a mail."""

import re
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import escape

from recovery.domain.brand import Brand
from recovery.domain.checkout import Customer, Item

FIELDS: dict[type, frozenset[str]] = {
    Brand: frozenset(name for name in dir(Brand) if not name.startswith("_")),
    **{model: frozenset(model.model_fields) for model in (Customer, Item)},
}
"""The fields of the models that a template sees."""

_NAMES = {model: f"{model.__name__.lower()}_type" for model in FIELDS}


_ESCAPED = re.compile(r"[&<>'\"]")


def escaped(value: Any) -> str:
    """Return a value as text for HTML. Most texts have nothing to escape, and no piece of a mail is escaped again."""
    if type(value) is str and _ESCAPED.search(value) is None:
        return value
    return escape(value)


class Generator(CodeGenerator):
    """Generates `item.name` as an attribute of the very classes whose fields are known to be safe, else as a call.

    What is put into HTML is escaped by `escaped`.
    """

    def write_commons(self) -> None:
        """Write what each function of a template begins with."""
        super().write_commons()
        for model, name in _NAMES.items():
            self.writeline(f"{name} = environment.models[{model.__name__!r}]")
        self.writeline("escaped = environment.escaped")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.autoescape and not frame.eval_ctx.volatile and finalize.src is None:
            self.write("escaped(")
        else:
            super()._output_child_pre(node, frame, finalize)

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write an attribute of a variable; any other expression might be slow or change something, if read twice."""
        models = [model for model, fields in FIELDS.items() if node.attr in fields]
        if not models or not isinstance(node.node, nodes.Name):
            super().visit_Getattr(node, frame)
            return
        self.write("(")
        self.visit(node.node, frame)
        self.write(f".{node.attr} if ")
        for number, model in enumerate(models):
            self.write("type(" if number == 0 else " or type(")
            self.visit(node.node, frame)
            self.write(f") is {_NAMES[model]}")
        self.write(" else ")
        super().visit_Getattr(node, frame)
        self.write(")")
