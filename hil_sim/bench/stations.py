"""The plants that the benchmark is run on: a plant file of our own form, or sheets of stations.

Rule: a sheet says what an engineer knows of a station; what it does not say is as in parameter set
A, scaled to its size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from config.load import read_document
from config.parts import PART_CHECKS
from config.problem import ConfigErrors, problem_at
from config.reading import Reader
from config.tree import Branch, read_tree
from core.parameters import parameters
from hil_sim.plant.building import BuildingParameters
from hil_sim.plant.exchanger import CP_WATER_KJ_PER_KG_K, ExchangerParameters
from hil_sim.plant.hydraulics import PumpParameters
from hil_sim.plant.network import WATER_KJ_PER_M3K, CircuitParameters, EmitterParameters
from hil_sim.plant.primary import PrimaryParameters
from hil_sim.plant.station import StationParameters
from hil_sim.plant.valve import ValveParameters

PLANTS = Path(__file__).parent / "plants"
REFERENCE = "reference"
_MARK = "area_m2"
_LOOP_DELAY_S = 180.0
_SLAB_KJ_PER_M2K = 150.0
_SET_A = StationParameters()


@parameters
class BuildingSheet:
    """A station's buildings per m² of floor, in W/(m²K), kJ/(m²K) and m²K/W."""

    H_w_m2k: Annotated[float, Gt(0), Interval(le=10)]
    C_total_kj_m2k: Annotated[float, Gt(0)]
    C_air_kj_m2k: Annotated[float, Gt(0)]
    R_im_m2k_w: Annotated[float, Gt(0)] = 1.0 / 15.0
    solar_aperture_m2_per_m2: Annotated[float, Ge(0)] = 0.018


@parameters
class ExchangerSheet:
    """A station's exchanger: UA in kW/K at the capacity flows C1 and C2, kW/K."""

    UA_kw_k: Annotated[float, Gt(0)]
    C1_kw_k: Annotated[float, Gt(0)]
    C2_kw_k: Annotated[float, Gt(0)]


@parameters
class ValveSheet:
    """A station's valve: Kvs in m³/h, stroke in s, backlash in %."""

    kvs: Annotated[float, Gt(0)]
    rangeability: Annotated[float, Gt(1)] = 50.0
    stroke_s: Annotated[float, Gt(0)] = 90.0
    backlash_pct: Annotated[float, Interval(ge=0, le=10)] = 1.0


@parameters
class StationSheet:
    """One station as an engineer knows it; radiators are for 75/50, floors for 45/35."""

    area_m2: Annotated[float, Gt(0)]
    emitter: Literal["radiator", "floor"]
    building: BuildingSheet
    exchanger: ExchangerSheet
    valve: ValveSheet
    network_dp_kpa: Annotated[float, Gt(80)]
    loop_water_m3: Annotated[float, Gt(0)]


def reference_plant() -> StationParameters:
    """Return the plant that the benchmark runs on by itself."""
    return read_document(PLANTS / f"{REFERENCE}.yaml", StationParameters)


def read_plants(path: Path) -> Mapping[str, StationParameters]:
    """Return the plants of a file by name: one plant of our own form, or the sheets of stations.

    Raises:
        ConfigErrors: The file cannot be read as either; it carries every problem.
    """
    tree = read_tree(path, path.name)
    sheets = tree.mapping or {}
    if _MARK in sheets:
        sheets = {path.stem: tree}
    elif not _holds_sheets(tree):
        plant = read_document(path, StationParameters)
        if own := _flaw(plant):
            raise ConfigErrors([problem_at(tree.place, *own)])
        return {path.stem: plant}
    reader = Reader(checks=PART_CHECKS)
    found = {name: reader.record(branch, StationSheet) for name, branch in sheets.items()}
    plants: dict[str, StationParameters] = {}
    for name, sheet in found.items():
        if sheet is None:
            continue
        plants[name] = plant_of(sheet)
        if flaw := _flaw(plants[name]):
            reader.problems.append(problem_at(sheets[name].place, *flaw))
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return plants


def plant_of(sheet: StationSheet) -> StationParameters:
    """Return the plant that a sheet describes."""
    s, building, exchanger, valve = sheet, sheet.building, sheet.exchanger, sheet.valve
    is_floor = s.emitter == "floor"
    supply_c, return_c = (45.0, 35.0) if is_floor else (75.0, 50.0)
    nominal_kw = exchanger.C2_kw_k * (supply_c - return_c)
    nominal_m3h = exchanger.C2_kw_k * 3600.0 / WATER_KJ_PER_M3K
    size = nominal_kw / _SET_A.emitter.nominal_kw
    pump = _SET_A.pump
    return StationParameters(
        exchanger=ExchangerParameters(
            ua_kw_per_k=exchanger.UA_kw_k,
            c1_kw_per_k=exchanger.C1_kw_k,
            c2_kw_per_k=exchanger.C2_kw_k,
            holdup_kj_per_k=_SET_A.exchanger.holdup_kj_per_k
            * exchanger.UA_kw_k
            / _SET_A.exchanger.ua_kw_per_k,
        ),
        valve=ValveParameters(
            kvs_m3h=valve.kvs,
            rangeability=valve.rangeability,
            stroke_s=valve.stroke_s,
            backlash_pct=valve.backlash_pct,
        ),
        primary=PrimaryParameters(
            pressure_kpa=s.network_dp_kpa,
            nominal_kg_s=exchanger.C1_kw_k / CP_WATER_KJ_PER_KG_K,
        ),
        circuit=CircuitParameters(
            water_m3=s.loop_water_m3,
            pipe_m3=nominal_m3h * _LOOP_DELAY_S / 3600.0,
            nominal_m3h=nominal_m3h,
        ),
        pump=PumpParameters(
            curve_kpa_per_m3h2=pump.curve_kpa_per_m3h2
            * (_SET_A.circuit.nominal_m3h / nominal_m3h) ** 2
        ),
        emitter=EmitterParameters(
            nominal_kw=nominal_kw,
            nominal_supply_c=supply_c,
            nominal_return_c=return_c,
            nominal_room_c=20.0 if is_floor else 21.0,
            exponent=1.1 if is_floor else 1.3,
            metal_kj_per_k=0.0 if is_floor else _SET_A.emitter.metal_kj_per_k * size,
            slab_kj_per_m2k=_SLAB_KJ_PER_M2K if is_floor else 0.0,
        ),
        building=BuildingParameters(
            area_m2=s.area_m2,
            loss_w_per_m2k=building.H_w_m2k,
            air_j_per_m2k=1000.0 * building.C_air_kj_m2k,
            mass_j_per_m2k=1000.0 * (building.C_total_kj_m2k - building.C_air_kj_m2k),
            inner_resistance_m2k_per_w=building.R_im_m2k_w,
            sun_aperture_m2_per_m2=building.solar_aperture_m2_per_m2,
        ),
    )


def _holds_sheets(tree: Branch) -> bool:
    sheets = (tree.mapping or {}).values()
    return bool(sheets) and any(_MARK in (branch.mapping or {}) for branch in sheets)


def _flaw(plant: StationParameters) -> tuple[str, str] | None:
    """Return why no plant can be made of parameters that are each in range, and what to do."""
    building, circuit, emitter = plant.building, plant.circuit, plant.emitter
    walls = building.loss_w_per_m2k * (1.0 - building.ventilation_share)
    if walls * building.inner_resistance_m2k_per_w >= 1.0:
        return "R_im alone keeps in more heat than H lets out", "make R_im or H smaller"
    if building.mass_j_per_m2k <= 0.0:
        return "C_air is not less than C_total", "C_total is air and walls together"
    if circuit.water_m3 <= 2.0 * circuit.pipe_m3:
        pipes_m3 = 2.0 * circuit.pipe_m3
        return f"the pipes alone hold {pipes_m3:.0f} m³ of the circuit's water", "write more water"
    if not emitter.nominal_room_c < emitter.nominal_return_c < emitter.nominal_supply_c:
        return "nominal room, return and supply do not rise in this order", "see docs/plants.md"
    demand_w = building.loss_w_per_m2k * (plant.design_room_c - plant.design_outdoor_c)
    if demand_w <= building.gains_w_per_m2:
        return "at the design outdoor temperature no heat is needed", "make design_outdoor colder"
    return None
