"""What can be wrong: the conditions that an engineer writes in YAML, one class for each kind.

Rule: a condition answers True, False or None; None means that its input cannot be trusted, and
leaves its alarm exactly as it is. That an input cannot be trusted is BadQuality's own alarm.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from annotated_types import Ge, Le, MinLen

from core.image import Pick
from core.parameters import parameters
from core.point import Quality, Sample, Tag, Unit


class Facts(Protocol):
    """What is known in one scan: an image, or an image with computed facts laid over it."""

    def __getitem__(self, tag: Tag) -> Sample:
        """Return the sample of `tag`; a tag that is not there is a BAD sample."""
        ...

    def value(self, tag: Tag) -> float:
        """Return the value of `tag` if a decision may rest on it, else NaN."""
        ...

    def usable(self, pick: Pick) -> tuple[float, ...]:
        """Return what `value` returns for each tag of `pick`."""
        ...

    def flag(self, tag: Tag) -> bool | None:
        """Return the usable bit of `tag`, or None where it cannot be trusted or does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class Band:
    """Where the value of `tag` lies, both ends included, while its alarm has nothing to say.

    With a `reference` it is `tag` minus `reference` that lies there. Every condition has its
    `bands`: all values lie in them only if `holds` is False for an alarm that is not active, and
    NaN lies in none. A station's values are compared with all bands at once, and an alarm is asked
    only where a value left them.
    """

    tag: Tag
    low: float = float("-inf")
    high: float = float("inf")
    reference: Tag | None = None


_LEAST = math.ulp(0.0)


@parameters
class Text:
    """One sentence for the people of the station, in both of their languages."""

    zh: Annotated[str, MinLen(1)]
    en: Annotated[str, MinLen(1)]

    def __str__(self) -> str:
        return f"{self.zh} / {self.en}"


@parameters
class _Common:
    """What every alarm has, whatever its condition.

    Attributes:
        priority: 1 act now, 2 within 10 min, 3 within 1 h, 4 for information.
        text: What is wrong.
        consequence: What follows if nobody acts.
        action: What the operator shall do.
        on_delay_s: How long the condition must hold without a break before the alarm is raised.
        off_delay_s: How long it must be gone before the alarm clears; 0: as long as `on_delay_s`.
        suppressed_by: Names of the alarms that explain this one. While one of them (or one that
            explains it in turn) is active, this alarm is not raised: one cause, one alarm.
        suppress_hold_s: How long the suppression lasts after its cause cleared, for the plant to
            settle.
        needs: A flag that must be true (a pump runs), else the condition counts as false.
    """

    priority: Annotated[int, Ge(1), Le(4)]
    text: Text
    consequence: Text
    action: Text
    on_delay_s: Annotated[float, Unit.SECOND, Ge(0)] = 0.0
    off_delay_s: Annotated[float, Unit.SECOND, Ge(0)] = 0.0
    suppressed_by: tuple[str, ...] = ()
    suppress_hold_s: Annotated[float, Unit.SECOND, Ge(0)] = 0.0
    needs: Tag | None = None

    @property
    def clear_after_s(self) -> float:
        """The off-delay in force, never shorter than the on-delay."""
        return max(self.off_delay_s, self.on_delay_s)


@parameters
class Limit(_Common):
    """A value left its band: it is above `above` or below `below`, in the unit of `tag`.

    Once active, the alarm clears only when the value is inside the band by `deadband` or more.
    """

    kind: Literal["limit"] = "limit"
    tag: Tag
    above: float | None = None
    below: float | None = None
    deadband: Annotated[float, Ge(0)] = 0.0

    def bands(self) -> tuple[Band, ...]:
        """Return the band between the limits."""
        return (Band(self.tag, *_between(self.below, self.above)),)

    def holds(self, facts: Facts, *, is_active: bool) -> bool | None:
        """Return whether the value is outside, None if it cannot be trusted."""
        return _is_outside(
            facts.value(self.tag), self.above, self.below, self.deadband if is_active else 0.0
        )

    def observed(self, facts: Facts) -> float:
        """Return the value that decides, in the unit of `tag`; NaN if it cannot be trusted."""
        return facts.value(self.tag)


@parameters
class Deviation(_Common):
    """`tag` minus `reference` left its band, in their common unit.

    A supply 5 K too cold is `below: -5`; more than 3 K off either way is `above: 3, below: -3`.
    Once active, the alarm clears only when the difference is inside by `deadband` or more.
    """

    kind: Literal["deviation"] = "deviation"
    tag: Tag
    reference: Tag
    above: float | None = None
    below: float | None = None
    deadband: Annotated[float, Ge(0)] = 0.0

    def bands(self) -> tuple[Band, ...]:
        """Return the band of the difference between the limits."""
        return (Band(self.tag, *_between(self.below, self.above), self.reference),)

    def holds(self, facts: Facts, *, is_active: bool) -> bool | None:
        """Return whether the difference is outside, None if either value cannot be trusted."""
        return _is_outside(
            facts.value(self.tag) - facts.value(self.reference),
            self.above,
            self.below,
            self.deadband if is_active else 0.0,
        )

    def observed(self, facts: Facts) -> float:
        """Return the signed difference; NaN if either value cannot be trusted."""
        return facts.value(self.tag) - facts.value(self.reference)


@parameters
class BadQuality(_Common):
    """At least one of `tags` is BAD.

    STALE freezes the alarm instead: a late answer is the link's trouble and not yet a broken
    sensor's. It becomes BAD when it stays away, and DeviceLost explains that. So does a tag that
    has not come yet (BAD and of no age): nobody knows anything of its sensor.
    """

    kind: Literal["bad_quality"] = "bad_quality"
    tags: Annotated[tuple[Tag, ...], MinLen(1)]

    def bands(self) -> tuple[Band, ...]:
        """Return a band for each tag that holds whatever is a number."""
        return tuple(Band(tag) for tag in self.tags)

    def holds(self, facts: Facts, *, is_active: bool) -> bool | None:  # noqa: ARG002 - one signature for all kinds
        """Return True if a tag is known to be BAD, False if all are usable, else None."""
        answer: bool | None = False
        value = facts.value
        for tag in self.tags:
            seen = value(tag)
            if seen != seen:  # noqa: PLR0124 - the cheapest test for NaN; a Sample is made only then
                sample = facts[tag]
                is_bad = sample.quality is Quality.BAD
                if is_bad and sample.age_s != math.inf:
                    return True
                if is_bad or sample.quality is Quality.STALE:
                    answer = None
        return answer

    def observed(self, facts: Facts) -> float:  # noqa: ARG002 - one signature for all kinds
        """Return NaN: a lost value has no value."""
        return float("nan")


@parameters
class DeviceLost(_Common):
    """The device does not answer: the fact `device.<device>.lost` is true."""

    kind: Literal["device_lost"] = "device_lost"
    device: Annotated[str, MinLen(1)]

    def bands(self) -> tuple[Band, ...]:
        """Return the band of a device that answers."""
        return (Band(Tag(f"device.{self.device}.lost"), 0.0, 0.0),)

    def holds(self, facts: Facts, *, is_active: bool) -> bool | None:  # noqa: ARG002 - one signature for all kinds
        """Return whether the device is lost, None if nobody knows."""
        return facts.flag(Tag(f"device.{self.device}.lost"))

    def observed(self, facts: Facts) -> float:  # noqa: ARG002 - one signature for all kinds
        """Return NaN: silence has no value."""
        return float("nan")


@parameters
class Bit(_Common):
    """A trip or a contact: the bit `tag` stands at `equals`."""

    kind: Literal["bit"] = "bit"
    tag: Tag
    equals: bool = True

    def bands(self) -> tuple[Band, ...]:
        """Return the band of the other state."""
        return (Band(self.tag, 0.0, 0.0) if self.equals else Band(self.tag, _LEAST),)

    def holds(self, facts: Facts, *, is_active: bool) -> bool | None:  # noqa: ARG002 - one signature for all kinds
        """Return whether the bit stands at `equals`, None if it cannot be trusted."""
        flag = facts.flag(self.tag)
        return None if flag is None else flag is self.equals

    def observed(self, facts: Facts) -> float:
        """Return the bit as 0 or 1; NaN if it cannot be trusted."""
        return facts.value(self.tag)


Condition = Limit | Deviation | BadQuality | DeviceLost | Bit


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that no single field can show wrong: which alarm, which of its fields, and why."""

    alarm: str
    field: str
    message: str


def flaws(conditions: Mapping[str, Condition]) -> tuple[Flaw, ...]:
    """Return what is wrong with the conditions of a station as a whole, in their order.

    Args:
        conditions: The conditions by the names of their alarms.
    """
    return tuple(
        flaw
        for name, condition in conditions.items()
        for flaw in _flaws_of_one(name, condition, conditions)
    )


def causes_of(name: str, conditions: Mapping[str, Condition]) -> tuple[str, ...]:
    """Return every alarm that explains `name`, at first or at second hand, nearest first.

    An alarm that stands in a ring of explanations is among its own causes.
    """
    found: dict[str, None] = {}
    waiting = list(conditions[name].suppressed_by)
    while waiting:
        cause = waiting.pop(0)
        if cause not in found:
            found[cause] = None
            waiting.extend(conditions[cause].suppressed_by if cause in conditions else ())
    return tuple(found)


def _flaws_of_one(
    name: str, condition: Condition, conditions: Mapping[str, Condition]
) -> tuple[Flaw, ...]:
    found: list[Flaw] = []
    if 0.0 < condition.off_delay_s < condition.on_delay_s:
        found.append(
            Flaw(name, "off_delay_s", "shorter than the on-delay: the alarm would chatter")
        )
    if isinstance(condition, Limit | Deviation):
        found.extend(_flaws_of_band(name, condition))
    unknown = [cause for cause in condition.suppressed_by if cause not in conditions]
    found.extend(Flaw(name, "suppressed_by", f"no alarm is called {cause!r}") for cause in unknown)
    if name in causes_of(name, conditions):
        found.append(Flaw(name, "suppressed_by", "the alarm would suppress itself"))
    return tuple(found)


def _flaws_of_band(name: str, condition: Limit | Deviation) -> tuple[Flaw, ...]:
    above, below = condition.above, condition.below
    if above is None and below is None:
        return (Flaw(name, "above", "give above, below or both: the alarm could never be raised"),)
    if above is not None and below is not None and above - below <= 2.0 * condition.deadband:
        return (Flaw(name, "deadband", "no value lies inside both limits by the deadband"),)
    return ()


def _between(below: float | None, above: float | None) -> tuple[float, float]:
    return -math.inf if below is None else below, math.inf if above is None else above


def _is_outside(
    value: float, above: float | None, below: float | None, inside_by: float
) -> bool | None:
    if value != value:  # noqa: PLR0124 - the cheapest test for NaN, made for every alarm in every scan
        return None
    if above is not None and (value > above or (inside_by and value > above - inside_by)):
        return True
    return below is not None and bool(value < below or (inside_by and value < below + inside_by))
