"""frontier"""

from tinysae.ui.shell.chosen import Chosen


def show_frontier(here: Chosen) -> None:
    del here
