"""What the source machine of a station sees, gathered from its image.

Rule: names only; what follows from them is decided in `control_loops.source`.
"""

from math import isnan, nan

from control_loops.source import (
    SourceFacts,
    SourceState,
    is_well,
    lost_permissives,
    missing_permissives,
)
from controller.plan import StationPlan
from core.image import ProcessImage
from core.point import Tag

T1G, T1H, P1G, P1H, F1 = Tag("T1g"), Tag("T1h"), Tag("P1g"), Tag("P1h"), Tag("F1")
SRC_TRIP = Tag("SRC_trip")
B_POWER, B_FLOW, B_TSUP, B_TRET = Tag("B_power"), Tag("B_flow"), Tag("B_Tsup"), Tag("B_Tret")
B_FLOW_OK, B_LOCK = Tag("B_flow_ok"), Tag("B_lock")
B_FAULT, B_FIRING = Tag("B_fault"), Tag("B_firing")


def source_facts(
    plan: StationPlan,
    image: ProcessImage,
    state: SourceState,
    *,
    valve_pct: float,
    setpoint_c: float,
    is_start_asked: bool,
    is_stop_asked: bool,
    is_heat_wanted: bool,
) -> SourceFacts:
    """Return the facts of this scan; the boiler serves the first circuit of the station.

    The network is one for all circuits, so it is judged by the warmest return and by the valve that
    stands widest open.
    """
    circuit = plan.circuits[0]
    value, flag = image.value, image.flag
    missing, lost = _permissives(plan, image, state, is_start_asked=is_start_asked)
    return SourceFacts(
        value(T1G),
        value(circuit.t2g),
        _return_c(plan, image),
        setpoint_c,
        value(P1G),
        value(P1H),
        value(F1),
        valve_pct,
        flag(SRC_TRIP),
        value(B_POWER),
        value(B_FLOW),
        value(B_TSUP),
        value(B_TRET),
        flag(B_FLOW_OK),
        flag(B_LOCK),
        flag(B_FAULT),
        flag(B_FIRING),
        missing,
        lost,
        is_start_asked,
        is_stop_asked,
        is_heat_wanted,
    )


def is_network_well(plan: StationPlan, image: ProcessImage, valve_pct: float) -> bool:
    """Return whether the network heats beyond doubt, with the valve that is widest open there."""
    return is_well(
        t1g_c=image.value(T1G),
        t2h_c=_return_c(plan, image),
        valve_pct=valve_pct,
        is_tripped=image.flag(SRC_TRIP),
    )


def _return_c(plan: StationPlan, image: ProcessImage) -> float:
    return highest([image.value(circuit.t2h) for circuit in plan.circuits])


def highest(values: list[float]) -> float:
    """Return the highest of the usable values, NaN if there is none."""
    found = nan
    for value in values:
        if value > found or isnan(found):
            found = value
    return found


def _permissives(
    plan: StationPlan, image: ProcessImage, state: SourceState, *, is_start_asked: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is missing and what is lost; nobody asks while the network heats."""
    if plan.boiler is None or (state.name == "NORMAL" and not is_start_asked):
        return (), ()

    def bit(name: str) -> bool | None:
        return image.flag(Tag(name))

    names = plan.boiler.permissives
    return missing_permissives(names, bit), lost_permissives(names, bit)
