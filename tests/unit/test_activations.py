import numpy as np
import torch

from tinysae.data.activations import activation_batches, shuffled


def test_every_activation_is_served_once_and_mixed() -> None:
    rows = torch.arange(4000.0)[:, None]
    batches = list(
        shuffled(
            iter(rows.split(100)),
            batch_size=50,
            n_batches_in_buffer=10,
            generator=torch.Generator().manual_seed(0),
        )
    )
    served = torch.cat(batches).flatten()
    assert all(batch.shape == (50, 1) for batch in batches)
    assert len(served) == len(set(served.tolist()))
    # All but what stays in the buffer at the end was served.
    assert len(served) >= 4000 - 10 * 50
    assert not torch.equal(served, served.sort().values)


def test_the_same_seed_gives_the_same_batches() -> None:
    def first(seed: int) -> torch.Tensor:
        parts = iter(torch.arange(1000.0)[:, None].split(100))
        generator = torch.Generator().manual_seed(seed)
        return next(
            shuffled(parts, batch_size=50, n_batches_in_buffer=10, generator=generator)
        )

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


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
