"""How the embedded model is shaped and trained."""

from dataclasses import dataclass
from typing import Final

END: Final = "<|endoftext|>"
"""The only special token: it starts every context and stands between stories."""
END_ID: Final = 0
VOCABULARY: Final = 2048


@dataclass(frozen=True)
class Recipe:
    """How the storybook is trained; the defaults are the shipped model's.

    Attributes:
        d_model: width of the residual stream; the MLP is four times as wide.
        n_heads: attention heads.
        context: tokens a context.
        batch: contexts a step. Few, for many steps: at the same tokens, 4 was ahead
            of 8 and 16.
        learning_rate: reached after `warm_up_steps`, kept, and taken down to nothing
            over the last `decay` share of the steps.
        weight_decay: of the matrices only.
        copying: how strongly attention copies what it sees before training; see
            `new_model`.
        bfloat16: whether products are taken in bfloat16 (weights stay float32).
    """

    d_model: int = 256
    n_heads: int = 8
    context: int = 256
    batch: int = 4
    learning_rate: float = 2e-3
    warm_up_steps: int = 50
    decay: float = 0.3
    weight_decay: float = 0.01
    copying: float = 0.2
    bfloat16: bool = True
