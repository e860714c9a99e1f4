import math
from dataclasses import replace

import pytest

from control_loops.monitor import LoopFigures
from controller.explained import read, written
from tests.face import PUMP, VALVE

FIGURES = LoopFigures(12.0, 40.2, 0.51, 0.05, 0.02, 0.42, math.nan, math.nan)


@pytest.mark.parametrize(
    "loop",
    [
        VALVE,
        replace(VALVE, figures=FIGURES),
        PUMP,
        replace(VALVE, is_verified=None, output=math.inf),
    ],
)
def test_a_loop_is_read_back_as_it_was_shown(loop):
    (found,) = read(written((loop,)))
    assert repr(found) == repr(loop)


def test_what_a_newer_program_wrote_beside_it_is_passed_over():
    text = written((VALVE,)).replace('"name": "T2g"', '"colour": "red", "name": "T2g"', 1)
    assert repr(read(text)) == repr((VALVE,))


def test_what_an_older_program_left_out_is_empty():
    text = written((VALVE,)).replace('"reason": "", ', "", 1)
    assert repr(read(text)) == repr((VALVE,))
