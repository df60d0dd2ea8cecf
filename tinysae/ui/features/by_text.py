"""A text that was searched for: its tokens, and the features that light up on them."""

from tinysae.features.index.search import TextSearch
from tinysae.render.visible import as_word
from tinysae.ui.features import cached
from tinysae.ui.features.browse import Listing
from tinysae.ui.features.explored import Explored
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t


def by_text(explored: Explored, query: str) -> Listing:
    """The features that are strongest on `query`, else on the token that is clicked.

    Raises:
        InputError: it does not fit the model.
        MissingError, DamagedError: the model or the SAE cannot be read.
    """
    model = cache.loaded_model(explored.index.info.model)
    found = cached.text_search(explored.source, model, query)
    at = token_strip(
        _searched_tokens(found),
        key="features.searched",
        scale="sequential",
        low=0.0,
        high=round(max((hit.max_act for hit in found.hits), default=1.0), 1),
        legend=None,
        selectable=True,
    )
    hits = found.hits
    if at is not None:
        hits = [hit for hit in hits if hit.activations[at] > 0]
        hits.sort(key=lambda hit: -hit.activations[at])
    places = [hit.position if at is None else at for hit in hits]
    said = t(
        "features.search_text_said",
        n=f"{found.n_features:,}",
        shown=f"{len(found.hits):,}",
        n_tokens=f"{len(found.tokens):,}",
    )
    why = [
        f"{hit.activations[place]:.2f} · {as_word(found.words[place])}"
        for hit, place in zip(hits, places, strict=True)
    ]
    return Listing([hit.feature for hit in hits], why, said)


def _searched_tokens(found: TextSearch) -> list[StripToken]:
    """The text's tokens in the colour of what is strongest on each."""
    n_shown = 5
    strip = []
    for place, text in enumerate(found.tokens):
        here = sorted(
            (hit for hit in found.hits if hit.activations[place] > 0),
            key=lambda hit: -hit.activations[place],
        )
        details = [
            (t("features.one", feature=hit.feature), f"{hit.activations[place]:.2f}")
            for hit in here[:n_shown]
        ]
        value = float(here[0].activations[place]) if here else None
        strip.append(StripToken(text, value, tuple(details)))
    return strip
