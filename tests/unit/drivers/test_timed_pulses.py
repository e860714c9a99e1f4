"""Times for the PLC's own timers: written once, never refreshed, repeated or out of range."""

import pytest
from structlog.testing import capture_logs

from core.image import Outputs
from core.point import Point, Tag, Unit
from drivers.settings import Register

RAISE, AT = Tag("CV1_raise"), 20
WRITES = 16


@pytest.fixture
def registers(registers):
    timer = Point(tag=RAISE, unit=Unit.SECOND, low=0.0, high=10.0, is_pulse=True)
    return [*registers, Register(point=timer, area="holding", address=AT, kind="f32")]


def raising(seconds: float) -> Outputs:
    return Outputs({Tag("CV1_SV"): 40.0}, timed={RAISE: seconds})


async def scan(link, outputs, at_s):
    await link.poll()
    await link.write(outputs, at_s)


def times(plc):
    return [r for r in plc.requests if r[:2] == (WRITES, AT)]


def test_it_is_written_once_and_never_refreshed(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link, raising(2.5), 0.0)
        assert (len(times(plc)), plc.float(AT)) == (1, 2.5)
        for i in range(1, 30):
            await scan(link, Outputs({Tag("CV1_SV"): 40.0}), 5.0 * i)
        assert len(times(plc)) == 1

    play(scene())


def test_the_same_time_again_is_another_pulse(link_of, plc, play):
    async def scene():
        link = link_of()
        for i in range(3):
            await scan(link, raising(2.5), 5.0 * i)
        assert len(times(plc)) == 3

    play(scene())


def test_without_an_answer_it_is_said_and_not_repeated(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link, Outputs({Tag("CV1_SV"): 40.0}), 0.0)
        plc.distort = lambda reply: reply if reply[7] != WRITES else b""
        await scan(link, raising(2.5), 5.0)
        plc.distort = lambda reply: reply
        for i in range(2, 6):
            await scan(link, Outputs({Tag("CV1_SV"): 40.0}), 5.0 * i)
        assert len(times(plc)) == 1

    with capture_logs() as lines:
        play(scene())
    assert [line["tag"] for line in lines if line["event"] == "pulse_failed"] == [RAISE]


@pytest.mark.parametrize("seconds", [-1.0, 10.5, float("nan")])
def test_a_time_that_its_timer_does_not_take_never_leaves_the_daemon(link_of, plc, play, seconds):
    async def scene():
        link = link_of()
        await scan(link, raising(seconds), 0.0)
        assert times(plc) == []
        assert plc.float(6) == 40.0

    with capture_logs() as lines:
        play(scene())
    assert [line["event"] for line in lines] == ["pulse_failed"]
