"""How the flats correct the supply: slowly, within bounds, and not at all without good rooms."""

from dataclasses import replace
from math import isnan, nan

import pytest

from control_loops.room_trim import REST, RoomTarget, RoomTrim, TrimFacts, TrimState, trim_step
from control_loops.rooms import NO_ROOMS, FlatWeights, RobustRooms, Trimming, robust_rooms
from core.point import Quality, Sample
from core.rooms import Flat, FlatPosition, RoomReading

TARGET = RoomTarget(target_c=21.0, lowest_c=19.0)
DEFAULT = RoomTrim()
TIGHT = RoomTrim(gain=6.0, max_down_k=6.0, rate_k_per_h=6.0)
WELL = TrimFacts(RobustRooms(21.0, 20.0, 30), valve_pct=50.0, lowest_pct=5.0, highest_pct=100.0)
DT_S = 60.0
HOUR, DAY = 60, 1440


def at(mean_c: float, p10_c: float = 20.0, good: int = 30, **more: object) -> TrimFacts:
    return WELL._replace(rooms=RobustRooms(mean_c, p10_c, good), **more)


def after(facts: TrimFacts, scans: int, *, trim: RoomTrim = DEFAULT, state: TrimState = REST):
    gain = 2.0 if trim.gain is None else trim.gain
    for _ in range(scans):
        move, state = trim_step(trim, gain, TARGET, state, facts, DT_S)
    return move, state


class TestTheShift:
    @pytest.mark.parametrize(("mean_c", "sign"), [(20.0, 1.0), (21.0, 0.0), (22.0, -1.0)])
    def test_goes_the_way_that_the_rooms_ask_for_at_a_kelvin_an_hour(self, mean_c, sign):
        assert after(at(mean_c), HOUR)[0].shift_k == pytest.approx(sign * 1.0, abs=0.02)

    def test_is_two_kelvin_per_kelvin_and_grows_while_the_rooms_stay_off(self):
        early, late = (after(at(20.5), n * HOUR)[0].shift_k for n in (2, 8))
        assert early == pytest.approx(1.0 * (1.0 + 1.0 / 6.0), abs=0.1)
        assert late == pytest.approx(1.0 * (1.0 + 7.5 / 6.0), abs=0.1)

    def test_keeps_its_bounds_however_long_it_lasts(self):
        assert after(at(16.0), 3 * DAY)[0].shift_k == 6.0
        assert after(at(26.0, 24.0), 3 * DAY)[0].shift_k == -2.0

    def test_comes_back_at_once_from_a_bound(self):
        _, state = after(at(16.0), 3 * DAY)
        assert after(at(23.0), 2 * HOUR, state=state)[0].shift_k < 5.0

    def test_does_not_step_when_the_rooms_jump(self):
        _, state = after(at(21.0), HOUR)
        assert abs(after(at(35.0, 33.0), 1, state=state)[0].shift_k) <= 1.0 / 60.0

    def test_off_is_off(self):
        assert after(at(16.0), DAY, trim=replace(DEFAULT, gain=0.0))[0].shift_k == 0.0


class TestTheGuard:
    def test_the_coldest_tenth_below_19_raises_whatever_the_mean_says(self):
        move, _ = after(at(21.5, 18.0), 2 * HOUR)
        assert (move.rules, move.shift_k > 1.0) == ("guard", True)

    def test_an_unknown_tenth_guards_nothing_and_stops_nothing(self):
        move, _ = after(at(20.0, nan), HOUR)
        assert (move.rules, move.shift_k) == ("mean", pytest.approx(1.0, abs=0.02))


class TestItStandsStill:
    @pytest.mark.parametrize("why", ["source", "not in control"])
    def test_while_the_rooms_answer_is_not_the_setpoints_doing(self, why):
        before, state = after(at(20.0), HOUR)
        held, _ = after(at(17.0, frozen=why), DAY, state=state)
        assert (held.shift_k, held.frozen) == (before.shift_k, why)

    def test_towards_the_side_on_which_the_valve_is_at_its_end(self):
        _, state = after(at(20.0), HOUR)
        opened, up = after(at(18.0, valve_pct=100.0), DAY, state=state)
        assert (opened.shift_k, opened.frozen) == (state.pid.output, "valve open")
        assert after(at(22.0, valve_pct=100.0), HOUR, state=up)[0].shift_k < state.pid.output
        shut, _ = after(at(23.0, 22.0, valve_pct=5.0), DAY, state=REST)
        assert (shut.shift_k, shut.frozen) == (0.0, "valve shut")

    @pytest.mark.parametrize("good", [0, 4])
    def test_downwards_with_fewer_than_five_good_flats(self, good):
        assert after(at(24.0, 23.0, good), DAY)[0].shift_k == 0.0
        assert after(at(19.0, 18.0, good), DAY)[0].shift_k > 1.0


class TestWithoutRooms:
    @pytest.mark.parametrize("mean_c", [16.0, 26.0])
    def test_it_decays_to_nothing_within_a_day_and_no_faster_than_it_may_move(self, mean_c):
        before, state = after(at(mean_c, mean_c - 1.0), 2 * DAY)
        lost = WELL._replace(rooms=NO_ROOMS)
        soon, state = after(lost, 1, state=state)
        assert abs(soon.shift_k - before.shift_k) <= 6.0 / DAY + 1e-9
        assert soon.frozen == "no rooms"
        assert after(lost, DAY, state=state)[0].shift_k == 0.0


def flats(*values_c: float, position: FlatPosition = "middle", age_s: float = 60.0):
    return [
        RoomReading(
            Flat(name=f"{position}-{i}", circuit="main", position=position),
            Sample(value, Quality.BAD if isnan(value) else Quality.GOOD, age_s),
        )
        for i, value in enumerate(values_c)
    ]


def figures(readings, **more):
    given = {"max_age_s": 7200.0, "weights": FlatWeights(), "trimming": Trimming()} | more
    return robust_rooms(readings, **given)


class TestRobustRooms:
    def test_open_windows_and_stoves_do_not_count(self):
        usual = flats(*[20.5, 21.0, 21.5] * 4)
        assert figures(usual + flats(9.0, 33.0, nan)).mean_c == pytest.approx(21.0)
        assert figures(usual + flats(9.0, 33.0, nan)).good == 12

    def test_old_and_unusable_flats_do_not_count(self):
        usual = flats(*[21.0] * 6)
        assert figures(usual + flats(18.5, 19.0, age_s=7201.0)) == (21.0, 21.0, 6)
        assert figures([]).good == 0
        assert figures(flats(nan, 4.0, 41.0)).good == 0

    def test_edge_and_top_flats_count_half(self):
        mixed = flats(*[22.0] * 10) + flats(*[19.0] * 10, position="edge")
        assert figures(mixed, trimming=Trimming(share=0.0)).mean_c == pytest.approx(21.0)

    def test_the_coldest_tenth_is_that_of_all(self):
        assert figures(flats(*[18.0 + 0.1 * i for i in range(11)])).p10_c == pytest.approx(18.1)

    @pytest.mark.parametrize("trim", [DEFAULT, TIGHT])
    def test_a_third_forged_by_5_kelvin_lowers_the_supply_by_at_most_2_kelvin(self, trim):
        honest = [20.0 + 0.1 * i for i in range(20)]
        forged = [25.0 + 0.2 * i for i in range(10)]
        rooms = figures(flats(*honest, *forged))
        before, state = after(
            WELL._replace(rooms=figures(flats(*honest, *honest[::2]))), 2 * DAY, trim=trim
        )
        forged_move, _ = after(WELL._replace(rooms=rooms), 2 * DAY, trim=trim, state=state)
        assert before.shift_k - forged_move.shift_k <= 2.0

    def test_the_plcs_plain_mean_of_the_same_forgery_does_not_either(self):
        assert after(at(21.0 + 5.0 / 3.0), 5 * DAY)[0].shift_k >= -2.0
