"""Experiments: all SAEs in one picture, all runs in one table, two of them face to
face."""

from tinysae.ui.shell.page import page_setup, shown_errors

page_setup("experiments")
with shown_errors():
    # The title waits for nothing of this.
    from tinysae.ui.experiments.experiment_views import show_experiments

    show_experiments()
