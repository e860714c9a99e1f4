"""Whatever comes over the wire, only what a second decoder finds there too is taken for a value."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import drivers.mbap
import drivers.modbus_plan
import drivers.registers
from core.point import Point, Tag
from drivers.registers import BlockCodec
from drivers.settings import WORDS, Register
from hil_sim.cli import app
from hil_sim.fuzz_modbus import UNIT, meant_by, play_round, told_of
from hil_sim.fuzz_oracle import may_be

NUMBERS = [kind for kind in WORDS if kind != "bool"]
ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]

frame = st.builds(
    lambda number, head, counted, unit, body: (
        number.to_bytes(2, "big")
        + head
        + (len(body) + 1 if counted is None else counted).to_bytes(2, "big")
        + bytes([unit])
        + body
    ),
    st.sampled_from([0, 1, 2, 9]),
    st.sampled_from([b"\0\0", b"\0\0", b"\0\0", b"\0\1"]),
    st.one_of(st.none(), st.none(), st.integers(0, 300), st.just(0xFFFF)),
    st.sampled_from([UNIT, UNIT, 0, 255]),
    st.binary(max_size=20),
)
streams = st.lists(st.one_of(frame, frame, st.binary(max_size=12)), max_size=8).map(b"".join)


@given(streams, st.lists(st.sampled_from([1, 2]), unique=True), st.booleans(), st.data())
def test_a_line_tells_what_is_on_it_however_it_is_cut(stream, waiting, tid_zero, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def scene():
        return told_of([chunk for chunk in chunks if chunk], waiting, tid_zero=tid_zero)

    assert asyncio.run(scene()) == meant_by(stream, waiting, tid_zero=tid_zero)


registers = st.builds(
    lambda kind, order, scale, offset, span: Register(
        point=Point(tag=Tag("T"), low=span[0], high=span[1]),
        area="holding",
        address=3,
        kind=kind,
        scale=scale,
        offset=offset,
        word_order=order,
    ),
    st.sampled_from(NUMBERS),
    st.sampled_from([None, *ORDERS]),
    st.sampled_from([1.0, 0.1, -2.0]),
    st.sampled_from([0.0, -40.0]),
    st.sampled_from([(0.0, 100.0), (float("-inf"), float("inf")), (-50.0, 1e6)]),
)


@given(registers, st.sampled_from(ORDERS), st.data())
def test_a_register_means_the_same_to_a_second_decoder(register, order, data):
    block = data.draw(st.binary(min_size=2 * register.words, max_size=2 * register.words))
    codec = BlockCodec([register], address=3, count=register.words, word_order=order)
    (value,), (quality,) = codec.decode(block)
    assert may_be(register, block, 3, order, value, quality)


@pytest.mark.parametrize("number", range(8))
def test_a_round_of_the_fuzz_finds_nothing(number):
    found = play_round(1, number)
    assert (found.wrong, found.crashes) == ([], [])
    assert min(found.frames, found.accepted, found.values) > 0


class TestTheFuzzCanSayNo:
    """A bug is put in on purpose; a few rounds find it."""

    def found(self):
        rounds = [play_round(1, number) for number in range(8)]
        return [what for one in rounds for what in (*one.wrong, *one.crashes)]

    def test_about_a_message_that_is_too_long(self, monkeypatch):
        monkeypatch.setattr(drivers.mbap, "_LENGTH_MAX", 260)
        assert self.found()

    def test_about_a_value_whose_bytes_are_mixed_up(self, monkeypatch):
        monkeypatch.setattr(
            drivers.registers, "_wire_positions", lambda _order, size: tuple(range(size))
        )
        # Not the decoders that were made before the bug was put in.
        unshared = drivers.modbus_plan._codec.__wrapped__
        monkeypatch.setattr(drivers.modbus_plan, "_codec", unshared)
        assert "is in no right reply" in self.found()[0]

    def test_about_a_crash(self, monkeypatch):
        monkeypatch.setattr(drivers.registers, "from_decimals", lambda numbers, _: numbers[99])
        assert "IndexError" in self.found()[0]


def test_the_command_prints_what_it_found():
    answer = CliRunner().invoke(app, ["fuzz", "modbus", "--round", "3", "-o", "json"])
    found = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert (found["verdict"], found["rounds"], found["hangs"]) == ("pass", 1, 0)
    assert set(found) == {
        "verdict", "target", "seed", "seconds", "rounds", "frames", "frames_per_s", "accepted",
        "values", "wrong_values", "crashes", "hangs", "again",
    }  # fmt: skip
