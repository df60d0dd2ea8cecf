"""What the features page keeps between reruns, beside `ui.shell.cache`: the map, and
texts looked at through an SAE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysae.errors import DamagedError
from tinysae.library.feature_source import FeatureSource
from tinysae.ui.shell import cache

if TYPE_CHECKING:
    from tinysae.features.index.search import TextActivations, TextSearch
    from tinysae.model.sources import LoadedModel
    from tinysae.ui.parts.charts import FeaturePoints
    from tinysae.words import Language


@cache.shared(4)
def feature_points(source: FeatureSource, language: Language) -> FeaturePoints:
    """The map of the features of `source`.

    Raises:
        MissingError, DamagedError: from `FeatureSource.open` and `FeatureIndex.layout`.
    """
    from tinysae.features.names.theme_file import Themes, theme_name
    from tinysae.ui.parts.charts import feature_points

    table = cache.feature_table(source)
    try:
        labels = cache.label_texts(source, language)
    except DamagedError:
        # Said where they are shown; the map is there without them.
        labels = []
    try:
        themes = cache.feature_themes(source)
    except DamagedError:
        themes = Themes()
    return feature_points(
        cache.feature_index(source).layout(),
        table["density"].to_numpy(),
        labels,
        [tokens[0] if tokens else "" for tokens in table["top_tokens"]],
        themes.of,
        [theme_name(theme, language) for theme in themes.themes],
    )


@cache.shared(8)
def text_search(source: FeatureSource, model: LoadedModel, text: str) -> TextSearch:
    """What fires on `text`.

    Raises:
        InputError, MissingError, DamagedError: from `loaded_sae` and
            `features.index.search.by_text`.
    """
    from tinysae.features.index.search import by_text

    return by_text(cache.loaded_sae(source), model, text)


@cache.shared(4)
def text_activations(
    source: FeatureSource, model: LoadedModel, text: str
) -> TextActivations:
    """Every feature on `text`, so that stepping from one to the next runs nothing.

    Raises:
        InputError, MissingError, DamagedError: as `text_search`.
    """
    from tinysae.features.index.search import feature_activations

    return feature_activations(cache.loaded_sae(source), model, text)
