"""Tables as CSV that a spreadsheet opens and does not run."""

import csv
import io
from collections.abc import Iterable, Sequence

from tinysae.render.visible import encodable, harmless

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV injection"); a
# text that begins so has an apostrophe before it, which it shows as text.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | float | bool | None


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """`rows` under `head`; None is an empty cell, numbers stay numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_inert(name) for name in head])
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return out.getvalue()


def _inert(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    shown = harmless(encodable(cell))
    return f"'{shown}" if shown.lstrip(" ").startswith(FORMULA) else shown
