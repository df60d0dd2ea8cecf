"""A model card says what is known of an SAE, and nothing else gets into it."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.builders import write_sae
from tinysae.config import TrainConfig
from tinysae.library.card import FORMULAS, CardFacts, model_card
from tinysae.library.saved import add_sae
from tinysae.library.share import local_paths
from tinysae.sae.evaluate import Evaluation
from tinysae.words import LANGUAGES, text

FIGURES = Evaluation(
    *(0.99, 2.5, 2.6, 9.0, 0.98, 0.1, 5.0, 0.9, 1.5, 20.0, 3, 2, 64, 99),
    *(0.01, 0.98, 32, 320, 5.7, 20.0, 6.0, 9),
)
HOSTILE = "<script>x</script>\n---\nlicense: evil | `` [a](http://b) #"
CFG = {
    "architecture": "standard",
    "d_in": 32,
    "d_sae": 64,
    "metadata": {"hook_name": "blocks.0.hook_mlp_out", "model_name": "owner/model"},
}


def facts(**more: object) -> CardFacts:
    given = {
        "title": HOSTILE,
        "cfg": CFG,
        "config": TrainConfig(model_name="/home/me/secret/place/my-model"),
        "figures": FIGURES.to_json(),
        "made_with": {"git": "abc", "packages": {"torch": "2.9", HOSTILE: HOSTILE}},
        "repo_id": "reader/mine",
        "folder": "blocks.0.hook_mlp_out",
        "dashboard": "blocks.0.hook_mlp_out/dashboard.html",
    }
    return CardFacts(**{**given, **more})  # pyright: ignore[reportArgumentType]


def test_it_has_every_figure_with_its_formula_and_three_lines_to_load_it() -> None:
    for language in LANGUAGES:
        card = model_card(facts(), language)
        for name, formula in FORMULAS.items():
            value = FIGURES.to_json()[name]
            shown = f"{value:.1%}" if name.endswith("_share") else f"{value:.4g}"
            assert f"| {name} | {shown} | `{formula}` |" in card
        call = 'SAE.from_pretrained("reader/mine", "blocks.0.hook_mlp_out")'
        assert f"from sae_lens import SAE\n\nsae = {call}" in card
        assert "CE_clean = 2.5000" in card
        assert "| torch | `2.9` |" in card


def test_it_says_which_text_the_features_were_collected_from_and_only_what_is_known():
    for language in LANGUAGES:
        for is_unseen, key in ((True, "unseen"), (False, "unsure")):
            given = facts(dashboard_text="my [stories].txt", is_unseen=is_unseen)
            said = text(f"card.dashboard_{key}", language, text=r"my \[stories\].txt")
            assert said in model_card(given, language)
        assert "stories" not in model_card(facts(dashboard=""), language)


def test_its_first_lines_are_what_the_hub_reads() -> None:
    parts = model_card(facts(), "en").split("---\n")
    data = yaml.safe_load(parts[1])
    assert data["license"] == "mit"
    assert data["library_name"] == "saelens"
    assert "sae-lens" in data["tags"]
    assert data["base_model"] == "owner/model"


def test_no_name_becomes_markup_and_no_path_is_told() -> None:
    card = model_card(facts(), "en")
    assert "<script>" not in card
    # In code there is no markup.
    assert "](http" not in re.sub("`[^`\n]*`", "", card)
    assert "license: evil" not in card.split("# ")[0]
    assert "/home/me" not in card
    assert "`my-model`" in card
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    # A bar in a name would be one more column.
    assert {line.replace("\\|", "").count("|") for line in lines} <= {3, 4}


@pytest.mark.parametrize(
    "path",
    [
        "/srv/clients/x.txt",
        "~/clients/x.txt",
        "./clients/x.txt",
        "clients/x.txt",
        "..\\clients\\x.txt",
        "C:\\clients\\x.txt",
        "C:/clients/x.txt",
        "file:///clients/x.txt",
    ],
)
def test_what_the_card_hides_of_a_path_the_upload_warns_of(
    tiny_home: Path, path: str
) -> None:
    card = model_card(facts(config=TrainConfig(dataset_path=path)), "en")
    assert "clients" not in card
    assert "`x.txt`" in card
    folder = write_sae(tiny_home / "saes" / "mine")
    cfg = json.loads((folder / "cfg.json").read_text())
    cfg["metadata"] |= {"model_name": "owner/model", "dataset_path": "owner/text"}
    (folder / "cfg.json").write_text(json.dumps(cfg))
    (folder / "runner_cfg.json").write_text("{}")
    run = add_sae(str(folder))
    assert local_paths(run) == []
    # Neither at the top nor in SAELens's other file.
    runner = {"data": [{"dataset_path": path}]}
    (folder / "runner_cfg.json").write_text(json.dumps(runner))
    assert local_paths(run) == [path]
    (folder / "runner_cfg.json").unlink()
    cfg["metadata"]["dataset_path"] = path
    (folder / "cfg.json").write_text(json.dumps(cfg))
    assert local_paths(run) == [path]


def test_of_an_sae_from_elsewhere_it_says_only_what_its_files_say() -> None:
    card = model_card(CardFacts("x", CFG, folder="x"), "en")
    assert 'SAE.load_from_disk("x")' in card
    assert "Settings" not in card
    assert "Formula" not in card
