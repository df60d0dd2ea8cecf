"""How much memory this process has taken."""

import re
import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """The most that was resident of this process, in bytes, since its program began."""
    try:
        status = Path("/proc/self/status").read_text()
        # Linux's `ru_maxrss` also knows the process that started this one.
        if peak_line := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            return int(peak_line[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kibibytes, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
