"""Writing text: settings, sampling, the cache, and many sessions at once."""

import math
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from tests.unit.tiny_model import N_CTX
from tinysae.errors import InputError, SettingError
from tinysae.model.forward import logits
from tinysae.model.sources import LoadedModel
from tinysae.model.text.generate import (
    GenerateSettings,
    StopReason,
    Writing,
    generate_stream,
    next_token_probs,
    sample_seed,
)
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.prompt import MAX_PROMPT_CHARACTERS, prepare_prompt

PROMPT = "Once upon a time"
# Whatever the model ends with must not end the test.
ENDLESS: dict[str, Any] = {"stop_at_eos": False}


def written(
    stream: Generator[int, None, StopReason],
) -> tuple[list[int], StopReason]:
    ids: list[int] = []
    while True:
        try:
            ids.append(next(stream))
        except StopIteration as end:
            return ids, end.value


def slowly(
    model: LoadedModel, prompt_ids: list[int], settings: GenerateSettings
) -> list[int]:
    """The same text by whole forwards, without a cache."""
    generator = torch.Generator().manual_seed(settings.seed)
    ids = list(prompt_ids)
    for _ in range(settings.max_new_tokens):
        probs = next_token_probs(logits(model, model.to_input(ids))[0, -1], settings)
        if settings.temperature == 0:
            ids.append(int(probs.argmax()))
        else:
            ids.append(int(torch.multinomial(probs, 1, generator=generator)))
    return ids[len(prompt_ids) :]


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0},
        {"temperature": 1.0},
        {"temperature": 1.7, "top_k": 20, "seed": 7},
        {"temperature": 0.5, "top_p": 0.8, "seed": 8},
    ],
)
def test_cached_generation_is_that_of_whole_forwards(
    tiny_model: LoadedModel, changes: dict[str, Any]
) -> None:
    # 40 tokens: well beyond the second layer's window of 8.
    settings = GenerateSettings(max_new_tokens=40, **ENDLESS, **changes)
    prompt = tiny_model.encode(PROMPT)
    ids, reason = written(generate_stream(tiny_model, prompt, settings))
    assert ids == slowly(tiny_model, prompt, settings)
    assert reason == "length"


def test_same_seed_gives_the_same_text_and_another_gives_another(
    tiny_model: LoadedModel,
) -> None:
    def text(seed: int) -> list[int]:
        settings = GenerateSettings(seed=seed, max_new_tokens=20, **ENDLESS)
        return list(generate_stream(tiny_model, [1, 2], settings))

    torch.manual_seed(1)
    first = text(5)
    torch.manual_seed(2)
    assert text(5) == first
    assert text(6) != first


def test_interleaved_sessions_do_not_change_each_other(
    tiny_model: LoadedModel,
) -> None:
    settings = [
        GenerateSettings(seed=seed, max_new_tokens=20, **ENDLESS) for seed in range(3)
    ]
    alone = [list(generate_stream(tiny_model, [3], each)) for each in settings]
    streams = [generate_stream(tiny_model, [3], each) for each in settings]
    together = [[next(stream) for stream in streams] for _ in range(20)]
    assert [list(column) for column in zip(*together, strict=True)] == alone


def test_eight_threads_each_get_their_own_result(tiny_model: LoadedModel) -> None:
    prompts = [tiny_model.encode(PROMPT + " " + "a" * n) for n in range(8)]

    def work(number: int) -> tuple[list[int], list[float]]:
        settings = GenerateSettings(seed=number, max_new_tokens=30, **ENDLESS)
        ids = list(generate_stream(tiny_model, prompts[number], settings))
        stats = token_stats(tiny_model, [*prompts[number], *ids])
        return ids, stats.log_prob.tolist()

    alone = [work(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(work, range(8))) == alone


def test_text_ends_where_the_context_is_full(tiny_model: LoadedModel) -> None:
    prompt = [1] * 50
    settings = GenerateSettings(max_new_tokens=100, **ENDLESS)
    ids, reason = written(generate_stream(tiny_model, prompt, settings))
    assert reason == "context"
    assert 1 + len(prompt) + len(ids) == N_CTX


def test_prompt_that_fills_the_context_writes_nothing(tiny_model: LoadedModel) -> None:
    stream = generate_stream(tiny_model, [1] * (N_CTX - 1), GenerateSettings())
    assert written(stream) == ([], "context")


def test_prompt_beyond_the_context_is_refused_at_once(tiny_model: LoadedModel) -> None:
    with pytest.raises(InputError):
        generate_stream(tiny_model, [1] * N_CTX, GenerateSettings())


def test_text_ends_before_the_end_token(tiny_model: LoadedModel) -> None:
    def text(stop_at_eos: bool) -> tuple[list[int], StopReason]:
        settings = GenerateSettings(
            temperature=2.0, max_new_tokens=1000, seed=3, stop_at_eos=stop_at_eos
        )
        return written(generate_stream(tiny_model, [], settings))

    on, _ = text(stop_at_eos=False)
    end = on.index(tiny_model.bos_id)
    assert text(stop_at_eos=True) == (on[:end], "eos")


def test_probabilities_are_softmax_with_temperature() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0, -1.0])
    for temperature in (0.5, 1.0, 2.0):
        weights = [math.exp(x / temperature) for x in logits.tolist()]
        expected = torch.tensor([w / sum(weights) for w in weights])
        probs = next_token_probs(logits, GenerateSettings(temperature=temperature))
        torch.testing.assert_close(probs, expected)


def test_temperature_zero_is_all_on_the_likeliest() -> None:
    probs = next_token_probs(torch.tensor([1.0, 3.0]), GenerateSettings(temperature=0))
    assert probs.tolist() == [0.0, 1.0]


def test_tiny_temperature_does_not_overflow() -> None:
    logits = torch.tensor([1e4, 3e4, -1e4])
    probs = next_token_probs(logits, GenerateSettings(temperature=5e-324))
    assert probs.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"top_k": 1}, [0.5]),
        ({"top_k": 3}, [0.5, 0.25, 0.15]),
        ({"top_k": 99}, [0.5, 0.25, 0.15, 0.1]),
        ({"top_p": 0.01}, [0.5]),
        ({"top_p": 0.5}, [0.5]),
        ({"top_p": 0.51}, [0.5, 0.25]),
        ({"top_p": 0.9}, [0.5, 0.25, 0.15]),
        # On the three that top-k left, 0.5 is five ninths of all.
        ({"top_k": 3, "top_p": 0.55}, [0.5]),
    ],
)
def test_top_k_and_top_p_keep_the_likeliest(
    changes: dict[str, Any], kept: list[float]
) -> None:
    order = [2, 0, 3, 1]
    probs = torch.tensor([0.5, 0.25, 0.15, 0.1])
    shuffled = torch.empty(4)
    shuffled[order] = probs
    result = next_token_probs(shuffled.log(), GenerateSettings(**changes))[order]
    expected = torch.tensor(kept + [0.0] * (4 - len(kept))) / sum(kept)
    torch.testing.assert_close(result, expected)


def test_drawn_tokens_follow_the_distribution(tiny_model: LoadedModel) -> None:
    settings = GenerateSettings(top_k=3, max_new_tokens=1, **ENDLESS)
    probs = next_token_probs(
        logits(tiny_model, tiny_model.to_input([7]))[0, -1], settings
    )
    n = 600
    drawn = [
        next(
            generate_stream(
                tiny_model,
                [7],
                GenerateSettings(top_k=3, max_new_tokens=1, seed=seed, **ENDLESS),
            )
        )
        for seed in range(n)
    ]
    counts = torch.bincount(torch.tensor(drawn), minlength=len(probs))
    assert set(counts.nonzero().flatten().tolist()) == set(
        probs.nonzero().flatten().tolist()
    )
    # Four standard deviations of a binomial share.
    assert ((counts / n - probs).abs() <= 4 * (probs * (1 - probs) / n).sqrt()).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", -1),
        ("temperature", 2.1),
        ("temperature", "1"),
        ("temperature", True),
        ("temperature", None),
        ("top_k", -1),
        ("top_k", 2.5),
        ("top_k", 10**9),
        ("top_p", 0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("max_new_tokens", 0),
        ("max_new_tokens", 10**6),
        ("max_new_tokens", math.inf),
        ("seed", -1),
        ("seed", 2**64),
        ("stop_at_eos", 1),
    ],
)
def test_bad_setting_is_named_with_what_is_accepted(field: str, value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        GenerateSettings(**{field: value})
    assert caught.value.values["field"] == field
    assert caught.value.values["value"] == str(value)
    assert field in caught.value.in_language("ko")


def test_settings_from_a_widget_become_their_own_kind() -> None:
    settings = GenerateSettings(temperature=1, top_k=5.0, seed=3.0)  # pyright: ignore[reportArgumentType]
    assert isinstance(settings.temperature, float)
    assert isinstance(settings.top_k, int)
    assert isinstance(settings.seed, int)


def test_prompt_that_fits_is_not_cut(tiny_model: LoadedModel) -> None:
    prompt = prepare_prompt(tiny_model, PROMPT, 1000)
    assert list(prompt.ids) == tiny_model.encode(PROMPT)
    assert (prompt.n_cut, prompt.special) == (0, ())


def test_end_of_a_long_prompt_is_kept_with_room_to_write(
    tiny_model: LoadedModel,
) -> None:
    text = "x" * 100_000
    ids = tiny_model.encode(text)
    prompt = prepare_prompt(tiny_model, text, 10)
    assert len(prompt.ids) == N_CTX - 1 - 10
    assert prompt.n_cut == len(ids) - len(prompt.ids)
    assert list(prompt.ids) == ids[prompt.n_cut :]
    assert len(prepare_prompt(tiny_model, text, 1000).ids) == N_CTX - 1 - N_CTX // 2


def test_long_prompt_is_not_cut_inside_a_character(tiny_model: LoadedModel) -> None:
    for n_new in range(1, 8):
        prompt = prepare_prompt(tiny_model, "한" * 200, n_new)
        assert set(tiny_model.decode(prompt.ids)) == {"한"}


def test_special_tokens_in_a_prompt_are_noticed(tiny_model: LoadedModel) -> None:
    prompt = prepare_prompt(tiny_model, "the end<|endoftext|>", 5)
    assert prompt.special == ("<|endoftext|>",)
    assert tiny_model.bos_id not in prompt.ids


def test_prompt_without_end_is_refused(tiny_model: LoadedModel) -> None:
    with pytest.raises(InputError, match="200,001"):
        prepare_prompt(tiny_model, "a" * (MAX_PROMPT_CHARACTERS + 1), 5)


def test_writing_goes_on_after_an_interruption_and_keeps_what_there_is(
    tiny_model: LoadedModel,
) -> None:
    settings = GenerateSettings(max_new_tokens=12, **ENDLESS)
    prompt = prepare_prompt(tiny_model, PROMPT, 12)
    writing = Writing(tiny_model, prompt, settings)
    assert all(writing.step() for _ in range(5))
    # A rerun of the page holds the same object and steps on.
    while writing.step():
        pass
    assert writing.ids == list(generate_stream(tiny_model, prompt.ids, settings))
    assert writing.text == tiny_model.decode(writing.ids)
    assert writing.reason == "length"


def test_stopped_writing_keeps_its_text_and_stays_stopped(
    tiny_model: LoadedModel,
) -> None:
    prompt = prepare_prompt(tiny_model, PROMPT, 64)
    writing = Writing(tiny_model, prompt, GenerateSettings(**ENDLESS))
    for _ in range(5):
        writing.step()
    writing.stop()
    assert not writing.step()
    assert (len(writing.ids), writing.reason) == (5, "stopped")
    assert writing.text == tiny_model.decode(writing.ids)


def test_two_runs_of_a_page_at_once_write_one_text(tiny_model: LoadedModel) -> None:
    settings = GenerateSettings(max_new_tokens=50, **ENDLESS)
    prompt = prepare_prompt(tiny_model, PROMPT, 50)
    expected = list(generate_stream(tiny_model, prompt.ids, settings))
    writing = Writing(tiny_model, prompt, settings)

    def write(_: int) -> None:
        while writing.step():
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert writing.ids == expected
    assert writing.text == tiny_model.decode(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 1.3, "temperature": 0},
        {"freq_penalty": 0.7, "temperature": 0.8},
        {"repetition_penalty": 1.2, "freq_penalty": 0.4, "top_k": 30},
        {"top_p": 0.8, "temperature": 1.4},
    ],
)
def test_text_is_that_of_transformer_lens(
    tiny_model: LoadedModel, changes: dict[str, Any]
) -> None:
    settings = GenerateSettings(max_new_tokens=30, seed=3, **ENDLESS, **changes)
    prompt = tiny_model.encode(PROMPT)
    ids, _ = written(generate_stream(tiny_model, prompt, settings))
    torch.manual_seed(3)
    theirs: Any = tiny_model.bridge.generate(
        tiny_model.to_input(prompt),
        max_new_tokens=30,
        stop_at_eos=False,
        temperature=settings.temperature,
        top_k=settings.top_k or None,
        top_p=None if settings.top_p == 1 else settings.top_p,
        repetition_penalty=settings.repetition_penalty,
        freq_penalty=settings.freq_penalty,
        return_type="tokens",
        verbose=False,
    )
    assert ids == theirs[0, 1 + len(prompt) :].tolist()


def test_samples_have_seeds_of_their_own_and_the_first_has_the_given_one() -> None:
    seeds = [sample_seed(42, sample) for sample in range(10)]
    assert seeds[0] == 42
    assert len(set(seeds)) == 10
    assert seeds == [sample_seed(42, sample) for sample in range(10)]
    assert not set(seeds) & {sample_seed(43, sample) for sample in range(10)}
    for sample in range(10):
        GenerateSettings(seed=sample_seed(2**53 - 1, sample))


def test_the_start_of_a_long_text_can_be_kept_instead(tiny_model: LoadedModel) -> None:
    text = "Once upon a time 한국어 " * 20
    ids = tiny_model.encode(text)
    prompt = prepare_prompt(tiny_model, text, 20, keep="start")
    assert list(prompt.ids) == ids[: len(prompt.ids)]
    assert prompt.n_cut == len(ids) - len(prompt.ids)
    assert text.startswith(tiny_model.decode(prompt.ids))
