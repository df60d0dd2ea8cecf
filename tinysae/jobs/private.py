"""A home that others may look into, closed: what is written since is its owner's alone
(`files`), what was written before that may not be."""

import stat
from contextlib import suppress

from tinysae.jobs.files import PRIVATE_FILE, PRIVATE_FOLDER
from tinysae.jobs.home import home

# What is made here. A closed folder closes all that is in it. The home itself may be a
# checkout, and `models` and `lessons` are where people put what they share.
FOLDERS = (
    *("runs", "sweeps", "notes", "indexes", "saes"),
    *("transfers", "downloads", "texts"),
)
FILES = ("lessons.json", "model_pins.json")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def close_home() -> None:
    """Takes from others what they may do in the home; a few calls, whatever its size.

    What cannot be changed (somebody else's, a disk that is only read) stays as it is.
    """
    for names, mode in ((FOLDERS, PRIVATE_FOLDER), (FILES, PRIVATE_FILE)):
        for name in names:
            path = home() / name
            with suppress(OSError):
                about = path.lstat()
                # A link's end is where somebody else decides.
                if not stat.S_ISLNK(about.st_mode) and about.st_mode & _OTHERS:
                    path.chmod(mode)
