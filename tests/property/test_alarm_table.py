"""What no sequence of events may break in the alarms of a station."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alarms.alarm import Phase, advance
from alarms.condition import BadQuality, Bit, Deviation, DeviceLost, Limit, Text
from alarms.table import AlarmTable
from core.clock import Instant
from core.image import ProcessImage
from core.point import Quality, TagTable
from core.record import AlarmEvent

AT = datetime(2026, 1, 12, 3, 0, tzinfo=UTC)
DULL = dict.fromkeys(("text", "consequence", "action"), Text(zh="一", en="one")) | {"priority": 2}
CONDITIONS = {
    "cold": Limit(
        tag="T2g",
        below=30.0,
        deadband=2.0,
        on_delay_s=10.0,
        suppressed_by=("stopped",),
        suppress_hold_s=20.0,
        needs="run",
        **DULL,
    ),
    "hot": Limit(tag="T2g", above=45.0, deadband=2.0, on_delay_s=2.0, **DULL),
    "warm": Limit(tag="T2g", above=35.0, suppressed_by=("hot",), suppress_hold_s=5.0, **DULL),
    "off": Deviation(tag="T2g", reference="T2g_SP", above=5.0, suppressed_by=("lost",), **DULL),
    "bad": BadQuality(tags=("T2g", "T2g_SP"), on_delay_s=5.0, suppressed_by=("lost",), **DULL),
    "stopped": Bit(tag="run", equals=False, on_delay_s=3.0, suppressed_by=("lost",), **DULL),
    "lost": DeviceLost(device="plc", on_delay_s=5.0, off_delay_s=8.0, **DULL),
}
TAGS = TagTable(("T2g", "T2g_SP", "run", "device.plc.lost"))
NAMES = tuple(CONDITIONS)

values = st.tuples(
    st.sampled_from((20.0, 29.0, 31.0, 40.0, 50.0)),
    st.sampled_from((30.0, 50.0)),
    st.sampled_from((0.0, 1.0)),
    st.sampled_from((0.0, 1.0)),
)
qualities = st.lists(
    st.sampled_from((Quality.BAD, Quality.STALE, *[Quality.GOOD] * 6)), min_size=4, max_size=4
)
scan = st.tuples(st.sampled_from((1.0, 5.0, 12.0)), values, qualities)
story = st.lists(st.one_of(scan, st.sampled_from(NAMES)), max_size=60)


def _facts(seen, quality):
    known = zip(seen, quality, strict=True)
    return ProcessImage(
        "st-017",
        Instant(0.0, AT),
        TAGS,
        tuple(float("nan") if q is Quality.BAD else value for value, q in known),
        bytes(quality),
        (0.0,) * len(TAGS),
    )


def _tell(table, events):
    """Play scans and acknowledgements; yield each with the table before and after it."""
    at = AT
    for event in events:
        if isinstance(event, str):
            after, records = table.acknowledge(event, who="w", why="", at=at, station="s")
        else:
            dt_s, seen, quality = event
            at += timedelta(seconds=dt_s)
            after, records = table.step(_facts(seen, quality), dt_s, at, "s")
        yield event, table, after, records
        table = after


@given(story)
def test_an_unacknowledged_alarm_waits_for_a_person(events):
    waiting = {Phase.UNACK_ACTIVE, Phase.UNACK_RTN}
    for event, before, after, _ in _tell(AlarmTable.of(CONDITIONS), events):
        for name in NAMES:
            if before.state(name).phase in waiting and event != name:
                assert after.state(name).phase in waiting


@given(story)
def test_raised_and_cleared_alternate_and_agree_with_the_state(events):
    is_up = dict.fromkeys(NAMES, False)
    for _, _, after, records in _tell(AlarmTable.of(CONDITIONS), events):
        for record in records:
            if record.event in (AlarmEvent.RAISED, AlarmEvent.CLEARED):
                assert is_up[record.alarm] is (record.event is AlarmEvent.CLEARED)
                is_up[record.alarm] = not is_up[record.alarm]
        assert is_up == {name: after.state(name).is_active for name in NAMES}


@given(story)
def test_suppression_is_recorded_in_pairs(events):
    is_held = dict.fromkeys(NAMES, False)
    for _, _, after, records in _tell(AlarmTable.of(CONDITIONS), events):
        for record in records:
            if record.event in (AlarmEvent.SUPPRESSED, AlarmEvent.UNSUPPRESSED):
                assert is_held[record.alarm] is (record.event is AlarmEvent.UNSUPPRESSED)
                is_held[record.alarm] = not is_held[record.alarm]
        assert is_held == {name: after.state(name).is_noted for name in NAMES}


@given(story)
def test_nothing_is_raised_while_its_cause_is_active(events):
    for _, _, after, records in _tell(AlarmTable.of(CONDITIONS), events):
        for record in records:
            if record.event is AlarmEvent.RAISED:
                causes = CONDITIONS[record.alarm].suppressed_by
                assert not any(after.state(cause).is_active for cause in causes)


@given(story)
def test_untrusted_values_raise_and_clear_nothing_but_bad_quality(events):
    for event, _, _, records in _tell(AlarmTable.of(CONDITIONS), events):
        if isinstance(event, str):
            continue
        _, _, quality = event
        lost = {tag for tag, q in zip(TAGS, quality, strict=True) if q < Quality.SUBSTITUTED}
        for record in records:
            if record.event is AlarmEvent.RAISED and record.alarm in ("cold", "off"):
                assert "T2g" not in lost


@given(story, st.integers(min_value=0, max_value=60))
def test_a_table_from_a_checkpoint_goes_on_as_if_nothing_had_happened(events, cut):
    table = AlarmTable.of(CONDITIONS)
    for _, _, after, _ in _tell(table, events[:cut]):
        table = after
    kept = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    restored = AlarmTable.from_dict(CONDITIONS, kept)
    straight = [(a.states, r) for _, _, a, r in _tell(table, events[cut:])]
    again = [(a.states, r) for _, _, a, r in _tell(restored, events[cut:])]
    assert repr(straight) == repr(again)


@given(story)
def test_a_table_that_did_not_change_is_the_same_object(events):
    for _, before, after, records in _tell(AlarmTable.of(CONDITIONS), events):
        assert (after is before) is (after == before)
        assert not records or after is not before


def _plain_step(table, facts, dt_s, at):
    """Ask every alarm, one by one: what `step` must come to, however it gets there."""
    states = list(table.states)
    happened = []
    for i, row in enumerate(table.rows):
        state = states[i]
        holds = row.condition.holds(facts, is_active=state.is_active)
        if row.needs is not None and holds is not False:
            needed = facts.flag(row.needs)
            holds = False if needed is False else None if holds is None or needed is None else True
        cause = next((table.rows[c].name for c in row.causes if states[c].is_active), "")
        value = row.condition.observed(facts)
        states[i], events = advance(
            row.condition, state, holds=holds, cause=cause, value=value, dt_s=dt_s, at=at
        )
        happened += [(row.name, event) for event in events]
    return tuple(states), happened


@given(story)
def test_looking_only_where_it_matters_comes_to_the_same_as_asking_every_alarm(events):
    at = AT
    for event, before, after, records in _tell(AlarmTable.of(CONDITIONS), events):
        if isinstance(event, str):
            continue
        dt_s, seen, quality = event
        at += timedelta(seconds=dt_s)
        states, happened = _plain_step(before, _facts(seen, quality), dt_s, at)
        assert after.states == states
        assert [(record.alarm, record.event) for record in records] == happened
