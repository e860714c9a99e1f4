"""What a scan leaves behind for people: changes of hands, of source, of setpoints.

Rule: a setpoint is recorded when it has moved by 0.1 K, not with every scan of its ramp.
"""

from datetime import datetime
from math import isnan

from control_loops.source import SourceMove, Transition
from controller.circuit import CircuitResult
from controller.plan import StationPlan
from controller.state import CircuitState, StationState
from core.record import ModeRecord, Record, SetpointRecord


def changes_of(
    plan: StationPlan,
    at: datetime,
    before: StationState,
    after: StationState,
    source: SourceMove,
    results: tuple[CircuitResult, ...],
) -> list[Record]:
    """Return a record for every change of hands, of source, of an autotune, and of a setpoint.

    Args:
        plan: The station.
        at: The moment of the scan.
        before: Its state after the previous scan.
        after: Its state after this scan.
        source: What its source machine decided.
        results: What its circuits decided.
    """
    station = plan.station
    records: list[Record] = []
    old, new = before.authority.told, after.authority.holds
    if old is not new:
        records.append(
            ModeRecord(
                at=at,
                station=station,
                subject="authority",
                old=old.value,
                new=new.value,
                why=after.authority.why,
            )
        )
    records.extend([_of_source(station, at, change) for change in source.transitions])
    for result, was in zip(results, before.circuits, strict=True):
        records.extend(_of_tune(station, at, result, was))
        recorded_c = result.state.recorded_c
        if recorded_c == was.recorded_c or isnan(recorded_c):
            continue
        records.append(
            SetpointRecord(
                at=at,
                station=station,
                loop=result.plan.t2g,
                old=was.recorded_c,
                new=recorded_c,
                why=result.chain.why,
            )
        )
    return records


def _of_source(station: str, at: datetime, change: Transition) -> ModeRecord:
    return ModeRecord(
        at=at,
        station=station,
        subject="source",
        old=change.old.lower(),
        new=change.new.lower(),
        why=change.why,
    )


def _of_tune(
    station: str, at: datetime, result: CircuitResult, was: CircuitState
) -> list[ModeRecord]:
    old, new = was.tune.state, result.state.tune.state
    if old.phase == new.phase:
        return []
    return [
        ModeRecord(
            at=at,
            station=station,
            subject=f"{result.plan.t2g} autotune",
            old=old.phase,
            new=new.phase,
            why=new.why or result.state.tune.who,
        )
    ]
