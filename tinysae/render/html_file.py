"""Files of HTML that open anywhere, offline, and ask nobody for anything.

No script at all; a content security policy that forbids what a hostile token would
need; charts as inline SVG; the colours of the reader's system, light or dark. Each is a
template that extends `file.html`, beside the module that fills it in; whatever is
filled in is escaped.
"""

import html
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tinysae.render import svg
from tinysae.render.csp import FILE_POLICY, policy_tag
from tinysae.render.numbers import percent, signed
from tinysae.render.palette import SEQUENTIAL, step_rules
from tinysae.render.visible import harmless, visible
from tinysae.words import Language, text

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGE = Path(__file__).parents[1]


def html_file(template: str, title: str, language: Language, **values: Any) -> str:
    """The file that `template` ("library/export.html") makes of `values`; characters
    that act on what shows them are made visible.

    A template has these besides: `t(key, ...)`, a sentence in `language`; `strip`; the
    charts `bars` and `histogram`; the filters `percent`, `signed`, `thousands` and
    `visible`.
    """
    page = _templates().get_template(template)

    def t(key: str, /, **filled_in: object) -> str:
        return text(key, language, **filled_in)

    return harmless(page.render(title=title, language=language, t=t, **values))


def strip(
    texts: Sequence[str],
    values: Sequence[float | None],
    high: float,
    said: str = "{:.3g}",
    at: int | None = None,
) -> Markup:
    """Tokens in a row as HTML, each in the colour of its value between 0 and `high`.

    Args:
        texts: of the tokens; joined, the text.
        values: one a token; None has no colour.
        said: how a value is written where it is pointed at.
        at: the token that is underlined.
    """
    tokens: list[str] = []
    for place, (token, value) in enumerate(zip(texts, values, strict=True)):
        mark = " at" if place == at else ""
        shown = html.escape(token)
        if value is not None:
            colour = f"s{SEQUENTIAL.step(value, 0.0, high)}{mark}"
            title = html.escape(said.format(value))
            shown = f'<span class="{colour}" title="{title}">{shown}</span>'
        elif mark:
            shown = f'<span class="at">{shown}</span>'
        tokens.append(shown)
    return Markup(f'<p class="strip"><bdi>{"".join(tokens)}</bdi></p>')


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    def chart(draw: Any, *values: Any, **options: Any) -> Markup:
        # It escapes its labels itself.
        return Markup(draw(*values, **options))

    templates = Environment(
        loader=FileSystemLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "policy": Markup(policy_tag(FILE_POLICY)),
        "colours": step_rules(SEQUENTIAL),
        "strip": strip,
        "bars": partial(chart, svg.bars),
        "histogram": partial(chart, svg.histogram),
    }
    templates.filters |= {
        "percent": percent,
        "signed": signed,
        "thousands": "{:,}".format,
        "visible": visible,
    }
    return templates
