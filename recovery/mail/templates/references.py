"""Character references: HTML in ASCII alone, so that a mail needs no base64 (RFC 2045 section 6.8).

The fixed text of a template is written so when it is compiled, and what a mail puts in when it is rendered. A browser
reads a reference as the character everywhere but in comments, style sheets and the like, which must be ASCII already.
"""

import re
from collections.abc import Iterator, Sequence

from jinja2 import nodes
from markupsafe import escape

_RAW = re.compile(r"<!--|<(style|script|xmp|iframe|noembed|noframes|noscript|plaintext)\b", re.IGNORECASE)
"""The begin of a text in which a browser knows no references (HTML section 13.2.5)."""

_NOT_A_REFERENCE = re.compile(r"&#(?:1(?:2[89]|[345]\d)|55(?:29[6-9]|[3-9]\d\d)|5[67]\d{3});")
"""C1 controls, which browsers take for Windows-1252, and surrogates, which no mail can hold."""

LONGEST_LINE = 990
"""Characters of a line of HTML that goes as it is, some below the 998 of RFC 5322 section 2.1.1."""

_COLOURS = ("colour", "on_colour", "colour_dark")
"""The attributes of the brand that are written in ASCII."""

_RULE = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?P<end>\}) (?=[^ ])""")
_CAPTURES = (nodes.AssignBlock, nodes.FilterBlock, nodes.CallBlock, nodes.Macro)
_ELSEWHERE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)


class _NotAReference(Exception):
    """A character cannot be written as a reference."""


def joined(pieces: Sequence[str]) -> str:
    """Return the pieces of an HTML text joined, in ASCII if each character can be written so and no line is too long.

    A mail with a longer line goes in base64, which is shorter without references.
    """
    whole = "".join(pieces)
    if whole.isascii():
        return whole
    try:
        html = "".join([piece if piece.isascii() else _referenced(piece) for piece in pieces])
    except _NotAReference:
        return whole
    return whole if has_long_line(html) else html


def _referenced(text: str) -> str:
    written = text.encode("ascii", "xmlcharrefreplace").decode()
    if _NOT_A_REFERENCE.search(written):
        raise _NotAReference
    return written


def has_long_line(html: str) -> bool:
    """Return whether a line has more than `LONGEST_LINE` characters; looks at one line end in as many."""
    start = 0
    while len(html) - start > LONGEST_LINE:
        end = html.rfind("\n", start, start + LONGEST_LINE + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def write_references(tree: nodes.Template) -> bool:
    """Write the fixed text of an HTML template in ASCII, and each rule of its style sheet on a line of its own.

    Return whether all that a mail puts into the template may be written so as well.
    """
    if any(isinstance(const.value, str) and "<" in const.value for const in _constants(tree)):
        return False
    writer = _Writer()
    writer.visit(tree)
    return writer.sound


def _constants(tree: nodes.Template) -> Iterator[nodes.Const]:
    return tree.find_all(nodes.Const)


class _Writer:
    """Visits a template in the order of its text; `sound` tells whether references are read wherever text is put in."""

    def __init__(self) -> None:
        self.sound = True
        self._until: str | None = None
        self._captured = False

    def visit(self, node: nodes.Node) -> None:
        """Write the fixed text in and below a node."""
        match node:
            case nodes.Output():
                node.nodes = [self._child(child) for child in node.nodes]
                return
            case _ if isinstance(node, _ELSEWHERE):
                self.sound = False
        before, captured = self._until, self._captured
        self._captured = captured or isinstance(node, _CAPTURES)  # filters may see its text: it stays as it is
        for child in node.iter_child_nodes():
            self.visit(child)
            if not isinstance(node, nodes.Template) and self._until != before:
                self.sound = False  # a comment that begins in a branch and ends elsewhere
                self._until = before
        self._captured = captured

    def _child(self, child: nodes.Expr) -> nodes.Expr:
        if isinstance(child, nodes.Const) and isinstance(child.value, str):
            child = nodes.TemplateData(str(escape(child.value)), lineno=child.lineno)
        if isinstance(child, nodes.TemplateData):
            child.data = "".join(self._written(child.data))
        elif self._until is not None and not _is_ascii(child):
            self.sound = False
        return child

    def _written(self, text: str) -> Iterator[str]:
        while text:
            if self._until is None:
                begin = _RAW.search(text)
                fixed, text = (text[: begin.end()], text[begin.end() :]) if begin else (text, "")
                yield fixed if self._captured else joined([fixed])
                if begin:
                    self.sound = self.sound and not self._captured
                    self._until = f"</{begin[1].lower()}" if begin[1] else "-->"
                continue
            raw, end, text = text.partition(self._until)
            self.sound = self.sound and raw.isascii()
            yield (_on_lines(raw) if self._until == "</style" else raw) + end
            if end:
                self._until = None


def _is_ascii(child: nodes.Expr) -> bool:
    """Return whether what is put in is a colour of the brand, `#rrggbb`: no references are needed for it."""
    return (
        isinstance(child, nodes.Getattr)
        and isinstance(child.node, nodes.Name)
        and child.node.name == "brand"
        and child.attr in _COLOURS
    )


def _on_lines(css: str) -> str:
    """Return a style sheet with each rule on a line: one line of a mail holds at most 998 characters."""
    return _RULE.sub(lambda found: "}\n " if found["end"] else found[0], css)
