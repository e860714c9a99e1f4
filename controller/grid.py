"""The fixed grid on which a station is scanned.

Rule: an overrun skips grid points, it never queues them.
"""

import math
import zlib

_PLACES_PER_S = 10


def phase_s(station: str, period_s: float) -> float:
    """Return the station's own place in the period, in s, so that stations spread over the bus.

    There are ten places a second: stations that share one are woken together, which costs less than
    waking each for itself, and the last of fifty is still a few ms late at the most. A checksum of
    the name and not `hash`, which differs from process to process.
    """
    places = max(1, round(_PLACES_PER_S * period_s))
    return zlib.crc32(station.encode()) % places / places * period_s


def first_grid_point(station: str, period_s: float, now_s: float) -> float:
    """Return the first grid point of a station that is not before `now_s`, on the same clock.

    The grid begins where the clock does, and not where a task happened to start: stations that
    share a place are due at one instant, and one wake-up serves them all.
    """
    first_s = phase_s(station, period_s)
    return first_s + max(0, math.ceil((now_s - first_s) / period_s)) * period_s


def next_grid_point(due_s: float, period_s: float, now_s: float) -> tuple[float, int]:
    """Return the first grid point after `now_s`, and how many points were skipped to reach it.

    Args:
        due_s: The grid point that was just served, in s.
        period_s: Distance of the grid points, in s, > 0.
        now_s: The present time on the same clock, in s.
    """
    steps = max(1, math.floor((now_s - due_s) / period_s) + 1)
    return due_s + steps * period_s, steps - 1
