"""Everything the pages keep between reruns: the only module with `st.cache_*`.

Models and what they import (torch, transformer_lens) come in here, inside functions
and in the background, so that a page's first paint waits for none of it.
"""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from tinysae.errors import DamagedError, TinysaeError
from tinysae.render.visible import visible
from tinysae.ui.shell.i18n import t

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from tinysae.config import TextChoice
    from tinysae.data.preview import Preview
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.features.index.search import TextActivations, TextSearch
    from tinysae.features.index.vocabulary import Vocabulary
    from tinysae.features.names.concepts import ConceptReport
    from tinysae.features.names.labels import Label
    from tinysae.lessons.answers import Checked
    from tinysae.lessons.calls.results import Result, Stage
    from tinysae.lessons.lesson import Step
    from tinysae.library.feature_source import FeatureSource
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.estimate import Speed
    from tinysae.sae.load import SAE
    from tinysae.words import Language

logger = logging.getLogger(__name__)

# The imports hold the interpreter's lock for most of their seconds: the first page is
# let out before them.
_HEAD_START_S = 0.5
# How often a page that waits for the warm-up looks whether it is over.
_POLL_S = 0.2
# A file or dataset may have changed since it was looked at.
PREVIEW_FOR_S = 60


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
            from tinysae.model.libraries import import_libraries
            from tinysae.model.sources import STORYBOOK

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


@st.cache_resource(show_spinner=False, max_entries=3)
def _load(source: str) -> LoadedModel:
    from tinysae.model.sources import load_model

    model = load_model(source)
    # Now, while nobody runs it: finding them takes the model's lock.
    model.find_hooks()
    # Streamlit collects garbage after every script run, and a full collection walks
    # every object torch and transformers made: 433 ms. They are here to stay, so the
    # collector need not look at them again (a rerun went from 600 to 85 ms).
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
    if not warm_up.finished.is_set():
        with st.empty():
            # Saying the same again costs little, and it is when Streamlit lets a
            # reader who has gone on to another page interrupt the wait.
            while not warm_up.finished.wait(_POLL_S):
                # It may have ended since.
                state = warm_up.state
                if not state.done:
                    st.status(t(f"common.warm_up_{state.stage}"), state="running")
            # Takes the message away again.
            st.empty()
    # The name may be a typed path: `st.spinner` reads Markdown, the code span does not.
    with st.spinner(t("common.loading_model", source=f"`{source.replace('`', '')}`")):
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


@st.cache_data(show_spinner=False, max_entries=32, ttl=PREVIEW_FOR_S)
def _text_preview(source: str, choice: TextChoice, context_size: int) -> Any:
    from tinysae.data.preview import preview

    return preview(_load(source), choice, context_size)


def text_preview(source: str, choice: TextChoice, context_size: int) -> Preview:
    """The beginning of a text, as the model of `source` reads it.

    Raises:
        TinysaeError: from `loaded_model` and `data.preview.preview`.
    """
    loaded_model(source)
    return _text_preview(source, choice, context_size)


@st.cache_resource(show_spinner=False, max_entries=8)
def _feature_index(index_dir: str, stamp: object, _source: FeatureSource) -> Any:  # noqa: ARG001
    return _source.open()


def feature_index(source: FeatureSource) -> FeatureIndex:
    """The open index of `source`, shared by all sessions until it is built again.

    Raises:
        MissingError, DamagedError: from `FeatureSource.open`.
    """
    return _feature_index(str(source.index_dir), source.stamp(), source)


@st.cache_resource(show_spinner=False, max_entries=4)
def _vocabulary(index_dir: str, modified_ns: int) -> Any:  # noqa: ARG001
    from tinysae.features.index.reader import open_index

    return open_index(Path(index_dir)).vocabulary


def vocabulary(index_dir: Path) -> Vocabulary:
    """The tokens of the model that the index in `index_dir` is of.

    Raises:
        MissingError, DamagedError: from `open_index`.
    """
    try:
        modified_ns = index_dir.stat().st_mtime_ns
    except OSError:
        modified_ns = 0
    return _vocabulary(str(index_dir), modified_ns)


@st.cache_resource(show_spinner=False, max_entries=4)
def _feature_table(index_dir: str, stamp: object, _index: FeatureIndex) -> Any:  # noqa: ARG001
    table = _index.table()
    for name in ("top_tokens", "promoted", "suppressed"):
        table[name] = [[visible(text) for text in texts] for texts in table[name]]
    return table


def feature_table(source: FeatureSource) -> pd.DataFrame:
    """`FeatureIndex.table` with visible spaces; shared, so do not change it.

    Raises:
        MissingError, DamagedError: from `FeatureSource.open` and `FeatureIndex.table`.
    """
    index = feature_index(source)
    return _feature_table(str(source.index_dir), source.stamp(), index)


@st.cache_resource(show_spinner=False, max_entries=4)
def _feature_labels(index_dir: str, stamp: object, _source: FeatureSource) -> Any:  # noqa: ARG001
    from tinysae.features.names.labels import LABELS_NAME, read_labels

    labels = read_labels(_source.index_dir)
    if labels and len(labels) != feature_index(_source).info.d_sae:
        raise DamagedError("features_damaged", file=LABELS_NAME)
    return labels


def feature_labels(source: FeatureSource) -> list[Label]:
    """A label for each feature of `source`, or none; shared, so do not change it.

    Raises:
        DamagedError: from `read_labels`, or they are of another SAE.
    """
    return _feature_labels(str(source.index_dir), _labels_stamp(source), source)


@st.cache_resource(show_spinner=False, max_entries=4)
def _concept_report(index_dir: str, stamp: object, _source: FeatureSource) -> Any:  # noqa: ARG001
    from tinysae.features.names.concepts import read_concepts

    return read_concepts(_source.index_dir)


def concept_report(source: FeatureSource) -> ConceptReport | None:
    """Which concepts the features of `source` read, if that was measured.

    Raises:
        DamagedError: from `read_concepts`.
    """
    return _concept_report(str(source.index_dir), _labels_stamp(source), source)


def _labels_stamp(source: FeatureSource) -> tuple[int, int]:
    """Changes whenever the labels are written again; (0, 0) when there are none."""
    from tinysae.features.names.labels import LABELS_NAME

    try:
        stat = (source.index_dir / LABELS_NAME).stat()
    except OSError:
        return (0, 0)
    return (stat.st_ino, stat.st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=8)
def _label_texts(
    index_dir: str,  # noqa: ARG001
    stamp: object,  # noqa: ARG001
    language: Language,
    _source: FeatureSource,
) -> Any:
    from tinysae.features.names.labels import label_sentence

    return [label_sentence(label, language) for label in feature_labels(_source)]


def label_texts(source: FeatureSource, language: Language) -> list[str]:
    """The labels of `source` as sentences; shared, so do not change it.

    Raises:
        DamagedError: from `read_labels`.
    """
    stamp = _labels_stamp(source)
    return _label_texts(str(source.index_dir), stamp, language, source)


@st.cache_resource(show_spinner=False, max_entries=4)
def _feature_map(
    index_dir: str,  # noqa: ARG001
    stamp: object,  # noqa: ARG001
    language: Language,
    _source: FeatureSource,
) -> Any:
    from tinysae.ui.parts.charts import feature_map

    table = feature_table(_source)
    try:
        labels = label_texts(_source, language)
    except DamagedError:
        # Said where the labels are shown; the map is there without them.
        labels = []
    return feature_map(
        feature_index(_source).layout(),
        table["density"].to_numpy(),
        labels,
        [tokens[0] if tokens else "" for tokens in table["top_tokens"]],
    )


def feature_map(source: FeatureSource, language: Language) -> Figure:
    """The map of the features of `source`; shared, so do not change it.

    Raises:
        MissingError, DamagedError: from `FeatureSource.open` and `FeatureIndex.layout`.
    """
    stamp = (source.stamp(), _labels_stamp(source))
    return _feature_map(str(source.index_dir), stamp, language, source)


@st.cache_resource(show_spinner=False, max_entries=8)
def _text_search(
    sae_dir: str,  # noqa: ARG001
    stamp: object,  # noqa: ARG001
    model: str,
    text: str,
    _source: FeatureSource,
) -> Any:
    from tinysae.features.index.search import by_text

    return by_text(loaded_sae(_source), _load(model), text)


def text_search(source: FeatureSource, model: str, text: str) -> TextSearch:
    """What fires on `text`; shared, so do not change it.

    Raises:
        InputError, MissingError, DamagedError: from `loaded_model`, `loaded_sae` and
            `features.index.search.by_text`.
    """
    loaded_model(model)
    return _text_search(str(source.sae_dir), source.stamp(), model, text, source)


@st.cache_resource(show_spinner=False, max_entries=4)
def _text_activations(
    sae_dir: str,  # noqa: ARG001
    stamp: object,  # noqa: ARG001
    model: str,
    text: str,
    _source: FeatureSource,
) -> Any:
    from tinysae.features.index.search import feature_activations

    return feature_activations(loaded_sae(_source), _load(model), text)


def text_activations(source: FeatureSource, model: str, text: str) -> TextActivations:
    """Every feature on `text`, so that stepping from one to the next runs nothing;
    shared, so do not change it.

    Raises:
        InputError, MissingError, DamagedError: as `text_search`.
    """
    loaded_model(model)
    return _text_activations(str(source.sae_dir), source.stamp(), model, text, source)


@st.cache_resource(show_spinner=False, max_entries=3)
def _loaded_sae(sae_dir: str, stamp: object, _source: FeatureSource) -> Any:  # noqa: ARG001
    return _source.load_sae()


def loaded_sae(source: FeatureSource) -> SAE:
    """The SAE of `source`, shared by all sessions until its index is built again.

    Raises:
        MissingError, DamagedError: from `tinysae.sae.load.load_sae`.
    """
    return _loaded_sae(str(source.sae_dir), source.stamp(), source)


@st.cache_resource(show_spinner=False, max_entries=256)
def _lesson_result(asked: str, stamp: object, _stage: Stage) -> Any:  # noqa: ARG001
    from tinysae.lessons.calls.registry import asked as ask

    call, arguments = json.loads(asked)
    return ask(call, _stage, arguments)


def lesson_result(stage: Stage, call: str, values: dict[str, Any]) -> Result:
    """What a lesson's call finds for `values`, asked once; shared, so do not change it.

    Raises:
        TinysaeError: it cannot be asked of this model, SAE or run.
    """
    asked = json.dumps([call, values], sort_keys=True)
    return _lesson_result(asked, _stage_stamp(stage), stage)


@st.cache_resource(show_spinner=False)
def _lesson_checks() -> dict[Any, Checked]:
    return {}


def kept_check(stage: Stage, step: Step) -> Checked | None:
    """What came of the step's claim, if anybody has had it checked on that model, SAE
    or run since the server started."""
    return _lesson_checks().get(_check_key(stage, step))


def keep_check(stage: Stage, step: Step, found: Checked) -> None:
    """For everybody who comes to the step after this."""
    _lesson_checks()[_check_key(stage, step)] = found


def _check_key(stage: Stage, step: Step) -> tuple[object, ...]:
    return (_stage_stamp(stage)[:2], step.call, str(step.claim))


def _stage_stamp(stage: Stage) -> tuple[object, ...]:
    """Changes whenever another model, SAE or run would answer, or a run went on."""
    source, run = stage.source, stage.run
    points = 0
    if run is not None and run.metrics_path.is_file():
        points = run.metrics_path.stat().st_size
    return (
        stage.model.source,
        None if source is None else (source.id, source.stamp()),
        None if run is None else (run.id, points),
    )
