"""Endless simple children's stories from a seed, every word with its concepts."""
