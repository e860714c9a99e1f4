"""What each kind of condition answers, and which sets of conditions are refused."""

import math
from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from alarms.condition import (
    BadQuality,
    Bit,
    Condition,
    Deviation,
    DeviceLost,
    Flaw,
    Limit,
    causes_of,
    flaws,
)
from core.point import Quality

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "resting", "active"),
    [
        (4.9, True, True),
        (5.0, False, True),
        (5.9, False, True),
        (6.0, False, False),
        (50.0, False, False),
        (89.0, False, False),
        (89.1, False, True),
        (90.0, False, True),
        (90.1, True, True),
        (None, None, None),
    ],
)
def test_a_limit_holds_outside_its_band_and_lets_go_inside_by_the_deadband(
    facts, dull, value, resting, active
):
    condition = Limit(tag="T2g", above=90.0, below=5.0, deadband=1.0, **dull)
    seen = facts(T2g=value)
    assert condition.holds(seen, is_active=False) is resting
    assert condition.holds(seen, is_active=True) is active
    assert condition.observed(seen) == pytest.approx(NAN if value is None else value, nan_ok=True)


@pytest.mark.parametrize(
    ("limits", "value", "holds"),
    [
        ({"above": 90.0}, -50.0, False),
        ({"above": 90.0}, 91.0, True),
        ({"below": 5.0}, 200.0, False),
        ({"below": 5.0}, 4.0, True),
    ],
)
def test_a_limit_of_one_side_does_not_mind_the_other(facts, dull, limits, value, holds):
    condition = Limit(tag="T2g", deadband=1.0, **limits, **dull)
    assert condition.holds(facts(T2g=value), is_active=True) is holds


def test_a_stale_value_decides_nothing(facts, dull):
    condition = Limit(tag="T2g", above=90.0, **dull)
    stale = facts({"T2g": Quality.STALE}, T2g=95.0)
    assert condition.holds(stale, is_active=False) is None


def test_a_substituted_value_decides_nothing(facts, dull):
    condition = Limit(tag="T2g", above=90.0, **dull)
    substituted = facts({"T2g": Quality.SUBSTITUTED}, T2g=95.0)
    assert condition.holds(substituted, is_active=False) is None


@pytest.mark.parametrize(
    ("supply", "setpoint", "resting", "active", "difference"),
    [
        (50.0, 54.9, False, True, -4.9),
        (50.0, 55.1, True, True, -5.1),
        (50.0, 54.0, False, False, -4.0),
        (58.1, 55.0, True, True, 3.1),
        (None, 55.0, None, None, NAN),
        (50.0, None, None, None, NAN),
    ],
)
def test_a_deviation_looks_at_the_signed_difference(
    facts, dull, supply, setpoint, resting, active, difference
):
    condition = Deviation(
        tag="T2g", reference="T2g_SP", above=3.0, below=-5.0, deadband=1.0, **dull
    )
    seen = facts(T2g=supply, T2g_SP=setpoint)
    assert condition.holds(seen, is_active=False) is resting
    assert condition.holds(seen, is_active=True) is active
    assert condition.observed(seen) == pytest.approx(difference, nan_ok=True)


@pytest.mark.parametrize(
    ("qualities", "holds"),
    [
        ((Quality.GOOD, Quality.GOOD), False),
        ((Quality.SUBSTITUTED, Quality.GOOD), False),
        ((Quality.STALE, Quality.GOOD), None),
        ((Quality.STALE, Quality.BAD), True),
        ((Quality.BAD, Quality.STALE), True),
        ((Quality.GOOD, Quality.BAD), True),
    ],
)
def test_bad_quality_is_about_bad_and_leaves_stale_to_the_link(facts, dull, qualities, holds):
    condition = BadQuality(tags=("T2g", "T2h"), **dull)
    seen = facts(dict(zip(("T2g", "T2h"), qualities, strict=True)), T2g=50.0, T2h=40.0)
    assert condition.holds(seen, is_active=False) is holds
    assert math.isnan(condition.observed(seen))


@pytest.mark.parametrize(
    ("ages_s", "holds"),
    [
        ((math.inf, math.inf), None),
        ((math.inf, 0.0), True),
        ((75.0, math.inf), True),
        ((75.0, 75.0), True),
    ],
)
def test_bad_quality_says_nothing_of_what_has_not_come_yet(facts, dull, ages_s, holds):
    condition = BadQuality(tags=("T2g", "T2h"), **dull)
    seen = replace(facts(T2g=None, T2h=None), ages_s=ages_s)
    assert condition.holds(seen, is_active=False) is holds
    assert condition.holds(seen, is_active=True) is holds


@pytest.mark.parametrize("lost", [True, False, None])
def test_a_device_is_lost_when_its_fact_says_so(facts, dull, lost):
    condition = DeviceLost(device="plc", **dull)
    seen = facts(device__plc__lost=lost)
    assert condition.holds(seen, is_active=False) is lost
    assert math.isnan(condition.observed(seen))


@pytest.mark.parametrize(
    ("bit", "equals", "holds"),
    [
        (True, True, True),
        (False, True, False),
        (False, False, True),
        (True, False, False),
        (None, True, None),
        (None, False, None),
    ],
)
def test_a_bit_holds_where_it_stands_at_the_named_state(facts, dull, bit, equals, holds):
    condition = Bit(tag="PWR_OK", equals=equals, **dull)
    seen = facts(PWR_OK=bit)
    assert condition.holds(seen, is_active=False) is holds
    assert condition.observed(seen) == pytest.approx(
        NAN if bit is None else float(bit), nan_ok=True
    )


def test_a_tag_that_the_station_lacks_decides_nothing(facts, dull):
    assert Limit(tag="T9", above=1.0, **dull).holds(facts(T2g=50.0), is_active=False) is None


def test_a_text_reads_in_both_languages(dull):
    assert str(dull["text"]) == "供水温度过高 / supply temperature high"


def test_without_an_off_delay_of_its_own_an_alarm_clears_as_slowly_as_it_comes(too_hot):
    assert too_hot.clear_after_s == 120.0
    assert replace(too_hot, off_delay_s=0.0).clear_after_s == 60.0


def test_causes_are_followed_to_the_root(dull):
    conditions = {
        "power": Bit(tag="PWR_OK", equals=False, **dull),
        "pumps": Bit(tag="stopped", suppressed_by=("power",), **dull),
        "cold": Limit(tag="T2g", below=30.0, suppressed_by=("pumps", "power"), **dull),
    }
    assert causes_of("cold", conditions) == ("pumps", "power")
    assert flaws(conditions) == ()


def test_each_flaw_names_its_alarm_and_its_field(dull):
    conditions = {
        "chatters": Limit(tag="T2g", above=90.0, on_delay_s=60.0, off_delay_s=10.0, **dull),
        "silent": Deviation(tag="T2g", reference="T2g_SP", **dull),
        "closed": Limit(tag="T2g", above=6.0, below=5.0, deadband=0.5, **dull),
        "orphan": Bit(tag="FLOOD", suppressed_by=("flod",), **dull),
        "hen": Bit(tag="SMOKE", suppressed_by=("egg",), **dull),
        "egg": Bit(tag="DOOR", suppressed_by=("hen",), **dull),
    }
    found = flaws(conditions)
    assert [(flaw.alarm, flaw.field) for flaw in found] == [
        ("chatters", "off_delay_s"),
        ("silent", "above"),
        ("closed", "deadband"),
        ("orphan", "suppressed_by"),
        ("hen", "suppressed_by"),
        ("egg", "suppressed_by"),
    ]
    assert found[3] == Flaw("orphan", "suppressed_by", "no alarm is called 'flod'")


TEXT = {"zh": "一", "en": "one"}
WRITTEN = {
    "kind": "limit",
    "tag": "T2g",
    "above": 90,
    "priority": 1,
    "text": TEXT,
    "consequence": TEXT,
    "action": TEXT,
}


def test_pydantic_builds_the_kind_that_is_written():
    read = TypeAdapter(Condition).validate_python(WRITTEN)
    assert isinstance(read, Limit)
    assert read.above == 90.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 5},
        {"priority": 0},
        {"on_delay_s": -1},
        {"above": NAN},
        {"aboveness": 3},
        {"text": {"zh": "", "en": "one"}},
    ],
)
def test_pydantic_refuses_what_the_declared_limits_refuse(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(Limit).validate_python(WRITTEN | wrong)
