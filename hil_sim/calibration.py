"""A fixed piece of work that tells how fast the machine is just now.

Rule: it never changes, or figures that were given as a ratio to it lose their meaning.
"""

import struct
import time

_ROUNDS = 20000
_BLOCK = struct.Struct(">100f")


def calibration_s() -> float:
    """Return the CPU seconds that a fixed amount of plain Python work takes, about 0.1.

    The work resembles a scan: blocks of registers are decoded, compared with limits and kept.
    """
    data = bytes(range(200)) * 2
    low, high = -1e30, 1e30
    kept: dict[int, float] = {}
    began_s = time.process_time()
    for round_ in range(_ROUNDS):
        values = _BLOCK.unpack(data)
        kept[round_ % 97] = sum(value for value in values if low <= value <= high)
    return time.process_time() - began_s
