"""The list of features and the panel of the chosen one (`browse.js`).

The browser is sent the faces of the features around the chosen one, and asks for others
before they are needed: an arrow key shows the next one at once. The server hears which
one it is as soon as the reader rests on it.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from tinysae.checked_numbers import whole
from tinysae.features.names.notes import Note
from tinysae.render.palette import NEGATIVE, POSITIVE, SEQUENTIAL, step_rules
from tinysae.render.visible import encodable
from tinysae.ui.features.explored import Explored, go, read_theme
from tinysae.ui.features.faces import face
from tinysae.ui.parts.feature_names import feature_name
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, link_parameters, t
from tinysae.ui.shell.page import PAGES, shown_errors
from tinysae.words import Language

# Sent at first: the page of the list that the chosen one is on, and some around it.
BEFORE, AFTER = 8, 24
# What a browser may ask for at once.
MOST = 64
# Faces kept for all readers, as JSON of some kilobytes each.
KEPT_FACES = 5_000
# Button -> the view of Inside that it leads to.
VIEWS = {"off": "whatif", "up": "steer", "why": "why"}
_PANEL, _LIST = "features.panel", "features.list"


def asked() -> tuple[str | None, ...]:
    """What of the address decides what is listed."""
    return tuple(map(st.query_params.get, ("run", "q", "by", "token", "sort", "theme")))


@dataclass(frozen=True, eq=False)
class Listing:
    """The features of the list, in its order.

    Attributes:
        features: their numbers.
        why: what each was found by, in a few characters; or none.
        said: one sentence that tells what is listed.
        opens: the one that is shown where the address names none; by default the first.
        asked: the address that it answers.
    """

    features: Sequence[int]
    why: Sequence[str] = ()
    said: str = ""
    opens: int | None = None
    asked: tuple[str | None, ...] = field(default_factory=asked)
    places: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Where each feature stands."""
        places = {feature: place for place, feature in enumerate(self.features)}
        object.__setattr__(self, "places", places)

    @property
    def first(self) -> int:
        """The feature to begin with."""
        return self.features[0] if self.opens is None else self.opens

    @cached_property
    def print(self) -> int:
        """Changes with what is listed."""
        return zlib.crc32(repr((list(self.features), self.why)).encode())


def show_list() -> None:
    """The cards; what they show comes with the panel's data."""
    _COMPONENT(key=_LIST, data="list")


def show_panel(listing: Listing, feature: int, explored: Explored) -> None:
    """The panel of `feature`; hears what is chosen and pressed in both places.

    Raises:
        DamagedError: the index cannot be read.
    """
    state = st.session_state.get(_PANEL, {})
    stamp = _stamp(state.get("at"))

    def chosen() -> None:
        # A browser's message: only a feature that is there is taken.
        at = st.session_state[_PANEL].get("at")
        if (own := _feature(at, 1, explored)) is not None:
            go(feature=own)

    def acted() -> None:
        act = st.session_state[_PANEL].get("act")
        own = _feature(act, 1, explored)
        if own is not None and act[0] == "keep" and explored.is_final:
            with shown_errors():
                explored.notes.keep(own, bookmarked=act[2] is True)
        if own is not None and act[0] == "theme":
            theme = explored.themes.theme(own)
            if theme is not None:
                read_theme(theme, feature=own)

    result = _COMPONENT(
        key=_PANEL,
        data=_packed(listing, feature, explored, stamp, state.get("want")),
        on_at_change=chosen,
        on_want_change=lambda: None,
        on_act_change=acted,
    )
    act = result.get("act")
    own = _feature(act, 1, explored)
    if own is not None and act[0] in VIEWS:
        path, _ = PAGES["why"]
        asked = {"run": explored.source.id, "feature": str(own), "view": VIEWS[act[0]]}
        st.switch_page(path, query_params={**asked, **link_parameters()})


def _feature(message: Any, at: int, explored: Explored) -> int | None:
    """The feature at a place of a browser's message, which may be forged."""
    if not isinstance(message, list) or len(message) <= at:
        return None
    feature = whole(message[at])
    return feature if feature is not None and explored.has(feature) else None


def _stamp(at: Any) -> int:
    is_message = isinstance(at, list) and at
    return (whole(at[0]) or 0) if is_message else 0


def _wanted(want: Any, list_id: str, listing: Listing, place: int) -> range:
    """The places whose faces are sent."""
    first, last = max(0, place - BEFORE), place + AFTER
    match want:
        case [str(of_list), int(from_), int(to)] if of_list == list_id:
            first, last = max(0, from_), min(to, from_ + MOST)
    return range(first, min(last, len(listing.features)))


def _packed(
    listing: Listing, feature: int, explored: Explored, stamp: int, want: Any
) -> bytes:
    """What `browse.js` takes, as deflated JSON; texts in it are untrusted."""
    place = listing.places.get(feature, -1)
    list_id = _list_id(listing, explored)
    places = _wanted(want, list_id, listing, place)
    features = [listing.features[at] for at in places]
    sent = list(dict.fromkeys([feature, *features]))
    kept: dict[int, Note] = {}
    if explored.is_final:
        with shown_errors():
            kept = explored.kept
    said = {
        "index": _print_of(explored),
        "list": list_id,
        "n": len(listing.features),
        "feature": feature,
        "rank": place,
        "stamp": stamp,
        "ranks": [
            [at, own, listing.why[at] if listing.why else ""]
            for at, own in zip(places, features, strict=True)
        ],
        "kept": {f: [kept[f].bookmarked, kept[f].text] for f in sent if f in kept},
        "words": {name: t(f"features.panel_{name}") for name in _WORDS},
        "actions": [
            [what, t(f"features.act_{what}"), t(f"features.act_{what}_help")]
            for what in ("off", "up", "why", *(["keep"] if explored.is_final else []))
        ],
    }
    drawn = ",".join(_drawn(sent, explored))
    message = f'{_json(said)[:-1]},"faces":[{drawn}]}}'
    return zlib.compress(encodable(message).encode())


def _print_of(explored: Explored) -> int:
    """Changes with the faces of an SAE."""
    key = (cache.source_key(explored.source), language())
    return zlib.crc32(repr(key).encode())


def _list_id(listing: Listing, explored: Explored) -> str:
    return f"{_print_of(explored)}.{listing.print}"


# What the component says, of the words' `features.panel_...`.
_WORDS = (
    *("list", "page_back", "page_on", "previous", "next", "strongest"),
    *("quantiles", "towards", "away", "histogram", "axis", "activation", "note"),
    *("kept", "no_passage", "theme", "no_theme"),
)


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _drawn(features: Iterable[int], explored: Explored) -> Iterator[str]:
    """The faces of `features` as JSON; each is made once for all readers."""
    made = _made(cache.source_key(explored.source), language())
    for feature in features:
        if feature not in made:
            record = explored.index.feature(feature)
            label = explored.labels[feature] if explored.labels else None
            name = feature_name(explored.source, feature)
            if len(made) >= KEPT_FACES:
                made.clear()
            theme = explored.theme_name(feature)
            made[feature] = _json(face(record, name, label, theme))
        yield made[feature]


@st.cache_resource(show_spinner=False, max_entries=4)
def _made(source: tuple[object, ...], language: Language) -> dict[int, str]:  # noqa: ARG001
    return {}


_COLOURS = f".panel{{--towards:{POSITIVE};--away:{NEGATIVE}}}{step_rules(SEQUENTIAL)}"
_FILES = files("tinysae.ui.features")
_COMPONENT: Callable[..., Any] = component(
    "tinysae_features",
    js=(_FILES / "browse.js").read_text(encoding="utf-8"),
    css=(_FILES / "browse.css").read_text(encoding="utf-8") + _COLOURS,
)
