"""A batch with an enormous token is no divergence; a training that leaves is."""

from tinysae.sae.divergence import WINDOW, DivergenceWatch

USUAL_VARIANCE = 5.0
USUAL, FAR = 1.0, 1000.0


def seen(
    watch: DivergenceWatch, errors: list[float], variance: float = USUAL_VARIANCE
) -> list[bool]:
    return [watch.has_diverged(mse, mse, lambda: variance) for mse in errors]


def test_batches_with_an_enormous_token_are_no_divergence() -> None:
    watch = DivergenceWatch()
    seen(watch, [USUAL] * WINDOW)
    for _ in range(2 * WINDOW):
        assert not any(seen(watch, [FAR], variance=FAR))
        assert not watch.is_healthy
        assert not any(seen(watch, [USUAL]))
        assert watch.is_healthy


def test_an_error_far_beyond_the_variance_is_a_divergence() -> None:
    watch = DivergenceWatch()
    assert not any(seen(watch, [USUAL] * WINDOW))
    assert any(seen(watch, [FAR]))
    assert not watch.is_healthy


def test_an_error_that_rises_to_the_variance_is_a_penalty_at_work() -> None:
    watch = DivergenceWatch()
    seen(watch, [USUAL / 100] * WINDOW)
    assert not any(seen(watch, [USUAL_VARIANCE] * WINDOW))
    # Every feature is off: nothing to keep.
    assert not watch.is_healthy
    assert watch.has_diverged(float("nan"), USUAL, lambda: USUAL_VARIANCE)
