"""The newest room temperature of each flat, by the time in the message and not by its arrival.

Rule: a message that is late, repeated or not understood changes nothing and is counted; one that is
retained or undated may be looked at, but is never GOOD.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from core.clock import Instant
from drivers.collector_settings import FLAT, TopicReading

PAYLOAD_BYTES_MAX = 16384
_ROOM_C = (-40.0, 60.0)
"""What a room can be; a device that says more is broken."""
_AHEAD_MAX = timedelta(minutes=2)
"""A time further ahead is wrong, and would shut out all true ones until it comes."""
_MILLISECONDS_FROM = 1e11
"""As seconds this lies in the year 5138, as milliseconds in 1973."""
_KELVIN_0 = 273.15

Fate = Literal["taken", "late", "duplicate", "undated", "garbled", "unknown"]


@dataclass(frozen=True, slots=True)
class Room:
    """What is known of one flat.

    Attributes:
        value_c: Its temperature, °C.
        true_s: When it was so, on the loop's clock.
        said_at: The time in the message; None where it had none.
        is_live: It came with its time, from the device and not from the broker's memory.
    """

    value_c: float
    true_s: float
    said_at: datetime | None
    is_live: bool


class FlatBoard:
    """What the flats of one collector have said.

    Args:
        topics: How messages are read, by topic pattern.
        devices: Who is listened to, as written in the topics.

    Attributes:
        fates: How many messages ended how.
        is_up: The collector is connected to its broker.
    """

    def __init__(self, topics: Mapping[str, TopicReading], devices: Iterable[str]) -> None:
        self._topics = [(pattern.split("/"), reading) for pattern, reading in topics.items()]
        self._devices = frozenset(devices)
        self._rooms: dict[str, Room] = {}
        self.fates: Counter[Fate] = Counter()
        self.is_up = False

    def room(self, device: str) -> Room | None:
        """Return what is known of a flat; None before its first message."""
        return self._rooms.get(device)

    def take(self, topic: str, payload: bytes, *, is_retained: bool, now: Instant) -> Fate:
        """Take one message and return what became of it."""
        fate = self._taken(topic, payload, is_retained=is_retained, now=now)
        self.fates[fate] += 1
        return fate

    def _taken(self, topic: str, payload: bytes, *, is_retained: bool, now: Instant) -> Fate:
        levels = topic.split("/")
        found = next(
            (
                (device, reading)
                for pattern, reading in self._topics
                if (device := device_in(levels, pattern)) is not None
            ),
            None,
        )
        if found is None or found[0] not in self._devices:
            return "unknown"
        device, reading = found
        value_c, said_at = read_payload(payload, reading)
        if value_c is None:
            return "garbled"
        if said_at is not None and said_at - now.utc > _AHEAD_MAX:
            said_at = None
        return self._keep(device, value_c, said_at, is_retained=is_retained, now=now)

    def _keep(
        self,
        device: str,
        value_c: float,
        said_at: datetime | None,
        *,
        is_retained: bool,
        now: Instant,
    ) -> Fate:
        known = self._rooms.get(device)
        last_at = None if known is None else known.said_at
        if said_at is None:
            # What has no time can be older than what is known.
            if known is None or last_at is None:
                self._rooms[device] = Room(value_c, now.monotonic_s, None, is_live=False)
            return "undated"
        if last_at is not None and said_at < last_at:
            return "late"
        if known is not None and said_at == last_at and (is_retained or known.is_live):
            return "duplicate"
        age_s = max(0.0, (now.utc - said_at).total_seconds())
        self._rooms[device] = Room(
            value_c, now.monotonic_s - age_s, said_at, is_live=not is_retained
        )
        return "taken"


def device_in(levels: list[str], pattern: list[str]) -> str | None:
    """Return the level of a topic that stands at `{flat}`; None where the pattern does not fit."""
    if pattern[-1] == "#":
        pattern = pattern[:-1]
        levels = levels[: len(pattern)]
    if len(levels) != len(pattern):
        return None
    device = None
    for level, wanted in zip(levels, pattern, strict=True):
        if wanted == FLAT:
            device = level
        elif wanted not in {"+", level}:
            return None
    return device


def read_payload(payload: bytes, reading: TopicReading) -> tuple[float | None, datetime | None]:
    """Return the temperature in °C and its time; None for what is not there or makes no sense."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return None, None
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None, None
    value = pointed(document, reading.value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None, None
    value_c = _celsius(float(value) * reading.scale, reading.unit)
    if not _ROOM_C[0] <= value_c <= _ROOM_C[1]:
        return None, None
    return value_c, None if reading.time is None else _moment(pointed(document, reading.time))


def pointed(document: object, pointer: str) -> object:
    """Return what a JSON pointer (RFC 6901) points at; None where it points at nothing."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def _celsius(value: float, unit: str) -> float:
    match unit:
        case "K":
            return value - _KELVIN_0
        case "°F":
            return (value - 32.0) / 1.8
        case _:
            return value


def _moment(written: object) -> datetime | None:
    """Return a moment; None for what is none, or has no zone and could be hours off."""
    try:
        if isinstance(written, str):
            moment = datetime.fromisoformat(written)
            return None if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(written, bool) or not isinstance(written, (int, float)):
            return None
        seconds = written / 1000.0 if abs(written) >= _MILLISECONDS_FROM else float(written)
        return datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) else None
    except (ValueError, OverflowError, OSError):
        return None
