"""What the circuits of a station share in a scan, and the claims that any output may meet.

Rule: a claim never makes a step: what a person wants is reached at the loop's own rate, and what
somebody else holds is claimed as it stands.
"""

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

from alarms.table import AlarmTable
from control_loops.interlock import OutputGroup, Trip
from control_loops.source import SourceMove
from controller.arbiter import Claim, Holder
from controller.state import OperatorValues
from core.command import StartTune, StopTune
from core.image import ProcessImage

_STRICTNESS = {"none": 0, "close": 1, "stop": 1, "hold": 2, "slow": 3}


class Scan(NamedTuple):
    """What the circuits of a station share in one scan.

    Attributes:
        is_ours: Our loops move the outputs.
        is_taking_over: The outputs are written as they stand, so that the PLC can hand them over.
        is_linked: The values that control needs are true.
        why_not: Why our loops move nothing, where they do not.
        acknowledged: Names of the alarms that people have acknowledged since the last scan.
        tune: What was asked of autotunes, by loop.
        alarms: The alarms after the previous scan.
    """

    image: ProcessImage
    is_ours: bool
    is_taking_over: bool
    is_linked: bool
    why_not: str
    source: SourceMove
    operator: OperatorValues
    acknowledged: frozenset[str]
    tune: Mapping[str, StartTune | StopTune]
    alarms: AlarmTable
    outdoor_c: float
    dt_s: float


def ruling(trips: tuple[Trip, ...], group: OutputGroup) -> Trip | None:
    """Return the strictest interlock of a group of outputs, None where none rules it."""
    if not trips:
        return None
    of_group = [trip for trip in trips if trip.group == group]
    return min(of_group, key=lambda trip: _STRICTNESS[trip.action], default=None)


def manual_claim(scan: Scan, loop: str, present: float, rate_per_s: float) -> list[Claim]:
    """Return what a person wants of an output, reached no faster than the loop would move it."""
    manual = scan.operator.manual.get(loop)
    if manual is None:
        return []
    wanted = towards(manual.value, present, rate_per_s * scan.dt_s)
    return [Claim(Holder.OPERATOR, wanted, f"{manual.who}: {manual.why}")]


def towards(wanted: float, present: float, most: float) -> float:
    """Return the value between the two that a move of at most `most` reaches."""
    return round(present + min(max(wanted - present, -most), most), 2)


def not_ours(scan: Scan, present: float, why: str) -> Claim:
    """Return the claim of an output that our loops do not move: as it stands, or no value."""
    if scan.is_taking_over and isfinite(present):
        return Claim(Holder.LOOP, present, why)
    return Claim(Holder.LOCAL, None, scan.why_not)
