"""Outlook on Windows, which shows mails with Word: what of HTML and CSS it does not do, and a page as it sees it.

The facts are those of caniemail.com (its data of September 2025, "Outlook, Windows, 2019"), a page for each feature:
css-padding, css-margin, css-width, css-max-width, css-border-radius, css-display, css-white-space, css-text-wrap,
css-word-wrap, css-object-fit, css-overflow, css-max-height, css-opacity, css-font-weight, css-letter-spacing, html-bdi,
css-at-media. That `mso-padding-alt` of a cell is its padding is what MJML's buttons have long relied on.
"""

import re
from collections.abc import Iterator

_CELLS = frozenset({"td", "th"})

ONLY_ON: dict[str, frozenset[str]] = {"padding": _CELLS, "max-width": frozenset({"table"}), "mso-padding-alt": _CELLS}
"""Properties that work on these elements alone."""

NOT_ON: dict[str, frozenset[str]] = {
    "margin": frozenset({"body", "span", "table"}),  # tables: not of caniemail; Word has no space before a table
    "width": frozenset({"body", "span", "div", "p", "img"}),
    "height": frozenset({"body", "span", "div", "p"}),
}
"""Properties that work on all elements but these."""

NEVER = frozenset(
    {
        *(
            "border-radius",
            "text-wrap",
            "word-break",
            "overflow-wrap",
            "object-fit",
            "overflow",
            "max-height",
            "opacity",
        ),
        *(
            "white-space",
            "box-shadow",
            "position",
            "float",
            "flex",
            "gap",
            "min-width",
            "min-height",
            "background-image",
        ),
        *(
            "padding-inline",
            "margin-inline",
            "text-align-last",
            "transform",
            "visibility",
            "box-sizing",
            "table-layout",
        ),
        "-webkit-text-size-adjust",
    }
)
"""Properties that do not work."""

_SIDES = re.compile(r"(padding|margin)-(?:left|right|top|bottom)")
_TAG = re.compile(r"<(?P<name>[a-z][a-z0-9]*)(?P<rest>[^<>]*?)>")
_STYLE = re.compile(r"""\sstyle="([^"]*)\"""")


def works(element: str, name: str, value: str) -> bool:
    """Return whether Word does what a declaration on an element says."""
    family = _SIDES.sub(r"\1", name)
    if name in NEVER or element not in ONLY_ON.get(family, {element}) or element in NOT_ON.get(family, ()):
        return False
    match name:
        case "display":
            return value == "none" and element != "img"
        case "text-align":
            return value not in ("start", "end")
        case _:
            return not re.search(r"\d(?:rem|vw|vh|ch)\b|\b(?:calc|var|min|max|clamp)\(", value)


def declarations(html: str) -> Iterator[tuple[str, str, str]]:
    """Yield the element, property and value of each declaration in a page's `style` attributes."""
    for tag in _TAG.finditer(html):
        if style := _STYLE.search(tag["rest"]):
            yield from ((tag["name"], *declaration) for declaration in _declared(style[1]))


def as_word_sees(html: str) -> str:
    """Return a page with what Word does not do taken out, for a browser to show: a likeness, not Outlook itself."""
    html = re.sub(r"<!--\[if mso\]>(.*?)<!\[endif\]-->", r"\1", html, flags=re.DOTALL)
    html = re.sub(r"<xml>.*?</xml>", "", html, flags=re.DOTALL)
    html = re.sub(r"<style>\s*@media.*?</style>", "", html, flags=re.DOTALL)
    html = re.sub(r"(</?)bdi\b", r"\1span", html)
    return _TAG.sub(_seen, html)


def _seen(tag: re.Match[str]) -> str:
    if (style := _STYLE.search(tag["rest"])) is None:
        return tag[0]
    kept = []
    for name, value in _declared(style[1]):
        if works(tag["name"], name, value):
            if name == "font-weight" and value.isdigit():
                value = "bold" if int(value) >= 600 else "normal"
            kept.append(f"{'padding' if name == 'mso-padding-alt' else name}:{value}")
    return tag[0].replace(style[0], f' style="{";".join(kept)}"')


def _declared(style: str) -> Iterator[tuple[str, str]]:
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        if name.strip():
            yield name.strip(), value.strip()
