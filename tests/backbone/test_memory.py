"""Memory that is given back."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
from backbone.memory import give_back_large

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "fixed":
    assert give_back_large() and give_back_large()
np.ones(30_000_000, np.uint8)  # once freed, glibc keeps blocks up to this size
before = resident()
blocks = [np.ones(20_000_000, np.uint8) for _ in range(12)]
del blocks[:-1]
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give memory back by themselves")
def test_blocks_below_the_last_one_are_given_back() -> None:
    kept, fixed = (
        int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("as it is", "fixed")
    )
    assert fixed < 40_000_000
    assert kept > 150_000_000
