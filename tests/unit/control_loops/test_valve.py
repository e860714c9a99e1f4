"""The flow that an opening of an equal-percentage valve should give."""

from math import isnan, nan

import pytest

from control_loops.latch import lasting, latched
from control_loops.valve import expected_flow_m3h


@pytest.mark.parametrize(
    ("opening_pct", "flow_m3h"), [(100.0, 72.0), (70.0, 22.27), (50.0, 10.18), (0.0, 1.44)]
)
def test_an_equal_percentage_valve_passes_its_share_of_the_design_flow(opening_pct, flow_m3h):
    flow = expected_flow_m3h(opening_pct=opening_pct, design_m3h=72.0, rangeability=50.0)
    assert flow == pytest.approx(flow_m3h, abs=0.01)


def test_an_unknown_opening_gives_no_expectation():
    assert isnan(expected_flow_m3h(opening_pct=nan, design_m3h=72.0, rangeability=50.0))


@pytest.mark.parametrize(
    ("state", "sets", "clears", "expected"),
    [
        (False, False, False, False), (False, True, False, True), (True, False, False, True),
        (True, False, True, False), (True, True, True, True),
    ],
)  # fmt: skip
def test_a_latch_keeps_until_it_is_cleared(state, sets, clears, expected):
    assert latched(state, sets=sets, clears=clears) is expected


@pytest.mark.parametrize(("is_so", "expected"), [(True, 12.0), (False, 0.0), (None, 7.0)])
def test_a_stopwatch_waits_where_nobody_knows(is_so, expected):
    assert lasting(7.0, 5.0, is_so=is_so) == expected
