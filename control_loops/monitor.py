"""How a loop fares: starts and travel of its actuator, saturation, spread of its error, regularity.

Rule: none of these alone is a verdict. A loop that is too tight has the best error and the most
travel; one that sticks has both bad; a regular error tells that something cycles.

A scan in which the actuator stays where it is costs nothing: moves are counted as they come, the
error is looked at every quarter of a minute, and its regularity once an hour. Sums fade with a time
constant of a day, so that the figures need no history and survive a restart. The regularity is that
of the zero crossings of the error's autocorrelation (r = mean / (3 std) of their distances, above 3
it cycles), after Thornhill, Huang and Zhang, J. Process Control 13 (2003).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import exp, inf, isfinite, isnan, nan, sqrt
from operator import mul
from typing import NamedTuple

DAY_S = 86_400.0
SAMPLE_S = 15.0
"""So often the error is looked at: a cycle of a valve's loop takes two minutes or more."""
CYCLES_R = 3.0
"""An error that is more regular than this cycles."""
RECORD = 240
"""An hour of errors, of which the regularity is taken."""
_HUNT_S = 600.0
_MOVED_PCT = 0.05
_CROSSINGS_MIN = 4
_TINY = 1e-12


class MonitorState(NamedTuple):
    """Fading sums over the time in which the loop was in control, and what is needed to go on.

    Attributes:
        time_s: Time watched.
        starts: Starts of the actuator: it stood, or went the other way.
        travel_pct: What it travelled.
        saturated_s: Time at a limit of its range.
        error_s: Sum of error times time.
        square_s: Sum of squared error times time.
        reversals: Changes of direction; these fade within ten minutes.
        output_pct: Where it was told to stand; NaN while the loop is not in control.
        way: Direction of the last scan, 0 where it stood; `last_way` that of the last move.
        errors: The errors of this hour, `errors_s` the time that they stand for.
        r: Regularity of the last whole hour, and `period_s` its period; NaN before.
    """

    time_s: float = 0.0
    starts: float = 0.0
    travel_pct: float = 0.0
    saturated_s: float = 0.0
    error_s: float = 0.0
    square_s: float = 0.0
    reversals: float = 0.0
    output_pct: float = nan
    way: int = 0
    last_way: int = 0
    errors: tuple[float, ...] = ()
    errors_s: float = 0.0
    r: float = nan
    period_s: float = nan


NOT_WATCHED = MonitorState()


def sums_of(state: MonitorState) -> tuple[float, ...]:
    """Return the sums that survive a restart; `resumed` goes on from them."""
    return (
        state.time_s,
        state.starts,
        state.travel_pct,
        state.saturated_s,
        state.error_s,
        state.square_s,
    )


def resumed(sums: Sequence[float]) -> MonitorState:
    """Return the state that has the sums of an earlier one.

    Raises:
        ValueError: These are no sums.
    """
    time_s, starts, travel_pct, saturated_s, error_s, square_s = sums
    return MonitorState(time_s, starts, travel_pct, saturated_s, error_s, square_s)


class LoopFigures(NamedTuple):
    """What the sums come to.

    Attributes:
        watched_h: Hours that the figures rest on, at most a day's worth.
        starts_per_day: Starts of the actuator.
        strokes_per_day: Its travel, in full strokes.
        saturated_share: Share of the time at a limit of its range, 0..1.
        error_mean: Setpoint less measured value, in the measured value's unit.
        error_std: Its spread.
        regularity: Above 3 the error cycles, with `period_s`; NaN where nothing was found to.
        period_s: See `regularity`.
    """

    watched_h: float
    starts_per_day: float
    strokes_per_day: float
    saturated_share: float
    error_mean: float
    error_std: float
    regularity: float = nan
    period_s: float = nan


def moved(state: MonitorState, output_pct: float) -> MonitorState:
    """Return the state after a scan in which the loop told its actuator where to stand.

    Args:
        state: The state of the previous scan.
        output_pct: What the actuator was told, in % of its range.
    """
    move = output_pct - state.output_pct
    if -_MOVED_PCT <= move <= _MOVED_PCT:
        # A creep below the threshold adds up until it counts.
        return state._replace(way=0) if state.way else state
    if isnan(move):
        return state._replace(output_pct=output_pct, way=0) if isfinite(output_pct) else state
    way = 1 if move > 0.0 else -1
    return state._replace(
        starts=state.starts + (way != state.way),
        reversals=state.reversals + (way == -state.last_way),
        travel_pct=state.travel_pct + abs(move),
        output_pct=output_pct,
        way=way,
        last_way=way,
    )


def stood_by(state: MonitorState) -> MonitorState:
    """Return the state after a scan in which somebody else held the actuator: nothing is added."""
    if isnan(state.output_pct) and not state.errors:
        return state
    return state._replace(output_pct=nan, way=0, last_way=0, reversals=0.0, errors=(), errors_s=0.0)


def sampled(state: MonitorState, *, error: float, is_limited: bool, dt_s: float) -> MonitorState:
    """Return the state after a look at the error of a loop in control.

    Args:
        state: The state after this scan's move.
        error: Setpoint less measured value; NaN adds nothing.
        is_limited: The output stands at a limit of its range.
        dt_s: Time since the previous look, in s, > 0.
    """
    if not isfinite(error):
        return state._replace(errors=(), errors_s=0.0)
    keep = exp(-dt_s / DAY_S)
    errors, errors_s = (*state.errors, error), state.errors_s + dt_s
    r, period_s = state.r, state.period_s
    if len(errors) >= RECORD:
        found = regularity(errors, dt_s=errors_s / len(errors))
        r, period_s = (nan, nan) if found is None else (found.r, found.period_s)
        errors, errors_s = (), 0.0
    return MonitorState(
        keep * state.time_s + dt_s,
        keep * state.starts,
        keep * state.travel_pct,
        keep * state.saturated_s + (dt_s if is_limited else 0.0),
        keep * state.error_s + error * dt_s,
        keep * state.square_s + error * error * dt_s,
        exp(-dt_s / _HUNT_S) * state.reversals,
        state.output_pct,
        state.way,
        state.last_way,
        errors,
        errors_s,
        r,
        period_s,
    )


def figures(state: MonitorState) -> LoopFigures | None:
    """Return a loop's figures; None before it has been watched."""
    if state.time_s <= 0.0:
        return None
    days, mean = state.time_s / DAY_S, state.error_s / state.time_s
    return LoopFigures(
        watched_h=24.0 * days,
        starts_per_day=state.starts / days,
        strokes_per_day=state.travel_pct / 100.0 / days,
        saturated_share=state.saturated_s / state.time_s,
        error_mean=mean,
        error_std=sqrt(max(state.square_s / state.time_s - mean * mean, 0.0)),
        regularity=state.r,
        period_s=state.period_s,
    )


class Regularity(NamedTuple):
    """How regular an error is, and its period in s; above 3 it cycles."""

    r: float
    period_s: float


def regularity(errors: Sequence[float], *, dt_s: float) -> Regularity | None:
    """Return the regularity of errors sampled every `dt_s`; None if they tell nothing.

    The autocorrelation up to a third of the record is taken; its zero crossings are half a period
    apart. Fewer than four of them are no proof of anything.
    """
    crossings = _zero_crossings(autocorrelation(errors, max(len(errors) // 3, 2)))
    gaps = [later - earlier for earlier, later in pairwise(crossings)]
    if len(gaps) < _CROSSINGS_MIN - 1:
        return None
    mean = sum(gaps) / len(gaps)
    std = sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    return Regularity(mean / (3.0 * std) if std > _TINY else inf, 2.0 * mean * dt_s)


def autocorrelation(values: Sequence[float], lags: int) -> list[float]:
    """Return the autocorrelation at the lags 0..lags; empty where the values do not vary."""
    n = len(values)
    mean = sum(values) / n if n else 0.0
    off = [value - mean for value in values]
    whole = sum(value * value for value in off)
    if whole <= _TINY:
        return []
    return [sum(map(mul, off, off[lag:])) / whole for lag in range(min(lags, n - 1) + 1)]


def _zero_crossings(values: Sequence[float]) -> list[float]:
    """Return where straight lines between the values pass through zero."""
    found = []
    for i in range(1, len(values)):
        before, now = values[i - 1], values[i]
        if before * now < 0.0:
            found.append(i - 1 + before / (before - now))
    return found
