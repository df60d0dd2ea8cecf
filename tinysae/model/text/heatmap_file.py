"""A heatmap as a file: CSV for a spreadsheet, or HTML (`heatmap.html`, filled in)."""

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinysae.render.html_file import html_file
from tinysae.render.numbers import percent, signed
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

    def note(i: int) -> str:
        best = ", ".join(
            f"{model.token_text(int(token_id))} {percent(math.exp(log_prob))}"
            for token_id, log_prob in zip(
                stats.top_ids[i], stats.top_log_probs[i], strict=True
            )
        )
        return text(
            "playground.file_note",
            language,
            log_prob=signed(float(stats.log_prob[i])),
            prob=percent(float(stats.prob[i])),
            rank=f"{int(stats.rank[i]) + 1:,}",
            best=best,
        )

    pieces = model.token_texts(stats.ids.tolist())
    return html_file(
        "model/text/heatmap.html",
        text("playground.heatmap", language),
        language,
        legend=legend,
        n=len(stats),
        loss=signed(stats.mean_loss, 3),
        perplexity=stats.perplexity,
        tokens=[
            (piece, step, note(i))
            for i, (piece, step) in enumerate(zip(pieces, steps, strict=True))
        ],
    )
