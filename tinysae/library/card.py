"""The model card of an SAE: what it is, how good, how it was made, how to load it.

Pure text, written from the files of a run. Names are somebody's own words: they reach
Markdown escaped and YAML quoted. Of a path on this machine only the last part is told.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinysae.checked_numbers import is_number, whole
from tinysae.config import TrainConfig, is_read
from tinysae.data.texts.local import is_local_path
from tinysae.render.numbers import percent
from tinysae.render.visible import harmless
from tinysae.runs.tracking import tracking_settings
from tinysae.words import Language, text

# How the hub writes them.
LICENCES = ("mit", "apache-2.0", "cc-by-4.0", "cc0-1.0", "other")
TAGS = ("sae-lens", "sparse-autoencoder", "tinysae")
LIBRARY = "saelens"
# Of `eval.json`, with the formula of each: as they are computed in `sae.evaluate`.
FORMULAS: Mapping[str, str] = {
    "ce_loss_score": "(CE_zero − CE_sae) / (CE_zero − CE_clean)",
    "kl_div_score": "(KL_zero − KL_sae) / KL_zero",
    "explained_variance": "1 − E‖x − x̂‖² / Var(x)",
    "mse": "E‖x − x̂‖²",
    "l0": "E[#{i : a_i ≠ 0}]",
    "dead_share": "n_dead / d_sae",
    "dense_share": "n_dense / d_sae",
}
_PATHS = frozenset({"model_name", "dataset_path"})
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$])")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes:
        title: what people call the SAE (untrusted).
        cfg: SAELens's `cfg.json`.
        config: of the run that trained it; None of an SAE from elsewhere.
        figures: of `eval.json`; empty without one.
        made_with: versions and the like (`worker.provenance`); empty if not known.
        repo_id, folder: where it will be on the hub; empty if nowhere.
        dashboard: the name of the file with its features; empty without one.
        dashboard_text: what people call the text that these were collected from
            (untrusted), and
        is_unseen: whether the SAE is known not to have been trained on it.
        licence: one of `LICENCES`.
    """

    title: str
    cfg: Mapping[str, Any]
    config: TrainConfig | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, Any] = field(default_factory=dict)
    repo_id: str = ""
    folder: str = ""
    dashboard: str = ""
    dashboard_text: str = ""
    is_unseen: bool = False
    licence: str = "mit"


def model_card(facts: CardFacts, language: Language = "en") -> str:
    """The card as the hub reads it: YAML, then Markdown in `language`."""
    parts = [
        _front_matter(facts, language),
        f"# {_plain(facts.title)}",
        *_about(facts, language),
        *_figures(facts, language),
        *_loading(facts, language),
        *_settings(facts, language),
        *_made_with(facts, language),
    ]
    return harmless("\n\n".join(parts) + "\n")


def _front_matter(facts: CardFacts, language: Language) -> str:
    import yaml

    data: dict[str, Any] = {
        "license": facts.licence,
        "library_name": LIBRARY,
        "language": language,
        "tags": [*TAGS],
    }
    model = _model_name(facts)
    # The hub refuses a card whose base model cannot be an id of its own.
    if _HUB_ID.fullmatch(model):
        data["base_model"] = model
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---"


def _metadata(facts: CardFacts) -> Mapping[str, Any]:
    metadata = facts.cfg.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _model_name(facts: CardFacts) -> str:
    return without_place(str(_metadata(facts).get("model_name") or ""))


def without_place(value: str) -> str:
    """A model's or a text's name, without where it lies on this machine."""
    return Path(value.replace("\\", "/")).name if is_local_path(value) else value


def _about(facts: CardFacts, language: Language) -> Iterator[str]:
    yield text(
        "card.about",
        language,
        architecture=_plain(facts.cfg.get("architecture")),
        d_sae=_plain(facts.cfg.get("d_sae")),
        d_in=_plain(facts.cfg.get("d_in")),
        hook=_code(_metadata(facts).get("hook_name")),
        model=_plain(_model_name(facts) or "?"),
    )
    if facts.config is not None:
        yield text(
            "card.trained",
            language,
            tokens=f"{facts.config.training_tokens:,}",
            dataset=_plain(without_place(facts.config.dataset_path)),
        )
    if facts.dashboard:
        said = text("card.dashboard", language, file=_code(facts.dashboard))
        key = "unseen" if facts.is_unseen else "unsure"
        of_text = _plain(facts.dashboard_text)
        yield f"{said} {text(f'card.dashboard_{key}', language, text=of_text)}"


def _figures(facts: CardFacts, language: Language) -> Iterator[str]:
    figures = facts.figures
    known = [name for name in FORMULAS if is_number(figures.get(name))]
    if not known:
        return
    yield f"## {text('card.figures', language)}"
    n_tokens = whole(figures.get("n_tokens")) or 0
    yield text("card.figures_how", language, n_tokens=f"{n_tokens:,}")
    rows = [
        (name, _shown(name, float(figures[name])), f"`{FORMULAS[name]}`")
        for name in known
    ]
    heads = ("figure", "value", "formula")
    yield _table([text(f"card.{head}", language) for head in heads], rows)
    losses = ("ce_loss_clean", "ce_loss_sae", "ce_loss_zero")
    if all(is_number(figures.get(name)) for name in losses):
        clean, sae, zero = (f"{figures[name]:.4f}" for name in losses)
        yield text("card.losses", language, clean=clean, sae=sae, zero=zero)


def _shown(name: str, value: float) -> str:
    return percent(value) if name.endswith("_share") else f"{value:.4g}"


def _loading(facts: CardFacts, language: Language) -> Iterator[str]:
    yield f"## {text('card.load', language)}"
    if facts.repo_id:
        call = f'SAE.from_pretrained("{facts.repo_id}", "{facts.folder}")'
    else:
        call = f'SAE.load_from_disk("{facts.folder}")'
    yield f"```python\nfrom sae_lens import SAE\n\nsae = {call}\n```"
    yield text("card.load_how", language)


def _settings(facts: CardFacts, language: Language) -> Iterator[str]:
    if facts.config is None:
        return
    values = facts.config.to_json()
    left_out = {"format", "name", *tracking_settings()}
    rows = [
        (f"`{name}`", _code(without_place(str(value)) if name in _PATHS else value))
        for name, value in values.items()
        if name not in left_out and value != ""
        if is_read(name, values)
    ]
    yield f"## {text('card.settings', language)}"
    yield _table([text("card.setting", language), text("card.value", language)], rows)


def _made_with(facts: CardFacts, language: Language) -> Iterator[str]:
    packages = facts.made_with.get("packages")
    rows = [("tinysae", facts.made_with.get("git"))]
    rows.append(("python", facts.made_with.get("python")))
    rows += packages.items() if isinstance(packages, Mapping) else []
    known = [(_plain(name), _code(value)) for name, value in rows if value]
    if known:
        yield f"## {text('card.made_with', language)}"
        heads = [text("card.package", language), text("card.version", language)]
        yield _table(heads, known)


def _table(heads: list[str], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(value: object) -> str:
    """Text that is no markup and no second line, whatever it says."""
    line = " ".join(str(value).split())[:200]
    return _MARKUP.sub(r"\\\1", line)


def _code(value: object) -> str:
    """The same as code, which knows no escapes: what could end it is left out."""
    line = " ".join(str(value).split())[:200]
    return f"`{re.sub('[`|<>]', '', line) or ' '}`"
