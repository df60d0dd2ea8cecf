"""The storybook: what its stories promise, and what the shipped model promises."""

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tinysae.data.storybook.generator import (
    Story,
    is_held_out,
    plain,
    stories,
    token_concepts,
    word_spans,
)
from tinysae.data.storybook.plots import PLOTS
from tinysae.data.storybook.slots import SLOT_VALUES
from tinysae.data.storybook.templates import parse, render
from tinysae.data.storybook.words import (
    BOY_NAMES,
    CONCEPTS,
    GIRL_NAMES,
    LEXICON,
    PET_NAMES,
)

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "tinysae" / "embedded" / "assets" / "storybook"

PLOT_VALUES = {plot.name: plot.values() for plot in PLOTS}


@pytest.fixture(scope="module")
def told() -> list[Story]:
    return list(islice(stories(7), 1500))


@pytest.fixture(scope="module")
def kept_back() -> list[Story]:
    return list(islice(stories(7, held_out=True), 300))


def cast_of(story: Story) -> tuple[str, str, str]:
    plot = next(plot for plot in PLOTS if plot.name == story.slots["plot"])
    thing = story.slots[plot.key]
    value = next(v for v in PLOT_VALUES[plot.name][plot.key] if plain(v) == thing)
    return (story.name, story.slots[plot.second], value)


# --- templates ----------------------------------------------------------------------


def first(source: str, draw: float = 0.0, **forms: str) -> str:
    return render(parse(source, {"m": "A. [B.|]"}), forms, lambda: draw).text


@pytest.mark.parametrize(
    ("source", "with_it", "without_it"),
    [
        ("so [very|] happy", "so very happy", "so happy"),
        ("ran [fast|].", "ran fast.", "ran."),
        ("A. [B. [C.|]|] [D.|] E", "A. B. C. D. E", "A. E"),
        ("<m> Z", "A. B. Z", "A. Z"),
        ("X [Y.|<m>] Z", "X Y. Z", "X A. Z"),
    ],
)
def test_an_optional_wording_leaves_no_double_space(
    source: str, with_it: str, without_it: str
) -> None:
    assert first(source) == with_it
    assert first(source, 0.999) == without_it


@pytest.mark.parametrize("source", ["a [b", "a ] b", "a {b", "<unknown> b"])
def test_a_template_that_is_not_one_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"template|without|macro"):
        parse(source, {})


def test_a_cue_is_the_space_before_the_name() -> None:
    template = parse("In the end, {N!} slept. Now {she!} slept.", {})
    story = render(template, {"N": "Lily", "she": "she"}, lambda: 0.0)
    assert story.text[story.name_cues[0] :].startswith(" Lily")
    assert story.text[: story.pronoun_cues[0]].endswith(" Now")


# --- stories ------------------------------------------------------------------------


def test_there_is_as_much_in_the_storybook_as_promised(told: list[Story]) -> None:
    assert len({story.slots["plot"] for story in told}) == len(PLOTS) >= 30
    assert {story.name for story in told} == {*GIRL_NAMES, *BOY_NAMES}
    assert len({*GIRL_NAMES, *BOY_NAMES, *PET_NAMES}) >= 40
    seen: Counter[str] = Counter()
    for story in told:
        for span in story.spans:
            seen.update(span.concepts)
    assert seen.keys() == CONCEPTS.keys()
    assert len(CONCEPTS) >= 60
    assert all(description for description in CONCEPTS.values())


def test_stories_have_60_to_250_words(told: list[Story]) -> None:
    assert all(60 <= len(story.text.split()) <= 250 for story in told)


def test_stories_are_well_spelt(told: list[Story]) -> None:
    wrong = re.compile(
        r"  | [.,!?]|[{}\[\]|<>]|\b[aA] [aeiou]|\b[aA]n [^aeiou]|[.!?] [a-z]|[.,!?][.,]"
        r"|(?i:\b(\w+) \1\b(?! and|\.))"
    )
    allowed = {"that", "her", "very"}
    for story in told:
        match = wrong.search(story.text)
        assert match is None or (match[1] or "").lower() in allowed, story.text
        assert story.text.count('"') % 2 == 0
        assert story.text.endswith((".", "!", '"'))


def test_the_protagonist_keeps_name_and_pronoun(told: list[Story]) -> None:
    for story in told:
        assert story.pronoun == ("she" if story.name in GIRL_NAMES else "he")
        introduction = f"girl {story.name}", f"boy {story.name}"
        intro = re.search(r"(girl|boy) (?:named|called) (\w+)", story.text)
        assert intro is not None, story.text
        assert intro[2] == story.name
        assert (intro[1] == "girl") == (story.name in GIRL_NAMES), introduction
        for cue in story.name_cues:
            assert story.text.startswith(f" {story.name}", cue)
        for cue in story.pronoun_cues:
            assert story.text.startswith(f" {story.pronoun} ", cue)


def test_pronouns_agree_with_every_child_of_the_story(told: list[Story]) -> None:
    for story in told:
        people = {story.name, story.slots.get("friend", story.name)}
        grown = {story.slots.get("adult", ""), story.slots.get("job", "")}
        girls = people & {*GIRL_NAMES} or grown & LEXICON["girl_word"]
        boys = people & {*BOY_NAMES} or grown - LEXICON["girl_word"] - {""}
        words = {word.lower() for word in re.findall(r"[A-Za-z]+", story.text)}
        # The snowman is "he" in stories without a boy, a librarian "she".
        plot = story.slots["plot"]
        strangers = plot in {"snowman", "selling_treats", "lost_at_market"}
        if not girls and plot != "torn_book":
            assert not words & LEXICON["she_pronoun"], story.text
        if not boys and not strangers:
            assert not words & LEXICON["he_pronoun"], story.text


def test_nobody_else_is_named(told: list[Story]) -> None:
    names = {*GIRL_NAMES, *BOY_NAMES, *PET_NAMES}
    for story in told:
        there = set(re.findall(r"[A-Z][a-z]+", story.text)) & names
        slots = story.slots
        assert there == {
            slots[slot] for slot in ("name", "friend", "pet_name") if slot in slots
        }, story.text


def test_a_second_character_is_named_in_every_story(told: list[Story]) -> None:
    for story in told:
        assert {"friend", "pet_name"} & story.slots.keys(), story.slots["plot"]


def test_slots_are_in_order_of_appearance_and_in_the_text(told: list[Story]) -> None:
    for story in told:
        offsets = list(story.mentions.values())
        assert offsets == sorted(offsets)
        assert list(story.slots) == ["plot", *story.mentions]
        for slot, offset in story.mentions.items():
            stem = story.slots[slot][:3].lower()
            assert stem in story.text[offset : offset + 15].lower(), (slot, story.text)


def test_most_stories_have_a_cue_in_their_second_half(told: list[Story]) -> None:
    late = [any(c > len(s.text) / 2 for c in s.name_cues) for s in told]
    assert sum(late) > 0.85 * len(told)


def test_the_same_seed_tells_the_same_in_every_process() -> None:
    code = (
        "from itertools import islice; import zlib;"
        "from tinysae.data.storybook.generator import stories;"
        "t = ''.join(s.text + repr(s.slots) for h in (0, 1) "
        "for s in islice(stories(3, held_out=bool(h)), 100));"
        "print(zlib.crc32(t.encode()))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert [s.text for s in islice(stories(3), 50)] == [
        s.text for s in islice(stories(3), 50)
    ]


# The shipped model, SAEs and indexes were made of these very stories: whoever changes
# a word of the storybook's data rebuilds them (`python -m tinysae storybook`).
SHIPPED_STORIES = "b7898aa4951c18a00c25a5df16a76686fb4c125e0d7a15e4643eeb9199fc49e8"


def test_the_stories_are_those_that_the_shipped_model_learnt_from() -> None:
    digest = hashlib.sha256(repr(CONCEPTS).encode())
    for seed, held_out in itertools.product((0, 7), (False, True)):
        for story in islice(stories(seed, held_out=held_out), 500):
            spans = [(s.start, s.end, sorted(s.concepts)) for s in story.spans]
            facts = story.text, story.slots, story.mentions, spans
            cues = story.name_cues, story.pronoun_cues
            digest.update(repr((facts, cues)).encode())
    assert digest.hexdigest() == SHIPPED_STORIES


def test_other_seeds_tell_other_stories() -> None:
    one = {story.text for story in islice(stories(1), 200)}
    assert not one & {story.text for story in islice(stories(2), 200)}


def test_held_out_casts_are_never_in_training(
    told: list[Story], kept_back: list[Story]
) -> None:
    assert all(is_held_out(cast_of(story)) for story in kept_back)
    assert not any(is_held_out(cast_of(story)) for story in told)
    trained = {frozenset(cast_of(story)) for story in told}
    assert not trained & {frozenset(cast_of(story)) for story in kept_back}


def test_whoever_is_whose_friend_does_not_matter_to_being_held_out() -> None:
    casts = [("Lily", "Ben", toy) for toy in LEXICON["toy"]]
    assert any(is_held_out(cast) for cast in casts)
    for a, b, toy in casts:
        assert is_held_out((a, b, toy)) == is_held_out((b, a, toy))


# --- concepts -----------------------------------------------------------------------


def test_every_word_is_in_the_lexicon_of_its_concepts(told: list[Story]) -> None:
    for story in told[:300]:
        end = 0
        for span in story.spans:
            assert span.start >= end
            assert not set(story.text[end : span.start]) - {" "}
            end = span.end
            word = story.text[span.start : end]
            for concept in span.concepts:
                words = LEXICON[concept]
                parts = {part for phrase in words for part in phrase.split()}
                assert word in parts or word.lower() in parts, (word, concept)
        assert end == len(story.text)


def test_the_protagonist_and_the_friend_carry_their_concepts(told: list[Story]) -> None:
    for story in told[:300]:
        for span in story.spans:
            word = story.text[span.start : span.end]
            if word in GIRL_NAMES:
                assert "girl_name" in span.concepts
            if word.lower() in ("she", "her"):
                assert "she_pronoun" in span.concepts


@pytest.mark.parametrize("slot", sorted(SLOT_VALUES))
def test_every_filler_stands_for_something(slot: str) -> None:
    for value in SLOT_VALUES[slot]:
        for span in word_spans(value.replace("+", " ").replace("/", " ")):
            assert span.concepts, (value, span)


def test_a_bear_is_an_animal_and_a_teddy_bear_a_toy() -> None:
    story = Story("A bear hid. A teddy bear hid.", {}, {}, (), ())
    concepts = {story.text[s.start : s.end] + str(s.start): s for s in story.spans}
    assert "forest_animal" in concepts["bear2"].concepts
    assert concepts["teddy14"].concepts == {"toy"}
    assert concepts["bear20"].concepts == {"toy"}


def test_tokens_carry_the_concepts_of_their_words() -> None:
    text = 'Lily didn\'t run. "Hi," she said.'
    story = Story(text, {}, {}, (), ())
    pieces = ["", "Li", "ly", " did", "n't", " run", ".", ' "', "Hi", ',"', " she"]
    offsets, at = [], 0
    for piece in pieces:
        offsets.append((at, at + len(piece)))
        at += len(piece)
    found = token_concepts(story.spans, offsets)
    assert found[0] == frozenset()
    assert found[1] == found[2] == {"girl_name"}
    assert found[3] == found[4] == {"negation", "do_verb"}
    assert found[5] == {"motion_verb"}
    assert found[6] == {"full_stop"}
    assert found[7] == {"quote_open"}
    assert found[8] == {"greeting"}
    assert found[9] == {"comma", "quote_close"}
    assert found[10] == {"she_pronoun"}


# --- tokenizer and model ------------------------------------------------------------


def test_build_is_deterministic_and_leaves_a_folder_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tinysae.embedded import train_model as train_storybook

    monkeypatch.setattr(train_storybook, "TOKENIZER_STORIES", 4000)
    monkeypatch.setattr(train_storybook, "HELD_OUT_CONTEXTS", 8)
    recipe = train_storybook.Recipe(d_model=32, n_heads=2, batch=4)
    seen: list[dict[str, object]] = []
    for name in ("one", "two"):
        facts = train_storybook.build(
            tmp_path / name,
            tokens=12 * 1024,
            seed=3,
            progress=seen.append,
            recipe=recipe,
        )
    assert facts["tokens"] == 12 * 1024
    saved = json.loads((tmp_path / "one" / "storybook.json").read_text())
    assert saved["losses"] == facts["losses"]
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        one, two = (tmp_path / name / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), file
    phases = list(dict.fromkeys(report["phase"] for report in seen))
    assert phases == ["tokenizer", "training", "evaluation"]
    losses = [r["loss"] for r in seen if r["phase"] == "training"]
    assert losses[-1] < losses[0]  # type: ignore[operator]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "one")
    assert len(tokenizer) == 2048
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert model.config.num_layers == 1


def test_build_refuses_less_than_a_step(tmp_path: Path) -> None:
    from tinysae.embedded.train_model import build

    with pytest.raises(ValueError, match="one step takes"):
        build(tmp_path, tokens=10, seed=0)


def test_every_name_is_one_token_of_the_shipped_tokenizer() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    assert len(tokenizer) == 2048
    for name in (*GIRL_NAMES, *BOY_NAMES, *PET_NAMES):
        assert len(tokenizer.tokenize(f" {name}")) == 1, name
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    specials = {
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
        tokenizer.pad_token_id,
    }
    assert specials == {end} == {0}


@pytest.mark.parametrize(
    "text", ["옛날 옛적에 릴리가 살았어요.", "🦊👩‍👩‍👧 hello\n\tworld  ", "\x00\x7f é"]
)
def test_the_shipped_tokenizer_gives_any_text_back(text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids) == text


def test_the_shipped_model_knows_more_than_pairs_of_words() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from benchmarks.storybook import ngram_losses
    from tinysae.embedded.recipe import Recipe
    from tinysae.embedded.train_model import held_out_contexts, mean_loss

    model = AutoModelForCausalLM.from_pretrained(SHIPPED)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED).backend_tokenizer
    held_out = held_out_contexts(tokenizer, 0, Recipe(), n_contexts=30)
    loss = mean_loss(model, held_out)
    # Fitted on the very text it is asked about, a bigram is better than it can be.
    _, bigram = ngram_losses(held_out.numpy(), held_out.numpy(), 2048)
    assert loss < 0.8 * bigram
    facts = json.loads((SHIPPED / "storybook.json").read_text())
    assert abs(loss - facts["losses"]["held_out"]) < 0.1
