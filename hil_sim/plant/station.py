"""One whole station with its network, its circuit and its buildings, stepped second by second.

Rule: whoever controls it touches only the actuators and reads only the instruments; `truth()` is
for scoring.
"""

import random
from collections import deque
from dataclasses import dataclass
from math import nan
from typing import Annotated

from annotated_types import Gt

from core.parameters import parameters
from core.point import Unit
from hil_sim.plant.boiler import Boiler, BoilerParameters
from hil_sim.plant.building import BuildingParameters
from hil_sim.plant.circuit import Circuit
from hil_sim.plant.exchanger import CP_WATER_KJ_PER_KG_K, Exchanger, ExchangerParameters
from hil_sim.plant.flats import FlatsParameters, percentile
from hil_sim.plant.hydraulics import MakeUpParameters, PumpParameters
from hil_sim.plant.instruments import InstrumentParameters, Instruments
from hil_sim.plant.network import CircuitParameters, EmitterParameters
from hil_sim.plant.primary import Primary, PrimaryParameters
from hil_sim.plant.steady import flow_through_kg_s, primary_resistance, reachable
from hil_sim.plant.valve import Actuator, ValveParameters
from hil_sim.plant.weather import Sky, SteadyWeather, Weather

FAST_S = 1.0
SLOW_S = 5.0
_ROOMS_S = 60.0
# The sun that warms an outdoor sensor on a south wall by `in_sun_k`.
_FULL_SUN_W_PER_M2 = 650.0


@parameters
class StationParameters:
    """Everything that makes one station differ from another; the default heats 100 000 m²."""

    exchanger: ExchangerParameters = ExchangerParameters()
    valve: ValveParameters = ValveParameters()
    primary: PrimaryParameters = PrimaryParameters()
    circuit: CircuitParameters = CircuitParameters()
    pump: PumpParameters = PumpParameters()
    makeup: MakeUpParameters = MakeUpParameters()
    emitter: EmitterParameters = EmitterParameters()
    building: BuildingParameters = BuildingParameters()
    flats: FlatsParameters = FlatsParameters()
    boiler: BoilerParameters = BoilerParameters()
    instruments: InstrumentParameters = InstrumentParameters()
    design_outdoor_c: Annotated[float, Unit.CELSIUS] = -16.8
    design_room_c: Annotated[float, Unit.CELSIUS] = 21.0
    dp_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 180.0
    static_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0)] = 0.40


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the plant really is and has done since it was made; no instrument in between."""

    elapsed_s: float
    outdoor_c: float
    primary_supply_c: float
    primary_return_c: float
    primary_kg_s: float
    supply_c: float
    return_c: float
    flow_m3h: float
    static_mpa: float
    rooms_c: tuple[float, ...]
    room_mean_c: float
    room_min_c: float
    room_p10_c: float
    heat_to_rooms_kw: float
    heat_network_mwh: float
    heat_boiler_mwh: float
    gas_mwh: float
    pump_mwh: float
    makeup_m3: float
    leak_m3h: float
    valve_pct: float
    valve_travel_pct: float
    valve_starts: int
    valve_reversals: int
    pump_starts: int
    burner_starts: int


class StationPlant:
    """A station that obeys physics.

    Actuators: `valve.command_pct`, `circuit.circulation[tag]` and `circuit.makeup[tag]` (`run`,
    `wanted_hz`), `circuit.holding.is_relief_open`, `boiler.is_enabled` and `.setpoint_c`. Readings:
    `instruments[tag].read()`. `weather`, `primary`, `set_power` and `is_sun_on_sensor` are for
    whoever writes the scenario.

    Args:
        parameters: The station.
        rng: The only source of chance.
        weather: What the air does; steady -5 °C without it.
        start_hour: Civil hour at the start, for people's gains.
        fast_s: Step of valve, exchanger and supply sensors, a divisor or twice the 5 s of pipes and
            radiators: 1 s, or 10 s where nothing faster than a scan of 10 s is looked at.
    """

    def __init__(
        self,
        parameters: StationParameters,
        rng: random.Random,
        *,
        weather: Weather | None = None,
        start_hour: float = 0.0,
        fast_s: float = FAST_S,
    ) -> None:
        p = parameters
        self._fast_s, self._slow_s = fast_s, max(SLOW_S, fast_s)
        self._slow_every = round(self._slow_s / fast_s)
        self._rooms_every = round(_ROOMS_S / fast_s)
        self.parameters = p
        self.weather: Weather = weather or SteadyWeather(-5.0)
        self.start_hour = start_hour
        self.elapsed_s = 0.0
        self.is_powered = True
        self.is_sun_on_sensor = False
        self.valve = Actuator(p.valve)
        self.exchanger = Exchanger(p.exchanger)
        self.boiler = Boiler(p.boiler)
        self.primary = Primary(p.primary, rng)
        self.circuit = Circuit(
            p.circuit,
            pump=p.pump,
            makeup=p.makeup,
            emitter=p.emitter,
            building=p.building,
            flats=p.flats,
            design_c=(p.design_outdoor_c, p.design_room_c),
            rng=rng,
        )
        self.instruments = Instruments(p.instruments, rng)
        self.sky = self.weather.at(0.0)
        self.primary.settle(self.sky.outdoor_c)
        self.supply_c = self.circuit.return_c
        self.primary_kg_s = self._c1 = 0.0
        self._stem_pct = self._resistance = nan
        self.heat_network_kj = self.heat_boiler_kj = 0.0
        self._owed_s = 0.0
        self._steps = 0
        self._on_the_way: deque[float] = deque()
        i = self.instruments
        # The share of the way that each of them goes in one fast step.
        self._shares = tuple(sensor.share_in(fast_s) for sensor in (i.t2g, i.t2h, i.t1g, i.t1h))
        self._primary_moved()
        self._settle_instruments()

    def set_power(self, *, is_on: bool) -> None:
        """Cut or restore the mains: pumps stop or may run, the valve does what its motor does."""
        self.is_powered = is_on
        for pump in (*self.circuit.circulation.values(), *self.circuit.makeup.values()):
            pump.is_powered = is_on
        self._tell_boiler()

    def step(self, dt_s: float) -> None:
        """Advance by `dt_s`; whole fast steps are taken, what remains is carried to the next."""
        self._owed_s += dt_s
        while self._owed_s >= self._fast_s - 1e-9:
            self._owed_s -= self._fast_s
            self._fast_step()

    def settle(
        self, *, supply_c: float, outdoor_c: float | None = None, room_c: float = 21.0
    ) -> None:
        """Put the whole station to rest in operation: XP1 running, boiler warm, rooms at rest.

        Args:
            supply_c: Secondary supply, °C; the fully open valve where the network cannot give it.
            outdoor_c: Outdoor air, °C; the weather's present value if None.
            room_c: Mean room, °C; walls and flats at rest around it.
        """
        p, circuit = self.parameters, self.circuit
        self.sky = self.weather.at(self.elapsed_s) if outdoor_c is None else Sky(outdoor_c)
        self.primary.settle(self.sky.outdoor_c)
        circuit.settle_pumps(p.dp_kpa, p.static_mpa)
        circuit.settle_rooms(self.sky.outdoor_c, room_c)
        found = reachable(
            supply_c,
            circuit.emitters,
            circuit.rooms.air_c,
            parameters=(p.valve, p.primary, p.exchanger),
            network=(self.primary.supply_c, self.primary.pressure_kpa),
            flow_kw_per_k=circuit.flow_kw_per_k,
        )
        self.supply_c = found.supply_c
        circuit.settle_water(self.supply_c)
        self.valve.place(found.opening_pct)
        self._primary_moved()
        self.exchanger.settle(
            t1_c=self.primary.supply_c,
            c1_kw_per_k=max(self._c1, 1e-3),
            t2_c=circuit.return_c,
            c2_kw_per_k=circuit.flow_kw_per_k,
        )
        self.boiler.inlet_c = self.supply_c
        self._tell_boiler()
        self._settle_instruments()

    def balanced_supply_c(self, outdoor_c: float, room_c: float = 21.0) -> float:
        """Return the supply that holds the mean room at `room_c` for ever, °C; moves nothing."""
        return self.circuit.balance(outdoor_c, room_c).supply_c

    def truth(self) -> Truth:
        """Return the plant's true state and totals."""
        circuit, boiler, valve = self.circuit, self.boiler, self.valve
        rooms = circuit.flats.true_c(circuit.rooms.air_c)
        return Truth(
            elapsed_s=self.elapsed_s,
            outdoor_c=self.sky.outdoor_c,
            primary_supply_c=self.primary.supply_c,
            primary_return_c=self.exchanger.primary_out_c,
            primary_kg_s=self.primary_kg_s,
            supply_c=self.supply_c,
            return_c=circuit.return_c,
            flow_m3h=circuit.flow_m3h,
            static_mpa=circuit.holding.static_mpa,
            rooms_c=tuple(rooms),
            room_mean_c=circuit.rooms.mean_c,
            room_min_c=min(rooms),
            room_p10_c=percentile(rooms, 0.1),
            heat_to_rooms_kw=sum(circuit.emitters.heat_kw),
            heat_network_mwh=self.heat_network_kj / 3.6e6,
            heat_boiler_mwh=self.heat_boiler_kj / 3.6e6,
            gas_mwh=boiler.gas_kwh / 1000.0,
            pump_mwh=circuit.pump_kj / 3.6e6,
            makeup_m3=circuit.holding.makeup_m3,
            leak_m3h=circuit.holding.leak_m3h,
            valve_pct=valve.stem_pct,
            valve_travel_pct=valve.travel_pct,
            valve_starts=valve.starts,
            valve_reversals=valve.reversals,
            pump_starts=sum(pump.starts for pump in circuit.circulation.values()),
            burner_starts=boiler.starts,
        )

    def _fast_step(self) -> None:
        dt_s = self._fast_s
        self.elapsed_s += dt_s
        self._steps += 1
        if not self.is_powered:
            self._lose_power()
        if self.valve.step(dt_s):
            self._primary_moved()
        circuit, exchanger, boiler = self.circuit, self.exchanger, self.boiler
        circuit.step_pumps(dt_s)
        exchanger.step(
            dt_s,
            t1_c=self.primary.supply_c,
            c1_kw_per_k=self._c1,
            t2_c=circuit.return_c,
            c2_kw_per_k=circuit.flow_kw_per_k,
        )
        supply_c = exchanger.secondary_out_c
        self.heat_network_kj += circuit.flow_kw_per_k * (supply_c - circuit.return_c) * dt_s
        if boiler.is_enabled or boiler.is_busy:
            supply_c = boiler.step(dt_s, inlet_c=supply_c, flow_kw_per_k=circuit.flow_kw_per_k)
            self.heat_boiler_kj += boiler.heat_kw * dt_s
        self.supply_c = supply_c
        self._feel()
        if self._steps % self._slow_every == 0:
            self._slow_step()

    def _slow_step(self) -> None:
        circuit, boiler = self.circuit, self.boiler
        if self._steps % self._rooms_every == 0:
            self.sky = self.weather.at(self.elapsed_s)
            hour = (self.start_hour + self.elapsed_s / 3600.0) % 24.0
            circuit.step_rooms(_ROOMS_S, self.sky, hour)
        self.primary.step(self._slow_s, self.sky.outdoor_c)
        self._primary_moved()
        circuit.step_water(self._slow_s, self.supply_c)
        self._tell_boiler()
        if not (boiler.is_enabled or boiler.is_busy):
            boiler.step(self._slow_s, inlet_c=self.supply_c, flow_kw_per_k=circuit.flow_kw_per_k)
        self._feel_slowly()

    def _primary_moved(self) -> None:
        p, stem_pct = self.parameters, self.valve.stem_pct
        if stem_pct != self._stem_pct:
            # The pressure moves in every step, the stem seldom.
            self._stem_pct = stem_pct
            self._resistance = primary_resistance(p.valve, p.primary, opening=stem_pct / 100.0)
        self.primary_kg_s = flow_through_kg_s(self._resistance, self.primary.pressure_kpa)
        self._c1 = self.primary_kg_s * CP_WATER_KJ_PER_KG_K

    def _lose_power(self) -> None:
        closes = self.parameters.valve.closes_on_power_loss
        self.valve.command_pct = 0.0 if closes else self.valve.motor_pct

    def _tell_boiler(self) -> None:
        around = self.boiler.surroundings
        around.flow_m3h = self.circuit.flow_m3h
        around.pressure_mpa = self.circuit.holding.static_mpa
        around.is_powered = self.is_powered

    def _feel(self) -> None:
        i, circuit = self.instruments, self.circuit
        supply_c = self.supply_c
        if self._on_the_way:
            self._on_the_way.append(supply_c)
            supply_c = self._on_the_way.popleft()
        t2g, t2h, t1g, t1h = self._shares
        i.t2g.value += t2g * (supply_c - i.t2g.value)
        i.t2h.value += t2h * (circuit.return_c - i.t2h.value)
        i.t1g.value += t1g * (self.primary.supply_c - i.t1g.value)
        i.t1h.value += t1h * (self.exchanger.primary_out_c - i.t1h.value)
        i.cv1_u.value = self.valve.motor_pct
        i.f2.value = circuit.flow_m3h
        i.p2g.value = circuit.supply_mpa

    def _feel_slowly(self) -> None:
        i, circuit, boiler, seconds = self.instruments, self.circuit, self.boiler, self._slow_s
        i.advance(seconds)
        parameters = self.parameters.instruments
        sun_k = parameters.in_sun_k * self.sky.sun_w_per_m2 / _FULL_SUN_W_PER_M2
        if self.is_sun_on_sensor:
            sun_k += parameters.sun_error_k
        i.t_out.follow(self.sky.outdoor_c + sun_k, seconds)
        i.b_tsup.follow(boiler.water_c, seconds)
        i.b_tret.follow(boiler.inlet_c, seconds)
        return_mpa = self.parameters.primary.return_mpa
        i.p1h.value = return_mpa
        i.p1g.value = return_mpa + self.primary.pressure_kpa / 1000.0
        i.f1.value = metered_m3h(self.primary_kg_s, self.primary.supply_c)
        i.p2h.value = circuit.holding.static_mpa
        i.f3.value = circuit.holding.makeup_m3h
        i.lt301.value = circuit.holding.tank_m

    def _settle_instruments(self) -> None:
        i, circuit = self.instruments, self.circuit
        transport = round(self.parameters.instruments.transport_s / self._fast_s)
        self._on_the_way = deque([self.supply_c] * transport)
        i.t2g.value, i.t2h.value = self.supply_c, circuit.return_c
        i.t1g.value, i.t1h.value = self.primary.supply_c, self.exchanger.primary_out_c
        i.t_out.value = self.sky.outdoor_c
        i.b_tsup.value, i.b_tret.value = self.boiler.water_c, self.boiler.inlet_c
        self._feel()
        self._feel_slowly()


def water_kg_per_m3(water_c: float) -> float:
    """Return the density of water at 20..120 °C within 0.15 % of the IAPWS tables."""
    return 1001.3 - 0.155 * water_c - 0.00277 * water_c * water_c


def metered_m3h(flow_kg_s: float, water_c: float) -> float:
    """Return what a flow meter in water of `water_c` shows for a mass flow, m³/h."""
    return flow_kg_s * 3600.0 / water_kg_per_m3(water_c)
