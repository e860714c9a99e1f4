"""What carries out the opening of a circuit's valve where no positioner of its own does.

Rule: worked out once from the configuration, as all of `controller.plan`.
"""

from dataclasses import dataclass

from config.model import CONTACTS, SEQUENCE, Circuit, Station
from control_loops.split_range import Sequence
from control_loops.three_step import ThreeStep
from core.point import Tag


@dataclass(frozen=True, slots=True)
class Motor:
    """A valve's motor with two contacts; no pulse is longer than the PLC's timers take."""

    parameters: ThreeStep
    stroke_s: float
    raise_: Tag
    lower: Tag
    pulse_max_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two valves in sequence: what is written to each, and where each stands.

    `opening` is the name of the opening of both, which stands in no register.
    """

    sequence: Sequence
    opening: Tag
    outputs: tuple[Tag, Tag]
    positions: tuple[Tag, Tag]


def motor_of(station: Station, config: Circuit, prefix: str) -> Motor | None:
    """Return the contacts of a circuit's valve; None where it has none."""
    parameters, points = config.valve.three_step, station.points
    if parameters is None:
        return None
    raise_, lower = (Tag(prefix + contact) for contact in CONTACTS)
    # Where the PLC's own loop moves the valve, nobody needs the points.
    longest_s = min((points[tag].high for tag in (raise_, lower) if tag in points), default=0.0)
    return Motor(parameters, config.valve.stroke_s, raise_, lower, longest_s)


def pair_of(config: Circuit, prefix: str) -> Pair | None:
    """Return the two valves of a circuit that move in sequence; None where there is one."""
    sequence = config.valve.sequence
    if sequence is None:
        return None
    first, second = (
        (Tag(prefix + output), Tag(prefix + position)) for output, position in SEQUENCE
    )
    return Pair(sequence, Tag(f"{prefix}CV_SV"), (first[0], second[0]), (first[1], second[1]))
