"""The life of one alarm, in tables: each row is after_s, what is seen, and where the alarm stands.

Rows are scans; the time between two rows is the difference of their first columns.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alarms.alarm import REST, AlarmState, Phase, acknowledge
from alarms.table import AlarmTable
from core.record import AlarmEvent

NORMAL, UNACK_ACTIVE, ACK_ACTIVE, UNACK_RTN = Phase
AT = datetime(2026, 1, 12, 3, 0, tzinfo=UTC)
BAD = None


def _play(table, facts, rows):
    """Run the rows on `table`; return it and all records."""
    before_s, happened = rows[0][0], []
    for after_s, supply_c, *_ in rows:
        table, records = table.step(facts(T2g=supply_c), after_s - before_s, AT, "st-017")
        happened.extend(record.event for record in records)
        before_s = after_s
    return table, happened


@pytest.mark.parametrize(
    "rows",
    [
        # The on-delay of 60 s counts from the first scan that saw the heat.
        [(0, 46.0, NORMAL), (59, 46.0, NORMAL), (60, 46.0, UNACK_ACTIVE)],
        # A recovery restarts it.
        [(0, 46.0, NORMAL), (59, 45.0, NORMAL), (60, 46.0, NORMAL), (119, 46.0, NORMAL)],
        [(0, 45.0, NORMAL), (60, 46.0, NORMAL), (119, 46.0, NORMAL), (120, 46.0, UNACK_ACTIVE)],
        # A value that cannot be trusted freezes it: neither raised nor forgotten.
        [(0, 46.0, NORMAL), (50, 46.0, NORMAL), (500, BAD, NORMAL), (510, 46.0, UNACK_ACTIVE)],
        [(0, 46.0, NORMAL), (50, 46.0, NORMAL), (500, BAD, NORMAL), (509, 46.0, NORMAL)],
        [(0, BAD, NORMAL), (1000, BAD, NORMAL)],
    ],
)
def test_an_alarm_is_raised_after_its_on_delay(facts, too_hot, rows):
    table = AlarmTable.of({"T2g_H": too_hot})
    for n, row in enumerate(rows, start=1):
        played, _ = _play(table, facts, rows[:n])
        assert played.state("T2g_H").phase is row[-1], row


@pytest.mark.parametrize(
    "rows",
    [
        # It is raised at 60; inside by the deadband (43) for 120 s clears it.
        [(61, 43.0, UNACK_ACTIVE), (180, 43.0, UNACK_ACTIVE), (181, 43.0, UNACK_RTN)],
        # Inside, but not by the deadband, is still active.
        [(61, 43.1, UNACK_ACTIVE), (600, 43.1, UNACK_ACTIVE)],
        # Leaving the deadband again restarts the off-delay.
        [(61, 43.0, UNACK_ACTIVE), (180, 44.0, UNACK_ACTIVE), (300, 43.0, UNACK_ACTIVE)],
        # BAD freezes the off-delay too.
        [(61, 43.0, UNACK_ACTIVE), (180, BAD, UNACK_ACTIVE), (600, BAD, UNACK_ACTIVE)],
    ],
)
def test_an_alarm_clears_after_its_off_delay(facts, too_hot, rows):
    table = AlarmTable.of({"T2g_H": too_hot})
    rise = [(0, 46.0, NORMAL), (60, 46.0, UNACK_ACTIVE)]
    for n, row in enumerate(rows, start=1):
        played, _ = _play(table, facts, rise + rows[:n])
        assert played.state("T2g_H").phase is row[-1], row


def test_an_unacknowledged_return_waits_for_a_person_and_can_come_back(facts, too_hot):
    table = AlarmTable.of({"T2g_H": too_hot})
    rows = [(0, 46.0), (60, 46.0), (61, 40.0), (181, 40.0), (9000, 40.0), (9001, 46.0)]
    table, happened = _play(table, facts, rows)
    assert table.state("T2g_H").phase is UNACK_RTN
    table, again = _play(table, facts, [(9001, 46.0), (9061, 46.0)])
    assert table.state("T2g_H").phase is UNACK_ACTIVE
    assert happened + again == [AlarmEvent.RAISED, AlarmEvent.CLEARED, AlarmEvent.RAISED]


@pytest.mark.parametrize(
    ("before", "after", "happened"),
    [
        (NORMAL, NORMAL, ()),
        (UNACK_ACTIVE, ACK_ACTIVE, (AlarmEvent.ACKNOWLEDGED,)),
        (ACK_ACTIVE, ACK_ACTIVE, ()),
        (UNACK_RTN, NORMAL, (AlarmEvent.ACKNOWLEDGED,)),
    ],
)
def test_acknowledging_moves_an_alarm_as_isa_18_2_says(before, after, happened):
    state = REST if before is NORMAL else AlarmState(phase=before, raised_at=AT, value=46.0)
    acknowledged, events = acknowledge(state, "wang")
    assert acknowledged.phase is after
    assert events == happened


def test_an_acknowledged_alarm_that_returns_is_over(facts, too_hot):
    table, _ = _play(AlarmTable.of({"T2g_H": too_hot}), facts, [(0, 46.0), (60, 46.0)])
    table, _ = table.acknowledge("T2g_H", who="wang", why="seen", at=AT, station="st-017")
    assert table.state("T2g_H").acknowledged_by == "wang"
    table, happened = _play(table, facts, [(0, 40.0), (120, 40.0)])
    assert happened == [AlarmEvent.CLEARED]
    assert table.state("T2g_H") is REST


def test_an_alarm_without_delays_follows_its_condition_at_once(facts, too_hot):
    quick = replace(too_hot, on_delay_s=0.0, off_delay_s=0.0)
    table, happened = _play(AlarmTable.of({"T2g_H": quick}), facts, [(0, 46.0), (1, 40.0)])
    assert happened == [AlarmEvent.RAISED, AlarmEvent.CLEARED]
    assert table.state("T2g_H").phase is UNACK_RTN


def test_an_infinite_value_raises_but_is_not_remembered(facts, too_hot):
    quick = replace(too_hot, on_delay_s=0.0)
    table, _ = _play(AlarmTable.of({"T2g_H": quick}), facts, [(0, float("inf"))])
    assert table.state("T2g_H").phase is UNACK_ACTIVE
    assert table.state("T2g_H").value is None


def test_a_state_comes_back_from_a_checkpoint_as_it_was():
    state = AlarmState(
        phase=ACK_ACTIVE,
        timer_s=3.5,
        cause="power",
        held_s=1.0,
        is_noted=True,
        raised_at=AT,
        value=46.0,
        acknowledged_by="wang",
    )
    assert AlarmState.from_dict(state.to_dict()) == state
