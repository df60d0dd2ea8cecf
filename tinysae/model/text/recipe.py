"""The Python that does what the playground shows, with TransformerLens alone."""

from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.hub.names import MAIN
from tinysae.model.names import hub_name
from tinysae.model.text.continuing import continuation
from tinysae.model.text.generate import GenerateSettings, sample_seed
from tinysae.model.text.prompt import Prompt
from tinysae.model.text.ranks import spaced

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

_LOAD = """\
import torch
from transformer_lens.model_bridge import TransformerBridge

model = TransformerBridge.boot_transformers({arguments})
"""


# The Bridge reads folders; of a GGUF file transformers makes the model.
_LOAD_GGUF = """\
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, file = {folder!r}, {file!r}
model = TransformerBridge.boot_transformers(
    folder,
    hf_model=AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype="float32"
    ),
    tokenizer=AutoTokenizer.from_pretrained(folder, gguf_file=file),
)
"""


def _load(model: "LoadedModel") -> str:
    from tinysae.model.sources import STORYBOOK, STORYBOOK_DIR

    source = str(STORYBOOK_DIR) if model.source == STORYBOOK else model.source
    path = Path(source).expanduser()
    if path.suffix.lower() == ".gguf" and path.is_file():
        return _LOAD_GGUF.format(folder=str(path.parent), file=path.name)
    name = None if path.exists() else hub_name(source)
    if name is None:
        return _LOAD.format(arguments=repr(source))
    is_main = name.revision == MAIN
    revision = "" if is_main else f", revision={name.revision!r}"
    return _LOAD.format(arguments=f"{name.repo_id!r}{revision}")


def _tokens(model: "LoadedModel", prompt: Prompt, text: str) -> str:
    """As text where TransformerLens reads it as this package does, else as ids."""
    plain = not (prompt.n_cut or prompt.special or prompt.has_surrogates)
    if plain and text:
        # TransformerLens puts BOS before some models' texts only.
        return f"tokens = model.to_tokens({text!r}, prepend_bos=True)\n"
    return f"tokens = torch.tensor([{[model.bos_id, *prompt.ids]}])  # BOS first\n"


def generate_code(
    model: "LoadedModel",
    prompt: Prompt,
    text: str,
    settings: GenerateSettings,
    n_samples: int,
) -> str:
    """Writes the same samples to the letter (tested).

    With both top-k and top-p TransformerLens would ignore top-p: the code says so.
    """
    seeds = [sample_seed(settings.seed, sample) for sample in range(n_samples)]
    room = model.n_ctx - 1 - len(prompt.ids)
    both = bool(settings.top_k) and settings.top_p < 1
    remark = "  # with top_k, TransformerLens ignores top_p" if both else ""
    return (
        _load(model) + _tokens(model, prompt, text) + f"for seed in {seeds}:\n"
        "    torch.manual_seed(seed)\n"
        "    written = model.generate(\n"
        "        tokens,\n"
        f"        max_new_tokens={min(settings.max_new_tokens, room)},\n"
        f"        temperature={settings.temperature},\n"
        f"        top_k={settings.top_k or None},\n"
        f"        top_p={settings.top_p if settings.top_p < 1 else None},{remark}\n"
        f"        repetition_penalty={settings.repetition_penalty},\n"
        f"        freq_penalty={settings.freq_penalty},\n"
        f"        stop_at_eos={settings.stop_at_eos},\n"
        '        return_type="tokens",\n'
        "        verbose=False,\n"
        "    )\n"
        "    print(model.to_string(written[0])[len(model.to_string(tokens[0])) :])\n"
    )


def heatmap_code(model: "LoadedModel", prompt: Prompt, text: str) -> str:
    """Prints every token with its log-probability."""
    return (
        _load(model) + _tokens(model, prompt, text) + "with torch.no_grad():\n"
        "    log_probs = model(tokens)[0].log_softmax(-1)\n"
        "for token, predicted in zip(tokens[0, 1:].tolist(), log_probs):\n"
        '    print(f"{predicted[token]:8.4f}  {model.to_string([token])!r}")\n'
    )


def ranks_code(
    model: "LoadedModel", text: str, answers: list[str], prepend_space: bool
) -> str:
    """Prints what the ranks show: by `test_prompt`, where it tokenizes the answers as
    they go on from the text."""
    said = [spaced(answer) if prepend_space else answer for answer in answers]
    ids = [continuation(model, text, each).ids for each in said]
    if ids != [model.encode(each) for each in said]:
        return _ranks_of_ids_code(model, model.encode(text), ids)
    return (
        _load(model).replace(
            "import torch\n", "from transformer_lens.utilities import test_prompt\n"
        )
        + f"for answer in {answers!r}:\n"
        "    test_prompt(\n"
        f"        {text!r},\n"
        "        answer,\n"
        "        model,\n"
        f"        prepend_space_to_answer={prepend_space},\n"
        "        prepend_bos=True,\n"
        "    )\n"
    )


def _ranks_of_ids_code(
    model: "LoadedModel", prompt_ids: list[int], answers: list[list[int]]
) -> str:
    return (
        _load(model) + f"prompt = {[model.bos_id, *prompt_ids]}  # BOS first\n"
        f"for answer in {answers}:\n"
        "    with torch.no_grad():\n"
        "        logits = model(torch.tensor([prompt + answer]))[0]\n"
        "    for token, row in zip(answer, logits[len(prompt) - 1 :]):\n"
        "        rank = int((row > row[token]).sum())\n"
        "        prob = float(row.softmax(-1)[token])\n"
        '        print(f"Rank: {rank:<8} Logit: {row[token]:5.2f} "\n'
        '              f"Prob: {prob:6.2%} Token: |{model.to_string([token])}|")\n'
    )
