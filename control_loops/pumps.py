"""Circulation pumps: constant differential pressure, duty and standby, rotation.

Rule: there is one speed for all pumps of the set, so a standby starts at the speed the duty had.
"""

from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, Len

from control_loops.pid import Gains, PidState, PumpTuning, step, track
from control_loops.pressure import DpPoints, SpreadControl, WantedDp
from control_loops.pump_set import PumpFacts, SetState, set_start, set_step
from core.parameters import parameters
from core.point import Tag, Unit


@parameters
class CirculationPumps:
    """The circulation pumps of one circuit.

    Attributes:
        duty: Names of the pumps (`XP1` has the tags XP1_run, XP1_start, ...), first is preferred.
        dp_kpa: Wanted differential pressure of the secondary.
        dp_by_outdoor: The same by outdoor temperature: less flow in mild weather.
        spread: Keeps supply and return apart by moving the wanted pressure.
        dp_at: Where the pressure is measured; of several points the lowest counts (worst point).
        rotate_s: Running time after which the next pump takes the duty.
        min_hz: Lowest speed.
        max_hz: Highest speed.
        prove_s: Time in which a started pump must be proven to run.
        tuning: The pressure loop.
    """

    duty: Annotated[tuple[str, ...], Len(1, 4)] = ("XP1", "XP2")
    dp_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0), Le(400)]
    dp_by_outdoor: DpPoints | None = None
    spread: SpreadControl | None = None
    dp_at: Annotated[tuple[str, ...], Len(1, 8)] = ("P2D",)
    rotate_s: Annotated[float, Unit.SECOND, Gt(0)] = 604800.0
    min_hz: Annotated[float, Unit.HERTZ, Ge(10), Le(50)] = 25.0
    max_hz: Annotated[float, Unit.HERTZ, Ge(10), Le(60)] = 50.0
    prove_s: Annotated[float, Unit.SECOND, Gt(0), Le(60)] = 5.0
    tuning: PumpTuning = PumpTuning()

    def gains(self) -> Gains:
        """Return the pressure loop's gains; build them once, not in every scan."""
        return self.tuning.gains(min_hz=self.min_hz, max_hz=self.max_hz)


class CirculationState(NamedTuple):
    """The set of pumps, the loop of their speed, and that of the spread where there is one."""

    pumps: SetState
    pid: PidState
    spread: PidState | None = None


class PumpMove(NamedTuple):
    """What to do with a set of pumps in this scan.

    Attributes:
        hz: The common speed to write, in Hz.
        start: Tags of start pulses, each to be set once.
        stop: Tags of stop pulses, each to be set once.
        duty: Name of the pump that has the duty.
        is_proven: True while a pump is proven to run, False while none does, None if unknown.
        are_all_failed: Every pump counts as failed: there is no circulation to be had.
        failed: Names of the pumps that count as failed.
        why: What is going on, for people; empty in ordinary running.
        dp_kpa: The differential pressure that is wanted.
    """

    hz: float
    start: tuple[Tag, ...]
    stop: tuple[Tag, ...]
    duty: str
    is_proven: bool | None
    are_all_failed: bool
    failed: tuple[str, ...]
    why: str
    dp_kpa: float


def circulation_start(pumps: CirculationPumps, hz: float = float("nan")) -> CirculationState:
    """Return the state to start from; `hz` is the speed in the field now, NaN if unknown."""
    gains = pumps.gains()
    pid = track(gains, output=max(gains.low, hz), setpoint=pumps.dp_kpa, measured=pumps.dp_kpa)
    return CirculationState(set_start(pumps.duty), pid)


def circulation_step(  # noqa: PLR0913 - the gains are worked out once, beside the parameters
    pumps: CirculationPumps,
    gains: Gains,
    state: CirculationState,
    *,
    facts: tuple[PumpFacts, ...],
    dp_kpa: float,
    wanted: WantedDp,
    is_wanted: bool | None,
    is_acknowledged: bool = False,
    dt_s: float,
) -> tuple[PumpMove, CirculationState]:
    """Return speed and pulses of the circulation pumps for this scan, and the next state.

    Args:
        pumps: The parameters.
        gains: Those of `pumps.gains()`.
        state: The state of the previous scan, at first `circulation_start`.
        facts: What the pumps report, in the order of `pumps.duty`.
        dp_kpa: Measured differential pressure, NaN if unusable (the speed is held).
        wanted: The differential pressure to hold.
        is_wanted: True to circulate, False to stop; None to leave the pumps alone (no writes are
            allowed, or an interlock keeps them off): no pulse is sent and no try is counted.
        is_acknowledged: A person has acknowledged: failed pumps may be tried again.
        dt_s: Time since the previous scan, > 0.
    """
    move, pump_set = set_step(
        pumps.duty,
        state.pumps,
        facts=facts,
        is_wanted=is_wanted,
        is_acknowledged=is_acknowledged,
        prove_s=pumps.prove_s,
        rotate_s=pumps.rotate_s,
        dt_s=dt_s,
    )
    if move.is_proven and is_wanted:
        pid = step(gains, state.pid, setpoint=wanted.dp_kpa, measured=dp_kpa, dt_s=dt_s).state
    else:
        pid = track(gains, output=state.pid.output, setpoint=wanted.dp_kpa, measured=dp_kpa)
    after = CirculationState(pump_set, pid, wanted.spread)
    return PumpMove(pid.output, *move, wanted.dp_kpa), after
