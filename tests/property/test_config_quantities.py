import contextlib
import math

from hypothesis import given
from hypothesis import strategies as st

from config.quantities import Unreadable, format_quantity, parse, parse_range, spellings
from core.point import Unit

UNITS = st.sampled_from(Unit)
VALUES = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e60, max_value=1e60)


@given(value=VALUES, unit=UNITS)
def test_what_is_formatted_reads_back_as_the_same_value(value: float, unit: Unit) -> None:
    assert parse(format_quantity(value, unit), unit) == value


@given(low=VALUES, high=VALUES, unit=UNITS)
def test_a_range_reads_back_in_order(low: float, high: float, unit: Unit) -> None:
    number = f"{low!r}..{high!r} {unit.value}".rstrip()
    try:
        ends = parse_range(number, unit)
    except Unreadable:
        assert low >= high or len(number) > 64
    else:
        assert ends == (low, high)
        assert low < high


@given(value=VALUES, unit=UNITS.filter(lambda unit: unit is not Unit.NONE), data=st.data())
def test_every_spelling_of_a_unit_is_the_same_kind(
    value: float, unit: Unit, data: st.DataObject
) -> None:
    spelling = data.draw(st.sampled_from(spellings(unit)))

    assert math.isfinite(parse(f"{value!r} {spelling}", unit))


@given(text=st.text(max_size=80), unit=UNITS)
def test_any_text_is_a_finite_quantity_or_refused(text: str, unit: Unit) -> None:
    for read in (parse, parse_range):
        with contextlib.suppress(Unreadable):
            value = read(text, unit)
            assert all(map(math.isfinite, value if isinstance(value, tuple) else (value,)))
