"""all_runs"""

from tinysae.ui.shell.chosen import Chosen


def show_all_runs(here: Chosen) -> None:
    del here
