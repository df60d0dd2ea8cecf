"""What a feature is called, wherever a page shows one."""

from tinysae.errors import DamagedError
from tinysae.library.feature_source import FeatureSource
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t


def feature_name(source: FeatureSource, feature: int) -> str:
    """The label of `feature` in the reader's language (untrusted text), else the tokens
    it is strongest on, else its number.

    Raises:
        MissingError, DamagedError: the index cannot be opened.
    """
    try:
        names = cache.label_texts(source, language())
    except DamagedError:
        # Said where the labels are shown; features have their tokens without them.
        names = []
    if feature < len(names) and names[feature]:
        return names[feature]
    tokens = cache.feature_table(source)["top_tokens"].iloc[feature]
    if len(tokens):
        return t("features.label_tokens", what=" · ".join(tokens[:3]))
    return t("features.one", feature=feature)
