"""Who controls the plant in the benchmark: heatd itself, and what a usual controller would do.

Rule: nobody sees more than the station's points; each returns the supply setpoint it works to.
"""

import random
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import nan
from pathlib import Path
from typing import Protocol

from config.load import load
from config.model import Station
from control_loops import pid
from control_loops.exchanger import ExchangerData
from control_loops.heating_curve import CurvePoints, interpolate
from control_loops.pid import Gains, PidState
from control_loops.preheat import Preheat
from control_loops.shaping import damp
from control_loops.source import NetworkSource
from controller.decide import Decision, decide
from controller.plan import plan_station
from controller.state import Surroundings, first_state
from core.clock import Instant
from core.command import Command
from core.point import Tag
from drivers.link import LinkStatus
from hil_sim.bench.forecaster import Forecaster
from hil_sim.bench.rig import Rig
from hil_sim.plant.exchanger import heat_per_kelvin
from hil_sim.plant.station import StationParameters, StationPlant, metered_m3h
from hil_sim.plant.steady import primary_flow_kg_s

SHIPPED, SHIPPED_DEFAULT = "shipped", "shipped-default"
ANCHOR, ANCHOR_NZ3 = "anchor", "anchor-nz3"
CONTROLLERS = (SHIPPED, SHIPPED_DEFAULT, ANCHOR, ANCHOR_NZ3)

_SHIPPED_FLOOR = "shipped-floor"
_START = datetime(2024, 12, 2, tzinfo=UTC) - timedelta(hours=8)
_SITE = Path(__file__).parent / "site"
_EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
_CV1_SV, _T2G, _T_OUT = Tag("CV1_SV"), Tag("T2g"), Tag("T_out")
_ANCHOR_DAMPING_S = 900.0
# A neutral zone of 3 K is 1.5 K to each side.
_NEUTRAL_K = {ANCHOR: 0.0, ANCHOR_NZ3: 1.5}
_FLOOR_MAX_C = 60.0
# What is believed of valve and exchanger is wrong on purpose, as data sheets are.
_BELIEVED_RANGEABILITY, _BELIEVED_AUTHORITY, _BELIEVED_UA_SHARE = 30.0, 0.7, 0.85
# Between the warmest and the coldest weather that a station is built for, °C; less is no shortage.
_MILD_C, _COLDEST_C, _SHORT_K = 0, -26, 0.5
_PREHEAT_K = 1.5
_SHEET_T1G_C, _SHEET_T2H_C = 110.0, 40.0


class Controller(Protocol):
    """Whoever moves the valve of a rig."""

    def scan(self, dt_s: float) -> float:
        """Read, decide, write; return the supply setpoint in °C."""
        ...


class Shipped:
    """heatd: the real decision, on the points of a station, without the network in between.

    `decision` is the newest one; `start` is the civil time of the first scan. What is put into
    `commands` is asked of the next scan.
    """

    def __init__(
        self, rig: Rig, start: datetime = _START, forecaster: Forecaster | None = None
    ) -> None:
        self._rig, self._forecaster = rig, forecaster
        self._plan = plan_station(rig.station)
        self._state = first_state(self._plan)
        self._at = Instant(0.0, start)
        self.decision: Decision | None = None
        self.commands: tuple[Command, ...] = ()
        self._surroundings = Surroundings(
            outdoor={},
            devices={name: healthy(name) for name in rig.station.devices},
            is_journal_degraded=False,
            is_read_only=False,
            is_simulation=True,
        )

    def scan(self, dt_s: float) -> float:
        """Read, decide, write; return the supply setpoint in °C."""
        self._at = Instant(self._at.monotonic_s + dt_s, self._at.utc + timedelta(seconds=dt_s))
        if self._forecaster is not None:
            newest = self._forecaster.newest(self._at.utc)
            if newest is not self._surroundings.forecast:
                self._surroundings = self._surroundings._replace(forecast=newest)
        made = decide(
            self._plan,
            self._rig.image(self._at),
            self._surroundings,
            self.commands,
            self._state,
            dt_s=dt_s,
        )
        self.commands = ()
        self._state, self.decision = made.state, made
        self._rig.write(made.outputs.values, made.outputs.pulses)
        return made.circuits[0].chain.setpoint_c


class Anchor:
    """A usual controller: the exact curve, hardly damped, and PI on the supply; no rooms.

    Args:
        rig: The plant.
        curve: Supply by outdoor temperature, °C.
        neutral_k: Half the neutral zone of its PI.

    The numbers of the loop are the rule of DOMAIN 2.10 (SIMC, closed-loop time three dead times).
    """

    def __init__(self, rig: Rig, curve: Mapping[float, float], *, neutral_k: float) -> None:
        self._rig, self._curve = rig, curve
        self._gains = Gains(
            gain=0.7, reset_time_s=35.0, low=0.0, high=100.0, gap=neutral_k, rate_per_s=1.2
        )
        self._outdoor_c = rig.read(_T_OUT)
        self._state: PidState = pid.track(
            self._gains, output=rig.read(_CV1_SV), setpoint=nan, measured=nan
        )

    def scan(self, dt_s: float) -> float:
        """Read, decide, write; return the supply setpoint in °C."""
        rig = self._rig
        self._outdoor_c = damp(
            self._outdoor_c, rig.read(_T_OUT), time_constant_s=_ANCHOR_DAMPING_S, dt_s=dt_s
        )
        setpoint_c = interpolate(self._curve, self._outdoor_c)
        step = pid.step(
            self._gains, self._state, setpoint=setpoint_c, measured=rig.read(_T2G), dt_s=dt_s
        )
        self._state = step.state
        rig.write({_CV1_SV: step.output})
        return setpoint_c


def controller_of(name: str, rig: Rig, curve: Mapping[float, float], *, seed: str) -> Controller:
    """Return the controller of that name on a rig; `seed` is of what a forecast is off by."""
    if name in _NEUTRAL_K:
        return Anchor(rig, curve, neutral_k=_NEUTRAL_K[name])
    if rig.station.circuits["main"].preheat is None:
        return Shipped(rig)
    return Shipped(rig, forecaster=Forecaster(rig.plant.weather, seed, _START))


def station_for(
    name: str, plant: StationParameters, curve: Mapping[float, float], room_c: float
) -> Station:
    """Return the station of a controller as an engineer would configure it for this plant.

    Args:
        name: The controller; the anchors get the points of the shipped one's station.
        plant: The plant, whose design data go into the configuration.
        curve: Its exact curve.
        room_c: The wanted room temperature.
    """
    stations = bench_stations()
    is_floor = plant.emitter.slab_kj_per_m2k > 0.0
    kind = _SHIPPED_FLOOR if is_floor and name == SHIPPED else name
    station = stations.get(kind, stations[SHIPPED])
    circuit = station.circuits["main"]
    limits = circuit.limits
    if is_floor:
        limits = replace(limits, T2g_c=(limits.T2g_c[0], _FLOOR_MAX_C))
    circuit = replace(
        circuit,
        area_m2=plant.building.area_m2,
        emitter="floor" if is_floor else "radiator",
        curve=CurvePoints(points=dict(curve)),
        limits=limits,
        valve=replace(
            circuit.valve,
            stroke_s=plant.valve.stroke_s,
            rangeability=_BELIEVED_RANGEABILITY,
            authority=_BELIEVED_AUTHORITY,
        ),
        exchanger=_data_sheet(plant),
        preheat=_preheat(plant),
    )
    sources = {
        key: replace(source, F1_design_m3h=_full_flow_m3h(plant))
        if isinstance(source, NetworkSource)
        else source
        for key, source in station.sources.items()
    }
    return replace(
        station,
        rooms=replace(station.rooms, target_c=room_c),
        circuits={"main": circuit},
        sources=sources,
    )


@cache
def bench_stations() -> dict[str, Station]:
    """Return the stations of the benchmark's own configuration by name.

    Their template and their map are those of the examples, so what is measured is what is shipped.
    """
    with tempfile.TemporaryDirectory(prefix="heatd-bench-") as folder:
        site = Path(folder) / "site"
        shutil.copytree(_SITE, site)
        for part in ("templates", "maps"):
            shutil.copytree(_EXAMPLES / part, site / part)
        return {station.station: station for station in load(site).stations}


@cache
def _preheat(plant: StationParameters) -> Preheat | None:
    """Return the preheating of a station that is too small for the coldest weather; else None."""
    tried = StationPlant(plant, random.Random(0))
    for outdoor_c in range(_MILD_C, _COLDEST_C - 1, -1):
        supply_c = tried.balanced_supply_c(outdoor_c)
        tried.settle(supply_c=supply_c, outdoor_c=outdoor_c)
        if tried.supply_c < supply_c - _SHORT_K:
            return Preheat(below_c=float(outdoor_c), by_k=_PREHEAT_K)
    return None


def _data_sheet(plant: StationParameters) -> ExchangerData:
    """Return the exchanger's data sheet at its nominal flows, as somebody once measured it."""
    p = plant.exchanger
    believed = replace(p, ua_kw_per_k=_BELIEVED_UA_SHARE * p.ua_kw_per_k)
    per_k = heat_per_kelvin(believed, p.c1_kw_per_k, p.c2_kw_per_k)
    power_kw = per_k * (_SHEET_T1G_C - _SHEET_T2H_C)
    return ExchangerData(
        power_kw=power_kw,
        T1g_c=_SHEET_T1G_C,
        T1h_c=_SHEET_T1G_C - power_kw / p.c1_kw_per_k,
        T2g_c=_SHEET_T2H_C + power_kw / p.c2_kw_per_k,
        T2h_c=_SHEET_T2H_C,
        dp_kpa=plant.primary.pressure_kpa,
        F1_open_m3h=_full_flow_m3h(plant),
    )


def _full_flow_m3h(plant: StationParameters) -> float:
    """Return the primary flow with the valve fully open."""
    primary = plant.primary
    flow_kg_s = primary_flow_kg_s(
        plant.valve, primary, opening=1.0, pressure_kpa=primary.pressure_kpa
    )
    return metered_m3h(flow_kg_s, 100.0)


def healthy(name: str) -> LinkStatus:
    """Return how a link fares that has nothing to tell."""
    return LinkStatus(
        name=name,
        is_up=True,
        down_since_s=None,
        polls=1,
        poll_errors=0,
        writes=1,
        writes_verified=1,
        unverified=(),
        last_error="",
    )
