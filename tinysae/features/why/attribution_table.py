"""An attribution as a table: names for its parts, a CSV, the Python that makes it."""

import csv
import io
from typing import TYPE_CHECKING

from tinysae.features.why.attribution import Attribution, Part
from tinysae.words import Language, text

if TYPE_CHECKING:
    from pathlib import Path

    from tinysae.model.sources import LoadedModel

COLUMNS = (
    *("view", "part", "layer", "number", "position"),
    *("activation", "direct", "effect"),
)


def part_name(part: Part, language: Language) -> str:
    """What a part is called."""
    return text(f"why.part_{part.kind}", language, layer=part.layer, number=part.number)


def strongest(
    parts: tuple[Part, ...], n: int, *, by_effect: bool = False
) -> tuple[list[Part], list[Part]]:
    """The `n` parts that add or take the most, those that add first; and the others."""

    def size(part: Part) -> float:
        return part.effect if by_effect else part.direct

    order = sorted(parts, key=lambda part: -abs(size(part)))
    return sorted(order[:n], key=lambda part: -size(part)), order[n:]


def attribution_csv(attribution: Attribution) -> str:
    """A row a part; within a view the column "direct" sums to the logit.

    Rounded to what float32 holds. "remainder" is what the parts leave of the logit.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    views = {"model": attribution.components, "features": attribution.features}
    for view, parts in views.items():
        if not parts:
            continue
        for part in parts:
            activation = "" if part.activation is None else f"{part.activation:.7g}"
            writer.writerow(
                [
                    *(view, part.kind, *map(_cell, part[3:6]), activation),
                    *(f"{part.direct:.7g}", f"{part.effect:.7g}"),
                ]
            )
        left = f"{attribution.remainder(parts):.3g}"
        writer.writerow([view, "remainder", "", "", "", "", left, ""])
    return out.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else str(value)


def attribution_code(
    model: "LoadedModel", attribution: Attribution, sae_dir: "Path | None"
) -> str:
    """Prints the same parts; run it from the folder that tinysae is in."""
    with_sae = sae_dir is not None
    load = f"sae = load_sae(Path({str(sae_dir)!r}))\n" if with_sae else ""
    imports = (
        "from pathlib import Path\n\n"
        "from tinysae.features.why.attribution import attribute\n"
        "from tinysae.model.sources import load_model\n"
        "from tinysae.sae.load import load_sae\n"
        if with_sae
        else "from tinysae.features.why.attribution import attribute\n"
        "from tinysae.model.sources import load_model\n"
    )
    tokens = f"{attribution.target}" if attribution.other is None else (
        f"{attribution.target}, {attribution.other}"
    )  # fmt: skip
    return (
        f"{imports}\n"
        f"model = load_model({model.source!r})\n{load}"
        f"ids = {list(attribution.ids)}\n"
        f"found = attribute(model, ids, {tokens}{', sae=sae' if with_sae else ''})\n"
        f"print(found.logit)\n"
        f"for part in found.{'features' if with_sae else 'components'}:\n"
        "    print(part.kind, part.layer, part.number, part.direct, part.effect)\n"
    )


def picture_code(
    model: "LoadedModel", attribution: Attribution, sae_dir: "Path | None"
) -> str:
    """Prints the strongest arcs of the same picture, what is foretold and measured; run
    it from the folder that tinysae is in."""
    return f"""from pathlib import Path

from tinysae.features.why.cuts import lost, without
from tinysae.features.why.picture import Cut, picture_of
from tinysae.model.sources import load_model
from tinysae.sae.load import load_sae

model = load_model({model.source!r})
sae = load_sae(Path({str(sae_dir)!r}))
ids = {list(attribution.ids)}
drawn = picture_of(model, ids, {attribution.target}, {attribution.other}, sae)
cuts = [Cut(arcs=(place,)) for place in range(min(5, len(drawn.arcs)))]
for arc, measured in zip(drawn.arcs, lost(drawn, without(model, drawn, cuts, sae))):
    print(arc.layer, arc.head, arc.source, arc.to, arc.effect, measured)
"""
