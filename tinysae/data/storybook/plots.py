"""The storybook's plots: what may happen, in the order in which it happens."""

from __future__ import annotations

from tinysae.data.storybook.plots_home import HOME_PLOTS
from tinysae.data.storybook.plots_outdoors import OUTDOOR_PLOTS
from tinysae.data.storybook.plots_people import PEOPLE_PLOTS

PLOTS = (*HOME_PLOTS, *OUTDOOR_PLOTS, *PEOPLE_PLOTS)
"""Every plot of the storybook."""
