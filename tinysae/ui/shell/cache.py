"""What the pages keep between reruns: models, indexes, SAEs and what is read of them.

Models and what they import (torch, transformer_lens) come in here, inside functions
and in the background, so that a page's first paint waits for none of it.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import streamlit as st

from tinysae.errors import DamagedError, TinysaeError
from tinysae.model.names import shown_name
from tinysae.render.visible import visible
from tinysae.ui.shell.i18n import t

if TYPE_CHECKING:
    import pandas as pd

    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.names.concepts import ConceptReport
    from tinysae.features.names.labels import Label
    from tinysae.features.names.theme_file import Themes
    from tinysae.library.feature_source import FeatureSource
    from tinysae.library.shipped_stories import ShippedStories
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.logprobs import TokenStats
    from tinysae.model.text.vocabulary import Vocabulary
    from tinysae.sae.estimate import Speed
    from tinysae.sae.load import SAE
    from tinysae.words import Language

logger = logging.getLogger(__name__)

_F = TypeVar("_F", bound=Callable[..., Any])

# The imports hold the interpreter's lock for most of their seconds: the first page is
# let out before them.
_HEAD_START_S = 0.5
_POLL_S = 0.2
# How often a page looks by itself. Seldom: after each look Streamlit collects garbage,
# which keeps the warm-up from its imports.
LOOK_EVERY_S = 5.0


def source_key(source: FeatureSource) -> tuple[object, ...]:
    """Changes whenever what is read of `source` would."""
    from tinysae.features.names.label_file import labels_path

    try:
        labels = labels_path(source.index_dir).stat()
        labelled = (labels.st_ino, labels.st_mtime_ns)
    except OSError:
        labelled = None
    places = (str(source.sae_dir), str(source.index_dir))
    return (source.id, source.model, *places, source.stamp(), labelled)


# What is asked of, as a key. By name: a page's first paint waits for no import of it.
_KEYS: dict[str | type, Callable[[Any], object]] = {
    "tinysae.library.feature_source.FeatureSource": source_key,
    "tinysae.model.loaded.LoadedModel": lambda model: model.source,
}


def shared(most: int) -> Callable[[_F], _F]:
    """What a function gives is shared by all sessions, so do not change it: the last
    `most` answers."""
    cached: Any = st.cache_resource
    return cached(show_spinner=False, max_entries=most, hash_funcs=_KEYS)


@dataclass(frozen=True)
class WarmUp:
    """How far the embedded model's warm-up is.

    Attributes:
        stage: what is going on: libraries are imported, weights are read, or neither.
        done: nothing more will happen (also after a failure).
        error: why there is no model; a page that asks for it is told the same.
    """

    stage: Literal["libraries", "model", "ready", "failed"]
    done: bool
    error: TinysaeError | None = None


class _WarmUpThread(threading.Thread):
    """Imports the heavy libraries and loads the embedded model, once a process."""

    def __init__(self) -> None:
        super().__init__(name="tinysae-warm-up", daemon=True)
        self.state = WarmUp("libraries", done=False)
        self.finished = threading.Event()

    def run(self) -> None:
        """Report every stage in `self.state`; never raises."""
        time.sleep(_HEAD_START_S)
        try:
            from tinysae.jobs.private import close_home
            from tinysae.model.libraries import import_libraries
            from tinysae.model.sources import STORYBOOK
            from tinysae.worker.compiled import compile_early

            close_home()
            compile_early()
            import_libraries()
            self.state = WarmUp("model", done=False)
            _load(STORYBOOK)
            self.state = WarmUp("ready", done=True)
        except TinysaeError as error:
            self.state = WarmUp("failed", done=True, error=error)
        except Exception:
            logger.exception("the warm-up failed")
            self.state = WarmUp("failed", done=True, error=TinysaeError("unexpected"))
        finally:
            self.finished.set()


@st.cache_resource(show_spinner=False)
def _warm_up_thread() -> _WarmUpThread:
    thread = _WarmUpThread()
    thread.start()
    return thread


def start_warm_up() -> None:
    """Start the warm-up unless this process already has."""
    _warm_up_thread()


def warm_up_state() -> WarmUp:
    """How far the warm-up is; starts it when nobody has."""
    return _warm_up_thread().state


@st.cache_resource(show_spinner=False)
def stories() -> ShippedStories:
    """The stories that came with tinysae, read once; no model is needed for them.

    Raises:
        DamagedError: they cannot be read.
    """
    from tinysae.library.shipped_stories import read_stories

    return read_stories()


@st.cache_resource(show_spinner=False, max_entries=3)
def _load(source: str) -> LoadedModel:
    from tinysae.model.sources import load_model

    model = load_model(source)
    # Now, while nobody runs it: finding them takes the model's lock.
    model.find_hooks()
    # Streamlit collects garbage after every script run: 433 ms of walking over what
    # torch and transformers made, which is here to stay (a rerun: 600 to 85 ms).
    gc.collect()
    gc.freeze()
    return model


def loaded_model(source: str) -> LoadedModel:
    """The model of `source`, shared by all sessions; the page says why it waits.

    Take `model.lock` (or call the functions of `tinysae.model`, which do) to run it.

    Raises:
        MissingError, DamagedError: from `tinysae.model.sources.load_model`.
    """
    warm_up = _warm_up_thread()
    # Always there: where a cold page alone had it, all that follows was drawn anew at
    # the next run, and what a reader had done to it was gone.
    place = st.empty()
    if not warm_up.finished.is_set():
        with place:
            # Saying the same again lets a reader who has gone on interrupt the wait.
            while not warm_up.finished.wait(_POLL_S):
                # It may have ended since.
                state = warm_up.state
                if not state.done:
                    st.status(t(f"common.warm_up_{state.stage}"), state="running")
            # Takes the message away again.
            st.empty()
    # The name may be a typed path: `st.spinner` reads Markdown, the code span does not.
    name = shown_name(source).replace("`", "")
    with st.spinner(t("common.loading_model", source=f"`{name}`")):
        return _load(source)


@st.cache_resource(show_spinner=False, max_entries=8)
def _speed(source: str, hook_name: str) -> Future[Speed]:
    from tinysae.sae.estimate import measure

    future: Future[Speed] = Future()

    def work() -> None:
        try:
            future.set_result(measure(_load(source), hook_name))
        except Exception as problem:
            future.set_exception(problem)

    threading.Thread(target=work, daemon=True).start()
    return future


def speed(source: str, hook_name: str) -> Speed | None:
    """This machine's speed with the loaded model of `source`, measured once.

    None while it is being measured, which takes two seconds.

    Raises:
        TinysaeError: the model cannot be loaded or has no such hook.
    """
    future = _speed(source, hook_name)
    if not future.done():
        return None
    if future.exception():
        # What was missing may be there the next time.
        _speed.clear(source, hook_name)
    return future.result()


@shared(64)
def text_figures(model: LoadedModel, ids: tuple[int, ...]) -> TokenStats:
    """`token_stats` of `ids`: five stories are on a page that runs at every click.

    Raises:
        InputError: they do not fit the context.
    """
    from tinysae.model.text.logprobs import token_stats

    return token_stats(model, ids)


@shared(8)
def feature_index(source: FeatureSource) -> FeatureIndex:
    """The open index of `source`, until it is built again.

    Raises:
        MissingError, DamagedError: from `FeatureSource.open`.
    """
    return source.open()


@shared(3)
def loaded_sae(source: FeatureSource) -> SAE:
    """The SAE of `source`.

    Raises:
        MissingError, DamagedError: from `tinysae.sae.load.load_sae`.
    """
    return source.load_sae()


@shared(4)
def _vocabulary(index_dir: Path, modified_ns: int) -> Vocabulary:  # noqa: ARG001
    from tinysae.features.index.reader import open_index

    return open_index(index_dir).vocabulary


def vocabulary(index_dir: Path) -> Vocabulary:
    """The tokens of the model that the index in `index_dir` is of.

    Raises:
        MissingError, DamagedError: from `open_index`.
    """
    try:
        modified_ns = index_dir.stat().st_mtime_ns
    except OSError:
        modified_ns = 0
    return _vocabulary(index_dir, modified_ns)


@shared(4)
def feature_table(source: FeatureSource) -> pd.DataFrame:
    """`FeatureIndex.table` with visible spaces.

    Raises:
        MissingError, DamagedError: from `FeatureSource.open` and `FeatureIndex.table`.
    """
    table = feature_index(source).table()
    for name in ("top_tokens", "promoted", "suppressed"):
        table[name] = [[visible(text) for text in texts] for texts in table[name]]
    return table


@shared(4)
def feature_labels(source: FeatureSource) -> list[Label]:
    """A label for each feature of `source`, or none.

    Raises:
        DamagedError: from `read_labels`, or they are of another SAE.
    """
    from tinysae.features.names.label_file import labels_path, read_labels

    labels = read_labels(source.index_dir)
    if labels and len(labels) != feature_index(source).info.d_sae:
        path = labels_path(source.index_dir)
        raise DamagedError("features_damaged", file=path.name)
    return labels


@shared(4)
def feature_themes(source: FeatureSource) -> Themes:
    """The themes of the features of `source`, if they were grouped.

    Raises:
        DamagedError: from `read_themes`, or they are of another SAE.
    """
    from tinysae.features.names.theme_file import THEMES_NAME, read_themes

    themes = read_themes(source.index_dir)
    if themes.of and len(themes.of) != feature_index(source).info.d_sae:
        raise DamagedError("features_damaged", file=THEMES_NAME)
    return themes


@shared(4)
def concept_report(source: FeatureSource) -> ConceptReport | None:
    """Which concepts the features of `source` read, if that was measured.

    Raises:
        DamagedError: from `read_concepts`.
    """
    from tinysae.features.names.concepts import read_concepts

    return read_concepts(source.index_dir)


@shared(8)
def label_texts(source: FeatureSource, language: Language) -> list[str]:
    """The labels of `source` as sentences.

    Raises:
        DamagedError: from `read_labels`.
    """
    from tinysae.features.names.labels import label_sentence

    return [label_sentence(label, language) for label in feature_labels(source)]
