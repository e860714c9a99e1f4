"""Sensors that fail, in every way of the fault catalogue, against the real decision on the plant.

Rule: beside each run stands a twin of the same seed whose sensors are well. Whatever fails, the
setpoint moves by less than 1 K a minute, and the valve goes nowhere but where its setpoint went.
"""

import copy
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from controller.decide import Decision, decide
from controller.plan import plan_station
from controller.state import Surroundings, first_state
from core.clock import Instant
from core.image import ProcessImage
from core.point import Quality, Sample, Tag
from drivers.ageing import Columns
from drivers.plausible import Plausibility, checks_of
from hil_sim.bench.controllers import SHIPPED, healthy, station_for
from hil_sim.bench.lane import exact_curve
from hil_sim.bench.rig import PROMPT, Rig
from hil_sim.bench.stations import reference_plant
from hil_sim.plant.station import StationPlant
from hil_sim.plant.weather import SteadyWeather

SCAN_S = 5.0
CALM_S, FAULT_S, AFTER_S = 1800.0, 900.0, 600.0
JUMP_S = 2400.0
OUTDOOR_C = -10.0
STROKE_S = 90.0
# Backlash, deadband and noise let two runs of one seed differ by this much without any cause.
ALIKE_PCT = 4.0
# A setpoint that differs by less than this moves no valve.
SAME_K = 0.1
BEGAN = datetime(2026, 1, 15, tzinfo=UTC)

Reading = tuple[float, Quality]
Fault = Callable[[float, float], Reading]
"""What a point shows instead of its true value, given that and the time since the fault, s."""


def nan(_value: float, _since_s: float) -> Reading:
    """Not a number, out of range, an open or shorted loop, swapped words: all of them are BAD."""
    return math.nan, Quality.BAD


def stale(value: float, _since_s: float) -> Reading:
    return value, Quality.STALE


def out_of_specification(value: float, _since_s: float) -> Reading:
    """A loop between 3.6 and 3.8 mA: shown, and not acted on."""
    return value + 7.0, Quality.STALE


def off(by: float) -> Fault:
    return lambda value, _since_s: (value + by, Quality.GOOD)


def drifting(per_h: float) -> Fault:
    return lambda value, since_s: (value + per_h * since_s / 3600.0, Quality.GOOD)


def flickering(value: float, since_s: float) -> Reading:
    """Good and bad by turns: a loose contact."""
    return (value, Quality.GOOD) if since_s % 20.0 < 10.0 else (math.nan, Quality.BAD)


@dataclass
class Run:
    """A plant in frost under the real decision, whose points a test may spoil.

    `neighbour` is whether another station tells its outdoor temperature, `highest_c` the highest
    supply setpoint.
    """

    neighbour: bool = True
    outdoor_c: float = OUTDOOR_C
    highest_c: float = 83.0
    spoilt: dict[str, Fault] = field(default_factory=dict)
    setpoints: list[float] = field(default_factory=list)
    valves: list[float] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)
    decision: Decision | None = None

    def __post_init__(self) -> None:
        parameters = reference_plant()
        plant = StationPlant(
            parameters, random.Random("plant"), weather=SteadyWeather(self.outdoor_c)
        )
        curve = exact_curve(parameters, 21.0)
        station = station_for(SHIPPED, parameters, curve, 21.0)
        order = ("T_out", "st-02.T_out", "last_good") if self.neighbour else ("T_out", "last_good")
        circuit = station.circuits["main"]
        limits = replace(circuit.limits, T2g_c=(20.0, self.highest_c))
        self.station = replace(
            station,
            outdoor=replace(station.outdoor, order=order),
            circuits={"main": replace(circuit, limits=limits)},
        )
        self.rig = Rig(
            plant, self.station, curve=curve, room_c=20.5, collectors=PROMPT, rng=random.Random(1)
        )
        self.plan = plan_station(self.station)
        self.state = first_state(self.plan)
        device = next(iter(self.station.devices.values()))
        self.plausibility = Plausibility(self.rig.table, checks_of(device.registers))
        self.at = Instant(0.0, BEGAN)
        self.since_s = 0.0

    def image(self) -> ProcessImage:
        """What the drivers make of what the sensors show."""
        whole = self.rig.image(self.at)
        values, qualities = list(whole.values), bytearray(whole.qualities)
        for tag, fault in self.spoilt.items():
            column = whole.table.index[Tag(tag)]
            values[column], quality = fault(values[column], self.since_s)
            qualities[column] = quality
        asked_s = [self.at.monotonic_s] * len(values)
        self.plausibility.look((), values, asked_s, self.at.monotonic_s)
        seen = self.plausibility.marked(Columns(tuple(values), bytes(qualities), whole.ages_s))
        return replace(whole, values=seen.values, qualities=seen.qualities, doubts=seen.doubts)

    def scan(self) -> None:
        self.at = Instant(self.at.monotonic_s + SCAN_S, self.at.utc + timedelta(seconds=SCAN_S))
        self.since_s += SCAN_S
        self.rig.advance(SCAN_S)
        elsewhere = {"st-02.T_out": Sample(self.outdoor_c, Quality.GOOD, 1.0)}
        surroundings = Surroundings(
            outdoor=elsewhere if self.neighbour else {},
            devices={name: healthy(name) for name in self.station.devices},
            is_journal_degraded=False,
            is_read_only=False,
            is_simulation=True,
        )
        made = decide(self.plan, self.image(), surroundings, (), self.state, dt_s=SCAN_S)
        self.state, self.decision = made.state, made
        self.rig.write(made.outputs.values, made.outputs.pulses)
        self.setpoints.append(made.circuits[0].chain.setpoint_c)
        self.valves.append(self.rig.plant.valve.command_pct)
        self.written.append("CV1_SV" in made.outputs.values)

    def play(self, seconds: float, spoilt: Mapping[str, Fault] | None = None) -> None:
        self.spoilt, self.since_s = dict(spoilt or {}), 0.0
        for _ in range(round(seconds / SCAN_S)):
            self.scan()


@cache
def _calm(*, neighbour: bool, outdoor_c: float, highest_c: float) -> Run:
    run = Run(neighbour=neighbour, outdoor_c=outdoor_c, highest_c=highest_c)
    run.play(CALM_S)
    return run


def calm(*, neighbour: bool = True, outdoor_c: float = OUTDOOR_C, highest_c: float = 83.0) -> Run:
    """Return a run that has settled; each call gives one of its own."""
    run = _calm(neighbour=neighbour, outdoor_c=outdoor_c, highest_c=highest_c)
    # What is frozen is shared.
    frozen = (run.plan, run.station, run.state, run.decision, run.rig.table)
    return copy.deepcopy(run, {id(one): one for one in frozen})


@cache
def twin(*, neighbour: bool = True, seconds: float = FAULT_S) -> Run:
    return played({}, neighbour=neighbour, seconds=seconds)


def played(spoilt: Mapping[str, Fault], *, neighbour: bool = True, seconds: float = FAULT_S) -> Run:
    run = calm(neighbour=neighbour)
    run.play(seconds, spoilt)
    run.play(AFTER_S)
    return run


def fastest_k_per_min(run: Run) -> float:
    moves = zip(run.setpoints, run.setpoints[1:], strict=False)
    return max(abs(b - a) for a, b in moves) * 60.0 / SCAN_S


def wrong_way_pct(run: Run, well: Run) -> float:
    """By how much the valve went where its setpoint did not go, against its twin, %."""
    worst = 0.0
    rows = zip(run.setpoints, well.setpoints, run.valves, well.valves, strict=True)
    for setpoint, setpoint_well, valve, valve_well in rows:
        moved_pct, asked_k = valve - valve_well, setpoint - setpoint_well
        if abs(asked_k) < SAME_K or moved_pct * asked_k < 0.0:
            worst = max(worst, abs(moved_pct))
    return worst


SENSORS = ("T_out", "T2g", "T2h", "T1g", "P1g", "F1", "T_room_avg")


def test_the_twin_itself_is_calm() -> None:
    well = twin()
    assert fastest_k_per_min(well) < 0.2
    assert all(well.written[60:])
    assert well.decision is not None
    assert well.decision.outdoor.source == "T_out"


def test_a_valve_that_went_the_wrong_way_would_be_seen() -> None:
    """Nothing can tell a supply sensor that reads 7 K too warm from a supply that is."""
    assert wrong_way_pct(played({"T2g": off(7.0)}), twin()) > 2.0 * ALIKE_PCT


@pytest.mark.parametrize("fault", [nan, stale, out_of_specification, flickering])
@pytest.mark.parametrize("tag", SENSORS)
def test_rows_32_to_36_a_sensor_that_is_lost_moves_nothing(tag: str, fault: Fault) -> None:
    run = played({tag: fault})
    assert fastest_k_per_min(run) < 1.0
    assert wrong_way_pct(run, twin()) <= ALIKE_PCT


@pytest.mark.parametrize("fault", [nan, stale])
def test_rows_32_to_36_without_a_supply_temperature_the_valve_holds(fault: Fault) -> None:
    run = calm()
    before = run.valves[-1]
    run.play(FAULT_S, {"T2g": fault})
    lost = round(CALM_S / SCAN_S)
    assert not any(run.written[lost:])
    assert set(run.valves[lost:]) == {before}
    run.play(SCAN_S)
    assert run.valves[-1] == pytest.approx(before, abs=1.5)


def test_rows_32_to_36_with_all_sensors_lost_the_valve_holds() -> None:
    run = played(dict.fromkeys(SENSORS, nan), neighbour=False)
    assert fastest_k_per_min(run) < 1.0
    assert wrong_way_pct(run, twin(neighbour=False)) <= ALIKE_PCT


@pytest.mark.parametrize("per_h", [0.5, -3.0])
def test_row_37_an_outdoor_sensor_that_drifts_is_followed_no_faster_than_it_drifts(
    per_h: float,
) -> None:
    run = played({"T_out": drifting(per_h)}, neighbour=False)
    assert fastest_k_per_min(run) < 0.2
    assert wrong_way_pct(run, twin(neighbour=False)) <= ALIKE_PCT


@pytest.mark.parametrize("by", [40.0, -12.0])
@pytest.mark.parametrize("neighbour", [True, False])
def test_row_38_an_outdoor_sensor_that_jumps_is_not_followed(
    by: float,
    neighbour: bool,
) -> None:
    run = calm(neighbour=neighbour)
    run.play(1200.0, {"T_out": off(by)})
    assert run.decision is not None
    outdoor = run.decision.outdoor
    assert outdoor.source == ("st-02.T_out" if neighbour else "last_good")
    assert outdoor.value_c == pytest.approx(OUTDOOR_C, abs=0.5)
    # After half an hour a lone sensor is believed, at its rate.
    run.play(JUMP_S - 1200.0, {"T_out": off(by)})
    run.play(AFTER_S)
    well = twin(neighbour=neighbour, seconds=JUMP_S)
    assert fastest_k_per_min(run) < 1.0
    assert wrong_way_pct(run, well) <= ALIKE_PCT
    if neighbour and by > 0.0:
        assert run.setpoints[-1] == pytest.approx(well.setpoints[-1], abs=0.1)


@pytest.mark.parametrize(("by", "neighbour"), [(8.0, True), (6.0, False)])
def test_row_38_a_sensor_in_the_sun_moves_the_setpoint_slowly_if_at_all(
    by: float,
    neighbour: bool,
) -> None:
    run, well = played({"T_out": off(by)}, neighbour=neighbour), twin(neighbour=neighbour)
    assert fastest_k_per_min(run) < 1.0
    assert wrong_way_pct(run, well) <= ALIKE_PCT
    if neighbour:
        assert run.setpoints[-1] == pytest.approx(well.setpoints[-1], abs=0.1)


@pytest.mark.parametrize("tag", ["T1g", "T2h", "P1g"])
@pytest.mark.parametrize("share", [0.8, 1.2])
def test_a_spike_of_what_looks_ahead_pushes_no_valve(tag: str, share: float) -> None:
    def spike(value: float, since_s: float) -> Reading:
        return (share * value if since_s <= 2.0 * SCAN_S else value), Quality.GOOD

    run = played({tag: spike})
    assert fastest_k_per_min(run) < 1.0
    assert wrong_way_pct(run, twin()) <= ALIKE_PCT


def test_row_42_a_valve_that_is_stuck_is_told_and_its_loop_does_not_wind_up() -> None:
    run = calm()
    run.rig.plant.valve.is_stuck = True
    stuck_pct = run.rig.read(Tag("CV1_U"))
    run.rig.plant.primary.shift(-15.0)
    alarmed = []
    for _ in range(round(FAULT_S / SCAN_S)):
        run.scan()
        assert run.decision is not None
        alarmed.append("valve_no_move" in run.decision.active_alarms)
    asked_pct = run.valves[-1]
    assert asked_pct > stuck_pct + 5.0
    first_apart = next(
        i for i, valve in enumerate(run.valves[-len(alarmed) :]) if abs(valve - stuck_pct) > 5.0
    )
    assert any(alarmed)
    assert (alarmed.index(True) - first_apart) * SCAN_S <= 2.0 * STROKE_S
    assert fastest_k_per_min(run) < 1.0
    # It asks for what the error is worth, and for no more however long it lasts.
    pid = run.decision.circuits[0].state.pid
    error_k = pid.setpoint - pid.measured
    gain = run.decision.circuits[0].state.gain
    assert pid.integral <= stuck_pct + 6.0 + gain * error_k


@pytest.mark.parametrize("lost", [(), ("T_out",), ("T2g",), ("T_out", "T2g", "T_room_p10")])
def test_row_49_a_cold_return_opens_the_valve_whatever_is_lost_and_wanted(
    lost: tuple[str, ...],
) -> None:
    run = calm(outdoor_c=-30.0, highest_c=25.0)
    least_pct = run.station.circuits["main"].frost.valve_pct
    assert run.valves[-1] < least_pct - 2.0
    freezing = {"T2h": lambda _value, _since_s: (6.0, Quality.GOOD)}
    run.play(600.0, {**dict.fromkeys(lost, nan), **freezing})
    assert min(run.valves[-60:]) >= least_pct
    assert fastest_k_per_min(run) < 1.0
