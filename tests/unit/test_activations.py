import threading
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from tinysae.data.activations import activation_batches, ahead, shuffled

ROWS_A_PART = 70
PATIENCE_S = 180


def batches(start: int = 0, seed: int = 0, **changes: int) -> Iterator[torch.Tensor]:
    """Of a stream whose n-th row is n: which row was served can be read from it."""

    def parts_from(part: int) -> Iterator[torch.Tensor]:
        rows = torch.arange(40_000.0)[:, None]
        return iter(rows.split(ROWS_A_PART)[part:])

    settings = {"batch_size": 50, "n_batches_in_buffer": 10, **changes}
    return shuffled(
        parts_from, rows_a_part=ROWS_A_PART, seed=seed, start=start, **settings
    )


def test_every_activation_is_served_once_and_mixed() -> None:
    served = torch.cat(list(islice(batches(), 200))).flatten()
    assert len(served) == len(set(served.tolist())) == 200 * 50
    assert not torch.equal(served, served.sort().values)
    # What is not served lies in the first and in the last half block (125 of 250 rows).
    missing = set(range(10_000)) - set(served.int().tolist())
    assert all(row < 250 or row >= 9_750 for row in missing)
    assert len([row for row in missing if row < 250]) == 125


@pytest.mark.parametrize("buffer", [2, 3, 10])
def test_a_batch_is_mixed_from_about_a_buffer(buffer: int) -> None:
    size = buffer // 2 * 50
    for number, batch in enumerate(islice(batches(n_batches_in_buffer=buffer), 30)):
        block = number // (buffer // 2)
        rows = batch.flatten()
        assert batch.shape == (50, 1)
        assert rows.min() >= block * size
        assert rows.max() < (block + 2) * size
        # Both blocks are in it.
        assert (rows < (block + 1) * size).any()
        assert (rows >= (block + 1) * size).any()


@pytest.mark.parametrize("start", [1, 4, 5, 6, 63, 100])
@pytest.mark.parametrize("batch_size", [50, 64])
def test_the_stream_can_be_entered_anywhere(start: int, batch_size: int) -> None:
    whole = list(islice(batches(batch_size=batch_size), start, start + 20))
    entered = list(islice(batches(start=start, batch_size=batch_size), 20))
    assert all(torch.equal(a, b) for a, b in zip(whole, entered, strict=True))


def test_the_same_seed_gives_the_same_batches() -> None:
    assert torch.equal(next(batches(seed=1)), next(batches(seed=1)))
    assert not torch.equal(next(batches(seed=1)), next(batches(seed=2)))


def test_what_is_made_ahead_is_bounded_and_in_order() -> None:
    made: list[int] = []
    taken = 0

    def numbers() -> Iterator[int]:
        for i in range(1, 50):
            made.append(i)
            # The consumer counts after it was served: one more may be on its way.
            assert i <= taken + 3 + 1
            yield i

    for taken, number in enumerate(ahead(numbers(), 3), start=1):
        assert number == taken
    assert made == list(range(1, 50))


def test_what_fails_ahead_fails_where_it_would_have_been_used() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    items = ahead(broken(), 5)
    assert next(items) == 1
    with pytest.raises(KeyError):
        next(items)


def test_closing_stops_what_is_made_ahead() -> None:
    go_on, made = threading.Event(), []

    def slow() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i
            go_on.wait(PATIENCE_S)

    items = ahead(slow(), 4)
    assert next(items) == 0
    before = threading.active_count()
    closer = threading.Timer(0, go_on.set)
    closer.start()
    items.close()
    closer.join()
    # The one that was being made, and none of those after it that nobody waits for.
    assert len(made) < 100
    assert threading.active_count() < before + 1
    assert list(items) == []


def test_activations_come_in_reading_order(tiny_model) -> None:
    chunks = [
        np.asarray([tiny_model.bos_id, i, i + 1], dtype=np.int32) for i in range(5)
    ]
    parts = list(activation_batches(tiny_model, chunks, "blocks.0.hook_mlp_out", 2))
    _, cache = tiny_model.bridge.run_with_cache(
        torch.from_numpy(np.stack(chunks)).long()
    )
    expected = cache["blocks.0.hook_mlp_out"].flatten(0, 1)
    assert [len(part) for part in parts] == [6, 6, 3]
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-4, atol=1e-5)


def test_the_token_after_a_special_one_stands_in_for_it(tiny_model) -> None:
    bos = tiny_model.bos_id
    chunks = [
        np.asarray(ids, dtype=np.int32)
        for ids in ([bos, 5, 6, bos, 7], [bos, bos, 8, 9, bos], [bos] * 5)
    ]
    hook = "blocks.0.hook_mlp_out"
    (whole,) = activation_batches(tiny_model, chunks, hook, 3)
    (without,) = activation_batches(
        tiny_model, chunks, hook, 3, exclude_special_tokens=True
    )
    # By hand; a context of nothing else keeps what there is.
    places = [[1, 1, 2, 4, 4], [2, 2, 2, 3, 3], [0, 0, 0, 0, 0]]
    rows = [5 * n + at for n, row in enumerate(places) for at in row]
    assert torch.equal(without, whole[rows])
