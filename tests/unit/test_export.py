"""A saved file of features: whole, offline, and harmless whatever it holds."""

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.builders import HOSTILE, token_chunks, write_model, write_sae
from tinysae.errors import InputError
from tinysae.features.index.build import FeatureIndex, build_index
from tinysae.features.names.labels import Label
from tinysae.features.names.notes import Note
from tinysae.features.names.theme_file import Theme, Themes
from tinysae.library.export import MAX_FEATURES, ExportOptions, export_html
from tinysae.model.sources import load_model
from tinysae.sae.load import load_sae
from tinysae.words import LANGUAGES, Language, text

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "<b>mine</b> </title><script>alert(1)</script>"
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "article"),
    *("h1", "h2", "h3", "h4", "p", "div", "span", "bdi", "a", "ul", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "g", "rect", "line", "text"),
}


class Read(HTMLParser):
    """The tags, attributes and visible text of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> FeatureIndex:
    folder = tmp_path_factory.mktemp("export")
    model = load_model(str(write_model(folder / "model")))
    return build_index(
        load_sae(write_sae(folder / "sae")),
        model,
        token_chunks(model, 60),
        folder / "index",
        n_tokens=60 * 16,
    )


def hostile_options(language: Language = "en") -> ExportOptions:
    labels = [Label(HOSTILE[n % len(HOSTILE)], "explained", f1=0.5) for n in range(40)]
    notes = {n: Note(f"{HOSTILE[n % len(HOSTILE)]}\nmine") for n in range(40)}
    return ExportOptions(NAME, language, labels, notes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_everything_and_runs_nothing(
    index: FeatureIndex, language: Language
) -> None:
    features = [0, 1, 5, 7]
    document = export_html(index, features, hostile_options(language))
    read = Read(document)
    assert set(read.tags) <= ALLOWED
    names = {name for name, _ in read.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "srcset", "action", "background", "ping"}
    links = {value for name, value in read.attributes if name == "href"}
    assert links <= {f"#f{feature}" for feature in features}
    assert "url(" not in document
    assert "@import" not in document
    policy = {value for name, value in read.attributes if name == "content"}
    assert any("default-src 'none'" in (value or "") for value in policy)
    for feature in features:
        assert text("features.one", language, feature=feature) in read.text
    assert text("features.dead", language) in read.text
    assert f"{HOSTILE[1]}\nmine" in read.text
    assert NAME in read.text


def test_it_holds_what_the_index_holds(index: FeatureIndex) -> None:
    read = Read(export_html(index, [5], ExportOptions("mine")))
    record = index.feature(5)
    assert f"{record.max_act:.2f}" in read.text
    assert f"{record.n_fired:,}" in read.text
    titles = [value for name, value in read.attributes if name == "title"]
    strongest = record.contexts[0].window(20)
    assert f"Activation {strongest.activations.max():.2f}" in titles
    assert "".join(strongest.texts) in read.text
    n_strips = sum(value == "strip" for name, value in read.attributes)
    assert n_strips >= 10


def test_a_feature_stands_with_its_theme(index: FeatureIndex) -> None:
    of = tuple(0 if at == 5 else -1 for at in range(index.info.d_sae))
    themes = Themes((Theme("<b>cat</b>", is_kind=False),), of)
    page = export_html(index, [5, 7], ExportOptions("mine", themes=themes))
    assert page.count("Theme: “&lt;b&gt;cat&lt;/b&gt;”") == 1
    assert page.count("Theme: ") == 1


def test_each_feature_stands_once_in_the_order_given(index: FeatureIndex) -> None:
    read = Read(export_html(index, [7, 5, 7], ExportOptions("mine")))
    anchors = [value for name, value in read.attributes if name == "id"]
    assert anchors == ["f7", "f5"]


@pytest.mark.parametrize(
    ("features", "said"),
    [([], "nothing to save"), (range(MAX_FEATURES + 1), "too many"), ([40], "no feat")],
)
def test_what_cannot_be_saved_is_a_sentence(
    index: FeatureIndex, features: "Iterator[int]", said: str
) -> None:
    with pytest.raises(InputError, match=said):
        export_html(index, list(features), ExportOptions("mine"))
