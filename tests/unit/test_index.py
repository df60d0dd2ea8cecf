"""The index: figures against a dense float64 reference, files against accidents."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.builders import HOSTILE, token_chunks, write_model, write_sae
from tests.unit.tiny_model import BOS
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.features import index as index_module
from tinysae.features.index import FeatureIndex, build_index, open_index
from tinysae.features.records import LogitKind
from tinysae.features.statistics import ActivePairs, Histograms
from tinysae.features.token_sums import DenseTokenSums, SparseTokenSums
from tinysae.features.top_contexts import TopContexts
from tinysae.features.vocabulary import Vocabulary, vocabulary_of
from tinysae.model.forward import activations
from tinysae.model.sources import LoadedModel, load_model
from tinysae.sae.files import SAE, load_sae

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


def test_of_equal_contexts_the_earlier_is_kept() -> None:
    contexts = TopContexts(d_sae=2, k=3)
    for first_chunk in (0, 2, 4):
        # Feature 1 is as strong at two places of both chunks of 4 positions.
        row = np.array([1, 3, 6, 7])
        value = np.full(4, 2.5, dtype=np.float32)
        contexts.add(ActivePairs(row, np.full(4, 1), value), first_chunk, 2, 4)
    result = contexts.result()
    assert result.chunk.tolist() == [[-1, -1, -1], [0, 1, 2]]
    assert result.position[1].tolist() == [1, 2, 1]
    assert result.offset.tolist() == [0, 0, 0, 0, 2, 4, 6]
    assert result.active_position.tolist() == [1, 3, 2, 3, 1, 3]


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


def test_figures_do_not_depend_on_how_the_corpus_is_cut(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "TOKENS_AT_ONCE", 7 * CONTEXT_SIZE)
    monkeypatch.setattr(index_module, "ACTIVATIONS_AT_ONCE", 5 * built.sae.d_sae)
    monkeypatch.setattr(TopContexts, "_SMALL_POOL", 1)
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


def test_histograms_stay_exact_over_sixty_octaves_in_any_order() -> None:
    rng = np.random.default_rng(0)
    values = np.exp2(rng.uniform(-30, 30, 4000)).astype(np.float32)
    features = rng.integers(0, 3, 4000)
    first, second = Histograms(3), Histograms(3)
    for histograms, order in ((first, np.arange(4000)), (second, np.argsort(values))):
        for part in np.array_split(order, 23):
            pairs = ActivePairs(part, features[part], values[part])
            histograms.add(pairs)
    assert first.counts.tolist() == second.counts.tolist()
    for feature, width in enumerate(first.bin_width):
        own = values[features == feature]
        edges = np.arange(Histograms.N_BINS + 1) * width
        assert first.counts[feature].tolist() == np.histogram(own, edges)[0].tolist()
        assert own.max() < edges[-1] <= 2 * own.max() * (1 + 1 / 32)


def test_sparse_token_sums_are_the_dense_ones_while_they_fit() -> None:
    rng = np.random.default_rng(0)
    dense, sparse = DenseTokenSums(7, 50), SparseTokenSums(7, 50)
    for _ in range(30):
        feature, token = rng.integers(0, 6, 200), rng.integers(0, 50, 200)
        value = rng.random(200).astype(np.float32)
        dense.add(feature, token, value)
        sparse.add(feature, token, value)
    assert sparse.is_exact
    for ours, expected in zip(sparse.top(20), dense.top(20), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_sparse_token_sums_that_do_not_fit_are_at_most_too_small() -> None:
    rng = np.random.default_rng(0)
    dense = DenseTokenSums(3, 5000)
    sparse = SparseTokenSums(3, 5000, limit=600, kept_tokens=100)
    for _ in range(50):
        feature = rng.integers(0, 3, 400)
        token = np.minimum(rng.zipf(1.5, 400), 4999)
        value = rng.random(400).astype(np.float32)
        dense.add(feature, token, value)
        sparse.add(feature, token, value)
    assert not sparse.is_exact
    ours, expected = sparse.top(10), dense.top(10)
    assert ours.token.tolist() == expected.token.tolist()
    assert (ours.mass <= expected.mass * (1 + 1e-6)).all()
    np.testing.assert_allclose(ours.mass, expected.mass, rtol=0.05)


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


def test_sentence_pieces_are_read_too(built: Built) -> None:
    model = dataclasses.replace(built.model, token_bytes=None, backend=FakeBackend())
    texts = [vocabulary_of(model).text(token) for token in range(4)]
    assert texts == ["<s>", " Lily", "\\xed", "ly"]


class FakeBackend:
    """As much of a SentencePiece tokenizer as gives its pieces."""

    class _Added(NamedTuple):
        content: str

    def get_added_tokens_decoder(self) -> dict[int, Any]:
        return {0: self._Added("<s>")}

    def id_to_token(self, token: int) -> str | None:
        return {0: "<s>", 1: "\u2581Lily", 2: "<0xED>", 3: "ly"}.get(token)


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
    assert [path.name for path in tmp_path.iterdir()] == ["features"]
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
        "from tinysae.features.index import open_index;"
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
    (folder / "index.json").write_text(json.dumps({**data, "format": 0}))
    with pytest.raises(DamagedError, match="another version"):
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
    "file", ["features.parquet", "vocabulary.parquet", "contexts.safetensors"]
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


def test_a_corpus_without_tokens_is_refused(built: Built, tmp_path: Path) -> None:
    only_bos = [np.full(CONTEXT_SIZE, built.model.bos_id, dtype=np.int32)] * 3
    for chunks in ([], only_bos):
        with pytest.raises(InputError, match="no text"):
            build_index(built.sae, built.model, chunks, tmp_path / "x", n_tokens=48)
    assert not (tmp_path / "x").exists()
