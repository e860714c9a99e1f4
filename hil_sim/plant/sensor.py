"""Sensors: they lag, they are noisy, and they fail in known ways.

Rule: the plant's truth never passes a sensor; the PLC never sees anything else.
"""

import math
import random
from enum import Enum

_TAPE = 8191  # a prime, so that the stride below visits every place before it repeats
_STRIDE = 31
_SENSORS_MAX = 64


class SensorFault(Enum):
    """How a sensor can fail."""

    NONE = "none"
    OPEN = "open"
    STUCK = "stuck"
    DRIFT = "drift"
    OFFSET = "offset"


class NoiseTape:
    """Gaussian noise drawn once; the instruments read a window of it, and the window moves on.

    Drawing afresh for every sensor and scan would cost a third of the whole simulation.
    """

    __slots__ = ("_at", "_values")

    def __init__(self, rng: random.Random) -> None:
        drawn = [rng.gauss(0.0, 1.0) for _ in range(_TAPE)]
        self._values = tuple(drawn + drawn[:_SENSORS_MAX])
        self._at = rng.randrange(_TAPE)

    def window(self, count: int) -> tuple[float, ...]:
        """Move on, and return the next standard-normal values for `count` sensors, up to 64."""
        self._at = (self._at + _STRIDE) % _TAPE
        return self._values[self._at : self._at + count]


class Sensor:
    """One instrument: `truth` is lagged into `value`; `read()` adds noise or the fault.

    Args:
        lag_s: Time constant, 0 for none.
        sigma: Noise, in the quantity's unit.
        broken: What an open circuit reads.
    """

    __slots__ = (
        "_amount",
        "_broken",
        "_fault_s",
        "_is_sound",
        "_stuck_at",
        "fault",
        "noise",
        "share_per_s",
        "sigma",
        "value",
    )

    def __init__(self, *, lag_s: float, sigma: float, broken: float) -> None:
        self.sigma, self._broken = sigma, broken
        # The share of the way to the truth that the sensor goes in one second.
        self.share_per_s = 1.0 - math.exp(-1.0 / lag_s) if lag_s > 0.0 else 1.0
        self.fault = SensorFault.NONE
        self._is_sound = True
        self._amount = self._fault_s = self._stuck_at = 0.0
        self.value = self.noise = 0.0

    def share_in(self, seconds: float) -> float:
        """Return the share of the way to the truth that the sensor goes in `seconds`."""
        if seconds == 1.0:
            return self.share_per_s
        return 1.0 - math.pow(1.0 - self.share_per_s, seconds)

    def follow(self, truth: float, seconds: float) -> None:
        """Let `value` go towards `truth` for `seconds`."""
        self.value = truth + (1.0 - self.share_per_s) ** seconds * (self.value - truth)

    def read(self) -> float:
        """Return what the instrument shows now."""
        if self._is_sound:
            return self.value + self.noise
        return self._read_faulty()

    def fail(self, fault: SensorFault, amount: float = 0.0) -> None:
        """Put the sensor into a fault: DRIFT by `amount` per day, OFFSET by `amount`.

        OPEN with an amount other than 0 reads that instead of its usual broken value.
        """
        self._stuck_at = self.read()
        self.fault, self._amount, self._fault_s = fault, amount, 0.0
        self._is_sound = fault is SensorFault.NONE

    def age(self, dt_s: float) -> None:
        """Let a fault that grows with time grow."""
        self._fault_s += dt_s

    def _read_faulty(self) -> float:
        shown = self.value + self.noise
        match self.fault:
            case SensorFault.OPEN:
                return self._amount or self._broken
            case SensorFault.STUCK:
                return self._stuck_at
            case SensorFault.DRIFT:
                return shown + self._amount * self._fault_s / 86_400.0
            case _:
                return shown + self._amount
