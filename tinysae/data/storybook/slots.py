"""What fills the slots of a plot.

A filler's forms are written "singular" or "singular/plural", a place
"preposition+noun".
"""

from __future__ import annotations

from typing import Final

from tinysae.data.storybook.words import PET_NAMES, split_words

SLOT_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "pet_name": PET_NAMES,
    "trait": split_words(
        "kind curious brave gentle clever quiet busy funny shy playful helpful"
        " cheerful patient careful"
    ),
    "weather": ("sunny", "windy", "cloudy", "warm", "cold", "foggy"),
    "season": ("spring", "summer", "autumn", "winter"),
    "time": ("morning", "afternoon", "evening"),
    "colour": split_words(
        "red blue green yellow purple pink white black brown golden silver"
    ),
    "size": ("big", "little", "small", "tiny", "huge", "large"),
    "feel": ("soft", "shiny", "beautiful", "pretty", "lovely", "new", "old", "special"),
    "toy": (
        *split_words(
            "ball kite doll train puppet drum robot boat balloon scooter puzzle"
        ),
        *split_words("marble rocket airplane truck car bike hoop whistle skateboard"),
        *("teddy bear", "yo-yo"),
    ),
    "outdoor": (
        *("in+park", "in+garden", "in+forest", "at+beach", "in+field", "in+meadow"),
        *("at+playground", "at+farm", "on+hill", "by+river", "by+lake", "by+pond"),
        *("in+woods", "in+yard"),
    ),
    "town": (
        *("at+shop", "at+school", "at+library", "at+market", "at+bakery"),
        *("at+museum", "at+zoo", "at+fair"),
    ),
    "food": (
        *("apple/apples", "pear/pears", "peach/peaches", "banana/bananas"),
        *("plum/plums", "cookie/cookies", "cake/cakes", "pie/pies", "muffin/muffins"),
        *("pancake/pancakes", "cupcake/cupcakes", "carrot/carrots"),
        *("sandwich/sandwiches", "tomato/tomatoes", "pumpkin/pumpkins"),
    ),
    "baked": ("cookie/cookies", "cake/cakes", "pie/pies", "muffin/muffins")
    + ("pancake/pancakes", "cupcake/cupcakes"),
    "fruit": ("apple/apples", "pear/pears", "peach/peaches", "banana/bananas")
    + ("plum/plums", "berry/berries", "cherry/cherries"),
    "crop": ("carrot/carrots", "pumpkin/pumpkins", "tomato/tomatoes")
    + ("sunflower/flowers", "tulip/flowers", "rose/roses"),
    "pet": ("dog", "cat", "puppy", "kitten", "hamster", "parrot"),
    "farm_animal": ("cow", "pig", "sheep", "goat", "horse", "hen", "lamb", "pony"),
    "animal": (
        *split_words(
            "fox squirrel rabbit frog turtle mouse hedgehog deer owl bird duck"
        ),
        *split_words("butterfly robin snail bear"),
    ),
    "zoo_animal": ("elephant", "lion", "monkey", "giraffe", "penguin"),
    "adult": ("mom", "dad", "grandma", "grandpa"),
    "job": split_words("teacher baker farmer doctor painter sailor gardener"),
    "clothing": ("hat", "scarf", "coat", "sweater", "dress", "cape", "glove"),
    "treasure": ("coin", "ring", "medal", "pearl", "key"),
    "music": ("drum", "piano", "guitar", "flute", "violin", "trumpet"),
    "body": ("knee", "arm", "hand", "foot", "finger", "head"),
    "container": ("box", "basket", "bag", "jar", "bucket"),
    "tool": ("rope", "ladder", "stick", "net", "blanket"),
    "hiding": (
        *("under+bed", "behind+door", "under+table", "behind+tree", "in+box"),
        *("under+chair", "behind+bush", "in+grass"),
    ),
}
"""Slot -> its fillers."""

ANY_WEATHER: Final = (*SLOT_VALUES["weather"], "rainy", "snowy", "stormy")
"""For plots that happen inside."""


def slot_of(form: str) -> str | None:
    """The slot behind a template's form ("a toy", "foods", "in town"); None if none.

    Pronouns have none: they follow from the name.
    """
    if form in ("N", "F"):
        return "name" if form == "N" else "friend"
    form = form[0].lower() + form[1:]
    noun = form.removeprefix("a ").removeprefix("in ")
    for slot in (noun, noun.removesuffix("s")):
        if slot in SLOT_VALUES:
            return slot
    first = noun.split(" ")[0]  # "adult she"
    return first if first in SLOT_VALUES and noun != first else None
