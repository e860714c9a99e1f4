"""Whatever the field says and people ask: decide writes sane values, explains them, and repeats."""

import json
import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.model import Station
from controller.authority import Authority
from controller.checkpoint import keep, restore
from controller.decide import Decision
from controller.state import first_state
from core.command import (
    Acknowledge,
    Command,
    EndSetpoint,
    LoopMode,
    SetMode,
    SetOffset,
    SetOutput,
    SetSetpoint,
    StartSource,
    StopSource,
)
from core.point import Quality
from core.record import ScanRecord
from tests.unit.controller.conftest import Bench, example, two_zones, with_authority

STATIONS: dict[str, Station] = {
    "valve": example(),
    "setpoint": with_authority(example(), write="setpoint"),
    "two zones": two_zones(),
}
POINTS = {name: station.points for name, station in STATIONS.items()}
# While these are as they should be, heatd keeps control: other scans decide nothing.
KEYS = ("LOC_REM", "ESTOP", "FALLBACK", "PLC_ID", "HB_PLC", "CV1_U", "low.CV1_U", "high.CV1_U")


@dataclass(frozen=True)
class Scan:
    """What one scan finds: some points at a share of their range, with a quality."""

    dt_s: float
    seen: dict[str, tuple[float, Quality]]
    commands: tuple[Command, ...]


def value_at(name: str, tag: str, share: float) -> float:
    point = POINTS[name][tag]
    low = point.low if math.isfinite(point.low) else 0.0
    high = point.high if math.isfinite(point.high) else 1.0
    return low + share * (high - low)


def scans(name: str) -> st.SearchStrategy[list[Scan]]:
    tags = [tag for tag, point in POINTS[name].items() if not point.is_pulse]
    quiet = [tag for tag in tags if tag not in KEYS]
    shares = st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.6, 0.99, 1.0])
    some = st.dictionaries(
        st.sampled_from(quiet), st.tuples(shares, st.sampled_from(Quality)), max_size=10
    )
    few = st.dictionaries(
        st.sampled_from(tags), st.tuples(shares, st.sampled_from(Quality)), max_size=2
    )
    return st.lists(
        st.builds(
            Scan,
            dt_s=st.sampled_from([0.5, 5.0, 5.0, 5.0, 60.0, 3600.0]),
            seen=st.builds(lambda a, b: a | b, some, st.one_of(st.just({}), few)),
            commands=st.lists(commands(STATIONS[name]), max_size=2).map(tuple),
        ),
        max_size=20,
    )


def commands(station: Station) -> st.SearchStrategy[Command]:
    told = {"station": st.just(station.station), "who": st.just("ann"), "why": st.just("test")}
    lease = st.sampled_from([0.0, 60.0, 86400.0])
    bench = Bench(station)
    loops = st.sampled_from(sorted(bench.plan.outputs))
    return st.one_of(
        st.builds(SetMode, **told, lease_s=lease, loop=loops, mode=st.sampled_from(LoopMode)),
        st.builds(
            SetOutput, **told, lease_s=lease, loop=loops, value=st.sampled_from([0.0, 20.0, 50.0])
        ),
        st.builds(
            SetOffset,
            **told,
            lease_s=lease,
            circuit=st.sampled_from(sorted(station.circuits)),
            offset_k=st.sampled_from([-10.0, 0.0, 10.0]),
        ),
        st.builds(
            SetSetpoint,
            **told,
            lease_s=lease,
            circuit=st.sampled_from(sorted(station.circuits)),
            setpoint_c=st.sampled_from([36.0, 42.0, 50.0]),
        ),
        st.builds(EndSetpoint, **told, circuit=st.sampled_from(sorted(station.circuits))),
        st.builds(Acknowledge, **told, alarm=st.sampled_from(sorted(station.alarms))),
        st.builds(StartSource, **told, source=st.just("gas1")),
        st.builds(StopSource, **told, source=st.just("gas1")),
    )


def play(name: str, sequence: list[Scan]) -> Bench:
    bench = Bench(STATIONS[name]).take_over()
    for scan in sequence:
        # What one scan finds wrong has mended by the next one, or the keys would stay lost.
        keys = {tag: bench.values[tag] for tag in KEYS if tag in bench.values}
        bench.qualities = {tag: quality for tag, (_, quality) in scan.seen.items()}
        found = {tag: value_at(name, tag, share) for tag, (share, _) in scan.seen.items()}
        bench.scan(*scan.commands, dt_s=scan.dt_s, **found)
        bench.values.update({tag: value for tag, value in keys.items() if "CV1" not in tag})
    return bench


def check_outputs(name: str, decision: Decision) -> None:
    points, outputs = POINTS[name], decision.outputs
    if decision.state.authority.holds not in {Authority.TAKING_OVER, Authority.HEATD}:
        assert not outputs.values
        assert not outputs.pulses
    for tag, value in outputs.values.items():
        assert math.isfinite(value), f"{tag} = {value}"
        assert points[tag].is_writable, tag
        assert points[tag].low <= value <= points[tag].high, f"{tag} = {value}"
    assert all(points[tag].is_pulse for tag in outputs.pulses)


def at_s(decision: Decision) -> float:
    scan = decision.records[-1]
    assert isinstance(scan, ScanRecord)
    return scan.image.taken_at.monotonic_s


def check_claims(decision: Decision) -> None:
    for tag, claim in decision.held.items():
        assert claim.why, tag
        assert decision.outputs.values.get(tag) == claim.value, (tag, claim)


@pytest.mark.parametrize("name", STATIONS)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_written_is_in_range_finite_and_explained(name, data):
    bench = play(name, data.draw(scans(name)))
    for decision in bench.decisions:
        check_outputs(name, decision)
        check_claims(decision)


@pytest.mark.parametrize("name", STATIONS)
@settings(max_examples=25)
@given(data=st.data())
def test_whoever_sets_or_withdraws_a_setpoint_it_keeps_to_its_ramp_and_its_limits(name, data):
    bench = play(name, data.draw(scans(name)))
    for before, after in pairwise(bench.decisions):
        passed_s = at_s(after) - at_s(before)
        for was, now in zip(before.circuits, after.circuits, strict=True):
            limits, setpoint_c = now.plan.config.limits, now.chain.setpoint_c
            if math.isnan(was.chain.setpoint_c):
                continue
            most_k = limits.ramp_k_per_h * passed_s / 3600.0
            assert abs(setpoint_c - was.chain.setpoint_c) <= most_k + 1e-9
            assert limits.T2g_c[0] <= setpoint_c <= limits.T2g_c[1]


@pytest.mark.parametrize("name", STATIONS)
@settings(max_examples=12)
@given(data=st.data())
def test_the_same_inputs_give_the_same_decisions(name, data):
    sequence = data.draw(scans(name))
    # NaN is not equal to itself, but it is written alike.
    first, second = (
        [repr((d.outputs, d.state, d.held, d.computed, d.records[:-1])) for d in play_.decisions]
        for play_ in (play(name, sequence), play(name, sequence))
    )
    assert first == second


@pytest.mark.parametrize("name", STATIONS)
@settings(max_examples=12)
@given(data=st.data())
def test_any_state_survives_its_checkpoint(name, data):
    bench = play(name, data.draw(scans(name)))
    plan, state = bench.plan, bench.state
    kept = json.dumps(keep(plan, state), allow_nan=False)
    restored = restore(plan, first_state(plan), json.loads(kept))
    assert restored.alarms == state.alarms
    assert restored.source == state.source
    assert restored.outdoor == state.outdoor
    assert restored.operator.manual == state.operator.manual
    assert restored.operator.offsets == state.operator.offsets
    assert restored.operator.setpoints == state.operator.setpoints
    assert json.dumps(keep(plan, restored)) == kept


def leaves(kept: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value."""
    items: list[tuple[str | int, object]] = []
    if isinstance(kept, dict):
        items = list(kept.items())
    elif isinstance(kept, list):
        items = list(enumerate(kept))
    return [path, *(leaf for key, value in items for leaf in leaves(value, (*path, key)))]


def with_garbage(kept: object, path: tuple[str | int, ...], garbage: object) -> object:
    """The JSON value with something else at one place."""
    if not path:
        return garbage
    made = dict(kept) if isinstance(kept, dict) else list(kept)
    made[path[0]] = with_garbage(made[path[0]], path[1:], garbage)
    return made


GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.just(10**400),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([1, "x"]),
    st.just({"value": 1}),
)


@settings(max_examples=60)
@given(data=st.data())
def test_a_checkpoint_with_garbage_in_it_never_stops_a_station(data):
    bench = Bench(STATIONS["valve"]).take_over()
    told = {"station": "st-01", "who": "ann", "why": "test"}
    bench.scan(
        SetOutput(**told, loop="T2g", value=50.0),
        SetOffset(**told, circuit="main", offset_k=2.0),
        SetSetpoint(**told, circuit="main", setpoint_c=52.0),
    )
    bench.scan_for(60.0, SRC_trip=1.0, FLOOD=1.0)
    kept = json.loads(json.dumps(keep(bench.plan, bench.state)))
    place = data.draw(st.sampled_from(leaves(kept)))
    spoilt = with_garbage(kept, place, data.draw(GARBAGE))
    bench.state = restore(bench.plan, first_state(bench.plan), spoilt)
    bench.scan_for(60.0, FALLBACK=1.0)
    bench.scan(FALLBACK=0.0)
    for decision in bench.decisions[-14:]:
        check_outputs("valve", decision)
