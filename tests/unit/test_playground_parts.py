"""Attention, alignment, the files one takes along, CircuitsVis in a frame, commands."""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tinysae.__main__ import main
from tinysae.model.attention import attention_pattern
from tinysae.model.forward import logits
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.compare import aligned
from tinysae.model.text.generate import GenerateSettings, generate_stream
from tinysae.model.text.heatmap_file import stats_csv, stats_html
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.state import Colour
from tinysae.ui.parts import distribution
from tinysae.ui.parts.distribution import Candidate, distribution_chart
from tinysae.ui.parts.tokens import circuitsvis_attention, circuitsvis_log_probs
from tinysae.ui.write.heatmap import SCALES, colour_steps, values

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_attention_sums_to_one_and_never_looks_ahead(tiny_model: LoadedModel) -> None:
    ids = tiny_model.encode("Once upon a time, Tom was happy and ran")
    n = len(ids) + 1
    for layer in range(2):
        pattern = attention_pattern(tiny_model, ids, layer)
        assert pattern.shape == (4, n, n)
        np.testing.assert_allclose(pattern.sum(-1), torch.ones(4, n), atol=1e-5)
        assert float(pattern.triu(1).abs().max()) == 0
    # The second layer's window is 8.
    local = attention_pattern(tiny_model, ids, 1)
    assert float(local[:, 12, :4].abs().max()) == 0


def test_an_inserted_token_shifts_what_follows() -> None:
    assert aligned("abcd", "abXcd") == [(0, 0), (1, 1), (2, 3), (3, 4)]
    assert aligned("ab", "") == []
    assert aligned([" a", "b"], ["a", "b"]) == [(1, 1)]


def test_figures_of_a_text_are_those_of_its_definition(tiny_model: LoadedModel) -> None:
    ids = tiny_model.encode("Once upon a time")
    stats = token_stats(tiny_model, ids)
    tokens = tiny_model.to_input(ids)
    loss = torch.nn.functional.cross_entropy(
        logits(tiny_model, tokens)[0, :-1].double(), tokens[0, 1:]
    )
    assert stats.mean_loss == pytest.approx(float(loss), abs=1e-5)
    assert stats.perplexity == pytest.approx(math.exp(float(loss)), rel=1e-5)
    np.testing.assert_allclose(2.0**-stats.surprise, stats.prob, rtol=1e-5)


@pytest.mark.parametrize("colour", SCALES)
def test_a_larger_value_has_a_stronger_colour(colour: Colour) -> None:
    model = load_model(STORYBOOK)
    stats = token_stats(model, model.encode("Once upon a time, Tom ate a zebra."))
    steps = colour_steps(stats, colour)
    order = np.argsort(values(stats, colour))
    assert sorted(steps) == [steps[i] for i in order]
    assert len(set(steps)) > 1


def test_csv_has_a_row_a_token_and_the_text_in_it(tiny_model: LoadedModel) -> None:
    text = 'a "b", c\n한국어 =1+1'
    ids = tiny_model.encode(text)
    stats = token_stats(tiny_model, ids)
    rows = list(csv.DictReader(io.StringIO(stats_csv(tiny_model, stats))))
    assert "".join(row["token"] for row in rows) == text
    assert [int(row["token_id"]) for row in rows] == ids
    assert [int(row["rank"]) for row in rows] == stats.rank.tolist()


def test_html_has_the_text_and_nothing_that_runs(tiny_model: LoadedModel) -> None:
    ids = tiny_model.encode(f"{HOSTILE} 한국어")[:60]
    stats = token_stats(tiny_model, ids)
    steps = colour_steps(stats, "log_prob")
    page = stats_html(tiny_model, stats, steps, "<b>legend</b>", "ko")
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "default-src 'none'" in page
    assert 'lang="ko"' in page
    assert page.count('<span class="s') == len(ids)
    assert not re.search(r"(?:src|href)=\"", page)


def test_circuitsvis_is_inlined_and_no_token_ends_its_script() -> None:
    tokens = torch.tensor([0, 1, 2, 3])
    log_probs = torch.randn(4, 320).log_softmax(-1)
    body = circuitsvis_log_probs(tokens, log_probs, lambda _: HOSTILE)
    assert body.count("</script>") == 1
    assert "alert(1)" in body
    assert "<img src=x" not in body
    assert "unpkg.com" not in body.rpartition("CircuitsVis.render(")[2]
    properties = body.rpartition("TokenLogProbs,")[2].rpartition(")")[0]
    assert json.loads(properties)["prompt"] == [HOSTILE] * 4

    attention = circuitsvis_attention([HOSTILE] * 2, torch.rand(3, 2, 2))
    assert attention.count("</script>") == 1
    properties = attention.rpartition("AttentionHeads,")[2].rpartition(")")[0]
    shown = json.loads(properties)
    assert shown["tokens"] == [HOSTILE] * 2
    assert np.shape(shown["attention"]) == (3, 2, 2)


def test_command_writes_what_the_page_writes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--seed", "5", "--max-new-tokens", "9", "--temperature", "0.7"]
    assert main(["generate", "Once upon a time", *arguments]) == 0
    model = load_model(STORYBOOK)
    settings = GenerateSettings(seed=5, max_new_tokens=9, temperature=0.7)
    prompt = prepare_prompt(model, "Once upon a time", 9)
    ids = [*prompt.ids, *generate_stream(model, prompt.ids, settings)]
    assert capsys.readouterr().out == model.decode(ids) + "\n"
    assert main(["generate", "Once", "--samples", "3", "--max-new-tokens", "3"]) == 0
    assert capsys.readouterr().out.count("--- seed ") == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "a", "--samples", "11"],
        ["generate", "a", "--temperature", "nan"],
        ["generate", "a" * 200_001],
        ["ranks", "a"],
        ["ranks", "a", ""],
        ["ranks", "--suite", "/nowhere/suite.csv"],
        ["ranks", "a", "b", "--model", "/nowhere"],
    ],
)
def test_command_refuses_in_one_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr().err.strip()
    assert said
    assert "Traceback" not in said


def test_command_ranks_answers_and_suites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = "Once upon a time, there was a little girl named Lily. One day,"
    assert main(["ranks", prompt, "Lily", "she"]) == 0
    out = capsys.readouterr().out
    model = load_model(STORYBOOK)
    for answer in ("Lily", "she"):
        assert f"rank {answer_ranks(model, prompt, answer).rank:,}  " in out
    suite, result = tmp_path / "suite.csv", tmp_path / "out.csv"
    suite.write_text(f'prompt,answer\n"{prompt}",Lily\nx,\n', encoding="utf-8")
    assert main(["ranks", "--suite", str(suite), "--out", str(result)]) == 0
    rows = list(csv.DictReader(io.StringIO(result.read_text(encoding="utf-8"))))
    assert rows[0]["rank"] == str(answer_ranks(model, prompt, "Lily").rank)
    assert rows[1]["problem"]


def test_a_line_break_that_could_come_next_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(
        distribution, "_COMPONENT", lambda key, data: sent.append({key: data})
    )
    candidates = [Candidate(text, 0.5, 0.5) for text in ("\n", " She")]
    distribution_chart(candidates, key="next")
    # The space is drawn: the label keeps it.
    assert [row[0] for row in sent[0]["next"]["rows"]] == ["↵", " She"]
