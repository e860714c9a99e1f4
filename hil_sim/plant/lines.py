"""Straight lines between points.

Rule: beyond the first and the last point the value stays constant.
"""

from collections.abc import Sequence
from itertools import pairwise


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return y at `x` on straight lines between points of rising x, constant beyond the ends.

    Two points may share an x: then the later one counts from there on.
    """
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1 and x1 > x0:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]
