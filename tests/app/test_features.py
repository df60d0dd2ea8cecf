"""The features page over real runs with small SAEs, in both languages."""

import fcntl
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.builders import HOSTILE, finished_run, write_model
from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.features.index.format import FORMAT
from tinysae.features.index.reader import open_index
from tinysae.features.names.showcase import read_showcases
from tinysae.features.passages import others, varied
from tinysae.jobs.lock import LOCK_NAME
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library import feature_source as sources
from tinysae.library.shipped import ASSETS, STORYBOOK_FEATURES_DIR, STORYBOOK_SAE
from tinysae.render.visible import as_words, visible
from tinysae.runs.store import Run, create_run
from tinysae.ui.features import one_feature
from tinysae.ui.features.contexts import N_FIRST
from tinysae.words import LANGUAGES, Language, text

NAME = "<b>mine</b> </script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run; every test gets a copy."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSAE_HOME", str(home))
        finished_run(write_model(home / "model"), name=NAME)
    return home


@pytest.fixture
def run(made: Path, tiny_home: Path) -> Run:
    shutil.copytree(made, tiny_home, dirs_exist_ok=True)
    (folder,) = (tiny_home / "runs").iterdir()
    config = TrainConfig.loads((folder / "config.json").read_text())
    return Run(folder.name, folder, config)


@pytest.fixture
def opened(open_page: OpenPage) -> OpenPage:
    """`opened("ko", run="...", feature="5")`: the page, from such a link."""

    def opened(language: Language = "en", **query: str) -> AppTest:
        return open_page("pages/features.py", language=language, **query)

    return opened


def address(app: AppTest) -> tuple[str | None, str | None]:
    """The run and the feature in the address."""
    values = [app.query_params.get(name) for name in ("run", "feature")]
    run, feature = (v[0] if isinstance(v, list) else v for v in values)
    return run, feature


def literal(markdown: str) -> str:
    """A sentence without what only keeps Markdown from reading it."""
    plain = markdown.replace("\\", "").replace("\u2060", "")
    # Commands are code.
    return plain.replace("“`", "“").replace("`”", "”")


def errors(app: AppTest) -> list[str]:
    assert not app.exception
    return [literal(element.value) for element in app.error]


def sentences(app: AppTest) -> list[str]:
    return [literal(element.value) for element in app.markdown]


def panel(app: AppTest) -> dict[str, Any]:
    """What the list and the panel are sent: `browse.js` draws it."""
    (sent,) = [
        element.proto.bytes
        for element in app.get("bidi_component")
        if element.proto.component_name == "tinysae_features" and element.proto.bytes
    ]
    return json.loads(zlib.decompress(sent))


def listed(app: AppTest) -> list[int]:
    """The features at the beginning of the list."""
    return [feature for _, feature, _ in panel(app)["ranks"]]


def face(app: AppTest) -> dict[str, Any]:
    """Of the feature that is shown."""
    sent = panel(app)
    return next(f for f in sent["faces"] if f["feature"] == sent["feature"])


def open_part(app: AppTest, part: str) -> AppTest:
    """One of the parts below the panel."""
    return app.segmented_control(key="features.part").set_value(part).run()


def press(app: AppTest, key: str, language: Language = "en") -> AppTest:
    label = text(key, language)
    return next(b for b in app.button if b.label == label).click().run()


def subheaders(app: AppTest) -> list[str]:
    return [element.value for element in app.subheader]


@pytest.mark.parametrize("language", LANGUAGES)
def test_before_anyone_trains_the_embedded_sae_is_there(
    opened: OpenPage, language: Language
) -> None:
    app = opened(language)
    assert not errors(app)
    assert app.title[0].value == text("features.title", language)
    choice = app.selectbox(key="shell.sae")
    assert choice.value == STORYBOOK_SAE
    names = ("features.embedded", "features.embedded_post")
    assert choice.options == [text(name, language) for name in names]
    sent = panel(app)
    index = open_index(STORYBOOK_FEATURES_DIR)
    assert sent["n"] == index.info.d_sae
    # The clearest is chosen, and its page of the list comes with it.
    assert sent["feature"] == listed(app)[0]
    assert len(listed(app)) >= 8


def test_a_link_opens_a_feature_of_the_embedded_sae(opened: OpenPage, run: Run) -> None:
    assert run.id != STORYBOOK_SAE
    shown = read_showcases(STORYBOOK_FEATURES_DIR)[0]
    app = opened(run=STORYBOOK_SAE, feature=str(shown.feature))
    assert not errors(app)
    assert face(app)["title"] == text("features.one", "en", feature=shown.feature)
    open_part(app, "figures")
    told = [visible(token) for token in shown.fires_on]
    assert app.dataframe[0].value["token"].tolist()[: len(told)] == told


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_damaged_embedded_index_is_a_sentence(
    opened: OpenPage,
    language: Language,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "STORYBOOK_FEATURES_DIR", tmp_path / "none")
    app = opened(language)
    path = str(ASSETS)
    assert errors(app) == [text("error.features_embedded", language, path=path)]


@pytest.mark.parametrize("query", [{}, {"feature": "1000"}])
def test_damage_that_only_shows_in_reading_says_how_to_mend_it(
    opened: OpenPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, str],
) -> None:
    folder = Path(shutil.copytree(STORYBOOK_FEATURES_DIR, tmp_path / "features"))
    table = folder / "features.parquet"
    data = bytearray(table.read_bytes())
    # Of every page something, but not of the footer, by which the file is opened.
    for place in range(1000, len(data) * 3 // 4, 1000):
        data[place] ^= 0xFF
    table.write_bytes(data)
    monkeypatch.setattr(sources, "STORYBOOK_FEATURES_DIR", folder)
    said = text("error.features_embedded", "en", path=str(ASSETS))
    assert errors(opened(**query)) == [said]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_overview_shows_all_features_of_a_run(
    opened: OpenPage, language: Language, run: Run
) -> None:
    app = opened(language, run=run.id, view="overview")
    assert not errors(app)
    side_by_side, table = (element.value for element in app.dataframe)
    assert table["feature"].tolist() == list(range(40))
    own = open_index(run.features_dir).table()
    assert table["density"].tolist() == own["density"].tolist()
    assert side_by_side.shape == (10, 10)
    assert app.selectbox(key="shell.sae").value == run.id
    names = ("rates", "ten", "all")
    assert subheaders(app) == [text(f"features.{name}", language) for name in names]
    n_dead = own["n_fired"].tolist().count(0)
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures[text("features.n_features", language)] == "40"
    assert figures[text("features.dead_share", language)] == (
        f"{n_dead / 40:.1%} · {n_dead}"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_link_opens_its_feature(
    opened: OpenPage, language: Language, run: Run
) -> None:
    app = opened(language, run=run.id, feature="5")
    assert not errors(app)
    record = open_index(run.features_dir).feature(5)
    shown = face(app)
    assert shown["title"] == text("features.one", language, feature=5)
    pushed = record.promoted["raw"][: len(shown["towards"])]
    assert [x[0] for x in shown["towards"]] == as_words([x.text for x in pushed])
    assert shown["counts"] == record.histogram.counts.tolist()
    open_part(app, "figures")
    figures = [metric.value for metric in app.metric]
    assert figures == [
        f"{record.density:.1%}",
        f"{record.max_act:.2f}",
        f"{record.mean_act:.2f}",
        str(record.n_fired),
    ]
    fires_on = app.dataframe[0].value
    assert fires_on["token"].tolist() == [visible(x.text) for x in record.tokens]
    open_part(app, "contexts")
    contexts = text("features.contexts_how", language)
    assert contexts in [caption.value for caption in app.caption]
    assert not errors(app)


def test_the_final_layer_norm_can_be_put_in(
    opened: OpenPage, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[str]] = []
    monkeypatch.setattr(
        one_feature.svg, "bars", lambda labels, *_, **__: drawn.append(labels) or ""
    )
    app = open_part(opened(run=run.id, feature="5"), "figures")
    app.toggle(key="features.folded").set_value(True).run()
    assert not errors(app)
    record = open_index(run.features_dir).feature(5)
    assert drawn == [
        [
            visible(token.text)
            for token in (*record.promoted[kind], *reversed(record.suppressed[kind]))
        ]
        for kind in ("raw", "folded")
    ]
    assert drawn[0] != drawn[1]


def test_whole_texts_can_be_shown(opened: OpenPage, run: Run) -> None:
    app = open_part(opened(run=run.id, feature="5"), "contexts")
    app.toggle(key="features.whole").set_value(True).run()
    assert not errors(app)


def test_more_contexts_are_shown_when_asked_for(opened: OpenPage, run: Run) -> None:
    app = open_part(opened(run=run.id, feature="1"), "contexts")
    record = open_index(run.features_dir).feature(1)
    first = varied(record, N_FIRST)
    contexts = [*first, *others(record, first)]

    def n_shown() -> int:
        strips = [
            text(
                "features.strip",
                "en",
                rank=rank + 1,
                value=f"{context.activations[context.position]:.2f}",
            )
            for rank, context in enumerate(contexts)
        ]
        captions = {literal(caption.value) for caption in app.caption}
        return len(captions & set(strips))

    assert n_shown() == len(first)
    more = text("features.more", "en", n=len(contexts) - len(first))
    next(b for b in app.button if b.label == more).click().run()
    assert n_shown() == len(contexts)
    app.toggle(key="features.whole").set_value(True).run()
    assert n_shown() == len(contexts)


def test_a_number_and_a_random_feature_are_chosen(opened: OpenPage, run: Run) -> None:
    app = opened(run=run.id, feature="5")
    app.text_input(key="features.search_q").set_value("39").run()
    assert address(app) == (run.id, None)
    assert panel(app)["feature"] == 39
    assert panel(app)["rank"] == 39
    _, feature = address(press(app, "features.random"))
    assert feature is not None
    assert open_index(run.features_dir).feature(int(feature)).n_fired > 0
    assert panel(app)["feature"] == int(feature)
    assert not errors(app)


@pytest.mark.parametrize("sort", ["strongest", "frequent", "rare", "number"])
def test_the_list_is_sorted(opened: OpenPage, run: Run, sort: str) -> None:
    app = opened(run=run.id)
    app.selectbox(key="features.search_sort").set_value(sort).run()
    assert not errors(app)
    assert app.query_params["sort"] in (sort, [sort])
    table = open_index(run.features_dir).table()
    live = table.query("n_fired > 0")
    by = {"strongest": "max_act", "frequent": "density", "rare": "density"}
    wanted = (
        list(range(40))
        if sort == "number"
        else live.sort_values([by[sort]], ascending=sort == "rare", kind="stable").index
    )
    column = by.get(sort, "feature")
    values = table[column].tolist()
    shown = listed(app)
    assert [values[f] for f in shown] == [values[f] for f in wanted[: len(shown)]]


def test_a_dead_feature_says_so(opened: OpenPage, run: Run) -> None:
    app = opened(run=run.id, feature="0")
    assert not errors(app)
    assert face(app)["often"] == text("features.dead_short", "en")
    assert not face(app)["strongest"]
    open_part(app, "figures")
    assert app.info[0].value == text("features.dead", "en")
    assert not app.metric
    # Where it would push is known all the same.
    assert text("features.pushes", "en") in subheaders(app)
    parts = app.segmented_control(key="features.part").options
    assert text("features.part_contexts", "en") not in parts


def test_another_ten_are_another_ten_and_a_seed_brings_them_back(
    opened: OpenPage, run: Run
) -> None:
    app = opened(run=run.id, view="overview")
    first = app.dataframe[0].value.columns.tolist()
    press(app, "features.another_ten")
    assert app.number_input(key="features.seed").value == 1
    assert app.dataframe[0].value.columns.tolist() != first
    app.number_input(key="features.seed").set_value(0).run()
    assert app.dataframe[0].value.columns.tolist() == first
    assert not errors(app)


def test_hostile_names_and_tokens_are_only_text(opened: OpenPage, run: Run) -> None:
    app = opened(run=run.id)
    assert app.selectbox(key="shell.sae").options[0].startswith(NAME)
    index = open_index(run.features_dir)
    texts = {x.text for f in range(40) for x in index.feature(f).tokens}
    assert set(HOSTILE) <= texts
    for feature in range(1, 40):
        app.query_params["feature"] = str(feature)
        app.run()
        assert not errors(app)
        assert face(app)["feature"] == feature
        assert not any(element.allow_html for element in app.markdown)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "feature", ["40", "-1", "junk", "9" * 400, "1e3", "５x", "²", "<b>", "1.0"]
)
def test_an_unknown_feature_is_a_sentence_above_the_first_one(
    opened: OpenPage, language: Language, feature: str, run: Run
) -> None:
    app = opened(language, run=run.id, feature=feature)
    (error,) = errors(app)
    assert error == text(
        "error.features_unknown", language, feature=feature[:40], last=39
    )
    assert panel(app)["feature"] == listed(app)[0]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("../x", "run_id"),
        ("/etc", "run_id"),
        ("<b>x</b>", "run_id"),
        ("20200101-000000-aaaaaa", "unknown_run"),
    ],
)
def test_an_unknown_run_is_a_sentence_and_the_shipped_sae_is_shown(
    opened: OpenPage, language: Language, name: str, key: str
) -> None:
    app = opened(language, run=name, feature="3")
    assert errors(app) == [text(f"error.{key}", language, run=name)]
    # The page goes on with what there is.
    choice = app.selectbox(key="shell.sae")
    assert choice.value == STORYBOOK_SAE
    assert panel(app)["feature"] == 3
    choice.set_value(sources.STORYBOOK_POST).run()
    assert not errors(app)
    assert address(app) == (sources.STORYBOOK_POST, None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_without_features_says_why(
    opened: OpenPage, language: Language, run: Run
) -> None:
    unfinished = create_run(TrainConfig(name="**early**"))
    write_status(unfinished.path, JobStatus("stopped"))
    app = opened(language, run=unfinished.id)
    assert not errors(app)
    why = text("features.why_no_sae", language, name="**early**")
    assert why in sentences(app)
    shutil.copytree(run.sae_dir, unfinished.sae_dir)
    app.run()
    name, run_id = unfinished.config.name, unfinished.id
    why = text("features.why_no_index", language, name=name, id=run_id)
    assert why in sentences(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_in_training_is_waited_for(
    opened: OpenPage, language: Language, run: Run
) -> None:
    working = create_run(TrainConfig(name="busy"))
    write_status(working.path, JobStatus("training"))
    # As its worker would, for as long as it works.
    with (working.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        app = opened(language, run=working.id)
        assert not errors(app)
        assert text("features.why_working", language, name="busy") in sentences(app)
    app = opened(language, run=run.id)
    assert not errors(app)
    assert panel(app)["n"] == 40


def test_an_sae_with_features_comes_before_a_newer_run_without(
    opened: OpenPage,
) -> None:
    newer = create_run(TrainConfig(name="newer"))
    app = opened()
    choice = app.selectbox(key="shell.sae")
    assert choice.value == STORYBOOK_SAE
    names = [option.split(" · ")[0] for option in choice.options]
    embedded = [text(f"features.embedded{end}", "en") for end in ("", "_post")]
    assert names == ["newer", *embedded]
    choice.set_value(newer.id).run()
    assert not errors(app)
    assert not app.get("bidi_component")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "file", ["features.parquet", "contexts.safetensors", "vocabulary.parquet"]
)
def test_a_damaged_index_is_a_sentence(
    opened: OpenPage, language: Language, file: str, run: Run
) -> None:
    path = run.features_dir / file
    path.write_bytes(path.read_bytes()[:100])
    app = opened(language, run=run.id, feature="5")
    assert errors(app) == [text("error.features_damaged", language, file=file)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_index_of_another_sae_or_version_is_a_sentence(
    opened: OpenPage, language: Language, run: Run
) -> None:
    weights = run.sae_dir / "sae_weights.safetensors"
    own = weights.read_bytes()
    weights.write_bytes(own + b" ")
    app = opened(language, run=run.id)
    path = str(run.features_dir)
    assert errors(app) == [text("error.features_of_another_sae", language, path=path)]
    weights.write_bytes(own)
    info = run.features_dir / "index.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "format": 99}))
    app.run()
    assert errors(app) == [
        text("error.features_format", language, found="99", wanted=FORMAT)
    ]


def test_a_rebuilt_index_is_shown(opened: OpenPage, run: Run, made: Path) -> None:
    app = opened(run=run.id)
    shutil.rmtree(run.features_dir)
    app.run()
    assert not app.get("bidi_component")
    shutil.copytree(
        made / "runs" / run.id / "features", run.features_dir, copy_function=shutil.copy
    )
    app.run()
    assert not errors(app)
    assert panel(app)["n"] == 40
