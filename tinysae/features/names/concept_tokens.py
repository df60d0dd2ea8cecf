"""The storybook's concepts token by token, and what is active on each token.

Every word of a generated story carries the concepts it stands for. A feature may *fire
on* a concept (the token belongs to such a word) or be *about to* name it (such a word
begins with the next token): the two readings of a concept, its two *targets*.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook.generator import begun_concepts, token_concepts, word_spans
from tinysae.data.storybook.words import CONCEPTS

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

Reading = Literal["fires_on", "about_to"]
READINGS: Final[tuple[Reading, ...]] = get_args(Reading)
MIN_EXAMPLES: Final = 50
"""A concept counts when either set of stories has so many examples of it: a recall of
fewer is known to less than 0.06 (one standard error at 0.8)."""
CONTEXTS_AT_ONCE: Final = 32
ROWS_AT_ONCE: Final = 512


class ConceptTokens(NamedTuple):
    """Tokens with what they are examples of.

    tokens [n]: ids. rows [n]: where each was among all tokens read. labels [n, 2 *
    n_concepts]: first "fires on" for each of `CONCEPTS`, then "about to".
    """

    tokens: NDArray[np.int32]
    rows: NDArray[np.int64]
    labels: NDArray[np.bool_]


class FeaturePairs(NamedTuple):
    """Non-zero activations feature by feature, strongest first.

    first [n_features + 1]; token [n]: the row in `ConceptTokens`; value [n] > 0.
    """

    first: NDArray[np.int64]
    token: NDArray[np.int32]
    value: NDArray[np.float32]


def target_name(target: int) -> tuple[str, Reading]:
    """The concept and the reading of a column of `ConceptTokens.labels`."""
    reading, concept = divmod(target, len(CONCEPTS))
    return tuple(CONCEPTS)[concept], READINGS[reading]


def counted_targets(
    choosing: ConceptTokens, reporting: ConceptTokens
) -> NDArray[np.int64]:
    """The columns of `labels` with `MIN_EXAMPLES` in both sets of stories."""
    enough = [tokens.labels.sum(0) >= MIN_EXAMPLES for tokens in (choosing, reporting)]
    return np.flatnonzero(enough[0] & enough[1])


def concept_tokens(
    chunks: NDArray[np.int32], token_bytes: Sequence[bytes], bos_id: int
) -> ConceptTokens:
    """The concepts of every token of contexts [n, context_size].

    BOS, and the last token of a context, whose next token is unknown, are left out.
    """
    own = {name: at for at, name in enumerate(CONCEPTS)}
    begun = {name: len(own) + at for name, at in own.items()}
    rows: list[int] = []
    columns: list[int] = []
    for number, chunk in enumerate(chunks):
        starts = [*np.flatnonzero(chunk == bos_id), len(chunk)]
        for before, end in zip(starts, starts[1:], strict=False):
            start = before + 1
            pieces = [token_bytes[token] for token in chunk[start:end]]
            ends = np.cumsum([len(piece) for piece in pieces]).tolist()
            offsets = list(zip([0, *ends], ends, strict=False))
            # A byte a character, so that offsets in bytes are offsets in the text.
            spans = word_spans(b"".join(pieces).decode("latin-1"))
            of_own = token_concepts(spans, offsets)
            # Of each token what the next one begins: nobody knows of the last.
            of_next = begun_concepts(spans, offsets)[1:]
            for numbers, by_token in ((own, of_own), (begun, of_next)):
                for row, concepts in enumerate(by_token, number * len(chunk) + start):
                    for name in concepts:
                        rows.append(row)
                        columns.append(numbers[name])
    labels = np.zeros((chunks.size, 2 * len(own)), dtype=np.bool_)
    labels[rows, columns] = True
    is_kept = chunks != bos_id
    is_kept[:, -1] = False
    kept = np.flatnonzero(is_kept.ravel())
    return ConceptTokens(chunks.ravel()[kept], kept, labels[kept])


def hooked(
    model: "LoadedModel",
    chunks: NDArray[np.int32],
    rows: NDArray[np.int64],
    hook_name: str,
) -> "Tensor":
    """Activations [len(rows), d_in] at the tokens `rows` of contexts, counted flat."""
    import torch

    from tinysae.data.activations import activation_batches

    parts = activation_batches(model, chunks, hook_name, CONTEXTS_AT_ONCE)
    return torch.cat([part.cpu() for part in parts])[torch.from_numpy(rows)]


def encoded(sae: "SAE", x: "Tensor") -> Iterator[NDArray[np.float32]]:
    """Feature activations of `x` [n, d_in], some rows at a time."""
    import torch

    with torch.inference_mode():
        for part in x.split(ROWS_AT_ONCE):
            yield sae.encode(part).float().numpy()


def feature_pairs(acts: Iterable[NDArray[np.float32]], n_features: int) -> FeaturePairs:
    """The positive entries of dense activations, given a few rows at a time.

    Equal activations of a feature stand in any order.
    """
    tokens, features, values = [], [], []
    n_rows = 0
    for part in acts:
        at = np.flatnonzero(part > 0)
        row, feature = np.divmod(at, n_features)
        tokens.append((n_rows + row).astype(np.int32))
        features.append(feature.astype(np.int32))
        values.append(part.ravel()[at])
        n_rows += len(part)
    token, feature, value = map(np.concatenate, (tokens, features, values))
    # The bits of positive floats are in the floats' order, so that one integer says
    # both; sorting by it takes an eighth of the time of `np.lexsort`.
    falling = np.uint64(2**32 - 1) - value.astype(np.float32).view(np.uint32)
    order = np.argsort(feature.astype(np.uint64) << np.uint64(32) | falling)
    counts = np.bincount(feature, minlength=n_features)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return FeaturePairs(first, token[order], value[order])
