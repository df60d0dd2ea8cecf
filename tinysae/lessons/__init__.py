"""Guided lessons: a lesson is data, its answers are what the model says."""
