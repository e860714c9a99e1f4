from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len, MultipleOf

from config.load import read_document
from config.problem import ConfigErrors
from config.shape import Mark, Named
from core.parameters import parameters
from core.point import Tag, Unit


@parameters
class Heater:
    kind: Literal["heater"] = "heater"
    power_kw: Annotated[float, Unit.KILOWATT, Gt(0)]


@parameters
class Cooler:
    kind: Literal["cooler"] = "cooler"
    level: Annotated[int, Ge(1), Le(3)]


@parameters
class Line:
    points: Annotated[Mapping[float, float], Unit.CELSIUS, Len(2, 4)]


@parameters
class Law:
    slope: float


@parameters
class Settings:
    host: str
    timeout_s: Annotated[float, Unit.SECOND] = 1.0


@parameters
class Everything:
    settings: Annotated[Settings, Mark.INLINE]
    made: Annotated[tuple[int, ...], Mark.FILLED] = ()
    klass: Annotated[Literal["a", "b"], Named("class")] = "a"
    band_k: Annotated[tuple[float, float], Unit.KELVIN] = (0.0, 1.0)
    is_on: bool = False
    tag: Tag | None = None
    limit_pct: Annotated[float, Unit.PERCENT, Le(100)] | None = None
    limit_s: Annotated[float, Unit.SECOND] = 0.0
    units: Mapping[str, Heater | Cooler] | None = None
    curve: Line | Law | None = None
    times: Mapping[Annotated[float, Unit.SECOND], Annotated[float, Unit.CELSIUS]] | None = None
    names: Annotated[tuple[str, ...], Len(1, 2)] = ("x",)
    unit: Unit = Unit.NONE
    word: Annotated[str, Len(2, 4)] = "word"


KEYS = (
    "host, timeout, class, band, is_on, tag, limit, limit_s, units, curve, times, names, unit, word"
)


def read(tmp_path: Path, text: str) -> Everything:
    path = tmp_path / "x.yaml"
    path.write_text(text, "utf-8")
    return read_document(path, Everything)


def test_keys_have_no_unit_suffix_and_classes_may_stand_inline(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "host: plc\ntimeout: 2 min\nclass: b\nband: 1..3 K\nis_on: true\ntag: T2g\nlimit: 5 %\n"
        "limit_s: 3 s\nunit: °C\n"
        "units: {h: {kind: heater, power: 3 MW}, c: {kind: cooler, level: 2}}\n"
        "curve: {-5: 50, 5: 40.5}\ntimes: {0 h: -17 °C, 10 min: -10 °C}\nnames: [p, q]\n",
    )

    assert made == Everything(
        settings=Settings(host="plc", timeout_s=120.0),
        klass="b",
        band_k=(1.0, 3.0),
        is_on=True,
        tag=Tag("T2g"),
        limit_pct=5.0,
        limit_s=3.0,
        unit=Unit.CELSIUS,
        units={"h": Heater(power_kw=3000.0), "c": Cooler(level=2)},
        curve=Line(points={-5.0: 50.0, 5.0: 40.5}),
        times={0.0: -17.0, 600.0: -10.0},
        names=("p", "q"),
    )


def test_a_table_of_numbers_is_told_from_a_formula(tmp_path: Path) -> None:
    assert read(tmp_path, "host: p\ncurve: {slope: 1.5}\n").curve == Law(slope=1.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timeout: 1 s\n", "1:1: `host` is missing; add `host: ...`"),
        ("host: {a: 1}\n", "1:7: this must be a single value; write one value"),
        ("host: p\nmade: [1]\n", "2:1: the key `made` is unknown; possible are " + KEYS),
        ("host: p\nclass: c\n", "2:8: `c` is not possible here; write one of a, b"),
        ("host: p\nband: [1, 2]\n", "2:7: this must be a single value; write one value"),
        ("host: p\nis_on: yes\n", "2:8: `yes` is neither true nor false; write `true` or `false`"),
        (
            "host: p\nis_on: 'true'\n",
            "2:8: `true` is neither true nor false; write `true` or `false`",
        ),
        ("host: p\nlimit: 101 %\n", "2:8: `limit` is 101 %; write at most 100 %"),
        ("host: p\nunits: 5\n", "2:8: this must be a mapping; write `key: value` entries"),
        ("host: p\nunits: {a: 5}\n", "2:12: this must be a mapping; write `key: value` entries"),
        (
            "host: p\nunits: {a: {power: 1 kW}}\n",
            "2:9: `kind` is missing; add one of heater, cooler",
        ),
        (
            "host: p\nunits: {a: {kind: heat}}\n",
            "2:19: `heat` is no kind; did you mean `heater`?",
        ),
        (
            "host: p\nunits: {a: {kind: cooler, level: 4}}\n",
            "2:34: `level` is 4; write at most 3",
        ),
        (
            "host: p\nunits: {a: {kind: cooler, level: 1.5}}\n",
            "2:34: `1.5` is not a whole number; write plain digits",
        ),
        ("host: p\ncurve: 5\n", "2:8: this must be a mapping; write `key: value` entries"),
        ("host: p\ncurve: {5: 40}\n", "2:8: `points` has 1 entries; write at least 2"),
        ("host: p\ncurve: {5: 40, 5.0: 41, 6: 1}\n", "2:16: `5.0` stands twice; remove one"),
        ("host: p\ncurve: {5: 40, x: 41}\n", "2:16: `x` is not a quantity; write a plain number"),
        ("host: p\nnames: p\n", "2:8: this must be a list; write `[first, second]`"),
        ("host: p\nnames: [p, q, r]\n", "2:8: `names` has 3 entries; write at most 2"),
        ("host: p\nnames: [p, [q]]\n", "2:12: this must be a single value; write one value"),
        (
            "host: p\nunit: bar\n",
            "2:7: heatd keeps nothing in `bar`; write MPa or kPa and the `scale`",
        ),
        ("host: p\nword: a\n", "2:7: `word` has 1 characters; write at least 2"),
        ("host: p\nword: abcde\n", "2:7: `word` has 5 characters; write at most 4"),
        ("host: p\nclazz: a\n", "2:1: the key `clazz` is unknown; did you mean `class`?"),
        ("host: p\nCLASS: a\n", "2:1: the key `CLASS` is unknown; did you mean `class`?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_the_words_of_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigErrors) as refused:
        read(tmp_path, text)

    assert str(refused.value) == f"x.yaml:{message}"


def test_what_a_list_of_classes_holds_is_told_item_by_item(tmp_path: Path) -> None:
    @parameters
    class Plan:
        steps: tuple[Cooler, ...]

    path = tmp_path / "x.yaml"
    path.write_text("steps:\n  - {level: 1}\n  - {level: 9}\n  - 7\n", "utf-8")

    with pytest.raises(ConfigErrors) as refused:
        read_document(path, Plan)

    assert str(refused.value).splitlines() == [
        "x.yaml:3:13: `level` is 9; write at most 3",
        "x.yaml:4:5: this must be a mapping; write its keys, as in `kind: ...`",
    ]


def test_a_limit_of_any_sort_is_told_in_pydantics_words_at_least(tmp_path: Path) -> None:
    @parameters
    class Grid:
        step: Annotated[int, MultipleOf(5)]

    path = tmp_path / "x.yaml"
    path.write_text("step: 7\n", "utf-8")

    with pytest.raises(ConfigErrors) as refused:
        read_document(path, Grid)

    assert str(refused.value) == ("x.yaml:1:7: `step` is wrong: input should be a multiple of 5")
