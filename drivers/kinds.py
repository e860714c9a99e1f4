"""What each type of a device can hold, and what may be written to a point that is kept as one.

Rule: a value is raw * scale + offset, the correction of the sensor being part of the offset, on
whatever protocol and in both directions.
"""

import math
import struct
import sys

from core.point import Point
from drivers.base import Target
from drivers.settings import RegisterKind

INTEGERS: dict[RegisterKind, tuple[int, int]] = {
    "bool": (0, 1),
    "u16": (0, 2**16 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "u32": (0, 2**32 - 1),
    "i32": (-(2**31), 2**31 - 1),
    "u64": (0, 2**64 - 1),
    "i64": (-(2**63), 2**63 - 1),
    "bcd16": (0, 10**4 - 1),
    "bcd32": (0, 10**8 - 1),
}
"""The whole numbers that each type holds."""
FLOAT_COUNTS: dict[RegisterKind, float] = {"f32": 2.0**-23, "f64": 2.0**-52}
"""What each type of floats rounds away, as a share of the number."""

_F32_MAX = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]
_LIMITS: dict[RegisterKind, tuple[float, float]] = {
    "f32": (-_F32_MAX, _F32_MAX),
    "f64": (-sys.float_info.max, sys.float_info.max),
    **INTEGERS,
}


def target_of(
    point: Point,
    kind: RegisterKind,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    is_slow: bool = False,
) -> Target:
    """Return what may be written to a point that a device keeps as `kind`.

    The limits are the point's plausible range as far as the type can hold it.
    """
    # Beside a float's own count, the arithmetic of scale and offset leaves a trace of 2**-50.
    count = FLOAT_COUNTS.get(kind, 0.0)
    half_step = 0.5 * abs(scale) if kind in INTEGERS else 0.0
    lowest, highest = _LIMITS[kind]
    ends = [lowest * scale + offset, highest * scale + offset]
    return Target(
        low=max(min(ends), point.low, -sys.float_info.max),
        high=min(max(ends), point.high, sys.float_info.max),
        slack=half_step + count * abs(offset),
        relative=max(count, 2.0**-50),
        is_slow=is_slow,
        is_pulse=point.is_pulse,
        rate_per_s=point.rate_per_s,
        refresh_s=point.writing.refresh_s,
        per_day=0 if point.is_pulse else point.writing.per_day,
        is_eeprom=point.writing.is_eeprom,
    )


def plausible(point: Point, kind: RegisterKind, scale: float = 1.0) -> tuple[float, float]:
    """Return the range of a point, wider by what its type rounds away and never infinite.

    A PLC that keeps 1.6 as a 32-bit float means 1.60000002, which is not above a limit of 1.6.
    """
    count = FLOAT_COUNTS["f32"]
    half_step = 0.5 * abs(scale) if kind in INTEGERS else 0.0
    low, high = point.low, point.high
    return (
        low - count * abs(low) - half_step if math.isfinite(low) else -sys.float_info.max,
        high + count * abs(high) + half_step if math.isfinite(high) else sys.float_info.max,
    )


def raw_number(
    kind: RegisterKind, value: float, *, scale: float = 1.0, offset: float = 0.0
) -> float:
    """Return the number that stands for `value` in a device; a whole one is an `int`.

    Args:
        kind: The type that the device keeps it as.
        value: In the point's unit.
        scale: The value is raw * scale + offset.
        offset: See `scale`; the correction of the sensor is part of it.

    Raises:
        ValueError: The value is no number, or the type cannot hold it.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    raw = (value - offset) / scale
    number = round(raw) if kind in INTEGERS else raw
    lowest, highest = _LIMITS[kind]
    if not lowest <= number <= highest:
        raise ValueError(f"{value} does not fit {kind}")
    return number
