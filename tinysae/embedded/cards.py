"""The cards beside the embedded model and SAEs: what each is and how good it is."""

import json
from pathlib import Path
from typing import Any

from tinysae.config import TrainConfig
from tinysae.embedded.recipe import END, VOCABULARY
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR


def write_model_card(out_dir: Path, facts: dict[str, Any]) -> None:
    """Write ``storybook.json`` and the card that says the same in words.

    `facts` may also hold what `benchmarks/storybook.py` measured: "figures" and
    "samples".
    """
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (out_dir / "storybook.json").write_text(text + "\n", encoding="utf-8")
    said = {"figures": {}, "samples": [], **facts, "end": END, "vocabulary": VOCABULARY}
    (out_dir / "README.md").write_text(_filled("model_card.md", said), encoding="utf-8")


def sae_card(
    config: TrainConfig, figures: dict[str, Any], *, post: bool = False
) -> str:
    """The README beside an SAE's weights: what it is, how to load it, how good it is;
    `post`: the second SAE's."""
    said = {
        "config": config,
        "figures": figures,
        "folder": (POST_SAE_DIR if post else STORYBOOK_SAE_DIR).name,
        "tokens": config.total_training_steps * config.train_batch_size_tokens,
        "post": post,
    }
    return _filled("sae_card.md", said)


def _filled(template: str, said: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template(template).render(said)
