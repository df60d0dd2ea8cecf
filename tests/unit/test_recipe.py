"""The Python that a reader copies does what the page did."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.fuzz_samples import write_gguf
from tests.unit.test_ranks import RANKED, TUTORIAL, printed
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text import recipe
from tinysae.model.text.generate import GenerateSettings, generate_stream, sample_seed
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.recipe import generate_code, heatmap_code, ranks_code


@pytest.fixture(scope="module")
def storybook() -> LoadedModel:
    return load_model(STORYBOOK)


def printed_by(code: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    exec(compile(code, "recipe", "exec"), {})
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("Once upon a time", {}),
        ('Tom said: "it\'s {big}\\n"\n', {"temperature": 0.6, "top_k": 5}),
        ("The end.<|endoftext|>", {"top_p": 0.7, "repetition_penalty": 1.2}),
        ("", {"temperature": 0.0}),
        ("Once upon a time. " * 80, {"freq_penalty": 0.3}),
    ],
)
def test_copied_code_writes_the_same_samples(
    storybook: LoadedModel,
    text: str,
    changes: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = GenerateSettings(max_new_tokens=12, stop_at_eos=False, **changes)
    prompt = prepare_prompt(storybook, text, 12)
    expected = ""
    for sample in range(2):
        own = GenerateSettings(
            max_new_tokens=12,
            stop_at_eos=False,
            seed=sample_seed(settings.seed, sample),
            **changes,
        )
        ids = list(generate_stream(storybook, prompt.ids, own))
        expected += storybook.decode(ids) + "\n"
    code = generate_code(storybook, prompt, text, settings, 2)
    assert printed_by(code, capsys) == expected


def test_copied_code_says_what_transformer_lens_leaves_out(
    storybook: LoadedModel,
) -> None:
    settings = GenerateSettings(top_k=5, top_p=0.5)
    code = generate_code(storybook, prepare_prompt(storybook, "a", 1), "a", settings, 1)
    assert "ignores top_p" in code


def test_copied_code_prints_the_heatmaps_numbers(
    storybook: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = prepare_prompt(storybook, TUTORIAL, 0)
    lines = printed_by(heatmap_code(storybook, prompt, TUTORIAL), capsys).splitlines()
    stats = token_stats(storybook, prompt.ids)
    numbers = [float(re.split(r"\s+", line.strip())[0]) for line in lines]
    assert numbers == pytest.approx(stats.log_prob.tolist(), abs=1e-4)


def test_copied_code_prints_the_ranks(
    storybook: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = ["Lily", " she went"]
    output = printed_by(ranks_code(storybook, TUTORIAL, answers, True), capsys)
    theirs = [token.rank for token in printed(output, RANKED)]
    ours = [answer_ranks(storybook, TUTORIAL, answer).tokens for answer in answers]
    assert theirs == [token.rank for tokens in ours for token in tokens]


def test_of_a_gguf_file_transformers_makes_the_model(tmp_path: Path) -> None:
    write_gguf(tmp_path)
    model: Any = SimpleNamespace(source=str(tmp_path / "model.gguf"))
    code = recipe._load(model)
    compile(code, "recipe", "exec")
    assert f"folder, file = {str(tmp_path)!r}, 'model.gguf'" in code
    # The Bridge would take the path of a file for a name of the hub.
    assert "boot_transformers(\n    folder,\n    hf_model=" in code
