"""The embedded text: generated stories without end."""

from collections.abc import Iterator

from tinysae.config import TextChoice
from tinysae.data.storybook.generator import stories
from tinysae.data.texts.text import Text

STORYBOOK = "storybook"


class Storybook(Text):
    """Stories from a seed. Those held out are of casts that training never meets."""

    is_endless = True

    def rows(self) -> Iterator[str]:
        return self.documents(0)

    def documents(self, seed: int, *, held_out: bool = False) -> Iterator[str]:
        return (story.text for story in stories(seed, held_out=held_out))


def opened(choice: TextChoice) -> Storybook | None:
    return Storybook() if choice.path == STORYBOOK else None
