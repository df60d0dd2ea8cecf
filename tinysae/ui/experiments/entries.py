"""What the page's tabs call SAEs and their figures."""

from contextlib import suppress

from tinysae.errors import TinysaeError
from tinysae.library.feature_source import FeatureSource, feature_source
from tinysae.library.shipped import STORYBOOK_POST
from tinysae.library.text_read import text_name
from tinysae.model.names import shown_name
from tinysae.render.numbers import NO_FIGURE, signed
from tinysae.runs.compare import Compared, Ground, Value, value_text
from tinysae.ui.parts.job_words import duration
from tinysae.ui.shell.cache import feature_labels, shared
from tinysae.ui.shell.i18n import language, t

# The share of features with a name is no figure of an evaluation: it is counted here.
NAMED = "named_share"
SHARES = frozenset(
    {"ce_loss_score", "explained_variance", "dead_share", "dense_share"}
    | {"kl_div_score", NAMED}
)


def entry_name(entry: Compared) -> str:
    """What people call it (untrusted text)."""
    if entry.kind != "shipped":
        return entry.name
    is_post = entry.id == STORYBOOK_POST
    return t("features.embedded_post" if is_post else "features.embedded")


def figure_text(name: str, value: Value) -> str:
    """A figure or a setting as people read it; a dash for none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value_text(value) or NO_FIGURE
    if name in SHARES:
        return f"{signed(100 * value, 1)}%"
    if name == "l0":
        return f"{value:,.1f}"
    return duration(value) if name == "seconds" else value_text(value)


def place_text(ground: Ground) -> str:
    """What was measured on, for who knows what a hook is (untrusted text)."""
    text = text_name(ground.text.path, language())
    return f"{shown_name(ground.model_name)} · {ground.hook_name} · {text}"


def source_of(entry: Compared) -> FeatureSource | None:
    """Its features; None where it has gone meanwhile."""
    with suppress(TinysaeError):
        return feature_source(entry.id)
    return None


def named_share(entry: Compared) -> float | None:
    """The share of its features with a name that fits; None where none were named."""
    source = source_of(entry)
    if source is None or source.readiness != "ready":
        return None
    with suppress(TinysaeError):
        return _named_share(source)
    return None


@shared(512)
def _named_share(source: FeatureSource) -> float | None:
    from tinysae.features.names.labels import sureness

    labels = feature_labels(source)
    if not labels:
        return None
    return sum(sureness(label) > 0 for label in labels) / len(labels)
