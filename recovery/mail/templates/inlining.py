"""CSS inlining: style sheets become `style` attributes, because many mail programs read nothing else.

Done once per template, on its source, so that a mail costs nothing. The HTML parser underneath does not know Jinja, so
every Jinja tag is replaced by a placeholder first and put back afterwards.
"""

import re
from html.parser import HTMLParser
from operator import itemgetter

import css_inline

_JINJA = re.compile(r"""\{#.*?#\}|\{(?:\{|%)(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"'])*?(?:\}|%)\}""", re.DOTALL)
_STAND_IN = re.compile(r'<!--zj(?P<comment>\d+)z\n*-->|zj(?P<word>\d+)z(?:="")?')
_NO_RULE = re.compile(r"/\*.*?\*/|@(?:charset|import|namespace)[^;{]*;", re.DOTALL)
"""What of a style sheet is for no mail: comments, and the at-rules that are none of a media query's kind."""

ISOLATED = "isolated_word"
"""The tag `word` where it stands in the text of a page, and not within an HTML tag, a title or a comment."""

_WORD = re.compile(r"(?<=\{%)([-+]?\s*)word\b")
_RAW = ("title", "style", "script", "textarea")


class NotWellFormed(ValueError):
    """A template is not well-formed HTML: the parser would change its structure, from `line` on."""

    def __init__(self, line: int, found: str) -> None:
        super().__init__(f"{found} is misplaced: close every element, in the branch or loop that opens it")
        self.line = line


def inline(source: str, css: str) -> str:
    """Return a template's source with `css` inlined into its elements; Jinja tags keep their lines.

    A whole document keeps its own style sheets, which are inlined as well. The at-rules of `css` (media queries), which
    no `style` attribute can hold, become a `<style>` at the end of its head, if it has a class that they name. A
    fragment loses them. Classes written by Jinja are not seen. Raises `NotWellFormed` if the source is not well-formed
    HTML by itself.
    """
    hidden = _hide(source)
    # White space is folded, or lines would be added; "{#" and "{%" would begin a Jinja tag in the kept rules.
    rules, kept = _apart(re.sub(r"\s+", " ", _NO_RULE.sub("", css)).replace("{", "{ "))
    whole = re.search(r"<html\b", hidden, re.IGNORECASE) is not None
    inliner = css_inline.CSSInliner(
        keep_style_tags=whole, minify_css=True, load_remote_stylesheets=False, extra_css=rules
    )
    inlined = inliner.inline(hidden) if whole else inliner.inline_fragment(hidden, rules)
    _same_shape(hidden, inlined)
    if whole and _concerns(kept, inlined):
        before, end, after = inlined.partition(
            "</head>"
        )  # behind the charset, which browsers seek in the first 1,024 bytes
        inlined = f"{before}<style>{kept}</style>{end}{after}"
    return _restore(inlined, source)


def _apart(css: str) -> tuple[str, str]:
    """Return the rules that can be inlined, and the at-rules with their blocks."""
    rules: list[str] = []
    kept: list[str] = []
    start = depth = 0
    for brace in re.finditer(r"[{}]", css):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            rule = css[start : brace.end()].strip()
            (kept if rule.startswith("@") else rules).append(rule)
            start = brace.end()
    return " ".join([*rules, css[start:].strip()]), " ".join(kept)


def _concerns(kept: str, html: str) -> bool:
    """Return whether the at-rules name a class that an element has, or no class at all."""
    named = set(re.findall(r"\.([A-Za-z_][\w-]*)", kept))
    has = {name for classes in re.findall(r"""\sclass=["']?([^"'>]*)""", html) for name in classes.split()}
    return bool(kept) and (not named or not named.isdisjoint(has))


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
        found = tags[int(stand_in["comment"] or stand_in["word"])]
        tag, place = found[0], found.start()
        if stand_in["comment"]:
            tag = _WORD.sub(rf"\1{ISOLATED}", tag)
        before = inlined[end : stand_in.start()]
        end = stand_in.end()
        line += before.count("\n")
        missing = max(0, source.count("\n", 0, place) - line)
        line += missing + tag.count("\n")
        opening = 3 if tag[2] in "-+" else 2
        parts += [before, tag[:opening], "\n" * missing, tag[opening:]]
    return "".join([*parts, inlined[end:]])


class _Shape(HTMLParser):
    """Structure of a piece of HTML: its elements with the names of their attributes, and the placeholders, in order.

    The inliner may put the attributes of an element in another order. Placeholders in their values go with them; one
    that stands between attributes, as an `{% if %}` does, must not move.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.seen: list[tuple[str, int]] = []
        self.stand_ins: list[str] = []
        self.feed(html)
        self.close()
        self.all = sorted(_numbers(html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = attrs if any(_STAND_IN.fullmatch(name) for name, _ in attrs) else sorted(attrs, key=itemgetter(0))
        self.stand_ins += [number for name, value in given for number in _numbers(f"{name} {value or ''}")]
        names = " ".join(sorted(name for name, _ in attrs if name != "style"))
        self._note(f"<{tag}{' ' if names else ''}{names}>", tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._note(f"</{tag}>", tag)

    def handle_comment(self, data: str) -> None:
        self.stand_ins += _numbers(f"<!--{data}-->")

    def handle_data(self, data: str) -> None:
        self.stand_ins += _numbers(data)

    def _note(self, what: str, tag: str) -> None:
        # The parser adds an omitted <tbody>, which is correct, and the <style> of the at-rules.
        if tag not in ("tbody", "style"):
            self.seen.append((what, self.getpos()[0]))


def _numbers(html: str) -> list[str]:
    """Return the numbers of the placeholders in a piece of HTML, in order."""
    return [found["comment"] or found["word"] for found in _STAND_IN.finditer(html)]


def _same_shape(before: str, after: str) -> None:
    then, now = _Shape(before), _Shape(after)
    for position, (what, line) in enumerate(then.seen):
        if position >= len(now.seen) or now.seen[position][0] != what:
            raise NotWellFormed(line, what)
    if len(now.seen) > len(then.seen):
        raise NotWellFormed(before.count("\n") + 1, f"the end, without {now.seen[len(then.seen)][0]},")
    if (then.stand_ins, then.all) != (now.stand_ins, now.all):
        raise NotWellFormed(1, "a Jinja tag")
