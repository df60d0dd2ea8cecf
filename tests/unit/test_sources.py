"""Loading models: what is refused, what is offered, and that the numbers hold."""

import json
import re
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MptConfig,
    MptForCausalLM,
)

from tests.unit.tiny_model import N_CTX, save_model, save_tokenizer
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.model import blas, lean, sources
from tinysae.model.forward import activations, logits, logits_with
from tinysae.model.from_hook import FromHook
from tinysae.model.names import shown_name
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.pieces import WindowStream, token_texts

TEXTS = [
    "Once upon a time, there was a little girl named Lily.",
    "옛날 옛적에 릴리라는 아이가 살았어요.",
    "👩\u200d👩\u200d👧 and 🇰🇷 and é and e\u0301",
    "\x00\x01\x07\x1b[31m\t\r\n\u200b\u2028",
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "<|endoftext|> is plain text here",
    "مرحبا بالعالم",
    " ",
    "",
]

TINY_BLOOM = {"hidden_size": 32, "n_layer": 2, "n_head": 4}


@pytest.fixture
def copied(tiny_model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def random_tokens(model: LoadedModel, batch: int = 3, pos: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, model.d_vocab, (batch, pos), generator=generator)


@pytest.mark.parametrize("text", TEXTS)
def test_token_texts_joined_give_the_text_back(
    tiny_model: LoadedModel, text: str
) -> None:
    ids = tiny_model.encode(text)
    assert "".join(tiny_model.token_texts(ids)) == text
    assert token_texts(WindowStream(tiny_model.backend), ids) == tiny_model.token_texts(
        ids
    )


def test_random_ids_decode_as_the_tokenizer_decodes_them(
    tiny_model: LoadedModel,
) -> None:
    for row in random_tokens(tiny_model, batch=20).tolist():
        expected = tiny_model.backend.decode(row, skip_special_tokens=False)
        assert "".join(tiny_model.token_texts(row)) == expected


def test_character_of_several_tokens_stands_at_its_last(
    tiny_model: LoadedModel,
) -> None:
    assert tiny_model.token_texts(tiny_model.encode("한a")) == ["", "", "한", "a"]


def test_special_token_typed_as_text_is_plain_text(tiny_model: LoadedModel) -> None:
    assert tiny_model.bos_id not in tiny_model.encode("<|endoftext|>")
    assert tiny_model.special_tokens == ["<|endoftext|>"]


def test_lone_surrogate_is_read_as_replacement_character(
    tiny_model: LoadedModel,
) -> None:
    assert tiny_model.decode(tiny_model.encode("a\ud800b")) == "a\ufffdb"


def test_encode_many_is_encode_of_each(tiny_model: LoadedModel) -> None:
    assert tiny_model.encode_many(TEXTS) == [tiny_model.encode(text) for text in TEXTS]


def test_input_starts_with_bos(tiny_model: LoadedModel) -> None:
    assert tiny_model.to_input([5, 6]).tolist() == [[tiny_model.bos_id, 5, 6]]


@pytest.mark.parametrize("ids", [[1] * N_CTX, [-1], [10**6]])
def test_input_that_the_model_cannot_read_is_refused(
    tiny_model: LoadedModel, ids: list[int]
) -> None:
    with pytest.raises(InputError):
        tiny_model.to_input(ids)


def test_sizes_and_hooks_of_the_model(tiny_model: LoadedModel) -> None:
    assert (tiny_model.d_model, tiny_model.n_layers, tiny_model.n_ctx) == (32, 2, N_CTX)
    assert tiny_model.W_U.shape == (32, tiny_model.d_vocab)
    assert set(tiny_model.hook_widths) == {
        f"blocks.{layer}.hook_{name}"
        for layer in range(2)
        for name in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
    }
    assert set(tiny_model.hook_widths.values()) == {32}


def test_unembedding_and_final_norm_are_those_of_the_logits(
    tiny_model: LoadedModel,
) -> None:
    tokens = random_tokens(tiny_model)
    x = activations(tiny_model, tokens, "blocks.1.hook_resid_post")
    weight, bias = tiny_model.final_norm_weight, tiny_model.bridge.ln_final.bias
    normed = torch.nn.functional.layer_norm(x, (32,), weight, bias)
    expected = normed @ tiny_model.W_U
    torch.testing.assert_close(
        logits(tiny_model, tokens), expected, rtol=1e-4, atol=1e-4
    )


def test_lean_copy_gives_transformers_own_logits(
    tiny_model: LoadedModel, tiny_model_dir: Path
) -> None:
    own = AutoModelForCausalLM.from_pretrained(
        tiny_model_dir, attn_implementation="eager"
    ).eval()
    tokens = random_tokens(tiny_model, pos=N_CTX)
    with torch.no_grad():
        expected = own(tokens).logits
    torch.testing.assert_close(
        logits(tiny_model, tokens), expected, rtol=1e-5, atol=2e-5
    )


@pytest.mark.parametrize("product", ["onednn", "torch"])
def test_lean_copies_agree_whatever_computes_their_products(
    product: str, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = AutoModelForCausalLM.from_pretrained(
        tiny_model_dir, attn_implementation="eager"
    ).eval()
    monkeypatch.setattr(blas, "choose_product", lambda: product)
    copied = lean.lean_copy(own)
    # Few rows are computed in another way than many; a gradient is torch's own.
    for pos in (3, N_CTX):
        tokens = torch.randint(0, own.config.vocab_size, (2, pos))
        with torch.no_grad():
            expected = own(tokens).logits
            found = copied(tokens).logits
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)
    for model in (own, copied):
        model(tokens).logits.square().mean().backward()
        mlp = model.get_submodule("transformer.h.0.mlp.c_fc")
        gradient = dict(mlp.named_parameters())["weight"].grad
        assert gradient is not None
        gradient = gradient.clone()
        model.zero_grad()
        if model is own:
            expected = gradient
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_what_lies_between_fused_functions_can_still_be_read(
    tiny_model: LoadedModel,
) -> None:
    tokens, seen = random_tokens(tiny_model, pos=N_CTX), {}
    mlp = tiny_model.plain.get_submodule("transformer.h.0.mlp")
    with torch.no_grad():
        expected = tiny_model.plain(tokens).logits
        for name in ("c_fc", "act"):
            handle = mlp.get_submodule(name).register_forward_hook(
                lambda *inout, name=name: seen.update({name: inout[2]})
            )
            found = tiny_model.plain(tokens).logits
            handle.remove()
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)
    gelu = torch.nn.functional.gelu(seen["c_fc"], approximate="tanh")
    torch.testing.assert_close(seen["act"], gelu, rtol=1e-5, atol=1e-5)


def check_hooks(model: LoadedModel) -> None:
    shape = model.bridge.cfg
    assert (model.d_model, model.n_layers) == (shape.d_model, shape.n_layers)
    tokens = random_tokens(model)
    with torch.no_grad():
        _, cache = model.bridge.run_with_cache(tokens)
        for name in model.hooks:
            seen = activations(model, tokens, name)
            torch.testing.assert_close(seen, cache[name], rtol=1e-4, atol=1e-4)
            assert not seen.requires_grad
            changed = seen * 0.5 + 1
            expected = model.bridge.run_with_hooks(
                tokens,
                fwd_hooks=[(name, lambda x, hook, new=changed: new)],  # noqa: ARG005
            )
            torch.testing.assert_close(
                logits_with(model, tokens, name, changed),
                expected,
                rtol=1e-3,
                atol=1e-3,
            )
            here = FromHook(model, tokens, name)
            assert torch.equal(here.x, seen)
            for new in (changed, None, changed):
                whole = logits_with(model, tokens, name, new)
                assert torch.equal(here.logits(new), whole)


def test_activations_are_the_bridges(tiny_model: LoadedModel) -> None:
    assert tiny_model.n_ctx == tiny_model.bridge.cfg.n_ctx == N_CTX
    check_hooks(tiny_model)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (GPT2LMHeadModel, GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64)),
        (
            GPTNeoXForCausalLM,
            GPTNeoXConfig(
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=64,
            ),
        ),
        (
            LlamaForCausalLM,
            LlamaConfig(
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=64,
            ),
        ),
        # These two have no table of positions; their own words for the context.
        (
            BloomForCausalLM,
            BloomConfig.from_dict({**TINY_BLOOM, "seq_length": 64}),
        ),
        (MptForCausalLM, MptConfig(d_model=32, n_layers=2, n_heads=4, max_seq_len=64)),
    ],
)
def test_activations_are_the_bridges_for_other_architectures(
    tmp_path: Path, kind: Any, config: Any
) -> None:
    config.vocab_size = save_tokenizer(tmp_path)
    config.bos_token_id = config.eos_token_id = 0
    save_model(kind(config), tmp_path)
    model = load_model(str(tmp_path))
    assert model.n_ctx == 64
    assert {"blocks.0.hook_mlp_out", "blocks.1.hook_resid_post"} <= set(model.hooks)
    check_hooks(model)


def test_a_context_that_only_the_tokenizer_tells_is_taken_from_it(
    tmp_path: Path,
) -> None:
    n_vocabulary = save_tokenizer(tmp_path)
    tokens = {"vocab_size": n_vocabulary, "bos_token_id": 0, "eos_token_id": 0}
    config = BloomConfig.from_dict({**TINY_BLOOM, **tokens})
    save_model(BloomForCausalLM(config), tmp_path)
    with pytest.raises(DamagedError) as caught:
        load_model(str(tmp_path))
    assert caught.value.key == "error.model_unsupported"
    file = tmp_path / "tokenizer_config.json"
    limited = {**json.loads(file.read_text()), "model_max_length": 48}
    file.write_text(json.dumps(limited))
    assert load_model(str(tmp_path)).n_ctx == 48


def test_logits_without_replacement_are_the_models(tiny_model: LoadedModel) -> None:
    tokens = random_tokens(tiny_model)
    same = logits_with(tiny_model, tokens, "blocks.0.hook_mlp_out", None)
    assert torch.equal(same, logits(tiny_model, tokens))


def test_hook_that_is_not_there_is_refused(tiny_model: LoadedModel) -> None:
    with pytest.raises(InputError, match="blocks.9.hook_mlp_out"):
        activations(tiny_model, random_tokens(tiny_model), "blocks.9.hook_mlp_out")


def test_nothing_is_asked_of_the_network(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def refuse(*address: Any, **_: Any) -> NoReturn:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_model(str(tiny_model_dir))
    assert asked == []


@pytest.mark.parametrize("source", ["", " ", "gpt2", "/no/such/folder", "~nobody/x"])
def test_source_that_is_no_folder_is_named(source: str) -> None:
    with pytest.raises(MissingError):
        load_model(source)


def test_source_that_cannot_be_a_path_is_refused() -> None:
    for source in ("a" * 100_000, "a\0b"):
        with pytest.raises(MissingError):
            load_model(source)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_file_is_named(copied: Path, file: str) -> None:
    (copied / file).unlink()
    with pytest.raises(MissingError, match=file):
        load_model(str(copied))


def test_pickled_weights_are_never_opened(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    # The opcode of a pickle that would run `print`, were it ever loaded.
    (copied / "pytorch_model.bin").write_bytes(b"cbuiltins\nprint\n(S'ran'\ntR.")
    with pytest.raises(MissingError, match="pickle"):
        load_model(str(copied))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux says it")
def test_a_loaded_model_needs_its_files_no_more(copied: Path) -> None:
    """What is mapped into memory ends the server when somebody saves another model over
    it: `save_pretrained` shortens the file first."""
    model = load_model(str(copied))
    assert str(copied) not in Path("/proc/self/maps").read_text()
    assert model.n_layers > 0


def test_missing_shard_is_named(copied: Path) -> None:
    (copied / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
    )
    with pytest.raises(MissingError, match="model-00001-of-00002"):
        load_model(str(copied))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"x")])
def test_the_embedded_model_says_how_to_get_it_back(
    copied: Path, monkeypatch: pytest.MonkeyPatch, file: str, damage: Any
) -> None:
    monkeypatch.setattr(sources, "STORYBOOK_DIR", copied)
    damage(copied / file)
    with pytest.raises(
        DamagedError, match="git checkout -- tinysae/embedded/assets"
    ) as caught:
        load_model(STORYBOOK)
    assert str(copied) in str(caught.value)


def test_an_embedded_model_that_is_gone_says_how_to_get_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "STORYBOOK_DIR", tmp_path / "none")
    with pytest.raises(DamagedError, match="python -m tinysae storybook"):
        load_model(STORYBOOK)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_torn_file_is_named(copied: Path, file: str, kept: float) -> None:
    whole = (copied / file).read_bytes()
    (copied / file).write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(DamagedError, match=file):
        load_model(str(copied))


def change_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "no_such_model"},
        {"model_type": "bert", "architectures": ["BertModel"]},
        {"hidden_size": 64},
        {"num_layers": 3, "attention_types": [[["global"], 3]]},
        {"vocab_size": 100},
        {"num_heads": 5},
    ],
)
def test_config_that_does_not_fit_is_refused(
    copied: Path, changes: dict[str, Any]
) -> None:
    change_config(copied, **changes)
    with pytest.raises(DamagedError):
        load_model(str(copied))


def test_code_that_a_folder_brings_is_not_run(copied: Path) -> None:
    ran = copied / "ran"
    (copied / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    change_config(
        copied,
        model_type="evil",
        auto_map={
            "AutoConfig": "evil.Config",
            "AutoModelForCausalLM": "evil.Model",
        },
    )
    with pytest.raises(DamagedError):
        load_model(str(copied))
    assert not ran.exists()


def test_models_loaded_at_once_are_as_good_as_one_by_one(tiny_model_dir: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(load_model, [str(tiny_model_dir)] * 8))
    for model in [*loaded, load_model(str(tiny_model_dir))]:
        embeddings: Any = model.plain.get_input_embeddings()
        assert torch.equal(model.W_U.T, embeddings.weight)


def test_a_new_source_of_models_is_one_function(
    monkeypatch: pytest.MonkeyPatch, copied: Path
) -> None:
    """The toy source of docs/internals.md, put among the others."""
    guide = (Path(__file__).parents[2] / "docs" / "internals.md").read_text(
        encoding="utf-8"
    )
    toy = re.search(r"```python\n(def _zoo.*?)```", guide, re.S)
    assert toy
    names = dict(vars(sources))
    exec(toy[1].replace('"/zoo"', repr(str(copied.parent))), names)
    monkeypatch.setattr(sources, "ORIGINS", names["ORIGINS"])
    model = load_model(f"zoo:{copied.name}")
    assert model.source == f"zoo:{copied.name}"
    # It knows only what is there; what no source knows is missing.
    assert not sources.is_at_hand("zoo:tiger")
    assert sources.is_at_hand(STORYBOOK)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (STORYBOOK, STORYBOOK),
        ("tiny-stories-1L-21M", "tiny-stories-1L-21M"),
        ("owner/name@main", "owner/name@main"),
        ("/a/long/way/down/model.gguf", "model.gguf"),
        ("~/models/llama/", "llama"),
        ("/", "/"),
    ],
)
def test_of_a_path_the_last_name_is_shown(source: str, shown: str) -> None:
    assert shown_name(source) == shown
