"""The libraries that running a model takes, imported ahead of their first use."""

import threading

# Two threads that import TransformerLens at once (the warm-up and whoever loads a model
# meanwhile) meet in its circular imports: Python breaks the deadlock by handing one of
# them a half-made module, and both fail.
_LOCK = threading.Lock()


def import_libraries() -> None:
    """Import torch and transformer_lens: seconds the first time, nothing afterwards.

    `load_model` does it too; a caller that reports its progress does it apart.
    """
    with _LOCK:
        import torch  # noqa: F401
        import transformer_lens  # noqa: F401
        import transformer_lens.model_bridge  # noqa: F401
