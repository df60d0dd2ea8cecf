"""What a list could not read, under the list."""

from collections.abc import Sequence

from tinysae.jobs.files import shown_path
from tinysae.jobs.listed import Unreadable
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note

# Who has more of them has one reason for all.
MOST = 3


def show_left_out(unreadable: Sequence[Unreadable]) -> None:
    """A line for each folder that could not be read: which, and why; nothing when
    there is none."""
    for path, why in unreadable[:MOST]:
        folder = shown_path(path.name)
        note(t("common.left_out", folder=folder, why=why.in_language(language())))
    if (n := len(unreadable) - MOST) > 0:
        note(t("common.left_out_more", n=n))
