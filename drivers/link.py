"""Any driver made reliable: deadlines, two strikes, back-off, ageing, read-back, one log line.

Rule: nothing but a cancellation escapes from a link, and every call returns within its period.
"""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from core.image import Outputs
from core.point import Tag, TagTable
from drivers.ageing import Ageing, Columns
from drivers.base import (
    Deferred,
    Driver,
    DriverError,
    Reading,
    Refused,
    Unreachable,
    Untrusted,
)
from drivers.budget import Wear
from drivers.link_status import LinkStatus
from drivers.plausible import NO_CHECKS, Checks, Plausibility
from drivers.readback import ReadBack

__all__ = ["Columns", "Link", "LinkStatus"]

_STRIKES_MAX = 2
_BACKOFF_S_MIN = 0.5
# With the jitter just under 4 s: data are true again within 5 s of a device's return, also where it
# is asked every second, and one that is asked every 5 s misses no turn.
_BACKOFF_S_MAX = 3.3
_JITTER = 0.2
_CLOSE_S_MAX = 1.0
_POLL_SHARE = 0.8
_CYCLE_SHARE = 0.9
_WRITE_SHARE_MIN = 0.1
_CLOSE_SHARE = 0.1

_NOT_SEEN = "its firmware has not been read yet"

_log = structlog.get_logger()


class Link:
    """One device, asked once per scan: `poll`, then `columns`, then `write`, never two at once.

    A value that does not come any more is STALE after 3 of its polls, and BAD after 12 of them, but
    not before 60 s. An output that stands in the device is written again at its refresh time.

    Args:
        name: Name of the device, for logs.
        make_driver: Makes a driver; a new one after every drop.
        period_s: Time between two polls, s.
        rng: Spreads the attempts of many links.
        slow_poll_s: Time between two polls of the slow group, s.
        identity: Tag and value by which the device is known; any other value makes all its points
            BAD and blocks every write.
        read_only: Write nothing at all.
        checks: What is implausible about which points, and which one is the PLC's counter.

    Raises:
        ValueError: The tag of `identity` is not among the device's points.
    """

    def __init__(
        self,
        name: str,
        make_driver: Callable[[], Driver],
        *,
        period_s: float,
        rng: random.Random,
        slow_poll_s: float = 60.0,
        identity: tuple[Tag, float] | None = None,
        read_only: bool = False,
        checks: Checks = NO_CHECKS,
    ) -> None:
        self._make_driver = make_driver
        self._driver = make_driver()
        self.table: TagTable = self._driver.table
        if identity is not None and identity[0] not in self.table:
            raise ValueError(f"{name} has no point {identity[0]} to be known by")
        self._name = name
        self._period_s = period_s
        self._slow_poll_s = slow_poll_s
        self._rng = rng
        self._identity = identity
        self._is_identified = identity is None
        self._read_only = read_only
        slow, once = self._driver.slow, self._driver.once
        self._ageing = Ageing(
            [
                math.inf if i in once else slow_poll_s if i in slow else period_s
                for i in range(len(self.table))
            ]
        )
        self._plausibility = Plausibility(self.table, checks)
        self._pulses = frozenset(t for t, target in self._driver.targets.items() if target.is_pulse)
        self._read_back = ReadBack(self._driver.targets, self.table.index)
        self._slow_due_s = -math.inf
        self._is_slow_early = False
        self._began_s = -math.inf
        self._failing_since_s = 0.0
        self._failures = 0
        self._backoff_s = _BACKOFF_S_MIN
        self._retry_at_s = -math.inf
        self._written_s = 0.0
        self._firmware = checks.firmware
        self._blocked = "" if checks.firmware is None else _NOT_SEEN
        self._is_up = self._is_untrusted = False
        self._down_since_s: float | None = None
        self._has_come = False
        self._polls = self._poll_errors = self._writes = 0
        self._last_error = self._read_fault = self._write_fault = ""
        self._impossible: list[Tag] = []

    @property
    def status(self) -> LinkStatus:
        """How the link fares at this moment."""
        return LinkStatus(
            name=self._name,
            is_up=self._is_up,
            down_since_s=self._down_since_s,
            polls=self._polls,
            poll_errors=self._poll_errors,
            writes=self._writes,
            writes_verified=self._read_back.verified,
            unverified=self._read_back.unverified(),
            last_error=self._last_error,
            is_untrusted=self._is_untrusted,
            held=self._read_back.held,
            worn_out=self._read_back.budget.out(self._written_s),
            refused=self._read_fault,
            wear=self._read_back.budget.wear,
            blocked=self._blocked,
        )

    def remember(self, wear: Mapping[Tag, Wear]) -> None:
        """Go on with the budgets of writes as they stood before a restart."""
        self._read_back.budget.remember(wear)

    def columns(self, now_s: float) -> Columns:
        """Return the newest values, aged to the loop time `now_s`, with what checks doubt."""
        return self._plausibility.marked(self._ageing.columns(now_s))

    async def poll(self) -> None:
        """Ask the device once, for at most 0.8 of the period; in back-off return at once."""
        now_s = asyncio.get_running_loop().time()
        self._began_s = now_s
        if now_s < self._retry_at_s:
            return
        self._polls += 1
        self._has_come = False
        if self._driver.is_broken:
            await self._renew_driver()
        # After a failure the fast points come first: a slow block that breaks the link must not
        # keep them away for ever.
        slow = now_s >= self._slow_due_s and self._failures == 0
        try:
            async with asyncio.timeout(_POLL_SHARE * self._period_s):
                reading = await self._driver.read(slow=slow)
        except Exception as error:  # noqa: BLE001 - a bug of a library must not stop the station
            self._poll_errors += 1
            await self._strike(error)
            return
        if slow:
            # Half a period early, so that the scan's own jitter does not skip a turn.
            self._is_slow_early &= self._slow_due_s == -math.inf
            self._slow_due_s = now_s + self._slow_poll_s - self._period_s / 2
        self._failures = 0
        self._is_untrusted = False
        self._backoff_s = _BACKOFF_S_MIN
        self._has_come = bool(reading.blocks)
        self._take(reading, now_s, slow=slow)

    async def write(self, outputs: Outputs, now_s: float) -> None:
        """Send what changed or is due for refresh, and each pulse once.

        Nothing is sent after a poll that failed or brought nothing, to a device that is not the
        right one, or read-only. A pulse that cannot be sent now is never sent.

        Args:
            outputs: Absolute values and pulses; tags of other devices are passed over.
            now_s: Loop time, s.
        """
        pulses = sorted(tag for tag in outputs.pulses if tag in self._pulses)
        pulses += sorted(tag for tag in outputs.timed if tag in self._pulses)
        self._written_s = now_s
        is_deaf = self._failures or not self._has_come
        if self._read_only or self._blocked or not self._is_up or is_deaf:
            why = "read-only" if self._read_only else self._blocked or "the link is down"
            self._say_pulses_failed(pulses, why)
            return
        due, standing, impossible = self._read_back.due(outputs.values, now_s, outputs.urgent)
        if impossible != self._impossible:
            self._impossible = impossible
            if impossible:
                _log.warning("output_impossible", device=self._name, tags=impossible)
        if not due and not pulses:
            return
        loop_s = asyncio.get_running_loop().time()
        left_s = max(
            _WRITE_SHARE_MIN * self._period_s,
            _CYCLE_SHARE * self._period_s - (loop_s - self._began_s),
        )
        try:
            async with asyncio.timeout(left_s):
                await self._send(due, standing, now_s)
                due = {}
                while pulses:
                    await self._pulse(pulses[0], outputs.timed.get(pulses[0]))
                    del pulses[0]
        except Exception as error:  # noqa: BLE001 - a bug of a library must not stop the station
            self._read_back.failed(due, now_s)
            self._say_pulses_failed(pulses, str(error))
            if due:
                self._say_write_fault(str(error))
            await self._strike(error)

    async def close(self) -> None:
        """Give the connection back; used once, at the end."""
        await self._close(self._driver)

    def _take(self, reading: Reading, at_s: float, *, slow: bool) -> None:
        self._say_read_fault(reading.refused, is_whole=slow)
        for learnt in reading.learnt:
            _log.warning("device_learnt", device=self._name, about=learnt)
        if self._identity is not None:
            self._identify(reading, *self._identity)
        if self._firmware is not None:
            self._look_at_firmware(reading, *self._firmware)
        if not self._is_identified:
            return
        broken = self._ageing.broken
        self._ageing.keep(reading.blocks, at_s)
        is_mended = self._ageing.broken < broken
        if (
            is_mended
            and not (slow or self._is_slow_early)
            and self._ageing.is_broken(self._driver.slow)
        ):
            # What was wrong with the fast points is over: the slow ones need not wait for a minute,
            # but a sensor that comes and goes is no reason to ask for them all the time.
            self._slow_due_s, self._is_slow_early = -math.inf, True
        self._plausibility.look(reading.blocks, self._ageing.values, self._ageing.at_s, at_s)
        self._read_back.compare(self._ageing.values, self._ageing.at_s, at_s)
        if self._is_up:
            return
        self._is_up = True
        if self._down_since_s is not None:
            _log.info("link_back", device=self._name, outage_s=round(at_s - self._down_since_s, 3))
            self._down_since_s = None

    def _identify(self, reading: Reading, tag: Tag, equals: float) -> None:
        found = _found(reading, self.table.index[tag])
        if found is None:
            return
        self._is_identified = found == equals
        if not self._is_identified:
            self._last_error = f"{self._name}: {tag} is {found:g}, not {equals:g}"
            self._ageing.forget()
            self._plausibility.forget()
            self._read_back.forget()
            # The slow points are forgotten too, and must come back with the fast ones.
            self._slow_due_s = -math.inf
            self._go_down(self._began_s)

    def _look_at_firmware(self, reading: Reading, tag: Tag, equals: float) -> None:
        """Block every write to a program that nobody has confirmed; its values are shown."""
        found = _found(reading, self.table.index[tag])
        if found is None:
            return
        blocked = "" if found == equals else f"{tag} is {found:g}, and {equals:g} is confirmed"
        if blocked and blocked != self._blocked:
            _log.warning("writes_blocked", device=self._name, why=blocked)
        self._blocked = blocked

    async def _send(
        self, due: Mapping[Tag, float], standing: Mapping[Tag, float], now_s: float
    ) -> None:
        if not due:
            return
        refused: tuple[Tag, ...] = ()
        try:
            taken = await self._driver.write(due, standing)
        except Refused as error:
            refused = error.tags or tuple(due)
            self._say_write_fault(str(error))
            taken = {tag: value for tag, value in due.items() if tag not in refused}
        self._read_back.sent(taken, now_s, due=due)
        self._read_back.refused(refused, now_s)
        self._writes += len(taken)
        if not refused and self._write_fault:
            self._write_fault = ""
            _log.info("writes_back", device=self._name)

    async def _pulse(self, tag: Tag, seconds: float | None) -> None:
        try:
            if seconds is None:
                await self._driver.pulse(tag)
            elif self._driver.targets[tag].low <= seconds <= self._driver.targets[tag].high:
                await self._driver.write({tag: seconds})
            else:
                self._say_pulses_failed([tag], f"{seconds:g} s is outside its range")
                return
        except Refused as error:
            self._last_error = str(error)
            self._say_pulses_failed([tag], str(error))
        else:
            self._writes += 1

    async def _strike(self, error: Exception) -> None:
        """Count a failed attempt; the second in a row, or an unknown error, drops the driver.

        One that must not be repeated soon counts as two.
        """
        if isinstance(error, TimeoutError):
            error = Unreachable(self._name, "no answer in time", "check the device and the network")
        is_known = isinstance(error, DriverError)
        self._last_error = str(error) if is_known else f"{self._name}: {error!r}"
        if self._failures == 0:
            self._failing_since_s = self._began_s
        self._failures += 1
        if isinstance(error, Deferred):
            # The line says when it is the device's turn again; a new driver would not change that.
            if self._failures >= _STRIKES_MAX:
                self._go_down(self._failing_since_s)
            return
        self._is_untrusted = isinstance(error, Untrusted)
        wait_s = error.wait_s if isinstance(error, DriverError) else 0.0
        if self._failures >= _STRIKES_MAX or wait_s > 0.0:
            spread = self._rng.uniform(1 - _JITTER, 1 + _JITTER)
            self._retry_at_s = self._began_s + max(self._backoff_s * spread, wait_s)
            self._backoff_s = min(2 * self._backoff_s, _BACKOFF_S_MAX)
            self._go_down(self._failing_since_s)
        elif is_known:
            return
        await self._renew_driver()

    async def _renew_driver(self) -> None:
        """Take a new driver, hence a new connection; who and what is there must be seen anew."""
        dropped, self._driver = self._driver, self._make_driver()
        self._read_back.forget()
        self._is_identified = self._identity is None
        self._blocked = "" if self._firmware is None else _NOT_SEEN
        self._slow_due_s = -math.inf
        await self._close(dropped)

    def _go_down(self, since_s: float) -> None:
        self._is_up = False
        if self._down_since_s is None:
            self._down_since_s = since_s
            _log.warning("link_lost", device=self._name, error=self._last_error)

    async def _close(self, driver: Driver) -> None:
        with suppress(Exception):
            async with asyncio.timeout(min(_CLOSE_S_MAX, _CLOSE_SHARE * self._period_s)):
                await driver.close()

    def _say_read_fault(self, refused: str, *, is_whole: bool) -> None:
        """Log once that blocks are refused; only a poll of all blocks can tell that none is."""
        if refused:
            self._last_error = refused
            if not self._read_fault:
                _log.warning("reads_refused", device=self._name, error=refused)
            self._read_fault = refused
        elif is_whole and self._read_fault:
            self._read_fault = ""
            _log.info("reads_back", device=self._name)

    def _say_write_fault(self, error: str) -> None:
        self._last_error = error
        if not self._write_fault:
            _log.warning("write_failed", device=self._name, error=error)
        self._write_fault = error

    def _say_pulses_failed(self, pulses: list[Tag], why: str) -> None:
        for tag in pulses:
            _log.warning("pulse_failed", device=self._name, tag=tag, why=why)


def _found(reading: Reading, column: int) -> float | None:
    """Return what a poll brought for one column, None where it brought nothing."""
    for block in reading.blocks:
        if block.start <= column < block.start + len(block.values):
            return block.values[column - block.start]
    return None
