"""The libraries that running a model takes, imported ahead of their first use."""


def import_libraries() -> None:
    """Import torch and transformer_lens: seconds the first time, nothing afterwards.

    `load_model` would do the same; a caller that reports its progress does it apart.
    """
    import torch  # noqa: F401
    import transformer_lens  # noqa: F401
