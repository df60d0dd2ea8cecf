"""Everything there is to know about every feature of an SAE, from one pass over a text.

`build_index` reads the text once, for all features at once; `reader.open_index` reads
back one feature as a few slices of its files, with no model in memory.

What is active is first written down, feature by feature (`reading`, `pair_store`); then
everything is computed from that (`contents`) and written to the index (`format`).
"""

from collections.abc import Callable, Iterable
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, InputError, TinysaeError
from tinysae.features.fit import check_fit
from tinysae.features.index.format import write_index
from tinysae.features.index.reader import FeatureIndex, open_index

if TYPE_CHECKING:
    from tinysae.features.index.neighbours import Layout
    from tinysae.features.index.pair_store import PairStore
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_TOP_TOKENS = 20
# How the progress is told: in tokens, of which reading is this share.
_READING, _COMPUTING = 0.8, 0.9


def build_index(
    sae: "SAE",
    model: "LoadedModel",
    chunks: Iterable[NDArray[np.int32]],
    out_dir: Path,
    *,
    n_tokens: int,
    contexts_per_feature: int = 20,
    contexts_per_bin: int = 5,
    features_per_token: int = 50,
    layout: "Layout" = "umap",
    memory_mb: int = 512,
    seed: int = 0,
    text: str = "",
    is_held_out: bool = False,
    progress: Callable[[int, int], object] | None = None,
    on_read: "Callable[[PairStore], object] | None" = None,
) -> FeatureIndex:
    """Reads `chunks` once and writes the index of every feature to `out_dir`.

    A build that is killed leaves what it has found in `<out_dir>.partial`; the next one
    of the same SAE, model and text goes on from there, to the same files. What is found
    takes 6 bytes of disk for each activation that is not zero.

    Args:
        sae: whose features.
        model: the model it reads.
        chunks: contexts of token ids, all of one length [context_size].
        out_dir: replaced once the index is complete; untouched until then.
        n_tokens: how many tokens to read, BOS included; the last chunk is read whole.
        contexts_per_feature: how many of its strongest contexts each feature keeps.
        contexts_per_bin: how many of the contexts in each of at most eight ranges of
            its activation, drawn at random.
        features_per_token: how many features each token keeps in each of its lists.
        layout: how the map is made: "pca" takes no time.
        memory_mb: what building may take beside the model, the SAE, the text that was
            read (2 or 4 bytes a token) and the index itself. Smaller is slower.
        seed: of the drawn contexts and of the map.
        text, is_held_out: what the index is to say of the text (`format.IndexInfo`).
        progress: hears (tokens done, tokens to do) after every batch; what it raises
            ends the build. The last fifth is what is computed after reading.
        on_read: gets all that is active once the index is written, for what else is to
            be learnt from it (the features' names).

    The same inputs on the same machine give the same files, bit for bit, with any
    number of threads and any `memory_mb`.

    Raises:
        InputError: the SAE does not fit the model, or there are no tokens.
        TinysaeError: numba fails on this machine.
        DamagedError: activations are not finite.
        OSError: the index cannot be written.
    """
    check_fit(sae, model)
    _check_compiler()
    from threadpoolctl import threadpool_limits

    from tinysae.features.index.contents import Options, index_data, relatives_of
    from tinysae.features.index.neighbours import layout_of
    from tinysae.features.index.pair_store import PairStore
    from tinysae.features.index.reading import made_from, read_pairs
    from tinysae.features.index.statistics import Sampling
    from tinysae.sae.encode import encoder_of

    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None or n_tokens < 1:
        raise InputError("features_no_tokens")
    n_chunks = -(-n_tokens // len(first))
    n_to_read, n_read = n_chunks * len(first), 0
    # Reading and computing follow each other; each may take half beside the threads.
    memory = (memory_mb << 20) // 2
    options = Options(
        sampling=Sampling(contexts_per_feature, contexts_per_bin, N_TOP_TOKENS, seed),
        features_per_token=min(features_per_token, sae.d_sae),
        layout=layout_of(sae.d_sae, layout),
        memory=memory,
        text=text,
        is_held_out=is_held_out,
    )

    def tell(share: float) -> None:
        if progress is not None:
            progress(round(share * n_to_read), n_to_read)

    def tell_read(n_new: int) -> None:
        nonlocal n_read
        n_read += n_new
        tell(_READING * n_read / n_chunks)

    wanted = islice(chain([first], iterator), n_chunks)
    partial = out_dir.with_name(f"{out_dir.name}.partial")
    # The last bits of the map, which is made beside all else, depend on how many
    # threads numpy's and scipy's products have; torch's stay as they are.
    numpys = threadpool_limits(limits=1, user_api="blas")
    with encoder_of(sae, model.plain.device) as encoder, numpys:
        key = made_from(sae, model, first, n_chunks, encoder.bits)
        relatives = relatives_of(sae, model, encoder, options)
        with PairStore(partial, key) as store:
            try:
                read_pairs(sae, model, encoder, store, wanted, memory, tell_read)
                data = index_data(
                    *(sae, model, encoder, store, options, relatives),
                    before_map=lambda: tell(_COMPUTING),
                )
                write_index(data, out_dir)
                if on_read is not None:
                    on_read(store)
            except (InputError, DamagedError, OSError):
                # Nothing that another try could go on from, or a full disk.
                store.remove()
                raise
            store.remove()
    index = open_index(out_dir)
    tell(1.0)
    return index


def _check_compiler() -> None:
    from tinysae.sae.step.engine import numba_problem

    if numba_problem():
        raise TinysaeError("features_no_compiler")
