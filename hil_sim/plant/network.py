"""The secondary circuit outside the station: pipes that delay, radiators that emit.

Rule: water keeps its heat. A pipe passes plugs on, radiators are well-mixed parts along the flow.
"""

import math
from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from core.parameters import parameters
from core.point import Unit

WATER_KJ_PER_M3K = 4114.8


@parameters
class EmitterParameters:
    """Radiators with their water, in `segments` well-mixed parts along the flow.

    Sized so that the whole emits `nominal_kw` at `nominal_supply_c`/`nominal_return_c` into
    `nominal_room_c`; each part follows EN 442, Q ~ excess temperature to the power `exponent`.
    """

    nominal_kw: Annotated[float, Unit.KILOWATT, Gt(0)] = 5000.0
    nominal_supply_c: Annotated[float, Unit.CELSIUS] = 75.0
    nominal_return_c: Annotated[float, Unit.CELSIUS] = 50.0
    nominal_room_c: Annotated[float, Unit.CELSIUS] = 21.0
    exponent: Annotated[float, Gt(0)] = 1.3
    segments: Annotated[int, Interval(ge=1, le=20)] = 5
    metal_kj_per_k: Annotated[float, Ge(0)] = 64e3
    # Above 0 these are heated floors: the heat capacity of their screed, per m² of floor.
    slab_kj_per_m2k: Annotated[float, Ge(0)] = 0.0
    # Heat lost on the way, as a share of what the rooms get.
    loss_share: Annotated[float, Interval(ge=0, lt=1)] = 0.03


@parameters
class PipeParameters:
    """What a pipe does to its water besides delaying it.

    The steel takes part in every front: `wall_share` is its heat capacity over the water's (0.28 of
    a DN50, 0.1 of a DN200). Turbulence blurs fronts as much as if `mixed_share` of the pipe were
    one well-mixed vessel at its end (40 vessels in a row: 0.16). `loss_kw_per_k` goes to the ground
    at `ground_c`.
    """

    wall_share: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    mixed_share: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    loss_kw_per_k: Annotated[float, Ge(0)] = 0.0
    ground_c: Annotated[float, Unit.CELSIUS] = 5.0


@parameters
class CircuitParameters:
    """Volumes and resistances of the circuit.

    `water_m3` is all of it, `pipe_m3` the pipe each way between station and radiators (180 s at
    175 m³/h); `network_kpa` and `station_kpa` are lost at `nominal_m3h` outside and inside.
    """

    water_m3: Annotated[float, Unit.CUBIC_METRE, Gt(0)] = 120.0
    pipe_m3: Annotated[float, Unit.CUBIC_METRE, Gt(0)] = 8.75
    nominal_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Gt(0)] = 175.0
    network_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 180.0
    station_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 60.0
    pipes: PipeParameters = PipeParameters()


_PLAIN = PipeParameters()
_DECAY_MIN = 1e-6


class Pipe:
    """Plug flow: what enters leaves after one volume of the pipe has passed.

    The pipe is a ring of `cells` equal plugs, so a front is sharp to one plug. At a constant flow
    that moves one plug a step the delay is exact. Plugs are kept as their excess over the ground
    divided by what all of them have lost since, so that cooling costs one product and no loop.
    """

    __slots__ = (
        "_capacity_m3",
        "_cell_m3",
        "_cells",
        "_decay",
        "_entered",
        "_ground_c",
        "_loss_per_s",
        "_mixed_c",
        "_mixed_m3",
        "_next",
        "_passed",
        "_total",
    )

    def __init__(
        self,
        volume_m3: float,
        *,
        cells: int,
        start_c: float,
        parameters: PipeParameters = _PLAIN,
    ) -> None:
        p = parameters
        self._capacity_m3 = volume_m3 * (1.0 + p.wall_share)
        self._mixed_m3 = self._capacity_m3 * p.mixed_share
        self._cell_m3 = (self._capacity_m3 - self._mixed_m3) / cells
        self._loss_per_s = p.loss_kw_per_k / (self._capacity_m3 * WATER_KJ_PER_M3K)
        self._ground_c = p.ground_c if p.loss_kw_per_k else 0.0
        self._cells = [start_c] * cells
        self.fill(start_c)

    def fill(self, water_c: float) -> None:
        """Fill the whole pipe with water of one temperature, °C."""
        excess_k = water_c - self._ground_c
        self._cells = [excess_k] * len(self._cells)
        self._next = 0
        self._passed = self._entered = 0.0
        self._decay = 1.0
        self._total = excess_k * len(self._cells)
        self._mixed_c = water_c

    @property
    def mean_c(self) -> float:
        """Mean temperature of the water in the pipe, °C."""
        plugs_c = self._ground_c + self._decay * self._total / len(self._cells)
        share = self._mixed_m3 / self._capacity_m3
        return plugs_c + share * (self._mixed_c - plugs_c)

    @property
    def stored_kj(self) -> float:
        """Heat in water and steel above 0 °C, kJ."""
        return self._capacity_m3 * WATER_KJ_PER_M3K * self.mean_c

    def cool(self, dt_s: float) -> None:
        """Let the pipe lose heat to the ground for `dt_s`."""
        if self._loss_per_s == 0.0:
            return
        left = math.exp(-self._loss_per_s * dt_s)
        self._mixed_c = self._ground_c + left * (self._mixed_c - self._ground_c)
        self._decay *= left
        if self._decay < _DECAY_MIN:
            self._cells = [excess * self._decay for excess in self._cells]
            self._total *= self._decay
            self._entered *= self._decay
            self._decay = 1.0

    def push(self, volume_m3: float, inlet_c: float) -> float:
        """Push `volume_m3` of water of `inlet_c` in; return the mean temperature that comes out."""
        pushed = left = volume_m3 / self._cell_m3
        cells, index = self._cells, self._next
        passed, entered = self._passed, self._entered
        if left <= 0.0:
            return self._mixed_c if self._mixed_m3 else self._ground_c + self._decay * cells[index]
        inlet = (inlet_c - self._ground_c) / self._decay
        out = 0.0
        while left > 1e-9:  # noqa: PLR2004 - less of a plug than this is rounding
            part = 1.0 - passed
            if part > left:  # noqa: PLR1730 - half of what `min` costs, some times in a step
                part = left
            out += part * cells[index]
            entered += part * inlet
            passed += part
            left -= part
            if passed > 1.0 - 1e-9:
                cells[index] = entered / passed
                index = index + 1 if index + 1 < len(cells) else 0
                passed = entered = 0.0
        self._next, self._passed, self._entered = index, passed, entered
        out /= pushed
        self._total += pushed * (inlet - out)
        return self._mix(volume_m3, self._ground_c + self._decay * out)

    def _mix(self, volume_m3: float, plug_c: float) -> float:
        if self._mixed_m3 == 0.0:
            return plug_c
        before_c = self._mixed_c
        share = 1.0 - math.exp(-volume_m3 / self._mixed_m3)
        self._mixed_c += share * (plug_c - before_c)
        return plug_c - (self._mixed_c - before_c) * self._mixed_m3 / volume_m3


class WarmedWater:
    """The water of all emitters of a circuit, in well-mixed segments with their metal.

    `water_c` is its temperature per segment, °C, along the flow; `heat_kw` what each group of rooms
    gets.
    """

    __slots__ = ("_parameters", "_segment_kj_per_k", "_shares", "heat_kw", "water_c")

    def __init__(
        self, parameters: EmitterParameters, *, water_m3: float, shares: Sequence[float]
    ) -> None:
        p = parameters
        self._parameters = p
        self._shares = tuple(shares)
        self._segment_kj_per_k = (water_m3 * WATER_KJ_PER_M3K + p.metal_kj_per_k) / p.segments
        self.water_c = [p.nominal_room_c] * p.segments
        self.heat_kw = [0.0] * len(self._shares)

    @property
    def exponent(self) -> float:
        """Exponent of the law from water to room."""
        return self._parameters.exponent

    @property
    def mean_c(self) -> float:
        """Mean temperature of the water, °C."""
        return sum(self.water_c) / len(self.water_c)

    @property
    def stored_kj(self) -> float:
        """Heat in water and metal above 0 °C, kJ."""
        return self._segment_kj_per_k * sum(self.water_c)


class Emitters(WarmedWater):
    """All radiators of the circuit."""

    __slots__ = ("_coefficients_kw",)

    def __init__(
        self, parameters: EmitterParameters, *, water_m3: float, shares: Sequence[float]
    ) -> None:
        super().__init__(parameters, water_m3=water_m3, shares=shares)
        coefficient_kw = segment_coefficient_kw(parameters)
        self._coefficients_kw = tuple(share * coefficient_kw for share in self._shares)

    def step(
        self, dt_s: float, *, inlet_c: float, flow_kw_per_k: float, air_c: Sequence[float]
    ) -> float:
        """Advance by `dt_s` (implicit in the flow); return the outlet, °C.

        `heat_kw` then holds what each group of rooms got.
        """
        p = self._parameters
        coefficients, exponent = self._coefficients_kw, p.exponent
        carried = flow_kw_per_k * dt_s / self._segment_kj_per_k
        given = (1.0 + p.loss_share) * dt_s / self._segment_kj_per_k
        heat = [0.0] * len(air_c)
        upstream_c = inlet_c
        for k, water_c in enumerate(self.water_c):
            whole = 0.0
            for i, coefficient in enumerate(coefficients):
                excess = water_c - air_c[i]
                if excess > 0.0:
                    part = coefficient * excess**exponent
                    heat[i] += part
                    whole += part
            upstream_c = (water_c + carried * upstream_c - given * whole) / (1.0 + carried)
            self.water_c[k] = upstream_c
        self.heat_kw = heat
        return upstream_c

    def settle(self, *, inlet_c: float, flow_kw_per_k: float, air_c: Sequence[float]) -> float:
        """Put every segment where it stands still at this inlet; return the outlet, °C."""
        upstream_c = inlet_c
        heat = [0.0] * len(air_c)
        for k in range(len(self.water_c)):
            low, high = min(*air_c, upstream_c), upstream_c
            for _ in range(60):
                middle = 0.5 * (low + high)
                emitted = sum(self._emit(middle, air_c))
                if (
                    flow_kw_per_k * (upstream_c - middle)
                    > (1.0 + self._parameters.loss_share) * emitted
                ):
                    low = middle
                else:
                    high = middle
            upstream_c = 0.5 * (low + high)
            self.water_c[k] = upstream_c
            heat = [h + e for h, e in zip(heat, self._emit(upstream_c, air_c), strict=True)]
        self.heat_kw = heat
        return upstream_c

    def _emit(self, water_c: float, air_c: Sequence[float]) -> list[float]:
        return [
            coefficient * max(water_c - air, 0.0) ** self._parameters.exponent
            for coefficient, air in zip(self._coefficients_kw, air_c, strict=True)
        ]


def radiator_kw(parameters: EmitterParameters, excess_k: float) -> float:
    """Return the heat at a mean excess of the water over the room, kW: EN 442."""
    p = parameters
    nominal_excess = 0.5 * (p.nominal_supply_c + p.nominal_return_c) - p.nominal_room_c
    return p.nominal_kw * math.pow(max(excess_k, 0.0) / nominal_excess, p.exponent)


def nominal_excess_k(parameters: EmitterParameters, heat_kw: float) -> float:
    """Return the mean excess of the water that emits `heat_kw`, K: EN 442 the other way round."""
    p = parameters
    nominal_excess = 0.5 * (p.nominal_supply_c + p.nominal_return_c) - p.nominal_room_c
    return nominal_excess * math.pow(heat_kw / p.nominal_kw, 1.0 / p.exponent)


def segment_coefficient_kw(parameters: EmitterParameters) -> float:
    """Return c of Q = c (T - Troom)^n for one segment, so that all emit the nominal heat.

    Well-mixed parts lie at their outlets' temperatures, which are below the mean of the flow; the
    coefficient makes up for that.
    """
    p = parameters
    flow = p.nominal_kw / (p.nominal_supply_c - p.nominal_return_c)
    low, high = 0.0, p.nominal_kw
    for _ in range(80):
        coefficient = 0.5 * (low + high)
        if _walked_c(p, coefficient, flow) > p.nominal_return_c:
            low = coefficient
        else:
            high = coefficient
    return 0.5 * (low + high)


def _walked_c(p: EmitterParameters, coefficient: float, flow: float) -> float:
    water_c = p.nominal_supply_c
    for _ in range(p.segments):
        low, high = p.nominal_room_c, water_c
        for _ in range(60):
            middle = 0.5 * (low + high)
            if flow * (water_c - middle) > coefficient * (middle - p.nominal_room_c) ** p.exponent:
                low = middle
            else:
                high = middle
        water_c = 0.5 * (low + high)
    return water_c
