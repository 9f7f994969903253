"""Freed arrays go back to the system."""

import ctypes
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys
import numpy as np
from vocalsketch.web.server import bound_memory

class Statistics(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Statistics
if sys.argv[1] == "mended":
    bound_memory()
np.empty(20_000_000, np.uint8)  # freed at once: glibc adapts
before = mallinfo2().hblkhd
kept = np.empty(20_000_000, np.uint8)
print(mallinfo2().hblkhd - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="mallinfo2 is glibc's",
)
def test_a_large_array_lies_in_memory_of_its_own_also_after_others_were_freed() -> None:
    mapped = {
        case: int(subprocess.check_output([sys.executable, "-c", SCRIPT, case]))
        for case in ("mended", "as it is")
    }
    assert mapped["mended"] >= 20_000_000
    assert mapped["as it is"] < 20_000_000
