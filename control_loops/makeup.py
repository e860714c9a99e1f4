"""Make-up pumps: they keep the return pressure up, between a start and a stop threshold.

Rule: never pump from an empty tank, nor blindly: a lost pressure stops the pump after a minute.
"""

from math import isnan
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, Len

from control_loops.latch import latched
from control_loops.pid import Gains, MakeUpTuning, PidState, step, track
from control_loops.pump_set import PumpFacts, SetState, set_start, set_step
from core.parameters import parameters
from core.point import Tag, Unit

_BLIND_S = 60.0
"""How long a run goes on without a usable pressure."""


@parameters
class MakeUp:
    """Pressure keeping of one circuit.

    Attributes:
        pumps: Names of the make-up pumps, first is preferred; they swap after every run.
        P2h_mpa: Wanted return pressure: make-up stops here.
        start_below_mpa: Make-up starts this far below `P2h_mpa`.
        relief_mpa: Pressure at which the relief valve opens (for the interlock and the alarms).
        stop_mpa: Pressure below which circulation stops (for the interlock and the alarms).
        tank_stop_m: Tank level at which make-up stops.
        tank_start_m: Tank level above which it may start again.
        run_on_s: A run longer than this is flagged: water goes somewhere.
        min_hz: Lowest speed.
        max_hz: Highest speed.
        prove_s: Time in which a started pump must be proven to run.
        tuning: The pressure loop.
    """

    pumps: Annotated[tuple[str, ...], Len(1, 4)] = ("BP1", "BP2")
    P2h_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0), Le(2.5)]
    start_below_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0)] = 0.03
    relief_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0), Le(2.5)]
    stop_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0), Le(2.5)]
    tank_stop_m: Annotated[float, Unit.METRE, Ge(0)] = 0.3
    tank_start_m: Annotated[float, Unit.METRE, Ge(0)] = 0.6
    run_on_s: Annotated[float, Unit.SECOND, Gt(0)] = 1800.0
    min_hz: Annotated[float, Unit.HERTZ, Ge(0), Le(50)] = 25.0
    max_hz: Annotated[float, Unit.HERTZ, Ge(10), Le(60)] = 50.0
    prove_s: Annotated[float, Unit.SECOND, Gt(0), Le(60)] = 5.0
    tuning: MakeUpTuning = MakeUpTuning()

    def gains(self) -> Gains:
        """Return the pressure loop's gains; build them once, not in every scan."""
        return self.tuning.gains(min_hz=self.min_hz, max_hz=self.max_hz)


class MakeUpState(NamedTuple):
    """The set of pumps, the loop of their speed, and what latches and runs."""

    pumps: SetState
    pid: PidState
    is_filling: bool = False
    is_tank_low: bool = False
    fill_s: float = 0.0
    blind_s: float = 0.0


class MakeUpMove(NamedTuple):
    """What to do with the make-up pumps in this scan; fields as in `PumpMove`.

    `is_filling` says that make-up is wanted, `is_run_on` that it has run for too long without a
    break, `is_tank_low` that the tank keeps it off.
    """

    hz: float
    start: tuple[Tag, ...]
    stop: tuple[Tag, ...]
    duty: str
    is_proven: bool | None
    are_all_failed: bool
    failed: tuple[str, ...]
    is_filling: bool
    is_run_on: bool
    is_tank_low: bool
    why: str


def makeup_start(makeup: MakeUp) -> MakeUpState:
    """Return the state to start from: no pump is known to run, nothing is latched."""
    gains = makeup.gains()
    pid = track(gains, output=gains.low, setpoint=makeup.P2h_mpa, measured=makeup.P2h_mpa)
    return MakeUpState(set_start(makeup.pumps), pid)


def makeup_step(  # noqa: PLR0913 - the gains are worked out once, beside the parameters
    makeup: MakeUp,
    gains: Gains,
    state: MakeUpState,
    *,
    facts: tuple[PumpFacts, ...],
    p2h_mpa: float,
    tank_m: float,
    is_allowed: bool | None,
    is_acknowledged: bool = False,
    dt_s: float,
) -> tuple[MakeUpMove, MakeUpState]:
    """Return speed and pulses of the make-up pumps for this scan, and the next state.

    Args:
        makeup: The parameters.
        gains: Those of `makeup.gains()`.
        state: The state of the previous scan, at first `makeup_start`.
        facts: What the pumps report, in the order of `makeup.pumps`.
        p2h_mpa: Return pressure; NaN if unusable: nothing starts, and a run ends after 60 s.
        tank_m: Level of the make-up tank; NaN abstains.
        is_allowed: False makes a run end (an interlock stops make-up), None sends no pulses.
        is_acknowledged: A person has acknowledged: failed pumps may be tried again.
        dt_s: Time since the previous scan, > 0.
    """
    is_tank_low = latched(
        state.is_tank_low, sets=tank_m <= makeup.tank_stop_m, clears=tank_m > makeup.tank_start_m
    )
    blind_s = state.blind_s + dt_s if isnan(p2h_mpa) else 0.0
    is_filling = latched(
        state.is_filling,
        sets=p2h_mpa < makeup.P2h_mpa - makeup.start_below_mpa,
        clears=p2h_mpa >= makeup.P2h_mpa or blind_s >= _BLIND_S,
    )
    is_filling = is_filling and not is_tank_low and is_allowed is not False
    pump_set = state.pumps
    if state.is_filling and not is_filling:
        pump_set = pump_set._replace(duty=(pump_set.duty + 1) % len(makeup.pumps))
    move, pump_set = set_step(
        makeup.pumps,
        pump_set,
        facts=facts,
        is_wanted=None if is_allowed is None else is_filling,
        is_acknowledged=is_acknowledged,
        prove_s=makeup.prove_s,
        rotate_s=float("inf"),
        dt_s=dt_s,
    )
    if is_filling and move.is_proven:
        pid = step(gains, state.pid, setpoint=makeup.P2h_mpa, measured=p2h_mpa, dt_s=dt_s).state
    else:
        pid = track(gains, output=gains.low, setpoint=makeup.P2h_mpa, measured=p2h_mpa)
    fill_s = state.fill_s + dt_s if is_filling else 0.0
    why = _why(makeup, move.why, fill_s, is_tank_low=is_tank_low)
    return (
        MakeUpMove(pid.output, *move[:-1], is_filling, fill_s >= makeup.run_on_s, is_tank_low, why),
        MakeUpState(pump_set, pid, is_filling, is_tank_low, fill_s, blind_s),
    )


def _why(makeup: MakeUp, pumps: str, fill_s: float, *, is_tank_low: bool) -> str:
    notes = [pumps] if pumps else []
    if is_tank_low:
        notes.append(f"the tank is too low for make-up, until {makeup.tank_start_m:g} m")
    if fill_s >= makeup.run_on_s:
        notes.append(f"make-up has run for {fill_s / 60.0:.0f} min without a break")
    return "; ".join(notes)
