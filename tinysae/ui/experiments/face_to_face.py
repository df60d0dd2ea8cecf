"""face_to_face"""

from tinysae.ui.shell.chosen import Chosen


def show_face_to_face(here: Chosen) -> None:
    del here
