"""What every driver offers, what a reading is, and the ways in which a device fails us.

Rule: a driver gives only values that it has checked; anything else is a `DriverError`, never data.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from core.point import Tag, TagTable

_UNTRUSTED_WAIT_S = 60.0
NO_VALUES: Mapping[Tag, float] = MappingProxyType({})


class Block(NamedTuple):
    """Values that came together in one reply.

    `values[i]` and `qualities[i]` (a byte, a `Quality`) belong to `table.tags[start + i]` of the
    driver; a value is NaN exactly where its quality is BAD. `ages_s[i]` is how old it was when it
    was asked for; empty where all are as new as the poll.
    """

    start: int
    values: tuple[float, ...]
    qualities: bytes
    ages_s: tuple[float, ...] = ()


class Reading(NamedTuple):
    """All that one poll brought.

    `refused` says what the device answered but would not give: those points are missing from
    `blocks`, the others hold. Empty while all is well. `learnt` says what this poll found out about
    the device for good, each once.
    """

    blocks: tuple[Block, ...]
    refused: str = ""
    learnt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What may be written to one tag, and when its read-back counts as the same value.

    Attributes:
        low: Lowest value that may be written, in the point's unit.
        high: Highest value that may be written.
        slack: Half a step of an integer type: what rounding may take away.
        relative: One count of a float type, as a share of the value.
        is_slow: It is read back with the slow group only.
        is_pulse: It is set once and cannot be read back.
        rate_per_s: It is moved no faster, but for protection.
        refresh_s: A value that stands is sent again after this time.
        per_day: Most writes in a day; 0: they are not counted.
        is_eeprom: Every write wears it out: it is never sent only to join two requests.
    """

    low: float
    high: float
    slack: float = 0.0
    relative: float = 0.0
    is_slow: bool = False
    is_pulse: bool = False
    rate_per_s: float = math.inf
    refresh_s: float = 60.0
    per_day: int = 0
    is_eeprom: bool = False

    def is_met(self, wanted: float, found: float) -> bool:
        """Return whether `found` is what the device makes of `wanted`; NaN never is."""
        return abs(found - wanted) <= self.slack + self.relative * abs(wanted)


class DriverError(Exception):
    """A device gave no data or took no value.

    Args:
        device: Name of the device.
        what: What happened.
        remedy: What a person can do about it.
        tags: What was not taken, for a write of which a part was; empty means all of it.
        wait_s: For how long another attempt can only do harm, s.
    """

    def __init__(
        self,
        device: str,
        what: str,
        remedy: str,
        tags: tuple[Tag, ...] = (),
        *,
        wait_s: float = 0.0,
    ) -> None:
        super().__init__(f"{device}: {what}; {remedy}")
        self.device = device
        self.what = what
        self.remedy = remedy
        self.tags = tags
        self.wait_s = wait_s


class Unreachable(DriverError):  # noqa: N818 - the name says what the device did
    """The device did not answer in time, or the connection broke."""


class Deferred(Unreachable):
    """Nothing was asked: the device did not answer lately and shares its line with others."""


class Refused(DriverError):  # noqa: N818 - the name says what the device did
    """The device answered that it will not."""


class Untrusted(DriverError):  # noqa: N818 - the name says what the device is to us
    """One side does not trust the other: a certificate, a password, or no common security.

    A person must act, so there is no hurry to try again.
    """

    def __init__(self, device: str, what: str, remedy: str) -> None:
        super().__init__(device, f"security rejected: {what}", remedy, wait_s=_UNTRUSTED_WAIT_S)


class Garbled(DriverError):  # noqa: N818 - the name says what the device did
    """Something answered, but not what was asked: never data."""


class Driver(Protocol):
    """One device behind one protocol, for the life of one connection.

    Making a driver does no input or output; the first `read` or `write` connects.
    """

    @property
    def table(self) -> TagTable:
        """The device's readable tags; each block of a reading is one contiguous slice of it."""
        ...

    @property
    def targets(self) -> Mapping[Tag, Target]:
        """The tags that may be written, pulses included."""
        ...

    @property
    def slow(self) -> frozenset[int]:
        """Columns of `table` that only come when the slow group is read."""
        ...

    @property
    def once(self) -> frozenset[int]:
        """Columns of `table` that come with the first reading of a connection only."""
        ...

    @property
    def is_broken(self) -> bool:
        """True once its connection has broken: only a new driver makes a new connection."""
        ...

    async def read(self, *, slow: bool) -> Reading:
        """Return the fast points, and with `slow` the slow ones too.

        Raises:
            DriverError: There is no data at all.
        """
        ...

    async def write(
        self, values: Mapping[Tag, float], alongside: Mapping[Tag, float] = NO_VALUES
    ) -> Mapping[Tag, float]:
        """Put absolute values into the device, neighbours in one request.

        Args:
            values: What must be written, in the points' units.
            alongside: What is wanted and already stands there; sent again where that joins two
                requests into one.

        Returns:
            What was written: all of `values`, and of `alongside` what went with them.

        Raises:
            Refused: The device took all but the error's `tags`.
            DriverError: It is not known what was taken.
        """
        ...

    async def pulse(self, tag: Tag) -> None:
        """Set a command bit once.

        Raises:
            DriverError: It is not known that the device took it.
        """
        ...

    async def close(self) -> None:
        """Give the connection back; the driver is of no use afterwards."""
        ...
