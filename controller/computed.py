"""The facts that heatd computes in a scan and that alarms may name.

Rule: the names are those that the configuration allows (`config.model`); a flag is 0 or 1, and NaN
where it is not known.
"""

from collections.abc import Mapping
from math import isnan, nan
from typing import NamedTuple

from control_loops.heat_balance import Sides, supply_off_k
from control_loops.heating_curve import supply_c
from control_loops.outdoor import OutdoorChoice
from control_loops.source import SourceMove, SourceState
from controller.circuit import CircuitResult
from controller.plan import StationPlan
from controller.relations import Related
from controller.state import (
    GivenSetpoint,
    Manual,
    Offset,
    OperatorValues,
    StationState,
    Substitute,
    Surroundings,
)
from core.forecast import Outlook
from core.image import ProcessImage
from core.point import Doubt, Quality, Tag

T1G_PLAN = Tag("T1g_plan")
SOURCE_STATE = Tag("source.state")
BASE_LOST = Tag("source.base_lost")
START_FAILED = Tag("source.start_failed")
HEARTBEAT_STUCK = Tag("heartbeat.stuck")
OUTDOOR_SUBSTITUTED = Tag("outdoor.substituted")
OUTDOOR_POOR = Tag("outdoor.poor")
OUTDOOR_FORECAST = Tag("T_out_forecast")
FORECAST_LOST = Tag("forecast.lost")
HISTORY_DEGRADED = Tag("history.degraded")
ROOMS_LOST = Tag("rooms.lost")
SENSORS_FROZEN = Tag("sensors.frozen")
SUPPLY_OFF = Tag("heat.T2g_off")
SUBSTITUTE_LEASE = Tag("lease.substitute")

LEASE_WARNING_S = 600.0
"""So long before a person's lease ends he is told."""
_STATES = {"NORMAL": 0.0, "SUSPECT": 1.0, "START": 2.0, "BACKUP": 3.0, "RETURN": 4.0}
_BASE_LOST = frozenset({"SUSPECT", "START", "BACKUP"})


class Beside(NamedTuple):
    """What else is known in a scan.

    Attributes:
        plc_misses: Scans since the PLC's heartbeat was last seen to change.
        doubts: Why checks do not trust some of the station's values.
        operator: What people have set.
        relations: What the station's values say of each other.
        outlook: What the weather forecast lets one expect.
    """

    plc_misses: int
    doubts: Mapping[int, Doubt]
    operator: OperatorValues
    relations: Related
    outlook: Outlook


def computed_facts(
    plan: StationPlan,
    surroundings: Surroundings,
    results: tuple[CircuitResult, ...],
    source: tuple[SourceMove, SourceState],
    outdoor: OutdoorChoice,
    beside: Beside,
) -> dict[str, float]:
    """Return every computed fact of this scan by its name.

    Args:
        plan: The station.
        surroundings: What its links and the journal say.
        results: What its circuits decided.
        source: What its source machine decided, and its state.
        outdoor: The outdoor temperature of this scan.
        beside: What else is known.
    """
    is_linked = True
    facts: dict[str, float] = {}
    for name, status in surroundings.devices.items():
        lost, unverified, untrusted, worn_out, blocked, refused = plan.device_facts[name]
        facts[lost] = float(not status.is_up)
        facts[unverified] = float(bool(status.unverified))
        facts[untrusted] = float(status.is_untrusted)
        facts[worn_out] = float(bool(status.worn_out))
        facts[blocked] = float(status.is_up and bool(status.blocked))
        facts[refused] = float(bool(status.refused))
        is_linked = is_linked and status.is_up
    facts[T1G_PLAN] = supply_c(plan.t1_plan, outdoor.value_c)
    move, state = source
    # A boiler that a person started for a drill does not mean that the network is lost.
    is_drill = state.is_by_hand and state.cause_s == 0.0
    facts[SOURCE_STATE] = _STATES[move.name]
    facts[BASE_LOST] = float(move.name in _BASE_LOST and not is_drill)
    facts[START_FAILED] = float(move.is_failed)
    # While the link itself is down, its silence is the device's alarm and not the heartbeat's.
    facts[HEARTBEAT_STUCK] = float(beside.plc_misses > 0) if is_linked else nan
    facts[OUTDOOR_SUBSTITUTED] = float(outdoor.quality is not Quality.GOOD)
    facts[OUTDOOR_POOR] = float(outdoor.is_poor)
    expected_c = beside.outlook.now.outdoor_c
    facts[OUTDOOR_FORECAST] = expected_c
    facts[FORECAST_LOST] = float(isnan(expected_c))
    facts[HISTORY_DEGRADED] = float(surroundings.is_journal_degraded)
    facts[ROOMS_LOST] = float(surroundings.are_rooms_lost)
    checks = [doubt.check for doubt in beside.doubts.values()]
    facts[SENSORS_FROZEN] = float("frozen" in checks)
    facts[SUPPLY_OFF] = beside.relations.supply_off_k
    ending = [_is_ending(substitute) for substitute in beside.operator.substitutes.values()]
    facts[SUBSTITUTE_LEASE] = float(1.0 in ending)
    for result in results:
        _add_circuit(facts, result, beside.operator)
    for relation, standing in zip(plan.relations, beside.relations.standings, strict=True):
        facts[relation.fact] = float(standing.is_broken)
    return facts


def supply_off(
    plan: StationPlan, image: ProcessImage, state: StationState, *, dt_s: float
) -> float:
    """Return how far the supply sensor is from the heat balance, in K; NaN where nobody knows.

    It is known where one circuit has a meter of its own, and the network alone heats it.
    """
    if plan.heat_meters is None or state.source.name != "NORMAL":
        return nan
    sides = Sides(*image.usable(plan.heat_meters))
    design_m3h = plan.network.F1_design_m3h
    return supply_off_k(state.relations.supply_off_k, sides, design_m3h=design_m3h, dt_s=dt_s)


def _add_circuit(facts: dict[str, float], result: CircuitResult, operator: OperatorValues) -> None:
    names, proven = result.plan.facts, result.pumps.is_proven
    facts[result.plan.setpoint] = result.chain.setpoint_c
    facts[names.none_running] = nan if proven is None else float(not proven)
    facts[names.duty_failed] = float(bool(result.pumps.failed))
    facts[names.run_on] = float(result.makeup.is_run_on)
    facts[names.no_move] = float(result.is_not_moving)
    facts[names.reversals] = result.state.watch.valve.reversals
    facts[names.fallback_differs] = result.fallback_differs
    for loop, fact in names.leases.items():
        facts[fact] = _is_ending(operator.manual.get(loop))
    facts[names.offset_lease] = _is_ending(operator.offsets.get(result.plan.name))
    facts[names.setpoint_lease] = _is_ending(operator.setpoints.get(result.plan.name))


def _is_ending(held: Manual | Offset | GivenSetpoint | Substitute | None) -> float:
    return float(held is not None and held.left_s <= LEASE_WARNING_S)
