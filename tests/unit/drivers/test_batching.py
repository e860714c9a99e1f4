"""How points become requests."""

import pytest

from core.point import Point, Tag
from drivers.batching import plan_reads, plan_writes
from drivers.settings import Register


def at(address, kind="u16", area="holding", *, is_slow=False):
    point = Point(tag=Tag(f"{area}{address}"))
    return Register(point=point, area=area, address=address, kind=kind, is_slow=is_slow)


def shape(requests):
    return [(r.area, r.address, r.count, r.is_slow) for r in requests]


@pytest.mark.parametrize(
    ("registers", "requests"),
    [
        ([at(0), at(1, "f32"), at(3, "f64")], [("holding", 0, 7, False)]),
        ([at(0), at(9)], [("holding", 0, 10, False)]),  # a gap of eight is read over
        ([at(0), at(10)], [("holding", 0, 1, False), ("holding", 10, 1, False)]),
        ([at(5), at(0)], [("holding", 0, 6, False)]),  # in any order
        ([at(0), at(1, is_slow=True)], [("holding", 0, 1, False), ("holding", 1, 1, True)]),
        ([at(0), at(1, area="input")], [("holding", 0, 1, False), ("input", 1, 1, False)]),
        ([at(0, "bool", "coil"), at(129, "bool", "coil")], [("coil", 0, 130, False)]),
        ([at(a) for a in range(126)], [("holding", 0, 125, False), ("holding", 125, 1, False)]),
        (
            [at(123), *(at(a) for a in range(123)), at(124, "f32")],
            [("holding", 0, 124, False), ("holding", 124, 2, False)],
        ),
        ([], []),
    ],
)
def test_reads_are_as_few_as_they_can_be(registers, requests):
    assert shape(plan_reads(registers)) == requests


def test_a_device_that_gives_less_at_once_is_asked_for_less():
    assert len(plan_reads([at(a) for a in range(40)], max_block=16)) == 3


@pytest.mark.parametrize(
    ("due", "alongside", "written"),
    [
        ([70, 72, 74], [], [[70, 72, 74]]),
        ([74, 70], [72], [[70, 72, 74]]),  # the one between is known, so it is one request
        ([70, 74], [], [[70], [74]]),  # never over an address without a value
        ([70, 78], [72, 76], [[70], [78]]),
        ([72], [70, 74], [[72]]),  # nothing is sent that joins nothing
        ([], [70], []),
    ],
)
def test_writes_join_neighbours_and_never_bridge_what_is_unknown(due, alongside, written):
    requests = plan_writes([at(a, "f32") for a in due], [at(a, "f32") for a in alongside])

    assert [[r.address for r in request.registers] for request in requests] == written


def test_a_write_never_exceeds_what_one_message_holds():
    requests = plan_writes([at(a, "f32") for a in range(0, 200, 2)])

    assert [len(request.registers) for request in requests] == [61, 39]


def test_coils_and_registers_are_written_apart():
    requests = plan_writes([at(0), at(1, "bool", "coil"), at(2, "bool", "coil")])

    assert [(r.area, len(r.registers)) for r in requests] == [("coil", 2), ("holding", 1)]
