"""Inside: the worked example, what readers type, and links into it."""

import json
import math
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import torch
from streamlit.testing.v1 import AppTest

from tests.builders import finished_run, write_model, write_sae
from tests.conftest import PATIENCE_S, OpenPage
from tinysae.errors import InputError
from tinysae.features.index.search import active_features
from tinysae.features.why.attribution import attribute
from tinysae.features.why.intervene import FeatureChange, intervene
from tinysae.library.feature_source import feature_source
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_POST, STORYBOOK_SAE
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import as_word
from tinysae.sae.load import load_sae
from tinysae.ui.why.steer import parse_features
from tinysae.words import LANGUAGES, Language, text

HOSTILE = "</script><img src=x onerror=alert(1)> **b** $x$"


@pytest.fixture
def opened(open_page: OpenPage) -> Any:
    def opened(language: Language = "en", **query: str) -> AppTest:
        page = open_page("pages/why.py", language=language, timeout=PATIENCE_S, **query)
        assert not page.exception
        return page

    return opened


def said(page: AppTest) -> str:
    """Everything that is written on the page, without Markdown's backslashes."""
    shown = "\n".join(node.value for node in page.markdown)
    return shown.replace("\\", "").replace("\u2060", "")


def example(language: Language) -> tuple[Any, list[int], torch.Tensor]:
    model = load_model(STORYBOOK)
    ids = model.encode(text("why.prompt_example", language))
    return model, ids, next_log_probs(model, ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_is_worked_out_when_the_page_opens(
    opened: Any, language: Language
) -> None:
    page = opened(language, view="why")
    assert not page.error
    model, ids, log_probs = example(language)
    best, second = log_probs.topk(2).indices.tolist()
    assert model.token_text(best) == " Lily"
    sae = load_sae(POST_SAE_DIR)
    found = attribute(model, ids, best, second, sae=sae)
    prob = percent(math.exp(log_probs[best]))
    names = {"target": "Lily", "other": model.token_text(second).strip()}
    values = {"prob": prob, "other_prob": percent(math.exp(log_probs[second]))}
    assert text("why.says_rather", language, **names, **values) in said(page)
    total = signed(found.logit, 3)
    sum_line = text("why.sum", language, sum=total, logit=total, left="0.0000")
    assert sum_line in said(page)
    assert text("why.exact", language) in said(page)
    shown = linked(page)
    leading = [part.number for part in found.features if part.kind == "feature"]
    assert shown == [(STORYBOOK_POST, str(number)) for number in leading[:5]]


def drawn(page: AppTest) -> dict[str, Any]:
    """What the browser is sent of the machine."""
    (node,) = [
        node.proto
        for node in page.get("bidi_component")
        if node.proto.component_name == "tinysae_machine"
    ]
    return json.loads(zlib.decompress(node.bytes))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_comes_first_and_says_where_the_answer_comes_from(
    opened: Any, language: Language
) -> None:
    page = opened(language)
    assert not page.error
    shown = drawn(page)
    assert shown["answers"][0]["text"] == "Lily"
    values = {"token": "Lily", "word": "Lily", "before": "named", "head": "0"}
    assert text("why.machine_comes", language, **values) in shown["sentence"]
    strongest = shown["arcs"][0]
    assert shown["words"][strongest["source"]] == "Lily"
    # Without it the name is gone, which is measured before anybody clicks.
    cut = shown["cuts"]["a0"]
    assert cut["p"][0] < 0.2 * shown["answers"][0]["p"]
    named = {f"a{n}" for n in range(len(shown["arcs"]))}
    named |= {f"l{n}" for n in range(len(shown["lamps"]))}
    assert named <= shown["cuts"].keys()
    # All of it is there, so that the picture is held against it at once.
    measured = text("why.check", language, n=50, rank="0", n_matter=0, share="")
    assert measured[: measured.index("50") + 2] in said(page)


def test_a_part_of_a_large_model_is_measured_when_it_is_asked_for(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinysae.features.why import cuts

    monkeypatch.setattr(cuts, "affordable", lambda *_: 3)
    page = opened()
    first = drawn(page)
    assert len(first["cuts"]) == 3
    assert "l5" not in first["cuts"]
    # The check of the whole picture begins once it is drawn.
    bars = [node.proto.text for node in page.get("progress")]
    assert any(bar.endswith("of 50") for bar in bars)
    page.session_state["why.machine"] = {"asked": [first["print"], "l5"]}
    page.run()
    assert not page.exception
    assert set(drawn(page)["cuts"]) == {*first["cuts"], "l5"}
    # Of another picture, or none of its parts: forged.
    for forged in ([1, "l6"], [first["print"], "l999"], "l6", [first["print"], 6]):
        page.session_state["why.machine"] = {"asked": forged}
        page.run()
        assert not page.exception
        assert "l6" not in drawn(page)["cuts"]


def test_the_words_that_it_writes_on_have_pictures_of_their_own(opened: Any) -> None:
    page = opened()
    first = drawn(page)
    assert first["written"] == []
    assert not first["all"]
    page.session_state["why.machine"] = {"write": [first["print"], 2]}
    for _ in range(2):
        # Each run draws as many as it has time for.
        page.run()
    assert not page.exception
    shown = drawn(page)
    after, second = shown["written"][:2]
    assert after["words"] == [*first["words"], "Lily"]
    assert second["words"] == [*after["words"], after["answers"][0]["text"]]
    model, ids, log_probs = example("en")
    ids = [*ids, int(log_probs.argmax())]
    best = next_log_probs(model, ids)
    said = [answer["text"] for answer in after["answers"]]
    assert said[0] == as_word(model.token_text(int(best.argmax())))
    assert after["answers"][0]["p"] == pytest.approx(float(best.max().exp()), abs=1e-4)
    # A part of theirs is measured as one of the first picture is.
    assert "a0" in after["cuts"]
    # What is asked of another picture, or by no number, writes nothing.
    for forged in ([1, 5], [first["print"], "9"], 7):
        page.session_state["why.machine"] = {"write": forged}
        page.run()
        assert not page.exception
        assert len(drawn(page)["written"]) == len(shown["written"])


def test_writing_ends_where_the_model_can_read_no_more(opened: Any) -> None:
    model = load_model(STORYBOOK)
    page = opened(text="sun " * (model.n_ctx + 20))
    first = drawn(page)
    assert len(first["words"]) == model.n_ctx
    page.session_state["why.machine"] = {"write": [first["print"], 5]}
    page.run()
    assert not page.exception
    shown = drawn(page)
    assert shown["all"]
    assert shown["written"] == []


def test_another_sentence_colours_the_picture_by_the_difference(opened: Any) -> None:
    page = opened()
    alone = drawn(page)
    told = text("why.prompt_example", "en")
    page.text_area(key="why.compare").set_value(told.replace("Lily", "Ben")).run()
    assert not page.exception
    both = drawn(page)
    assert both["words"] == alone["words"]
    first = both["arcs"][0]
    assert both["words"][first["source"]] == "Lily"
    assert first["effect"] > alone["arcs"][0]["effect"]
    assert "“Lily” has 95.1% here and 0" in both["sentence"]
    # Nothing of a difference can be taken out, and nobody is told to.
    assert not both["cuts"]
    assert both["say"]["click"] == text("why.compare_unmeasured", "en")
    page.text_area(key="why.compare").set_value("").run()
    assert drawn(page)["sentence"] == alone["sentence"]


def test_several_layers_are_drawn_layer_by_layer(opened: Any, tiny_home: Path) -> None:
    run = finished_run(write_model(tiny_home / "model"), name=HOSTILE)
    shown = drawn(opened(run=run.id))
    assert shown["n_layers"] == 2
    assert {arc["layer"] for arc in shown["arcs"]} == {0, 1}
    assert shown["hooks"] == [0]


def test_saes_of_several_layers_have_rows_of_lamps(
    opened: Any, tiny_home: Path
) -> None:
    model_dir, hook = write_model(tiny_home / "model"), "blocks.1.hook_resid_post"
    above = finished_run(model_dir, seed=1, with_features=False)
    write_sae(above.sae_dir, seed=1, metadata={"hook_name": hook})
    run = finished_run(model_dir, name=HOSTILE)
    page = opened(run=run.id)
    assert {lamp["row"] for lamp in drawn(page)["lamps"]} == {0}
    page.multiselect(key="why.layers").set_value([hook]).run()
    assert not page.exception
    assert not page.error
    shown = drawn(page)
    assert shown["hooks"] == [0, 1]
    lamps = shown["lamps"]
    assert {lamp["row"] for lamp in lamps} == {0, 1}
    assert shown["links"]
    for source, lamp, _ in shown["links"]:
        assert (lamps[source]["row"], lamps[lamp]["row"]) == (0, 1)
    # Lamps of both are measured.
    measured = {lamps[int(name[1:])]["row"] for name in shown["cuts"] if name[0] == "l"}
    assert measured == {0, 1}


def test_a_comparison_with_another_sae_of_the_same_hook_is_another_picture(
    opened: Any, tiny_home: Path
) -> None:
    model_dir, hook = write_model(tiny_home / "model"), "blocks.1.hook_resid_post"

    def above(seed: int) -> None:
        run = finished_run(model_dir, seed=seed, with_features=False)
        write_sae(run.sae_dir, seed=seed, metadata={"hook_name": hook})

    above(1)
    run = finished_run(model_dir)
    page = opened(run=run.id)
    page.multiselect(key="why.layers").set_value([hook]).run()
    page.text_area(key="why.compare").set_value("Another story.").run()
    before = drawn(page)
    assert before["hooks"] == [0, 1]
    page.run()
    assert drawn(page)["print"] == before["print"]
    # The newest of a hook is shown.
    above(2)
    page.run()
    assert not page.exception
    after = drawn(page)
    assert after["hooks"] == [0, 1]
    assert after["lamps"] != before["lamps"]
    assert after["print"] != before["print"]


def linked(page: AppTest) -> list[tuple[str, str]]:
    """The links to features, as source and number."""
    links = [parse_qs(node.proto.query_string) for node in page.get("page_link")]
    return [(q["run"][0], q["feature"][0]) for q in links if "feature" in q]


def test_the_other_sae_is_an_approximation_and_says_so(opened: Any) -> None:
    page = opened(run=STORYBOOK_SAE, view="why")
    assert not page.error
    assert text("why.approximate", "en") in said(page)
    page.segmented_control(key="why.by").set_value("model").run()
    assert not page.exception
    assert text("why.model_how", "en") in said(page)


def test_what_if_switches_off_what_spoke_for_the_answer(opened: Any) -> None:
    page = opened(view="whatif")
    assert not page.error
    model, ids, log_probs = example("en")
    best, second = log_probs.topk(2).indices.tolist()
    sae = load_sae(POST_SAE_DIR)
    found = attribute(model, ids, best, second, sae=sae)
    off = [p for p in found.features if p.kind == "feature" and p.effect > 0][:3]
    at = (found.n_tokens - 1,)
    done = intervene(
        model, ids, [FeatureChange(p.number or 0, 0.0, at) for p in off], sae=sae
    )
    after = float(done.after[-1, best].exp())
    before = float(done.before[-1, best].exp())
    assert after < before / 2
    values = {"before": percent(before), "after": percent(after)}
    assert text("why.off_result", "en", target="Lily", **values) in said(page)
    (pills,) = [
        one for one in page.pills if one.label == text("why.off_features", "en")
    ]
    assert pills.value == [part.number for part in off]
    pills.set_value([]).run()
    assert text("why.off_nothing", "en") in said(page)
    page.pills(key="why.heads").set_value([(0, 0)]).run()
    assert not page.error
    assert text("why.off_nothing", "en") not in said(page)


@pytest.mark.parametrize("value", [1e9, -1e30])
def test_a_value_beyond_all_bounds_is_a_sentence(opened: Any, value: float) -> None:
    page = opened(view="whatif")
    page.number_input(key="why.value").set_value(value).run()
    assert not page.exception
    assert "cannot be used" in page.error[0].value


def test_steering_writes_five_texts_with_a_gauge(opened: Any) -> None:
    page = opened(view="steer")
    assert not page.error
    assert text("why.steer_empty", "en") in said(page)
    page.number_input(key="why.tokens").set_value(6)
    page.button(key="why.write").click().run()
    assert not page.exception
    assert not page.error
    body = "".join(node.proto.body for node in page.get("html"))
    assert body.count("<section") == 5
    assert text("why.steer_unsteered", "en") in body
    assert body.count("× the usual") == 5
    assert text("why.verdict_usual", "en") in body
    # Texts of another strength are not passed off as these.
    page.slider(key="why.strength").set_value(1.0).run()
    assert text("why.steer_empty", "en") in said(page)


def test_the_strength_begins_where_it_is_right_for_the_feature(opened: Any) -> None:
    begins = {}
    for feature in ("27", "239"):
        page = opened(view="steer", feature=feature)
        begins[feature] = page.slider(key="why.strength").value
    # The first goes round in loops at a strength at which the second does nothing.
    assert begins["27"] < begins["239"] / 2
    chosen = page.slider(key="why.strength").set_value(1.0).run()
    chosen.text_area(key="why.prompt").set_value("Lily saw a").run()
    assert chosen.slider(key="why.strength").value == 1.0


def test_a_concept_chooses_its_feature(opened: Any) -> None:
    page = opened(view="steer")
    box = page.selectbox(key="why.concept")
    box.set_value("flower").run()
    assert not page.exception
    (field,) = [
        f for f in page.text_input if f.label == text("why.steer_features", "en")
    ]
    assert field.value.isdecimal()
    assert not page.error


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"target": "xyzxyz"}, "error.why_not_one_token"),
        ({"run": "nope"}, "error.unknown_run"),
        ({"feature": "99999", "view": "steer"}, "error.features_unknown"),
        ({"feature": "1e9", "view": "whatif"}, "error.features_unknown"),
    ],
)
def test_a_bad_link_is_a_sentence(
    opened: Any, language: Language, query: dict[str, str], said: str
) -> None:
    page = opened(language, **query)
    (error,) = page.error
    shown = error.value.replace("\\", "")
    fixed = text_parts(said, language)
    assert all(part in shown for part in fixed)


def text_parts(key: str, language: Language) -> list[str]:
    """The sentence's own words, between what is filled in."""
    import re

    from tinysae.words import catalogue

    return [p for p in re.split(r"\{[^}]*\}", catalogue()[key][language]) if len(p) > 3]


@pytest.mark.parametrize("prompt", ["", "   ", HOSTILE, "한글 이야기", "a" * 2000])
def test_any_text_is_read_or_asked_for(opened: Any, prompt: str) -> None:
    page = opened()
    page.text_area(key="why.prompt").set_value(prompt).run()
    assert not page.exception
    assert not page.error


def test_an_sae_of_another_model_brings_its_model(opened: Any, tiny_home: Path) -> None:
    run = finished_run(write_model(tiny_home / "model"), name=HOSTILE)
    # Its SAE names a model that is not on this disk; the run knows what read it.
    page = opened(run=run.id)
    assert not page.error
    assert load_sae(run.sae_dir).model_name != run.config.model_name


def test_a_link_is_read_at_every_visit(opened: Any) -> None:
    page = opened(text="Once upon")
    assert page.text_area(key="why.prompt").value == "Once upon"
    page.switch_page("pages/lessons.py").run()
    page.switch_page("pages/why.py").run()
    assert page.query_params["text"] == "Once upon"
    assert page.text_area(key="why.prompt").value == "Once upon"


def test_a_text_beyond_the_context_says_what_is_read(opened: Any) -> None:
    words = 300
    page = opened(text="sun " * words)
    model, limit = load_model(STORYBOOK), load_model(STORYBOOK).n_ctx - 1
    cut = len(model.encode("sun " * words)) - limit
    assert text("why.prompt_cut", "en", cut=cut, kept=limit) in said(page)


@pytest.mark.parametrize(
    ("typed", "wanted"), [("3", [3]), ("3, 5", [3, 5]), (" 5 3,3 ", [5, 3])]
)
def test_features_are_numbers_with_commas(typed: str, wanted: list[int]) -> None:
    assert parse_features(typed, 10) == wanted


@pytest.mark.parametrize(
    "typed", ["", "a", "-1", "1.5", "１", "10", "1," * 9, "9" * 70]
)
def test_what_is_no_list_of_features_is_a_sentence(typed: str) -> None:
    with pytest.raises(InputError):
        parse_features(typed, 10)


def test_a_link_of_a_feature_asks_about_the_text_that_it_is_strongest_in(
    opened: Any,
) -> None:
    index = feature_source(STORYBOOK_POST).open()
    feature = 7
    strongest = index.feature(feature)
    page = opened(run=STORYBOOK_POST, feature=str(feature), view="whatif")
    asked = page.text_area(key="why.prompt").value
    assert asked
    assert asked in "".join(strongest.contexts[0].texts)
    model, sae = load_model(STORYBOOK), load_sae(POST_SAE_DIR)
    ids = model.encode(asked)
    values = {
        each.feature: each.activation
        for each in active_features(sae, model, ids, len(ids) - 1)
    }
    assert values[feature] > 0.9 * strongest.max_act


@pytest.mark.parametrize("feature", ["999999", "x"])
def test_a_link_of_no_feature_asks_about_the_example(opened: Any, feature: str) -> None:
    page = opened(run=STORYBOOK_POST, feature=feature)
    asked = page.text_area(key="why.prompt").value
    assert asked == text("why.prompt_example", "en")
