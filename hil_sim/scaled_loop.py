"""An event loop on real sockets whose time runs faster than the machine's.

Rule: processes that share `origin_monotonic_s` and `speed` agree on the time. A time-out of N
seconds leaves only N / speed real ones, so nothing may judge by times that are short in reality.
"""

import asyncio
import selectors

SPEED_MAX = 60.0


class _ScaledSelector(selectors.DefaultSelector):
    """Waits a `speed`-th of what it is asked to."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / self._speed if timeout else timeout)


class ScaledLoop(asyncio.SelectorEventLoop):
    """An event loop that runs `speed` times faster than real time, with real sockets and threads.

    Its time was 0 s when the machine's monotonic clock showed `origin_monotonic_s`. Timers are as
    fine as the selector's millisecond: 30 ms of this loop's time at 30 times.

    Args:
        speed: 1..60.
        origin_monotonic_s: The same in every process that shall agree on the time.

    Raises:
        ValueError: `speed` is out of range.
    """

    def __init__(self, speed: float, origin_monotonic_s: float) -> None:
        self._speed = speed
        self._origin_s = origin_monotonic_s
        super().__init__(_ScaledSelector(speed))
        if not 1.0 <= speed <= SPEED_MAX:
            self.close()
            raise ValueError(f"speed is {speed}, but must be within 1..{SPEED_MAX:.0f}")

    def time(self) -> float:
        """Return the scaled time since the origin, s."""
        return (super().time() - self._origin_s) * self._speed
