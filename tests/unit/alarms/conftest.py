"""What the tests of alarms share: facts of one scan, and the dull part of a condition."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from alarms.condition import Limit, Text
from core.clock import Instant
from core.image import ProcessImage
from core.point import Quality, TagTable

AT = datetime(2026, 1, 12, 3, 0, tzinfo=UTC)


def _facts(
    qualities: dict[str, Quality] | None = None, /, **values: float | bool | None
) -> ProcessImage:
    worst = {tag: Quality.BAD for tag, value in values.items() if value is None}
    known = worst | (qualities or {})
    return ProcessImage(
        station="st-017",
        taken_at=Instant(0.0, AT),
        table=TagTable(tag.replace("__", ".") for tag in values),
        values=tuple(
            float("nan") if known.get(tag) is Quality.BAD else float(value)
            for tag, value in values.items()
        ),
        qualities=bytes(known.get(tag, Quality.GOOD) for tag in values),
        ages_s=(0.0,) * len(values),
    )


@pytest.fixture
def facts() -> Callable[..., ProcessImage]:
    """Make facts from values; None is BAD, and `device__plc__lost` is `device.plc.lost`."""
    return _facts


@pytest.fixture
def dull() -> dict[str, Any]:
    """Return what every condition needs and no test here is about."""
    text = Text(zh="供水温度过高", en="supply temperature high")
    return {"priority": 2, "text": text, "consequence": text, "action": text}


@pytest.fixture
def too_hot(dull) -> Limit:
    """Return T2g above 45 °C for 60 s, deadband 2 K, off-delay 120 s."""
    return Limit(tag="T2g", above=45.0, deadband=2.0, on_delay_s=60.0, off_delay_s=120.0, **dull)
