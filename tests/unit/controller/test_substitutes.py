"""A person's value in the place of one that cannot be trusted: shown as such, and with an end."""

import json
import math
from dataclasses import replace

import pytest

from controller.checkpoint import keep, restore
from controller.checks import MANUAL_LEASE_S, preview
from controller.preview import Cause, Preview, Refusal, SetPoint
from controller.state import first_state
from controller.view import snapshot_of
from core.command import EndSubstitute, LoopMode, SetMode, SetSubstitute
from core.point import Quality, Tag
from core.record import AlarmEvent, AlarmRecord, ModeRecord
from tests.unit.controller.conftest import Bench

T_OUT = Tag("T_out")
TOLD = {"station": "st-01", "who": "ann", "why": "the cable is cut"}
COLD = SetSubstitute(**TOLD, tag=T_OUT, value=-12.0, lease_s=1200.0)
END = EndSubstitute(**TOLD, tag=T_OUT)


@pytest.fixture
def blind(ours):
    """Return the station under heatd, at -5 °C, a minute after its outdoor sensor broke."""
    ours.scan_for(60.0, T_out=-5.0)
    ours.spoil("T_out")
    ours.scan_for(60.0)
    return ours


def seen(bench: Bench, tag: Tag = T_OUT):
    return bench.last.records[-1].image[tag]


def modes(bench: Bench) -> list[tuple[str, str, str]]:
    return [
        (r.old, r.new, r.why)
        for r in bench.records
        if isinstance(r, ModeRecord) and r.subject == T_OUT
    ]


def alarms(bench: Bench) -> list[AlarmEvent]:
    return [
        r.event
        for r in bench.records
        if isinstance(r, AlarmRecord) and r.alarm == "lease_substitute"
    ]


def test_it_is_shown_and_recorded_as_a_substitute_with_who_why_and_age(blind):
    blind.scan(COLD)
    blind.scan_for(100.0)
    image = blind.last.records[-1].image
    assert (seen(blind).value, seen(blind).quality) == (-12.0, Quality.SUBSTITUTED)
    assert seen(blind).age_s == pytest.approx(100.0)
    assert image.reason(T_OUT) == "set by ann: the cable is cut"
    assert modes(blind) == [("measured", "substitute", "ann: the cable is cut")]
    # Whatever asks for a value to decide by gets none; only a chain that declares it takes it.
    assert math.isnan(image.value(T_OUT))
    assert (blind.last.outdoor.source, blind.last.outdoor.quality) == ("T_out", Quality.SUBSTITUTED)
    assert "outdoor_substituted" not in blind.last.active_alarms
    assert blind.scan_for(600.0).outdoor.value_c == pytest.approx(-12.0)
    assert "outdoor_substituted" in blind.last.active_alarms


def test_after_its_lease_the_point_is_as_it_is_measured_and_the_chain_goes_on_without_it(blind):
    blind.scan(COLD)
    blind.scan_for(1190.0)
    assert seen(blind).quality is Quality.SUBSTITUTED
    blind.scan_for(20.0)
    assert seen(blind).quality is Quality.BAD
    assert modes(blind)[-1] == ("substitute", "measured", "the lease ended")
    # What nobody measured is never the last good reading.
    assert blind.last.outdoor.source == "last_good"
    assert blind.last.state.outdoor.last_good_c == pytest.approx(-5.0)
    assert blind.last.state.outdoor.last_good_age_s == pytest.approx(1270.0, abs=30.0)


def test_a_good_value_is_never_hidden_and_the_substitute_waits(blind):
    blind.scan(COLD)
    del blind.qualities["T_out"]
    blind.scan(T_out=-6.0)
    assert (seen(blind).value, seen(blind).quality) == (-6.0, Quality.GOOD)
    blind.spoil("T_out")
    blind.scan()
    assert seen(blind).value == -12.0


def test_its_end_is_told_ten_minutes_before_and_a_renewal_clears_the_alarm(blind):
    blind.scan(COLD)
    blind.scan_for(590.0)
    assert alarms(blind) == []
    blind.scan_for(60.0)
    assert alarms(blind) == [AlarmEvent.RAISED]
    blind.scan(COLD)
    assert alarms(blind) == [AlarmEvent.RAISED, AlarmEvent.CLEARED]
    assert len(modes(blind)) == 1


def test_a_person_ends_it(blind):
    blind.scan(COLD)
    blind.scan(END)
    assert seen(blind).quality is Quality.BAD
    assert [new for _, new, _ in modes(blind)] == ["substitute", "measured"]


def test_it_stands_for_the_suspect_of_a_broken_relation(station):
    relation = replace(station.checks["supply_above_return"], suspect=Tag("T2h"), delay_s=10.0)
    bench = Bench(replace(station, checks={"supply_above_return": relation})).take_over()
    bench.scan_for(60.0, T2g=50.0, T2h=60.0)
    assert seen(bench, Tag("T2h")).quality is Quality.BAD
    bench.scan(SetSubstitute(**TOLD, tag=Tag("T2h"), value=41.0))
    assert seen(bench, Tag("T2h")).value == 41.0


class TestOverARestart:
    def test_it_goes_on_with_the_rest_of_its_lease(self, blind):
        blind.scan(COLD)
        blind.scan_for(100.0)
        kept = json.loads(json.dumps(keep(blind.plan, blind.state), allow_nan=False))
        again = restore(blind.plan, first_state(blind.plan), kept, away_s=50.0).operator
        assert again.substitutes["T_out"].left_s == pytest.approx(1050.0)
        assert again.substitutes["T_out"].age_s == pytest.approx(150.0)

    @pytest.mark.parametrize(("tag", "value"), [("T_gone", -12.0), ("T_out", -60.0)])
    def test_it_is_dropped_where_it_can_stand_no_more(self, blind, tag, value):
        blind.scan(COLD)
        kept = json.loads(json.dumps(keep(blind.plan, blind.state), allow_nan=False))
        one = kept["substitutes"].pop("T_out")
        kept["substitutes"][tag] = {**one, "value": value}
        assert not restore(blind.plan, first_state(blind.plan), kept).operator.substitutes


class TestAPreview:
    def shown(self, bench: Bench, command) -> Preview | Refusal:
        now = snapshot_of(
            bench.plan,
            bench.last,
            links={},
            scans=9,
            overruns=0,
            is_simulation=True,
            is_read_only=False,
            is_faulty=False,
        )
        return preview(command, bench.config, now)

    def put(self, point: str, value: float) -> SetPoint:
        return SetPoint(**TOLD, point=point, value=value)

    def test_says_what_stands_there_what_will_and_who_takes_it(self, blind):
        shown = self.shown(blind, self.put("T_out", -12.0))
        assert isinstance(shown, Preview)
        assert (shown.subject, shown.wanted) == ("T_out", "-12 °C, substituted")
        assert shown.present == "unknown, bad: out of range"
        assert shown.warnings == ("the outdoor temperature may rest on it",)
        assert shown.command == replace(COLD, lease_s=MANUAL_LEASE_S)

    def test_says_that_no_loop_rests_on_it(self, blind):
        blind.spoil("T2h")
        blind.scan()
        shown = self.shown(blind, self.put("T2h", 41.0))
        assert "no loop and no protection rests on a substitute" in shown.warnings[0]

    @pytest.mark.parametrize(
        ("point", "value", "cause", "said"),
        [
            ("T_out", -60.0, Cause.INVALID, "-60 °C is outside the range of T_out."),
            ("T1g", 90.0, Cause.CONFLICT, "T1g is good: 94.6 °C."),
            ("T2g", 50.0, Cause.UNKNOWN, "no point T2g that a person may set"),
            ("HB_SCADA", 5.0, Cause.UNKNOWN, "no point HB_SCADA that a person may set"),
            ("T_nowhere", 5.0, Cause.UNKNOWN, "no point T_nowhere that a person may set"),
        ],
    )
    def test_refuses_what_must_not_be(self, blind, point, value, cause, said):
        refusal = self.shown(blind, self.put(point, value))
        assert isinstance(refusal, Refusal)
        assert refusal.cause is cause
        assert said in refusal.sentence
        assert refusal.next_step

    def test_refuses_a_point_of_which_nobody_knows_what_is_possible(self, blind):
        points = blind.config.points
        low = replace(points[T_OUT], low=-math.inf)
        config = _Ranged(blind.config, {**points, T_OUT: low})
        now_shown = self.shown(blind, self.put("T_out", -12.0))
        assert isinstance(now_shown, Preview)
        blind.config = config
        refusal = self.shown(blind, self.put("T_out", -12.0))
        assert "has no range" in refusal.sentence

    def test_auto_ends_it_where_one_stands_and_is_refused_elsewhere(self, blind):
        auto = SetMode(**TOLD, loop="T_out", mode=LoopMode.AUTO)
        refusal = self.shown(blind, auto)
        assert refusal.sentence == "No person's value stands for T_out of st-01 now."
        blind.scan(COLD)
        shown = self.shown(blind, auto)
        assert (shown.command, shown.wanted) == (END, "as measured")

    def test_auto_of_a_loop_is_still_the_loop_s(self, blind):
        shown = self.shown(blind, SetMode(**TOLD, loop="T2g", mode=LoopMode.AUTO))
        assert "in auto already" in shown.sentence


class _Ranged:
    """A station's configuration with other points."""

    def __init__(self, config, points):
        self._config = config
        self.points = points

    def __getattr__(self, name):
        return getattr(self._config, name)
