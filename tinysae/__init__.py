"""tinysae: talk to a tiny language model, train an SAE on it, explore its features."""

import os
from importlib.util import find_spec

__version__ = "0.1.0"

# OpenMP's threads wait for one another spinning, which keeps a core busy that a browser
# or another run needs: on two busy cores training went from 1,400 to 5,500 tokens/s by
# sleeping instead. It is read when torch is loaded, so it has to be said before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Locks, process groups and limits of memory are those of Unix. Whatever starts imports
# this package first, so that one sentence stands in place of a traceback.
if find_spec("fcntl") is None or find_spec("resource") is None:
    from tinysae.words import text

    raise SystemExit(text("error.platform", "en"))
