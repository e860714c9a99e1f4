"""A station as people see it after a scan: who holds what, and how it came about."""

import io
import json
import math
from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console, RenderableType

from api.messages import StationStatus, Status
from config.formula import Amount
from config.model import Calibration
from control_loops.monitor import LoopFigures
from control_loops.weather import WeatherTerms, Wind
from controller.snapshot import LoopView, StationSnapshot
from controller.state import first_state
from controller.tables import explanation_view, station_view, status_table
from controller.translate import explanation_of, station_of, whole_station_of
from controller.view import snapshot_of
from core.command import Acknowledge, LoopMode, SetMode, SetOffset, SetOutput, SetSetpoint
from core.point import Tag
from drivers.budget import Wear
from drivers.link import LinkStatus
from tests.unit.controller.conftest import Bench, link_status, sample, with_authority

NO_MEASUREMENT = {"schedule", "offset", "arbiter"}
TOLD = {"station": "st-01", "who": "ann", "why": "test"}


def seen(
    bench: Bench,
    *,
    unverified: tuple[str, ...] = (),
    is_faulty: bool = False,
    link: LinkStatus | None = None,
):
    return snapshot_of(
        bench.plan,
        bench.last,
        links={"plc": link or link_status("plc", unverified=tuple(map(Tag, unverified)))},
        scans=7,
        overruns=1,
        is_simulation=True,
        is_read_only=False,
        is_faulty=is_faulty,
    )


def loop(snapshot: StationSnapshot, name: str = "T2g") -> LoopView:
    return next(view for view in snapshot.loops if view.name == name)


def steps(view: LoopView) -> dict[str, float]:
    return {step.name: step.value for step in view.chain}


def test_a_station_says_what_it_is_and_how_it_stands(ours):
    snapshot = seen(ours)
    assert (snapshot.station, snapshot.name_en) == ("st-01", "Kangcheng No. 1")
    assert (snapshot.authority, snapshot.source) == ("heatd", "normal")
    assert (snapshot.outdoor_c, snapshot.outdoor_source) == (-5.0, "T_out")
    assert (snapshot.rooms_p10_c, snapshot.rooms_avg_c) == (20.0, 21.0)
    assert (snapshot.scans, snapshot.overruns) == (7, 1)
    assert snapshot.at == ours.at.utc
    assert [device.name for device in snapshot.devices] == ["plc"]


def test_a_calibrated_sensor_says_so_in_the_chain(ours):
    correction = Calibration(
        offset=Amount.from_text("0.4 K"), on=date(2026, 10, 2), by="Wang Lei", why="reference Pt100"
    )
    bench = Bench(replace(ours.config, calibration={"T2g": correction}))
    bench.scan()
    notes = {step.name: step.note for step in loop(seen(bench)).chain}
    assert notes["measured"] == "T2g, calibrated by 0.4 K (Wang Lei, 2026-10-02)"


def test_every_loop_shows_what_it_wants_sees_and_does(ours):
    snapshot = seen(ours)
    assert [(v.name, v.output_tag, v.unit, v.output_unit) for v in snapshot.loops] == [
        ("T2g", "CV1_SV", "°C", "%"),
        ("P2D", "XP_SV", "kPa", "Hz"),
        ("P2h", "BP_SV", "MPa", "Hz"),
    ]
    assert [(v.setpoint, v.measured, v.output) for v in snapshot.loops] == [
        (pytest.approx(56.2), 56.2, 40.0),
        (180.0, 180.0, 43.0),
        (0.4, 0.4, 0.0),
    ]
    assert {v.holder for v in snapshot.loops} == {"loop"}


def test_the_chain_leads_from_the_outdoor_temperature_to_what_was_written(ours):
    ours.scan(SetOffset(**TOLD, circuit="main", offset_k=1.0))
    chain = loop(seen(ours)).chain
    assert [step.name for step in chain] == [
        *("outdoor", "damped", "curve", "schedule", "rooms", "offset", "limits", "setpoint"),
        "measured",
        *("proportional", "integral", "derivative", "feedforward", "demand", "arbiter", "written"),
    ]
    values = steps(loop(seen(ours)))
    assert values["curve"] + values["offset"] == pytest.approx(values["limits"])
    assert values["arbiter"] == values["written"] == ours.last.outputs.values["CV1_SV"]
    assert chain[0].note == "T_out, 0 s old"


def test_a_setpoint_that_a_person_gave_is_named_and_rests_on_no_sensor(ours):
    ours.spoil("T_out")
    ours.scan(SetSetpoint(**TOLD, circuit="main", setpoint_c=52.0))
    ours.scan_for(90.0)
    view = loop(seen(ours))
    notes = {step.name: step.note for step in view.chain}
    assert [step.name for step in view.chain][5:9] == ["offset", "operator", "limits", "setpoint"]
    assert (view.ruling, steps(view)["operator"], steps(view)["limits"]) == ("operator", 52.0, 52.0)
    assert (notes["operator"], notes["limits"]) == ("ann: test, 238 min left", "operator rules")
    assert notes["rooms"].endswith("held: operator")
    assert view.why == "T2g set to 52.0 °C by ann: test"
    told = chain(view)
    assert (told["curve"][0], told["limits"][0], told["setpoint"][0]) == ("substituted", "", "")
    assert told["demand"][0] == "good"


def test_the_status_marks_a_setpoint_that_is_not_the_curves(ours):
    assert "(operator)" not in shown(station_view(station_of(seen(ours))))
    ours.scan(SetSetpoint(**TOLD, circuit="main", setpoint_c=56.2))
    status = station_of(seen(ours))
    assert "56.2 °C (operator)" in shown(station_view(status))
    assert "56.2 (operator)" in shown(status_table(whole_of(status)))


def test_the_status_marks_a_valve_that_a_limit_rules_and_not_its_setpoint(ours):
    status = station_of(seen(ours))
    supply = status.loops[0].model_copy(update={"output_ruling": "F1_max"})
    ruled = status.model_copy(update={"loops": (supply, *status.loops[1:])})
    assert "40.0 % (F1_max)" not in shown(station_view(status))
    for table in (station_view(ruled), status_table(whole_of(ruled))):
        assert "40.0 % (F1_max)" in shown(table)
        assert shown(table).count("(F1_max)") == 1


def whole_of(status: StationStatus) -> Status:
    return Status(
        at=status.at,
        started_at=status.at,
        is_simulation=True,
        is_read_only=False,
        stations=(status,),
        waiting=(),
    )


def shown(view: RenderableType) -> str:
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(view)
    return console.export_text()


@pytest.mark.parametrize(
    ("unverified", "is_verified", "note"),
    [((), True, "verified"), (("CV1_SV",), False, "not read back yet")],
)
def test_what_was_written_says_whether_the_plc_shows_it(ours, unverified, is_verified, note):
    view = loop(seen(ours, unverified=unverified))
    assert view.is_verified is is_verified
    assert view.chain[-1].note == note


def test_what_is_held_is_not_called_written(ours):
    ours.spoil("T2g")
    ours.scan()
    view = loop(seen(ours))
    assert (view.holder, view.is_verified, view.chain[-1].note) == ("hold", None, "not written")
    assert math.isnan(steps(view)["written"])


def test_a_loop_in_manual_names_who_holds_it(ours):
    ours.scan(SetMode(**TOLD, loop="P2D", mode=LoopMode.MAN))
    ours.scan(SetOutput(**TOLD, loop="P2D", value=41.0))
    view = loop(seen(ours), "P2D")
    assert (view.mode, view.holder, view.why) == ("man", "operator", "ann: test")
    assert loop(seen(ours)).mode == "auto"


def test_a_speed_is_the_one_in_the_field(ours):
    ours.scan(XP1_Hz=37.5)
    assert loop(seen(ours), "P2D").output == 37.5
    ours.spoil("XP1_Hz", "XP2_Hz")
    ours.scan()
    assert math.isnan(loop(seen(ours), "P2D").output)


def test_alarms_stand_until_they_are_gone_and_acknowledged(ours):
    ours.scan_for(30.0, FLOOD=1.0)
    raised_at = seen(ours).alarms[0].since
    ours.scan_for(900.0, FLOOD=0.0)
    (alarm,) = seen(ours).alarms
    assert (alarm.name, alarm.state, alarm.since) == ("flood", "unack_rtn", raised_at)
    assert alarm.text_en
    ours.scan(Acknowledge(**TOLD, alarm="flood"))
    assert seen(ours).alarms == ()


def test_a_controller_that_failed_does_not_pretend_to_hold_the_station(ours):
    snapshot = seen(ours, is_faulty=True)
    assert snapshot.authority == "fault"
    assert "controller failed" in snapshot.authority_why


def test_circuits_show_their_own_loops(two_zone_station):
    bench = Bench(two_zone_station, is_simulation=False).take_over()
    snapshot = seen(bench)
    assert [view.name for view in snapshot.loops] == [
        f"{zone}.{name}" for zone in ("low", "high") for name in ("T2g", "P2D", "P2h")
    ]
    assert loop(snapshot, "high.T2g").measured == 36.6
    assert loop(snapshot, "high.P2D").output_tag == "high.XP_SV"


def test_where_the_plcs_loops_move_the_outputs_that_is_said(station):
    bench = Bench(with_authority(station, write="setpoint")).take_over()
    view = loop(seen(bench))
    assert (view.holder, view.is_verified) == ("local", None)
    assert "the PLC's own loops" in view.why


def chain(view: LoopView) -> dict[str, tuple[str, float]]:
    return {step.name: (step.quality, step.age_s) for step in view.chain}


def test_every_link_says_how_far_its_value_may_be_trusted_and_how_old_it_is(ours):
    told = chain(loop(seen(ours)))
    assert {quality for name, (quality, _) in told.items() if name not in NO_MEASUREMENT} == {
        "good"
    }
    assert {told[name][0] for name in NO_MEASUREMENT} == {""}
    assert all(age_s >= 0.0 for name, (_, age_s) in told.items() if name not in NO_MEASUREMENT)


def test_the_sources_of_the_outdoor_temperature_are_all_shown(ours):
    ours.spoil("T_out")
    ours.see(outdoor={"st-02.T_out": sample(-7.0)})
    ours.scan()
    shown = seen(ours)
    assert [(stage.name, stage.note) for stage in shown.outdoor_stages] == [
        ("T_out", "bad"),
        ("st-02.T_out", "rules"),
        ("last_good", ""),
        ("damped", ""),
    ]
    first = loop(shown).chain[0]
    assert first.note == "st-02.T_out, 0 s old, T_out bad"


def test_what_a_circuit_feels_of_the_weather_is_told_in_its_chain(station):
    terms = WeatherTerms(wind=Wind(source="T_room_n", per_m_s_k=0.3))
    circuit = replace(station.circuits["main"], weather=terms)
    bench = Bench(replace(station, circuits={"main": circuit}))
    bench.scan_for(600.0, T_room_n=6.0)
    told = {step.name: (step.value, step.note) for step in loop(seen(bench)).chain}
    assert told["wind"] == (pytest.approx(-0.6), "6.0 m/s")
    assert told["sun"] == (0.0, "not known")
    assert told["felt"][0] == pytest.approx(-5.6)
    assert list(told)[:6] == ["outdoor", "damped", "mixed", "wind", "sun", "felt"]


def test_what_rests_on_a_worse_value_is_no_better_than_it(ours):
    ours.spoil("T_out")
    ours.scan()
    told = chain(loop(seen(ours)))
    assert told["outdoor"] == ("substituted", pytest.approx(5.1))
    assert (told["setpoint"][0], told["demand"][0]) == ("substituted", "substituted")
    assert told["measured"][0] == "good"


def test_a_loop_and_its_link_say_why_a_value_is_not_good(ours):
    ours.spoil("T2g")
    ours.scan()
    view = loop(seen(ours))
    assert (view.quality, view.reason) == ("bad", "out of range")
    assert {step.note for step in view.chain if step.name == "measured"} == {"T2g: out of range"}


def test_a_station_lists_what_is_not_good_and_alone_every_point(ours):
    ours.spoil("T1h")
    ours.scan()
    shown, whole = station_of(seen(ours)), whole_station_of(seen(ours))
    assert [(p.tag, p.value, p.quality, p.reason) for p in shown.doubts] == [
        ("T1h", None, "bad", "out of range")
    ]
    assert shown.points == ()
    assert len(whole.points) == len(ours.table)
    assert {(p.quality, p.reason) for p in whole.points if p.tag != "T1h"} == {("good", "")}
    assert (shown.outdoor_quality, shown.rooms_quality) == ("good", "good")


def test_an_output_that_is_held_back_and_a_register_that_wears_out_are_shown(ours):
    link = replace(
        link_status("plc"),
        held={Tag("CV1_SV"): "held by its rate"},
        wear={Tag("FB_x1"): Wear(150.0, 50, 0.0), Tag("CV1_SV"): Wear(4000.0, 1000, 0.0)},
    )
    snapshot = seen(ours, link=link)
    assert loop(snapshot).chain[-1].note == "held by its rate"
    [device] = snapshot.devices
    assert device.held == {"CV1_SV": "held by its rate"}
    curve, valve = device.wear
    assert (curve.tag, curve.total, round(curve.life_years, 1)) == ("FB_x1", 50, 5.5)
    assert math.isnan(valve.life_years)


def test_a_loop_tells_how_it_fares_once_it_has_been_in_control(bench, ours):
    bench.state = first_state(bench.plan)
    bench.scan()
    assert loop(seen(bench)).figures is None
    ours.scan_for(120.0, T2g=56.0)
    found = loop(seen(ours)).figures
    assert (found.starts_per_day, found.error_mean) == (0.0, pytest.approx(0.2, abs=0.01))
    assert loop(seen(ours), "P2D").figures is not None


def test_the_socket_gives_the_figures_and_null_for_what_is_not_known(ours):
    ours.scan_for(120.0, T2g=56.0)
    shown = json.loads(station_of(seen(ours)).model_dump_json())["loops"][0]["figures"]
    assert shown["error_mean"] == pytest.approx(0.2, abs=0.01)
    assert (shown["regularity"], shown["period_s"]) == (None, None)


@pytest.mark.parametrize(
    ("regularity", "words"),
    [(math.nan, ""), (1.2, "does not cycle (r 1.2, 300 s)"), (4.0, "cycles (r 4.0, 300 s)")],
)
def test_the_explanation_ends_with_how_the_loop_fares(ours, regularity, words):
    figures = LoopFigures(12.0, 40.2, 0.51, 0.05, 0.02, 0.42, regularity, 300.0)
    snapshot = seen(ours)
    told = replace(snapshot, loops=(replace(loop(snapshot), figures=figures),))
    text = shown(explanation_view(explanation_of(told, "T2g")))
    assert "of 12.0 h: 40 starts and 0.51 strokes a day, 5% of the time at a limit" in text
    assert f"error +0.02 ± 0.42 K, {words}".rstrip(", ") in text
