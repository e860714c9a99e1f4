"""One circuit in one scan: its protection, its pumps and its valve, each with who holds it and why.

Rule: every output ends in a claim that names its holder; whatever does not rule is tracked, so that
a change of holder never makes a step.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isnan, nan
from operator import sub
from typing import NamedTuple

from control_loops.forward import ForwardState, Primary, forward_step, gains_at
from control_loops.frost import FrostFacts, FrostMove, FrostState, frost_step
from control_loops.interlock import InterlockState, StationFacts, Trip, interlock_step
from control_loops.makeup import MakeUpMove
from control_loops.override import AT_REST, LowestSupply, OverrideState
from control_loops.pid import Gains, PidState, PidStep, PidTerms, guard, reset_from, retune, track
from control_loops.pump_set import PumpFacts
from control_loops.pumps import PumpMove
from controller.arbiter import Claim, Holder, arbitrate
from controller.claims import Scan, manual_claim, not_ours, ruling, towards
from controller.contacts import move_contacts
from controller.overridden import overridden, why_overridden
from controller.pair import farthest_off_pct, pair_claims
from controller.plan import CircuitPlan
from controller.setpoint import Setpoint, SetpointChain
from controller.speeds import any_proven, circulate, make_up, pump_facts
from controller.state import CircuitState, Tuning
from controller.tuning import overruled, tune_step
from controller.watched import Doings, watch_loops
from core.image import ProcessImage
from core.point import Quality, Tag

# A positioner that is this close has arrived: position noise, backlash, and a stroke under way.
_ARRIVED_PCT = 6.0
_NO_MOVE_PCT = 5.0
# The PLC keeps its curve as 32-bit floats; a tenth of a kelvin is what an engineer can see.
_SAME_C = 0.05
# What its own device doubts may be off by much: the loop follows it half as hard.
_UNCERTAIN_GAIN = 0.5
_NO_TERMS = PidTerms(0.0, 0.0, 0.0, 0.0, 0.0, "")
_PWR_OK, _ESTOP, _LOC_REM, _GAS = Tag("PWR_OK"), Tag("ESTOP"), Tag("LOC_REM"), Tag("GAS")
_T1G, _P1G, _P1H, _F1 = Tag("T1g"), Tag("P1g"), Tag("P1h"), Tag("F1")
_KPA_PER_MPA = 1000.0
_B_FLOW_OK, _B_P_OK = Tag("B_flow_ok"), Tag("B_P_ok")


class CircuitResult(NamedTuple):
    """What one circuit decided: who holds each output, which pulses to send, and the next state.

    `timed` says for how many seconds a contact is closed. `fallback_differs` is 1 where the PLC
    holds another curve as its own, and NaN where that is not known.
    """

    plan: CircuitPlan
    chain: SetpointChain
    held: Mapping[Tag, Claim]
    pulses: tuple[Tag, ...]
    timed: Mapping[Tag, float]
    state: CircuitState
    terms: PidTerms
    measured_c: float
    position_pct: float
    pumps: PumpMove
    makeup: MakeUpMove
    trips: tuple[Trip, ...]
    is_not_moving: bool
    fallback_differs: float


class Supply(NamedTuple):
    """The supply temperature that the loop acts on, °C, and what its quality leaves of the gain.

    `position_pct` is where the valve stands, NaN where that is not known.
    """

    measured_c: float
    gain_share: float
    position_pct: float


class Moved(NamedTuple):
    """Who holds the valve, the loop's next state and terms, its autotune, and what bounds it."""

    claim: Claim
    pid: PidState
    terms: PidTerms
    tune: Tuning
    override: OverrideState = AT_REST


def circuit_step(
    plan: CircuitPlan, state: CircuitState, setpoint: Setpoint, position_pct: float, scan: Scan
) -> CircuitResult:
    """Return what one circuit does in this scan.

    Args:
        plan: The circuit.
        state: Its state after the previous scan.
        setpoint: How its setpoint came about.
        position_pct: Where its valve stands, NaN where that is not known.
        scan: What all circuits of the station share.
    """
    image, chain, supply = scan.image, setpoint.chain, _supply(plan, scan.image, position_pct)
    seen, makeup_seen = pump_facts(image, plan.pumps_report), pump_facts(image, plan.makeup_report)
    trips, interlock, frost, frost_state = _protect(plan, state, supply, scan, seen)
    pumps, speed, pump_state = circulate(plan, state, seen, trips, scan)
    makeup, makeup_speed, makeup_state = make_up(plan, state, makeup_seen, trips, scan)
    forward = _look_ahead(plan, state, chain, scan)
    moved = _valve(plan, state, chain, supply, scan, forward, ruling(trips, "valve"), frost)
    valve, terms = moved.claim, moved.terms
    timed, motor = move_contacts(plan, state, valve, scan)
    did = Doings(chain, valve, terms, speed, pumps, makeup_speed, makeup)
    differs = _fallback_differs(plan, image)
    return CircuitResult(
        plan,
        chain,
        _held(plan, valve, speed, makeup_speed, scan),
        (*pumps.start, *pumps.stop, *makeup.start, *makeup.stop) if scan.is_ours else (),
        timed,
        CircuitState(
            moved.pid,
            setpoint.limit,
            pump_state,
            makeup_state,
            setpoint.weather,
            setpoint.trim,
            forward,
            plan.gains.gain * forward.gain_share * supply.gain_share,
            interlock,
            frost_state,
            chain.setpoint_c,
            state.recorded_c if isnan(chain.setpoint_c) else round(chain.setpoint_c, 1),
            nan if valve.value is None else valve.value,
            supply.gain_share,
            motor,
            watch_loops(plan, state.watch, did, scan),
            moved.tune,
            moved.override,
            state.is_fallback_confirmed or differs == 0.0,
            chain.preheat.room_k,
        ),
        terms,
        supply.measured_c,
        position_pct,
        pumps,
        makeup,
        trips,
        scan.is_ours and _off_pct(plan, state, scan, position_pct) > _NO_MOVE_PCT,
        differs,
    )


def _held(
    plan: CircuitPlan, valve: Claim, speed: Claim, makeup_speed: Claim, scan: Scan
) -> dict[Tag, Claim]:
    held = {plan.valve: valve, plan.pump_speed: speed, plan.makeup_speed: makeup_speed}
    return held if plan.pair is None else held | pair_claims(plan.pair, valve, scan)


def _supply(plan: CircuitPlan, image: ProcessImage, position_pct: float) -> Supply:
    """Return the supply temperature as the circuit takes it; NaN where it may not be taken."""
    measured_c = image.value(plan.t2g)
    if plan.config.pid.on_uncertain == "hold" or not isnan(measured_c):
        return Supply(measured_c, 1.0, position_pct)
    sample = image[plan.t2g]
    if sample.quality is Quality.SUBSTITUTED:
        return Supply(sample.value, _UNCERTAIN_GAIN, position_pct)
    return Supply(nan, 1.0, position_pct)


def _protect(
    plan: CircuitPlan,
    state: CircuitState,
    supply: Supply,
    scan: Scan,
    pumps: tuple[PumpFacts, ...],
) -> tuple[tuple[Trip, ...], InterlockState, FrostMove, FrostState]:
    """Return the trips and what frost wants, each with its next state."""
    value, config, proven = scan.image.value, plan.config, any_proven(pumps)
    trips, interlock = interlock_step(
        config.protection,
        state.interlock,
        _facts(plan, state, supply, scan, proven=proven),
        dt_s=scan.dt_s,
    )
    frost, frost_state = frost_step(
        config.frost,
        state.frost,
        FrostFacts(value(plan.t2h), value(plan.room), scan.outdoor_c, proven),
        dt_s=scan.dt_s,
    )
    return trips, interlock, frost, frost_state


def _look_ahead(
    plan: CircuitPlan, state: CircuitState, chain: SetpointChain, scan: Scan
) -> ForwardState:
    """Return what the primary asks of the valve; nothing without a data sheet."""
    if plan.forward is None:
        return state.forward
    value = scan.image.value
    dp_kpa = _KPA_PER_MPA * (value(_P1G) - value(_P1H))
    seen = Primary(value(_T1G), value(plan.t2h), dp_kpa, value(_F1))
    return forward_step(
        plan.forward, state.forward, setpoint_c=chain.setpoint_c, seen=seen, dt_s=scan.dt_s
    )


def _valve(
    plan: CircuitPlan,
    state: CircuitState,
    chain: SetpointChain,
    supply: Supply,
    scan: Scan,
    forward: ForwardState,
    trip: Trip | None,
    frost: FrostMove,
) -> Moved:
    """Return who holds the valve, and what the loop remembers of it."""
    gains, before = _gains(plan, state, chain, supply, forward)
    setpoint_c, measured_c, position_pct = chain.setpoint_c, supply.measured_c, supply.position_pct
    present_pct = position_pct if isnan(state.valve_pct) else state.valve_pct
    bumps, tune = tune_step(plan, state, chain, forward, present_pct, scan)
    if not scan.is_ours:
        claim = not_ours(scan, round(position_pct, 2), "takes over at the valve's position")
        if isnan(position_pct):
            return Moved(claim, before, _NO_TERMS, tune)
        pid = _tracked(gains, chain, forward, measured_c, position_pct)
        return Moved(claim, pid, _NO_TERMS, tune)
    reset = reset_from(position_pct, commanded=before.output, tolerance=_ARRIVED_PCT)
    step = guard(
        gains,
        before,
        on_bad=plan.on_bad,
        setpoint=setpoint_c,
        measured=measured_c,
        feedforward=forward.output_pct,
        external_reset=reset,
        dt_s=scan.dt_s,
    )
    override = AT_REST
    if plan.override:
        lowest = _lowest(plan, state, gains, supply)
        step, override = overridden(
            plan, state, step, chain, scan, lowest=lowest, external_reset=reset
        )
    loop = _loop_claim(plan, chain, step, override, scan)
    most_pct = gains.rate_per_s * scan.dt_s
    manual = manual_claim(scan, plan.t2g, present_pct, gains.rate_per_s)
    wanted = arbitrate([loop, *_source_claim(scan, present_pct, most_pct), *manual, *bumps])
    warmed = _with_frost(wanted, frost, present_pct, most_pct)
    winner = _after_trip(warmed, trip, present_pct, scan.dt_s)
    tune = overruled(tune, bumps, winner)
    if winner is loop:
        return Moved(loop, step.state, step.terms, tune, override)
    output = present_pct if winner.value is None else winner.value
    if wanted is loop:
        # Frost and interlocks only bound the loop: its integral follows what they leave of it.
        return Moved(winner, step.state._replace(output=output), step.terms, tune, override)
    pid = _tracked(gains, chain, forward, measured_c, output)
    return Moved(winner, pid, step.terms, tune)


def _lowest(plan: CircuitPlan, state: CircuitState, gains: Gains, supply: Supply) -> LowestSupply:
    is_elsewhere = supply.gain_share != state.gain_share
    return LowestSupply(gains, plan.config.limits.T2g_c[0], supply.measured_c, is_elsewhere)


def _loop_claim(
    plan: CircuitPlan, chain: SetpointChain, step: PidStep, override: OverrideState, scan: Scan
) -> Claim:
    if step.terms.limited_by == "hold":
        return Claim(Holder.HOLD, None, f"{plan.t2g} cannot be trusted: the valve holds")
    why = f"{plan.t2g} {chain.why}"
    if override.ruling:
        why += why_overridden(plan, override, scan.image)
    return Claim(Holder.LOOP, round(step.output, 2), why)


def _gains(
    plan: CircuitPlan,
    state: CircuitState,
    chain: SetpointChain,
    supply: Supply,
    forward: ForwardState,
) -> tuple[Gains, PidState]:
    """Return the gains that fit the opening, and the loop's state moved over to them."""
    gains = gains_at(plan.gains, forward.gain_share * supply.gain_share)
    if supply.gain_share != state.gain_share:
        # It comes from elsewhere now: what it jumps by is nothing that the plant did.
        return gains, _tracked(gains, chain, forward, supply.measured_c, state.pid.output)
    # Whatever changed it, the opening or the configuration: the valve does not feel it.
    if state.gain == gains.gain or isnan(state.gain):
        return gains, state.pid
    return gains, retune(replace(gains, gain=state.gain), gains, state.pid)


def _tracked(
    gains: Gains, chain: SetpointChain, forward: ForwardState, measured_c: float, output: float
) -> PidState:
    return track(
        gains,
        output=output,
        setpoint=chain.setpoint_c,
        measured=measured_c,
        feedforward=forward.output_pct,
    )


def _with_frost(winner: Claim, frost: FrostMove, present_pct: float, most_pct: float) -> Claim:
    """Return the claim that frost leaves of the winner's: it opens a valve and never closes one."""
    below_pct = present_pct if winner.value is None else winner.value
    if not frost.valve_min_pct > below_pct:
        return winner
    # No faster than the loop: cold plates take hot water badly.
    least_pct = towards(frost.valve_min_pct, present_pct, most_pct)
    return Claim(Holder.FROST, max(below_pct, least_pct), frost.why)


def _after_trip(winner: Claim, trip: Trip | None, present_pct: float, dt_s: float) -> Claim:
    """Return the claim that an interlock leaves of the winner's."""
    if trip is None or trip.action == "none":
        return winner
    why = f"{trip.interlock}: {trip.why}"
    if trip.action in {"close", "stop"}:
        return Claim(Holder.TRIP, 0.0, why)
    if winner.value is None:
        return winner
    if trip.action == "hold":
        most_pct = max(present_pct, trip.limit)
    else:
        most_pct = present_pct + trip.limit * dt_s
    return Claim(Holder.TRIP, most_pct, why) if winner.value > most_pct else winner


def _source_claim(scan: Scan, present_pct: float, most_pct: float) -> list[Claim]:
    """Return what the source machine wants of the valve; what must close at once is a trip."""
    source = scan.source
    if source.valve == "regulate":
        return []
    wanted_pct = towards(source.valve_pct, present_pct, most_pct)
    return [Claim(Holder.SOURCE, wanted_pct, source.why or "source")]


def _facts(
    plan: CircuitPlan, state: CircuitState, supply: Supply, scan: Scan, *, proven: bool | None
) -> StationFacts:
    value, flag, makeup = scan.image.value, scan.image.flag, plan.makeup
    return StationFacts(
        supply.measured_c,
        value(plan.p2h),
        value(plan.tank),
        makeup.stop_mpa,
        makeup.relief_mpa,
        makeup.tank_stop_m,
        makeup.tank_start_m,
        proven,
        False not in [pump.is_failed for pump in state.pumps.pumps.pumps],
        scan.source.is_primary_cold,
        flag(_PWR_OK),
        scan.is_linked,
        flag(_ESTOP),
        flag(_LOC_REM),
        flag(_B_FLOW_OK),
        flag(_B_P_OK),
        flag(_GAS),
    )


def _off_pct(plan: CircuitPlan, state: CircuitState, scan: Scan, position_pct: float) -> float:
    """Return how far the valve, or the worse one of two, is from what was written; NaN: unknown."""
    if plan.pair is None:
        return abs(state.valve_pct - position_pct)
    return farthest_off_pct(plan.pair, state.valve_pct, scan.image)


def _fallback_differs(plan: CircuitPlan, image: ProcessImage) -> float:
    """Return 1 where the PLC holds another curve as its own, 0 where ours, NaN if not known."""
    held, ours = image.usable(plan.fallback_pick), tuple(plan.fallback.values())
    if held == ours:
        return 0.0
    off_c = tuple(map(sub, held, ours))
    return nan if isnan(sum(off_c)) else float(max(map(abs, off_c)) > _SAME_C)
