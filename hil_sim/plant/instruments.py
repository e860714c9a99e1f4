"""The instruments of a station by their tags: what each measures, how slowly, how noisily.

Rule: thermowells lag by their time constants; pressures, flows and levels show at once.
"""

import random
from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from core.parameters import parameters
from core.point import Unit
from hil_sim.plant.sensor import NoiseTape, Sensor, SensorFault

_OPEN_PT1000_C = 850.0
_OPEN_LOOP = 32767.0


@parameters
class InstrumentParameters:
    """Lags and noise of a station's instruments.

    `transport_s` is how long the water needs from the exchanger to the supply's thermowell.
    `in_sun_k` is how much a clear winter sun warms the outdoor sensor every day, 2 to 6 K on a
    south wall; `sun_error_k` is what a drill that puts the sun on it adds.
    """

    transport_s: Annotated[float, Unit.SECOND, Interval(ge=0, le=60)] = 0.0
    thermowell_s: Annotated[float, Unit.SECOND, Gt(0)] = 15.0
    outdoor_s: Annotated[float, Unit.SECOND, Gt(0)] = 300.0
    temperature_noise_k: Annotated[float, Unit.KELVIN, Ge(0)] = 0.04
    pressure_noise_mpa: Annotated[float, Unit.MEGAPASCAL, Ge(0)] = 0.0005
    flow_noise_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Ge(0)] = 0.2
    level_noise_m: Annotated[float, Unit.METRE, Ge(0)] = 0.003
    sun_error_k: Annotated[float, Unit.KELVIN] = 6.0
    in_sun_k: Annotated[float, Unit.KELVIN, Ge(0)] = 0.0


class Instruments:
    """All instruments, each also an attribute in lower case (`t2g` is the tag T2g)."""

    __slots__ = (
        "_all",
        "_by_tag",
        "_faulty",
        "_tape",
        "b_tret",
        "b_tsup",
        "cv1_u",
        "f1",
        "f2",
        "f3",
        "lt301",
        "p1g",
        "p1h",
        "p2g",
        "p2h",
        "t1g",
        "t1h",
        "t2g",
        "t2h",
        "t_out",
    )

    def __init__(self, parameters: InstrumentParameters, rng: random.Random) -> None:
        p = parameters
        self._tape = NoiseTape(rng)
        self._by_tag: dict[str, Sensor] = {}
        self._faulty: list[Sensor] = []
        self.t1g = self._temperature("T1g", p.thermowell_s, p.temperature_noise_k)
        self.t1h = self._temperature("T1h", p.thermowell_s, p.temperature_noise_k)
        self.t2g = self._temperature("T2g", p.thermowell_s, p.temperature_noise_k)
        self.t2h = self._temperature("T2h", p.thermowell_s, p.temperature_noise_k)
        self.b_tsup = self._temperature("B_Tsup", p.thermowell_s, p.temperature_noise_k)
        self.b_tret = self._temperature("B_Tret", p.thermowell_s, p.temperature_noise_k)
        self.t_out = self._temperature("T_out", p.outdoor_s, p.temperature_noise_k)
        self.p1g = self._instant("P1g", p.pressure_noise_mpa)
        self.p1h = self._instant("P1h", p.pressure_noise_mpa)
        self.p2g = self._instant("P2g", p.pressure_noise_mpa)
        self.p2h = self._instant("P2h", p.pressure_noise_mpa)
        self.f1 = self._instant("F1", p.flow_noise_m3h)
        self.f2 = self._instant("F2", p.flow_noise_m3h)
        self.f3 = self._instant("F3", 0.0)
        self.lt301 = self._instant("LT301", p.level_noise_m)
        self.cv1_u = self._instant("CV1_U", 0.03)
        self._all = tuple(self._by_tag.values())

    def __getitem__(self, tag: str) -> Sensor:
        """Return the instrument of `tag`; a KeyError names a tag without an instrument."""
        return self._by_tag[tag]

    def __iter__(self) -> Iterator[str]:
        """Go through the tags that have an instrument."""
        return iter(self._by_tag)

    def fail(self, tag: str, fault: SensorFault, amount: float = 0.0) -> None:
        """Put the instrument of `tag` into a fault, or (NONE) mend it."""
        sensor = self._by_tag[tag]
        sensor.fail(fault, amount)
        self._faulty = [s for s in self._all if s.fault is not SensorFault.NONE]

    def advance(self, dt_s: float) -> None:
        """Give every instrument its next noise and let the faults grow by `dt_s`."""
        sensors = self._all
        for sensor, noise in zip(sensors, self._tape.window(len(sensors)), strict=True):
            sensor.noise = sensor.sigma * noise
        for sensor in self._faulty:
            sensor.age(dt_s)

    def _temperature(self, tag: str, lag_s: float, sigma: float) -> Sensor:
        return self._add(tag, lag_s, sigma, _OPEN_PT1000_C)

    def _instant(self, tag: str, sigma: float) -> Sensor:
        return self._add(tag, 0.0, sigma, _OPEN_LOOP)

    def _add(self, tag: str, lag_s: float, sigma: float, broken: float) -> Sensor:
        sensor = Sensor(lag_s=lag_s, sigma=sigma, broken=broken)
        self._by_tag[tag] = sensor
        return sensor
