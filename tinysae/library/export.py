"""Features as one HTML file: `export.html`, filled in (`render.html_file`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from tinysae.errors import InputError
from tinysae.features.index.reader import FeatureIndex
from tinysae.features.index.records import Context
from tinysae.features.names.labels import Label, label_scores, namer
from tinysae.features.names.notes import Note
from tinysae.features.names.theme_file import Themes, theme_name
from tinysae.features.passages import varied
from tinysae.jobs.files import write_text
from tinysae.library.text_read import TextRead, about_index, noted_in
from tinysae.render.html_file import html_file, strip
from tinysae.render.visible import visible
from tinysae.words import Language, text

# A feature takes 60 KB: 300 are what a browser opens at once without thinking.
MAX_FEATURES = 300
N_CONTEXTS, N_BIN_CONTEXTS, N_TOKENS = 10, 2, 10
RADIUS = 20


@dataclass(frozen=True)
class ExportOptions:
    """What a file says besides the figures.

    name: whose features they are; untrusted, as are labels and notes.
    text: what the index was made of; None: what it says of itself.
    themes: what the features are grouped by.
    """

    name: str
    language: Language = "en"
    labels: Sequence[Label] = ()
    notes: Mapping[int, Note] | None = None
    text: TextRead | None = None
    themes: Themes = Themes()


def export_html(
    index: FeatureIndex, features: Sequence[int], options: ExportOptions
) -> str:
    """One self-contained HTML document about `features`, in their order.

    Raises:
        InputError: no feature, too many, or one that is not there.
        DamagedError: what was read cannot be right.
    """
    chosen = list(dict.fromkeys(features))
    if not chosen:
        raise InputError("export_nothing")
    if len(chosen) > MAX_FEATURES:
        raise InputError("export_too_many", n=f"{len(chosen):,}", limit=MAX_FEATURES)
    language, labels = options.language, options.labels

    def theme_of(feature: int) -> str:
        theme = options.themes.theme(feature)
        return "" if theme is None else theme_name(theme, language)

    activation = text("features.activation", language)

    def part_of(context: Context, max_act: float) -> Markup:
        part = context.window(RADIUS)
        values = [value if value > 0 else None for value in part.activations.tolist()]
        said = f"{activation} {{:.2f}}"
        return strip(part.texts, values, max_act, said, part.position)

    how_many = "export_title_one" if len(chosen) == 1 else "export_title"
    said = {"feature": chosen[0], "n": len(chosen), "name": options.name}
    return html_file(
        "library/export.html",
        text(f"features.{how_many}", language, **said),
        language,
        about=about_index(index, options.text or noted_in(index.info), language),
        features=set(chosen),
        records=[index.feature(feature) for feature in chosen],
        labels=labels,
        named=namer(labels, language),
        scores=lambda label: label_scores(label, language),
        notes=options.notes or {},
        theme_of=theme_of,
        n_read=index.info.n_tokens,
        bos=visible(index.bos_text),
        part_of=part_of,
        varied=varied,
        n_contexts=N_CONTEXTS,
        n_bin_contexts=N_BIN_CONTEXTS,
        n_tokens=N_TOKENS,
    )


def write_export(
    path: Path, index: FeatureIndex, features: Sequence[int], options: ExportOptions
) -> None:
    """`export_html` as the file `path`, which is replaced at once or not at all.

    Raises:
        InputError, DamagedError: from `export_html`.
        OSError: the file cannot be written.
    """
    write_text(path, export_html(index, features, options))
