"""One PID block for valves and pumps: bumpless, never wound up, never NaN.

Rule: the integral follows the output that really stands in the field (external reset), so limits,
overrides and stuck actuators need no anti-windup of their own.

Form: ISA standard form after ISA-TR5.9. With the error e = setpoint - measured and the gap g,

    e_g  = e - sat(e, -g .. +g)                                        continuous at both edges
    P    = K e_g
    D+   = a D + K N a (c de_r + de_y),          a = Td / (Td + N h)   exact for a ramp
    raw  = P + I + D + feedforward
    u    = rate limit (clamp (raw))
    I+   = I + beta (P + reset - raw),           beta = 1 - exp(-h / Ti)   exact hold

where de_r and de_y are the parts of the change of e_g that the setpoint and the measured value
caused. The setpoint weight b takes K (1 - b) de_r out of the integral, which equals the usual
P = K (b r - y) without a gap and keeps a setpoint that moves inside the gap from moving the output.
"""

from dataclasses import dataclass
from math import exp, isfinite
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from core.parameters import parameters
from core.point import Unit

LimitedBy = Literal["", "low", "high", "rate", "deadband", "gap", "hold", "substitute"]
"""What shaped the output last: the published reason why u is not the plain sum of the terms."""

_JUST_LOST_S = 1e-3
"""Marks a state that was tracked without a usable measured value, so that the next one tracks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """The numbers of one loop in its own units: `gain` is output units per measured unit.

    `reset_time_s` > 0; `rate_per_s` is the fastest change of the output, infinite for none;
    `gap` is half the width of the dead zone of the error; `deadband` the least move of the output.
    """

    gain: float
    reset_time_s: float
    low: float
    high: float
    rate_time_s: float = 0.0
    filter_n: float = 10.0
    setpoint_weight: float = 1.0
    rate_weight: float = 0.0
    gap: float = 0.0
    deadband: float = 0.0
    rate_per_s: float = float("inf")


@parameters
class PidTuning:
    """Tuning of a supply temperature loop that moves a valve.

    Attributes:
        gain_pct_per_k: Valve opening per kelvin of error.
        reset_time_s: Time in which the integral repeats the proportional part.
        rate_time_s: Derivative time; 0 switches the derivative off.
        filter_n: The derivative is filtered with rate_time / filter_n.
        setpoint_weight: Share of a setpoint step that the proportional part sees.
        rate_weight: Share of a setpoint step that the derivative sees.
        gap_k: Errors smaller than this do not move the valve; at least half of
            `deadband_pct` times the gain of the process, or the loop cycles.
        deadband_pct: The valve moves only by more than this; at least its backlash.
        output_low_pct: Lowest opening the loop may ask for; trips go below it.
        output_high_pct: Highest opening the loop may ask for.
        output_rate_pct_per_s: Fastest change of the opening.
        hold_s: How long the opening is held without a usable measured value before the substitute.
        substitute_pct: Opening taken after `hold_s`; none means that the hold goes on.
        on_uncertain: What the loop does with a measured value that its device itself doubts or
            overrides (SUBSTITUTED): hold as without one, or go on with half the gain.
    """

    gain_pct_per_k: Annotated[float, Unit.PERCENT_PER_KELVIN, Gt(0), Le(20)] = 0.7
    reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 35.0
    rate_time_s: Annotated[float, Unit.SECOND, Ge(0)] = 0.0
    filter_n: Annotated[float, Ge(1), Le(50)] = 10.0
    setpoint_weight: Annotated[float, Ge(0), Le(1)] = 1.0
    rate_weight: Annotated[float, Ge(0), Le(1)] = 0.0
    gap_k: Annotated[float, Unit.KELVIN, Ge(0)] = 0.75
    deadband_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(10)] = 1.2
    output_low_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(100)] = 0.0
    output_high_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(100)] = 100.0
    output_rate_pct_per_s: Annotated[float, Unit.PERCENT_PER_SECOND, Gt(0)] = 1.2
    hold_s: Annotated[float, Unit.SECOND, Ge(0)] = 60.0
    substitute_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(100)] | None = None
    on_uncertain: Literal["hold", "half_gain"] = "hold"

    def gains(self) -> Gains:
        """Return the gains in % and K; build them once, not in every scan."""
        return Gains(
            gain=self.gain_pct_per_k,
            reset_time_s=self.reset_time_s,
            rate_time_s=self.rate_time_s,
            filter_n=self.filter_n,
            setpoint_weight=self.setpoint_weight,
            rate_weight=self.rate_weight,
            gap=self.gap_k,
            deadband=self.deadband_pct,
            low=self.output_low_pct,
            high=self.output_high_pct,
            rate_per_s=self.output_rate_pct_per_s,
        )

    def on_bad(self) -> "OnBad":
        """Return what the loop does without a usable measured value."""
        return OnBad(hold_s=self.hold_s, substitute=self.substitute_pct)


@parameters
class PumpTuning:
    """Tuning of a differential pressure loop that moves the speed of the circulation pumps."""

    gain_hz_per_kpa: Annotated[float, Unit.HERTZ_PER_KILOPASCAL, Gt(0)] = 0.05
    reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 20.0
    gap_kpa: Annotated[float, Unit.KILOPASCAL, Ge(0)] = 2.0
    deadband_hz: Annotated[float, Unit.HERTZ, Ge(0)] = 0.1
    rate_hz_per_s: Annotated[float, Unit.HERTZ_PER_SECOND, Gt(0)] = 1.0

    def gains(self, *, min_hz: float, max_hz: float) -> Gains:
        """Return the gains in Hz and kPa for a pump that runs between the two speeds."""
        return Gains(
            gain=self.gain_hz_per_kpa,
            reset_time_s=self.reset_time_s,
            gap=self.gap_kpa,
            deadband=self.deadband_hz,
            low=min_hz,
            high=max_hz,
            rate_per_s=self.rate_hz_per_s,
        )


@parameters
class MakeUpTuning:
    """Tuning of a return pressure loop that moves the speed of the make-up pumps."""

    gain_hz_per_mpa: Annotated[float, Unit.HERTZ_PER_MEGAPASCAL, Gt(0)] = 200.0
    reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 30.0
    rate_hz_per_s: Annotated[float, Unit.HERTZ_PER_SECOND, Gt(0)] = 2.0

    def gains(self, *, min_hz: float, max_hz: float) -> Gains:
        """Return the gains in Hz and MPa for a pump that runs between the two speeds."""
        return Gains(
            gain=self.gain_hz_per_mpa,
            reset_time_s=self.reset_time_s,
            low=min_hz,
            high=max_hz,
            rate_per_s=self.rate_hz_per_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBad:
    """What a loop does without a usable measured value: hold, then move to the substitute."""

    hold_s: float = 60.0
    substitute: float | None = None


class PidState(NamedTuple):
    """All that a loop remembers; plain finite numbers, so that a checkpoint restores it exactly.

    `bad_s` is how long the measured value has been unusable; above 0 the next usable one is
    tracked instead of answered with a jump.
    """

    integral: float
    derivative: float
    setpoint: float
    measured: float
    output: float
    bad_s: float = 0.0


class PidTerms(NamedTuple):
    """The parts of the output for the explanation: raw = p + i + d + ff, before all limits."""

    p: float
    i: float
    d: float
    ff: float
    raw: float
    limited_by: LimitedBy


class PidStep(NamedTuple):
    """The output of one scan, the next state and the explanation."""

    output: float
    state: PidState
    terms: PidTerms


def track(
    gains: Gains, *, output: float, setpoint: float, measured: float, feedforward: float = 0.0
) -> PidState:
    """Return the state from which the next step gives exactly `output` (bumpless transfer).

    For manual operation, a lost measurement that came back, an override, and a restart. A setpoint
    or measured value that is not finite is tolerated: the first usable one is tracked again.

    Args:
        gains: The loop's numbers.
        output: What stands in the field now, finite; it may lie outside the limits.
        setpoint: Setpoint of the same scan.
        measured: Measured value of the same scan.
        feedforward: Feedforward of the same scan.
    """
    assert isfinite(output), "only an output that is known can be tracked"
    integral = output - gains.gain * _outside(setpoint - measured, gains.gap) - feedforward
    if not isfinite(integral):
        return PidState(output, 0.0, 0.0, 0.0, output, _JUST_LOST_S)
    return PidState(integral, 0.0, setpoint, measured, output)


def step(
    gains: Gains,
    state: PidState,
    *,
    setpoint: float,
    measured: float,
    feedforward: float = 0.0,
    external_reset: float | None = None,
    dt_s: float,
) -> PidStep:
    """Advance the loop by one scan.

    Args:
        gains: The loop's numbers.
        state: The state that the previous step, `track` or `retune` gave.
        setpoint: Wanted value.
        measured: Measured value; NaN (unusable) holds the output until it is back.
        feedforward: Added to the output after the gap, before the limits.
        external_reset: What really stands in the field, where that is not this output: an
            override's choice, or `reset_from` a position feedback. None or NaN: this output.
        dt_s: Time since the previous scan, > 0.

    Returns:
        The output within `low..high`, moved by at most `rate_per_s * dt_s`; always finite.
        From a last output outside the limits the output goes back at that rate.
    """
    if not isfinite(setpoint - measured + feedforward):
        return _held(state, "hold", dt_s)
    if state.bad_s > 0.0:
        state = _found_again(gains, state, setpoint, measured, feedforward)
    gain, gap = gains.gain, gains.gap
    error = _outside(setpoint - measured, gap) if gap > 0.0 else setpoint - measured
    proportional, integral, derivative = gain * error, state.integral, 0.0
    if gains.rate_time_s > 0.0 or gains.setpoint_weight != 1.0:
        by_setpoint, by_measured = _moves(gap, state, setpoint, measured)
        integral -= gain * (1.0 - gains.setpoint_weight) * by_setpoint
        derivative = _derivative(gains, state, by_setpoint, by_measured, dt_s)
    raw = proportional + integral + derivative + feedforward
    output, reset, limited_by = _limited(gains, raw, state.output, dt_s)
    if error == 0.0 and gap > 0.0 and limited_by in {"", "deadband"}:
        limited_by = "gap"
    if external_reset is not None and isfinite(external_reset):
        # What a deadband keeps back is on purpose and must not look like a stuck actuator.
        reset = external_reset + (reset - output)
    share = 1.0 - exp(-dt_s / gains.reset_time_s)
    next_integral = integral + share * (proportional + reset - raw)
    if not isfinite(next_integral + derivative + output):
        return _held(state, "hold", dt_s)
    return PidStep(
        output,
        PidState(next_integral, derivative, setpoint, measured, output),
        PidTerms(proportional, integral, derivative, feedforward, raw, limited_by),
    )


def guard(
    gains: Gains,
    state: PidState,
    *,
    on_bad: OnBad,
    setpoint: float,
    measured: float,
    feedforward: float = 0.0,
    external_reset: float | None = None,
    dt_s: float,
) -> PidStep:
    """Advance the loop by one scan, with a plan for a measured value that is lost.

    Without a usable value the output is held exactly for `on_bad.hold_s`, then moved to the
    substitute at the loop's own rate (or held on, if there is none). The first usable value is
    tracked: the output does not move in that scan.
    """
    if isfinite(setpoint - measured + feedforward) or on_bad.substitute is None:
        return step(
            gains,
            state,
            setpoint=setpoint,
            measured=measured,
            feedforward=feedforward,
            external_reset=external_reset,
            dt_s=dt_s,
        )
    if state.bad_s < on_bad.hold_s:
        return _held(state, "hold", dt_s)
    output = _moved(state.output, on_bad.substitute, gains.rate_per_s * dt_s)
    return _held(state._replace(output=output), "substitute", dt_s)


def retune(old: Gains, new: Gains, state: PidState) -> PidState:
    """Return the state with which the new gains give the output that the old ones would have."""
    error = state.setpoint - state.measured
    moved = old.gain * _outside(error, old.gap) - new.gain * _outside(error, new.gap)
    if new.rate_time_s > 0.0:
        return state._replace(integral=state.integral + moved)
    return state._replace(integral=state.integral + moved + state.derivative, derivative=0.0)


def reset_from(feedback: float, *, commanded: float, tolerance: float) -> float | None:
    """Return the external reset for an actuator with position feedback.

    Deviations within `tolerance` (positioner zone, backlash, travel time) count as arrived, because
    the integral would turn them into a lasting error; beyond it the integral follows the feedback.
    None where the feedback is NaN.
    """
    if not isfinite(feedback):
        return None
    return commanded + _outside(feedback - commanded, tolerance)


def _outside(error: float, gap: float) -> float:
    if -gap <= error <= gap:
        return 0.0
    return error - gap if error > 0.0 else error + gap


def _found_again(
    gains: Gains, state: PidState, setpoint: float, measured: float, feedforward: float
) -> PidState:
    return track(
        gains,
        output=state.output,
        setpoint=setpoint,
        measured=measured,
        feedforward=feedforward,
    )


def _moves(gap: float, state: PidState, setpoint: float, measured: float) -> tuple[float, float]:
    """Return what setpoint and measured value changed of the error outside the gap."""
    if gap <= 0.0:
        return setpoint - state.setpoint, state.measured - measured
    between = _outside(state.setpoint - measured, gap)
    before = _outside(state.setpoint - state.measured, gap)
    return _outside(setpoint - measured, gap) - between, between - before


def _derivative(
    gains: Gains, state: PidState, by_setpoint: float, by_measured: float, dt_s: float
) -> float:
    if gains.rate_time_s <= 0.0:
        return 0.0
    a = gains.rate_time_s / (gains.rate_time_s + gains.filter_n * dt_s)
    kick = gains.rate_weight * by_setpoint + by_measured
    return a * (state.derivative + gains.gain * gains.filter_n * kick)


def _limited(gains: Gains, raw: float, last: float, dt_s: float) -> tuple[float, float, LimitedBy]:
    """Return the output, what the integral takes for it, and which limit shaped it."""
    limited_by: LimitedBy = ""
    target = raw
    if raw > gains.high:
        target, limited_by = gains.high, "high"
    elif raw < gains.low:
        target, limited_by = gains.low, "low"
    # An end is gone to whatever the deadband: what must be shut may not rest a little open.
    if gains.deadband > 0.0 and abs(target - last) <= gains.deadband and not limited_by:
        # The error integrates on against the target, or the loop would rest beside its setpoint.
        return last, target, "deadband"
    output = _moved(last, target, gains.rate_per_s * dt_s)
    if output != target:
        limited_by = "rate"
    return output, output, limited_by


def _moved(last: float, target: float, step_max: float) -> float:
    if target > last + step_max:
        return last + step_max
    if target < last - step_max:
        return last - step_max
    return target


def _held(state: PidState, limited_by: LimitedBy, dt_s: float) -> PidStep:
    held = state._replace(bad_s=state.bad_s + dt_s)
    terms = PidTerms(0.0, state.output, 0.0, 0.0, state.output, limited_by)
    return PidStep(state.output, held, terms)
