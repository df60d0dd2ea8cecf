"""Features as one HTML file that opens anywhere, offline, and asks nobody for anything.

No script at all; a content security policy that forbids what a hostile token would
need; charts as inline SVG; the colours of the reader's system, light or dark.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tinysae.errors import InputError
from tinysae.features.index.reader import FeatureIndex
from tinysae.features.index.records import Context, FeatureRecord, FiringToken
from tinysae.features.names.labels import Label, label_sentence
from tinysae.features.names.notes import Note
from tinysae.jobs.files import write_text
from tinysae.library.text_read import TextRead, about_index, noted_in
from tinysae.render import svg
from tinysae.render.csp import FILE_POLICY, policy_tag
from tinysae.render.numbers import percent
from tinysae.render.palette import SEQUENTIAL, step_rules
from tinysae.render.visible import harmless, visible
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
    """

    name: str
    language: Language = "en"
    labels: Sequence[Label] = ()
    notes: Mapping[int, Note] | None = None
    text: TextRead | None = None


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
    return _Document(index, chosen, options).html()


def write_export(
    path: Path, index: FeatureIndex, features: Sequence[int], options: ExportOptions
) -> None:
    """`export_html` as the file `path`, which is replaced at once or not at all.

    Raises:
        InputError, DamagedError: from `export_html`.
        OSError: the file cannot be written.
    """
    write_text(path, export_html(index, features, options))


class _Document:
    def __init__(
        self, index: FeatureIndex, features: list[int], options: ExportOptions
    ) -> None:
        self._index, self._features, self._options = index, features, options
        self._notes = options.notes or {}

    def _t(self, key: str, /, **values: object) -> str:
        """A sentence, escaped."""
        return html.escape(text(f"features.{key}", self._options.language, **values))

    def html(self) -> str:
        records = [self._index.feature(feature) for feature in self._features]
        parts = [self._about(), self._contents(records), *map(self._feature, records)]
        return document(self._title(), "".join(parts), self._options.language)

    def _title(self) -> str:
        name = self._options.name
        if len(self._features) == 1:
            return self._t("export_title_one", feature=self._features[0], name=name)
        return self._t("export_title", n=len(self._features), name=name)

    def _about(self) -> str:
        read = self._options.text or noted_in(self._index.info)
        about = about_index(self._index, read, self._options.language)
        return f'<p class="quiet">{html.escape(about)}</p>'

    def _contents(self, records: Sequence[FeatureRecord]) -> str:
        if len(records) == 1:
            return ""
        rows = "".join(
            f'<tr><td><a href="#f{r.feature}">{r.feature}</a></td>'
            f"<td>{percent(r.density)}</td><td>{self._label(r.feature)}</td>"
            f"<td>{_chips(token.text for token in r.tokens[:5])}</td></tr>"
            for r in records
        )
        heads = ("feature", "density", "label", "top_tokens")
        head = "".join(f"<th>{self._t(f'column_{name}')}</th>" for name in heads)
        return (
            '<div class="wide"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _label(self, feature: int) -> str:
        labels = self._options.labels
        if feature >= len(labels):
            return ""
        return html.escape(label_sentence(labels[feature], self._options.language))

    def _feature(self, record: FeatureRecord) -> str:
        parts = [f"<h2>{self._t('one', feature=record.feature)}</h2>"]
        if label := self._label(record.feature):
            parts.append(f'<p class="label">{label}{self._scores(record.feature)}</p>')
        if note := self._notes.get(record.feature, Note()).text:
            parts.append(
                f'<h3>{self._t("note")}</h3><p class="note">{html.escape(note)}</p>'
            )
        if record.is_dead:
            parts.append(f"<p>{self._t('dead')}</p>")
        else:
            parts += [self._figures(record), self._firing(record)]
        parts.append(self._logits(record))
        if not record.is_dead:
            parts += [self._contexts(record), self._related(record)]
        return f'<article id="f{record.feature}">{"".join(parts)}</article>'

    def _scores(self, feature: int) -> str:
        label = self._options.labels[feature]
        if label.f1 is None:
            return ""
        score = self._t(
            "label_score",
            f1=f"{label.f1:.2f}",
            precision=percent(label.precision or 0.0),
            recall=percent(label.recall or 0.0),
        )
        return f' <span class="quiet">{score}</span>'

    def _figures(self, record: FeatureRecord) -> str:
        values = {
            "density": percent(record.density),
            "max_act": f"{record.max_act:.2f}",
            "mean_act": f"{record.mean_act:.2f}",
            "n_fired": f"{record.n_fired:,}",
        }
        given = {
            "n_fired": f"{record.n_fired:,}",
            "n_tokens": f"{self._index.info.n_tokens:,}",
            "bos": visible(self._index.bos_text),
        }
        rows = "".join(
            f"<tr><th>{self._t(name)}</th><td>{value}</td>"
            f'<td class="quiet">{self._t(f"{name}_help", **given)}</td></tr>'
            for name, value in values.items()
        )
        return f'<table class="figures">{rows}</table>'

    def _firing(self, record: FeatureRecord) -> str:
        edges, counts = record.histogram
        chart = svg.histogram(
            edges.tolist(),
            counts.tolist(),
            title=text("features.histogram", self._options.language),
        )
        tables = self._tokens("fires_on", record.tokens)
        if record.precise_tokens:
            tables += self._tokens("precise_tokens", record.precise_tokens)
        return (
            f'<div class="two">{tables}</div>'
            f"<h3>{self._t('histogram')}</h3>"
            f'<p class="quiet">{self._t("histogram_how")}</p>{chart}'
        )

    def _tokens(self, key: str, tokens: Sequence[FiringToken]) -> str:
        rows = "".join(
            f"<tr><td>{_chips([token.text])}</td><td>{percent(token.mass_share)}</td>"
            f"<td>{percent(token.precision)}</td></tr>"
            for token in tokens[:N_TOKENS]
        )
        return (
            f"<div><h3>{self._t(key)}</h3><table><thead><tr>"
            f"<th>{self._t('token')}</th><th>{self._t('mass_share')}</th>"
            f"<th>{self._t('precision')}</th></tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
        )

    def _logits(self, record: FeatureRecord) -> str:
        tokens = [*record.promoted["raw"], *reversed(record.suppressed["raw"])]
        title = text("features.pushes", self._options.language)
        chart = svg.bars(
            [visible(token.text) for token in tokens],
            [token.logit for token in tokens],
            title=title,
        )
        all_of_them = ""
        if "raw" in record.logit_histogram:
            edges, counts = record.logit_histogram["raw"]
            drawn = svg.histogram(
                edges.tolist(),
                counts.tolist(),
                title=text("features.logit_histogram", self._options.language),
            )
            all_of_them = f"<h3>{self._t('logit_histogram')}</h3>{drawn}"
        return (
            f"<h3>{html.escape(title)}</h3>"
            f'<p class="quiet">{self._t("pushes_how")} W_dec @ W_U</p>'
            f"{chart}{all_of_them}"
        )

    def _contexts(self, record: FeatureRecord) -> str:
        strongest = record.contexts[:N_CONTEXTS]
        parts = [
            f"<h3>{self._t('contexts')}</h3>",
            *(self._strip(context, record.max_act) for context in strongest),
        ]
        for group in record.bin_contexts:
            span = self._t(
                "bin",
                low=f"{group.low:.2f}",
                high=f"{group.high:.2f}",
                n=f"{group.n_fired:,}",
            )
            parts.append(f"<h4>{span}</h4>")
            for context in group.contexts[:N_BIN_CONTEXTS]:
                parts.append(self._strip(context, record.max_act))
        return "".join(parts)

    def _strip(self, context: Context, max_act: float) -> str:
        part = context.window(RADIUS)
        label = self._t("activation")
        tokens = []
        for place, (token, value) in enumerate(
            zip(part.texts, part.activations.tolist(), strict=True)
        ):
            shade = f"s{SEQUENTIAL.step(value, 0.0, max_act)}" if value > 0 else ""
            mark = " at" if place == part.position else ""
            title = f' title="{label} {value:.2f}"' if value > 0 else ""
            tokens.append(
                f'<span class="{shade}{mark}"{title}>{html.escape(token)}</span>'
                if shade or mark
                else html.escape(token)
            )
        return f'<p class="strip"><bdi>{"".join(tokens)}</bdi></p>'

    def _related(self, record: FeatureRecord) -> str:
        near = [
            (each.feature, self._t("cosine", value=f"{each.cosine:.2f}"))
            for each in record.neighbours
        ]
        together = [
            (each.feature, self._t("jaccard", value=percent(each.jaccard)))
            for each in record.cofiring
        ]
        return "".join(
            f"<h3>{self._t(key)}</h3><ul>"
            + "".join(
                f"<li>{self._link(feature)} {self._label(feature)} "
                f'<span class="quiet">{value}</span></li>'
                for feature, value in others
            )
            + "</ul>"
            for key, others in (("neighbours", near), ("cofiring", together))
            if others
        )

    def _link(self, feature: int) -> str:
        if feature in self._features:
            return f'<a href="#f{feature}">{feature}</a>'
        return str(feature)


def _chips(texts: Iterable[str]) -> str:
    shown = (html.escape(visible(each)) for each in texts)
    return "".join(f'<bdi class="chip">{each}</bdi>' for each in shown)


def document(title: str, body: str, language: Language) -> str:
    """A file of its own: no script, and nothing that it may ask for; characters that
    act on what shows them are made visible.

    Args:
        title: its name and its first heading, escaped already.
        body: what stands below, as HTML.
        language: that it is in.
    """
    return harmless(
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f"{policy_tag(FILE_POLICY)}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{_css()}</style></head><body><main>"
        f"<h1>{title}</h1>{body}</main></body></html>\n"
    )


def _css() -> str:
    """The style of a saved file."""
    own = files("tinysae.library").joinpath("export.css")
    return own.read_text(encoding="utf-8") + step_rules(SEQUENTIAL)
