"""The libraries that running a model takes, and the lock under which they do it."""

import threading

# One import and one loading at a time, of all threads (the warm-up, every session).
# TransformerLens's circular imports hand two threads that meet in them a half-made
# module each. And transformers loads a model with `PreTrainedModel.tie_weights` swapped
# for nothing, for everybody: of two loadings that overlap, the second one keeps the
# nothing for good, and from then on no model's embeddings are tied.
LOADING = threading.RLock()


def import_libraries() -> None:
    """Import torch and transformer_lens: seconds the first time, nothing afterwards.

    `load_model` does it too; a caller that reports its progress does it apart.
    """
    with LOADING:
        import torch  # noqa: F401
        import transformer_lens  # noqa: F401
        import transformer_lens.model_bridge  # noqa: F401
