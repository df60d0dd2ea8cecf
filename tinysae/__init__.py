"""tinysae: talk to a tiny language model, train an SAE on it, explore its features."""

__version__ = "0.1.0"
