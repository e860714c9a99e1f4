"""What each sensor of a station reads wrong, as somebody measured it on site.

Rule: a correction is small and signed with name and date; a sensor that is further off is replaced.
"""

import math
from collections.abc import Iterator, Mapping

from config.advice import did_you_mean
from config.model import Calibration
from config.problem import Problem, problem_at
from config.quantities import format_quantity, parse
from config.tree import Branch
from core.parameters import Unreadable
from core.point import Point, Tag, Unit

_TEMPERATURE_K_MAX = 5.0
_RANGE_SHARE_MAX = 0.1


def corrections(
    calibration: Mapping[str, Calibration], points: Mapping[Tag, Point]
) -> dict[Tag, float]:
    """Return what is added to the value of each calibrated point, in the point's unit.

    What is wrong with the others is told by `calibration_problems`.
    """
    known = {Tag(tag): one for tag, one in calibration.items() if Tag(tag) in points}
    return {
        tag: _offset(one, points[tag]) for tag, one in known.items() if _is_clear(one, points[tag])
    }


def calibration_problems(
    tree: Branch,
    calibration: Mapping[str, Calibration],
    points: Mapping[Tag, Point],
    *,
    are_tags_known: bool,
) -> Iterator[Problem]:
    """Yield what is wrong with the calibration of a station.

    Args:
        tree: The station as written.
        calibration: The entries that could be read.
        points: The points of its maps.
        are_tags_known: No map is missing, so that a missing tag is really missing.
    """
    for tag, one in calibration.items():
        branch = tree.at("calibration", tag)
        point = points.get(Tag(tag))
        if point is None:
            if are_tags_known:
                message = f"no map of the station has `{tag}`"
                yield problem_at(branch.key_place, message, did_you_mean(tag, points))
            continue
        if point.is_writable or point.is_pulse:
            message = f"`{tag}` is written by heatd, it is no sensor"
            yield problem_at(branch.key_place, message, "take it away")
        yield from _offset_problems(branch.at("offset"), one, point)


def _offset_problems(branch: Branch, one: Calibration, point: Point) -> Iterator[Problem]:
    try:
        offset = _offset(one, point)
    except Unreadable as error:
        yield problem_at(branch.place, error.what, error.hint)
        return
    unit = _difference(point.unit)
    most = (
        _TEMPERATURE_K_MAX if unit is Unit.KELVIN else _RANGE_SHARE_MAX * (point.high - point.low)
    )
    if not math.isfinite(most):
        message = f"`{point.tag}` has no range to hold its calibration against"
        yield problem_at(branch.place, message, "add `range: low..high` in the map")
    elif abs(offset) > most:
        message = (
            f"{one.offset.text} is more than a calibration may be, {format_quantity(most, unit)}"
        )
        yield problem_at(branch.place, message, "replace the sensor, or correct the map")


def _offset(one: Calibration, point: Point) -> float:
    return parse(one.offset.text, _difference(point.unit))


def _is_clear(one: Calibration, point: Point) -> bool:
    try:
        return math.isfinite(_offset(one, point))
    except Unreadable:
        return False


def _difference(unit: Unit) -> Unit:
    return Unit.KELVIN if unit is Unit.CELSIUS else unit
