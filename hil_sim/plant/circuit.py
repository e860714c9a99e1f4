"""The secondary circuit as one thing: pumps, pressure, pipes, radiators and the rooms behind them.

Rule: it takes the supply temperature that the station gives and answers with flow and return.
"""

import random

from hil_sim.plant.building import BuildingParameters, Rooms, groups
from hil_sim.plant.flats import Flats, FlatsParameters
from hil_sim.plant.floor import FloorEmitters
from hil_sim.plant.hydraulics import (
    FULL_HZ,
    MakeUpParameters,
    PressureHolding,
    Pump,
    PumpParameters,
    circulation_m3h,
    pump_power_kw,
)
from hil_sim.plant.network import (
    WATER_KJ_PER_M3K,
    CircuitParameters,
    EmitterParameters,
    Emitters,
    Pipe,
    nominal_excess_k,
)
from hil_sim.plant.steady import Balance, balance
from hil_sim.plant.weather import Sky

_PIPE_CELLS = 36
_COLD_C = 20.0


class Circuit:
    """One circuit; `flow_m3h`, `flow_kw_per_k`, `dp_kpa` (supply less return), `return_c` follow.

    Args:
        circuit: Volumes and resistances.
        pump: The circulation pumps, XP1 and XP2, and the converters of the make-up pumps.
        makeup: Pressure holding.
        emitter: Radiators.
        building: Housing stock.
        flats: Measured flats.
        design_c: Outdoor air and mean room at design, °C: where the groups' offsets hold.
        rng: For the collectors' noise.
    """

    def __init__(
        self,
        circuit: CircuitParameters,
        *,
        pump: PumpParameters,
        makeup: MakeUpParameters,
        emitter: EmitterParameters,
        building: BuildingParameters,
        flats: FlatsParameters,
        design_c: tuple[float, float],
        rng: random.Random,
    ) -> None:
        self._parameters = circuit
        self._pump = pump
        self._emitter = emitter
        self.circulation = {"XP1": Pump(pump), "XP2": Pump(pump)}
        self._pumps = tuple(self.circulation.values())
        self.makeup = {"BP1": Pump(pump), "BP2": Pump(pump)}
        self.holding = PressureHolding(makeup, water_m3=circuit.water_m3)
        outdoor_c, room_c = design_c
        demand_w = building.loss_w_per_m2k * (room_c - outdoor_c) - building.gains_w_per_m2
        self.rooms = Rooms(
            building,
            groups(
                building,
                design_outdoor_c=outdoor_c,
                design_room_c=room_c,
                water_excess_k=nominal_excess_k(emitter, demand_w * building.area_m2 / 1000.0),
                exponent=emitter.exponent,
            ),
        )
        self.flats = Flats(flats, self._shares(), rng)
        self.flats.settle(self.rooms.air_c)
        self.emitters = self._new_emitters()
        self.supply_pipe, self.return_pipe = (
            Pipe(circuit.pipe_m3, cells=_PIPE_CELLS, start_c=_COLD_C, parameters=circuit.pipes)
            for _ in range(2)
        )
        self.return_c = self._water_c = _COLD_C
        self.flow_m3h = self.flow_kw_per_k = self.dp_kpa = self._pump_kw = self.pump_kj = 0.0
        self._room_heat_kj = [0.0] * len(self.rooms.groups)

    @property
    def supply_mpa(self) -> float:
        """Pressure of the supply, MPa."""
        return self.holding.static_mpa + self.dp_kpa / 1000.0

    @property
    def stored_kj(self) -> float:
        """Heat in pipes, radiators, air and walls above 0 °C, kJ."""
        pipes_kj = self.supply_pipe.stored_kj + self.return_pipe.stored_kj
        return pipes_kj + self.emitters.stored_kj + self.rooms.stored_kj

    def step_pumps(self, dt_s: float) -> None:
        """Advance the circulation pumps' speeds by `dt_s`; the flow follows at once."""
        first, second = self._pumps
        moved = first.step(dt_s)
        if second.step(dt_s) or moved:
            self._water_moved()

    def step_water(self, dt_s: float, supply_c: float) -> None:
        """Advance pipes, radiators and pressure by `dt_s` (some seconds) with `supply_c` held."""
        volume_m3 = self.flow_m3h * dt_s / 3600.0
        self.supply_pipe.cool(dt_s)
        self.return_pipe.cool(dt_s)
        inlet_c = self.supply_pipe.push(volume_m3, supply_c)
        outlet_c = self.emitters.step(
            dt_s, inlet_c=inlet_c, flow_kw_per_k=self.flow_kw_per_k, air_c=self.rooms.air_c
        )
        self.return_c = self.return_pipe.push(volume_m3, outlet_c)
        for i, heat_kw in enumerate(self.emitters.heat_kw):
            self._room_heat_kj[i] += heat_kw * dt_s
        self.pump_kj += self._pump_kw * dt_s
        for makeup in self.makeup.values():
            makeup.step(dt_s)
        water_c = self._mean_water_c()
        self.holding.step(
            dt_s,
            warming_k_per_s=(water_c - self._water_c) / dt_s,
            makeup_hz=max([pump.hz for pump in self.makeup.values()]),
            supply_mpa=self.supply_mpa,
        )
        self._water_c = water_c

    def step_rooms(self, dt_s: float, sky: Sky, hour: float) -> None:
        """Advance rooms and collectors by `dt_s`: the time since this was last called."""
        floor_kw = self.rooms.area_m2 / 1000.0
        heat = [
            kj / dt_s / (group.share * floor_kw)
            for kj, group in zip(self._room_heat_kj, self.rooms.groups, strict=True)
        ]
        self._room_heat_kj = [0.0] * len(heat)
        self.rooms.step(
            dt_s,
            heat,
            outdoor_c=sky.outdoor_c,
            sun_w_per_m2=sky.sun_w_per_m2,
            hour=hour,
            draught=sky.draught,
        )
        self.flats.step(dt_s, self.rooms.air_c)

    def settle_pumps(self, dp_kpa: float, static_mpa: float) -> None:
        """Let XP1 alone hold `dp_kpa` over the network, with `static_mpa` in the return."""
        p = self._parameters
        flow = p.nominal_m3h * (dp_kpa / p.network_kpa) ** 0.5
        whole = self._resistance() + self._pump.curve_kpa_per_m3h2
        hz = FULL_HZ * flow * (whole / self._pump.shutoff_kpa) ** 0.5
        for tag, pump in self.circulation.items():
            pump.run = tag == "XP1"
            pump.hz = pump.wanted_hz = hz if pump.run else 0.0
        for pump in self.makeup.values():
            pump.run, pump.hz, pump.wanted_hz = False, 0.0, 0.0
        self.holding.settle(static_mpa)
        self._water_moved()

    def settle_rooms(self, outdoor_c: float, room_c: float) -> None:
        """Put rooms, walls and collectors to rest around a mean room of `room_c`."""
        rest = self.balance(outdoor_c, room_c)
        self.rooms.settle(rest.air_c, outdoor_c=outdoor_c)
        self.flats.settle(self.rooms.air_c)
        self._room_heat_kj = [0.0] * len(self.rooms.groups)

    def settle_water(self, supply_c: float) -> None:
        """Put the water to rest at `supply_c`, with the rooms and pumps as they are."""
        self.return_c = self.emitters.settle(
            inlet_c=supply_c, flow_kw_per_k=self.flow_kw_per_k, air_c=self.rooms.air_c
        )
        self.supply_pipe.fill(supply_c)
        self.return_pipe.fill(self.return_c)
        self._water_c = self._mean_water_c()

    def balance(self, outdoor_c: float, room_c: float) -> Balance:
        """Return the operation at nominal flow that holds the mean room; moves nothing."""
        flow = self.flow_kw_per_k or self._parameters.nominal_m3h * WATER_KJ_PER_M3K / 3600.0
        return balance(
            self.rooms,
            self._new_emitters(),
            flow_kw_per_k=flow,
            outdoor_c=outdoor_c,
            room_c=room_c,
        )

    def _water_moved(self) -> None:
        p = self._parameters
        speeds = [pump.hz for pump in self.circulation.values()]
        self.flow_m3h = circulation_m3h(self._pump, speeds, self._resistance())
        self.flow_kw_per_k = self.flow_m3h * WATER_KJ_PER_M3K / 3600.0
        self.dp_kpa = p.network_kpa * (self.flow_m3h / p.nominal_m3h) ** 2
        self._pump_kw = pump_power_kw(self.flow_m3h, self.flow_m3h**2 * self._resistance())

    def _resistance(self) -> float:
        p = self._parameters
        return (p.network_kpa + p.station_kpa) / p.nominal_m3h**2

    def _shares(self) -> list[float]:
        return [group.share for group in self.rooms.groups]

    def _new_emitters(self) -> Emitters | FloorEmitters:
        p, emitter, shares = self._parameters, self._emitter, self._shares()
        water_m3 = p.water_m3 - 2.0 * p.pipe_m3
        if emitter.slab_kj_per_m2k > 0.0:
            return FloorEmitters(
                emitter, water_m3=water_m3, shares=shares, area_m2=self.rooms.area_m2
            )
        return Emitters(emitter, water_m3=water_m3, shares=shares)

    def _mean_water_c(self) -> float:
        p = self._parameters
        pipes = p.pipe_m3 * (self.supply_pipe.mean_c + self.return_pipe.mean_c)
        return (pipes + (p.water_m3 - 2.0 * p.pipe_m3) * self.emitters.mean_c) / p.water_m3
