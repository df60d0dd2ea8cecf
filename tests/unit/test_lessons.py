"""Lessons: what they claim is true, and a file that is wrong says where."""

import copy
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import write_sae
from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError
from tinysae.lessons.answers import answer, check_claim, claims, own_claim
from tinysae.lessons.calls.cases import CHECKING_SEED, CHOOSING_SEED, filled, name_cases
from tinysae.lessons.calls.held_out import feature_parts
from tinysae.lessons.calls.model_cache import kept_with_model
from tinysae.lessons.calls.name_calls import name_heads
from tinysae.lessons.calls.probabilities import apart
from tinysae.lessons.calls.registry import CALLS, asked
from tinysae.lessons.calls.results import Bars, Result, Stage, Table
from tinysae.lessons.handout import Entry, handout
from tinysae.lessons.lesson import Lesson, Step
from tinysae.lessons.lesson_file import (
    FIRST,
    lesson_ids,
    lessons_dir,
    load_lesson,
    parse_lesson,
)
from tinysae.lessons.progress import (
    PROGRESS_NAME,
    Progress,
    keep_answer,
    keep_place,
    read_progress,
)
from tinysae.library.feature_source import embedded_source
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.render.numbers import percent
from tinysae.sae.load import load_sae
from tinysae.words import LANGUAGES

# Enough that a mean is far from its bound; `benchmarks/lessons.py` takes more.
N_CASES = 6

SHIPPED = [load_lesson(name) for name in FIRST]
STEPS = [(lesson, n, step) for lesson in SHIPPED for n, step in enumerate(lesson.steps)]
CLAIMS = [(lesson, n, step) for lesson in SHIPPED for n, step in claims(lesson)]
NAMES = [f"{lesson.id}-{n}" for lesson, n, _ in CLAIMS]


@pytest.fixture(scope="module")
def stage() -> Stage:
    source = embedded_source()
    model, sae = load_model(STORYBOOK), load_sae(source.sae_dir)
    return Stage(model, sae, source.open(), source)


def raw(name: str = "names") -> dict[str, Any]:
    path = Path(__file__).parents[2] / "tinysae" / "lessons" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("lesson", "number", "step"), CLAIMS, ids=NAMES)
def test_a_claim_and_its_control_hold_on_held_out_stories(
    stage: Stage, lesson: Lesson, number: int, step: Step
):
    checked = check_claim(step, stage, N_CASES)
    assert checked.holds, f"{lesson.id} {number}: {checked}"
    assert checked.control_holds, f"{lesson.id} {number}: {checked}"


def test_every_step_answers_in_both_languages_with_the_words_its_call_gives(
    stage: Stage,
):
    for lesson, number, step in STEPS:
        if CALLS[step.call].needs == "run":
            continue
        result = asked(step.call, stage, step.values({}))
        for language in LANGUAGES:
            said = answer(step, result, language)
            assert "{" not in said, f"{lesson.id} {number}"
        assert (own_claim(step, result) is None) == (step.claim is None)


def test_every_question_offers_something_to_choose():
    for lesson, number, step in STEPS:
        assert len(step.guesses) >= 2, f"{lesson.id} {number}"
        for language in LANGUAGES:
            said = [guess[language] for guess in step.guesses]
            assert len(set(said)) == len(said), f"{lesson.id} {number}"


def test_claims_are_checked_on_stories_that_chose_nothing():
    checking = {case.template for case in name_cases(CHECKING_SEED, 40)}
    choosing = {case.template for case in name_cases(CHOOSING_SEED, 40)}
    assert not checking & choosing


def test_a_case_ends_where_the_name_comes_and_says_nothing_of_the_other():
    for case in name_cases(CHECKING_SEED, 20):
        story = filled(case.template, case.name)
        assert case.name in story
        assert case.other not in story
        assert case.name not in case.template


def test_a_step_of_no_strength_changes_nothing(stage: Stage):
    steps = [
        step for _, _, step in STEPS if any(i.name == "strength" for i in step.inputs)
    ]
    for step in steps:
        (bars,) = asked(step.call, stage, step.values({"strength": 0.0})).views
        assert isinstance(bars, Bars)
        assert bars.values == pytest.approx(
            [bars.values[0]] * len(bars.values), rel=1e-3
        )


def test_an_answer_says_of_the_shuffled_sae_what_its_bar_says(stage: Stage):
    result = asked("went_well", stage, {})
    (bars,) = result.views
    assert isinstance(bars, Bars)
    # It is worse than nothing in that place, and the answer says so, too.
    assert bars.values[-1] < 0
    assert result.words["control"] == percent(bars.values[-1])


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (0.9, 0.9, "0.0"),
        (0.9999, 0.9996, "<0.1"),
        (0.5, 0.9, "40.0"),
        (0.9, 0.5, "40.0"),
    ],
)
def test_a_small_distance_of_two_probabilities_is_not_none(
    one: float, other: float, words: str
):
    assert apart(one, other) == words


def test_a_random_model_fails_the_claims_of_the_trained_one(tiny_model: LoadedModel):
    """A claim that any model passes says nothing."""
    lesson = load_lesson("names")
    # Its context of 64 bytes takes a short story only.
    short = {"template": "{name} and {name} and", "name": "Al", "other": "Bo"}
    stage = Stage(tiny_model)
    for number in (1, 2):
        step = lesson.steps[number - 1]
        result = asked(step.call, stage, short)
        assert own_claim(step, result) is False


def test_heads_that_carry_names_are_chosen_without_the_others(stage: Stage):
    best, least = name_heads(stage.model)
    assert len(best) == len(least)
    assert not set(best) & set(least)


def test_a_model_without_the_hook_is_told_so(stage: Stage, tmp_path: Path):
    sae = load_sae(write_sae(tmp_path / "sae", d_in=7))
    other = Stage(stage.model, sae, stage.index)
    for call in ("forget_there", "ten_features", "one_token"):
        case = CALLS[call].cases
        assert case is not None
        with pytest.raises(InputError):
            asked(call, other, case(stage, 1)[0])


def test_without_an_sae_or_a_run_the_step_says_what_is_needed(stage: Stage):
    bare = Stage(stage.model)
    with pytest.raises(InputError) as problem:
        asked("went_well", bare, {})
    assert problem.value.key == "error.lesson_needs_sae"
    with pytest.raises(MissingError) as missing:
        asked("curve", bare, {"metric": "mse"})
    assert missing.value.key == "error.lesson_needs_run"


def broken(change: Any) -> str:
    data = raw()
    change(data)
    with pytest.raises(DamagedError) as problem:
        parse_lesson("mine", data)
    return str(problem.value)


def test_an_unknown_call_is_named_with_its_step():
    said = broken(lambda data: data["steps"][3].update(call="os.system"))
    assert "step 4" in said
    assert "os.system" in said
    assert "name_rank" in said


@pytest.mark.parametrize("field", ["title", "text", "try", "question", "answer"])
def test_a_missing_translation_is_named_with_its_step(field: str):
    said = broken(lambda data: data["steps"][1][field].pop("ko"))
    assert "step 2" in said
    assert "ko" in said
    assert field in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format=2), ["step 0", "format"]),
        (lambda d: d.update(steps=[]), ["step 0", "steps"]),
        (lambda d: d["steps"].__setitem__(0, "no"), ["step 1"]),
        (lambda d: d["steps"][0]["args"].pop("template"), ["step 1", "args.template"]),
        (lambda d: d["steps"][0]["args"].update(extra=1), ["step 1", "args.extra"]),
        (lambda d: d["steps"][0]["args"].update(other=[]), ["step 1", "args.other"]),
        (lambda d: d["steps"][0]["args"].update(other=3), ["step 1", "args.other"]),
        (lambda d: d["steps"][0]["inputs"][0].update(kind="x"), ["step 1", "kind"]),
        (lambda d: d["steps"][0]["inputs"][0].update(default="Zoe"), ["default"]),
        (lambda d: d["steps"][9]["inputs"][0].update(low=5), ["step 10", "low"]),
        (lambda d: d["steps"][0]["claim"].update(at_least="x"), ["step 1", "claim"]),
        (lambda d: d["steps"][0]["claim"].update(at_least=10**400), ["claim"]),
        (lambda d: d["steps"][9]["inputs"][0].update(low=-(10**400)), ["low"]),
        (lambda d: d["steps"][0].pop("control"), ["step 1"]),
        (lambda d: d["steps"][0].update(page="/etc"), ["step 1", "page"]),
        (lambda d: d["steps"][0]["guesses"][0].pop("ko"), ["step 1", "guesses"]),
        (lambda d: d["steps"][0].update(guesses=[{"en": "x", "ko": "x"}]), ["guesses"]),
        (lambda d: d["steps"][0].update(right=3), ["step 1", "right", "0 - 2"]),
        (lambda d: d["steps"][0].update(right=True), ["step 1", "right"]),
        (lambda d: d["steps"][0].pop("guesses"), ["step 1", "right"]),
        (
            lambda d: d["steps"][0]["answer"].update(en="{name.__class__}"),
            ["step 1", "answer"],
        ),
    ],
)
def test_what_is_wrong_with_a_step_is_said(change: Any, words: list[str]):
    said = broken(change)
    assert all(word in said for word in words), said


@pytest.mark.parametrize("number", ["7", 7.5, True, 10**400])
def test_a_whole_number_is_no_text_and_no_fraction(number: object):
    data = raw("features")
    (step,) = (s for s in data["steps"] if s["call"] == "neuron")
    step["args"], step["inputs"] = {"number": number}, []
    with pytest.raises(DamagedError, match=r"args\.number"):
        parse_lesson("features", data)
    step["args"] = {"number": 7}
    assert parse_lesson("features", data)


def test_what_is_kept_with_a_model_goes_with_it():
    asked = []

    class Model:
        pass

    @kept_with_model(2)
    def doubled(model: Model, n: int) -> int:
        asked.append((model, n))
        return 2 * n

    model = Model()
    assert [doubled(model, n) for n in (1, 1, 2, 1)] == [2, 2, 4, 2]
    assert [n for _, n in asked] == [1, 2]
    gone = weakref.ref(model)
    asked.clear()
    del model
    gc.collect()
    assert gone() is None


def test_shares_of_a_features_activation_are_over_all_tokens(stage: Stage):
    assert stage.sae is not None
    parts = feature_parts(stage.model, stage.sae, CHECKING_SEED)
    rows = np.zeros(len(parts.tokens.tokens))
    feature = int(np.argmax(np.diff(parts.pairs.first)))
    at = slice(parts.pairs.first[feature], parts.pairs.first[feature + 1])
    rows[parts.pairs.token[at]] = parts.pairs.value[at]
    kinds = set(parts.tokens.tokens[rows > 0].tolist())
    half = set(sorted(kinds)[::2])
    wanted = rows[np.isin(parts.tokens.tokens, list(half))].sum() / rows.sum()
    assert parts.share_on(feature, half) == pytest.approx(wanted)
    assert parts.share_on(feature, kinds) == pytest.approx(1)
    assert parts.share_on(feature, {stage.model.bos_id}) == 0


def test_an_answer_that_asks_for_what_the_call_does_not_give_says_so():
    step = load_lesson("names").steps[0]
    with pytest.raises(InputError) as problem:
        answer(step, Result({}, {"other": "x"}), "en")
    assert "other" in str(problem.value)


@pytest.mark.parametrize("value", ["Mallory", 3, None, float("nan"), ["Tina"], True])
def test_a_forged_choice_is_refused(value: object):
    step = load_lesson("names").steps[0]
    with pytest.raises(InputError):
        step.values({"name": value})


@pytest.mark.parametrize("value", ["1", 2.5, -1, float("inf"), None, True])
def test_a_forged_number_is_refused(value: object):
    step = load_lesson("names").steps[9]
    with pytest.raises(InputError):
        step.values({"strength": value})


def test_a_teachers_lesson_is_found_and_cannot_take_a_shipped_name(tiny_home: Path):
    assert tiny_home.is_dir()
    assert lesson_ids() == list(FIRST)
    lessons_dir().mkdir()
    data = raw()
    data["title"] = {"en": "Mine", "ko": "내 것"}
    for name in ("mine.json", "names.json", "no id.json", "UPPER.json"):
        (lessons_dir() / name).write_text(json.dumps(data), encoding="utf-8")
    assert lesson_ids() == [*FIRST, "mine"]
    assert load_lesson("mine").own
    assert load_lesson("mine").title["en"] == "Mine"
    assert not load_lesson("names").own


@pytest.mark.parametrize("name", ["../names", "/etc/passwd", "", "x" * 200, "none"])
def test_a_name_never_leaves_the_folders(name: str, tiny_home: Path):
    assert tiny_home.is_dir()
    with pytest.raises(MissingError):
        load_lesson(name)


@pytest.mark.parametrize("text", ["", "[", "[]", "[" * 100_000, '{"format": 1}'])
def test_a_file_that_is_no_lesson_is_said(text: str, tiny_home: Path):
    assert tiny_home.is_dir()
    lessons_dir().mkdir()
    (lessons_dir() / "mine.json").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedError):
        load_lesson("mine")


def test_progress_survives_and_damage_only_loses_the_place(tiny_home: Path):
    assert read_progress() == {}
    kept = {"names": Progress(4, {1: {"name": "Lily"}, 10: {"strength": 0.5}})}
    keep_answer("names", 1, {"name": "Lily"})
    keep_answer("names", 10, {"strength": 0.5})
    keep_place("names", 4)
    assert read_progress() == kept
    for text in ("{", "[]", '{"lessons": 3}', '{"lessons": {"a": {"step": "x"}}}'):
        (tiny_home / PROGRESS_NAME).write_text(text, encoding="utf-8")
        assert read_progress() == {}


@pytest.mark.parametrize(
    ("step", "answered", "is_done"),
    [(11, range(1, 4), False), (12, [], True), (3, range(1, 12), True)],
)
def test_a_lesson_is_done_at_its_summary_or_with_every_answer(
    tiny_home: Path, step: int, answered: list[int], is_done: bool
):
    assert tiny_home.is_dir()
    for number in answered:
        keep_answer("names", number, {})
    keep_place("names", step)
    assert read_progress()["names"].is_done(11) == is_done


def test_a_handout_has_what_was_found_and_nothing_that_runs():
    hostile = "<script>alert(1)</script>"
    lesson = load_lesson("names")
    step = copy.copy(lesson.steps[0])
    table = Table("samples", ["number", "text"], [["1", hostile]])
    entry = Entry(
        step, {"name": hostile}, Result({}, {}, [table]), f"It is {hostile}.", "Holds."
    )
    for language in LANGUAGES:
        page = handout(lesson, [entry], hostile, hostile, language)
        assert "<script" not in page
        assert "default-src 'none'" in page
        assert "Holds." in page
        assert page.count("&lt;script&gt;") >= 4


def test_errors_of_a_call_are_sentences(stage: Stage):
    for arguments in (
        {"template": "no mark", "name": "Tina", "other": "Emma"},
        {"template": "{name}", "name": " ", "other": "Emma"},
        {"template": "{name} " * 500, "name": "Tina", "other": "Emma"},
    ):
        with pytest.raises(TinysaeError):
            asked("name_rank", stage, arguments)
