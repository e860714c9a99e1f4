"""Setpoints, limits and delays of the PLC's program, and the pace of its two tasks.

Rule: they belong to the PLC; heatd neither knows nor changes them.
"""

from typing import Annotated

from annotated_types import Gt

from core.parameters import parameters
from core.point import Unit

CYCLE_S = 1.0
SLOW_EVERY = 5
SLOW_S = CYCLE_S * SLOW_EVERY
CURVE_POINTS = 8


@parameters
class ProgramParameters:
    """Setpoints, limits and delays of the PLC's program.

    `has_contacts`: the valve has no positioner; remote, it is moved by the times in CV1_raise and
    CV1_lower.
    """

    dp_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 180.0
    makeup_start_mpa: Annotated[float, Unit.MEGAPASCAL] = 0.37
    makeup_mpa: Annotated[float, Unit.MEGAPASCAL] = 0.40
    relief_open_mpa: Annotated[float, Unit.MEGAPASCAL] = 0.46
    relief_close_mpa: Annotated[float, Unit.MEGAPASCAL] = 0.43
    stop_mpa: Annotated[float, Unit.MEGAPASCAL] = 0.30
    restart_mpa: Annotated[float, Unit.MEGAPASCAL] = 0.35
    restart_s: Annotated[float, Unit.SECOND] = 60.0
    supply_high_c: Annotated[float, Unit.CELSIUS] = 90.0
    supply_high_s: Annotated[float, Unit.SECOND] = 30.0
    supply_reset_c: Annotated[float, Unit.CELSIUS] = 85.0
    tank_low_m: Annotated[float, Unit.METRE] = 0.3
    tank_reset_m: Annotated[float, Unit.METRE] = 0.6
    unproven_pct: Annotated[float, Unit.PERCENT] = 5.0
    no_pump_s: Annotated[float, Unit.SECOND] = 15.0
    proof_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR] = 50.0
    standby_s: Annotated[float, Unit.SECOND] = 2.0
    min_hz: Annotated[float, Unit.HERTZ] = 25.0
    power_wait_low_s: Annotated[float, Unit.SECOND] = 30.0
    power_wait_high_s: Annotated[float, Unit.SECOND] = 120.0
    power_ramp_s: Annotated[float, Unit.SECOND, Gt(0)] = 60.0
    power_rise_pct_per_min: Annotated[float, Gt(0)] = 5.0
    beats_to_remote: Annotated[int, Gt(0)] = 3
    tracking_pct: Annotated[float, Unit.PERCENT] = 5.0
    tracking_wait_s: Annotated[float, Unit.SECOND] = 60.0
    has_contacts: bool = False
