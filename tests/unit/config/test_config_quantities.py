import datetime as dt

import pytest

from config.quantities import (
    Unreadable,
    format_quantity,
    is_number,
    kept_like,
    parse,
    parse_range,
    read_date,
    spellings,
    unit_named,
)
from core.point import Unit


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("15 min", Unit.SECOND, 900.0),
        ("15min", Unit.SECOND, 900.0),
        ("0.5 h", Unit.SECOND, 1800.0),
        ("400 d", Unit.SECOND, 400 * 86400.0),
        ("500 ms", Unit.SECOND, 0.5),
        ("-28.4 °C", Unit.CELSIUS, -28.4),
        ("21 ℃", Unit.CELSIUS, 21.0),
        ("2 K", Unit.KELVIN, 2.0),
        ("10 K/h", Unit.KELVIN_PER_HOUR, 10.0),
        ("0.5 K/min", Unit.KELVIN_PER_HOUR, 30.0),
        ("30 K/h", Unit.KELVIN_PER_MINUTE, 0.5),
        ("5 %/min", Unit.PERCENT_PER_SECOND, 5.0 / 60.0),
        ("0.40 MPa", Unit.MEGAPASCAL, 0.4),
        ("4 bar", Unit.MEGAPASCAL, 0.4),
        ("0.18 MPa", Unit.KILOPASCAL, 180.0),
        ("3 MW", Unit.KILOWATT, 3000.0),
        ("3.6 GJ/h", Unit.KILOWATT, 1000.0),
        ("1 MWh", Unit.GIGAJOULE, 3.6),
        ("62000 m2", Unit.SQUARE_METRE, 62000.0),
        ("62000 ㎡", Unit.SQUARE_METRE, 62000.0),
        ("1 L/s", Unit.CUBIC_METRE_PER_HOUR, 3.6),
        ("30 cm", Unit.METRE, 0.3),
        ("0.05 Hz/kPa", Unit.HERTZ_PER_MEGAPASCAL, 50.0),
        ("36 km/h", Unit.METRE_PER_SECOND, 10.0),
        ("0.5 kW/m2", Unit.WATT_PER_SQUARE_METRE, 500.0),
        ("1e3 kPa", Unit.MEGAPASCAL, 1.0),
        ("1.3", Unit.NONE, 1.3),
    ],
)
def test_a_quantity_is_converted_exactly_to_the_unit_it_is_kept_in(
    text: str, unit: Unit, value: float
) -> None:
    assert parse(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "what", "hint"),
    [
        ("180", Unit.KILOPASCAL, "`180` has no unit", "write `180 kPa` (or another unit of it)"),
        ("50", Unit.HERTZ, "`50` has no unit", "write `50 Hz`"),
        (
            "180 °C",
            Unit.KILOPASCAL,
            "`180 °C` is a temperature, not a pressure",
            "write a number and its unit: kPa, bar, MPa",
        ),
        (
            "2 °C",
            Unit.KELVIN,
            "`2 °C` is a temperature, not a temperature difference",
            "write a number and its unit: K",
        ),
        ("0.4 mpa", Unit.MEGAPASCAL, "`0.4 mpa`: the unit `mpa` is unknown", "write `0.4 MPa`"),
        (
            "4 psi",
            Unit.MEGAPASCAL,
            "`4 psi`: the unit `psi` is unknown",
            "write a number and its unit: kPa, bar, MPa",
        ),
        ("0,40 MPa", Unit.MEGAPASCAL, "`0,40 MPa` has a decimal comma", "write `0.40 MPa`"),
        (
            ".nan kPa",
            Unit.KILOPASCAL,
            "`.nan kPa` is not a quantity",
            "write a number and its unit: kPa, bar, MPa",
        ),
        (
            "1e999 s",
            Unit.SECOND,
            "`1e999` is too large",
            "write a number and its unit: s, min, h, d, ms",
        ),
        ("inf", Unit.NONE, "`inf` is not a quantity", "write a plain number"),
        ("79.5 °C", Unit.NONE, "`79.5 °C` has a unit where none belongs", "write `79.5`"),
        (
            "28 %",
            Unit.NONE,
            "`28 %` has a unit where none belongs",
            "write `0.28` if a share of 1 is meant, or `28`",
        ),
        (
            "9" * 70 + " s",
            Unit.SECOND,
            f"`{'9' * 64}...` is too long for a quantity",
            "write a number and its unit: s, min, h, d, ms",
        ),
    ],
)
def test_what_is_no_quantity_is_refused_with_what_to_write(
    text: str, unit: Unit, what: str, hint: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        parse(text, unit)

    assert (refused.value.what, refused.value.hint) == (what, hint)


@pytest.mark.parametrize(
    ("text", "unit", "ends"),
    [
        ("35..80 °C", Unit.CELSIUS, (35.0, 80.0)),
        ("-50..50 °C", Unit.CELSIUS, (-50.0, 50.0)),
        ("0.3 .. 0.46 MPa", Unit.MEGAPASCAL, (0.3, 0.46)),
        ("0..1.6", Unit.NONE, (0.0, 1.6)),
    ],
)
def test_a_range_has_its_low_end_first(text: str, unit: Unit, ends: tuple[float, float]) -> None:
    assert parse_range(text, unit) == ends


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("80..35 °C", "`80..35 °C`: the ends are crossed; write `35..80 °C`"),
        ("35..35 °C", "`35..35 °C`: the ends are crossed; write `35..35 °C`"),
        ("35-80 °C", "`35-80 °C` is not a range; write its ends as in `35..80 °C`"),
        ("35..80", "`35..80` has no unit; write `35..80 °C`"),
    ],
)
def test_what_is_no_range_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_range(text, Unit.CELSIUS)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (900.0, Unit.SECOND, "15 min"),
        (7200.0, Unit.SECOND, "2 h"),
        (86400.0, Unit.SECOND, "1 d"),
        (90.0, Unit.SECOND, "90 s"),
        (0.0, Unit.SECOND, "0 s"),
        (-3600.0, Unit.SECOND, "-1 h"),
        (0.4, Unit.MEGAPASCAL, "0.4 MPa"),
        (62000.0, Unit.SQUARE_METRE, "62000 m²"),
        (1e20, Unit.KILOWATT, "1e+20 kW"),
        (1.3, Unit.NONE, "1.3"),
    ],
)
def test_a_quantity_is_shown_as_a_person_would_write_it(
    value: float, unit: Unit, text: str
) -> None:
    assert format_quantity(value, unit) == text


def test_every_unit_that_heatd_keeps_can_be_written() -> None:
    for unit in Unit:
        if unit is not Unit.NONE:
            assert unit.value in spellings(unit)
    assert spellings(Unit.NONE) == ()


def test_a_unit_is_found_by_its_spelling() -> None:
    assert unit_named("m3/h") is Unit.CUBIC_METRE_PER_HOUR
    assert unit_named("℃") is Unit.CELSIUS
    assert unit_named("bar") is None
    assert kept_like("bar") == ("MPa", "kPa")
    assert kept_like("furlong") == ()


def test_only_a_full_date_is_a_date() -> None:
    assert read_date("2024-09-18") == dt.date(2024, 9, 18)
    for text in ("2024-9-18", "20240918", "2024-02-30", "yesterday"):
        with pytest.raises(Unreadable, match="is not a date"):
            read_date(text)


def test_numbers_are_told_from_words() -> None:
    assert is_number("-28.4")
    assert not is_number("10 K")
    assert not is_number(".inf")
