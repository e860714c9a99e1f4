"""An autotune of a supply loop within a scan: it moves the valve while nobody else wants it.

Rule: it changes no setting. What it found is shown, and a person writes it into YAML or does not.
"""

from math import nan

from control_loops.autotune import IDLE as AT_REST
from control_loops.autotune import AutotuneFacts, abort, autotune_step, begin, is_busy
from control_loops.forward import ForwardState
from controller.arbiter import Claim, Holder
from controller.claims import Scan
from controller.plan import CircuitPlan
from controller.setpoint import SetpointChain
from controller.snapshot import TuneView
from controller.state import CircuitState, Tuning
from core.command import StartTune
from core.point import Tag

_T1G = Tag("T1g")
_INFORMATION = 4


def tune_step(
    plan: CircuitPlan,
    state: CircuitState,
    chain: SetpointChain,
    forward: ForwardState,
    present_pct: float,
    scan: Scan,
) -> tuple[list[Claim], Tuning]:
    """Return what the autotune wants of the valve in this scan, and where it stands then.

    Args:
        plan: The circuit.
        state: Its state after the previous scan.
        chain: Its setpoint in this scan.
        forward: How strong the model says that the valve is.
        present_pct: The opening that was written last.
        scan: What all circuits of the station share.
    """
    tuning, asked = state.tune, scan.tune.get(plan.t2g)
    if asked is None and not is_busy(tuning.state):
        return [], tuning
    if isinstance(asked, StartTune) and not is_busy(tuning.state):
        tuning = Tuning(begin(AT_REST), asked.who)
    is_free = scan.is_ours and scan.source.valve == "regulate"
    if asked is not None and not isinstance(asked, StartTune):
        claims = [_claim(tuning, tuning.state.base_pct)] if is_free and _has_moved(tuning) else []
        return claims, tuning._replace(state=abort(tuning.state, f"{asked.who} ended it"))
    if plan.t2g in scan.operator.manual:
        return [], tuning._replace(state=abort(tuning.state, "a person took the valve"))
    wanted_pct, after = autotune_step(
        plan.config.autotune,
        tuning.state,
        AutotuneFacts(
            output_pct=present_pct,
            setpoint_c=chain.setpoint_c,
            measured_c=scan.image.value(plan.t2g),
            t1g_c=scan.image.value(_T1G),
            is_alarm=_is_alarmed(scan),
            is_ours=is_free,
            gap_k=plan.gains.gap,
            strength_k_per_pct=_strength(plan, forward),
        ),
        dt_s=scan.dt_s,
    )
    if not _has_moved(tuning):
        tuning = tuning._replace(gain_share=forward.gain_share)
    tuning = tuning._replace(state=after)
    # Whoever took the valve for his own ends has no use for where it stood before.
    return [] if wanted_pct is None or not is_free else [_claim(tuning, wanted_pct)], tuning


def overruled(tuning: Tuning, claims: list[Claim], winner: Claim) -> Tuning:
    """Return the autotune after the arbiter: it ends where somebody stronger holds the valve."""
    if not claims or winner is claims[0]:
        return tuning
    return tuning._replace(
        state=abort(tuning.state, f"{winner.holder.name.lower()} took the valve")
    )


def tune_view(plan: CircuitPlan, tuning: Tuning) -> TuneView | None:
    """Return the autotune as people see it; None before the first."""
    state, limits = tuning.state, plan.config.autotune
    if state.phase == "idle":
        return None
    found = state.found
    gain, reset_s = state.tuned or (nan, nan)
    # With a data sheet `pid.gain` holds at the design point.
    gain /= tuning.gain_share
    is_settling = state.phase == "settling"
    return TuneView(
        circuit=plan.name,
        phase=state.phase,
        why=state.why,
        who=tuning.who,
        is_busy=is_busy(state),
        elapsed_s=state.calm_s if is_settling else state.elapsed_s,
        of_s=limits.calm_s if is_settling else limits.pre_move_time_s + limits.bump_time_s,
        bump_pct=state.bump_pct,
        moved_k=state.answer_k[-1] if state.answer_k else nan,
        gain_k_per_pct=nan if found is None else found.gain_k_per_pct,
        tau_s=nan if found is None else found.tau_s,
        dead_s=nan if found is None else found.dead_s,
        gain_pct_per_k=gain,
        reset_time_s=reset_s,
    )


def _claim(tuning: Tuning, wanted_pct: float) -> Claim:
    # A step, not a ramp: the motor's own stroke is slow enough, and the answer is timed from here.
    return Claim(Holder.OPERATOR, wanted_pct, f"{tuning.who}: autotune, {tuning.state.phase}")


def _has_moved(tuning: Tuning) -> bool:
    return tuning.state.phase in {"pre-move", "bump"}


def _strength(plan: CircuitPlan, forward: ForwardState) -> float:
    """Return what the model expects of the valve at its opening, in K per %; NaN without one."""
    if plan.forward is None or not plan.forward.strength_k_per_pct > 0.0:
        return nan
    return plan.forward.strength_k_per_pct / forward.gain_share


def _is_alarmed(scan: Scan) -> bool:
    """Return whether an alarm stands that is more than information."""
    return any(
        standing.condition.priority < _INFORMATION and standing.state.is_active
        for standing in scan.alarms.active()
    )
