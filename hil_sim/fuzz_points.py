"""Random points of a Modbus device, of all kinds that there are.

Rule: all chance comes from the generator handed in.
"""

import random

from core.point import Point, Tag
from drivers.settings import WORDS, Register, RegisterKind, WordOrder

ORDERS: tuple[WordOrder, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
_POINTS = 24
_NUMBERS: tuple[RegisterKind, ...] = tuple(kind for kind in WORDS if kind != "bool")


def random_points(rng: random.Random) -> tuple[Register, ...]:
    """Return random points of all kinds, which do not overlap."""
    rows: list[Register] = []
    at = rng.randrange(50)
    for i in range(_POINTS):
        row = _point(f"P{i}", at, rng)
        rows.append(row)
        at += row.words + rng.choice((0, 0, 0, 1, 9, 30))
    bits = [
        Register(point=Point(tag=Tag(f"B{i}")), area="coil", address=i * 3, kind="bool")
        for i in range(rng.randrange(6))
    ]
    return (*rows, *bits)


def _point(tag: str, address: int, rng: random.Random) -> Register:
    kind = rng.choice(_NUMBERS)
    if rng.random() < 0.2:  # noqa: PLR2004 - a few bits of words
        return Register(
            point=Point(tag=Tag(tag)),
            area="holding",
            address=address,
            kind="bool",
            bit=rng.randrange(16),
        )
    low, high = rng.choice(((float("-inf"), float("inf")), (0.0, 100.0), (-40.0, 1e6)))
    states = tuple((number, f"state {number}") for number in range(20))
    is_state = kind == "u16" and rng.random() < 0.3  # noqa: PLR2004 - a few texts
    loop = (0.0, 27648.0) if kind in {"u16", "i16"} and rng.random() < 0.5 else None  # noqa: PLR2004 - even odds
    return Register(
        point=Point(tag=Tag(tag), low=low, high=high, states=states if is_state else ()),
        area="holding",
        address=address,
        kind=kind,
        scale=1.0 if is_state else rng.choice((1.0, 0.1, 0.01, -2.0)),
        offset=0.0 if is_state else rng.choice((0.0, -40.0)),
        correction=0.0 if is_state else rng.choice((0.0, 0.3)),
        current_loop=None if is_state else loop,
        word_order=rng.choice((None, None, *ORDERS)),
    )
