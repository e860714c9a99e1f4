"""What a station remembers from scan to scan, and what it is told about the world beside it.

Rule: frozen; elapsed times instead of time stamps, so that a checkpoint goes on where it stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from alarms.table import AlarmTable
from control_loops import forward, limits, override, room_trim
from control_loops.autotune import IDLE, AutotuneState
from control_loops.forward import ForwardState
from control_loops.frost import FrostState
from control_loops.interlock import InterlockState
from control_loops.limits import LimitState
from control_loops.makeup import MakeUpState, makeup_start
from control_loops.monitor import NOT_WATCHED, MonitorState
from control_loops.outdoor import OutdoorState
from control_loops.override import OverrideState
from control_loops.pid import PidState
from control_loops.pumps import CirculationState, circulation_start
from control_loops.room_trim import TrimState
from control_loops.source import SourceState
from control_loops.three_step import ThreeStepState
from control_loops.weather import WeatherState
from controller.authority import AuthorityState
from controller.plan import CircuitPlan, StationPlan
from controller.relations import NOTHING_RELATED, Related
from core.forecast import Forecast
from core.point import Sample, Tag
from drivers.budget import NO_WEAR, Wear
from drivers.link import LinkStatus

NAN = float("nan")


class Surroundings(NamedTuple):
    """What a station's scan knows of the world outside its own PLC, frozen for the scan.

    `outdoor` holds other stations' outdoor temperatures by "st-02.T_out". `missed_s` is what has
    passed since the previous scan beyond the time that this one stands for. `are_rooms_lost`: a
    collector of the station's flats is not connected. `forecast` is the newest of the site.
    """

    outdoor: Mapping[str, Sample]
    devices: Mapping[str, LinkStatus]
    is_journal_degraded: bool
    is_read_only: bool
    is_simulation: bool
    missed_s: float = 0.0
    are_rooms_lost: bool = False
    forecast: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """A person holds the output of a loop. `left_s` is what remains of the lease, in s."""

    value: float
    who: str
    why: str
    left_s: float

    def after(self, dt_s: float) -> "Manual":
        """Return it `dt_s` later."""
        return replace(self, left_s=self.left_s - dt_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """A person shifted a heating curve by `offset_k`, in K; `left_s` as in `Manual`."""

    offset_k: float
    who: str
    why: str
    left_s: float

    def after(self, dt_s: float) -> "Offset":
        """Return it `dt_s` later."""
        return replace(self, left_s=self.left_s - dt_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSetpoint:
    """A person's supply setpoint, in °C, stands for the curve's; `left_s` as in `Manual`."""

    setpoint_c: float
    who: str
    why: str
    left_s: float

    def after(self, dt_s: float) -> "GivenSetpoint":
        """Return it `dt_s` later."""
        return replace(self, left_s=self.left_s - dt_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """A person's value stands for a point that cannot be trusted.

    `left_s` as in `Manual`; `age_s` is how long ago it was set, in s.
    """

    value: float
    who: str
    why: str
    left_s: float
    age_s: float = 0.0

    def after(self, dt_s: float) -> "Substitute":
        """Return it `dt_s` later."""
        return replace(self, left_s=self.left_s - dt_s, age_s=self.age_s + dt_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorValues:
    """What people have set at run time.

    Manual outputs by loop, curve offsets and supply setpoints by circuit, substitutes by point.
    """

    manual: Mapping[str, Manual] = field(default_factory=lambda: MappingProxyType({}))
    offsets: Mapping[str, Offset] = field(default_factory=lambda: MappingProxyType({}))
    setpoints: Mapping[str, GivenSetpoint] = field(default_factory=lambda: MappingProxyType({}))
    substitutes: Mapping[str, Substitute] = field(default_factory=lambda: MappingProxyType({}))


class Watch(NamedTuple):
    """The loops of a circuit as they are watched, and the time since the last look at errors."""

    since_s: float = 0.0
    valve: MonitorState = NOT_WATCHED
    circulation: MonitorState = NOT_WATCHED
    makeup: MonitorState = NOT_WATCHED


UNWATCHED = Watch()


UNKNOWN_POSITION = ThreeStepState(50.0)
"""Half open is the best guess; the first end stop tells."""


class Tuning(NamedTuple):
    """The autotune of a supply loop: where it stands, who asked for it, and the loop's gain then.

    `gain_share` is by how much the loop's gain differed from that at the design point.
    """

    state: AutotuneState = IDLE
    who: str = ""
    gain_share: float = 1.0


UNTUNED = Tuning()


class CircuitState(NamedTuple):
    """One circuit: its setpoint, its loops, its pumps and its protection.

    `setpoint_c` is the ramped setpoint, NaN before the first; `recorded_c` the last one that was
    recorded. `gain` is the supply loop's, in % per K; `gain_share` is what the quality of the
    measured value left of it. `valve_pct` is the opening that the last scan wrote, `motor` where a
    motor without a positioner is believed to stand. `weather` is None where the circuit has no
    terms of it, `override` what the limits that act on the valve do, `preheat_k` by how much warmer
    the rooms are wanted before a cold. What there has not been yet is NaN.
    """

    pid: PidState
    limit: LimitState
    pumps: CirculationState
    makeup: MakeUpState
    weather: WeatherState | None = None
    trim: TrimState = room_trim.REST
    forward: ForwardState = forward.REST
    gain: float = NAN
    interlock: InterlockState = InterlockState()
    frost: FrostState = FrostState()
    setpoint_c: float = NAN
    recorded_c: float = NAN
    valve_pct: float = NAN
    gain_share: float = 1.0
    motor: ThreeStepState = UNKNOWN_POSITION
    watch: Watch = UNWATCHED
    tune: Tuning = UNTUNED
    override: OverrideState = override.AT_REST
    is_fallback_confirmed: bool = False
    preheat_k: float = 0.0


class Heart(NamedTuple):
    """Our heartbeat: the number that goes out, and how long ago it counted, in s."""

    number: int
    age_s: float

    def older(self, age_s: float) -> "Heart":
        """Return the same number, counted so long ago."""
        return Heart(self.number, age_s)


_STILL = Heart(0, float("inf"))


class Beat(NamedTuple):
    """The PLC's heartbeat as last seen, and for how many scans it has not changed."""

    value: float
    misses: int


_NO_BEAT = Beat(NAN, 0)


class StationState(NamedTuple):
    """Everything that a station remembers.

    `wear` is what the written registers have been through; the links count, and it stands here for
    the checkpoint only.
    """

    circuits: tuple[CircuitState, ...]
    alarms: AlarmTable
    authority: AuthorityState = AuthorityState()
    outdoor: OutdoorState | None = None
    source: SourceState = SourceState()
    operator: OperatorValues = OperatorValues()
    heartbeat: Heart = _STILL
    plc_beat: Beat = _NO_BEAT
    relations: Related = NOTHING_RELATED
    wear: Mapping[Tag, Wear] = NO_WEAR

    def after_fault(self) -> "StationState":
        """Return the state to go on from after a bug: control must be won anew, loops track."""
        authority = AuthorityState(told=self.authority.told, why="restarted after a fault")
        return self._replace(authority=authority)


def first_state(plan: StationPlan) -> StationState:
    """Return the state of a station that has never been scanned."""
    return StationState(
        circuits=tuple(_first_circuit(circuit) for circuit in plan.circuits),
        alarms=AlarmTable.of(plan.config.alarms),
    )


def _first_circuit(plan: CircuitPlan) -> CircuitState:
    return CircuitState(
        pid=PidState(0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        limit=limits.REST,
        pumps=circulation_start(plan.config.pumps),
        makeup=makeup_start(plan.config.makeup),
    )
