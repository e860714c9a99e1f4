"""What a register may be."""

import pytest

from core.point import Point, Tag
from drivers.settings import Register

READ = Point(tag=Tag("T2g"))
WRITTEN = Point(tag=Tag("T2g_SP"), is_writable=True)
PULSE = Point(tag=Tag("XP1_start"), is_pulse=True)


@pytest.mark.parametrize(
    ("point", "changes", "fault"),
    [
        (READ, {}, ""),
        (READ, {"address": 65535}, "address"),
        (READ, {"address": -1}, "address"),
        (READ, {"address": 65534}, ""),
        (READ, {"area": "coil"}, "is a bool"),
        (READ, {"area": "coil", "kind": "bool"}, ""),
        (READ, {"area": "coil", "kind": "bool", "bit": 1}, "no bits"),
        (READ, {"kind": "bool"}, "needs its bit"),
        (READ, {"bit": 3}, "only a bool has one"),
        (READ, {"kind": "bool", "bit": 15}, ""),
        (READ, {"kind": "bool", "bit": 16}, "0..15"),
        (READ, {"scale": 0.0}, "scale"),
        (WRITTEN, {}, ""),
        (WRITTEN, {"area": "input"}, "cannot be written"),
        (WRITTEN, {"kind": "bool", "bit": 1}, "alone"),
        (PULSE, {}, "a pulse is a coil"),
        (PULSE, {"area": "coil", "kind": "bool"}, ""),
    ],
)
def test_an_impossible_register_says_what_is_wrong_with_it(point, changes, fault):
    given = {"area": "holding", "address": 0, "kind": "f32", **changes}

    said = Register(point=point, **given).fault()

    assert fault in said
    assert bool(said) == bool(fault)
