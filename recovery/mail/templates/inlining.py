"""CSS inlining: style sheets become `style` attributes, because many mail programs read nothing else.

Done once per template, on its source, so that a mail costs nothing. The HTML parser underneath does not know Jinja, so
every Jinja tag is replaced by a placeholder first and put back afterwards.
"""

import re
from html.parser import HTMLParser

import css_inline

_JINJA = re.compile(r"""\{#.*?#\}|\{(?:\{|%)(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"'])*?(?:\}|%)\}""", re.DOTALL)
_STAND_IN = re.compile(r'<!--zj(?P<comment>\d+)z\n*-->|zj(?P<word>\d+)z(?:="")?')
_RAW = ("title", "style", "script", "textarea")


class NotWellFormed(ValueError):
    """A template is not well-formed HTML: the parser would change its structure, from `line` on."""

    def __init__(self, line: int, found: str) -> None:
        super().__init__(f"{found} is misplaced: close every element, in the branch or loop that opens it")
        self.line = line


def inline(source: str, css: str) -> str:
    """Return a template's source with `css` inlined into its elements; Jinja tags keep their lines.

    A whole document keeps the at-rules (media queries) in a `<style>` of its head; a fragment loses them. Classes
    written by Jinja are not seen. Raises `NotWellFormed` if the source is not well-formed HTML by itself.
    """
    hidden = _hide(source)
    # White space is folded, or lines would be added; "{#" and "{%" would begin a Jinja tag in the kept rules.
    css = re.sub(r"\s+", " ", css).replace("{", "{ ")
    inliner = css_inline.CSSInliner(keep_at_rules=True, minify_css=True, load_remote_stylesheets=False, extra_css=css)
    whole = re.search(r"<html\b", hidden, re.IGNORECASE) is not None
    inlined = inliner.inline(hidden) if whole else inliner.inline_fragment(hidden, css)
    _same_shape(hidden, inlined)
    return _restore(inlined, source)


def _hide(source: str) -> str:
    """Replace each Jinja tag by a comment, which may stand anywhere between elements; within an HTML tag, by a word."""
    parts: list[str] = []
    end = 0
    for number, tag in enumerate(_JINJA.finditer(source)):
        parts.append(source[end : tag.start()])
        end = tag.end()
        lines = "\n" * tag[0].count("\n")
        parts.append(f"zj{number}z" if _inside("".join(parts)) else f"<!--zj{number}z{lines}-->")
    return "".join([*parts, source[end:]])


def _inside(html: str) -> bool:
    """Return whether `html` ends where a comment would be text: in a tag, a comment or a raw element."""
    lower = html.lower()
    return (
        lower.rfind("<") > lower.rfind(">")
        or lower.rfind("<!--") > lower.rfind("-->")
        or any(lower.rfind(f"<{name}") > lower.rfind(f"</{name}") for name in _RAW)
    )


def _restore(inlined: str, source: str) -> str:
    """Put the Jinja tags back. Line ends that the parser dropped go inside a tag, where Jinja ignores them."""
    tags = list(_JINJA.finditer(source))
    parts: list[str] = []
    end = line = 0
    for stand_in in _STAND_IN.finditer(inlined):
        tag = tags[int(stand_in["comment"] or stand_in["word"])]
        before = inlined[end : stand_in.start()]
        end = stand_in.end()
        line += before.count("\n")
        missing = max(0, source.count("\n", 0, tag.start()) - line)
        line += missing + tag[0].count("\n")
        opening = 3 if tag[0][2] in "-+" else 2
        parts += [before, tag[0][:opening], "\n" * missing, tag[0][opening:]]
    return "".join([*parts, inlined[end:]])


class _Shape(HTMLParser):
    """Structure of a piece of HTML: its elements with the names of their attributes, and the placeholders, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.seen: list[tuple[str, int]] = []
        self._styles = 0
        self.feed(html)
        self.close()
        self.stand_ins = [match[1] or match[2] for match in _STAND_IN.finditer(html)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = " ".join(sorted(name for name, _ in attrs if name != "style"))
        self._note(f"<{tag}{' ' if names else ''}{names}>", tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._note(f"</{tag}>", tag)

    def _note(self, what: str, tag: str) -> None:
        # The parser adds an omitted <tbody>, which is correct, and the <style> of the at-rules.
        if tag not in ("tbody", "style"):
            self.seen.append((what, self.getpos()[0]))


def _same_shape(before: str, after: str) -> None:
    then, now = _Shape(before), _Shape(after)
    for position, (what, line) in enumerate(then.seen):
        if position >= len(now.seen) or now.seen[position][0] != what:
            raise NotWellFormed(line, what)
    if len(now.seen) > len(then.seen):
        raise NotWellFormed(before.count("\n") + 1, f"the end, without {now.seen[len(then.seen)][0]},")
    if then.stand_ins != now.stand_ins:
        raise NotWellFormed(1, "a Jinja tag")
