"""What the current of a 4-20 mA transmitter says about its health (NAMUR NE 43).

Rule: it measures from 3.8 to 20.5 mA, and at 3.6 mA or less, or 21 mA or more, it is open or
shorted. In between it is out of specification: its value is shown, and no decision rests on it.
"""

from drivers.settings import Register

_LOOP_MA = (4.0, 20.0)
_MEASURES_MA = (3.8, 20.5)
_BROKEN_MA = (3.6, 21.0)
# A current that comes as a 32-bit float is not quite the number that is meant.
_ROUNDED_MA = 2e-6


def measured(register: Register) -> tuple[float, float]:
    """Return the least and most value of a point with a current loop that is within it."""
    return _between(register, _MEASURES_MA[0] - _ROUNDED_MA, _MEASURES_MA[1] + _ROUNDED_MA)


def intact(register: Register) -> tuple[float, float]:
    """Return the values between which, both left out, the loop of a point is not broken."""
    return _between(register, _BROKEN_MA[0] + _ROUNDED_MA, _BROKEN_MA[1] - _ROUNDED_MA)


def _between(register: Register, least_ma: float, most_ma: float) -> tuple[float, float]:
    ends = (_at_current(register, least_ma), _at_current(register, most_ma))
    return min(ends), max(ends)


def _at_current(register: Register, current_ma: float) -> float:
    """Return the value of a point at a current, in the point's unit."""
    assert register.current_loop is not None, f"{register.point.tag} has no current loop"
    raw_low, raw_high = register.current_loop
    share = (current_ma - _LOOP_MA[0]) / (_LOOP_MA[1] - _LOOP_MA[0])
    raw = raw_low + share * (raw_high - raw_low)
    return raw * register.scale + register.offset + register.correction
