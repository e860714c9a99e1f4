"""A drill in YAML: the weather, what breaks and when, and what must come of it.

Rule: a scenario only names causes; how the plant and the daemon answer is never written in it.
"""

import random
import re
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen

from alarms.condition import Text
from config.load import read_document
from config.problem import ConfigErrors, Problem
from core.parameters import parameters
from core.point import Unit
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plc import SimPlc

LINK_CUT = "plc-cut"
"""The one fault that is not the plant's or the PLC's, but the network's between PLC and heatd."""

SCENARIOS = Path(__file__).parent / "scenarios"

Figure = Literal[
    "supply_rmse_k",
    "within_1k_pct",
    "saturated_pct",
    "room_min_c",
    "degree_hours_below_19",
    "degree_hours_above_22",
    "heat_mwh",
    "valve_starts_per_day",
    "valve_strokes_per_day",
    "primary_return_c",
    "failover_decision_s",
    "failover_heat_s",
    "alarms_raised",
]
"""The figures of a result, under their stable names."""


@parameters
class WeatherPoint:
    """The outdoor temperature at a time after the start; straight lines between the points."""

    at_s: Annotated[float, Unit.SECOND, Ge(0)]
    outdoor_c: Annotated[float, Unit.CELSIUS, Ge(-50), Gt(-51)]


@parameters
class Fault:
    """Something that breaks: `do` names it, `tag` says where, `for_s` 0 means to the end.

    `drift_k_per_h` is how fast the sensor of a `sensor-drift` goes wrong.
    """

    at_s: Annotated[float, Unit.SECOND, Ge(0)]
    do: Annotated[str, MinLen(1)]
    tag: str = ""
    for_s: Annotated[float, Unit.SECOND, Ge(0)] = 0.0
    drift_k_per_h: Annotated[float, Unit.KELVIN_PER_HOUR] = 0.0

    @property
    def options(self) -> dict[str, float | str]:
        """What else the simulated PLC is told about it."""
        tag: dict[str, float | str] = {"tag": self.tag} if self.tag else {}
        return tag | ({"per_day": 24.0 * self.drift_k_per_h} if self.drift_k_per_h else {})


@parameters
class Bound:
    """What a figure must be for the scenario to pass; a figure that is not there fails."""

    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float | None) -> bool:
        """Return whether `value` is inside both bounds."""
        if value is None:
            return False
        is_high_enough = self.at_least is None or value >= self.at_least
        return is_high_enough and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        parts = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        parts += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(parts)


@parameters
class Scenario:
    """One drill.

    Attributes:
        scenario: Its name, that of its file.
        about: What it shows.
        station: Which of the example stations it is played on: the one on Modbus TCP.
        start: Day on which it starts, at 0:00 in China.
        duration_s: How long it runs.
        settle_s: What is not scored at the start: the daemon takes over from the PLC.
        weather: The outdoor temperature over time.
        faults: What breaks.
        expect: What the figures must be.
    """

    scenario: Annotated[str, MinLen(1)]
    about: Text
    station: Literal["st-01"]
    start: date
    duration_s: Annotated[float, Unit.SECOND, Gt(0)]
    settle_s: Annotated[float, Unit.SECOND, Ge(0)]
    weather: Annotated[tuple[WeatherPoint, ...], MinLen(1)]
    faults: tuple[Fault, ...] = ()
    expect: dict[Figure, Bound]

    def missed(self, figures: Mapping[str, float | int | None]) -> list[str]:
        """Return a sentence for each figure that is not what the scenario expects."""
        return [
            f"{name} is {figures.get(name)}, expected {bound}"
            for name, bound in self.expect.items()
            if not bound.is_met(figures.get(name))
        ]


def names() -> list[str]:
    """Return the names of all scenarios that come with heatd."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def load_scenario(name: str) -> Scenario:
    """Return a scenario by its name, or from a file if `name` is a path that exists.

    Raises:
        FileNotFoundError: There is no such scenario; the text lists those that there are.
        ConfigErrors: Its file is wrong.
    """
    path = Path(name) if name.endswith(".yaml") else SCENARIOS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(names())
        raise FileNotFoundError(f"there is no scenario {name}; there are {known}")
    scenario = read_document(path, Scenario)
    if problems := list(_problems(scenario, path)):
        raise ConfigErrors(problems)
    return scenario


def _problems(scenario: Scenario, path: Path) -> Iterator[Problem]:
    """Yield what would go wrong only while it is played."""
    text = path.read_text(encoding="utf-8")

    def problem(key: str, message: str, hint: str, nth: int = 0) -> Problem:
        found = list(re.finditer(rf"^[^#\n]*?\b({key}):", text, re.MULTILINE))
        at = found[nth].start(1) if nth < len(found) else 0
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        return Problem(path.name, line, column, message, hint)

    if any(later.at_s <= earlier.at_s for earlier, later in pairwise(scenario.weather)):
        yield problem("weather", "the times of the weather do not rise", "write the earliest first")
    if scenario.settle_s >= scenario.duration_s:
        yield problem("settle", "nothing is left to score", "make it shorter than the duration")
    for nth, fault in enumerate(scenario.faults):
        if fault.at_s >= scenario.duration_s:
            yield problem("do", f"{fault.do} comes after the end", "let it begin earlier", nth)
        if flaw := _flaw(fault):
            yield problem("do", flaw, "docs/scenarios.md lists what each fault needs", nth)
    for name, bound in scenario.expect.items():
        if bound.at_least is None and bound.at_most is None:
            yield problem(name, f"nothing is expected of {name}", "write at_least or at_most")


def _flaw(fault: Fault) -> str:
    """Return why a fault cannot be put on, tried on a PLC of no importance."""
    if fault.drift_k_per_h and fault.do != "sensor-drift":
        return f"{fault.do} has no drift"
    if fault.do == LINK_CUT:
        return f"{LINK_CUT} has no tag" if fault.tag else ""
    plant = StationPlant(StationParameters(), random.Random(0))
    plc = SimPlc(plant, rng=random.Random(0), curve=[(0.0, 50.0)])
    try:
        plc.inject(fault.do, active=True, **fault.options)
    except ValueError as error:
        return str(error).replace("there are ", f"there are {LINK_CUT}, ")
    return ""
