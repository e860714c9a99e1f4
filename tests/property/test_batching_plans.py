"""A plan covers every point once, breaks no limit, and no other plan is shorter."""

from functools import cache
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from core.point import Point, Tag
from drivers.batching import WRITE_BITS_MAX, WRITE_WORDS_MAX, plan_reads, plan_writes
from drivers.settings import Register


@st.composite
def maps(draw, area_names=("holding", "input", "coil", "discrete")):
    registers = []
    for area in area_names:
        address = draw(st.integers(0, 50))
        for _ in range(draw(st.integers(0, 15))):
            kind = (
                "bool"
                if area in {"coil", "discrete"}
                else draw(st.sampled_from(["u16", "f32", "f64"]))
            )
            register = Register(
                point=Point(tag=Tag(f"{area}{address}")),
                area=area,
                address=address,
                kind=kind,
                is_slow=draw(st.booleans()),
            )
            registers.append(register)
            address += register.words + draw(st.one_of(st.just(0), st.integers(0, 40)))
    return draw(st.permutations(registers))


def fewest(registers, size_max, gap_max):
    """Return by trying every division how many requests a group needs."""
    ordered = sorted(registers, key=lambda r: r.address)

    @cache
    def rest(first):
        if first == len(ordered):
            return 0
        best = 1 + rest(first + 1)
        end = ordered[first].address + ordered[first].words
        for i in range(first + 1, len(ordered)):
            if ordered[i].address - end > gap_max:
                break
            end = ordered[i].address + ordered[i].words
            if end - ordered[first].address > size_max:
                break
            best = min(best, 1 + rest(i + 1))
        return best

    return rest(0)


@given(registers=maps(), max_block=st.integers(4, 125), gap=st.integers(0, 20))
def test_reads_cover_each_register_once_within_every_limit(registers, max_block, gap):
    requests = plan_reads(registers, max_block=max_block, gap=gap)

    covered = [r for request in requests for r in request.registers]
    assert sorted(r.point.tag for r in covered) == sorted(r.point.tag for r in registers)
    for request in requests:
        assert {(r.area, r.is_slow) for r in request.registers} == {(request.area, request.is_slow)}
        per_word = 16 if request.area in {"coil", "discrete"} else 1
        assert 1 <= request.count <= max_block * per_word
        for r in request.registers:
            assert request.address <= r.address
            assert r.address + r.words <= request.address + request.count


@given(registers=maps(), max_block=st.integers(4, 125), gap=st.integers(0, 20))
def test_no_other_division_needs_fewer_reads(registers, max_block, gap):
    def group(register):
        return register.area, register.is_slow

    wanted = 0
    for (area, _), members in groupby(sorted(registers, key=group), group):
        per_word = 16 if area in {"coil", "discrete"} else 1
        wanted += fewest(list(members), max_block * per_word, gap * per_word)

    assert len(plan_reads(registers, max_block=max_block, gap=gap)) == wanted


@given(registers=maps(("holding", "coil")), data=st.data())
def test_writes_send_each_due_value_once_and_touch_nothing_unknown(registers, data):
    due = [r for r in registers if data.draw(st.booleans())]
    alongside = [r for r in registers if r not in due and data.draw(st.booleans())]

    requests = plan_writes(due, alongside)

    sent = [r for request in requests for r in request.registers]
    assert len(sent) == len({(r.area, r.address) for r in sent})
    assert {r.point.tag for r in due} <= {r.point.tag for r in sent}
    assert {r.point.tag for r in sent} <= {r.point.tag for r in (*due, *alongside)}
    for request in requests:
        address = request.address
        for r in request.registers:
            assert (r.area, r.address) == (request.area, address)
            address += r.words
        size_max = WRITE_BITS_MAX if request.area == "coil" else WRITE_WORDS_MAX
        assert address - request.address <= size_max
        assert request.registers[0] in due
        assert request.registers[-1] in due
