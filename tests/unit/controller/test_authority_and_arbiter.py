"""Who moves an output, and how control passes between heatd and the PLC."""

from collections import Counter

import pytest

from controller.arbiter import HOLD, Claim, Held, Holder, arbitrate
from controller.authority import Authority, AuthorityFacts, AuthorityState, authority_step
from controller.grid import first_grid_point, next_grid_point, phase_s
from core.point import Tag

GOOD = AuthorityFacts(
    may_write=True,
    is_data_good=True,
    is_remote=True,
    is_emergency_stop=False,
    is_plc_on_own_curve=True,
)
LOOP = Claim(Holder.LOOP, 42.0, "T2g")
TRIP = Claim(Holder.TRIP, 0.0, "I2: T2g above 90 °C")


def after(*scans: AuthorityFacts, state: AuthorityState | None = None) -> AuthorityState:
    state = state or AuthorityState()
    for facts in scans:
        state = authority_step(state, facts, hand_back_after_s=60.0, dt_s=5.0)
    return state


def test_the_stronger_holder_wins_whatever_the_order():
    assert arbitrate([LOOP, TRIP]) is TRIP
    assert arbitrate([TRIP, LOOP]) is TRIP


def test_an_emergency_stop_writes_nothing_not_even_a_trip():
    assert arbitrate([TRIP, Claim(Holder.LOCAL, None, "emergency stop")]).value is None


def test_an_output_that_nobody_claims_holds():
    assert arbitrate([]) is HOLD
    assert HOLD.value is None


def test_a_held_output_names_its_holder():
    assert Held(Tag("CV1_SV"), TRIP).holder == "trip"


def test_control_is_taken_after_a_minute_of_good_data():
    state = after(*[GOOD] * 11)
    assert state.holds is Authority.TRACKING
    assert after(GOOD, state=state).holds is Authority.TAKING_OVER


def test_a_plc_that_does_not_hand_over_is_waited_for_with_advice_after_a_minute():
    state = after(*[GOOD] * 12)
    assert state.holds is Authority.TAKING_OVER
    assert after(*[GOOD] * 11, state=state).reason == state.why
    told = after(*[GOOD] * 14, state=state)
    assert told.reason.startswith(f"{state.why}, for 70 s so far; see that it reads our heartbeat")
    assert told.why == state.why
    ours = after(GOOD._replace(is_plc_on_own_curve=False), *[GOOD] * 20, state=told)
    assert "see that" not in ours.reason


def test_the_loops_move_nothing_until_the_plc_has_handed_over():
    state = after(*[GOOD] * 14)
    assert (state.may_write, state.is_ours) == (True, False)
    state = after(GOOD._replace(is_plc_on_own_curve=False), state=state)
    assert (state.may_write, state.is_ours) == (True, True)


def test_a_plc_that_still_stands_at_our_outputs_is_resumed_at_once():
    waiting = GOOD._replace(is_plc_on_own_curve=False)
    assert after(waiting, waiting).holds is Authority.TAKING_OVER


def test_a_plc_that_fell_back_is_won_anew():
    state = after(*[GOOD] * 12, GOOD._replace(is_plc_on_own_curve=False))
    assert state.holds is Authority.HEATD
    state = after(GOOD, state=state)
    assert state.holds is Authority.TRACKING
    assert state.good_s == 0.0


@pytest.mark.parametrize(
    ("facts", "holds"),
    [
        (GOOD._replace(may_write=False), Authority.WATCH),
        (GOOD._replace(is_data_good=False), Authority.LOST),
        (GOOD._replace(is_emergency_stop=True), Authority.LOCAL),
        (GOOD._replace(is_emergency_stop=None), Authority.LOCAL),
        (GOOD._replace(is_remote=False), Authority.LOCAL),
        (GOOD._replace(is_remote=None), Authority.LOCAL),
    ],
)
def test_nothing_is_written_while_anybody_else_has_a_say(facts: AuthorityFacts, holds: Authority):
    ours = after(*[GOOD] * 12, GOOD._replace(is_plc_on_own_curve=False))
    state = after(facts, state=ours)
    assert state.holds is holds
    assert not state.may_write
    assert state.good_s == 0.0


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [(100.1, (105.0, 0)), (104.99, (105.0, 0)), (105.0, (110.0, 1)), (123.0, (125.0, 4))],
)
def test_an_overrun_skips_grid_points_and_counts_them(now_s: float, expected: tuple[float, int]):
    assert next_grid_point(100.0, 5.0, now_s) == expected


@pytest.mark.parametrize("now_s", [0.0, 0.7, 1000.001, 1003.2, 1004.999])
def test_a_station_begins_at_its_next_place_on_the_grid_whenever_its_task_starts(now_s: float):
    due_s = first_grid_point("st-07", 5.0, now_s)
    assert now_s <= due_s < now_s + 5.0
    assert due_s % 5.0 == pytest.approx(phase_s("st-07", 5.0))


def test_stations_of_one_place_are_due_at_one_instant():
    names = [f"st-{n:03}" for n in range(400)]
    shared = [name for name in names if phase_s(name, 1.0) == phase_s("st-000", 1.0)]
    starts_s = [1000.0 + 1e-5 * names.index(name) for name in shared]
    due_s = {first_grid_point(n, 1.0, s) for n, s in zip(shared, starts_s, strict=True)}
    assert len(shared) > 1
    assert len(due_s) == 1


def test_stations_spread_over_the_period_and_stay_in_their_place():
    phases = [phase_s(f"st-{n:02}", 5.0) for n in range(40)]
    assert phases == [phase_s(f"st-{n:02}", 5.0) for n in range(40)]
    assert all(0.0 <= phase < 5.0 for phase in phases)
    assert max(Counter(phases).values()) <= 3
    assert len(set(phases)) >= 30
