"""Water that is moved: pumps by the affinity laws, the network, pressure, make-up and leaks.

Rule: flows follow pressures at once (water is stiff); only speeds and stored volume have a memory.
"""

import math
from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt

from core.parameters import parameters
from core.point import Unit

FULL_HZ = 50.0
ATMOSPHERE_MPA = 0.1013
_GRAVITY_EFFICIENCY = 0.75 * 0.92 * 0.96


@parameters
class PumpParameters:
    """One circulation pump on its frequency converter.

    Head = n²·`shutoff_kpa` - `curve_kpa_per_m3h2`·Q², n = Hz/50 (affinity laws). Current at
    `rated_hz` is `rated_a`.
    """

    shutoff_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 340.0
    curve_kpa_per_m3h2: Annotated[float, Gt(0)] = 1.156e-3
    ramp_s: Annotated[float, Unit.SECOND, Gt(0)] = 30.0
    coast_s: Annotated[float, Unit.SECOND, Gt(0)] = 8.0
    rated_hz: Annotated[float, Unit.HERTZ, Gt(0)] = 45.0
    rated_a: Annotated[float, Unit.AMPERE, Gt(0)] = 32.0


@parameters
class MakeUpParameters:
    """Pressure holding: gas cushion, make-up pumps, tank, relief and safety valves, leaks.

    `cushion_m3` is the gas volume at 0.5 MPa absolute; `expansion_per_k` the relative growth of the
    circuit's water per kelvin.
    """

    expansion_per_k: Annotated[float, Gt(0)] = 5e-4
    cushion_m3: Annotated[float, Unit.CUBIC_METRE, Gt(0)] = 3.0
    shutoff_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0)] = 0.65
    curve_mpa_per_m3h2: Annotated[float, Gt(0)] = 0.0039
    relief_m3h_at_1mpa: Annotated[float, Gt(0)] = 15.0
    safety_valve_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0)] = 0.75
    seepage_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Ge(0)] = 0.1
    seepage_at_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0)] = 0.40
    tank_m2: Annotated[float, Unit.SQUARE_METRE, Gt(0)] = 4.0
    tank_float_m: Annotated[float, Unit.METRE, Gt(0)] = 1.4
    city_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Ge(0)] = 10.0


class Pump:
    """A pump with its converter: `run` and `wanted_hz` are commands, `hz` is the speed.

    `is_tripped` and a dead supply (`is_powered` False) stop it whatever the command says.
    """

    __slots__ = (
        "_coast_hz_s",
        "_rated_a",
        "_rated_n",
        "hz",
        "is_powered",
        "is_tripped",
        "ramp_hz_s",
        "run",
        "starts",
        "wanted_hz",
    )

    def __init__(self, parameters: PumpParameters) -> None:
        self.ramp_hz_s = FULL_HZ / parameters.ramp_s
        self._coast_hz_s = FULL_HZ / parameters.coast_s
        self._rated_a, self._rated_n = parameters.rated_a, parameters.rated_hz
        self.run = self.is_tripped = False
        self.is_powered = True
        self.hz = self.wanted_hz = 0.0
        self.starts = 0

    @property
    def is_running(self) -> bool:
        """True while the converter drives the motor (the run feedback)."""
        return self.run and not self.is_tripped and self.is_powered

    @property
    def current_a(self) -> float:
        """Motor current, A: a third is magnetising, the rest follows the shaft's power."""
        if not self.is_running:
            return 0.0
        n = self.hz / self._rated_n
        return self._rated_a * (0.35 * n + 0.65 * n * n * n)

    def start(self) -> None:
        """Give the run command; a second start of a running pump does nothing."""
        if not self.run:
            self.starts += 1
        self.run = True

    def step(self, dt_s: float) -> bool:
        """Advance the speed by `dt_s`; return True where it changed."""
        is_driven = self.run and self.is_powered and not self.is_tripped
        wanted = self.wanted_hz if is_driven else 0.0
        if self.hz == wanted:
            return False
        if self.hz < wanted:
            self.hz = min(self.hz + self.ramp_hz_s * dt_s, wanted)
        else:
            rate = self.ramp_hz_s if is_driven else self._coast_hz_s
            self.hz = max(self.hz - rate * dt_s, wanted)
        return True


def circulation_m3h(
    parameters: PumpParameters, speeds_hz: Sequence[float], resistance_kpa_per_m3h2: float
) -> float:
    """Return the flow of parallel pumps through a resistance, m³/h.

    A pump too slow to lift its check valve gives nothing. One pump has the closed form
    n·sqrt(H0/(R + a)); several are solved by bisection on the common head.
    """
    heads = [(hz / FULL_HZ) ** 2 * parameters.shutoff_kpa for hz in speeds_hz if hz > 0.0]
    if not heads:
        return 0.0
    if len(heads) == 1:
        return math.sqrt(heads[0] / (resistance_kpa_per_m3h2 + parameters.curve_kpa_per_m3h2))
    low, high = 0.0, max(heads)
    for _ in range(50):
        head = 0.5 * (low + high)
        flow = sum(math.sqrt(max(h - head, 0.0) / parameters.curve_kpa_per_m3h2) for h in heads)
        if resistance_kpa_per_m3h2 * flow * flow > head:
            low = head
        else:
            high = head
    return math.sqrt(low / resistance_kpa_per_m3h2)


def pump_power_kw(flow_m3h: float, head_kpa: float) -> float:
    """Return the electric power of pumping, kW, at usual efficiencies (pump, motor, converter)."""
    return flow_m3h / 3600.0 * head_kpa / _GRAVITY_EFFICIENCY


class PressureHolding:
    """The static pressure of the circuit and everything that adds or takes water.

    Inputs: `makeup_hz` (speed of the faster make-up pump), `is_relief_open`, `leak_m3h_at_04` (a
    leak, by its flow at 0.40 MPa). States: `static_mpa` (the pressure at the return), `tank_m`.
    """

    __slots__ = (
        "_gas_m3",
        "_parameters",
        "_water_m3",
        "is_relief_open",
        "leak_m3h",
        "leak_m3h_at_04",
        "makeup_m3",
        "makeup_m3h",
        "static_mpa",
        "tank_m",
    )

    def __init__(self, parameters: MakeUpParameters, *, water_m3: float) -> None:
        self._parameters = parameters
        self._water_m3 = water_m3
        self.is_relief_open = False
        self.leak_m3h_at_04 = self.leak_m3h = self.makeup_m3h = self.makeup_m3 = 0.0
        self.tank_m = parameters.tank_float_m
        self.settle(parameters.seepage_at_mpa)

    def settle(self, static_mpa: float) -> None:
        """Put the cushion to `static_mpa` (gauge)."""
        self.static_mpa = static_mpa
        self._gas_m3 = self._parameters.cushion_m3 * 0.5 / (static_mpa + ATMOSPHERE_MPA)

    def step(
        self, dt_s: float, *, warming_k_per_s: float, makeup_hz: float, supply_mpa: float
    ) -> None:
        """Advance by `dt_s`; `warming_k_per_s` is how fast the circuit's water warms.

        The cushion follows Boyle's law; orifices (leak, relief) follow the square root of pressure.
        """
        p = self._parameters
        root = math.sqrt(self.static_mpa)
        self.makeup_m3h = self._pumped_m3h(makeup_hz)
        seepage = p.seepage_m3h * root / math.sqrt(p.seepage_at_mpa)
        self.leak_m3h = seepage + self.leak_m3h_at_04 * root / math.sqrt(0.4)
        relief = p.relief_m3h_at_1mpa * root if self.is_relief_open else 0.0
        if supply_mpa > p.safety_valve_mpa:
            relief += p.relief_m3h_at_1mpa * root
        pumped = self.makeup_m3h * dt_s / 3600.0
        lost = (self.leak_m3h + relief) * dt_s / 3600.0
        grown = p.expansion_per_k * self._water_m3 * warming_k_per_s * dt_s
        self._gas_m3 = max(self._gas_m3 - pumped + lost - grown, 0.1)
        self.static_mpa = max(p.cushion_m3 * 0.5 / self._gas_m3 - ATMOSPHERE_MPA, 0.0)
        self.makeup_m3 += pumped
        filled = p.city_m3h * dt_s / 3600.0 if self.tank_m < p.tank_float_m else 0.0
        self.tank_m = max(self.tank_m + (filled - pumped) / p.tank_m2, 0.0)

    def _pumped_m3h(self, makeup_hz: float) -> float:
        p = self._parameters
        lift = (makeup_hz / FULL_HZ) ** 2 * p.shutoff_mpa - self.static_mpa
        if lift <= 0.0 or self.tank_m <= 0.0:
            return 0.0
        return math.sqrt(lift / p.curve_mpa_per_m3h2)
