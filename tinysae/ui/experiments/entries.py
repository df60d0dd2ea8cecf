"""What the page's tabs call SAEs and their figures."""

import re
from collections.abc import Sequence
from contextlib import suppress

from tinysae.config import settings
from tinysae.errors import TinysaeError
from tinysae.library import all_compared
from tinysae.library.feature_source import FeatureSource, feature_source
from tinysae.library.shipped import STORYBOOK_POST, STORYBOOK_SAE
from tinysae.library.text_read import text_name
from tinysae.model.names import shown_name
from tinysae.render.numbers import NO_FIGURE, signed
from tinysae.render.visible import shortened
from tinysae.runs.compare import (
    COSTS,
    FACTS,
    FIGURES,
    NAMED,
    SPARSITY,
    Compared,
    Value,
    differing,
    value_text,
)
from tinysae.runs.store import Run, open_run
from tinysae.ui.parts.job_words import duration, token_count
from tinysae.ui.shell.cache import shared
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.train.shipped_run import shipped_run

SHARES = frozenset(
    {"ce_loss_score", "explained_variance", "dead_share", "dense_share"}
    | {"kl_div_score", NAMED}
)

# Of the settings that tell an SAE from others of its name.
TOLD_LETTERS = 40
# Settings that have a short name of their own here.
_IN_SHORT = frozenset({"hook_name", "d_sae", "training_tokens"})
# Where SAEs are mostly trained, of which block.
_HOOK = re.compile(
    r"blocks\.(\d{1,4})\.hook_(resid_pre|resid_mid|resid_post|mlp_out|attn_out)"
)


def entry_name(entry: Compared) -> str:
    """What people call it (untrusted text)."""
    if entry.kind != "shipped":
        return entry.name
    is_post = entry.id == STORYBOOK_POST
    return t("features.embedded_post" if is_post else "features.embedded")


def entry_names(entries: Sequence[Compared]) -> dict[str, str]:
    """Id -> what each is called among the others: those of one name by what they were
    told otherwise, too (untrusted text)."""
    apart = told_apart(entries)
    return {
        entry.id: f"{entry_name(entry)} ({told})" if told else entry_name(entry)
        for entry, told in zip(entries, apart, strict=True)
    }


def short_names(entries: Sequence[Compared]) -> dict[str, str]:
    """`entry_names` where there is little room: what they were told alone."""
    apart = told_apart(entries)
    return {
        entry.id: told or entry_name(entry)
        for entry, told in zip(entries, apart, strict=True)
    }


def told_apart(entries: Sequence[Compared]) -> list[str]:
    """For each, the settings that tell it from others of its name; nothing where no
    other has it."""
    alike: dict[str, list[Compared]] = {}
    for entry in entries:
        alike.setdefault(entry_name(entry), []).append(entry)
    found: dict[str, str] = {}
    for own in alike.values():
        apart = differing([entry.settings for entry in own])
        # What a sweep varies says most.
        apart.sort(key=lambda name: name not in (*SPARSITY, "seed"))
        for entry in own:
            told = (_told(n, entry.settings[n]) for n in apart if n in entry.settings)
            found[entry.id] = shortened(", ".join(told), TOLD_LETTERS)
    return [found[entry.id] for entry in entries]


def _told(name: str, value: Value) -> str:
    if name == "hook_name" and isinstance(value, str):
        return place_text(value)
    return f"{name} {value_text(value)}"


def figure_text(name: str, value: Value) -> str:
    """A figure or a setting as people read it; a dash for none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value_text(value) or NO_FIGURE
    if name in SHARES:
        return f"{signed(100 * value, 1)}%"
    if name == "l0":
        return f"{value:,.1f}"
    if name == "mse":
        return f"{float(f'{value:.3g}'):,g}"
    if name == "training_tokens":
        return token_count(int(value))
    return duration(value) if name == "seconds" else value_text(value)


def column_name(name: str) -> str:
    """What stands over a column of a table: a figure's, a fact's or a setting's."""
    if name in (*FACTS, *FIGURES, NAMED, *COSTS):
        return t(f"experiments.figure_{name}")
    return settings()[name].label(language())


def column_heading(name: str) -> str:
    """`column_name` where there is little room: without a setting's name in code."""
    if name in _IN_SHORT:
        return t(f"experiments.figure_{name}")
    return column_name(name).removesuffix(f" ({name})")


def run_of(entry: Compared) -> Run | None:
    """The run that it is, one that came along too; None of one that was not trained
    here, or has gone meanwhile."""
    if entry.id == STORYBOOK_SAE:
        return shipped_run()
    with suppress(TinysaeError):
        return open_run(entry.id) if entry.kind == "run" else None
    return None


def setting_text(name: str, value: str) -> str:
    """A setting that is no number, as people call it (untrusted text)."""
    if name == "model_name":
        return shown_name(value)
    if name == "dataset_path":
        # Of a name of the hub's, the owner says the least.
        return text_name(value, language()).rpartition("/")[2]
    return place_text(value) if name == "hook_name" else value


def place_text(hook: str) -> str:
    """A place in a model in words; one that is seldom read, as it is called there."""
    found = _HOOK.fullmatch(hook)
    return t(f"experiments.place_{found[2]}", n=int(found[1]) + 1) if found else hook


def source_of(entry: Compared) -> FeatureSource | None:
    """Its features; None where it has gone meanwhile."""
    with suppress(TinysaeError):
        return feature_source(entry.id)
    return None


@shared(512)
def share_named(source: FeatureSource) -> float | None:
    """The same as the library's, read once for all sessions."""
    return all_compared.share_named(source)
