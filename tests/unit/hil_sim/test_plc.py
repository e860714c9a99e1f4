"""The PLC: what it shows, who is in command, and what its interlocks do."""

import random
import re
from pathlib import Path

import pytest

from hil_sim.plant.boiler import BurnerState
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc
from hil_sim.plc_parameters import ProgramParameters
from hil_sim.plc_points import PULSES, WRITABLE

CURVE = ((-25.0, 80.5), (-15.0, 68.7), (-5.0, 56.2), (5.0, 42.9), (10.0, 35.5))
MAP = Path(__file__).parents[3] / "config/examples/maps/station-plc-v1.yaml"
LINE = re.compile(r"^  (\w+): \{at: .*?(?:range: (\S+?)\.\.(\S+?)[,}].*?)?(?:write: (\w+).*)?\}")


def map_points() -> dict[str, tuple[str, ...]]:
    found = (LINE.match(line) for line in MAP.read_text(encoding="utf-8").splitlines())
    return {match[1]: match.groups()[1:] for match in found if match}


def a_plc(outdoor_c: float = -10.0, *, seed: int = 1) -> SimPlc:
    rng = random.Random(seed)
    plant = StationPlant(StationParameters(), rng, weather=SteadyWeather(outdoor_c))
    plc = SimPlc(plant, rng=rng, curve=CURVE, plc_id=17)
    plc.warm_start()
    return plc


class Remote:
    """A controller that holds the valve where it is and keeps the heartbeat alive."""

    def __init__(self, plc: SimPlc, *, tracks: bool = True) -> None:
        self.plc = plc
        self.tracks = tracks
        self.beats = 0

    def hold(self, seconds: float) -> None:
        for _ in range(round(seconds / 5.0)):
            self.beats += 1
            self.plc.write("HB_SCADA", float(self.beats))
            if self.tracks and self.plc.registers["FALLBACK"]:
                self.plc.write("CV1_SV", self.plc.registers["CV1_U"])
            self.plc.scan(5.0)


def in_remote(plc: SimPlc) -> Remote:
    remote = Remote(plc)
    remote.hold(60.0)
    assert plc.registers["FALLBACK"] == 0.0
    return remote


def test_it_has_exactly_the_points_of_its_map() -> None:
    assert set(a_plc().registers) == set(map_points())


def test_it_lets_write_exactly_what_the_map_lets_write() -> None:
    points = map_points()
    writable = {tag for tag, point in points.items() if point[2] == "yes"}
    pulses = {tag for tag, point in points.items() if point[2] == "pulse"}
    assert writable == set(WRITABLE)
    assert pulses == set(PULSES)
    for tag in writable - {"HB_SCADA"}:
        assert WRITABLE[tag] == (float(points[tag][0]), float(points[tag][1]))


@pytest.mark.parametrize(
    ("tag", "value", "is_taken"),
    [
        ("CV1_SV", 55.0, True),
        ("CV1_SV", 100.1, False),
        ("CV1_SV", -0.1, False),
        ("CV1_SV", float("nan"), False),
        ("B_enable", 1.0, True),
        ("B_enable", 2.0, False),
        ("FB_x3", -51.0, False),
        ("FB_y8", 80.0, True),
        ("XP1_start", 1.0, True),
        ("T2g", 60.0, False),
        ("no_such_tag", 1.0, False),
    ],
)
def test_writes_are_checked(tag: str, value: float, *, is_taken: bool) -> None:
    plc = a_plc()
    before = plc.registers.get(tag)
    assert plc.write(tag, value) is is_taken
    if not is_taken:
        assert plc.registers.get(tag) == before


def test_each_scan_and_each_write_makes_a_new_generation() -> None:
    plc = a_plc()
    before = plc.generation
    plc.scan(1.0)
    scanned = plc.generation
    plc.write("CV1_SV", 50.0)
    assert before < scanned < plc.generation


def test_the_heartbeat_counts_seconds_however_they_are_scanned() -> None:
    plc = a_plc()
    plc.scan(5.0)
    for _ in range(10):
        plc.scan(0.5)
    assert plc.registers["HB_PLC"] == 10.0


def test_the_heartbeat_wraps_like_a_word() -> None:
    plc = a_plc()
    plc.registers["HB_PLC"] = 65_535.0
    plc.scan(1.0)
    assert plc.registers["HB_PLC"] == 0.0


def test_a_warm_start_is_steady_on_the_own_curve() -> None:
    # given a warm start, when an hour passes
    plc = a_plc(-10.0)
    plc.scan(3600.0)
    registers = plc.registers
    # then supply, pressure difference and rooms are where they were
    assert registers["FALLBACK"] == 1.0
    assert registers["T2g"] == pytest.approx(62.5, abs=1.0)
    assert registers["P2D"] == pytest.approx(180.0, abs=6.0)
    assert registers["T_room_avg"] == pytest.approx(21.0, abs=0.3)
    assert registers["Q1"] == pytest.approx(3700.0, rel=0.1)
    assert registers["T_room_n"] == 60.0


def test_every_shown_value_lies_within_the_maps_range() -> None:
    plc = a_plc(-16.8)
    plc.scan(600.0)
    for tag, (low, high, _) in map_points().items():
        if low is not None:
            assert float(low) <= plc.registers[tag] <= float(high), tag


def test_scans_of_one_and_of_five_seconds_tell_the_same_story() -> None:
    slow, fast = a_plc(seed=9), a_plc(seed=9)
    for _ in range(360):
        slow.scan(5.0)
    for _ in range(1800):
        fast.scan(1.0)
    assert slow.registers == fast.registers
    assert slow.plant.truth() == fast.plant.truth()


def test_the_same_seed_gives_the_same_registers_and_another_seed_others() -> None:
    stories = []
    for seed in (3, 3, 4):
        plc = a_plc(seed=seed)
        plc.scan(1800.0)
        stories.append(dict(plc.registers))
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


def test_totals_only_grow() -> None:
    plc = a_plc()
    plc.inject("leak", m3h=3.0)
    seen = []
    for _ in range(60):
        plc.scan(60.0)
        seen.append((plc.registers["Q1_tot"], plc.registers["F3_tot"]))
    assert seen == sorted(seen)
    assert seen[-1][0] == pytest.approx(3.73 * 3.6, rel=0.05)
    assert seen[-1][1] > 1.0


def test_three_heartbeats_of_a_controller_that_tracks_give_it_the_station() -> None:
    # given the own curve, when a controller beats every five seconds
    plc = a_plc()
    remote = Remote(plc)
    remote.hold(10.0)
    assert plc.registers["FALLBACK"] == 1.0
    remote.hold(10.0)
    # then the third beat brings remote
    assert plc.registers["FALLBACK"] == 0.0


def test_a_controller_that_does_not_track_waits_and_then_moves_the_valve_without_a_step() -> None:
    # given a valve near 87 % and a controller that writes 40 %
    plc = a_plc()
    remote = Remote(plc, tracks=False)
    plc.write("CV1_SV", 40.0)
    remote.hold(50.0)
    assert plc.registers["FALLBACK"] == 1.0
    # when its patience is over
    before = plc.registers["CV1_U"]
    remote.hold(30.0)
    assert plc.registers["FALLBACK"] == 0.0
    # then the valve follows at its own rate
    assert before - plc.registers["CV1_U"] <= 30.0 * 100.0 / 90.0 + 1.0
    remote.hold(60.0)
    assert plc.registers["CV1_U"] == pytest.approx(40.0, abs=1.0)


def test_silence_for_the_timeout_brings_the_own_curve_without_a_bump() -> None:
    # given a controller in command that falls silent
    plc = a_plc()
    in_remote(plc)
    position = plc.registers["CV1_U"]
    plc.scan(50.0)
    assert plc.registers["FALLBACK"] == 0.0
    assert plc.registers["CV1_U"] == pytest.approx(position, abs=0.6)
    # when the timeout is over
    plc.scan(10.0)
    # then the own curve rules, and the valve starts where it was
    assert plc.registers["FALLBACK"] == 1.0
    assert plc.registers["CV1_U"] == pytest.approx(position, abs=1.0)
    plc.scan(1800.0)
    assert plc.plant.truth().supply_c == pytest.approx(62.5, abs=1.5)


def test_the_own_curve_leaves_the_boiler_as_it_was() -> None:
    # given a controller that has enabled the boiler
    plc = a_plc(-20.0)
    remote = in_remote(plc)
    plc.write("B_Tset", 80.0)
    plc.write("B_enable", 1.0)
    remote.hold(300.0)
    assert plc.registers["B_firing"] == 1.0
    # when it falls silent, then the boiler burns on
    plc.scan(600.0)
    assert plc.registers["FALLBACK"] == 1.0
    assert plc.registers["B_firing"] == 1.0


def test_in_remote_valve_and_pumps_follow_what_is_written() -> None:
    plc = a_plc()
    remote = in_remote(plc)
    plc.write("CV1_SV", 70.0)
    plc.write("XP_SV", 40.0)
    remote.hold(60.0)
    assert plc.registers["CV1_U"] == pytest.approx(70.0, abs=0.6)
    assert plc.registers["XP1_Hz"] == pytest.approx(40.0)


def test_pulses_start_and_stop_pumps_in_remote_only() -> None:
    # given the own curve, then a pulse does nothing
    plc = a_plc()
    plc.write("XP2_start", 1.0)
    plc.scan(5.0)
    assert plc.registers["XP2_run"] == 0.0
    # given remote, then it does
    remote = in_remote(plc)
    plc.write("XP2_start", 1.0)
    plc.write("BP1_start", 1.0)
    plc.write("BP_SV", 45.0)
    remote.hold(10.0)
    assert plc.registers["XP2_run"] == plc.registers["BP1_run"] == 1.0
    plc.write("XP1_stop", 1.0)
    plc.write("BP1_stop", 1.0)
    remote.hold(10.0)
    assert plc.registers["XP1_run"] == plc.registers["BP1_run"] == 0.0
    assert plc.registers["XP2_run"] == 1.0


def test_local_mode_at_the_panel_keeps_remote_out() -> None:
    plc = a_plc()
    remote = in_remote(plc)
    plc.inject("local-mode")
    remote.hold(300.0)
    assert plc.registers["LOC_REM"] == 0.0
    assert plc.registers["FALLBACK"] == 1.0
    plc.inject("local-mode", active=False)
    remote.hold(60.0)
    assert plc.registers["FALLBACK"] == 0.0


def test_a_new_own_curve_is_followed() -> None:
    plc = a_plc()
    for n in range(1, 9):
        plc.write(f"FB_y{n}", 50.0)
    plc.scan(1800.0)
    assert plc.plant.truth().supply_c == pytest.approx(50.0, abs=1.5)


@pytest.mark.parametrize("tag", ["T2g", "T_out", "P2h", "P2g", "LT301"])
def test_a_broken_sensor_does_not_throw_the_own_curve(tag: str) -> None:
    # given the own curve, when a sensor that it uses breaks
    plc = a_plc()
    plc.scan(600.0)
    plc.inject("sensor-open", tag=tag)
    plc.scan(600.0)
    # then the station runs on nearly as before
    truth = plc.plant.truth()
    assert truth.supply_c == pytest.approx(62.5, abs=2.5)
    assert truth.static_mpa == pytest.approx(0.40, abs=0.03)
    assert truth.flow_m3h == pytest.approx(175.0, rel=0.05)


def test_the_make_up_pump_of_the_own_loop_stops_when_remote_takes_over() -> None:
    # given a leak that the own loop makes up for
    plc = a_plc()
    plc.inject("leak", m3h=6.0)
    while plc.registers["BP1_run"] == 0.0:
        plc.scan(5.0)
    # when a controller takes over, then make-up is its affair
    Remote(plc).hold(20.0)
    assert plc.registers["FALLBACK"] == plc.registers["BP1_run"] == 0.0


def test_noise_at_the_end_of_a_range_is_not_shown_but_a_broken_wire_is() -> None:
    plc = a_plc()
    plc.inject("both-pumps-trip")
    plc.scan(300.0)
    seen = []
    for _ in range(60):
        plc.scan(5.0)
        seen += [plc.registers["CV1_U"], plc.registers["P2D"], plc.registers["F2"]]
    assert min(seen) >= 0.0
    plc.inject("sensor-open", tag="P2g")
    assert plc.registers["P2D"] > 400.0


@pytest.mark.parametrize("points", [0, 9])
def test_a_curve_has_one_to_eight_points(points: int) -> None:
    plant = StationPlant(StationParameters(), random.Random(1))
    with pytest.raises(ValueError, match="1 to 8 points"):
        SimPlc(plant, rng=random.Random(1), curve=[(float(i), 50.0) for i in range(points)])


def test_a_cold_start_runs_the_pump_and_warms_the_circuit() -> None:
    # given a station that was never started
    rng = random.Random(1)
    plant = StationPlant(StationParameters(), rng, weather=SteadyWeather(-5.0))
    plc = SimPlc(plant, rng=rng, curve=CURVE)
    # when two hours pass, then it is on its curve
    plc.scan(7200.0)
    assert plc.registers["XP1_run"] == 1.0
    assert plant.truth().supply_c == pytest.approx(56.2, abs=2.0)
    assert plant.boiler.state is BurnerState.OFF


class TestAValveWithContacts:
    @pytest.fixture
    def plc(self):
        rng = random.Random(1)
        plant = StationPlant(StationParameters(), rng, weather=SteadyWeather(-10.0))
        program = ProgramParameters(has_contacts=True)
        plc = SimPlc(plant, rng=rng, curve=CURVE, plc_id=17, program=program)
        plc.warm_start()
        return plc

    @pytest.fixture
    def remote(self, plc):
        """Whoever has the valve, for as long as it beats."""
        for beat in range(30):
            plc.write("HB_SCADA", float(beat))
            plc.scan(1.0)
        assert plc.registers["FALLBACK"] == 0.0
        return plc

    @pytest.mark.parametrize(("tag", "way"), [("CV1_raise", 1.0), ("CV1_lower", -1.0)])
    @pytest.mark.parametrize("seconds", [0.6, 3.0])
    def test_its_timer_runs_for_just_so_long(self, remote, tag, way, seconds):
        before = remote.plant.valve.motor_pct
        assert remote.write(tag, seconds)
        remote.scan(8.0)
        moved = remote.plant.valve.motor_pct - before
        assert moved == pytest.approx(way * seconds / 90.0 * 100.0)
        assert remote.plant.valve.starts == 1

    def test_a_new_time_takes_the_place_of_the_old_one(self, remote):
        before = remote.plant.valve.motor_pct
        remote.write("CV1_raise", 9.0)
        remote.scan(1.0)
        remote.write("CV1_lower", 1.0)
        remote.scan(5.0)
        assert remote.plant.valve.motor_pct == pytest.approx(before)

    def test_when_heatd_dies_in_a_move_the_valve_stops_and_the_own_curve_takes_over(self, remote):
        before = remote.plant.valve.motor_pct
        remote.write("CV1_raise", 4.5)
        remote.scan(5.0)
        stands = remote.plant.valve.motor_pct
        assert stands == pytest.approx(before + 5.0)
        remote.scan(50.0)
        assert (remote.plant.valve.motor_pct, remote.registers["FALLBACK"]) == (stands, 0.0)
        remote.scan(300.0)
        assert remote.registers["FALLBACK"] == 1.0
        assert remote.plant.valve.motor_pct != stands

    def test_on_its_own_curve_it_hears_no_times(self, plc):
        before = plc.plant.valve.motor_pct
        plc.write("CV1_raise", 9.0)
        plc.scan(5.0)
        assert plc.plant.valve.motor_pct == pytest.approx(before, abs=2.0)
