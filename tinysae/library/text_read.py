"""What an index says of the text it was made of: only what is known of it."""

from typing import NamedTuple

from tinysae.data.texts import pasted
from tinysae.data.texts.storybook import STORYBOOK
from tinysae.features.index.format import IndexInfo
from tinysae.features.index.reader import FeatureIndex
from tinysae.library.card import without_place
from tinysae.model.names import shown_name
from tinysae.render.visible import visible
from tinysae.words import Language, text


class TextRead(NamedTuple):
    """The text that a model read for an index.

    path: as the setting `dataset_path` names it (untrusted); empty if nobody noted it.
    is_held_out: whether the SAE is known not to have been trained on it.
    """

    path: str
    is_held_out: bool


def noted_in(info: IndexInfo) -> TextRead:
    """What the index itself says."""
    return TextRead(info.text, info.is_held_out)


def text_name(path: str, language: Language) -> str:
    """What people call a text, without where it lies on this machine (untrusted)."""
    if path == STORYBOOK:
        return text("features.text_stories", language)
    if path.startswith(pasted.PREFIX):
        return text("features.text_pasted", language)
    return without_place(path) or text("features.text_unknown", language)


def about_index(index: FeatureIndex, read: TextRead, language: Language) -> str:
    """How the figures of an index came about, in a few sentences (untrusted text)."""
    info = index.info
    key = "about_text" if read.is_held_out else "about_text_unsure"
    return text(
        f"features.{key}",
        language,
        model=shown_name(info.model),
        text=text_name(read.path, language),
        hook=info.hook_name,
        n_chunks=f"{info.n_chunks:,}",
        context_size=f"{info.context_size:,}",
        n_tokens=f"{info.n_tokens:,}",
        bos=visible(index.bos_text),
    )
