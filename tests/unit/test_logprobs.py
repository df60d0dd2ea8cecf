"""Figures of every token, against transformers' own and against plain definitions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.unit.tiny_model import N_CTX
from tinysae.errors import InputError
from tinysae.model.sources import LoadedModel
from tinysae.model.text.logprobs import log_probs, next_log_probs, token_stats

TEXT = "Once upon a time, 한국어 a boy named Tom"


@pytest.fixture(scope="module")
def expected(tiny_model: LoadedModel, tiny_model_dir: Path) -> torch.Tensor:
    """Log-probs [1 + n, d_vocab] after BOS and each token, by transformers alone."""
    own = AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()
    ids = torch.tensor([[0, *tiny_model.encode(TEXT)]])
    with torch.no_grad():
        return torch.log_softmax(own(ids).logits[0].double(), dim=-1)


def test_log_probs_are_transformers_own(
    tiny_model: LoadedModel, expected: torch.Tensor
) -> None:
    ids = tiny_model.encode(TEXT)
    stats = token_stats(tiny_model, ids)
    own = [expected[i, token_id].item() for i, token_id in enumerate(ids)]
    np.testing.assert_allclose(stats.log_prob, own, atol=1e-5)
    np.testing.assert_allclose(stats.prob, np.exp(own), atol=1e-5)
    np.testing.assert_allclose(next_log_probs(tiny_model, ids), expected[-1], atol=1e-5)


def test_rank_counts_the_likelier_tokens(
    tiny_model: LoadedModel, expected: torch.Tensor
) -> None:
    ids = tiny_model.encode(TEXT)
    order = expected.argsort(dim=-1, descending=True, stable=True)
    own = [order[i].tolist().index(token_id) for i, token_id in enumerate(ids)]
    assert token_stats(tiny_model, ids).rank.tolist() == own


def test_first_choice_has_rank_zero_and_leads_the_alternatives(
    tiny_model: LoadedModel,
) -> None:
    first = int(next_log_probs(tiny_model, [5]).argmax())
    stats = token_stats(tiny_model, [5, first])
    assert stats.rank[1] == 0
    assert stats.top_ids[1, 0] == first
    assert stats.top_log_probs[1, 0] == stats.log_prob[1]


def test_alternatives_are_the_likeliest_in_order(
    tiny_model: LoadedModel, expected: torch.Tensor
) -> None:
    ids = tiny_model.encode(TEXT)
    stats = token_stats(tiny_model, ids, top=7)
    best = expected[:-1].topk(7, dim=-1)
    assert stats.top_ids.tolist() == best.indices.tolist()
    np.testing.assert_allclose(stats.top_log_probs, best.values, atol=1e-5)


def test_entropy_is_the_mean_surprise(
    tiny_model: LoadedModel, expected: torch.Tensor
) -> None:
    own = -(expected[:-1].exp() * expected[:-1]).sum(-1)
    stats = token_stats(tiny_model, tiny_model.encode(TEXT))
    np.testing.assert_allclose(stats.entropy, own, atol=1e-4)


def test_probabilities_of_every_position_sum_to_one(tiny_model: LoadedModel) -> None:
    tokens = torch.arange(60).view(2, 30)
    total = log_probs(tiny_model, tokens).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(2, 30))


def test_text_of_no_tokens_has_no_figures(tiny_model: LoadedModel) -> None:
    stats = token_stats(tiny_model, [])
    assert len(stats) == 0
    assert stats.top_ids.shape == (0, 10)


def test_text_that_fills_the_context_is_read_and_one_more_token_refused(
    tiny_model: LoadedModel,
) -> None:
    assert len(token_stats(tiny_model, [1] * (N_CTX - 1))) == N_CTX - 1
    with pytest.raises(InputError):
        token_stats(tiny_model, [1] * N_CTX)
