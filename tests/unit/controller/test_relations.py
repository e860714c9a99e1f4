"""Relations between values: broken for long enough they are told, and a named suspect is BAD."""

import math
from dataclasses import replace

import pytest

from config.quantities import Unreadable
from config.relations import Holds, Relation
from controller.plan import plan_station
from controller.state import first_state
from core.point import Quality, Tag, Unit
from tests.unit.controller.conftest import Bench

T2 = "supply_above_return"


def bench_with(station, **changes):
    """Return the station under heatd, its relation of supply and return changed."""
    relation = replace(station.checks[T2], **changes)
    bench = Bench(replace(station, checks={**station.checks, T2: relation}))
    return bench.take_over()


def is_broken(decision, name=T2):
    return decision.computed[f"check.{name}"] == 1.0


@pytest.mark.parametrize(
    ("text", "tag", "is_above", "other", "by", "unit"),
    [
        ("T2g >= T2h - 1 K", "T2g", True, "T2h", -1.0, Unit.KELVIN),
        ("low.T1g<=T1h+0.5 K", "low.T1g", False, "T1h", 0.5, Unit.KELVIN),
        ("P2g >= P2h", "P2g", True, "P2h", 0.0, Unit.NONE),
        ("F1 >= 5 m3/h", "F1", True, None, 5.0, Unit.CUBIC_METRE_PER_HOUR),
        ("T_out <= -5 °C", "T_out", False, None, -5.0, Unit.CELSIUS),
    ],
)
def test_a_relation_is_written_as_it_is_read(text, tag, is_above, other, by, unit):
    assert Holds.from_text(text) == Holds(tag, is_above, other, by, unit, text)


@pytest.mark.parametrize("text", ["", "T2g", "T2g > T2h", "T2g >= T2h - 1", "T2g >= T2h - 1 F"])
def test_what_is_no_relation_is_refused(text):
    with pytest.raises(Unreadable):
        Holds.from_text(text)


def test_it_is_broken_after_its_delay_and_kept_after_its_delay(station):
    bench = bench_with(station, delay_s=20.0)
    assert [is_broken(bench.scan(T2g=40.0, T2h=41.5)) for _ in range(5)] == [False] * 3 + [True] * 2
    assert [is_broken(bench.scan(T2g=41.0)) for _ in range(5)] == [True] * 3 + [False] * 2


def test_one_good_scan_restarts_the_delay(station):
    bench = bench_with(station, delay_s=20.0)
    warm, cold = {"T2g": 45.0, "T2h": 41.5}, {"T2g": 40.0, "T2h": 41.5}
    seen = [is_broken(bench.scan(**row)) for row in (cold, cold, cold, warm, cold, cold, cold)]
    assert seen == [False] * 7


def test_without_a_suspect_the_loop_goes_on_and_only_the_alarm_tells(station):
    bench = bench_with(station, delay_s=20.0)
    decision = bench.scan_for(60.0, T2g=40.0, T2h=41.5)
    assert is_broken(decision)
    assert decision.records[-1].image[Tag("T2g")].quality is Quality.GOOD
    assert "implausible_T2" in decision.active_alarms


def test_a_suspect_is_bad_with_the_reason_and_its_loop_holds(station):
    bench = bench_with(station, delay_s=20.0, suspect=Tag("T2g"))
    bench.scan_for(15.0, T2g=40.0, T2h=41.5)
    before = bench.last.outputs.values["CV1_SV"]
    decision = bench.scan_for(30.0)
    image = decision.records[-1].image
    assert (image[Tag("T2g")].quality, image.reason(Tag("T2g"))) == (Quality.BAD, "T2g < T2h - 1 K")
    assert math.isnan(image.value(Tag("T2g")))
    assert decision.outputs.values.get(Tag("CV1_SV"), before) == pytest.approx(before, abs=6.0)
    assert decision.circuits[0].held["CV1_SV"].why.startswith("T2g cannot be trusted")
    assert not is_broken(bench.scan_for(60.0, T2g=50.0))


def test_it_says_nothing_while_no_pump_runs(station):
    bench = bench_with(station, delay_s=20.0)
    assert not is_broken(bench.scan_for(60.0, T2g=40.0, T2h=41.5, XP1_run=0.0, XP2_run=0.0))


def test_it_says_nothing_where_its_while_does_not_hold(station):
    bench = bench_with(station, delay_s=20.0, only_while=Holds.from_text("F1 >= 10 m³/h"))
    assert not is_broken(bench.scan_for(60.0, T2g=40.0, T2h=41.5, F1=5.0))
    assert is_broken(bench.scan_for(60.0, F1=50.0))


def test_a_value_that_cannot_be_trusted_leaves_it_as_it_stands(station):
    bench = bench_with(station, delay_s=20.0)
    bench.scan_for(60.0, T2g=40.0, T2h=41.5)
    bench.spoil("T2h")
    assert is_broken(bench.scan_for(60.0))


def test_a_station_without_relations_remembers_none(station):
    plan = plan_station(replace(station, checks={}, alarms={}))
    assert (plan.relations, first_state(plan).relations.standings) == ((), ())


def test_the_default_delay_is_five_minutes():
    assert Relation(holds=Holds.from_text("T2g >= T2h")).delay_s == 300.0
