"""Training one's own: the tutorial's questions, put to the reader's run or to the SAE
that is chosen."""

import random
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import InputError, MissingError
from tinysae.lessons.calls.cases import read_name
from tinysae.lessons.calls.model_cache import kept_with_model
from tinysae.lessons.calls.results import Bars, Result, Stage, Table, named_bars, sae_of
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import as_word

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_SAMPLES: Final = 3
N_NEW: Final = 32
N_FEATURES: Final = 10
N_PROMOTED: Final = 10
BEYOND: Final = 0.95
"""Of random directions: what stands out stands out from so many of them."""
N_COUNTED: Final = 500
"""Features: the share that stand out is then known to 0.02."""
N_AT_ONCE: Final = 64
N_DIRECTIONS: Final = 1_000
"""So that the share above the bar is known to 0.007."""
BAR_SEED: Final = 40_031
N_CONTEXTS: Final = 2
"""Of held-out text: enough to tell an SAE that works from one that does not."""
EVAL_SEED: Final = 40_030
CURVES: Final = ("mse", "l0", "explained_variance")


def samples(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """How many completions of the story say the name again; control: another name."""
    from tinysae.model.text.generate import (
        GenerateSettings,
        generate_stream,
        sample_seed,
    )

    model = stage.model
    ids, _ = read_name(model, template, name)
    texts = []
    for number in range(N_SAMPLES):
        settings = GenerateSettings(max_new_tokens=N_NEW, seed=sample_seed(42, number))
        texts.append(
            model.decode(list(generate_stream(model, ids, settings)), after=ids)
        )
    said = sum(name in text for text in texts)
    control = sum(other in text for text in texts)
    rows = [[str(number), text] for number, text in enumerate(texts, 1)]
    return Result(
        {"said": said / N_SAMPLES, "said_other": control / N_SAMPLES},
        {
            "name": name,
            "other": other,
            "said": str(said),
            "n": str(N_SAMPLES),
            "control": str(control),
        },
        [Table("samples", ["number", "text"], rows)],
    )


def curve(stage: Stage, *, metric: str) -> Result:
    """How a curve of the reader's run goes, from its first row to its newest."""
    from tinysae.runs.metrics import read_metrics

    if stage.run is None:
        raise MissingError("lesson_needs_run")
    if metric not in CURVES:
        raise InputError("lesson_choice", value=metric[:40])
    rows = read_metrics(stage.run.metrics_path).rows
    if not rows:
        raise MissingError("lesson_run_empty")
    values = [float(row.get(metric, 0.0)) for row in rows]
    begin, end = values[0], values[-1]
    places = np.linspace(0, len(values) - 1, min(12, len(values))).round().astype(int)
    config = stage.run.config
    n_tokens = config.total_training_steps * config.train_batch_size_tokens
    done = min(1.0, rows[-1]["n_tokens"] / max(1, n_tokens))
    return Result(
        {"begin": begin, "end": end, "fell": begin - end},
        {
            "begin": signed(begin),
            "end": signed(end),
            "step": f"{rows[-1]['step']:,}",
            "share": percent(done),
            "tokens": f"{rows[-1]['n_tokens']:,}",
        },
        [
            Bars(
                f"curve_{metric}",
                [f"{rows[i]['step']:,}" for i in places],
                [values[i] for i in places],
            )
        ],
    )


@kept_with_model(4)
def _contexts(model: "LoadedModel", size: int) -> NDArray[np.int32]:
    """Held-out stories [N_CONTEXTS, size], the same for every SAE."""
    from tinysae.config import TextChoice
    from tinysae.data.corpus import token_chunks
    from tinysae.data.texts.storybook import STORYBOOK

    chunks = token_chunks(
        model, TextChoice(STORYBOOK), size, seed=EVAL_SEED, held_out=True
    )
    return np.stack(list(islice(chunks, N_CONTEXTS)))


class _Shuffled:
    """An SAE whose features write one another's directions: it knows nothing."""

    def __init__(self, sae: "SAE") -> None:
        import torch

        self._sae = sae
        self.d_in, self.d_sae, self.hook_name = sae.d_in, sae.d_sae, sae.hook_name
        generator = torch.Generator().manual_seed(0)
        self._order = torch.randperm(sae.d_sae, generator=generator)

    def encode(self, x: "Tensor", /) -> "Tensor":
        return self._sae.encode(x)

    def decode(self, acts: "Tensor", /) -> "Tensor":
        return self._sae.decode(acts[..., self._order])


def went_well(stage: Stage) -> Result:
    """How much of the model's skill is left with the SAE in the hook's place; control:
    the same SAE with its features' directions shuffled."""
    import torch

    from tinysae.sae.evaluate import evaluate

    model, sae = stage.model, sae_of(stage)
    batches = [_contexts(model, min(sae.context_size or 256, model.n_ctx))]
    with torch.inference_mode():
        own = evaluate(sae, model, batches, n_ce_batches=len(batches))
        shuffled = evaluate(_Shuffled(sae), model, batches, n_ce_batches=len(batches))
    return Result(
        {
            "recovered": own.ce_loss_score,
            "recovered_shuffled": shuffled.ce_loss_score,
            "explained": own.explained_variance,
        },
        {
            "recovered": percent(own.ce_loss_score),
            "control": percent(shuffled.ce_loss_score),
            "l0": f"{own.l0:.0f}",
            "explained": percent(own.explained_variance),
            "d_sae": f"{sae.d_sae:,}",
        },
        [
            named_bars(
                "recovered", own=own.ce_loss_score, shuffled=shuffled.ce_loss_score
            )
        ],
    )


def ten_features(stage: Stage, *, seed: int) -> Result:
    """Ten random features and the tokens each promotes; and of `N_COUNTED` features the
    share that stand out: their first token is further above the rest than with `BEYOND`
    of random directions. Control: as many other random directions.

    Heights are in standard deviations over the vocabulary.
    """
    import torch

    model, sae = stage.model, sae_of(stage)
    if sae.d_in != model.d_model:
        raise InputError("lesson_no_hook", hook=sae.hook_name)
    drawn = random.Random(seed).sample(range(sae.d_sae), min(N_COUNTED, sae.d_sae))
    features = drawn[:N_FEATURES]
    bar = _bar(model)
    generator = torch.Generator().manual_seed(seed)
    others = torch.randn(len(drawn), sae.d_in, generator=generator)
    with torch.inference_mode():
        heights, tokens = _promoted(model, sae.W_dec[drawn])
        control, _ = _promoted(model, others)
    standing, by_chance = float((heights > bar).mean()), float((control > bar).mean())
    rows = [
        [as_word(model.token_text(int(token))) for token in column]
        for column in tokens[: len(features)].T.tolist()
    ]
    heads = [f"#{feature}" for feature in features]
    shown = heights[: len(features)]
    return Result(
        {"standing": standing, "standing_random": by_chance},
        {
            "n": str(len(features)),
            "n_standing": str(int((shown > bar).sum())),
            "n_counted": str(len(drawn)),
            "standing": percent(standing),
            "control": percent(by_chance),
            "beyond": str(round(100 * BEYOND)),
        },
        [
            Table("ten", heads, rows),
            Bars("height", ["chance", *heads], [bar, *shown.tolist()], named=True),
        ],
    )


def _promoted(
    model: "LoadedModel", directions: "Tensor"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """How far the token that each direction [n, d_model] promotes most stands above the
    rest [n], and the `N_PROMOTED` that it promotes most [n, N_PROMOTED]."""
    heights, tokens = [], []
    # A vocabulary may be large: not all at once.
    for part in directions.split(N_AT_ONCE):
        logits = part @ model.W_U.float().cpu()
        z = (logits - logits.mean(-1, keepdim=True)) / logits.std(-1, keepdim=True)
        top = z.topk(N_PROMOTED)
        heights.append(top.values[:, 0].numpy())
        tokens.append(top.indices.numpy())
    return np.concatenate(heights), np.concatenate(tokens)


@kept_with_model(4)
def _bar(model: "LoadedModel") -> float:
    """The height that `BEYOND` of random directions stay below."""
    import torch

    generator = torch.Generator().manual_seed(BAR_SEED)
    directions = torch.randn(N_DIRECTIONS, model.d_model, generator=generator)
    with torch.inference_mode():
        return float(np.quantile(_promoted(model, directions)[0], BEYOND))
