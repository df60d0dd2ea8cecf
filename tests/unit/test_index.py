"""The index: figures against a dense float64 reference, files against accidents."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models

from tests.builders import HOSTILE, token_chunks, write_model, write_sae
from tests.unit.index_kernels_in_numpy import stand_in
from tests.unit.tiny_model import BOS
from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError
from tinysae.features.index import contents, reading
from tinysae.features.index.build import build_index
from tinysae.features.index.format import damage_in
from tinysae.features.index.reader import FeatureIndex, open_index
from tinysae.features.index.records import LogitKind
from tinysae.features.index.statistics import LEAST_FIRED
from tinysae.features.names.label_file import read_labels
from tinysae.model.forward import activations
from tinysae.model.sources import LoadedModel, load_model
from tinysae.model.text.vocabulary import Vocabulary, vocabulary_of
from tinysae.sae.load import SAE, load_sae
from tinysae.sae.step import engine

N_CHUNKS, CONTEXT_SIZE = 60, 16
N_TOKENS = N_CHUNKS * CONTEXT_SIZE


@dataclasses.dataclass(frozen=True)
class Built:
    index: FeatureIndex
    folder: Path
    sae: SAE
    model: LoadedModel
    chunks: NDArray[np.int32]
    acts: NDArray[np.float64]
    """[n_chunks, context_size, d_sae]; 0 at BOS."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("index")
    model = load_model(str(write_model(folder / "model")))
    sae = load_sae(write_sae(folder / "sae"))
    chunks = np.stack(list(token_chunks(model, N_CHUNKS, CONTEXT_SIZE)))
    index = build_index(sae, model, chunks, folder / "features", n_tokens=N_TOKENS)
    # The whole thing again, dense, in float64 and without `SAE.encode`.
    x = activations(model, torch.from_numpy(chunks).long(), sae.hook_name).double()
    acts = torch.relu(x @ sae.W_enc.double() + sae.b_enc.double()).numpy()
    acts[chunks == model.bos_id] = 0
    return Built(index, folder / "features", sae, model, chunks, acts)


def rebuild(built: Built, folder: Path, **options: Any) -> FeatureIndex:
    settings: dict[str, Any] = {"n_tokens": N_TOKENS, **options}
    return build_index(built.sae, built.model, built.chunks, folder, **settings)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_figures_agree_with_a_dense_reference(built: Built) -> None:
    active = built.acts > 0
    n_tokens = int((built.chunks != built.model.bos_id).sum())
    table = built.index.table()
    assert built.index.info.n_tokens == n_tokens < N_TOKENS
    n_fired = active.sum((0, 1))
    assert table["n_fired"].tolist() == n_fired.tolist()
    assert table["density"].tolist() == (n_fired / n_tokens).tolist()
    np.testing.assert_allclose(table["max_act"], built.acts.max((0, 1)), rtol=1e-6)
    mean = built.acts.sum((0, 1)) / np.maximum(n_fired, 1)
    np.testing.assert_allclose(table["mean_act"], mean, rtol=1e-5)
    # A feature that never fires and one that does nearly everywhere.
    assert n_fired.min() == 0
    assert n_fired.max() > n_tokens // 2


def test_bos_is_counted_nowhere(built: Built) -> None:
    inside = (built.chunks[:, 1:] == built.model.bos_id).sum()
    assert inside > 0
    for feature in range(built.sae.d_sae):
        record = built.index.feature(feature)
        assert BOS not in [token.text for token in record.tokens]
        for context in record.contexts:
            assert not context.activations[context.tokens == built.model.bos_id].any()


def test_histograms_are_exact(built: Built) -> None:
    for feature in range(built.sae.d_sae):
        record = built.index.feature(feature)
        values = built.acts[..., feature][built.acts[..., feature] > 0]
        edges, counts = record.histogram
        assert len(edges) == len(counts) + 1
        assert counts.sum() == record.n_fired == len(values)
        if len(values):
            assert counts.tolist() == np.histogram(values, edges)[0].tolist()
            assert edges[-2] <= record.max_act < edges[-1]
            # Bins narrow enough to show a shape.
            assert 32 < len(counts) <= 64


def test_contexts_are_the_strongest_chunks(built: Built) -> None:
    for feature in range(built.sae.d_sae):
        record = built.index.feature(feature)
        own = built.acts[..., feature]
        best = np.sort(own.max(1))[::-1][:20]
        best = best[best > 0]
        # By value: chunks that begin alike are equals but for rounding.
        peaks = [context.activations.max() for context in record.contexts]
        np.testing.assert_allclose(peaks, best, rtol=1e-6, atol=1e-5)
        assert peaks == sorted(peaks, reverse=True)
        assert len({context.chunk for context in record.contexts}) == len(peaks)
        for context in record.contexts:
            expected = own[context.chunk]
            assert context.tokens.tolist() == built.chunks[context.chunk].tolist()
            np.testing.assert_allclose(context.activations, expected, atol=1e-4)
            assert context.position == context.activations.argmax()
            text = built.model.decode(context.tokens.tolist())
            assert "".join(context.texts) == text


def test_a_window_keeps_its_strongest_token(built: Built) -> None:
    for context in built.index.feature(1).contexts:
        window = context.window(3)
        assert len(window.texts) == len(window.activations) <= 7
        assert window.activations[window.position] == context.activations.max()


def test_tokens_are_ordered_by_mass(built: Built) -> None:
    counts = np.bincount(built.chunks.ravel(), minlength=built.model.d_vocab)
    for feature in range(built.sae.d_sae):
        own = built.acts[..., feature]
        mass = np.bincount(built.chunks.ravel(), own.ravel(), built.model.d_vocab)
        fired = np.bincount(built.chunks.ravel(), (own > 0).ravel())
        tokens = built.index.feature(feature).tokens
        expected = [t for t in np.argsort(-mass, kind="stable")[:20] if mass[t] > 0]
        assert [token.token for token in tokens] == expected
        for token in tokens:
            share = mass[token.token] / mass.sum()
            assert token.mass_share == pytest.approx(share, rel=1e-4)
            assert token.n_fired == fired[token.token]
            assert token.precision == fired[token.token] / counts[token.token]


def test_precise_tokens_are_those_it_rarely_misses(built: Built) -> None:
    tokens = built.chunks.ravel()
    counts = np.bincount(tokens, minlength=built.model.d_vocab)
    for feature in range(built.sae.d_sae):
        own = built.acts[..., feature].ravel()
        fired = np.bincount(tokens, own > 0, minlength=built.model.d_vocab)
        mass = np.bincount(tokens, own, minlength=built.model.d_vocab)
        precision = np.where(fired >= LEAST_FIRED, fired / np.maximum(counts, 1), 0)
        shown = built.index.feature(feature).precise_tokens
        order = np.lexsort((-mass, -precision))
        order = order[precision[order] > 0][:20]
        assert [token.token for token in shown] == order.tolist()
        assert [t.precision for t in shown] == precision[order].tolist()


def test_drawn_contexts_lie_in_their_range(built: Built) -> None:
    n_weak = 0
    for feature in range(built.sae.d_sae):
        record = built.index.feature(feature)
        own = built.acts[..., feature]
        groups = record.bin_contexts
        assert sum(group.n_fired for group in groups) == record.n_fired
        assert [g.low for g in groups] == sorted((g.low for g in groups), reverse=True)
        for group in groups:
            # By the histogram: float64 may see a value on the other side of an edge.
            in_range = (own > 0) & (own >= group.low) & (own < group.high)
            assert abs(int(in_range.sum()) - group.n_fired) <= 1
            assert len(group.contexts) == min(5, group.n_fired)
            places = {(c.chunk, c.position) for c in group.contexts}
            assert len(places) == len(group.contexts)
            for context in group.contexts:
                value = context.activations[context.position]
                assert group.low <= value < group.high
                np.testing.assert_allclose(
                    context.activations, own[context.chunk], atol=1e-4
                )
                n_weak += value < record.max_act / 4
    assert n_weak > 50


def test_drawn_contexts_depend_on_the_seed_alone(built: Built, tmp_path: Path) -> None:
    def drawn(index: FeatureIndex) -> list[tuple[int, int]]:
        groups = index.feature(1).bin_contexts
        return [(c.chunk, c.position) for group in groups for c in group.contexts]

    other = rebuild(built, tmp_path / "other", seed=1)
    assert drawn(other) != drawn(built.index)
    assert (
        other.feature(1).contexts[0].chunk == built.index.feature(1).contexts[0].chunk
    )


def test_cofiring_agrees_with_a_dense_product(built: Built) -> None:
    active = (built.acts > 0).reshape(-1, built.sae.d_sae).astype(np.int64)
    n_both, n_fired = active.T @ active, active.sum(0)
    either = np.maximum(n_fired[:, None] + n_fired[None, :] - n_both, 1)
    jaccard = n_both / either
    np.fill_diagonal(jaccard, -1)
    for feature in range(built.sae.d_sae):
        shown = built.index.feature(feature).cofiring
        assert len(shown) == min(10, int((jaccard[feature] > 0).sum()))
        assert [c.n_both for c in shown] == [
            int(n_both[feature, c.feature]) for c in shown
        ]
        best = np.sort(jaccard[feature])[::-1][: len(shown)]
        np.testing.assert_allclose([c.jaccard for c in shown], best, rtol=1e-6)


def test_neighbours_are_the_nearest_directions(built: Built) -> None:
    directions = built.sae.W_dec.double()
    directions = directions / directions.norm(dim=1, keepdim=True)
    cosines = (directions @ directions.T).numpy()
    np.fill_diagonal(cosines, -2)
    for feature in range(built.sae.d_sae):
        shown = built.index.feature(feature).neighbours
        order = np.argsort(-cosines[feature])[:10]
        assert [near.feature for near in shown] == order.tolist()
        expected = cosines[feature, order]
        np.testing.assert_allclose([n.cosine for n in shown], expected, atol=1e-6)


def test_logit_histograms_hold_the_whole_vocabulary(built: Built) -> None:
    logits = (built.sae.W_dec.double() @ built.model.W_U.double()).numpy()
    for feature in (0, 7):
        edges, counts = built.index.feature(feature).logit_histogram["raw"]
        assert counts.sum() == built.model.d_vocab
        expected = np.histogram(logits[feature], len(counts))
        np.testing.assert_allclose(edges, expected[1], atol=1e-5)
        # Only what lies within rounding of an edge may be counted beside it.
        assert np.abs(counts - expected[0]).sum() <= 2


def test_a_token_knows_what_raises_and_lowers_it(built: Built) -> None:
    logits = (built.sae.W_dec.double() @ built.model.W_U.double()).numpy()
    for token in (0, 99, built.model.d_vocab - 1):
        for shown, order in (
            (built.index.raised_by(token), np.argsort(-logits[:, token])),
            (built.index.lowered_by(token), np.argsort(logits[:, token])),
        ):
            # Fewer features than the fifty that are asked for: all of them.
            assert [score.feature for score in shown] == order.tolist()
            np.testing.assert_allclose(
                [score.value for score in shown], logits[order, token], atol=1e-5
            )
    folded = built.index.raised_by(99, "folded")[0]
    record = built.index.feature(folded.feature)
    assert folded.value <= record.promoted["folded"][0].logit


def test_a_token_knows_what_fires_on_it(built: Built) -> None:
    tokens, n = built.chunks.ravel(), built.sae.d_sae
    acts = built.acts.reshape(-1, n)
    for token in np.unique(tokens).tolist():
        here = acts[tokens == token]
        precision = (here > 0).mean(0)
        share = here.sum(0) / np.maximum(acts.sum(0), 1e-30)
        shown = built.index.firing_on(token)
        assert len(shown) == int((here > 0).any(0).sum())
        scores = [entry.precision * entry.mass_share for entry in shown]
        expected = np.sort(precision * share)[::-1][: len(shown)]
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-8)
        for entry in shown:
            assert entry.n_fired == (here[:, entry.feature] > 0).sum()
            assert entry.precision == precision[entry.feature]
            expected = pytest.approx(share[entry.feature], rel=1e-4, abs=1e-7)
            assert entry.mass_share == expected
    never = int(np.flatnonzero(np.bincount(tokens, minlength=320) == 0)[0])
    assert built.index.firing_on(never) == []


@pytest.mark.parametrize("token", [-1, 10**9])
def test_a_token_out_of_range_is_refused(built: Built, token: int) -> None:
    for ask in (
        built.index.raised_by,
        built.index.lowered_by,
        built.index.firing_on,
    ):
        with pytest.raises(InputError, match="There is no token"):
            ask(token)


def test_every_feature_has_a_place_on_the_map(built: Built) -> None:
    places = built.index.layout()
    assert places.shape == (built.sae.d_sae, 2)
    # Too few for UMAP: the first two principal components.
    assert built.index.info.layout == "pca"
    centred = built.sae.W_dec.double().numpy()
    centred = centred - centred.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(places), np.abs(u[:, :2] * s[:2]), atol=1e-5)


def test_logits_agree_with_float64(built: Built) -> None:
    W_dec, W_U = built.sae.W_dec.double(), built.model.W_U.double()
    weight = built.model.final_norm_weight
    assert weight is not None
    directions: dict[LogitKind, torch.Tensor] = {
        "raw": W_dec,
        "folded": (W_dec - W_dec.mean(1, keepdim=True)) * weight.double(),
    }
    for feature in (0, 7, built.sae.d_sae - 1):
        record = built.index.feature(feature)
        for kind, direction in directions.items():
            logits = (direction @ W_U)[feature].numpy()
            for shown, order in (
                (record.promoted[kind], np.argsort(-logits)),
                (record.suppressed[kind], np.argsort(logits)),
            ):
                assert [token.token for token in shown] == order[:10].tolist()
                np.testing.assert_allclose(
                    [token.logit for token in shown], logits[order[:10]], atol=1e-5
                )


def test_the_tables_of_features_say_the_same_as_their_records(built: Built) -> None:
    table = built.index.table()
    promoted = built.index.promoted([3, 5])
    for feature in (3, 5):
        record = built.index.feature(feature)
        row = table.iloc[feature]
        assert row["feature"] == feature
        assert row["top_tokens"] == [token.text for token in record.tokens[:5]]
        assert row["promoted"] == [t.text for t in record.promoted["raw"][:5]]
        assert promoted[feature] == record.promoted["raw"]


def test_the_same_inputs_give_the_same_bytes(built: Built, tmp_path: Path) -> None:
    rebuild(built, tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(built.folder)


def test_the_index_is_the_one_that_numpy_computes(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    rebuild(built, tmp_path / "plain")
    assert files_of(tmp_path / "plain") == files_of(built.folder)


def test_figures_do_not_depend_on_how_the_corpus_is_cut(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TOKENS_AT_ONCE", 3 * CONTEXT_SIZE)
    monkeypatch.setattr(reading, "TOKENS_ENCODED", 7 * CONTEXT_SIZE)
    monkeypatch.setattr(reading, "SHARD_TOKENS", 20 * CONTEXT_SIZE)
    monkeypatch.setattr(contents, "_PAIRS_IN_BAND", 300)
    index = rebuild(built, tmp_path / "cut")
    for feature in range(built.sae.d_sae):
        whole, cut = built.index.feature(feature), index.feature(feature)
        assert cut.n_fired == whole.n_fired
        assert cut.histogram.counts.tolist() == whole.histogram.counts.tolist()
        np.testing.assert_allclose(
            [context.activations.max() for context in cut.contexts],
            [context.activations.max() for context in whole.contexts],
            rtol=1e-6,
            atol=1e-5,
        )
        assert cut.mean_act == pytest.approx(whole.mean_act, rel=1e-5)


def test_hostile_tokens_come_back_to_the_letter(built: Built) -> None:
    records = [built.index.feature(feature) for feature in range(40)]
    assert set(HOSTILE) <= {token.text for r in records for token in r.tokens}
    contexts = [context for record in records for context in record.contexts]
    assert set(HOSTILE) <= {text for context in contexts for text in context.texts}


def test_pieces_of_characters_can_be_read() -> None:
    han = "한".encode()
    vocabulary = Vocabulary([b" Lily", han[:1], han[1:], b"", han])
    assert vocabulary.text(0) == " Lily"
    assert vocabulary.text(1) == "\\xed"
    assert vocabulary.text(3) == "<3>"
    assert vocabulary.text(4) == "한"
    assert vocabulary.texts([0, 1, 2, 0]) == [" Lily", "", "한", " Lily"]


def test_sentence_pieces_are_read_too() -> None:
    pieces = {"<s>": 0, "\u2581Lily": 1, "<0xED>": 2, "ly": 3, "\u2581": 4}
    tokenizer = Tokenizer(models.BPE(pieces, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens(["<s>"])
    vocabulary = vocabulary_of(tokenizer, 6)
    texts = [vocabulary.text(token) for token in range(6)]
    assert texts == ["<s>", " Lily", "\\xed", "ly", " ", "<5>"]


def test_progress_counts_every_token(built: Built, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    rebuild(built, tmp_path / "x", progress=lambda *seen: heard.append(seen))
    assert heard[-1] == (N_TOKENS, N_TOKENS)
    assert all(total == N_TOKENS for _, total in heard)


def test_only_as_much_is_read_as_was_asked_for(built: Built, tmp_path: Path) -> None:
    index = rebuild(built, tmp_path / "x", n_tokens=3 * CONTEXT_SIZE + 1)
    assert index.info.n_chunks == 4
    assert index.info.n_positions == 4 * CONTEXT_SIZE


def test_an_interrupted_build_leaves_what_was_there(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(built, tmp_path / "features")
    before = files_of(tmp_path / "features")

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(built, tmp_path / "features", progress=interrupt)
    monkeypatch.setattr("safetensors.numpy.save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rebuild(built, tmp_path / "features")
    with pytest.raises(KeyboardInterrupt):
        rebuild(built, tmp_path / "new")
    # What has been found is kept for the next try.
    assert {path.name for path in tmp_path.iterdir()} == {
        "features",
        "features.partial",
        "new.partial",
    }
    assert files_of(tmp_path / "features") == before


def test_a_rebuild_does_not_change_an_open_index(built: Built, tmp_path: Path) -> None:
    index = rebuild(built, tmp_path / "features")
    before = index.feature(5).contexts[0].texts
    rebuild(built, tmp_path / "features", n_tokens=CONTEXT_SIZE)
    assert index.feature(5).contexts[0].texts == before
    assert index.table()["n_fired"].equals(built.index.table()["n_fired"])


def test_an_index_is_read_without_torch(built: Built) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from tinysae.features.index.reader import open_index;"
        f"open_index(Path({str(built.folder)!r})).feature(5);"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("feature", [-1, 40, 10**12])
def test_a_feature_out_of_range_is_refused(built: Built, feature: int) -> None:
    with pytest.raises(InputError, match="0 to 39"):
        built.index.feature(feature)


def test_an_index_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="collected"):
        open_index(tmp_path)


def test_an_index_of_another_sae_is_refused(built: Built) -> None:
    assert open_index(built.folder, sae_fingerprint=built.sae.fingerprint)
    with pytest.raises(DamagedError, match="another SAE"):
        open_index(built.folder, sae_fingerprint="0" * 64)


def test_an_older_format_is_refused(built: Built, tmp_path: Path) -> None:
    folder = shutil.copytree(built.folder, tmp_path / "x")
    data = json.loads((folder / "index.json").read_text())
    for older in (0, 1):
        (folder / "index.json").write_text(json.dumps({**data, "format": older}))
        with pytest.raises(DamagedError, match="another version.*tinysae index"):
            open_index(folder)


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(b"\xff" * size)


def flip_a_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("accident", [remove, truncate, empty, overwrite])
@pytest.mark.parametrize(
    "file",
    [
        "features.parquet",
        "vocabulary.parquet",
        "tokens.safetensors",
        "contexts.safetensors",
    ],
)
def test_a_damaged_file_is_named(
    built: Built, tmp_path: Path, file: str, accident: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(built.folder, tmp_path / "x")
    accident(folder / file)
    with pytest.raises(DamagedError, match=file):
        open_index(folder)


def test_a_flipped_byte_in_a_page_is_noticed(built: Built, tmp_path: Path) -> None:
    folder = shutil.copytree(built.folder, tmp_path / "x")
    flip_a_page(folder / "features.parquet")
    index = open_index(folder)
    # Every row is in the one row group: reading any of them checks its pages.
    with pytest.raises(DamagedError, match=r"features\.parquet"):
        index.feature(5)


def test_contexts_that_point_nowhere_are_noticed(built: Built, tmp_path: Path) -> None:
    folder = shutil.copytree(built.folder, tmp_path / "x")
    path = folder / "contexts.safetensors"
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    start, end = json.loads(data[8 : 8 + n_header])["chunk"]["data_offsets"]
    body = bytearray(data)
    body[8 + n_header + start : 8 + n_header + end] = b"\x7f" * (end - start)
    path.write_bytes(bytes(body))
    index = open_index(folder)
    with pytest.raises(DamagedError, match=r"contexts\.safetensors"):
        index.feature(5)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "\ud800"])
def test_an_index_json_that_is_not_one_is_damage(
    built: Built, tmp_path: Path, text: str
) -> None:
    folder = shutil.copytree(built.folder, tmp_path / "x")
    (folder / "index.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DamagedError, match=r"index\.json|another version"):
        open_index(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"hook_name": "blocks.7.hook_mlp_out"}, "a place this model does not have"),
        ({"W_enc": torch.zeros(24, 40)}, "24 wide"),
    ],
)
def test_an_sae_of_another_model_is_refused(
    built: Built, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    sae = dataclasses.replace(built.sae, **change)
    with pytest.raises(InputError, match=sentence):
        build_index(sae, built.model, built.chunks, tmp_path / "x", n_tokens=10)
    assert not (tmp_path / "x").exists()


def test_activations_that_are_not_finite_are_refused(
    built: Built, tmp_path: Path
) -> None:
    sae = dataclasses.replace(built.sae, b_enc=torch.full((40,), torch.inf))
    with pytest.raises(DamagedError, match="not finite"):
        build_index(sae, built.model, built.chunks, tmp_path / "x", n_tokens=10)


def test_where_numba_fails_an_index_says_so_before_anything_is_read(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread() -> Iterator[NDArray[np.int32]]:
        raise AssertionError
        yield

    monkeypatch.setattr(engine, "numba_problem", lambda: "numba_fails")
    with pytest.raises(TinysaeError, match="numba does not work") as problem:
        build_index(built.sae, built.model, unread(), tmp_path / "x", n_tokens=10)
    assert "numba가 작동하지 않아요" in problem.value.in_language("ko")
    assert not list(tmp_path.iterdir())


def test_a_corpus_without_tokens_is_refused(built: Built, tmp_path: Path) -> None:
    only_bos = [np.full(CONTEXT_SIZE, built.model.bos_id, dtype=np.int32)] * 3
    for chunks in ([], only_bos):
        with pytest.raises(InputError, match="no text"):
            build_index(built.sae, built.model, chunks, tmp_path / "x", n_tokens=48)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "problem",
    # Numbers of 128 bits; a length that no memory has.
    [pa.ArrowNotImplementedError("Integers with more than 64 bits"), MemoryError()],
)
def test_whatever_pyarrow_says_of_a_file_means_that_it_is_damaged(problem: Exception):
    with pytest.raises(DamagedError), damage_in("features.parquet"):
        raise problem


def test_labels_are_no_more_than_those_of_the_largest_sae(tmp_path: Path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"format": 1, "labels": [], "more": "x" * 1_000}))
    assert read_labels(tmp_path) == []
    path.write_text(json.dumps({"format": 1, "labels": [], "more": "x" * 20_000_000}))
    with pytest.raises(DamagedError):
        read_labels(tmp_path)
