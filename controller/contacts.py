"""A valve without a positioner in a scan: its wanted opening becomes the time of one contact.

Rule: the PLC's timer opens the contact again, so a daemon that dies in the middle of a move leaves
the valve where that one pulse ends.
"""

from dataclasses import replace
from math import isnan, nan

from control_loops.three_step import ThreeStepState, three_step
from control_loops.valve import within_stroke_pct
from controller.arbiter import Claim
from controller.claims import Scan
from controller.pair import pair_opening_pct
from controller.plan import CircuitPlan
from controller.state import CircuitState
from core.image import ProcessImage
from core.point import Tag

# A pulse ends before the next one comes: a timer that is set anew forgets what it had left.
_SCAN_SHARE = 0.9
# A measured position so far from the estimate is right: the motor stuck, or a pulse was lost.
_CORRECTED_PCT = 2.0


def opening_pct(plan: CircuitPlan, state: CircuitState, image: ProcessImage) -> float:
    """Return where the valve stands, 0..100 %: as measured, or as its motor is believed to.

    Of two in sequence it is the opening of both, NaN where one of them is not known.
    """
    if plan.has_position:
        return within_stroke_pct(image.value(plan.position))
    if plan.pair is None:
        return state.motor.position_pct
    return pair_opening_pct(plan.pair, image)


def move_contacts(
    plan: CircuitPlan, state: CircuitState, claim: Claim, scan: Scan
) -> tuple[dict[Tag, float], ThreeStepState]:
    """Return for how many seconds a contact is closed in this scan, and where the motor then is.

    Args:
        plan: The circuit.
        state: Its state after the previous scan.
        claim: What the arbiter left for the valve.
        scan: What all circuits of the station share.
    """
    motor, before = plan.motor, state.motor
    if motor is None:
        return {}, before
    measured_pct = scan.image.value(plan.position) if plan.has_position else nan
    if not scan.is_ours:
        # Somebody else moves it: what was demanded and not given is void.
        stands_pct = before.position_pct if isnan(measured_pct) else measured_pct
        return {}, ThreeStepState(stands_pct)
    if abs(measured_pct - before.position_pct) > _CORRECTED_PCT:
        before = replace(before, position_pct=measured_pct)
    pulse, after = three_step(
        motor.parameters,
        before,
        stroke_s=motor.stroke_s,
        wanted_pct=nan if claim.value is None else claim.value,
        dt_s=min(_SCAN_SHARE * scan.dt_s, motor.pulse_max_s),
    )
    contacts = ((motor.raise_, pulse.raise_s), (motor.lower, pulse.lower_s))
    return {tag: round(seconds, 2) for tag, seconds in contacts if seconds > 0.0}, after
