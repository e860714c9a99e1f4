"""A station's alarms together: one cause is one alarm, and every change leaves one record."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest

from alarms.alarm import Phase
from alarms.condition import BadQuality, Bit, Deviation, DeviceLost, Limit
from alarms.table import AlarmTable
from core.point import Quality
from core.record import AlarmEvent

AT = datetime(2026, 1, 12, 3, 0, tzinfo=UTC)
RAISED, CLEARED, ACKNOWLEDGED, SUPPRESSED, UNSUPPRESSED = AlarmEvent


@pytest.fixture
def pump_station(dull):
    """A stopped pump explains the cold; a power failure explains the stopped pump."""
    return {
        "cold": Limit(
            tag="T2g",
            below=30.0,
            on_delay_s=60.0,
            suppressed_by=("pumps_stopped",),
            suppress_hold_s=300.0,
            **dull,
        ),
        "pumps_stopped": Bit(
            tag="stopped", on_delay_s=3.0, suppressed_by=("power",), **(dull | {"priority": 1})
        ),
        "power": Bit(tag="PWR_OK", equals=False, on_delay_s=1.0, **(dull | {"priority": 1})),
    }


def test_stations_with_one_template_share_what_never_changes(pump_station):
    first, second = AlarmTable.of(pump_station), AlarmTable.of(dict(pump_station))
    assert first.rows is second.rows
    assert first.watch is second.watch


def play(table, rows):
    """Run (after_s, facts) rows; return the table and what happened as (after_s, alarm, event)."""
    happened, before_s = [], rows[0][0]
    for after_s, seen in rows:
        at = AT + timedelta(seconds=after_s)
        table, records = table.step(seen, after_s - before_s, at, "st-017")
        happened += [(after_s, record.alarm, record.event) for record in records]
        before_s = after_s
    return table, happened


def test_an_effect_is_not_raised_while_its_cause_is_active(facts, pump_station):
    def seen(stopped):
        return facts(T2g=20.0, stopped=stopped, PWR_OK=True)

    rows = [(t, seen(stopped=True)) for t in range(0, 601, 3)]
    table, happened = play(AlarmTable.of(pump_station), rows)
    assert happened == [(3, "pumps_stopped", RAISED), (3, "cold", SUPPRESSED)]
    assert [s.name for s in table.active()] == ["pumps_stopped"]
    assert [(s.name, s.state.cause) for s in table.suppressed()] == [("cold", "pumps_stopped")]


def test_after_the_hold_the_on_delay_starts_anew(facts, pump_station):
    def seen(stopped):
        return facts(T2g=20.0, stopped=stopped, PWR_OK=True)

    table, _ = play(AlarmTable.of(pump_station), [(t, seen(stopped=True)) for t in (0, 3)])
    # The pump runs again from 6 s; its alarm clears at 9 s, so the hold ends at 309 s.
    rows = [(t, seen(stopped=False)) for t in range(3, 400, 3)]
    table, happened = play(table, rows)
    assert happened == [
        (6, "pumps_stopped", CLEARED),
        (306, "cold", UNSUPPRESSED),
        (366, "cold", RAISED),
    ]


def test_a_cause_that_returns_within_the_hold_begins_it_anew(facts, pump_station):
    def seen(stopped):
        return facts(T2g=20.0, stopped=stopped, PWR_OK=True)

    # The second stop lasts from 200 s to 400 s; its alarm clears at 405 s and the hold begins anew.
    steps = [(t, seen(stopped=t <= 3 or 200 <= t < 400)) for t in range(0, 900, 3)]
    _, happened = play(AlarmTable.of(pump_station), steps)
    assert [event for event in happened if event[1] == "cold"] == [
        (3, "cold", SUPPRESSED),
        (705, "cold", UNSUPPRESSED),
        (765, "cold", RAISED),
    ]


def test_the_cause_of_a_cause_suppresses_too(facts, pump_station):
    rows = [(t, facts(T2g=20.0, stopped=True, PWR_OK=False)) for t in range(300)]
    table, happened = play(AlarmTable.of(pump_station), rows)
    assert happened == [
        (1, "power", RAISED),
        (1, "pumps_stopped", SUPPRESSED),
        (1, "cold", SUPPRESSED),
    ]
    assert [s.state.cause for s in table.suppressed()] == ["power", "power"]


def test_causes_come_before_effects_within_one_scan(facts, dull):
    # Both turn true in the same scan, and the effect is written first in the file.
    conditions = {
        "effect": Bit(tag="no_flow", suppressed_by=("cause",), **dull),
        "cause": Bit(tag="stopped", **dull),
    }
    _, happened = play(AlarmTable.of(conditions), [(0, facts(no_flow=True, stopped=True))])
    assert happened == [(0, "cause", RAISED), (0, "effect", SUPPRESSED)]


def test_an_alarm_that_was_raised_before_its_cause_steps_back_and_clears_once(facts, pump_station):
    cold = facts(T2g=20.0, stopped=False, PWR_OK=True)
    dead = facts(T2g=20.0, stopped=True, PWR_OK=True)
    warm = facts(T2g=40.0, stopped=False, PWR_OK=True)
    table, _ = play(AlarmTable.of(pump_station), [(0, cold), (60, cold)])
    table, happened = play(table, [(60, dead), (63, dead)])
    assert happened == [(63, "pumps_stopped", RAISED), (63, "cold", SUPPRESSED)]
    assert [s.name for s in table.active()] == ["pumps_stopped"]
    table, happened = play(table, [(t, warm) for t in range(63, 500, 3)])
    assert happened == [
        (66, "pumps_stopped", CLEARED),
        (123, "cold", CLEARED),
        (366, "cold", UNSUPPRESSED),
    ]
    assert table.state("cold").phase is Phase.UNACK_RTN


def test_suppression_that_holds_nothing_back_leaves_no_record(facts, pump_station):
    rows = [(t, facts(T2g=40.0, stopped=t < 30, PWR_OK=True)) for t in range(0, 600, 3)]
    table, happened = play(AlarmTable.of(pump_station), rows)
    assert {alarm for _, alarm, _ in happened} == {"pumps_stopped"}
    assert table.suppressed() == ()


@pytest.mark.parametrize(
    ("running", "supply_c", "phase"),
    [
        (True, 20.0, Phase.UNACK_ACTIVE),
        (False, 20.0, Phase.NORMAL),
        (None, 20.0, Phase.NORMAL),
        (True, None, Phase.NORMAL),
        (False, None, Phase.NORMAL),
    ],
)
def test_a_condition_counts_only_while_what_it_needs_is_true(facts, dull, running, supply_c, phase):
    table = AlarmTable.of({"cold": Limit(tag="T2g", below=30.0, needs="XP1_run", **dull)})
    table, _ = play(table, [(0, facts(T2g=supply_c, XP1_run=running))])
    assert table.state("cold").phase is phase


@pytest.mark.parametrize(
    ("running", "phase"), [(False, Phase.UNACK_RTN), (None, Phase.UNACK_ACTIVE)]
)
def test_an_alarm_clears_when_its_need_ends_but_not_when_it_is_unknown(facts, dull, running, phase):
    table = AlarmTable.of({"cold": Limit(tag="T2g", below=30.0, needs="XP1_run", **dull)})
    table, _ = play(
        table, [(0, facts(T2g=20.0, XP1_run=True)), (5, facts(T2g=20.0, XP1_run=running))]
    )
    assert table.state("cold").phase is phase


def test_a_record_says_what_when_where_and_why(facts, dull):
    table = AlarmTable.of({"T2g_HH": Limit(tag="T2g", above=90.0, **dull)})
    table, (raised,) = table.step(facts(T2g=91.5), 5.0, AT, "st-017")
    assert (raised.at, raised.station, raised.alarm, raised.event) == (
        AT,
        "st-017",
        "T2g_HH",
        RAISED,
    )
    assert (raised.priority, raised.value, raised.who) == (2, 91.5, "")
    assert raised.text == "供水温度过高 / supply temperature high"
    later = AT + timedelta(seconds=30)
    table, (done,) = table.acknowledge(
        "T2g_HH", who="wang", why="valve stuck", at=later, station="st-017"
    )
    assert (done.event, done.who, done.why, done.value, done.at) == (
        ACKNOWLEDGED,
        "wang",
        "valve stuck",
        91.5,
        later,
    )


def test_the_record_of_a_suppression_names_its_cause(facts, dull):
    conditions = {
        "effect": Bit(tag="no_flow", suppressed_by=("cause",), **dull),
        "cause": Bit(tag="stopped", **dull),
    }
    table, first = AlarmTable.of(conditions).step(facts(no_flow=True, stopped=True), 1.0, AT, "s")
    _, second = table.step(facts(no_flow=True, stopped=False), 1.0, AT, "s")
    assert [(r.alarm, r.event, r.why) for r in (*first, *second)] == [
        ("cause", RAISED, ""),
        ("effect", SUPPRESSED, "cause"),
        ("cause", CLEARED, ""),
        ("effect", UNSUPPRESSED, "cause"),
        ("effect", RAISED, ""),
    ]


def test_a_lost_value_is_recorded_without_a_value(facts, dull):
    table = AlarmTable.of({"T2g_bad": BadQuality(tags=("T2g",), **dull)})
    table, (raised,) = table.step(facts(T2g=None), 5.0, AT, "st-017")
    assert math.isnan(raised.value)
    _, (done,) = table.acknowledge("T2g_bad", who="wang", why="", at=AT, station="st-017")
    assert math.isnan(done.value)


def test_a_lost_device_is_one_alarm_however_many_values_it_takes_along(facts, dull):
    conditions = {
        f"{tag}_bad": BadQuality(tags=(tag,), on_delay_s=5.0, suppressed_by=("lost",), **dull)
        for tag in ("T2g", "T2h", "P2h")
    } | {"lost": DeviceLost(device="plc", on_delay_s=60.0, **dull)}
    ages = {0: Quality.GOOD, 15: Quality.STALE, 60: Quality.BAD}

    def seen(after_s):
        quality = ages[max(age for age in ages if age <= after_s)]
        worst = dict.fromkeys(("T2g", "T2h", "P2h"), quality)
        return facts(worst, T2g=50.0, T2h=40.0, P2h=0.4, device__plc__lost=after_s > 0)

    _, happened = play(AlarmTable.of(conditions), [(t, seen(t)) for t in range(0, 300, 5)])
    assert [alarm for _, alarm, event in happened if event is RAISED] == ["lost"]


def test_active_alarms_come_urgent_first_then_oldest_first(facts, dull):
    conditions = {
        "later": Bit(tag="b", **dull),
        "info": Bit(tag="a", **(dull | {"priority": 4})),
        "older": Bit(tag="a", **dull),
        "urgent": Bit(tag="b", **(dull | {"priority": 1})),
        "quiet": Bit(tag="c", **dull),
    }
    table, _ = play(
        AlarmTable.of(conditions),
        [(0, facts(a=True, b=False, c=False)), (5, facts(a=True, b=True, c=False))],
    )
    assert [s.name for s in table.active()] == ["urgent", "older", "later", "info"]


def test_a_gone_alarm_stays_in_the_list_until_somebody_saw_it(facts, dull):
    table = AlarmTable.of({"flood": Bit(tag="FLOOD", **dull)})
    table, _ = play(table, [(0, facts(FLOOD=True)), (5, facts(FLOOD=False))])
    assert [s.state.phase for s in table.active()] == [Phase.UNACK_RTN]
    table, _ = table.acknowledge("flood", who="wang", why="", at=AT, station="st-017")
    assert table.active() == ()


def test_acknowledging_what_does_not_wait_changes_nothing(facts, dull):
    table = AlarmTable.of({"flood": Bit(tag="FLOOD", **dull)})
    same, records = table.acknowledge("flood", who="wang", why="", at=AT, station="st-017")
    assert same is table
    assert records == ()


def test_an_unknown_alarm_cannot_be_acknowledged(dull):
    table = AlarmTable.of({"flood": Bit(tag="FLOOD", **dull)})
    with pytest.raises(KeyError, match="fire"):
        table.acknowledge("fire", who="wang", why="", at=AT, station="st-017")


def test_conditions_that_do_not_fit_together_make_no_table(dull):
    with pytest.raises(ValueError, match=r"flood.suppressed_by: no alarm is called 'rain'"):
        AlarmTable.of({"flood": Bit(tag="FLOOD", suppressed_by=("rain",), **dull)})


def test_a_scan_that_changes_nothing_returns_the_same_table(facts, pump_station):
    table = AlarmTable.of(pump_station)
    quiet = facts(T2g=50.0, stopped=False, PWR_OK=True)
    assert table.step(quiet, 5.0, AT, "st-017") == (table, ())
    assert table.step(quiet, 5.0, AT, "st-017")[0] is table
    stopped = facts(T2g=50.0, stopped=True, PWR_OK=True)
    table, _ = play(table, [(0, stopped), (3, stopped)])
    assert table.step(stopped, 5.0, AT, "st-017")[0] is table


def test_a_checkpoint_survives_json_and_a_changed_configuration(facts, pump_station, dull):
    dead = facts(T2g=20.0, stopped=True, PWR_OK=True)
    table, _ = play(AlarmTable.of(pump_station), [(0, dead), (5, dead)])
    kept = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert AlarmTable.from_dict(pump_station, kept) == table
    changed = {k: v for k, v in pump_station.items() if k != "cold"} | {
        "flood": Bit(tag="FLOOD", **dull)
    }
    restored = AlarmTable.from_dict(changed, kept)
    assert restored.state("pumps_stopped") == table.state("pumps_stopped")
    assert restored.state("flood").phase is Phase.NORMAL
    assert set(restored.to_dict()) == {"pumps_stopped"}


@pytest.mark.parametrize("kept", [{"power": {}}, {"power": 3}, {"power": {"phase": "odd"}}])
def test_a_foreign_checkpoint_is_refused(pump_station, kept):
    with pytest.raises(ValueError, match="not a checkpoint of alarms"):
        AlarmTable.from_dict(pump_station, kept)


class Columns:
    """Facts that give values and flags, and refuse to make a Sample."""

    def __init__(self, image):
        self.value = image.value
        self.flag = image.flag
        self.usable = image.usable

    def __getitem__(self, tag):
        pytest.fail(f"a quiet scan asked for a Sample of {tag}")


def test_quiet_alarms_cost_no_sample_and_no_state(facts, dull):
    seen = Columns(facts(T2g=50.0, T2g_SP=50.0, FLOOD=False, device__plc__lost=False))
    table = AlarmTable.of(
        {
            "hot": Limit(tag="T2g", above=90.0, below=5.0, suppressed_by=("lost",), **dull),
            "off": Deviation(tag="T2g", reference="T2g_SP", above=5.0, **dull),
            "flood": Bit(tag="FLOOD", **dull),
            "bad": BadQuality(tags=("T2g", "T2g_SP"), **dull),
            "lost": DeviceLost(device="plc", **dull),
        }
    )
    after, records = table.step(seen, 5.0, AT, "st-017")
    assert after is table
    assert records == ()
