"""Ranks of answers against what TransformerLens's own `test_prompt` prints."""

import pytest
from transformer_lens.utilities.exploratory_utils import (
    test_prompt as their_test_prompt,
)

from benchmarks.printed_ranks import LISTED, RANKED, Printed, printed
from tests.unit.tiny_model import N_CTX
from tinysae.errors import InputError
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.ranks import RankedToken, answer_ranks, answers_in

TUTORIAL = (
    "Once upon a time, there was a little girl named Lily. She lived in a big, happy "
    "little girl. On her big adventure,"
)
QUESTIONS = [
    (TUTORIAL, " Lily", False),
    (TUTORIAL, "Lily", True),
    (TUTORIAL, "Lily", False),
    (TUTORIAL, "she ran", True),
    ("One day, a boy named Tom found a red ball.", " He was happy", True),
    ("한국어로 쓴 글 🎈", "안녕", True),
    ("", "Once", True),
]


def same(model: LoadedModel, ours: RankedToken, theirs: Printed) -> bool:
    numbers = (ours.rank, f"{ours.logit:.2f}", f"{ours.prob:.2%}"[:-1])
    return (
        numbers == theirs[:3]
        and model.bridge.to_single_str_token(ours.token_id) == theirs.token
    )


@pytest.fixture(scope="module")
def storybook() -> LoadedModel:
    return load_model(STORYBOOK)


@pytest.mark.parametrize(("prompt", "answer", "prepend_space"), QUESTIONS)
@pytest.mark.parametrize("name", ["tiny_model", "storybook"])
def test_ranks_are_those_that_transformer_lens_prints(
    name: str,
    prompt: str,
    answer: str,
    prepend_space: bool,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model: LoadedModel = request.getfixturevalue(name)
    # rich would break its lines at the width of the terminal.
    their_test_prompt(
        prompt, answer, model.bridge, prepend_space_to_answer=prepend_space
    )
    text = capsys.readouterr().out
    ranked, listed = printed(text, RANKED), printed(text, LISTED)
    assert ranked
    ours = answer_ranks(model, prompt, answer, prepend_space=prepend_space)
    assert len(ours.tokens) == len(ranked)
    assert all(map(lambda a, b: same(model, a, b), ours.tokens, ranked))
    tops = [token for row in ours.top for token in row]
    assert len(tops) == len(listed) == 10 * len(ranked)
    assert all(map(lambda a, b: same(model, a, b), tops, listed))


def test_several_answers_are_ranked_as_if_each_were_alone(
    storybook: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [" Lily", " she", " Anna"]
    their_test_prompt(TUTORIAL, answers, storybook.bridge)
    theirs = printed(capsys.readouterr().out, RANKED)
    for answer, expected in zip(answers, theirs, strict=True):
        assert same(
            storybook, answer_ranks(storybook, TUTORIAL, answer).tokens[0], expected
        )


def test_an_answer_counts_by_its_worst_token_and_the_product(
    storybook: LoadedModel,
) -> None:
    ranks = answer_ranks(storybook, TUTORIAL, " she went to the park")
    assert len(ranks.tokens) > 2
    assert ranks.rank == sorted(token.rank for token in ranks.tokens)[-1]
    product = 1.0
    for token in ranks.tokens:
        product *= token.prob
    assert ranks.prob == pytest.approx(product)


def test_a_special_token_is_plain_text(tiny_model: LoadedModel) -> None:
    ranks = answer_ranks(tiny_model, "The end.<|endoftext|>", "<|endoftext|>")
    assert ranks.prompt.special == ("<|endoftext|>",)
    assert len(ranks.tokens) > 1


def test_a_long_prompt_makes_room_for_the_answer(tiny_model: LoadedModel) -> None:
    ranks = answer_ranks(tiny_model, "Once upon a time " * 40, "the park")
    n_answer = len(ranks.tokens)
    assert len(ranks.prompt.ids) == N_CTX - 1 - n_answer
    whole = len(tiny_model.encode("Once upon a time " * 40))
    assert ranks.prompt.n_cut == whole - len(ranks.prompt.ids)


@pytest.mark.parametrize("answer", ["", "word " * 70, "x" * 1_000_000])
def test_an_unusable_answer_is_refused(tiny_model: LoadedModel, answer: str) -> None:
    with pytest.raises(InputError):
        answer_ranks(tiny_model, "Once", answer)


@pytest.mark.parametrize("answer", ["\ud800", "مرحبا", "\x00", " "])
def test_any_other_answer_has_a_rank(tiny_model: LoadedModel, answer: str) -> None:
    ranks = answer_ranks(tiny_model, "Once\udfff", answer)
    assert all(0 <= token.rank < tiny_model.d_vocab for token in ranks.tokens)
    assert ranks.prompt.has_surrogates


def test_answers_are_lines_with_their_spaces() -> None:
    assert answers_in(" Lily\n\nTom \n") == [" Lily", "Tom "]
    for text in ("", " \n", "a\n" * 11):
        with pytest.raises(InputError):
            answers_in(text)
