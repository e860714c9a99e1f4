"""What the source machine knows: its parameters, what it sees, remembers and asks for.

Rule: states hold elapsed times, never time stamps, so that a checkpoint means the same tomorrow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Len

from core.parameters import parameters
from core.point import Unit

StateName = Literal["NORMAL", "SUSPECT", "START", "BACKUP", "RETURN"]
ValveAsk = Literal["regulate", "unload", "close", "probe"]


@parameters
class NetworkSource:
    """The heating network, the base source of a station.

    Attributes:
        kind: Tells the loader which class this is.
        T1_plan: Planned primary supply temperature in °C by outdoor temperature in °C.
        F1_design_m3h: Primary flow with the valve fully open at design differential pressure.
        dp_min_kpa: Least primary differential pressure of a network that works.
        rangeability: R of the primary valve, for the flow that an opening should give.
    """

    kind: Literal["network"] = "network"
    T1_plan: Annotated[Mapping[float, float], Unit.CELSIUS, Len(2, 8)]
    F1_design_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Gt(0)]
    dp_min_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 50.0
    rangeability: Annotated[float, Gt(1), Le(200)] = 50.0


@parameters
class GasBoiler:
    """A gas boiler of the station, the backup source.

    Attributes:
        kind: Tells the loader which class this is.
        connects: In series on the secondary, behind the exchanger.
        capacity_kw: Heat at full fire.
        min_load_pct: Least load of the burner, of the capacity.
        keep_warm_c: Boiler water temperature that the boiler keeps while it waits.
        min_run_s: Least time from enable to disable, so that the burner does not cycle.
        min_off_s: Least time from disable to the next enable.
        permissives: Bits that must be true before the boiler is enabled; `not X` wants X false.
        start: `auto`, or `confirm`: a person must ask for the start.
    """

    kind: Literal["gas_boiler"] = "gas_boiler"
    connects: Literal["secondary"] = "secondary"
    capacity_kw: Annotated[float, Unit.KILOWATT, Gt(0)]
    min_load_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(100)] = 30.0
    keep_warm_c: Annotated[float, Unit.CELSIUS, Ge(0), Le(90)] = 45.0
    min_run_s: Annotated[float, Unit.SECOND, Ge(0)] = 7200.0
    min_off_s: Annotated[float, Unit.SECOND, Ge(0)] = 1800.0
    permissives: tuple[str, ...] = ()
    start: Literal["auto", "confirm"] = "auto"


class SourceFacts(NamedTuple):
    """What the source machine looks at: NaN and None where a value is unusable.

    Attributes:
        t1g_c: Primary supply temperature.
        t2g_c: Secondary supply temperature, behind exchanger and boiler.
        t2h_c: Secondary return temperature.
        t2g_setpoint_c: The wanted supply temperature, after all limits.
        p1g_mpa: Primary supply pressure.
        p1h_mpa: Primary return pressure.
        f1_m3h: Primary flow.
        valve_pct: Position of the primary valve (its feedback, or the command without one).
        is_tripped: The trip telegram of the heat plant.
        b_power_kw: Heat of the boiler to the water.
        b_flow_m3h: Water flow through the boiler.
        b_tsup_c: Boiler outlet temperature.
        b_tret_c: Boiler inlet temperature.
        is_b_flow_ok: The boiler's own proof of flow.
        is_b_locked: The burner is locked out; reset at the boiler only.
        is_b_faulted: The boiler reports a fault.
        is_b_firing: The burner has a flame.
        missing: Permissives that are not proven true (`missing_permissives`).
        lost: Permissives that are proven false (`lost_permissives`).
        is_start_asked: A person asks for the boiler in this scan.
        is_stop_asked: A person asks for the network in this scan.
        is_heat_wanted: False outside the season: the boiler is let go.
    """

    t1g_c: float
    t2g_c: float
    t2h_c: float
    t2g_setpoint_c: float
    p1g_mpa: float
    p1h_mpa: float
    f1_m3h: float
    valve_pct: float
    is_tripped: bool | None = None
    b_power_kw: float = float("nan")
    b_flow_m3h: float = float("nan")
    b_tsup_c: float = float("nan")
    b_tret_c: float = float("nan")
    is_b_flow_ok: bool | None = None
    is_b_locked: bool | None = None
    is_b_faulted: bool | None = None
    is_b_firing: bool | None = None
    missing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    is_start_asked: bool = False
    is_stop_asked: bool = False
    is_heat_wanted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What the machine remembers: elapsed times in seconds, never time stamps.

    Attributes:
        name: The state.
        in_state_s: Time in this state; stands still in a NORMAL without any cause.
        cause_s: How long a hard cause has been seen.
        clear_s: How long the network has been seen without one.
        cause: What the cause is, for people.
        since_cause_s: Time since the cause that led here began; runs on until heat flows.
        decision_s: How long the decision for the boiler took; None before it.
        heat_s: How long it took until its heat flowed; None before that.
        flowing_s: How long its heat has been proven without a break.
        valve: What is asked of the primary valve.
        valve_s: For how long.
        valve_pct: The opening asked for while the loop does not regulate.
        cold_s: How long the primary supply has been colder than the secondary needs.
        dp_s: How long the primary differential pressure has been proven.
        good_s: How long the network has been proven good through the probe opening.
        held_s: How long the valve has held the supply temperature alone while returning.
        is_enabled: The boiler is enabled.
        run_left_s: Rest of its least running time.
        rest_left_s: Rest of its least time off.
        setpoint_c: Its setpoint.
        is_by_hand: A person started it.
        is_stop_asked: A person wants the network back.
    """

    name: StateName = "NORMAL"
    in_state_s: float = 0.0
    cause_s: float = 0.0
    clear_s: float = 0.0
    cause: str = ""
    since_cause_s: float = 0.0
    decision_s: float | None = None
    heat_s: float | None = None
    flowing_s: float = 0.0
    valve: ValveAsk = "regulate"
    valve_s: float = 0.0
    valve_pct: float = 0.0
    cold_s: float = 0.0
    dp_s: float = 0.0
    good_s: float = 0.0
    held_s: float = 0.0
    is_enabled: bool = False
    run_left_s: float = 0.0
    rest_left_s: float = 0.0
    setpoint_c: float = 0.0
    is_by_hand: bool = False
    is_stop_asked: bool = False


class Transition(NamedTuple):
    """A change of state, for the record: from, to, and why."""

    old: StateName
    new: StateName
    why: str


class SourceMove(NamedTuple):
    """What the machine asks for in this scan.

    Attributes:
        name: The state after this scan.
        boiler_enable: To be written to B_enable.
        boiler_setpoint_c: To be written to B_Tset, in °C.
        valve: `regulate`: the valve belongs to its loop. `unload` (hand the heat over to the
            boiler), `close` and `probe`: the valve goes to `valve_pct`, and the loop tracks it, so
            that it takes over from there.
        valve_pct: The opening while the loop does not regulate, already ramped.
        is_primary_cold: The valve is closed because the primary would cool the secondary.
        is_heat_flowing: The boiler has given at least 10 % of its capacity for 60 s with flow.
        is_failed: The boiler was asked for and cannot run; `why` says what it waits for.
        is_waiting: A person must confirm the start.
        why: What is going on, for people; empty in NORMAL.
        transitions: Changes of state in this scan.
    """

    name: StateName
    boiler_enable: bool
    boiler_setpoint_c: float
    valve: ValveAsk
    valve_pct: float
    is_primary_cold: bool
    is_heat_flowing: bool
    is_failed: bool
    is_waiting: bool
    why: str
    transitions: tuple[Transition, ...]
