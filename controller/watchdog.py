"""What systemd hears of the daemon, and the proof of life that it asks for.

Rule: the watchdog is fed only while every station finishes its scans; a loop that idles proves
nothing.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping

import structlog

from core.clock import Clock, Instant

log = structlog.get_logger(__name__)

_GRACE_S = 2.0
_GRACE_PERIODS = 2.0
_STATUS_CHARS_MAX = 200


def scan_limit_s(period_s: float) -> float:
    """Return how long a station with this scan period may go without finishing a scan, in s."""
    return _GRACE_PERIODS * period_s + _GRACE_S


class Systemd:
    """The notification socket of systemd (sd_notify(3)); silent where there is none.

    Args:
        environment: The process's environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        micros = environment.get("WATCHDOG_USEC", "0")
        pid = environment.get("WATCHDOG_PID", "")
        is_for_us = pid in {"", str(os.getpid())}
        timeout_s = int(micros) / 1e6 if micros.isdecimal() and is_for_us else 0.0
        self.watchdog_s: float | None = timeout_s or None
        """After so many seconds without a beat systemd restarts the daemon; None: it never does."""

    def ready(self, status: str) -> None:
        """Say that the daemon controls now, and in one line what."""
        self._notify("READY=1", _status_line(status))

    def status(self, status: str) -> None:
        """Say in one line how the daemon fares."""
        self._notify(_status_line(status))

    def stopping(self) -> None:
        """Say that the daemon is about to end."""
        self._notify("STOPPING=1")

    def beat(self) -> None:
        """Feed the watchdog once."""
        self._notify("WATCHDOG=1")

    def _notify(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(0.0)
            try:
                sender.connect(self._address)
                sender.send("\n".join(lines).encode())
            except OSError as error:
                # Who cannot hear us will restart us; there is nobody else to tell.
                log.warning("systemd_not_reached", reason=str(error))


class Watchdog:
    """Feeds systemd's watchdog while every station scans in time.

    Args:
        clock: Tells when the watch began.
        periods_s: Station to its scan period, in s.
        systemd: Whom to feed.
        is_contained: Whether a station's fault was caught and is being dealt with: such a station
            is not late, for killing the daemon would stop the others too.
    """

    def __init__(
        self,
        clock: Clock,
        periods_s: Mapping[str, float],
        systemd: Systemd,
        is_contained: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._clock = clock
        self._systemd = systemd
        self._is_contained = is_contained
        self._limits_s = {station: scan_limit_s(period) for station, period in periods_s.items()}
        self._fed_s = dict.fromkeys(periods_s, clock.now().monotonic_s)

    def fed(self, station: str, at: Instant) -> None:
        """Note that `station` finished a scan."""
        self._fed_s[station] = at.monotonic_s

    def late(self) -> tuple[str, ...]:
        """Return the stations whose last scan is too long ago, as the configuration orders them."""
        now_s = self._clock.now().monotonic_s
        return tuple(
            station
            for station, limit_s in self._limits_s.items()
            if now_s - self._fed_s[station] > limit_s and not self._is_contained(station)
        )

    async def run(self) -> None:
        """Feed systemd twice per time-out for as long as nobody is late; end if nobody watches."""
        if self._systemd.watchdog_s is None:
            return
        was_late: tuple[str, ...] = ()
        while True:
            late = self.late()
            if not late:
                self._systemd.beat()
            if late != was_late:
                event = "watchdog_withheld" if late else "watchdog_resumed"
                log.warning(event, stations=list(late))
            was_late = late
            await asyncio.sleep(self._systemd.watchdog_s / 2)


def _status_line(status: str) -> str:
    return f"STATUS={' '.join(status.split())[:_STATUS_CHARS_MAX]}"
