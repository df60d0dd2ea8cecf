"""Small charts as SVG text, which a page and a saved file draw alike, with no script.

Widths are percentages of the place a chart is in, heights are pixels: letters keep
their size on a phone. Colours are those of `render/palette.py` and of the text around;
whatever a token may hold is escaped.
"""

import html
import math
from collections.abc import Sequence

from tinysae.render.numbers import percent, signed
from tinysae.render.palette import NEGATIVE, POSITIVE
from tinysae.render.visible import in_lines

ROW = 22
# Of a label that stands above its bar.
LINE = 16
FONT = "font-size:13px;font-variant-numeric:tabular-nums"
# Shares of the width: labels of bars, and the room for the numbers at their ends.
LABELS, NUMBERS = 27.0, 12.0
AXIS = 22
MIN_BAR = 1.5


def _svg(parts: Sequence[str], height: int, title: str) -> str:
    return (
        f'<svg role="img" aria-label="{html.escape(title)}" width="100%" '
        f'height="{height}" style="display:block;overflow:visible;{FONT}" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def standalone(svg: str, width: int = 640) -> str:
    """A chart as a file of its own, `width` pixels wide, black on white."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" color="black" width="{width}"'
    style = "font-family:system-ui,sans-serif;background:white;display:block"
    return (
        svg.replace('<svg role="img"', f'{head} role="img"', 1)
        .replace(' width="100%"', "", 1)
        .replace("display:block", style, 1)
    )


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    label_columns: int = 0,
    are_shares: bool = False,
) -> str:
    """Horizontal bars from a common zero: teal to the right, orange to the left.

    labels and values [n], the first on top. With `label_columns` each label stands
    whole above its bar, in lines of so many letters; with `are_shares` values are
    written as percentages.
    """
    written = percent if are_shares else signed
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    span = (high - low) or 1.0
    # Room for a number beyond the longest bar on either side.
    left = NUMBERS if low < 0 else 1.0
    if not label_columns:
        left += LABELS
    width = 100.0 - NUMBERS - left
    zero = left - low / span * width
    parts, top = [], 0
    for label, value in zip(labels, values, strict=True):
        lines = in_lines(label, label_columns) if label_columns else []
        above = [_label(line, top + n * LINE, 100) for n, line in enumerate(lines)]
        middle = top + len(lines) * LINE + ROW / 2
        size = abs(value) / span * width
        start = zero if value >= 0 else zero - size
        end, anchor, shift = (
            (zero + size, "start", 4) if value >= 0 else (zero - size, "end", -4)
        )
        parts.append(
            f"<g><title>{html.escape(label)}: {signed(value, 3)}</title>"
            f"{''.join(above) or _label(_short(label), top)}"
            f'<rect x="{start:.2f}%" y="{middle - 7:.0f}" width="{size:.2f}%" '
            f'height="14" rx="2" fill="{POSITIVE if value >= 0 else NEGATIVE}"/>'
            f'<text x="{end:.2f}%" dx="{shift}" y="{middle:.0f}" dy=".35em" '
            f'text-anchor="{anchor}">{written(value)}</text>'
            # Zero, but not through a label above.
            f'<line x1="{zero:.2f}%" x2="{zero:.2f}%" y1="{middle - ROW / 2:.0f}" '
            f'y2="{middle + ROW / 2:.0f}" stroke="currentColor" stroke-opacity=".4"/>'
            "</g>"
        )
        top += len(lines) * LINE + ROW
    return _svg(parts, max(top, ROW), title)


def histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    title: str,
    height: int = 170,
    exponents: bool = False,
) -> str:
    """Counts between neighbouring edges [n + 1], on a logarithmic scale.

    One is drawn a little above nothing. exponents: edges are powers of ten, and are
    written as what they are powers of.
    """

    def level(count: float) -> float:
        return math.log10(1 + count)

    n = len(counts)
    top = max(map(level, counts), default=0.0) or 1.0
    left, plot = 9.0, height - AXIS - 8
    width = (100.0 - left - 2.0) / max(n, 1)
    parts = []
    for power in range(math.floor(math.log10(max(*counts, 1, 1))) + 1):
        y = 8 + plot * (1 - level(10**power) / top)
        parts.append(
            f'<line x1="{left}%" x2="98%" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="currentColor" stroke-opacity=".15"/>'
            f'<text x="{left - 1}%" y="{y:.1f}" dy=".35em" text-anchor="end" '
            f'opacity=".8">{_count(10**power)}</text>'
        )
    for at, count in enumerate(counts):
        if not count:
            continue
        size = max(plot * level(count) / top, MIN_BAR)
        span = f"{_edge(edges[at], exponents)} – {_edge(edges[at + 1], exponents)}"
        parts.append(
            f"<g><title>{span}: {count:,}</title>"
            f'<rect x="{left + at * width:.3f}%" y="{8 + plot - size:.1f}" '
            f'width="{width * 0.92:.3f}%" height="{size:.1f}" fill="{POSITIVE}"/></g>'
        )
    baseline = 8 + plot
    parts.append(
        f'<line x1="{left}%" x2="98%" y1="{baseline}" y2="{baseline}" '
        'stroke="currentColor" stroke-opacity=".4"/>'
    )
    for at in sorted({0, n // 2, n}) if n else []:
        anchor = "start" if at == 0 else "end" if at == n else "middle"
        parts.append(
            f'<text x="{left + at * width:.2f}%" y="{height - 6}" '
            f'text-anchor="{anchor}" opacity=".8">'
            f"{_edge(edges[at], exponents)}</text>"
        )
    return _svg(parts, height, title)


def _edge(value: float, is_exponent: bool) -> str:
    if not is_exponent:
        return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
    # Two digits, and no more noughts than there are: 100%, 16%, 0.063%, 0.0004%.
    return f"{float(f'{10.0 ** (value + 2):.2g}'):.15g}%"


def _count(value: int) -> str:
    return f"{value:,}" if value < 10_000 else f"{value:.0e}".replace("e+0", "e")


def packed(contexts: Sequence[Sequence[int]], *, title: str) -> str:
    """Contexts as bars on top of each other, parted where a document begins.

    contexts: of each, how many tokens its documents have, in reading order.
    """
    parts = []
    for row, lengths in enumerate(contexts):
        total, start = max(1, sum(lengths)), 0
        for number, length in enumerate(lengths):
            left, width = 100 * start / total, 100 * length / total
            # Two tones take turns, so that one document is told from the next.
            parts.append(
                f'<rect x="{left:.2f}%" y="{row * ROW + 3}" width="{width:.2f}%" '
                f'height="16" rx="2" fill="{POSITIVE}" '
                f'opacity="{0.85 if number % 2 == 0 else 0.45}">'
                f"<title>{length}</title></rect>"
            )
            start += length
    return _svg(parts, max(1, len(contexts)) * ROW, title)


def _label(label: str, top: float, width: float = LABELS) -> str:
    """A row's label, which its own small drawing cuts off at `width` percent."""
    return (
        f'<svg x="0" y="{top}" width="{width}%" height="{ROW}">'
        f'<text x="0" y="{ROW // 2}" dy=".35em" style="white-space:pre">'
        f"{html.escape(label)}</text></svg>"
    )


def _short(label: str, most: int = 14) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
