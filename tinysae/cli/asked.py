"""What the commands about one next token share: the SAE, the model, the prompt."""

import argparse
from typing import TYPE_CHECKING, NamedTuple

from tinysae.cli.output import write_line
from tinysae.words import text

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.library.feature_source import FeatureSource
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE


class Asked(NamedTuple):
    """A prompt, and what the model says of its next token.

    log_probs: [d_vocab].
    """

    model: "LoadedModel"
    ids: tuple[int, ...]
    log_probs: "Tensor"

    def token(self, typed: str | None) -> int | None:
        """The token that was typed; None where none was."""
        from tinysae.model.text.typed_token import one_token

        return one_token(self.model, typed, self.log_probs) if typed else None


def loaded(options: argparse.Namespace) -> "tuple[FeatureSource, SAE, LoadedModel]":
    """`--sae`, and the model that it reads."""
    from tinysae.library.named_sae import named_source
    from tinysae.model.sources import load_model

    source = named_source(options.sae)
    return source, source.load_sae(), load_model(source.model)


def asked(model: "LoadedModel", prompt: str) -> Asked:
    """Runs the model on `prompt`; says so where it had to be cut."""
    from tinysae.model.text.logprobs import next_log_probs
    from tinysae.model.text.prompt import prepare_prompt

    prepared = prepare_prompt(model, prompt, 0)
    ids = prepared.ids
    if prepared.n_cut:
        cut = text("why.prompt_cut", "en", cut=prepared.n_cut, kept=len(ids))
        write_line(cut)
    return Asked(model, ids, next_log_probs(model, ids).cpu())
