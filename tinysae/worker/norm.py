"""The second stage: the scale that the model's activations are trained on."""

from typing import TYPE_CHECKING

from tinysae.jobs.reporter import Reporter

if TYPE_CHECKING:
    from tinysae.sae.train import SAETraining


def knows_norm(training: "SAETraining", reporter: Reporter) -> bool:
    """Measures the mean norm, where the settings ask for it and no checkpoint had it;
    False when somebody asked to stop meanwhile."""
    if not training.needs_norm:
        return True
    config = training.config
    reporter.begin(
        "norm",
        config.n_batches_for_norm_estimate,
        rate_of_one=config.train_batch_size_tokens,
    )
    return training.estimate_norm(reporter.reached)
