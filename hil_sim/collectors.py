"""The rooms of a simulated plant as its collectors report them, without a broker between.

Rule: no broker lives in virtual time, so messages are put onto the daemon's boards as they would
come off the wire: bytes, with topic and time.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from config.model import Site, Station
from core.clock import Clock
from drivers.collector import FlatBoard
from drivers.collector_settings import MqttBroker, TopicReading

NAME = "rooms"
REPORT_S = 300.0
_TOPIC = "home/{flat}/state"
BROKER = MqttBroker(host="127.0.0.1", topics={_TOPIC: TopicReading(value="/temp", time="/ts")})


def with_collector(site: Site) -> Site:
    """Return a site whose flats are reported by `report_for_ever`."""
    return replace(site, collectors={NAME: BROKER})


def message(value_c: float, at: datetime) -> bytes:
    """Return what a collector sends of one room."""
    return json.dumps({"temp": round(value_c, 2), "ts": at.isoformat()}).encode()


async def report_for_ever(
    station: Station,
    boards: Mapping[str, FlatBoard],
    rooms_c: Callable[[], Sequence[float]],
    clock: Clock,
) -> None:
    """Report the rooms of a station's flats every five minutes, in the order of their names.

    Args:
        station: Its flats report through the site's only collector.
        boards: What the daemon reads.
        rooms_c: What the plant's collectors show now, °C; taken round where there are more flats.
        clock: The time that they put into their messages.
    """
    board = boards[NAME]
    board.is_up = True
    while True:
        shown, now = rooms_c(), clock.now()
        for i, (name, row) in enumerate(sorted(station.flats.items())):
            topic = _TOPIC.format(flat=row.device or name)
            board.take(topic, message(shown[i % len(shown)], now.utc), is_retained=False, now=now)
        await asyncio.sleep(REPORT_S)
