"""The list of models against TransformerLens; files that cannot be loaded."""

import importlib.util
import json
import shutil
from pathlib import Path

import psutil
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformer_lens.supported_models import MODEL_ALIASES
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.fuzz_samples import write_gguf
from tests.unit.tiny_model import CORPUS, save_model
from tinysae.errors import DamagedError, MissingError
from tinysae.hub.names import HubName
from tinysae.model.catalogue import CATALOGUE, entry_of, pin_of, same_model
from tinysae.model.folder import count_parameters
from tinysae.model.names import hub_name
from tinysae.model.sources import STORYBOOK_DIR, load_model

SMOLLM = "HuggingFaceTB/SmolLM2-135M"


def test_names_are_transformer_lens_own() -> None:
    for entry in CATALOGUE:
        if entry.repo_id in (None, SMOLLM):
            continue
        official = entry.repo_id.removeprefix("openai-community/")
        own = {official, *MODEL_ALIASES[official]}
        assert {entry.source, *entry.names} <= own | {entry.repo_id}


def test_every_name_means_one_entry() -> None:
    names = [n for e in CATALOGUE for n in {e.source, *e.names}]
    assert len(names) == len(set(names))
    for entry in CATALOGUE:
        assert entry_of(f" {entry.source} ") is entry
    assert same_model("tiny-stories-1L-21M", "roneneldan/TinyStories-1Layer-21M")
    assert not same_model("gpt2", "pythia-14m")
    assert hub_name("gpt2@v1") == HubName("openai-community/gpt2", "v1")
    assert hub_name("storybook") is None


def test_embedded_model_has_as_many_parameters_as_the_list_says() -> None:
    entry = entry_of("storybook")
    assert entry is not None
    assert entry.n_parameters == count_parameters(STORYBOOK_DIR)


def test_no_pin_is_shipped_that_nobody_looked_up(tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    assert all(pin_of(e.repo_id) is None for e in CATALOGUE if e.repo_id)
    (tiny_home / "model_pins.json").write_text(
        json.dumps({e.repo_id: {"revision": "main"} for e in CATALOGUE if e.repo_id})
    )
    assert all(pin_of(e.repo_id) is None for e in CATALOGUE if e.repo_id)


def test_model_larger_than_the_memory_is_refused(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = psutil.virtual_memory()._replace(available=10_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(MissingError, match="GB of memory"):
        load_model(str(tiny_model_dir))


def test_gguf_file_that_is_none_or_lacks_its_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"not one")
    with pytest.raises(DamagedError, match=r"model\.gguf"):
        load_model(str(file))
    write_gguf(tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name)
    )
    with pytest.raises(MissingError, match="pip install gguf"):
        load_model(str(file))


def test_llama_tokenizer_gives_every_text_back(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    # Llama's vocabulary holds the bytes as tokens of their own.
    special = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=[*special, *raw], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] in special]
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(data)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    ).save_pretrained(tmp_path)
    config = LlamaConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=1,
        eos_token_id=2,
    )
    save_model(LlamaForCausalLM(config), tmp_path)
    model = load_model(str(tmp_path))
    for text in ("One day, Lily ran.", "안녕 👩‍👧 ok", "a  b", "<s> is plain"):
        pieces = model.token_texts(model.encode(text))
        assert "".join(pieces) == text


def test_tokenizer_of_another_model_is_refused(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    for extra in range(50):
        data["model"]["vocab"][f"extra{extra}"] = 1000 + extra
    path.write_text(json.dumps(data))
    with pytest.raises(DamagedError, match="more tokens than the model knows"):
        load_model(str(folder))
