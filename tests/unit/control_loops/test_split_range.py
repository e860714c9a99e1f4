"""Two valves in sequence: together they are one valve, whichever of them moves."""

from itertools import pairwise
from math import exp, isnan, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_loops.exchanger import ExchangerData, valve_model
from control_loops.exchanger import opening_pct as asked_pct
from control_loops.split_range import Sequence, SplitRange, joined_pct, split_pct
from control_loops.valve import Valve

R = 50.0
SMALL_AND_BIG = Sequence(0.3, R)

sequences = st.builds(Sequence, st.floats(0.1, 0.5), st.floats(2.0, 200.0))
openings = st.floats(0.0, 100.0)


def capacity(opening_pct: float, rangeability: float) -> float:
    """Share of the capacity of an equal-percentage valve that shuts, written another way."""
    return (exp(opening_pct / 100.0 * log(rangeability)) - 1.0) / (rangeability - 1.0)


def both(sequence: Sequence, opening_pct: float) -> float:
    first, second = split_pct(sequence, opening_pct)
    share = sequence.share
    return share * capacity(first, sequence.rangeability) + (1.0 - share) * capacity(
        second, sequence.rangeability
    )


@pytest.mark.parametrize(
    ("opening_pct", "first_pct", "second_pct"),
    [
        (0.0, 0.0, 0.0),
        (-3.0, 0.0, 0.0),
        (38.35, 50.0, 0.0),
        (76.67, 100.0, 0.0),
        (80.0, 100.0, 40.9),
        (90.0, 100.0, 78.85),
        (100.0, 100.0, 100.0),
        (104.0, 100.0, 100.0),
    ],
)
def test_the_first_opens_to_its_end_before_the_second_moves(opening_pct, first_pct, second_pct):
    assert split_pct(SMALL_AND_BIG, opening_pct) == pytest.approx((first_pct, second_pct), abs=0.05)


@given(sequence=sequences, opening_pct=openings)
def test_together_they_pass_what_one_valve_of_both_capacities_would(sequence, opening_pct):
    """The total gain does not change where one hands over to the other."""
    one = capacity(opening_pct, sequence.pair_rangeability)
    assert both(sequence, opening_pct) == pytest.approx(one, abs=1e-9)


@given(sequence=sequences, opening_pct=openings)
def test_shares_of_capacity_are_those_of_a_split_range(sequence, opening_pct):
    share, asked = sequence.share, capacity(opening_pct, sequence.pair_rangeability)
    first, second = split_pct(sequence, opening_pct)
    sat = [min(max(one, 0.0), 1.0) for one in (asked / share, (asked - share) / (1.0 - share))]
    assert [capacity(one, sequence.rangeability) for one in (first, second)] == pytest.approx(
        sat, abs=1e-9
    )


@given(sequence=sequences, lower_pct=openings, more_pct=st.floats(0.0, 100.0))
def test_neither_closes_when_more_is_asked(sequence, lower_pct, more_pct):
    less, more = (split_pct(sequence, pct) for pct in (lower_pct, lower_pct + more_pct))
    assert all(after >= before for before, after in zip(less, more, strict=True))
    assert all(0.0 <= pct <= 100.0 for pct in (*less, *more))


@given(sequence=sequences, opening_pct=openings)
def test_two_positions_are_the_opening_that_made_them(sequence, opening_pct):
    assert joined_pct(sequence, *split_pct(sequence, opening_pct)) == pytest.approx(
        opening_pct, abs=1e-6
    )


@given(sequence=sequences, first_pct=openings, second_pct=openings)
def test_two_positions_out_of_sequence_are_the_opening_that_passes_as_much(
    sequence, first_pct, second_pct
):
    share, rangeability = sequence.share, sequence.rangeability
    flows = capacity(first_pct, rangeability), capacity(second_pct, rangeability)
    one = capacity(joined_pct(sequence, first_pct, second_pct), sequence.pair_rangeability)
    assert one == pytest.approx(share * flows[0] + (1.0 - share) * flows[1], abs=1e-9)


@pytest.mark.parametrize("places", [(nan, 20.0), (20.0, nan)])
def test_of_two_positions_one_that_is_not_known_leaves_both_unknown(places):
    assert isnan(joined_pct(SMALL_AND_BIG, *places))


def test_the_noise_of_a_second_valve_that_is_shut_hardly_shows():
    quiet, noisy = (joined_pct(SMALL_AND_BIG, 10.0, pct) for pct in (0.0, 0.5))
    assert noisy - quiet < 0.7


def test_the_feedforward_asks_for_the_opening_at_which_the_two_pass_the_flow():
    """The data sheet's inverse against the two bodies as IEC 60534-2-4 has them, R^(y - 1)."""
    data = ExchangerData(
        power_kw=4630.0, T1g_c=110.0, T1h_c=52.0, T2g_c=70.4, T2h_c=47.9, F1_open_m3h=160.0
    )
    alone = Valve(rangeability=R, authority=1.0)
    pair = Valve(rangeability=R, authority=1.0, split=SplitRange(share=0.3))
    one, two = valve_model(data, alone), valve_model(data, pair)
    for setpoint_c in (58.0, 64.0, 70.4, 76.0):
        duty = one.design._replace(setpoint_c=setpoint_c)
        flow = R ** (asked_pct(one, duty) / 100.0 - 1.0)
        first, second = split_pct(SMALL_AND_BIG, asked_pct(two, duty))
        passed = 0.3 * R ** (first / 100.0 - 1.0)
        passed += 0.7 * R ** (second / 100.0 - 1.0) if second > 0.0 else 0.0
        assert passed == pytest.approx(flow, abs=1.0 / R)


def test_the_gain_of_the_pair_is_that_of_one_valve_all_along():
    steps = [both(SMALL_AND_BIG, float(pct)) for pct in range(101)]
    of_one = [capacity(float(pct), SMALL_AND_BIG.pair_rangeability) for pct in range(101)]
    gains, wanted = ([b - a for a, b in pairwise(row)] for row in (steps, of_one))
    assert gains == pytest.approx(wanted, rel=1e-9)
