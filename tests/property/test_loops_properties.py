"""What the machines around the loops must never do, whatever the field reports."""

from dataclasses import asdict, fields
from math import isfinite, nan

from hypothesis import given
from hypothesis import strategies as st

from control_loops.heating_curve import CurvePoints, as_points, supply_c
from control_loops.interlock import InterlockState, Protection, StationFacts, interlock_step
from control_loops.limits import REST, LimitFacts, SupplyLimits, supply_limit
from control_loops.makeup import MakeUp, makeup_start, makeup_step
from control_loops.outdoor import Outdoor, choose_outdoor
from control_loops.pressure import WantedDp
from control_loops.pump_set import MAX_TRIES, PumpFacts
from control_loops.pumps import CirculationPumps, circulation_start, circulation_step
from control_loops.source import (
    GasBoiler,
    NetworkSource,
    SourceFacts,
    SourceState,
    source_step,
)
from core.point import NO_SAMPLE, Quality, Sample

H = 5.0
bits = st.sampled_from([True, False, None])


def number(low, high):
    return st.floats(low, high) | st.just(nan)


curves = st.dictionaries(
    st.integers(-40, 20).map(float), st.floats(20.0, 90.0), min_size=2, max_size=8
).map(
    lambda d: CurvePoints(
        points=dict(zip(sorted(d), sorted(d.values(), reverse=True), strict=True))
    )
)


@given(curve=curves, outdoor_c=st.floats(-60.0, 60.0), warmer_k=st.floats(0.0, 30.0))
def test_a_curve_never_rises_when_it_gets_warmer_and_a_plc_holds_the_same(
    curve, outdoor_c, warmer_k
):
    assert supply_c(curve, outdoor_c + warmer_k) <= supply_c(curve, outdoor_c) + 1e-9
    points = as_points(curve)
    same = CurvePoints(points=dict(points))
    assert len(points) == 8
    assert abs(supply_c(same, outdoor_c) - supply_c(curve, outdoor_c)) <= 1e-9


samples = st.builds(
    Sample,
    st.floats(-45.0, 45.0),
    st.sampled_from([Quality.GOOD, Quality.SUBSTITUTED, Quality.STALE]),
    st.floats(0.0, 100.0),
) | st.just(NO_SAMPLE)


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["a", "b"]), samples), min_size=1, max_size=40),
    dt_s=st.floats(1.0, 60.0),
)
def test_the_outdoor_temperature_never_steps_and_is_never_lost_again(rows, dt_s):
    outdoor, state, before = Outdoor(order=("a", "b", "last_good"), last_good_s=30.0), None, None
    for row in rows:
        choice, state = choose_outdoor(outdoor, row, state, dt_s=dt_s)
        if before is not None:
            assert isfinite(choice.value_c)
            assert abs(choice.value_c - before) <= dt_s / 60.0 + 1e-9
        before = choice.value_c if isfinite(choice.value_c) else None


limit_facts = st.builds(
    LimitFacts,
    outdoor_c=number(-40.0, 30.0),
    t1h_c=number(0.0, 120.0),
    t2h_c=number(0.0, 100.0),
    f1_m3h=number(0.0, 150.0),
    q1_kw=number(0.0, 9000.0),
)


@given(rows=st.lists(st.tuples(number(0.0, 120.0), limit_facts), max_size=60))
def test_a_limited_setpoint_stays_in_its_range(rows):
    limits = SupplyLimits(
        T2g_c=(35.0, 80.0),
        T1h_over_T2h_k=10.0,
        F1_max_m3h=60.0,
        Q1_max_kw=4000.0,
        ramp_k_per_h=60.0,
    )
    state, before_k = REST, 0.0
    for setpoint_c, facts in rows:
        given_c, _, state = supply_limit(
            setpoint_c, limits=limits, facts=facts, state=state, dt_s=H
        )
        assert isfinite(given_c) == isfinite(setpoint_c)
        assert not isfinite(given_c) or 35.0 <= given_c <= 80.0
        assert -20.0 <= state.lowered_k <= 0.0
        assert abs(state.lowered_k - before_k) <= 60.0 * H / 3600.0 + 1e-9
        before_k = state.lowered_k


pump_facts = st.builds(PumpFacts, is_running=bits, is_faulted=bits, hz=number(0.0, 50.0))
pump_rows = st.lists(
    st.tuples(pump_facts, pump_facts, number(0.0, 400.0), bits, st.booleans()), max_size=80
)


@given(rows=pump_rows)
def test_pulses_keep_their_distance_and_their_number(rows):
    pumps = CirculationPumps(dp_kpa=180.0, rotate_s=60.0, prove_s=10.0)
    state, last = circulation_start(pumps), {}
    for k, (one, two, dp_kpa, is_wanted, is_acknowledged) in enumerate(rows):
        before = state
        move, state = circulation_step(
            pumps,
            pumps.gains(),
            state,
            facts=(one, two),
            dp_kpa=dp_kpa,
            wanted=WantedDp(pumps.dp_kpa, "", None),
            is_wanted=is_wanted,
            is_acknowledged=is_acknowledged,
            dt_s=H,
        )
        assert 25.0 <= move.hz <= 50.0
        assert abs(move.hz - before.pid.output) <= 1.0 * H + 1e-9
        assert all(pump.tries <= MAX_TRIES for pump in state.pumps.pumps)
        assert not set(move.start) & {tag.replace("stop", "start") for tag in move.stop}
        if is_wanted is None:
            assert (move.start, move.stop) == ((), ())
        for i, seen in enumerate((one, two)):
            tag = f"XP{i + 1}_start"
            if tag in move.start:
                assert seen.is_running is not True
                assert not seen.is_faulted
                pending = before.pumps.pumps[i].order == "start" and not is_acknowledged
                assert not pending or k - last.get(tag, -99) >= 2
                last[tag] = k


@given(rows=pump_rows, tank_m=st.lists(number(0.0, 2.0), min_size=1, max_size=80))
def test_make_up_never_starts_on_a_low_tank_or_an_unknown_pressure(rows, tank_m):
    makeup = MakeUp(P2h_mpa=0.40, relief_mpa=0.46, stop_mpa=0.30)
    state = makeup_start(makeup)
    for k, (one, two, p2h_kpa, is_allowed, is_acknowledged) in enumerate(rows):
        level_m = tank_m[k % len(tank_m)]
        was_filling = state.is_filling
        move, state = makeup_step(
            makeup,
            makeup.gains(),
            state,
            facts=(one, two),
            p2h_mpa=p2h_kpa / 1000.0,
            tank_m=level_m,
            is_allowed=is_allowed,
            is_acknowledged=is_acknowledged,
            dt_s=H,
        )
        assert 25.0 <= move.hz <= 50.0
        if move.start:
            assert move.is_filling
            assert not level_m <= 0.3
        if move.is_filling and not was_filling:
            assert p2h_kpa < 370.0


station_facts = st.builds(
    StationFacts,
    t2g_c=number(0.0, 100.0),
    p2h_mpa=number(0.0, 1.0),
    tank_m=number(0.0, 2.0),
    stop_mpa=st.just(0.30),
    relief_mpa=st.just(0.46),
    tank_stop_m=st.just(0.3),
    tank_start_m=st.just(0.6),
    is_pump_proven=bits,
    is_power_ok=bits,
)


@given(rows=st.lists(station_facts, max_size=60))
def test_an_interlock_that_fires_has_a_usable_value_for_it(rows):
    state = InterlockState()
    for facts in rows:
        before = state
        trips, state = interlock_step(Protection(), state, facts, dt_s=H)
        fired = {trip.interlock for trip in trips}
        if "I1" in fired:
            assert facts.is_pump_proven is False
        if "I3" in fired and not before.is_low:
            assert facts.p2h_mpa < 0.30
        if "I4" in fired and not before.is_tank_low:
            assert facts.tank_m <= 0.3
        if "I5" in fired and not before.is_relieving:
            assert facts.p2h_mpa >= 0.46
        assert all(trip.why for trip in trips)


source_facts = st.builds(
    SourceFacts,
    t1g_c=number(20.0, 120.0),
    t2g_c=number(20.0, 90.0),
    t2h_c=number(20.0, 60.0),
    t2g_setpoint_c=number(35.0, 80.0),
    p1g_mpa=number(0.6, 0.9),
    p1h_mpa=number(0.6, 0.7),
    f1_m3h=number(0.0, 80.0),
    valve_pct=number(0.0, 100.0),
    is_tripped=bits,
    b_power_kw=number(0.0, 3000.0),
    is_b_flow_ok=bits,
    is_b_locked=bits,
    is_b_faulted=bits,
    is_b_firing=bits,
    missing=st.sampled_from([(), ("B_remote",)]),
    lost=st.sampled_from([(), (), (), ("not GAS",)]),
    is_start_asked=st.sampled_from([False, False, False, True]),
    is_stop_asked=st.sampled_from([False, False, True]),
    is_heat_wanted=st.sampled_from([True, True, True, False]),
)
ALLOWED = {
    ("NORMAL", "SUSPECT"), ("NORMAL", "START"), ("SUSPECT", "START"), ("SUSPECT", "NORMAL"),
    ("START", "BACKUP"), ("START", "NORMAL"), ("BACKUP", "START"), ("BACKUP", "RETURN"),
    ("RETURN", "BACKUP"), ("RETURN", "NORMAL"), ("BACKUP", "NORMAL"),
}  # fmt: skip


@given(
    rows=st.lists(st.tuples(source_facts, st.integers(1, 20)), min_size=1, max_size=15),
    has_boiler=st.booleans(),
)
def test_the_source_machine_keeps_its_promises_whatever_it_sees(rows, has_boiler):
    network = NetworkSource(T1_plan={-16.8: 110.0, 10.0: 75.0}, F1_design_m3h=72.0)
    boiler = GasBoiler(capacity_kw=3000.0) if has_boiler else None
    state = SourceState()
    for facts, repeats in rows:
        for _ in range(repeats):
            before = state
            move, state = source_step(network, boiler, state, facts, dt_s=H)
            if not move.transitions:
                assert move.name == before.name
            for change in move.transitions:
                assert (change.old, change.new) in ALLOWED
                assert change.old == before.name
                assert change.new == move.name
                assert change.why
            assert isfinite(move.boiler_setpoint_c)
            assert 0.0 <= move.valve_pct <= 100.0
            if move.boiler_enable:
                assert has_boiler
                assert move.name in {"START", "BACKUP", "RETURN"}
                assert not facts.lost
                assert not facts.is_b_locked
                assert before.is_enabled or (not facts.missing and before.rest_left_s <= H)
            if move.name in {"NORMAL", "SUSPECT"}:
                assert not move.boiler_enable
            if before.name == move.name == "RETURN":
                assert before.setpoint_c - move.boiler_setpoint_c <= 2.0 * H / 60.0 + 1e-9
            if move.name == "RETURN":
                assert move.valve == "regulate"
            elif move.valve == "regulate":
                assert state.cold_s < 30.0
            assert all(
                value is None or not isinstance(value, float) or isfinite(value)
                for value in asdict(state).values()
            )
    assert {field.name for field in fields(state)} == set(asdict(state))
