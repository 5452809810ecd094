"""Flattening of templates: inheritance is resolved once, when a mail is compiled, not again for each mail.

A template that extends another becomes one tree without `extends` and `block`. Only where that cannot be told from what
Jinja does itself: a template that calls `super()`, has a block in a loop, or the like, stays as it is.
"""

from collections.abc import Iterable, Sequence

from jinja2 import Environment, TemplateNotFound, nodes
from jinja2.visitor import NodeTransformer

_DEEPEST = 8
"""Templates in one chain of `extends`; a longer one may be a circle."""

_MAKES_A_NAME = (nodes.Macro, nodes.Import, nodes.FromImport)


class _NotFlat(Exception):
    """The template needs Jinja's own inheritance."""


def flattened(environment: Environment, name: str) -> nodes.Template | None:
    """Return the tree of a template with its parents merged into it; None if it needs Jinja's own inheritance.

    Raises what Jinja raises for a template that is missing or has a syntax error.
    """
    try:
        root, blocks = _read(environment, name)
        root.body = _Flat(blocks).bodies(root.body, inside=())
    except (_NotFlat, TemplateNotFound):
        return None
    _Joined().visit(root)
    return root


def _read(environment: Environment, name: str) -> tuple[nodes.Template, dict[str, nodes.Block]]:
    """Return the tree of the outermost parent, and the most derived block of each name."""
    blocks: dict[str, nodes.Block] = {}
    for _ in range(_DEEPEST):
        tree = _parsed(environment, name)
        own = list(tree.find_all(nodes.Block))
        if len({block.name for block in own}) < len(own) or any(block.required or block.scoped for block in own):
            raise _NotFlat
        for block in own:
            blocks.setdefault(block.name, block)
        if tree.find(nodes.Extends) is None:
            return tree, blocks
        first, *others = tree.body
        if not (isinstance(first, nodes.Extends) and isinstance(first.template, nodes.Const)):
            raise _NotFlat
        if not all(isinstance(node, nodes.Block | nodes.Output) for node in others):
            raise _NotFlat
        name = environment.join_path(first.template.value, name)
    raise _NotFlat


def _parsed(environment: Environment, name: str) -> nodes.Template:
    if environment.loader is None:
        raise _NotFlat
    source, path, _ = environment.loader.get_source(environment, name)
    tree = environment.parse(source, name, path)
    if any(node.name in ("self", "super") for node in tree.find_all(nodes.Name)):
        raise _NotFlat
    return tree


class _Flat:
    """Replaces each block by the body of the most derived block of its name."""

    def __init__(self, blocks: dict[str, nodes.Block]) -> None:
        self._blocks = blocks

    def bodies(self, body: Iterable[nodes.Node], inside: tuple[str, ...]) -> list[nodes.Node]:
        """Return these nodes without blocks; `inside` are the names of the blocks around them."""
        return [flat for node in body for flat in self._flat(node, inside)]

    def _flat(self, node: nodes.Node, inside: tuple[str, ...]) -> Sequence[nodes.Node]:
        match node:
            case nodes.Block(name=name):
                if name in inside:
                    raise _NotFlat
                body = self._blocks[name].body
                has_block, makes_names = _has_block(body), _makes_names(body)
                if has_block and makes_names:  # an inner block does not see the names of the outer one
                    raise _NotFlat
                flat = self.bodies(body, (*inside, name))
                return [nodes.Scope(flat, lineno=node.lineno)] if makes_names else flat
            case nodes.If():
                node.body, node.else_ = self.bodies(node.body, inside), self.bodies(node.else_, inside)
                for branch in node.elif_:
                    self._flat(branch, inside)
            case _ if node.find(nodes.Block) is not None:  # in a loop, for one: a block does not see its names
                raise _NotFlat
        return [node]


def _has_block(body: Iterable[nodes.Node]) -> bool:
    return any(isinstance(node, nodes.Block) or node.find(nodes.Block) is not None for node in body)


def _makes_names(body: Iterable[nodes.Node]) -> bool:
    return any(
        isinstance(each, _MAKES_A_NAME) or (isinstance(each, nodes.Name) and each.ctx != "load")
        for node in body
        for each in (node, *node.find_all(nodes.Node))
    )


class _Joined(NodeTransformer):
    """Joins neighbouring outputs into one, so that their fixed texts become one."""

    def generic_visit(self, node: nodes.Node, *arguments: object, **named: object) -> nodes.Node:
        """Join the outputs in each list of statements below this node."""
        super().generic_visit(node, *arguments, **named)
        for field in ("body", "else_"):
            if isinstance(body := getattr(node, field, None), list):
                setattr(node, field, _joined(body))
        return node


def _joined(body: Iterable[nodes.Node]) -> list[nodes.Node]:
    joined: list[nodes.Node] = []
    for node in body:
        last = joined[-1] if joined else None
        if isinstance(node, nodes.Output) and isinstance(last, nodes.Output):
            last.nodes = [*last.nodes, *node.nodes]
        else:
            joined.append(node)
    return joined
