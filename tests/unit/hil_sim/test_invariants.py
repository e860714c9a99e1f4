"""The laws of a simulated run: an ordinary run keeps them all, and each of them can be broken."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from config.load import load
from control_loops.heating_curve import as_points
from control_loops.three_step import ThreeStep
from controller.arbiter import Claim, Holder
from controller.authority import Authority
from controller.decide import decide
from controller.movers import Motor
from controller.plan import plan_station
from controller.state import Heart, Surroundings, first_state
from core.clock import Instant
from core.image import Outputs, ProcessImage
from core.point import Quality, Tag, TagTable
from core.record import AlarmEvent, AlarmRecord, ModeRecord, ScanRecord, SetpointRecord
from hil_sim.invariants import BROKEN_MAX, Invariants, Scene, name_of
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.play import EXAMPLES
from hil_sim.plc import SimPlc

PERIOD_S = 5.0
AT = datetime(2026, 1, 12, tzinfo=UTC)
NAN = float("nan")


def scans(count: int) -> tuple[Scene, ...]:
    """Return the scans of a daemon that finds a station in steady operation and takes it over."""
    station = next(s for s in load(EXAMPLES).stations if s.station == "st-01")
    plan, circuit = plan_station(station), station.circuits["main"]
    plant = StationPlant(StationParameters(), random.Random(1))
    plc = SimPlc(plant, rng=random.Random(2), curve=as_points(circuit.curve), plc_id=65001)
    plc.warm_start()
    table = TagTable(tag for tag, point in station.points.items() if not point.is_pulse)
    around = Surroundings(
        outdoor={}, devices={}, is_journal_degraded=False, is_read_only=False, is_simulation=True
    )
    state, found = first_state(plan), []
    for scan in range(1, count + 1):
        plc.scan(PERIOD_S)
        now = Instant(scan * PERIOD_S, AT + timedelta(seconds=scan * PERIOD_S))
        values = tuple(plc.registers[tag] for tag in table)
        good = bytes([Quality.GOOD]) * len(table)
        image = ProcessImage("st-01", now, table, values, good, (0.0,) * len(table))
        decision = decide(plan, image, around, (), state, dt_s=PERIOD_S)
        state = decision.state
        for tag, value in decision.outputs.values.items():
            assert plc.write(tag, value), tag
        for tag in decision.outputs.pulses:
            plc.write(tag, 1.0)
        found.append(
            Scene(
                at_s=now.monotonic_s,
                dt_s=PERIOD_S,
                period_s=PERIOD_S,
                plan=plan,
                image=image,
                decision=decision,
                registers=dict(plc.registers),
                valve_pct=plant.truth().valve_pct,
                is_linked=True,
            )
        )
    return tuple(found)


@cache
def run() -> tuple[Scene, ...]:
    return scans(40)


def with_sample(scene: Scene, tag: str, value: float, quality: Quality, age_s: float = 0.0):
    image = scene.image
    at = image.table.index[Tag(tag)]
    values, qualities = list(image.values), bytearray(image.qualities)
    ages_s = list(image.ages_s)
    values[at], qualities[at], ages_s[at] = value, quality, age_s
    changed = replace(image, values=tuple(values), qualities=bytes(qualities), ages_s=tuple(ages_s))
    return recorded(replace(scene, image=changed))


def recorded(scene: Scene) -> Scene:
    """Return the scene with a record of its scan that tells what it now is."""
    scan = ScanRecord(scene.image, scene.decision.outputs)
    records = (*scene.decision.records[:-1], scan)
    return replace(scene, decision=scene.decision._replace(records=records))


def with_flag(scene: Scene, tag: str, *, is_on: bool) -> Scene:
    return with_sample(scene, tag, float(is_on), Quality.GOOD)


def with_output(scene: Scene, **values: float | None) -> Scene:
    before = scene.decision.outputs
    merged = {**before.values, **values}
    outputs = before._replace(values={t: v for t, v in merged.items() if v is not None})
    return recorded(replace(scene, decision=scene.decision._replace(outputs=outputs)))


def with_contacts(scene: Scene, **timed: float) -> Scene:
    """Return the scene of a valve with two contacts, of which these are closed."""
    motor = Motor(ThreeStep(), 90.0, Tag("CV1_raise"), Tag("CV1_lower"), 10.0)
    circuits = tuple(replace(circuit, motor=motor) for circuit in scene.plan.circuits)
    outputs = scene.decision.outputs._replace(
        timed={Tag(tag): seconds for tag, seconds in timed.items()}
    )
    decision = scene.decision._replace(outputs=outputs)
    return recorded(replace(scene, plan=replace(scene.plan, circuits=circuits), decision=decision))


def with_claim(scene: Scene, tag: str, claim: Claim) -> Scene:
    held = {**scene.decision.held, Tag(tag): claim}
    return replace(scene, decision=scene.decision._replace(held=held))


def with_authority(scene: Scene, holds: Authority, held_s: float = 0.0) -> Scene:
    state = scene.decision.state
    authority = state.authority._replace(holds=holds, held_s=held_s)
    return replace(
        scene, decision=scene.decision._replace(state=state._replace(authority=authority))
    )


def with_source(scene: Scene, **fields: object) -> Scene:
    source = scene.decision.source._replace(**fields)
    return replace(scene, decision=scene.decision._replace(source=source))


def with_records(scene: Scene, *records: object) -> Scene:
    kept = (*records, scene.decision.records[-1])
    return replace(scene, decision=scene.decision._replace(records=kept))


def in_plc(scene: Scene, **registers: float) -> Scene:
    return replace(scene, registers={**scene.registers, **registers})


def written_and_held(scene: Scene, tag: str, value: float, holder: Holder) -> Scene:
    return in_plc(
        with_claim(with_output(scene, **{tag: value}), tag, Claim(holder, value, "a reason")),
        **{tag: value},
    )


def alarm(scene: Scene, event: AlarmEvent) -> AlarmRecord:
    return AlarmRecord(
        at=scene.image.taken_at.utc,
        station="st-01",
        alarm="T2g_H",
        event=event,
        priority=2,
        value=NAN,
        text="",
    )


def setpoint(scene: Scene, old: float, new: float) -> SetpointRecord:
    at = scene.image.taken_at.utc
    return SetpointRecord(at=at, station="st-01", loop="T2g", old=old, new=new, why="")


def mode(scene: Scene, old: str, new: str) -> ModeRecord:
    at = scene.image.taken_at.utc
    return ModeRecord(at=at, station="st-01", subject="authority", old=old, new=new, why="")


def hurried(scene: Scene) -> Scene:
    return written_and_held(scene, "CV1_SV", scene.written(Tag("CV1_SV")) - 7.0, Holder.LOOP)


def blind(scene: Scene) -> Scene:
    moved = written_and_held(scene, "CV1_SV", scene.written(Tag("CV1_SV")) + 0.3, Holder.LOOP)
    return with_sample(moved, "T2g", 55.0, Quality.STALE, 16.0)


def pumped_blindly(scene: Scene) -> Scene:
    moved = written_and_held(scene, "XP_SV", scene.written(Tag("XP_SV")) + 0.5, Holder.LOOP)
    return with_sample(moved, "P2D", NAN, Quality.BAD)


def frosty(scene: Scene) -> Scene:
    scene = with_flag(with_flag(scene, "XP1_run", is_on=False), "XP2_run", is_on=False)
    return written_and_held(scene, "CV1_SV", 90.0, Holder.FROST)


def another_scan(scene: Scene) -> Scene:
    records = (ScanRecord(scene.image, Outputs()),)
    return replace(scene, decision=scene.decision._replace(records=records))


def lost(scene: Scene, base_lost_s: float) -> Scene:
    return replace(with_authority(scene, Authority.HEATD, 5000.0), base_lost_s=base_lost_s)


def heatless(scene: Scene) -> Scene:
    enabled = with_source(scene, name="START", boiler_enable=True)
    return replace(lost(enabled, 901.0), dt_s=800.0)


BREAKS: dict[str, tuple[Callable[[Scene], Scene], ...]] = {
    "bad values are no numbers": (
        lambda s: with_sample(s, "T1g", NAN, Quality.GOOD),
        lambda s: with_sample(s, "T1g", 101.0, Quality.BAD),
    ),
    "silence ages": (
        lambda s: with_sample(s, "T2g", 55.0, Quality.GOOD, 15.1),
        lambda s: with_sample(s, "CV1_U", 55.0, Quality.SUBSTITUTED, 15.1),
        lambda s: with_sample(s, "P2h", 0.4, Quality.STALE, 60.1),
    ),
    "ages are true": (
        lambda s: with_sample(s, "HB_PLC", s.registers["HB_PLC"] - 3.0, Quality.GOOD),
        lambda s: with_sample(s, "HB_PLC", s.registers["HB_PLC"] - 30.0, Quality.STALE, 20.0),
    ),
    "outputs stay in range": (
        lambda s: with_output(s, CV1_SV=100.5),
        lambda s: with_output(s, CV1_SV=NAN),
        lambda s: with_output(s, T1g=90.0),
        lambda s: with_output(s, XP1_start=1.0),
        lambda s: replace(
            s, decision=s.decision._replace(outputs=Outputs({}, frozenset({Tag("CV1_SV")})))
        ),
    ),
    "valve keeps its rate": (hurried,),
    "nothing is written blindly": (blind, pumped_blindly),
    "nobody writes without authority": (
        lambda s: with_authority(s, Authority.LOST),
        lambda s: with_authority(s, Authority.WATCH),
        lambda s: with_authority(s, Authority.LOCAL),
        lambda s: with_authority(s, Authority.TRACKING),
    ),
    "heartbeat counts scans": (
        lambda s: with_output(s, HB_SCADA=None),
        lambda s: with_output(s, HB_SCADA=7.0),
        lambda s: replace(
            s,
            decision=s.decision._replace(state=s.decision.state._replace(heartbeat=Heart(7, 0.0))),
        ),
    ),
    "contacts close one at a time": (
        lambda s: with_contacts(s, CV1_raise=1.0, CV1_lower=1.0),
        lambda s: with_contacts(s, CV1_raise=5.5),
        lambda s: with_contacts(s, CV1_lower=-1.0),
    ),
    "every output has one holder": (
        lambda s: with_output(s, CV1_SV=12.0),
        lambda s: with_output(s, XP_SV=None),
        lambda s: with_claim(s, "CV1_SV", Claim(Holder.LOOP, s.written(Tag("CV1_SV")), "")),
        lambda s: replace(
            s,
            decision=s.decision._replace(
                held={t: c for t, c in s.decision.held.items() if t != "CV1_SV"}
            ),
        ),
    ),
    "control changes hands without a step": (
        lambda s: in_plc(s, FALLBACK=1.0, CV1_SV=s.valve_pct - 6.5),
    ),
    "frost needs a running pump": (frosty,),
    "backup starts in time": (
        lambda s: lost(s, 121.0),
        lambda s: with_source(lost(s, 121.0), name="SUSPECT"),
        heatless,
    ),
    "records are facts": (
        another_scan,
        lambda s: replace(s, decision=s.decision._replace(records=(mode(s, "heatd", "lost"),))),
        lambda s: with_records(s, alarm(s, AlarmEvent.RAISED)),
        lambda s: with_records(s, alarm(s, AlarmEvent.CLEARED)),
        lambda s: with_records(s, setpoint(s, 20.0, 30.0)),
        lambda s: with_records(s, setpoint(s, told_c(s), told_c(s) + 1.0)),
        lambda s: with_records(s, mode(s, "tracking", "heatd")),
        lambda s: with_records(s, mode(s, "heatd", "tracking")),
        lambda s: with_authority(s, Authority.TAKING_OVER),
        lambda s: with_source(s, name="SUSPECT"),
        lambda s: with_records(s, replace(setpoint(s, told_c(s), told_c(s)), at=AT)),
    ),
    "data return with the link": (
        lambda s: with_sample(s, "HB_PLC", s.registers["HB_PLC"], Quality.STALE, 16.0),
        lambda s: with_sample(s, "HB_PLC", NAN, Quality.BAD),
    ),
    "what is written stands in the plc": (
        lambda s: in_plc(s, CV1_SV=s.registers["CV1_SV"] + 0.01),
        lambda s: in_plc(s, B_enable=1.0),
    ),
}
CASES = [(law, n) for law, breaks in BREAKS.items() for n in range(len(breaks))]


def told_c(scene: Scene) -> float:
    return round(scene.decision.circuits[0].chain.setpoint_c, 1)


def found_in(*scenes: Scene) -> list[str]:
    laws = Invariants()
    for scene in scenes:
        laws.check(scene)
    return laws.broken


def names(broken: list[str]) -> list[str]:
    return [sentence.split(": ")[1] for sentence in broken]


def test_a_daemon_that_takes_a_station_over_breaks_no_law():
    assert run()[-1].authority is Authority.HEATD
    assert found_in(*run()) == []


def test_every_law_has_a_case_that_breaks_it():
    assert [name_of(law) for law in Invariants().laws] == list(BREAKS)


@pytest.mark.parametrize(("law", "n"), CASES)
def test_a_broken_scan_is_found_by_its_law(law, n):
    *before, last = run()[20:30]
    assert law in names(found_in(*before, BREAKS[law][n](last)))


@pytest.mark.parametrize(("law", "n"), CASES)
def test_the_scan_before_it_was_in_order(law, n):
    assert found_in(*run()[20:30]) == []


class TestHandingOver:
    def test_pumps_that_are_set_to_another_speed_are_a_step(self):
        first = next(n for n, scene in enumerate(run()) if scene.authority is Authority.HEATD)
        slow = written_and_held(run()[first], "XP_SV", 25.0, Holder.LOOP)
        found = found_in(*run()[first - 5 : first], slow)
        what = "the pumps run at 45.0 Hz and are set to 25.0 Hz"
        assert found == [f"{slow.at_s:.0f} s: control changes hands without a step: {what}"]

    def test_an_emergency_stop_closes_the_valve_without_anybody_handing_over(self):
        *before, last = run()[20:30]
        stopped = in_plc(last, FALLBACK=1.0, ESTOP=1.0, CV1_SV=last.valve_pct - 50.0)
        assert "control changes hands without a step" not in names(found_in(*before, stopped))


class TestWhatIsAllowed:
    """Each law stands aside where it must; a law that cries wolf is not heard."""

    @pytest.mark.parametrize("holder", [Holder.TRIP, Holder.FROST])
    def test_protection_moves_the_valve_at_any_rate(self, holder):
        *before, last = run()[20:30]
        assert found_in(*before, written_and_held(last, "CV1_SV", 20.0, holder)) == []

    def test_the_way_back_from_a_trip_is_bound_to_the_rate(self):
        *before, one, two = run()[20:30]
        tripped = written_and_held(one, "CV1_SV", 0.0, Holder.TRIP)
        assert names(found_in(*before, tripped, two)) == ["valve keeps its rate"]

    def test_a_loop_without_its_value_may_repeat_what_stands(self):
        *before, last = run()[20:30]
        kept = before[-1].written(Tag("XP_SV"))
        held = written_and_held(last, "XP_SV", kept, Holder.LOOP)
        assert found_in(*before, with_sample(held, "P2D", NAN, Quality.BAD)) == []

    def test_a_cut_link_takes_its_values_with_it(self):
        *before, last = run()[20:30]
        cut = replace(with_sample(last, "HB_PLC", 1.0, Quality.STALE, 1e6), is_linked=False)
        assert found_in(*before, in_plc(cut, CV1_SV=0.0)) == []

    @pytest.mark.parametrize("polls", [1, 2, 3])
    def test_two_polls_and_the_one_under_way_may_pass_before_data_are_true(self, polls):
        blind = [
            replace(with_sample(s, "HB_PLC", 1.0, Quality.STALE, 1e6), is_linked=n > 0)
            for n, s in enumerate(run()[20 : 21 + polls])
        ]
        assert found_in(*blind) == []

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "SUSPECT", "is_waiting": True},
            {"name": "START"},
            {"name": "BACKUP", "boiler_enable": True, "is_heat_flowing": True},
        ],
    )
    def test_a_decision_that_waits_for_a_person_is_one(self, change):
        scene = with_source(lost(run()[25], 901.0), **change)
        assert "backup starts in time" not in names(found_in(run()[24], scene))

    def test_heat_is_late_only_if_the_boiler_may_run(self):
        scene = with_source(lost(run()[25], 5000.0), name="START", boiler_enable=False)
        assert "backup starts in time" not in names(found_in(run()[24], scene))

    def test_nobody_is_to_blame_for_a_loss_while_the_plc_rules(self):
        scene = replace(with_authority(run()[25], Authority.LOST), base_lost_s=5000.0)
        assert "backup starts in time" not in names(found_in(run()[24], scene))


def test_a_run_that_breaks_a_law_for_ever_says_so_twenty_times():
    wrong = [with_output(scene, CV1_SV=math.inf) for scene in run()]
    assert len(found_in(*wrong)) == BROKEN_MAX
