"""Every family of tokenizers, in five scripts, through whatever shows, ranks, searches,
steers or saves text."""

import csv
import io
import re
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from benchmarks.printed_ranks import RANKED, printed
from tests.builders import write_sae
from tests.unit.tokenizer_families import FAMILIES, SPECIAL, TEXTS, Text, build_family
from tinysae.__main__ import main
from tinysae.cli import exploring
from tinysae.errors import InputError
from tinysae.features.index.build import build_index
from tinysae.features.index.search import by_text, find_tokens
from tinysae.features.why.attribution import attribute
from tinysae.features.why.steering import Steer, SteeredStrip
from tinysae.library.export import ExportOptions, export_html
from tinysae.model.forward import logits
from tinysae.model.sources import LoadedModel, load_model
from tinysae.model.text import generate
from tinysae.model.text.continuing import continuation, spelling
from tinysae.model.text.generate import GenerateSettings, Writing, generate_stream
from tinysae.model.text.heatmap_file import stats_csv, stats_html
from tinysae.model.text.logprobs import token_stats
from tinysae.model.text.prompt import prepare_prompt, prompt_with_room
from tinysae.model.text.ranks import answer_ranks
from tinysae.model.text.recipe import generate_code, ranks_code
from tinysae.model.text.suite import Row, parse_csv, run_suite, summary, to_csv
from tinysae.model.text.typed_token import one_token
from tinysae.render.visible import harmless, visible
from tinysae.sae.load import SAE, load_sae
from tinysae.ui.why.ask import own_text
from tinysae.ui.write.heatmap import heatmap_tokens

HOOK = "blocks.1.hook_resid_post"
N_NEW = 6
ENGLISH = TEXTS[0]

each_text = pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.answer)


@pytest.fixture(scope="module", params=FAMILIES)
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return build_family(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    return load_model(str(folder))


@pytest.fixture(scope="module")
def sae(model: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> SAE:
    metadata = {"hook_name": HOOK, "model_name": model.source}
    return load_sae(write_sae(tmp_path_factory.mktemp("sae"), metadata=metadata))


def is_byte(model: LoadedModel, token: int) -> bool:
    """Whether it is one of the bytes that a vocabulary falls back on."""
    return re.fullmatch("<0x..>", model.backend.id_to_token(token) or "") is not None


@each_text
def test_tokens_side_by_side_are_the_text(model: LoadedModel, text: Text) -> None:
    whole = " ".join(text)
    ids = model.encode(whole)
    assert "".join(model.token_texts(ids)) == model.decode(ids) == whole
    assert model.backend.decode(ids, skip_special_tokens=False) == whole


@each_text
def test_tokens_by_themselves_say_the_text_with_its_spaces(
    model: LoadedModel, text: Text
) -> None:
    ids = model.encode(" ".join(text))
    joined = "".join(model.vocabulary.texts(ids))
    assert joined.removeprefix(" ") == " ".join(text)


@each_text
def test_a_text_cut_anywhere_has_its_space(model: LoadedModel, text: Text) -> None:
    ids = model.encode(" ".join(text))
    for at in range(len(ids) + 1):
        given, rest = ids[:at], ids[at:]
        if model.decode(given).endswith("\ufffd"):
            # In the middle of a character.
            continue
        both = model.decode(given) + model.decode(rest, after=given)
        assert both == " ".join(text)
    own = model.encode(text.prompt)
    assert model.decode(ids[len(own) :], after=own) == f" {text.answer}"


@each_text
def test_a_prompt_is_not_cut_in_the_middle_of_a_character(
    model: LoadedModel, text: Text
) -> None:
    long = " ".join([*text] * 30)
    for n_room in range(8):
        prompt = prompt_with_room(model, long, n_room)
        assert prompt.n_cut
        assert "\ufffd" not in model.decode(prompt.ids)
        start = prepare_prompt(model, long, n_room, "start")
        assert long.startswith(model.decode(start.ids))


@each_text
def test_what_is_written_goes_on_from_the_prompt(
    model: LoadedModel, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = prepare_prompt(model, text.prompt, N_NEW)
    wanted = model.encode(" ".join(text))[len(prompt.ids) :]
    drawn = iter(wanted)
    monkeypatch.setattr(generate, "_drawn", lambda *_: next(drawn))
    settings = GenerateSettings(max_new_tokens=len(wanted), stop_at_eos=False)
    writing = Writing(model, prompt, settings)
    while writing.step():
        pass
    assert writing.ids == wanted
    assert writing.text == f" {text.answer}"


@each_text
def test_the_command_writes_the_prompts_space(
    folder: Path, model: LoadedModel, text: Text, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = GenerateSettings(max_new_tokens=N_NEW)
    ids = model.encode(text.prompt)
    written = list(generate_stream(model, ids, settings))
    arguments = [text.prompt, "--max-new-tokens", f"{N_NEW}", "--model", str(folder)]
    assert main(["generate", *arguments]) == 0
    expected = text.prompt + model.decode(written, after=ids)
    # Random models write control characters, too.
    assert capsys.readouterr().out == f"{harmless(expected)}\n"
    assert model.decode([*ids, *written]) == expected


@each_text
def test_a_steered_text_goes_on_from_the_prompt(
    model: LoadedModel, sae: SAE, text: Text
) -> None:
    prompt = prepare_prompt(model, text.prompt, N_NEW)
    settings = GenerateSettings(max_new_tokens=N_NEW, stop_at_eos=False)
    strip = SteeredStrip(model, prompt, settings, sae, [Steer(1, 0.5, 5.0)], [0, 1])
    while strip.step():
        pass
    for sample in strip.samples():
        whole = model.decode([*prompt.ids, *sample.ids])
        assert text.prompt + sample.text == whole


@each_text
def test_an_answer_is_what_the_prompt_goes_on_with(
    model: LoadedModel, text: Text
) -> None:
    own = model.encode(text.prompt)
    whole = model.encode(" ".join(text))
    ranks = answer_ranks(model, text.prompt, text.answer)
    answer = [token.token_id for token in ranks.tokens]
    assert [*own, *answer] == whole
    assert (list(ranks.prompt.ids), ranks.merges) == (own, False)
    said = logits(model, model.to_input(whole))[0, len(own) : -1].softmax(-1)
    probs = [float(row[token]) for row, token in zip(said, answer, strict=True)]
    assert [token.prob for token in ranks.tokens] == pytest.approx(probs, rel=1e-3)
    spaced = answer_ranks(model, text.prompt, f" {text.answer}", prepend_space=False)
    assert spaced == ranks


def test_a_suite_ranks_as_each_row_alone(model: LoadedModel) -> None:
    results = list(run_suite(model, [Row(*text) for text in TEXTS]))
    alone = [answer_ranks(model, *text) for text in TEXTS]
    assert [each.ranks for each in results] == alone
    figures = summary(results)
    assert figures is not None
    assert figures.n == len(TEXTS)
    saved = to_csv(model, results)
    assert parse_csv(saved) == [Row(*text) for text in TEXTS]
    top = [row["top_token"] for row in csv.DictReader(io.StringIO(saved))]
    best = [model.token_text(ranks.top[0][0].token_id) for ranks in alone]
    assert top == [harmless(text) for text in best]


def test_an_answer_that_would_melt_into_the_prompt_says_so(model: LoadedModel) -> None:
    # "Lily" is one token of all of these, "Li" is not its beginning.
    ranks = answer_ranks(model, "a girl named Li", "ly", prepend_space=False)
    assert ranks.merges
    assert list(ranks.prompt.ids) == model.encode("a girl named Li")
    found = continuation(model, "a girl named", " Lily")
    assert not found.merges


def test_the_command_says_where_an_answer_would_melt(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--no-space", "--model", str(folder)]
    assert main(["ranks", "a girl named Li", "ly", *options]) == 0
    said = capsys.readouterr()
    assert "“ly” would be other tokens" in said.err
    assert main(["ranks", *ENGLISH, "--model", str(folder)]) == 0
    said = capsys.readouterr()
    assert "would be other tokens" not in said.err
    assert said.out.startswith("“␣Lily”")


def test_an_answer_without_a_prompt_has_one_space(model: LoadedModel) -> None:
    ranks = answer_ranks(model, "", "Lily")
    texts = [model.token_text(token.token_id) for token in ranks.tokens]
    assert "".join(texts) == " Lily"
    assert not ranks.merges


@pytest.mark.parametrize("text", [" Lily", " girl, and", "."])
def test_ids_that_spell_a_text_say_no_more(model: LoadedModel, text: str) -> None:
    assert "".join(map(model.token_text, spelling(model, text))) == text


@each_text
def test_a_tokens_text_finds_it_again(model: LoadedModel, text: Text) -> None:
    vocabulary = model.vocabulary
    for token in model.encode(" ".join(text)):
        own = model.token_text(token)
        found = vocabulary.find(own)
        assert found is not None
        assert vocabulary.text(found) == own
        if not re.fullmatch(r"(\\x..)+", own):
            assert found == token or not is_byte(model, found)


def test_every_token_is_found_by_what_pages_show(model: LoadedModel) -> None:
    vocabulary = model.vocabulary
    assert len(vocabulary) == model.d_vocab
    for token in range(model.d_vocab):
        own = model.token_text(token)
        for typed in (own, visible(own)):
            found = vocabulary.find(typed)
            assert found is not None
            assert typed in (vocabulary.text(found), visible(vocabulary.text(found)))
    assert vocabulary.find("no such token") is None


@pytest.mark.parametrize("typed", [".", ",", " Lily", "Lily", "␣Lily"])
def test_a_typed_token_is_the_one_that_text_has(model: LoadedModel, typed: str) -> None:
    within = model.encode("Lily named Lily, and Lily.")
    found = one_token(model, typed, torch.zeros(model.d_vocab))
    assert found in within
    assert model.token_text(found).strip() == typed.strip(" ␣")
    assert not is_byte(model, found)
    told = attribute(model, model.encode(ENGLISH.prompt), found)
    assert abs(told.remainder(told.components)) < 1e-3


def test_what_is_no_token_is_refused(model: LoadedModel) -> None:
    with pytest.raises(InputError, match="not one token"):
        one_token(model, "zzqq", torch.zeros(model.d_vocab))


def test_a_word_and_its_beginning_are_two_texts(model: LoadedModel) -> None:
    """With its space a token is another than without."""
    texts = [model.token_text(token) for token in range(model.d_vocab)]
    real = [t for i, t in enumerate(texts) if not is_byte(model, i)]
    assert len(set(real)) == len(real)
    assert any(text.startswith(" ") for text in real)


@pytest.mark.parametrize("query", [".", ",", "Lily", " Lily", "girl"])
def test_a_search_takes_the_token_that_text_has(model: LoadedModel, query: str) -> None:
    within = model.encode("Lily named a girl, and Lily. girl")
    found = find_tokens(model.vocabulary, query)
    assert found.token in within
    assert not is_byte(model, found.token)


@each_text
def test_a_text_is_searched_as_it_is_read(
    model: LoadedModel, sae: SAE, text: Text
) -> None:
    found = by_text(sae, model, " ".join(text))
    assert "".join(found.tokens) == " ".join(text)
    assert found.hits


def test_a_search_says_which_token_it_found_even_of_half_a_character(
    folder: Path, tmp_path: Path
) -> None:
    metadata = {"hook_name": HOOK, "model_name": str(folder)}
    source = SimpleNamespace(sae_dir=write_sae(tmp_path, metadata=metadata))
    index = SimpleNamespace(info=SimpleNamespace(model=str(folder)))
    rows = list(exploring._by_text(cast("Any", source), cast("Any", index), "릴리 लि"))
    assert rows
    assert all(re.search("“.+”", found) for _, found in rows)


@each_text
def test_saved_figures_have_the_texts_tokens(model: LoadedModel, text: Text) -> None:
    ids = model.encode(" ".join(text))
    stats = token_stats(model, ids)
    table = csv.DictReader(io.StringIO(stats_csv(model, stats)))
    assert "".join(row["token"] for row in table) == " ".join(text)
    page = stats_html(model, stats, [0] * len(ids), "legend", "en")
    spans = re.findall(r'<span class="s0" title="[^"]*">([^<]*)</span>', page)
    # A token that is only the beginning of a character is a dot.
    assert "".join(spans).replace("·", "") == " ".join(text)


def test_a_space_that_begins_a_text_is_no_part_of_a_character(
    model: LoadedModel,
) -> None:
    stats = token_stats(model, model.encode(" Lily 릴리"))
    drawn = heatmap_tokens(model, stats, -1)
    assert "".join(token.text for token in drawn) == model.decode(stats.ids.tolist())
    for token, token_id in zip(drawn, stats.ids.tolist(), strict=True):
        part = dict(token.details).get("Part of a character, bytes")
        own = model.vocabulary.token_bytes[token_id]
        # In UTF-8 every byte of 릴 and 리 is above 0x7F.
        assert (part is not None) == (not token.text and own[-1:] > b"\x7f")


def test_a_saved_index_names_what_separates_this_models_texts(
    model: LoadedModel, sae: SAE, tmp_path: Path
) -> None:
    ids = np.array(model.encode(" ".join(ENGLISH))[:11], np.int32)
    chunk = np.array([model.bos_id, *ids], np.int32)
    index = build_index(sae, model, iter([chunk] * 8), tmp_path, n_tokens=8 * 12)
    page = export_html(index, [1], ExportOptions("mine"))
    assert index.bos_text == SPECIAL[1]
    assert "&lt;s&gt;" in page
    assert "endoftext" not in page
    first = index.feature(1).contexts[0]
    asked = own_text(model, first._replace(position=len(ids)))
    assert model.encode(asked) == ids.tolist()
    assert "".join(first.texts).startswith(f"{SPECIAL[1]}")
    assert " ".join(ENGLISH).startswith(
        "".join(first.texts).removeprefix(SPECIAL[1]).removeprefix(" ")
    )


def test_copied_code_says_what_the_page_said(
    model: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = GenerateSettings(max_new_tokens=N_NEW, stop_at_eos=False)
    prompt = prepare_prompt(model, ENGLISH.prompt, N_NEW)
    ids = list(islice(generate_stream(model, prompt.ids, settings), N_NEW))
    expected = model.decode(ids, after=prompt.ids)
    capsys.readouterr()
    code = generate_code(model, prompt, ENGLISH.prompt, settings, 1)
    exec(compile(code, "recipe", "exec"), {})
    assert capsys.readouterr().out == f"{expected}\n"
    code = ranks_code(model, ENGLISH.prompt, [ENGLISH.answer], True)
    exec(compile(code, "recipe", "exec"), {})
    theirs = [token.rank for token in printed(capsys.readouterr().out, RANKED)]
    ranks = answer_ranks(model, *ENGLISH)
    assert theirs == [token.rank for token in ranks.tokens]
