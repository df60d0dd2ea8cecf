"""Experiments, below its title: a tab for each way to look at all that was trained."""

from collections.abc import Callable, Mapping
from functools import partial

from tinysae.ui.experiments import all_runs, face_to_face, frontier, sweeping
from tinysae.ui.parts.linked_tabs import linked_tabs
from tinysae.ui.shell.chosen import Chosen, chosen

# What a link calls a tab -> what is shown there; `experiments.view_<name>` names it.
VIEWS: Mapping[str, Callable[[Chosen], None]] = {
    "frontier": frontier.show_frontier,
    "runs": all_runs.show_all_runs,
    "sweep": sweeping.show_sweeps,
    "face": face_to_face.show_face_to_face,
}


def show_experiments() -> None:
    """The tabs, of which the open one is drawn."""
    here = chosen("experiments")
    linked_tabs(
        "experiments", {name: partial(show, here) for name, show in VIEWS.items()}
    )
