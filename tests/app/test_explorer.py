"""Searching, keeping and trying on the features page, over a run with labels."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_features import (
    address,
    errors,
    face,
    listed,
    literal,
    open_part,
    panel,
    sentences,
)
from tests.builders import HOSTILE, finished_run, write_model, write_sae
from tests.conftest import OpenPage
from tinysae.config import TrainConfig
from tinysae.features.index.reader import FeatureIndex, open_index
from tinysae.features.names.concepts import (
    ConceptReport,
    ConceptResult,
    Detector,
    FeatureAt,
    Score,
    write_concepts,
)
from tinysae.features.names.label_file import LABELS_NAME, write_labels
from tinysae.features.names.labels import Label, concept_name
from tinysae.features.names.notes import Note, Notes
from tinysae.features.names.theme_file import (
    THEMES_NAME,
    Theme,
    Themes,
    theme_name,
    write_themes,
)
from tinysae.jobs import launch
from tinysae.library.saved import add_sae, saes_dir, saved_saes
from tinysae.library.saved_text import text_of
from tinysae.render.numbers import signed
from tinysae.render.visible import visible
from tinysae.runs.store import Run
from tinysae.words import LANGUAGES, Language, text

# For any sentence: its values, each as it stands in it.
ANY = {
    name: f"{{{name}}}"
    for name in ("feature", "n", "concept", "token", "n_tokens", "shown")
}
LABELS = [
    Label("girl_name", "about_to", "girl_name", 0.9, 0.7, 0.8),
    *(Label(HOSTILE[n % 5], "tokens") for n in range(38)),
    Label("girl_name", "fires_on", "girl_name", 0.9, 0.9, 0.9),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run and labels; every test gets a copy."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSAE_HOME", str(home))
        run = finished_run(write_model(home / "model"), name="mine")
    write_labels(run.features_dir, LABELS)
    return home


@pytest.fixture
def run(made: Path, tiny_home: Path) -> Run:
    shutil.copytree(made, tiny_home, dirs_exist_ok=True)
    (folder,) = (tiny_home / "runs").iterdir()
    config = TrainConfig.loads((folder / "config.json").read_text())
    return Run(folder.name, folder, config)


@pytest.fixture
def index(run: Run) -> FeatureIndex:
    return open_index(run.features_dir)


@pytest.fixture
def opened(open_page: OpenPage, run: Run) -> OpenPage:
    def opened(language: Language = "en", **query: str) -> AppTest:
        return open_page(
            "pages/features.py", language=language, **{"run": run.id, **query}
        )

    return opened


def notes_of(index: FeatureIndex) -> Notes:
    return Notes(index.info.sae_fingerprint, index.info.d_sae)


def query_of(app: AppTest) -> dict[str, str]:
    found = {}
    for name in ("by", "q", "token", "feature", "theme"):
        value = app.query_params.get(name)
        if value:
            found[name] = value[0] if isinstance(value, list) else value
    return found


def features_in(app: AppTest) -> list[int]:
    """In the table of the overview, below the ten."""
    return app.dataframe[1].value["feature"].tolist()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_typed_becomes_the_address(
    opened: OpenPage, language: Language, index: FeatureIndex
) -> None:
    token = index.feature(5).promoted["raw"][0]
    app = opened(language)
    app.text_input(key="features.search_q").set_value(token.text.strip(" ")).run()
    assert not errors(app)
    assert query_of(app) == {"q": token.text.strip(" ")}
    app.segmented_control(key="features.search_by").set_value("raises").run()
    assert not errors(app)
    assert query_of(app) == {"by": "raises", "q": token.text.strip(" ")}
    app.text_input(key="features.search_q").set_value("").run()
    assert query_of(app) == {}
    assert panel(app)["n"] == 40


def test_a_promoted_token_finds_the_features_that_raise_it(
    opened: OpenPage, index: FeatureIndex
) -> None:
    token = index.feature(5).promoted["raw"][0]
    app = opened(by="raises", q=token.text, token=str(token.token))
    assert not errors(app)
    scores = index.raised_by(token.token)
    assert panel(app)["n"] == len(scores)
    wanted = [score.feature for score in scores]
    assert listed(app) == wanted[: len(listed(app))]
    assert 5 in listed(app)
    first = text("features.why_raises", "en", logit=signed(scores[0].value))
    assert panel(app)["ranks"][0][2] == first


def test_a_token_finds_the_features_that_fire_on_it(
    opened: OpenPage, index: FeatureIndex
) -> None:
    token = index.feature(5).tokens[0]
    app = opened(by="fires_on", q=token.text, token=str(token.token))
    assert not errors(app)
    assert listed(app) == [f.feature for f in index.firing_on(token.token)]
    assert 5 in listed(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_finds_what_fires_on_it(
    opened: OpenPage, language: Language, index: FeatureIndex
) -> None:
    app = opened(language, by="text", q="Once upon a time")
    assert not errors(app)
    found = [float(why.split(" · ")[0]) for *_, why in panel(app)["ranks"]]
    assert found == sorted(found, reverse=True)
    assert min(found) > 0
    assert set(listed(app)) <= set(range(index.info.d_sae))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("by", "query", "key"),
    [
        ("raises", "zzzzqq", "search_no_token"),
        ("fires_on", "<zzz>", "search_no_token"),
        ("text", "word " * 100, "text_beyond_context"),
    ],
)
def test_what_cannot_be_found_is_a_sentence(
    opened: OpenPage, language: Language, by: str, query: str, key: str
) -> None:
    app = opened(language, by=by, q=query)
    (error,) = errors(app)
    n = len(query) if key == "text_beyond_context" else 0
    assert error == text(f"error.{key}", language, query=query, n=n, limit=63)
    # All of them are there to go on with.
    assert panel(app)["n"] == 40


def test_words_are_found_in_labels_and_notes(
    opened: OpenPage, index: FeatureIndex
) -> None:
    notes_of(index).keep(7, text="maybe a GIRL")
    app = opened(by="words", q="girl")
    assert not errors(app)
    assert listed(app) == [7, 39, 0]
    where = [text(f"features.found_in_{x}", "en") for x in ("note", "label", "label")]
    assert [why for *_, why in panel(app)["ranks"]] == where


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_concepts_features_come_best_first(
    opened: OpenPage, language: Language
) -> None:
    app = opened(language, by="concept", q="girl_name")
    assert not errors(app)
    assert listed(app) == [39, 0]
    assert [why for *_, why in panel(app)["ranks"]] == ["F1 0.90", "F1 0.80"]
    # The box says what it is called.
    name = concept_name("girl_name", language)
    assert app.text_input(key="features.search_q").value == name
    app = opened(language, by="concept", q="<b>")
    assert not errors(app)
    assert text("features.search_none", language) in "".join(sentences(app))
    assert panel(app)["n"] == 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_typed_is_understood_by_itself(
    opened: OpenPage, language: Language, index: FeatureIndex
) -> None:
    name = concept_name("girl_name", language)
    word = next(
        x.text.strip(" ")
        for x in index.feature(5).tokens
        if x.text.strip(" ").isalpha()
    )
    for typed, key in (
        ("7", "search_number_said"),
        (name, "search_concept_said"),
        (word, "search_fires_on_said"),
        ("once upon a time", "search_text_said"),
    ):
        app = opened(language, q=typed)
        assert not errors(app)
        beginning = text(f"features.{key}", language, **ANY).split("{")[0][:8]
        assert beginning in "".join(sentences(app)), typed


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_share_of_concepts_found_is_said(
    opened: OpenPage, language: Language, run: Run
) -> None:
    def detector(f1: float) -> Detector:
        return Detector("fires_on", (FeatureAt(39, 1.0),), Score(f1, f1, f1))

    results = tuple(
        ConceptResult(concept, 9, detector(alone), detector(together), ())
        for concept, alone, together in (
            ("animal", 0.9, 0.9),
            ("food", 0.5, 0.8),
            ("toy", 0.1, 0.2),
            ("pet", 0.0, 0.0),
        )
    )
    write_concepts(run.features_dir, ConceptReport("a" * 64, 100, results))
    app = opened(language, view="concepts")
    assert not errors(app)
    said = text(
        "features.concepts_found", language, n=4, share="50.0%", single="25.0%", f1=0.8
    )
    assert said in sentences(app)


@pytest.mark.parametrize("query", [{"by": "junk", "q": "a"}, {"by": "raises"}])
def test_a_link_that_searches_for_nothing_shows_everything(
    opened: OpenPage, query: dict[str, str]
) -> None:
    app = opened(**query)
    assert not app.exception
    assert panel(app)["n"] >= 1


def test_the_search_stays_while_a_feature_is_looked_at(opened: OpenPage) -> None:
    app = opened(by="words", q="girl", feature="39")
    assert not errors(app)
    assert query_of(app) == {"by": "words", "q": "girl", "feature": "39"}
    assert listed(app) == [39, 0]
    assert panel(app)["feature"] == 39
    app.text_input(key="features.search_q").set_value("").run()
    assert query_of(app) == {}
    assert panel(app)["n"] == 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_label_is_a_sentence_with_its_score(
    opened: OpenPage, language: Language
) -> None:
    app = open_part(opened(language, feature="39"), "figures")
    assert not errors(app)
    said = "\n".join(sentences(app))
    score = text(
        "features.label_score", language, f1="0.90", precision="90.0%", recall="90.0%"
    )
    assert score in said


def test_hostile_labels_and_notes_are_only_text(
    opened: OpenPage, index: FeatureIndex
) -> None:
    for feature in range(1, 6):
        notes_of(index).keep(feature, text=HOSTILE[feature - 1])
        app = open_part(opened(feature=str(feature)), "kept")
        assert not errors(app)
        assert not any(element.allow_html for element in app.markdown)
        label = visible(LABELS[feature].text)
        assert label in face(app)["name"]
        assert any(label in literal(element.value) for element in app.markdown)
        assert panel(app)["kept"][str(feature)] == [False, HOSTILE[feature - 1]]
        assert app.text_area[0].value == HOSTILE[feature - 1]


def test_damaged_labels_are_a_sentence_and_the_features_are_shown(
    opened: OpenPage, run: Run
) -> None:
    (run.features_dir / LABELS_NAME).write_text("{", encoding="utf-8")
    said = text("error.features_damaged", "en", file=LABELS_NAME)
    for query in ({}, {"feature": "5"}):
        app = opened(**query)
        assert errors(app) == [said]
        assert panel(app)["n"] == 40


def test_labels_of_another_sae_are_not_shown(opened: OpenPage, run: Run) -> None:
    write_labels(run.features_dir, LABELS[:5])
    app = opened(feature="5")
    assert errors(app) == [text("error.features_damaged", "en", file=LABELS_NAME)]
    assert panel(app)["feature"] == 5


def test_the_list_is_read_by_theme(opened: OpenPage, run: Run) -> None:
    of = tuple(0 if at in (4, 7, 9) else -1 for at in range(40))
    write_themes(run.features_dir, Themes((Theme("animals"),), of))
    app = opened()
    assert not errors(app)
    app.button_group(key="features.theme").set_value("animals").run()
    assert query_of(app)["theme"] == "animals"
    assert sorted(listed(app)) == [4, 7, 9]
    assert face(app)["theme"] == theme_name(Theme("animals"), "en")
    app.button_group(key="features.theme").set_value(None).run()
    assert query_of(app) == {}
    assert panel(app)["n"] == 40


@pytest.mark.parametrize("theme", ["animals", "no theme"])
def test_a_theme_that_is_not_there_shows_all_features(
    opened: OpenPage, run: Run, theme: str
) -> None:
    write_themes(run.features_dir, Themes((Theme("<b>", False),), (0,) * 40))
    app = opened(theme=theme, feature="5")
    assert not errors(app)
    assert panel(app)["n"] == 40
    assert face(app)["theme"] == "“<b>”"


def test_an_sae_without_themes_shows_none(opened: OpenPage) -> None:
    app = opened(theme="animals", feature="5")
    assert not errors(app)
    assert panel(app)["n"] == 40
    assert face(app)["theme"] is None


def test_damaged_themes_are_a_sentence_and_the_features_are_shown(
    opened: OpenPage, run: Run
) -> None:
    said = text("error.features_damaged", "en", file=THEMES_NAME)
    write_themes(run.features_dir, Themes((Theme("animals"),), (0,) * 39))
    for view in ("list", "map"):
        app = opened(view=view)
        assert errors(app) == [said]
        assert panel(app)["n"] == 40


def test_the_table_is_filtered(opened: OpenPage, index: FeatureIndex) -> None:
    notes_of(index).keep(3, bookmarked=True)
    app = opened(view="overview")
    app.text_input(key="features.filter").set_value("girl").run()
    assert features_in(app) == [0, 39]
    app.text_input(key="features.filter").set_value("").run()
    app.select_slider(key="features.filter_density").set_value((0.1, 1.0)).run()
    dense = index.table().query("density >= 0.1")["feature"].tolist()
    assert features_in(app) == dense
    app.select_slider(key="features.filter_density").set_value((0.0, 1.0)).run()
    app.toggle(key="features.filter_kept").set_value(True).run()
    assert features_in(app) == [3]
    assert not errors(app)


def test_a_bookmark_and_a_note_are_kept(opened: OpenPage, index: FeatureIndex) -> None:
    app = open_part(opened(feature="5"), "kept")
    app.button(key="features.bookmark").click().run()
    assert notes_of(index).of(5) == Note("", bookmarked=True)
    app.text_area[0].set_value("  names  ")
    save = text("features.note_save", "en")
    next(b for b in app.button if b.label == save).click().run()
    assert notes_of(index).of(5) == Note("names", bookmarked=True)
    assert app.text_area[0].value == "names"
    app.button(key="features.bookmark").click().run()
    assert notes_of(index).of(5) == Note("names")
    assert not errors(app)


def test_a_damaged_notes_file_is_a_sentence_and_the_feature_is_shown(
    opened: OpenPage, index: FeatureIndex
) -> None:
    notes = notes_of(index)
    notes.keep(5, text="x")
    notes.path.write_text("{", encoding="utf-8")
    for query in ({"feature": "5"}, {}):
        app = opened(**query)
        said = text("error.notes_damaged", "en", path=str(notes.path))
        assert set(errors(app)) == {said}
        assert panel(app)["n"] == 40
    assert notes.path.read_text() == "{"


@pytest.mark.parametrize("language", LANGUAGES)
def test_ones_own_text_is_tried(opened: OpenPage, language: Language) -> None:
    app = opened(language, feature="1")
    app.text_input(key="features.own_text").set_value("Once upon a time").run()
    assert not errors(app)
    app.text_input(key="features.own_text").set_value("word " * 100).run()
    assert len(errors(app)) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_feature_is_turned_off(opened: OpenPage, language: Language) -> None:
    app = open_part(opened(language, feature="1"), "contexts")
    app.toggle(key="features.off").set_value(True).run()
    assert not errors(app)
    beginning = text("features.off_fallen", language, tokens="").strip()
    assert any(beginning[:20] in each for each in sentences(app))


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_sae_from_a_folder_is_opened_and_its_features_asked_for(
    opened: OpenPage,
    language: Language,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[str, str]] = []
    monkeypatch.setattr(
        launch, "launch", lambda saved, command: started.append((saved.id, command))
    )
    folder = write_sae(tmp_path / "**from** elsewhere", seed=3)
    app = opened(language)
    path = next(
        x for x in app.text_input if x.label == text("features.open_sae_path", language)
    )
    path.set_value(str(folder))
    opens = text("features.open_sae_now", language)
    next(b for b in app.button if b.label == opens).click().run()
    assert not errors(app)
    (saved,) = saved_saes()
    assert address(app) == (saved.id, None)
    assert any(str(folder) in each for each in sentences(app))
    assert any(text("features.collect_default", language) in e for e in sentences(app))
    collect = text("features.collect", language)
    next(b for b in app.button if b.label == collect).click().run()
    assert started == [(saved.id, "index")]
    app = opened(language)
    assert not errors(app)
    assert panel(app)["n"] == 40


def test_the_text_it_is_read_on_is_chosen(
    opened: OpenPage, made: Path, short_text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "launch", lambda *_: None)
    saved = add_sae(str(write_sae(made / "y", seed=5)))
    app = opened(run=saved.id)
    key = f"collect_{saved.id}"
    why = text("features.collect_default", "en")
    assert any(why in each for each in sentences(app))
    app.segmented_control(key=f"{key}_text_kind").set_value("local").run()
    # Of a text that somebody chooses it would not be so.
    assert not any(why in each for each in sentences(app))
    path = app.text_input(key=f"{key}_dataset_path_local")

    def collect() -> Any:
        label = text("features.collect", "en")
        return next(button for button in app.button if button.label == label)

    assert collect().disabled
    path.set_value(str(short_text)).run()
    collect().click().run()
    assert not errors(app)
    assert text_of(saved).path == str(short_text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_folder_without_an_sae_is_a_sentence(
    opened: OpenPage, language: Language, tmp_path: Path
) -> None:
    app = opened(language)
    path = next(
        x for x in app.text_input if x.label == text("features.open_sae_path", language)
    )
    path.set_value(str(tmp_path / "none"))
    opens = text("features.open_sae_now", language)
    next(b for b in app.button if b.label == opens).click().run()
    said = text("error.sae_missing", language, path=str((tmp_path / "none").resolve()))
    assert errors(app) == [said]


def test_an_sae_that_did_not_fit_says_so_on_its_page(
    opened: OpenPage, made: Path
) -> None:
    shutil.copytree(write_sae(made / "x", seed=4), saes_dir() / "wide")
    (saved,) = saved_saes()
    saved.path.mkdir(parents=True)
    values = {"d_in": 8, "width": 32, "hook": "<b>x</b>"}
    (saved.path / "status.json").write_text(
        json.dumps(
            {
                "state": "failed",
                "error": "error.features_width",
                "error_values": values,
            }
        )
    )
    app = opened(run=saved.id)
    assert errors(app) == [text("error.features_width", "en", **values)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_notes_are_brought_in_and_added(
    opened: OpenPage, language: Language, index: FeatureIndex
) -> None:
    notes = notes_of(index)
    notes.keep(5, text="theirs", bookmarked=True)
    exported = notes.to_json()
    notes.keep(5, text="mine")
    add = text("features.kept_import_now", language)
    for data, said in (
        (b"{", text("error.notes_not_a_file", language)),
        (exported, text("features.kept_imported", language, n=1)),
    ):
        app = opened(language, view="overview")
        app.file_uploader[0].set_value(("notes.json", data, "application/json"))
        app.run()
        next(b for b in app.button if b.label == add).click().run()
        shown = [literal(x.value) for x in (*app.error, *app.success)]
        assert shown == [said]
    assert notes.of(5) == Note("mine\n\ntheirs", bookmarked=True)
