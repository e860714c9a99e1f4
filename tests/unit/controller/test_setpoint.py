"""How a supply setpoint comes about: curve, offset, limits, ramp, and what each of them did."""

import itertools
import json
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from control_loops.limits import LimitFacts
from control_loops.outdoor import OutdoorChoice
from control_loops.preheat import NO_PREHEAT, Preheat
from control_loops.room_trim import TrimFacts
from control_loops.rooms import NO_ROOMS, RobustRooms
from control_loops.schedule import NO_SHIFT, Hours, ScheduleShift, Setback
from control_loops.weather import Mixed, Sun, WeatherTerms, Wind
from controller.checkpoint import keep, restore
from controller.plan import plan_station
from controller.setpoint import SetpointChain, SetpointFacts, rooms_of, setpoint_chain
from controller.state import first_state
from core.forecast import Expected, Forecast
from core.point import Quality, TagTable
from core.rooms import Flat
from tests.unit.controller.conftest import Bench, sample

WELL = TrimFacts(RobustRooms(21.0, 20.0, 30), valve_pct=50.0, lowest_pct=5.0, highest_pct=100.0)
WARM = WELL._replace(rooms=RobustRooms(23.0, 22.0, 30))
COLD = WELL._replace(rooms=RobustRooms(19.0, 18.0, 30))
TEN_MINUTES = 120


@pytest.fixture
def chain_of(station):
    plan = plan_station(station)
    circuit, before = plan.circuits[0], first_state(plan).circuits[0]

    def make(
        outdoor_c, *, offset_k=0.0, t1h_c=48.0, rooms=WELL, schedule=NO_SHIFT, scans=1, dt_s=5.0
    ):
        state, chain = before, None
        outdoor = OutdoorChoice(outdoor_c, outdoor_c, Quality.GOOD, "T_out", 1.0)
        for _ in range(scans):
            seen = LimitFacts(outdoor_c, t1h_c, 40.0, 40.0, 2000.0)
            facts = SetpointFacts(schedule, offset_k, seen, rooms)
            chain, trim, limit, _ = setpoint_chain(circuit, state, outdoor, facts, dt_s=dt_s)
            state = state._replace(trim=trim, limit=limit, setpoint_c=chain.setpoint_c)
        return chain

    return make


@pytest.mark.parametrize(
    ("outdoor_c", "offset_k", "wanted_c", "ruling"),
    [
        (-5.0, 0.0, 56.2, ""),
        (-5.0, 3.0, 59.2, ""),
        (-40.0, 0.0, 83.0, "T2g_high"),
        (-28.4, 5.0, 83.0, "T2g_high"),
        (20.0, -10.0, 35.0, "T2g_low"),
    ],
)
def test_the_limits_have_the_last_word_and_say_so(chain_of, outdoor_c, offset_k, wanted_c, ruling):
    chain: SetpointChain = chain_of(outdoor_c, offset_k=offset_k)
    assert chain.wanted_c == pytest.approx(wanted_c)
    assert chain.ruling == ruling
    assert (f"limited by {ruling}" in chain.why) is bool(ruling)


def test_a_warm_primary_return_lowers_it_by_at_most_its_authority(chain_of):
    chain = chain_of(-5.0, t1h_c=80.0, scans=2000)
    assert chain.ruling == "T1h_max"
    assert chain.setpoint_c == pytest.approx(46.2, abs=0.1)


def test_the_first_setpoint_is_there_at_once_and_later_ones_ramp(chain_of, ours):
    assert chain_of(-5.0).setpoint_c == pytest.approx(56.2)
    ours.scan_for(600.0, T_out=-25.0, T_room_avg=17.0)
    setpoints = [d.circuits[0].chain.setpoint_c for d in ours.decisions]
    steps = [b - a for a, b in itertools.pairwise(setpoints)]
    assert max(steps) <= 10.0 * 5.0 / 3600.0 + 1e-9


def test_without_an_outdoor_temperature_there_is_none(chain_of):
    assert math.isnan(chain_of(math.nan).setpoint_c)


def test_it_tells_where_it_comes_from(chain_of):
    assert chain_of(-5.0, offset_k=-1.5).why == "curve at -5.0 °C (T_out), offset -1.5 K"


def test_cold_flats_raise_it_and_warm_ones_lower_it_slowly(chain_of):
    cold, warm = (chain_of(-5.0, rooms=rooms, scans=TEN_MINUTES) for rooms in (COLD, WARM))
    assert cold.wanted_c - cold.curve_c == pytest.approx(1.0 / 6.0, abs=0.01)
    assert warm.wanted_c - warm.curve_c == pytest.approx(-1.0 / 6.0, abs=0.01)
    assert ", rooms +0.2 K" in cold.why


def test_flats_that_say_nothing_change_nothing(chain_of):
    chain = chain_of(-5.0, rooms=WELL._replace(rooms=NO_ROOMS), scans=TEN_MINUTES)
    assert chain.wanted_c == chain.curve_c


@pytest.mark.parametrize(
    ("spoilt", "frozen"),
    [
        ({"T_room_avg": Quality.BAD}, "no rooms"),
        ({"T_room_avg": Quality.STALE}, "no rooms"),
        ({}, ""),
    ],
)
def test_only_trustworthy_rooms_are_followed(ours, spoilt, frozen):
    ours.qualities.update(spoilt)
    rooms = ours.scan_for(600.0, T_room_avg=19.0).circuits[0].chain.rooms
    assert (rooms.frozen, rooms.shift_k > 0.1) == (frozen, not frozen)


def test_an_unknown_number_of_flats_lowers_nothing(ours):
    ours.spoil("T_room_n")
    assert ours.scan_for(600.0, T_room_avg=24.0, T_room_p10=23.0).circuits[0].chain.rooms[0] == 0.0


def test_a_station_on_its_own_curve_teaches_the_rooms_nothing(bench):
    rooms = bench.scan_for(300.0, T_room_avg=19.0).circuits[0].chain.rooms
    assert (rooms.frozen, rooms.shift_k) == ("not in control", 0.0)


def test_flats_that_report_for_themselves_go_before_the_plcs_mean(ours):
    flats = tuple(Flat(name=f"1-{n}", circuit="main") for n in range(7))
    plan = replace(ours.plan.circuits[0], flats=flats)
    table = TagTable([plan.rooms_avg, *(flat.tag for flat in flats)])
    values = (25.0, *[20.0] * 6, 9.0)
    image = replace(
        ours.image(),
        table=table,
        values=values,
        qualities=bytes([Quality.GOOD] * len(values)),
        ages_s=(1.0,) * len(values),
    )
    assert rooms_of(plan, image)[::2] == (pytest.approx(20.0), 6)
    assert rooms_of(ours.plan.circuits[0], image).mean_c == 25.0


def test_a_night_lowers_it_and_is_named(chain_of):
    chain = chain_of(-5.0, schedule=ScheduleShift(-6.0, "night"))
    assert chain.wanted_c == pytest.approx(50.2)
    assert "night -6.0 K" in chain.why


class TestPreheating:
    """The example's curve falls by 6.2 K in 5 K here, so a kelvin of room is 2.24 K of supply."""

    PREHEAT = Preheat(below_c=-20.0, ahead_s=86400.0, by_k=1.0)
    NIGHT = Setback(between=Hours.from_text("00:00-23:59"), lower_k=6.0)

    def bench(self, station, hours_c, **circuit):
        """Return a bench whose forecast has these temperatures, an hour apart, from now on."""
        config = replace(station.circuits["main"], preheat=self.PREHEAT, **circuit)
        made = Bench(replace(station, circuits={"main": config})).take_over()
        made.see(forecast=self.forecast(made, hours_c))
        return made

    def forecast(self, bench, hours_c):
        at = bench.at.utc
        after_s = tuple(3600.0 * hour for hour in range(len(hours_c)))
        hours = tuple(Expected(c) for c in hours_c)
        return Forecast(at, at + timedelta(days=1), after_s, hours)

    def test_a_cold_ahead_raises_supply_and_wanted_room_within_hours(self, station):
        bench = self.bench(station, [-5.0] * 20 + [-22.0] + [-5.0] * 10)
        chain = bench.scan_for(5.0).circuits[0].chain
        assert 0.0 < chain.preheat.room_k < 0.001
        chain = bench.scan_for(4.1 * 3600.0).circuits[0].chain
        assert chain.preheat == (1.0, pytest.approx(2.24, abs=0.01), -22.0)
        assert chain.wanted_c == pytest.approx(chain.curve_c + 2.24 + chain.rooms.shift_k, abs=0.01)
        assert "preheat +2.2 K" in chain.why
        # Rooms at the target that is wanted without preheating are now a kelvin too cold.
        assert chain.rooms.shift_k > 1.0

    def test_it_begins_a_day_before_and_ends_with_the_cold(self, station):
        bench = self.bench(station, [-5.0] * 26 + [-22.0] + [-5.0] * 10)
        assert bench.scan().circuits[0].chain.preheat.room_k == 0.0
        bench.see(forecast=self.forecast(bench, [-5.0] * 24 + [-22.0] * 2))
        assert bench.scan().circuits[0].chain.preheat.room_k > 0.0
        bench.see(forecast=self.forecast(bench, [-5.0] * 30))
        chain = bench.scan_for(60.0).circuits[0].chain
        assert (chain.preheat.room_k, chain.preheat.supply_k) == (0.0, 0.0)
        assert "preheat" not in chain.why

    def test_a_lost_forecast_fades(self, station):
        bench = self.bench(station, [-22.0] * 30)
        warm = bench.scan_for(3600.0).circuits[0].chain.preheat
        bench.see(forecast=None)
        later = bench.scan_for(1800.0).circuits[0].chain.preheat
        assert later.why == "no forecast"
        assert (warm.room_k, later.room_k) == (pytest.approx(0.25), pytest.approx(0.125))

    def test_it_outlives_a_restart_and_no_more_than_it_may(self, station):
        bench = self.bench(station, [-22.0] * 30)
        bench.scan_for(3600.0)
        kept = json.loads(json.dumps(keep(bench.plan, bench.state)))
        for preheat_k, restored_k in ((0.25, 0.25), (9.0, 1.0), (-1.0, 0.0)):
            assert kept["circuits"]["main"]["preheat_k"] == pytest.approx(0.25)
            changed = kept | {
                "circuits": {"main": kept["circuits"]["main"] | {"preheat_k": preheat_k}}
            }
            again = restore(bench.plan, first_state(bench.plan), changed, away_s=60.0)
            assert again.circuits[0].preheat_k == restored_k
        late = restore(bench.plan, first_state(bench.plan), kept, away_s=86400.0)
        assert late.circuits[0].preheat_k == 0.0

    @pytest.mark.parametrize(("coldest_c", "shift_k"), [(-22.0, 0.0), (-10.0, -6.0)])
    def test_before_such_a_cold_nobody_is_set_back(self, station, coldest_c, shift_k):
        bench = self.bench(station, [coldest_c] * 30, schedule={"night": self.NIGHT})
        chain = bench.scan().circuits[0].chain
        assert chain.schedule.shift_k == shift_k
        assert chain.rooms.frozen == ("schedule" if shift_k else "")

    def test_a_boost_stands_beside_it_and_a_setback_waits_until_it_is_gone(self, station):
        morning = Setback(
            between=Hours.from_text("00:00-00:01"), lower_k=1.0, boost_k=5.0, boost_for_s=14400.0
        )
        bench = self.bench(station, [-22.0] * 30, schedule={"morning": morning})
        bench.at = replace(bench.at, utc=bench.at.utc.replace(hour=17, minute=0))
        bench.see(forecast=self.forecast(bench, [-22.0] * 30))
        assert bench.scan().circuits[0].chain.schedule.shift_k == 5.0
        bench = self.bench(station, [-22.0] * 30, schedule={"night": self.NIGHT})
        bench.scan_for(3600.0)
        bench.see(forecast=self.forecast(bench, [-5.0] * 30))
        shifts = [bench.scan_for(1800.0).circuits[0].chain.schedule.shift_k for _ in range(3)]
        assert shifts == [0.0, 0.0, -6.0]

    def test_while_a_boiler_heats_it_ends(self, station):
        bench = self.bench(station, [-22.0] * 30)
        bench.scan_for(3600.0)
        plan = bench.plan
        chain = setpoint_chain(
            plan.circuits[0],
            bench.state.circuits[0],
            bench.last.outdoor,
            SetpointFacts(
                NO_SHIFT,
                0.0,
                LimitFacts(-5.0, 48.0, 40.0, 40.0, 2000.0),
                WELL._replace(frozen="source"),
                coldest_c=-22.0,
            ),
            dt_s=3600.0,
        ).chain
        assert chain.preheat.room_k == 0.0

    def test_what_is_too_cold_for_a_flat_stays_as_it_was(self, station):
        bench = self.bench(station, [-22.0] * 30)
        rooms = bench.scan_for(10800.0, T_room_avg=22.5, T_room_p10=19.2).circuits[0].chain.rooms
        assert rooms.rules == "guard"
        assert rooms.shift_k < 0.0

    def test_without_the_key_a_forecast_of_cold_changes_nothing(self, ours):
        ours.see(forecast=self.forecast(ours, [-30.0] * 30))
        chain = ours.scan().circuits[0].chain
        assert chain.preheat is NO_PREHEAT
        assert chain.wanted_c == pytest.approx(chain.curve_c + chain.rooms.shift_k)


def windy(station, **terms):
    """Return the station whose circuit feels more of the weather than its temperature."""
    circuit = replace(station.circuits["main"], weather=WeatherTerms(**terms))
    return replace(station, circuits={"main": circuit})


class TestTheWeatherTerms:
    def test_wind_from_another_station_and_sun_from_the_forecast_reach_the_curve(self, station):
        terms = {
            "wind": Wind(source="st-02.wind", per_m_s_k=0.5),
            "sun": Sun(source="forecast", per_100_w_k=1.0, filter_s=0.0),
        }
        bench = Bench(windy(station, **terms))
        bench.see(
            outdoor={"st-02.wind": sample(8.0)},
            forecast=Forecast(
                bench.at.utc,
                bench.at.utc + timedelta(days=1),
                (0.0, 3600.0, 7200.0),
                (Expected(-5.0, 9.0, 50.0),) * 3,
            ),
        )
        assert bench.plan.elsewhere == ("T_out", "st-02.T_out", "st-02.wind")
        chain = bench.scan_for(1800.0).circuits[0].chain
        assert (chain.felt.wind_k, chain.felt.sun_k) == (pytest.approx(2.0), pytest.approx(0.5))
        assert chain.felt.outdoor_c == pytest.approx(-6.5)
        assert chain.curve_c == pytest.approx(56.2 + 1.5 * (62.4 - 56.2) / 5.0)
        assert chain.why.startswith("curve at -6.5 °C (T_out)")

    def test_while_a_sensor_in_the_sun_rules_the_sun_counts_once(self, station):
        config = windy(station, sun=Sun(source="T_room_n", per_100_w_k=1.0, filter_s=0.0))
        lit = replace(config, outdoor=replace(config.outdoor, in_sun=("T_out",)))
        shaded, sunlit = Bench(config), Bench(lit)
        for bench in (shaded, sunlit):
            bench.scan_for(1800.0, T_room_n=200.0)
        assert shaded.last.circuits[0].chain.felt.sun_k == pytest.approx(2.0)
        assert sunlit.last.circuits[0].chain.felt.sun_k == 0.0

    def test_its_memory_outlives_a_restart(self, station):
        config = windy(station, mixed=Mixed(), wind=Wind(source="T_room_n", per_m_s_k=0.3))
        bench = Bench(config)
        bench.scan_for(3600.0, T_out=-12.0, T_room_n=10.0)
        kept = json.loads(json.dumps(keep(bench.plan, bench.state)))
        again = restore(bench.plan, first_state(bench.plan), kept, away_s=60.0)
        assert again.circuits[0].weather == bench.state.circuits[0].weather
        late = restore(bench.plan, first_state(bench.plan), kept, away_s=86400.0)
        assert late.circuits[0].weather is None

    def test_a_circuit_without_terms_remembers_and_keeps_nothing(self, ours):
        assert ours.plan.circuits[0].weather is None
        assert ours.scan().circuits[0].chain.felt is None
        assert "weather" not in keep(ours.plan, ours.state)["circuits"]["main"]
