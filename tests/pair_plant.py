"""The example's station with two valves in sequence, and a plant that has them in parallel.

Rule: the plant's own valve is one body with the capacity of both; here its stem is where that body
would pass what the two do.
"""

import random
from collections.abc import Mapping
from pathlib import Path

from config.load import load
from config.model import Station
from core.point import Tag
from hil_sim.bench.rig import PROMPT, Rig
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.valve import Actuator, ValveParameters, relative_flow_coefficient
from hil_sim.plant.weather import Weather
from tests.contact_site import write_site

SECOND = (
    'CV2_U: {at: holding 84, type: f32, unit: "%", range: 0..100},'
    ' CV2_SV: {at: holding 86, type: f32, unit: "%", range: 0..100, write: yes}'
)
SHARE = 0.3
_POSITIONS = (Tag("CV1_U"), Tag("CV2_U"))
_OUTPUTS = (Tag("CV1_SV"), Tag("CV2_SV"))
_HALVINGS = 40


def pair_station(folder: Path, *, points: str = SECOND, valve: str = "") -> Station:
    """Return st-01 of the examples with a second valve; `folder` is an empty one."""
    valve = valve or f"{{split: {{share: {SHARE}}}}}"
    site = load(write_site(folder, points=points, valve=valve))
    return next(station for station in site.stations if station.station == "st-01")


class TwoValves(Actuator):
    """Two motors that look like one to the plant."""

    __slots__ = ("_body", "both")

    def __init__(self, body: ValveParameters) -> None:
        self._body = body
        self.both = (Actuator(body), Actuator(body))
        super().__init__(body)

    def place(self, position_pct: float) -> None:
        """Put both where they pass what the one body would, the first one first."""
        super().place(position_pct)
        passed = self._passes(position_pct)
        shares = (min(passed / SHARE, 1.0), max((passed - SHARE) / (1.0 - SHARE), 0.0))
        for one, share in zip(self.both, shares, strict=True):
            one.place(self._opening_pct(share))

    def step(self, dt_s: float) -> bool:
        """Advance both; return True where one stem moved."""
        has_moved = [one.step(dt_s) for one in self.both]
        if any(has_moved):
            first, second = (self._passes(one.stem_pct) for one in self.both)
            self.stem_pct = self._opening_pct(SHARE * first + (1.0 - SHARE) * second)
        return any(has_moved)

    def _passes(self, pct: float) -> float:
        body = self._body
        return relative_flow_coefficient(
            pct / 100.0, rangeability=body.rangeability, leakage=body.leakage
        )

    def _opening_pct(self, share: float) -> float:
        low_pct, high_pct = 0.0, 100.0
        if share <= self._passes(low_pct):
            return low_pct
        for _ in range(_HALVINGS):
            middle_pct = (low_pct + high_pct) / 2.0
            if self._passes(middle_pct) < share:
                low_pct = middle_pct
            else:
                high_pct = middle_pct
        return high_pct


class PairRig(Rig):
    """A rig whose plant has two valves; their positions are read as they are."""

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` pass, and read the instruments."""
        super().advance(dt_s)
        self.show()

    def show(self) -> None:
        """Let the station see where the two motors stand."""
        for tag, one in zip(_POSITIONS, self.valves.both, strict=True):
            self._values[self.table.index[tag]] = one.motor_pct

    @property
    def valves(self) -> TwoValves:
        """The two valves of the plant."""
        valves = self.plant.valve
        assert isinstance(valves, TwoValves)
        return valves

    def write(self, values: Mapping[Tag, float], pulses: frozenset[Tag] = frozenset()) -> None:
        """Carry out what a controller wants; what is written can be read back."""
        super().write(values, pulses)
        for tag, one in zip(_OUTPUTS, self.valves.both, strict=True):
            one.command_pct = values.get(tag, one.command_pct)


def pair_rig(
    station: Station,
    curve: Mapping[float, float],
    weather: Weather,
    *,
    has_pair: bool = True,
) -> Rig:
    """Return a plant in operation with the points of `station`, on `curve` in `weather`."""
    parameters = StationParameters()
    plant = StationPlant(parameters, random.Random(1), weather=weather)
    if has_pair:
        plant.valve = TwoValves(parameters.valve)
    make = PairRig if has_pair else Rig
    rig = make(
        plant,
        station,
        curve=curve,
        room_c=21.0,
        collectors=PROMPT,
        rng=random.Random(2),
    )
    if isinstance(rig, PairRig):
        rig.show()
        for one in rig.valves.both:
            one.command_pct = one.motor_pct
    return rig
