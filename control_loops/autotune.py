"""Step-bump autotune: a small bump of the valve tells how the supply answers, and gives the gains.

Rule: nothing is bumped unless the loop has been at rest, and whatever goes wrong, the output goes
back to exactly where it was.

Identification of a first-order process with dead time: two points of the answer give tau =
1.5 (t63 - t28) and theta = t63 - tau (of Sundaresan and Krishnaswamy's kind, as in Seborg), and
from there the least squares of the answer's first part are looked for: two points alone carry all
of the noise, and what comes later is the warmer water from the flats. Gains after SIMC (Skogestad
2003): Kc = tau / (K (tc + theta)), Ti = min(tau, 4 (tc + theta)), tc = 1.5 theta, with half a scan
added to theta, as a sampled loop sees it.
"""

from dataclasses import dataclass, replace
from math import exp, isfinite, nan
from operator import mul
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from core.parameters import parameters
from core.point import Unit

Phase = Literal["idle", "settling", "pre-move", "bump", "done", "aborted"]

_CLOSED_LOOP = 1.5
_T28, _T63 = 0.283, 0.632
# How much of the answer is fitted, in sums of time constant and dead time.
_SEEN_TIMES, _SEEN_MIN = 5.0, 6
_FINE_S = 0.25
_WAITS = "waits for calm"
# What the valve may move in a calm: the position of a loop without a deadband is never still.
_RESTS_PCT = 1.0
_SHARE_OF_MOST = 0.8
_STANDS_SHARE = 0.8


@parameters
class AutotuneLimits:
    """What an autotune may do, and under which calm it may begin.

    Attributes:
        bump_pct: By how much the valve is opened; less where the model of valve and exchanger says
            that the supply would pass 0.8 of `most_k`.
        pre_move_pct: An opening move before it, so that the backlash is taken up.
        pre_move_time_s: How long before it.
        bump_time_s: How long the bump lasts.
        calm_error_k: The error that counts as at rest; the loop's gap where that is wider.
        calm_s: For how long it must have been.
        wait_s: How long calm is waited for.
        T1g_k: By how much the primary may move meanwhile.
        most_k: By how much the supply may move.
        whole_s: After this time from the first move it is given up.
    """

    bump_pct: Annotated[float, Unit.PERCENT, Gt(0), Le(10)] = 5.0
    pre_move_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(5)] = 2.0
    pre_move_time_s: Annotated[float, Unit.SECOND, Ge(10), Le(300)] = 120.0
    bump_time_s: Annotated[float, Unit.SECOND, Ge(60), Le(600)] = 300.0
    calm_error_k: Annotated[float, Unit.KELVIN, Gt(0), Le(2)] = 0.5
    calm_s: Annotated[float, Unit.SECOND, Gt(0)] = 600.0
    wait_s: Annotated[float, Unit.SECOND, Gt(0), Le(86400)] = 3600.0
    T1g_k: Annotated[float, Unit.KELVIN, Gt(0), Le(10)] = 2.0
    most_k: Annotated[float, Unit.KELVIN, Gt(0), Le(6)] = 3.0
    whole_s: Annotated[float, Unit.SECOND, Gt(0), Le(1800)] = 600.0


class AutotuneFacts(NamedTuple):
    """What an autotune sees in a scan; NaN where a value is unusable.

    `strength_k_per_pct` is what a model expects of the valve, NaN without one; `gap_k` the loop's.
    """

    output_pct: float
    setpoint_c: float
    measured_c: float
    t1g_c: float
    is_alarm: bool
    is_ours: bool
    gap_k: float = 0.0
    strength_k_per_pct: float = nan


@dataclass(frozen=True, slots=True)
class Process:
    """A first-order process with dead time: K per %, both times in s."""

    gain_k_per_pct: float
    tau_s: float
    dead_s: float


@dataclass(frozen=True, slots=True)
class AutotuneState:
    """Where an autotune stands: the output it began with, what it saw, and why it was given up.

    `found` is the process, and `tuned` the gains for it, once it is done.
    """

    phase: Phase = "idle"
    why: str = ""
    waited_s: float = 0.0
    calm_s: float = 0.0
    elapsed_s: float = 0.0
    base_pct: float = nan
    base_t1g_c: float = nan
    setpoint_c: float = nan
    stood_c: tuple[float, ...] = ()
    start_c: float = nan
    bump_pct: float = nan
    answer_k: tuple[float, ...] = ()
    found: Process | None = None
    tuned: "Tuned | None" = None


class Tuned(NamedTuple):
    """The gains that SIMC gives for a process: % per K and s."""

    gain_pct_per_k: float
    reset_time_s: float


IDLE = AutotuneState()


def begin(state: AutotuneState) -> AutotuneState:
    """Return the state that waits for calm; one that is at work goes on."""
    return state if is_busy(state) else AutotuneState("settling", _WAITS)


def abort(state: AutotuneState, why: str) -> AutotuneState:
    """Return the state that has given up; its output is the one it began with."""
    return replace(state, phase="aborted", why=why) if is_busy(state) else state


def is_busy(state: AutotuneState) -> bool:
    """Return whether an autotune is under way."""
    return state.phase in {"settling", "pre-move", "bump"}


def autotune_step(
    limits: AutotuneLimits, state: AutotuneState, facts: AutotuneFacts, *, dt_s: float
) -> tuple[float | None, AutotuneState]:
    """Return the output that the autotune wants, None where it wants none, and the next state.

    In the scan in which it ends or is given up it wants exactly the output that it began with; from
    then on nothing.
    """
    match state.phase:
        case "settling":
            return _settle(limits, state, facts, dt_s)
        case "pre-move" | "bump":
            return _bump(limits, state, facts, dt_s)
        case _:
            return None, state


def identify(answer_k: tuple[float, ...], *, bump_pct: float, dt_s: float) -> Process | None:
    """Return the process whose answer to a step was seen every `dt_s`; None if there was none.

    For the two points the last fifth of the answer is taken for its end.

    Args:
        answer_k: By how much the measured value has moved, K, first `dt_s` after the step.
        bump_pct: The step, %.
        dt_s: Time between two looks, s, > 0.
    """
    tail = answer_k[-max(len(answer_k) // 5, 1) :]
    end_k = sum(tail) / len(tail) if tail else 0.0
    t28_s = _reached_s(answer_k, _T28 * end_k, dt_s)
    t63_s = _reached_s(answer_k, _T63 * end_k, dt_s)
    if end_k <= 0.0 or t28_s is None or t63_s is None or t63_s <= t28_s:
        return None
    tau_s = 1.5 * (t63_s - t28_s)
    return _nearest(answer_k, bump_pct, (tau_s, max(t63_s - tau_s, 0.0)), dt_s)


def _nearest(
    answer_k: tuple[float, ...], bump_pct: float, start: tuple[float, float], dt_s: float
) -> Process | None:
    """Return the process with the least squares around `start` (tau, theta); None if it has none.

    A pattern search: the neighbours at a distance are tried, and then those at half of it.
    """
    seen = answer_k[: max(round(_SEEN_TIMES * sum(start) / dt_s), _SEEN_MIN)]
    best = start
    off, gain = _off(seen, best, dt_s)
    step_s = max(sum(start) / 4.0, dt_s / 2.0)
    while step_s > _FINE_S:
        tau_s, dead_s = best
        found = min(
            (_off(seen, (tau, dead), dt_s), (tau, dead))
            for tau in (tau_s - step_s, tau_s, tau_s + step_s)
            for dead in (dead_s - step_s, dead_s, dead_s + step_s)
            if tau >= _FINE_S and dead >= 0.0
        )
        if found[0][0] < off:
            (off, gain), best = found
        else:
            step_s /= 2.0
    return Process(gain / bump_pct, *best) if gain > 0.0 else None


def _off(seen: tuple[float, ...], process: tuple[float, float], dt_s: float) -> tuple[float, float]:
    """Return the sum of squares that a tau and a theta leave, and the gain that leaves so few."""
    tau_s, dead_s = process
    after = ((i + 1) * dt_s - dead_s for i in range(len(seen)))
    shape = [1.0 - exp(-late_s / tau_s) if late_s > 0.0 else 0.0 for late_s in after]
    whole = sum(part * part for part in shape)
    gain = sum(map(mul, shape, seen)) / whole if whole > 0.0 else 0.0
    return sum((gain * part - value) ** 2 for part, value in zip(shape, seen, strict=True)), gain


def simc(process: Process, *, closed_loop_s: float | None = None, scan_s: float = 0.0) -> Tuned:
    """Return the SIMC gains of a process.

    Args:
        process: The process.
        closed_loop_s: Time constant of the closed loop; without it 1.5 dead times.
        scan_s: Time between two scans: half of it comes on top of the dead time.
    """
    dead_s = process.dead_s + scan_s / 2.0
    closed_s = _CLOSED_LOOP * dead_s if closed_loop_s is None else closed_loop_s
    reach_s = closed_s + dead_s
    return Tuned(
        process.tau_s / (process.gain_k_per_pct * reach_s), min(process.tau_s, 4.0 * reach_s)
    )


def _settle(
    limits: AutotuneLimits, state: AutotuneState, facts: AutotuneFacts, dt_s: float
) -> tuple[float | None, AutotuneState]:
    waited_s = state.waited_s + dt_s
    if waited_s > limits.wait_s:
        return None, replace(state, phase="aborted", why="there was no calm to begin in")
    if not _is_calm(limits, state, facts):
        return None, AutotuneState("settling", _WAITS, waited_s)
    calm_s = state.calm_s + dt_s
    if calm_s < limits.calm_s:
        is_first = state.calm_s == 0.0
        return None, replace(
            state,
            waited_s=waited_s,
            calm_s=calm_s,
            base_pct=facts.output_pct if is_first else state.base_pct,
            base_t1g_c=facts.t1g_c if is_first else state.base_t1g_c,
        )
    bump_pct = limits.bump_pct
    if facts.strength_k_per_pct > 0.0:
        bump_pct = min(bump_pct, _SHARE_OF_MOST * limits.most_k / facts.strength_k_per_pct)
    if facts.output_pct + limits.pre_move_pct + bump_pct > 100.0:  # noqa: PLR2004 - the end stop
        return None, replace(state, phase="aborted", why="the valve has no room to open")
    begun = AutotuneState(
        "pre-move",
        "takes up the backlash",
        base_pct=facts.output_pct,
        base_t1g_c=facts.t1g_c,
        setpoint_c=facts.setpoint_c,
        bump_pct=bump_pct,
    )
    return facts.output_pct + limits.pre_move_pct, begun


def _is_calm(limits: AutotuneLimits, state: AutotuneState, facts: AutotuneFacts) -> bool:
    """Return whether nothing moves: neither supply nor primary, nor the loop its valve."""
    if facts.is_alarm or not facts.is_ours:
        return False
    if not abs(facts.setpoint_c - facts.measured_c) < max(limits.calm_error_k, facts.gap_k):
        return False
    if state.calm_s == 0.0:
        return isfinite(facts.t1g_c)
    is_valve_at_rest = abs(facts.output_pct - state.base_pct) <= _RESTS_PCT
    return is_valve_at_rest and abs(facts.t1g_c - state.base_t1g_c) <= limits.T1g_k


def _bump(
    limits: AutotuneLimits, state: AutotuneState, facts: AutotuneFacts, dt_s: float
) -> tuple[float | None, AutotuneState]:
    elapsed_s = state.elapsed_s + dt_s
    if why := _flaw(limits, state, facts, elapsed_s):
        return state.base_pct, replace(state, phase="aborted", why=why)
    before_pct = state.base_pct + limits.pre_move_pct
    if state.phase == "pre-move":
        # Where the bump begins is the mean of a while: what one look is off, the whole answer is.
        is_late = elapsed_s >= _STANDS_SHARE * limits.pre_move_time_s
        stood_c = (*state.stood_c, facts.measured_c) if is_late else ()
        if elapsed_s < limits.pre_move_time_s:
            return before_pct, replace(state, elapsed_s=elapsed_s, stood_c=stood_c)
        start_c = sum(stood_c) / len(stood_c)
        bumped = replace(
            state, phase="bump", why="bumped", elapsed_s=elapsed_s, stood_c=(), start_c=start_c
        )
        return before_pct + state.bump_pct, bumped
    answer_k = (*state.answer_k, facts.measured_c - state.start_c)
    if elapsed_s >= limits.pre_move_time_s + limits.bump_time_s:
        seen = replace(state, elapsed_s=elapsed_s, answer_k=answer_k)
        return state.base_pct, _judged(limits, seen)
    return before_pct + state.bump_pct, replace(state, elapsed_s=elapsed_s, answer_k=answer_k)


def _judged(limits: AutotuneLimits, state: AutotuneState) -> AutotuneState:
    """Return the end of an autotune that has seen the whole answer."""
    between_s = (state.elapsed_s - limits.pre_move_time_s) / len(state.answer_k)
    found = identify(state.answer_k, bump_pct=state.bump_pct, dt_s=between_s)
    if found is None:
        return replace(state, phase="aborted", why="the supply did not answer as a process does")
    tuned = simc(found, scan_s=between_s)
    return replace(state, phase="done", why="", found=found, tuned=tuned)


def _flaw(
    limits: AutotuneLimits, state: AutotuneState, facts: AutotuneFacts, elapsed_s: float
) -> str:
    """Return why the autotune must be given up, empty if it may go on."""
    moved_k = abs(
        facts.measured_c - (state.start_c if isfinite(state.start_c) else state.setpoint_c)
    )
    rules = (
        (facts.is_ours, "control was handed over"),
        (not facts.is_alarm, "an alarm came up"),
        (isfinite(facts.measured_c + facts.t1g_c), "a sensor was lost"),
        (abs(facts.t1g_c - state.base_t1g_c) <= limits.T1g_k, "the primary moved"),
        (abs(facts.setpoint_c - state.setpoint_c) <= limits.calm_error_k, "the setpoint moved"),
        (moved_k <= limits.most_k, f"the supply moved by more than {limits.most_k:g} K"),
        (elapsed_s <= limits.whole_s, "it took too long"),
    )
    return next((why for is_kept, why in rules if not is_kept), "")


def _reached_s(answer_k: tuple[float, ...], level_k: float, dt_s: float) -> float | None:
    """Return when the answer first passed a level, between two samples on a straight line."""
    before = 0.0
    for i, value in enumerate(answer_k):
        if value >= level_k > before or (i == 0 and value >= level_k):
            part = (level_k - before) / (value - before) if value > before else 1.0
            return (i + part) * dt_s
        before = value
    return None
