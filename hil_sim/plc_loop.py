"""A PI of the kind that PLC libraries hold: limits, rate, dead band, external reset.

Rule: the integral follows what was really put out, so a loop that is held does not wind up.
"""

import math


class PiLoop:
    """One loop; `output` is what it last gave.

    Args:
        gain: Output units per unit of error.
        reset_s: Reset time, s.
        limits: Lowest and highest output.
        rate_per_s: Fastest change of the output.
        deadband: Changes of the output smaller than this are not made.
        cycle_s: How often `step` is called.
    """

    __slots__ = ("_deadband", "_gain", "_high", "_integral", "_low", "_move", "_share", "output")

    def __init__(
        self,
        *,
        gain: float,
        reset_s: float,
        limits: tuple[float, float],
        rate_per_s: float,
        deadband: float,
        cycle_s: float,
    ) -> None:
        self._gain = gain
        self._share = 1.0 - math.exp(-cycle_s / reset_s)
        self._low, self._high = limits
        self._move = rate_per_s * cycle_s
        self._deadband = deadband
        self._integral = self.output = 0.0

    def track(self, output: float, error: float) -> None:
        """Start from `output` without a bump at this error."""
        self.output = output
        self._integral = output - self._gain * error

    def follow(self, output: float) -> None:
        """Take note that `output` was put out in place of what the last step gave."""
        self._integral += self._share * (output - self.output)
        self.output = output

    def step(self, error: float) -> float:
        """Return the next output for this error (setpoint less measured)."""
        output, proportional = self.output, self._gain * error
        raw = proportional + self._integral
        wanted = self._low if raw < self._low else (min(raw, self._high))
        move = wanted - output
        if move > self._deadband:
            output += min(self._move, move)
        elif move < -self._deadband:
            output += max(-self._move, move)
        self._integral += self._share * (proportional + output - raw)
        self.output = output
        return output
