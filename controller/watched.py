"""How the loops of a circuit fare: what they tell their actuators, and now and then the error.

Rule: only a loop that is in control is judged; what a person or a trip does is not its doing.
"""

from math import isnan, nan
from typing import NamedTuple

from control_loops.makeup import MakeUpMove
from control_loops.monitor import (
    SAMPLE_S,
    MonitorState,
    moved,
    sampled,
    stood_by,
)
from control_loops.pid import PidTerms
from control_loops.pressure import lowest_usable
from control_loops.pumps import PumpMove
from controller.arbiter import Claim, Holder
from controller.claims import Scan
from controller.plan import CircuitPlan
from controller.setpoint import SetpointChain
from controller.state import Watch

_LIMITS = frozenset({"low", "high"})


class Doings(NamedTuple):
    """What the loops of a circuit did in a scan."""

    chain: SetpointChain
    valve: Claim
    terms: PidTerms
    speed: Claim
    pumps: PumpMove
    makeup_speed: Claim
    makeup: MakeUpMove


def watch_loops(plan: CircuitPlan, watch: Watch, did: Doings, scan: Scan) -> Watch:
    """Return what is known of the circuit's loops after this scan.

    Args:
        plan: The circuit.
        watch: What was known after the previous scan.
        did: What its loops did.
        scan: What all circuits of the station share.
    """
    pump_pct, makeup_pct = 100.0 / plan.circulation.max_hz, 100.0 / plan.makeup.max_hz
    valve = _told(watch.valve, did.valve, 1.0, scan)
    circulation = _told(watch.circulation, did.speed, pump_pct, scan)
    makeup = _told(watch.makeup, did.makeup_speed, makeup_pct, scan)
    since_s = watch.since_s + scan.dt_s
    if since_s < SAMPLE_S:
        return Watch(since_s, valve, circulation, makeup)
    value, pumps, config = scan.image.value, did.pumps, plan.config
    dp_kpa = lowest_usable(tuple([value(tag) for tag in plan.dp_tags]))
    is_pump_limited = (
        bool(pumps.is_proven) and not config.pumps.min_hz < pumps.hz < config.pumps.max_hz
    )
    is_makeup_limited = did.makeup.is_filling and did.makeup.hz >= config.makeup.max_hz
    return Watch(
        0.0,
        _seen(
            valve, did.chain.setpoint_c - value(plan.t2g), did.terms.limited_by in _LIMITS, since_s
        ),
        _seen(circulation, pumps.dp_kpa - dp_kpa, is_pump_limited, since_s),
        _seen(makeup, config.makeup.P2h_mpa - value(plan.p2h), is_makeup_limited, since_s),
    )


def _told(state: MonitorState, claim: Claim, pct: float, scan: Scan) -> MonitorState:
    if not scan.is_ours or claim.holder is not Holder.LOOP:
        return stood_by(state)
    return moved(state, nan if claim.value is None else claim.value * pct)


def _seen(state: MonitorState, error: float, is_limited: bool, dt_s: float) -> MonitorState:  # noqa: FBT001 - one fact of several
    # In the first scan in control the loop stands where it found its actuator.
    if isnan(state.output_pct):
        return state
    return sampled(state, error=error, is_limited=is_limited, dt_s=dt_s)
