"""Steady operation solved at once, for warm starts and for checking the plant by hand.

Rule: every answer here is a fixed point of the plant's own step; no physics is written twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hil_sim.plant.building import Rooms
from hil_sim.plant.exchanger import (
    CP_WATER_KJ_PER_KG_K,
    ExchangerParameters,
    heat_per_kelvin,
)
from hil_sim.plant.floor import FloorEmitters
from hil_sim.plant.network import Emitters
from hil_sim.plant.primary import PrimaryParameters
from hil_sim.plant.valve import ValveParameters, resistance_kpa_per_kg2s2

_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Balance:
    """A circuit at rest: supply and return at the station, air per group (°C), heat, kW."""

    supply_c: float
    return_c: float
    air_c: tuple[float, ...]
    heat_kw: float


def balance(
    rooms: Rooms,
    emitters: Emitters | FloorEmitters,
    *,
    flow_kw_per_k: float,
    outdoor_c: float,
    room_c: float,
) -> Balance:
    """Return the operation that holds the mean room at `room_c`; sets `emitters` there too.

    Newton steps, one unknown at a time: each group's air from its own balance, the supply from the
    sum. Radiators' heat changes by about n/excess per kelvin.
    """
    shares = [group.share for group in rooms.groups]
    floor_w_to_kw = rooms.area_m2 / 1000.0
    air = [room_c for _ in shares]
    supply_c = room_c + 30.0
    return_c = supply_c
    for _ in range(_ROUNDS):
        return_c = emitters.settle(inlet_c=supply_c, flow_kw_per_k=flow_kw_per_k, air_c=air)
        heat = [
            kw / (share * floor_w_to_kw) for kw, share in zip(emitters.heat_kw, shares, strict=True)
        ]
        demand = rooms.demand_w_per_m2(air, outdoor_c=outdoor_c)
        excess = max(emitters.mean_c - room_c, 1.0)
        missing = sum(s * (d - h) for s, d, h in zip(shares, demand, heat, strict=True))
        slope = emitters.exponent * sum(s * h for s, h in zip(shares, heat, strict=True)) / excess
        supply_c = max(supply_c + missing / max(slope, 0.1), room_c)
        air = [
            a + (h - d) / (rooms.loss_w_per_m2k + emitters.exponent * h / excess)
            for a, h, d in zip(air, heat, demand, strict=True)
        ]
        off_mean = room_c - sum(s * a for s, a in zip(shares, air, strict=True))
        air = [a + off_mean for a in air]
    return Balance(supply_c, return_c, tuple(air), sum(emitters.heat_kw))


@dataclass(frozen=True, slots=True)
class Opening:
    """A valve position with what follows from it: primary flow, kg/s, and supply, °C."""

    opening_pct: float
    primary_kg_s: float
    supply_c: float


def primary_flow_kg_s(
    valve: ValveParameters, primary: PrimaryParameters, *, opening: float, pressure_kpa: float
) -> float:
    """Return the flow through valve (at `opening` 0..1) and station in series, kg/s."""
    return flow_through_kg_s(primary_resistance(valve, primary, opening=opening), pressure_kpa)


def primary_resistance(
    valve: ValveParameters, primary: PrimaryParameters, *, opening: float
) -> float:
    """Return Δp/ṁ² of valve (at `opening` 0..1) and station in series, in kPa/(kg/s)²."""
    fixed = primary.fixed_kpa / primary.nominal_kg_s**2
    return fixed + resistance_kpa_per_kg2s2(valve, opening)


def flow_through_kg_s(resistance: float, pressure_kpa: float) -> float:
    """Return the flow through a resistance in kPa/(kg/s)², kg/s; none where pressure is below 0."""
    return float((max(pressure_kpa, 0.0) / resistance) ** 0.5)


def opening_for(
    supply_c: float,
    *,
    parameters: tuple[ValveParameters, PrimaryParameters, ExchangerParameters],
    network: tuple[float, float],
    circuit: tuple[float, float],
) -> Opening:
    """Return the valve position that gives `supply_c`, or the fully open valve where none does.

    Args:
        supply_c: Wanted supply temperature, °C.
        parameters: Of the valve, the network and the exchanger.
        network: Its supply temperature (°C) and differential pressure (kPa).
        circuit: Its return temperature (°C) and capacity flow (kW/K).
    """
    low, high = 0.0, 1.0
    if _supplied(1.0, parameters, network, circuit).supply_c <= supply_c:
        return _supplied(1.0, parameters, network, circuit)
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        if _supplied(middle, parameters, network, circuit).supply_c < supply_c:
            low = middle
        else:
            high = middle
    return _supplied(0.5 * (low + high), parameters, network, circuit)


def reachable(
    supply_c: float,
    emitters: Emitters | FloorEmitters,
    air_c: Sequence[float],
    *,
    parameters: tuple[ValveParameters, PrimaryParameters, ExchangerParameters],
    network: tuple[float, float],
    flow_kw_per_k: float,
) -> Opening:
    """Return the opening for `supply_c` with the radiators at rest at what is then supplied."""
    wanted = supply_c
    for _ in range(_ROUNDS):
        return_c = emitters.settle(inlet_c=wanted, flow_kw_per_k=flow_kw_per_k, air_c=air_c)
        found = opening_for(
            supply_c,
            parameters=parameters,
            network=network,
            circuit=(return_c, flow_kw_per_k),
        )
        if abs(found.supply_c - wanted) < 1e-6:  # noqa: PLR2004 - far below any sensor
            return found
        wanted = found.supply_c
    return found


def _supplied(
    opening: float,
    parameters: tuple[ValveParameters, PrimaryParameters, ExchangerParameters],
    network: tuple[float, float],
    circuit: tuple[float, float],
) -> Opening:
    valve, primary, exchanger = parameters
    supply1_c, pressure_kpa = network
    return_c, flow_kw_per_k = circuit
    flow_kg_s = primary_flow_kg_s(valve, primary, opening=opening, pressure_kpa=pressure_kpa)
    c1 = max(flow_kg_s * CP_WATER_KJ_PER_KG_K, 1e-3)
    heat = heat_per_kelvin(exchanger, c1, flow_kw_per_k) * (supply1_c - return_c)
    return Opening(100.0 * opening, flow_kg_s, return_c + heat / flow_kw_per_k)
