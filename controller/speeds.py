"""The pumps of a circuit in one scan: what they are told, and who holds their speed and why.

Rule: a speed loop that does not rule stands where the pumps run, so it takes over without a step.
"""

from functools import lru_cache
from math import isnan, nan

from control_loops.interlock import Trip
from control_loops.makeup import MakeUpMove, MakeUpState, makeup_step
from control_loops.pid import Gains, PidState, track
from control_loops.pressure import lowest_usable, wanted_dp
from control_loops.pump_set import PumpFacts, proof
from control_loops.pumps import CirculationState, PumpMove, circulation_step
from controller.arbiter import Claim, Holder
from controller.claims import Scan, manual_claim, not_ours, ruling
from controller.plan import CircuitPlan
from controller.state import CircuitState
from core.image import Pick, ProcessImage
from core.point import Tag

_REPORTS_MAX = 4096
"""How many reports of pumps are kept ready; a set at rest reports the same in scan after scan."""


def pump_facts(image: ProcessImage, pumps: Pick) -> tuple[PumpFacts, ...]:
    """Return what the pumps of a set report."""
    return _pump_facts(image.usable(pumps))


@lru_cache(maxsize=_REPORTS_MAX)
def _pump_facts(values: tuple[float, ...]) -> tuple[PumpFacts, ...]:
    """Return what run bit, fault bit and speed of each pump say."""
    pumps = zip(values[::3], values[1::3], values[2::3], strict=True)
    return tuple([PumpFacts(_bit(run), _bit(fault), hz) for run, fault, hz in pumps])


def _bit(value: float) -> bool | None:
    return None if isnan(value) else value != 0.0


def any_proven(seen: tuple[PumpFacts, ...]) -> bool | None:
    """Return True while a pump is proven to run, False while all are known to stand, else None.

    A drive's speed counts only where there is no run bit: a pump that has tripped runs down slowly.
    """
    proofs = [proof(pump) if pump.is_running is None else pump.is_running for pump in seen]
    return True if True in proofs else (None if None in proofs else False)


def are_speeds_known(plan: CircuitPlan, image: ProcessImage) -> bool:
    """Return False while a circulation pump runs at a speed that nobody knows."""
    seen = pump_facts(image, plan.pumps_report)
    return not any(pump.is_running for pump in seen) or not isnan(_field_hz(seen))


def _field_hz(seen: tuple[PumpFacts, ...]) -> float:
    """Return the speed of the pumps that run, NaN where nobody knows."""
    return max((pump.hz for pump in seen if not isnan(pump.hz)), default=nan)


def circulate(
    plan: CircuitPlan,
    state: CircuitState,
    seen: tuple[PumpFacts, ...],
    trips: tuple[Trip, ...],
    scan: Scan,
) -> tuple[PumpMove, Claim, CirculationState]:
    """Return the circulation pumps' move, who holds their speed, and their next state."""
    gains, before, value = plan.circulation_gains, state.pumps, scan.image.value
    dp_kpa = lowest_usable(tuple([value(tag) for tag in plan.dp_tags]))
    wanted = wanted_dp(
        plan.circulation.dp_kpa,
        plan.circulation.dp_by_outdoor,
        plan.circulation.spread,
        before.spread,
        outdoor_c=scan.outdoor_c,
        spread_k=value(plan.t2g) - value(plan.t2h),
        dt_s=scan.dt_s,
    )
    if not scan.is_ours:
        before = before._replace(pid=_as_found(before.pid, gains, _field_hz(seen)))
    move, after = circulation_step(
        plan.circulation,
        gains,
        before,
        facts=seen,
        dp_kpa=dp_kpa,
        wanted=wanted,
        is_wanted=_allowed(scan, ruling(trips, "pumps")),
        is_acknowledged=not scan.acknowledged.isdisjoint(plan.pump_alarms),
        dt_s=scan.dt_s,
    )
    why = move.why or plan.dp_why
    if wanted.why and not move.why:
        why = f"{plan.p2d} is held at {wanted.dp_kpa:.0f} kPa {wanted.why}"
    loop = _hold_or(plan.p2d, dp_kpa, Claim(Holder.LOOP, round(move.hz, 1), why))
    claim = _speed(scan, plan.p2d, loop, present=before.pid.output, rate_per_s=gains.rate_per_s)
    if claim.holder is Holder.OPERATOR and claim.value is not None:
        pid = track(gains, output=claim.value, setpoint=wanted.dp_kpa, measured=dp_kpa)
        after = after._replace(pid=pid)
    return move, claim, after


def make_up(
    plan: CircuitPlan,
    state: CircuitState,
    seen: tuple[PumpFacts, ...],
    trips: tuple[Trip, ...],
    scan: Scan,
) -> tuple[MakeUpMove, Claim, MakeUpState]:
    """Return the make-up pumps' move, who holds their speed, and their next state."""
    gains, before, p2h_mpa = plan.makeup_gains, state.makeup, scan.image.value(plan.p2h)
    if not scan.is_ours:
        before = before._replace(pid=_as_found(before.pid, gains, _field_hz(seen)))
    move, after = makeup_step(
        plan.makeup,
        gains,
        before,
        facts=seen,
        p2h_mpa=p2h_mpa,
        tank_m=scan.image.value(plan.tank),
        is_allowed=_allowed(scan, ruling(trips, "makeup")),
        is_acknowledged=not scan.acknowledged.isdisjoint(plan.pump_alarms),
        dt_s=scan.dt_s,
    )
    why = move.why or plan.makeup_why
    loop = _hold_or(plan.p2h, p2h_mpa, Claim(Holder.LOOP, round(move.hz, 1), why))
    claim = _speed(scan, plan.p2h, loop, present=before.pid.output, rate_per_s=gains.rate_per_s)
    if claim.holder is Holder.OPERATOR and claim.value is not None:
        wanted_mpa = plan.makeup.P2h_mpa
        pid = track(gains, output=claim.value, setpoint=wanted_mpa, measured=p2h_mpa)
        after = after._replace(pid=pid)
    return move, claim, after


def _as_found(pid: PidState, gains: Gains, field_hz: float) -> PidState:
    """Return the loop of a pump speed that somebody else holds, standing where the pumps run."""
    if isnan(field_hz):
        return pid
    return pid._replace(output=min(max(field_hz, gains.low), gains.high))


def _speed(scan: Scan, name: str, loop: Claim, *, present: float, rate_per_s: float) -> Claim:
    """Return who holds a pump speed; written in steps of 0.1 Hz, so that noise writes nothing."""
    if not scan.is_ours:
        return not_ours(scan, round(present, 1), "takes over at the pump's speed")
    manual = manual_claim(scan, name, present, rate_per_s)
    return manual[0] if manual else loop


def _hold_or(measured: Tag, value: float, loop: Claim) -> Claim:
    """Return the loop's claim, or that the output is held for want of what the loop measures."""
    if isnan(value):
        return Claim(Holder.HOLD, None, f"{measured} cannot be trusted: the output is held")
    return loop


def _allowed(scan: Scan, trip: Trip | None) -> bool | None:
    """Return True to run pumps, False to stop them, None to leave them alone."""
    if not scan.is_ours:
        return None
    if trip is None:
        return True
    return False if trip.action == "stop" else None
