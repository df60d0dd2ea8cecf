"""How high the model ranks an expected answer: TransformerLens's `test_prompt`.

The numbers are those that `transformer_lens.utilities.test_prompt` prints (tested): the
Bridge runs prompt and answer after BOS, and a rank is a place in the sorted
probabilities, 0 the likeliest. Special tokens in a text are plain text here, as
everywhere in this package. The answer's tokens are those with which the prompt goes on;
`test_prompt` tokenizes the two apart, which is the same where tokens are bytes, and
puts a second space before the answer where they are not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.model.text.continuing import continuation
from tinysae.model.text.prompt import Prompt, prompt_with_room

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

N_TOP = 10
MAX_ANSWERS = 10


@dataclass(frozen=True)
class RankedToken:
    """A token at one position: how many are likelier, its logit, its probability."""

    token_id: int
    rank: int
    logit: float
    prob: float


@dataclass(frozen=True)
class AnswerRanks:
    """How the model takes one answer after a prompt.

    Attributes:
        prompt: what was read, without the answer.
        tokens: the answer's tokens, each given the prompt and those before it.
        top: at each of them the likeliest tokens, likeliest first, [n][top].
        merges: written as one text, the two would be other tokens, the prompt's own
            among them; the prompt keeps its own here.
    """

    prompt: Prompt
    tokens: tuple[RankedToken, ...]
    top: tuple[tuple[RankedToken, ...], ...]
    merges: bool = False

    @property
    def rank(self) -> int:
        """The worst rank among the answer's tokens: 0 if greedy decoding gives it."""
        return max(token.rank for token in self.tokens)

    @property
    def prob(self) -> float:
        """The probability of the whole answer, the product of its tokens'."""
        whole = 1.0
        for token in self.tokens:
            whole *= token.prob
        return whole


def spaced(answer: str) -> str:
    """`answer` with a space before it, unless one is there."""
    return answer if answer.startswith(" ") else f" {answer}"


def answer_ranks(
    model: "LoadedModel",
    prompt: str,
    answer: str,
    *,
    prepend_space: bool = True,
    top: int = N_TOP,
) -> AnswerRanks:
    """The rank of every token of `answer` after `prompt`.

    A prompt that leaves no room for the answer loses its beginning.

    Raises:
        InputError: an empty answer, one that fills the context, or a prompt that is
            beyond all bounds.
    """
    import torch

    if not answer:
        raise InputError("answer_empty")
    # Before anything is tokenized: no token is shorter than a byte.
    limit = model.n_ctx - 2
    if len(answer) > 100 * model.n_ctx:
        raise InputError("answer_too_long", n=f"{len(answer):,}+", limit=limit)
    expected, merges = continuation(
        model, prompt, spaced(answer) if prepend_space else answer
    )
    if len(expected) > limit:
        raise InputError("answer_too_long", n=f"{len(expected):,}", limit=limit)
    given = prompt_with_room(model, prompt, len(expected))
    tokens = model.to_input([*given.ids, *expected])
    # The Bridge, on as many threads as anybody gets who calls it, and not `running` or
    # the lean copy: near a tie rounding alone moves a rank.
    with model.lock, torch.no_grad():
        logits = model.bridge(tokens)[0]
        first = 1 + len(given.ids)
        logits = logits[first - 1 : first - 1 + len(expected)]
        probs = logits.softmax(-1)
        # A position at a time, and not stable: as in `test_prompt`, so that even equal
        # probabilities stand in its order.
        order = torch.stack([row.sort(descending=True).indices for row in probs])
        ordered = probs.gather(-1, order)
        answers = torch.tensor(expected, device=order.device)
        ranks = (order == answers[:, None]).int().argmax(-1)
    return AnswerRanks(
        given,
        tuple(
            RankedToken(
                token_id,
                int(ranks[i]),
                float(logits[i, token_id]),
                float(probs[i, token_id]),
            )
            for i, token_id in enumerate(expected)
        ),
        tuple(
            tuple(
                RankedToken(
                    int(order[i, rank]),
                    rank,
                    float(logits[i, order[i, rank]]),
                    float(ordered[i, rank]),
                )
                for rank in range(min(top, order.shape[1]))
            )
            for i in range(len(expected))
        ),
        merges,
    )


def answers_in(text: str) -> list[str]:
    """The answers in `text`, one a line, their spaces kept.

    Raises:
        InputError: there is none, or more than `MAX_ANSWERS`.
    """
    answers = [line for line in text.splitlines() if line.strip()]
    if not answers:
        raise InputError("answer_empty")
    if len(answers) > MAX_ANSWERS:
        raise InputError("answers_too_many", n=f"{len(answers):,}", limit=MAX_ANSWERS)
    return answers
