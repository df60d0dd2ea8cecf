"""A heatmap as a file: CSV for a spreadsheet, or HTML that opens anywhere, offline.

The HTML has no script, a policy that forbids whatever a hostile token would need, and
the colours of the reader's system, light or dark.
"""

import csv
import html
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinysae.render.csp import FILE_POLICY, policy_tag
from tinysae.render.numbers import percent, signed
from tinysae.render.palette import BACKGROUND, SEQUENTIAL, step_rules
from tinysae.render.visible import harmless
from tinysae.words import Language, text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.logprobs import TokenStats

COLUMNS = (
    *("position", "token_id", "token", "log_prob", "prob", "rank"),
    *("entropy_nats", "surprise_bits"),
)


def stats_csv(model: "LoadedModel", stats: "TokenStats") -> str:
    """A row a token; a rank counts from 0, as TransformerLens's."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    texts = model.token_texts(stats.ids.tolist())
    for i, token in enumerate(texts):
        writer.writerow(
            [
                *(i, int(stats.ids[i]), token, f"{stats.log_prob[i]:.6f}"),
                *(f"{stats.prob[i]:.6g}", int(stats.rank[i])),
                *(f"{stats.entropy[i]:.6f}", f"{stats.surprise[i]:.6f}"),
            ]
        )
    return harmless(out.getvalue())


def stats_html(
    model: "LoadedModel",
    stats: "TokenStats",
    steps: Sequence[int],
    legend: str,
    language: Language,
) -> str:
    """One self-contained document.

    Args:
        model: whose tokens they are.
        stats: their figures.
        steps: the place of each token's colour in the sequential scale.
        legend: what the colours say.
        language: of the document.
    """
    pieces = model.token_texts(stats.ids.tolist())
    spans = []
    for i, (piece, step) in enumerate(zip(pieces, steps, strict=True)):
        best = ", ".join(
            f"{model.token_text(int(token_id))} {percent(math.exp(log_prob))}"
            for token_id, log_prob in zip(
                stats.top_ids[i], stats.top_log_probs[i], strict=True
            )
        )
        note = text(
            "playground.file_note",
            language,
            log_prob=signed(float(stats.log_prob[i])),
            prob=percent(float(stats.prob[i])),
            rank=f"{int(stats.rank[i]) + 1:,}",
            best=best,
        )
        title = html.escape(note)
        shown = html.escape(piece) or "·"
        spans.append(f'<span class="s{step}" title="{title}">{shown}</span>')
    figures = text(
        "playground.figures",
        language,
        n=f"{len(stats):,}",
        loss=signed(stats.mean_loss, 3),
        perplexity=f"{stats.perplexity:,.2f}",
    )
    heading = html.escape(text("playground.heatmap", language))
    return harmless(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"{policy_tag(FILE_POLICY)}"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{heading}</title><style>:root{{color-scheme:light dark;"
        f"background:light-dark({BACKGROUND['light']},{BACKGROUND['dark']})}}"
        "body{font:1.05rem/2 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
        "padding:0 1rem}.text{white-space:pre-wrap;overflow-wrap:anywhere}"
        f"{step_rules(SEQUENTIAL)}</style></head><body><h1>{heading}</h1><p>{html.escape(legend)}</p>"
        f'<p>{html.escape(figures)}</p><div class="text" dir="auto">'
        f"{''.join(spans)}</div></body></html>\n"
    )
