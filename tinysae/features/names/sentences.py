"""A feature's label as a sentence, in a language: for pages, files and terminals."""

from tinysae.features.names.labels import Label
from tinysae.render.visible import visible
from tinysae.words import Language, catalogue, text


def concept_name(concept: str, language: Language) -> str:
    """What a concept is called, else its own name as it is (untrusted text)."""
    key = f"concepts.{concept}"
    if key in catalogue():
        return text(key, language)
    return visible(concept.replace("_", " "))


def label_sentence(label: Label, language: Language) -> str:
    """What the label says of its feature, as plain untrusted text; a feature that
    never fires may have nothing to be called by."""
    what = visible(label.text)
    if not what:
        return ""
    if label.concept is not None:
        what = concept_name(label.concept, language)
    return text(f"features.label_{label.kind}", language, what=what)
