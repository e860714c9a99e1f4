"""The primary control valve: its parameters and the flow that an opening should give.

Rule: an equal-percentage valve passes F_design * R^(y - 1) at the opening y (IEC 60534-2-4).
"""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from control_loops.split_range import Sequence, SplitRange
from control_loops.three_step import ThreeStep
from core.parameters import parameters
from core.point import Unit


@parameters
class Valve:
    """The control valve of one circuit.

    Attributes:
        stroke_s: Time of a full stroke.
        min_pct: Lowest opening in normal operation; trips and the source machine go below.
        on_power_loss: Whether the actuator closes by itself without mains.
        rangeability: R of the equal-percentage characteristic.
        three_step: The motor is driven by a raise and a lower contact; without it the valve takes a
            position.
        split: A second valve opens where this one is fully open; without it there is one valve.
        authority: Pressure drop over the open valve as a share of the whole primary side's.
    """

    stroke_s: Annotated[float, Unit.SECOND, Gt(0)] = 90.0
    min_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(50)] = 5.0
    on_power_loss: Literal["closes", "stays"] = "stays"
    rangeability: Annotated[float, Gt(1), Le(200)] = 50.0
    authority: Annotated[float, Gt(0), Le(1)] = 0.6
    three_step: ThreeStep | None = None
    split: SplitRange | None = None

    @property
    def sequence(self) -> Sequence | None:
        """The two valves that move in sequence; None where there is one."""
        return None if self.split is None else Sequence(self.split.share, self.rangeability)

    @property
    def loop_rangeability(self) -> float:
        """R of what the loop moves: of the valve, or of the one that two in sequence stand for."""
        sequence = self.sequence
        return self.rangeability if sequence is None else sequence.pair_rangeability


def expected_flow_m3h(*, opening_pct: float, design_m3h: float, rangeability: float) -> float:
    """Return the primary flow in m³/h at design differential pressure; NaN if the opening is."""
    return design_m3h * float(rangeability ** (opening_pct / 100.0 - 1.0))


def within_stroke_pct(position_pct: float) -> float:
    """Return a position as a valve can have it, 0..100 %; NaN stays NaN.

    A transmitter shows a little less than 0 at the lower stop and a little more than 100 at the
    upper one.
    """
    return min(max(position_pct, 0.0), 100.0)
