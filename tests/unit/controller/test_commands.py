"""Every command comes in by one way: it is checked, shown, operated once, and recorded."""

import asyncio
from dataclasses import replace

import pytest

from controller.actions import is_protective
from controller.checks import MANUAL_LEASE_S, OFFSET_LEASE_S
from controller.commands import (
    COMMANDS_PER_MINUTE_MAX,
    SELECTIONS_MAX,
    CommandDesk,
    Outcome,
    Selection,
)
from controller.operators import name_operator
from controller.preview import Cause, Refusal, SetPoint
from controller.snapshot import ChainStep
from core.command import (
    Acknowledge,
    EndSetpoint,
    LoopMode,
    SetMode,
    SetOffset,
    SetOutput,
    SetSetpoint,
    StartSource,
    StartTune,
    StopSource,
    StopTune,
)
from core.record import OperatorAction
from tests.face import PUMP, SETTLING, VALVE, Door, SetClock, SmallDaemon, snapshot, station_file

ZONES = ["low", "high"]
BY = {"station": "st-01", "who": "", "why": "cold night"}
MANUAL = replace(VALVE, mode="man", holder="operator")
IN_MANUAL = snapshot(loops=(MANUAL, replace(PUMP, mode="man")))
OPEN = SetOutput(**BY, loop="T2g", value=60.0)
TO_MAN = SetMode(**BY, loop="T2g", mode=LoopMode.MAN)
TO_AUTO = SetMode(**BY, loop="T2g", mode=LoopMode.AUTO)
WARMER = SetOffset(**BY, circuit="main", offset_k=2.0)
COOLER, BY_CURVE = (
    SetSetpoint(**BY, circuit="main", setpoint_c=52.0),
    EndSetpoint(**BY, circuit="main"),
)
GIVEN = replace(
    VALVE,
    chain=(*VALVE.chain[:3], ChainStep("operator", 52.0, "°C", "li: a leak, 90 min left")),
)
IN_TWO_ZONES = snapshot(loops=(replace(VALVE, name="low.T2g"), replace(VALVE, name="high.T2g")))
START = StartSource(**BY, source="gas1")
STOP = StopSource(**BY, source="gas1")
TUNE, TUNE_NO_MORE = StartTune(**BY, loop="T2g"), StopTune(**BY, loop="T2g")
AT_REST = replace(VALVE, can_tune=True)
TUNING = replace(VALVE, can_tune=True, tune=SETTLING)
SEEN = Acknowledge(**BY, alarm="T2G_HIGH")


def desk_of(shown=IN_MANUAL, **file):
    daemon = SmallDaemon(st_01=Door(config=station_file(**file), snapshot=shown))
    return CommandDesk(daemon), daemon


def operate(desk, request, who="wang"):
    selection = desk.select(request, who)
    assert isinstance(selection, Selection), selection
    return asyncio.run(desk.operate(selection.token, who))


class TestAPreview:
    @pytest.mark.parametrize(
        ("request_", "shown", "subject", "present", "wanted", "lease_s"),
        [
            (OPEN, IN_MANUAL, "CV1_SV", "41.3 %", "60 %", MANUAL_LEASE_S),
            (TO_MAN, snapshot(), "CV1_SV", "auto at 41.3 %", "man at 41.3 %", MANUAL_LEASE_S),
            (TO_AUTO, IN_MANUAL, "CV1_SV", "man at 41.3 %", "auto", 0.0),
            (WARMER, snapshot(), "offset of main", "1 K", "2 K", OFFSET_LEASE_S),
            (
                COOLER,
                snapshot(),
                "setpoint of main",
                "56.2 °C, by the curve",
                "52 °C",
                MANUAL_LEASE_S,
            ),
            (
                replace(COOLER, setpoint_c=50.0, lease_s=3600.0),
                snapshot(loops=(GIVEN,)),
                "setpoint of main",
                "52 °C, by li: a leak, 90 min left",
                "50 °C",
                3600.0,
            ),
            (
                BY_CURVE,
                snapshot(loops=(GIVEN,)),
                "setpoint of main",
                "52 °C, by li: a leak, 90 min left",
                "by the curve, with the ramp",
                0.0,
            ),
            (START, snapshot(), "source gas1", "normal", "start", 0.0),
            (STOP, snapshot(source="backup"), "source gas1", "backup", "return", 0.0),
            (
                TUNE,
                snapshot(loops=(AT_REST,)),
                "autotune of T2g",
                "idle, CV1_SV at 41.3 %",
                "a bump of CV1_SV once there is calm",
                0.0,
            ),
            (
                TUNE_NO_MORE,
                snapshot(loops=(TUNING,)),
                "autotune of T2g",
                "settling, CV1_SV at 41.3 %",
                "ended",
                0.0,
            ),
        ],
    )
    def test_says_what_is_and_what_would_be(
        self, request_, shown, subject, present, wanted, lease_s
    ):
        desk, _ = desk_of(shown)
        preview = desk.select(request_, "wang").preview
        assert (preview.subject, preview.present, preview.wanted) == (subject, present, wanted)
        assert preview.command.lease_s == lease_s
        assert preview.command.who == "wang"

    @pytest.mark.parametrize(
        ("point", "shown", "command"),
        [
            ("CV1_SV", IN_MANUAL, replace(OPEN, who="li", value=3.0, lease_s=MANUAL_LEASE_S)),
            (
                "offset",
                IN_MANUAL,
                replace(WARMER, who="li", offset_k=3.0, lease_s=OFFSET_LEASE_S),
            ),
            (
                "high.offset",
                IN_TWO_ZONES,
                SetOffset(
                    station="st-01",
                    who="li",
                    why="cold night",
                    circuit="high",
                    offset_k=3.0,
                    lease_s=OFFSET_LEASE_S,
                ),
            ),
        ],
    )
    def test_makes_out_what_a_point_means(self, point, shown, command):
        desk, _ = desk_of(shown, circuits=ZONES if shown is IN_TWO_ZONES else ["main"])
        assert desk.select(SetPoint(**BY, point=point, value=3.0), "li").preview.command == command

    @pytest.mark.parametrize(
        ("point", "shown", "circuit"),
        [("setpoint", snapshot(), "main"), ("high.setpoint", IN_TWO_ZONES, "high")],
    )
    def test_makes_out_whose_setpoint_is_given_and_given_back(self, point, shown, circuit):
        desk, daemon = desk_of(shown, circuits=ZONES if shown is IN_TWO_ZONES else ["main"])
        told = desk.select(SetPoint(**BY, point=point, value=52.0), "li").preview.command
        assert told == replace(COOLER, who="li", circuit=circuit, lease_s=MANUAL_LEASE_S)
        daemon.scan(
            loops=tuple(replace(GIVEN, name=loop.name) for loop in shown.loops if loop.chain)
        )
        back = desk.select(SetMode(**BY, loop=point, mode=LoopMode.AUTO), "li").preview.command
        assert back == replace(BY_CURVE, who="li", circuit=circuit)

    @pytest.mark.parametrize(
        ("request_", "shown", "warnings"),
        [
            (
                COOLER,
                snapshot(loops=(replace(VALVE, setpoint=57.0),)),
                ("the ramp of 10 K/h takes 30 min", "the offset of 1 K waits meanwhile"),
            ),
            (
                replace(COOLER, setpoint_c=56.3),
                IN_MANUAL,
                (
                    "T2g is in manual: the valve follows once it is in auto",
                    "the offset of 1 K waits meanwhile",
                ),
            ),
            (
                WARMER,
                snapshot(loops=(GIVEN,)),
                ("a person's setpoint rules: the offset counts once that has ended",),
            ),
            (
                replace(COOLER, setpoint_c=56.3),
                snapshot(loops=(replace(VALVE, ruling="T1h_max", output_ruling="F1_max"),)),
                (
                    "the offset of 1 K waits meanwhile",
                    "limited now by T1h_max: the setpoint moves no further than it allows",
                    "limited now by F1_max: the valve opens no further than it allows",
                ),
            ),
            (
                replace(COOLER, setpoint_c=56.3),
                snapshot(loops=(replace(VALVE, ruling="T2g_high"),)),
                ("the offset of 1 K waits meanwhile",),
            ),
            (
                WARMER,
                snapshot(loops=(replace(VALVE, ruling="T2g_high"),)),
                ("limited now by T2g_high: the setpoint moves no further than it allows",),
            ),
            (
                WARMER,
                snapshot(loops=(replace(VALVE, output_ruling="T2g_low"),)),
                ("limited now by T2g_low: the valve opens no further than it allows",),
            ),
        ],
    )
    def test_of_a_setpoint_says_what_it_waits_for_and_what_waits_for_it(
        self, request_, shown, warnings
    ):
        desk, _ = desk_of(shown)
        assert desk.select(request_, "wang").warnings == warnings

    def test_finds_the_only_backup_source_by_itself(self):
        desk, _ = desk_of(snapshot())
        assert desk.select(replace(START, source=""), "wang").preview.command.source == "gas1"

    @pytest.mark.parametrize("holder", ["trip", "frost", "local"])
    def test_warns_of_a_stronger_holder(self, holder):
        desk, _ = desk_of(snapshot(loops=(replace(MANUAL, holder=holder, why="too hot"),)))
        warning = f"{holder} holds CV1_SV (too hot): it goes first"
        assert desk.select(OPEN, "wang").warnings == (warning,)

    @pytest.mark.parametrize("request_", [TO_MAN, WARMER, START])
    def test_warns_where_the_station_is_not_ours_now(self, request_):
        desk, _ = desk_of(
            snapshot(authority="tracking", authority_why="data good for 20 s of 60 s")
        )
        (warning,) = desk.select(request_, "wang").warnings
        assert warning.startswith("heatd does not move the station now (tracking: data good")

    def test_warns_that_somebody_else_has_selected_the_same(self):
        desk, _ = desk_of()
        desk.select(OPEN, "li")
        assert desk.select(TO_AUTO, "wang").warnings == ("li has selected it too",)

    def test_renews_the_lease_of_a_loop_that_is_in_manual(self):
        desk, _ = desk_of()
        warnings = desk.select(replace(TO_MAN, lease_s=3600.0), "wang").warnings
        assert warnings == ("it is in manual already: this renews the lease",)


REFUSED = [
    (replace(OPEN, station="st-99"), IN_MANUAL, Cause.UNKNOWN, "There is no station st-99."),
    (OPEN, None, Cause.UNAVAILABLE, "st-01 has not finished a scan yet."),
    (replace(OPEN, loop="T9"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no loop T9."),
    (replace(TO_MAN, loop="T9"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no loop T9."),
    (replace(OPEN, value=100.5), IN_MANUAL, Cause.INVALID, "100.5 % is outside the range"),
    (replace(OPEN, value=-0.1), IN_MANUAL, Cause.INVALID, "-0.1 % is outside the range"),
    (replace(OPEN, value=float("nan")), IN_MANUAL, Cause.INVALID, "unknown is outside the range"),
    (replace(OPEN, loop="P2D"), IN_MANUAL, Cause.FORBIDDEN, "XP_SV has no range"),
    (OPEN, snapshot(), Cause.CONFLICT, "T2g of st-01 is in auto"),
    (
        OPEN,
        replace(IN_MANUAL, authority="local", authority_why="emergency stop"),
        Cause.CONFLICT,
        "heatd does not move st-01 now (local: emergency stop).",
    ),
    *(
        (replace(asked, why=why), IN_MANUAL, Cause.INVALID, "The reason has characters that cannot")
        for asked in (OPEN, COOLER, SEEN)
        for why in ("x\x1b[2J\x1b[1;1Hsafe", "a leak\n52 °C, by li", "leak\u202e", "leak\x9b2J")
    ),
    (
        replace(OPEN, why="a"),
        IN_MANUAL,
        Cause.INVALID,
        "The reason needs 2 to 200 characters and has 1",
    ),
    (
        replace(OPEN, why="   "),
        IN_MANUAL,
        Cause.INVALID,
        "The reason needs 2 to 200 characters and has 0",
    ),
    (
        replace(OPEN, why="x" * 201),
        IN_MANUAL,
        Cause.INVALID,
        "The reason needs 2 to 200 characters and has 201",
    ),
    (replace(OPEN, lease_s=59.0), IN_MANUAL, Cause.INVALID, "A lease of 59 s is out of range."),
    (replace(OPEN, lease_s=90000.0), IN_MANUAL, Cause.INVALID, "A lease of 25 h is out of range."),
    (replace(OPEN, lease_s=-1.0), IN_MANUAL, Cause.INVALID, "A lease of -1 s is out of range."),
    (replace(OPEN, lease_s=float("nan")), IN_MANUAL, Cause.INVALID, "A lease of nan s is out of"),
    (
        replace(TO_AUTO, lease_s=3600.0),
        IN_MANUAL,
        Cause.INVALID,
        "Only a manual value, a setpoint, a substitute or",
    ),
    (
        replace(START, lease_s=3600.0),
        IN_MANUAL,
        Cause.INVALID,
        "Only a manual value, a setpoint, a substitute or",
    ),
    (TO_AUTO, snapshot(), Cause.CONFLICT, "T2g of st-01 is in auto already."),
    (replace(WARMER, offset_k=10.1), IN_MANUAL, Cause.INVALID, "An offset of 10.1 K is out of"),
    (replace(WARMER, offset_k=-10.1), IN_MANUAL, Cause.INVALID, "An offset of -10.1 K is out of"),
    (replace(WARMER, offset_k=float("nan")), IN_MANUAL, Cause.INVALID, "An offset of unknown is"),
    (replace(WARMER, circuit="high"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no circuit high."),
    (replace(COOLER, circuit="high"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no circuit high."),
    (COOLER, snapshot(loops=(PUMP,)), Cause.UNKNOWN, "st-01 has no loop T2g."),
    (replace(COOLER, setpoint_c=34.9), snapshot(), Cause.INVALID, "34.9 °C is outside the limits"),
    (replace(COOLER, setpoint_c=83.1), snapshot(), Cause.INVALID, "83.1 °C is outside the limits"),
    (replace(COOLER, setpoint_c=float("nan")), snapshot(), Cause.INVALID, "unknown is outside the"),
    (replace(COOLER, lease_s=90000.0), snapshot(), Cause.INVALID, "A lease of 25 h is out of"),
    (BY_CURVE, snapshot(), Cause.CONFLICT, "No person's setpoint stands for main of st-01 now."),
    (COOLER, snapshot(authority="watch"), Cause.FORBIDDEN, "heatd only watches st-01"),
    (replace(START, source="gas2"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no backup source gas2."),
    (replace(START, source="base"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no backup source base."),
    (START, snapshot(source="backup"), Cause.CONFLICT, "gas1 cannot be started: the source is in"),
    (START, snapshot(source="start"), Cause.CONFLICT, "gas1 cannot be started: the source is in"),
    (STOP, snapshot(source="normal"), Cause.CONFLICT, "gas1 cannot be stopped: the source is in"),
    (STOP, snapshot(source="return"), Cause.CONFLICT, "gas1 cannot be stopped: the source is in"),
    (replace(TUNE, loop="T9"), IN_MANUAL, Cause.UNKNOWN, "st-01 has no loop T9."),
    (replace(TUNE, loop="P2D"), IN_MANUAL, Cause.CONFLICT, "P2D of st-01 is not a supply loop"),
    (
        TUNE,
        snapshot(loops=(replace(AT_REST, mode="man"),)),
        Cause.CONFLICT,
        "T2g of st-01 is in man.",
    ),
    (
        TUNE,
        snapshot(loops=(AT_REST,), source="backup"),
        Cause.CONFLICT,
        "T2g of st-01 stands while the source is in backup.",
    ),
    (
        TUNE,
        snapshot(loops=(AT_REST,), authority="tracking", authority_why="data good for 9 s"),
        Cause.CONFLICT,
        "heatd does not move st-01 now (tracking: data good for 9 s).",
    ),
    (TUNE, snapshot(loops=(TUNING,)), Cause.CONFLICT, "An autotune of T2g of st-01 is under way"),
    (
        TUNE_NO_MORE,
        snapshot(loops=(AT_REST,)),
        Cause.CONFLICT,
        "An autotune of T2g of st-01 is",
    ),
    (START, snapshot(is_read_only=True), Cause.FORBIDDEN, "heatd runs with --read-only"),
    (START, snapshot(authority="watch"), Cause.FORBIDDEN, "heatd only watches st-01"),
    (SetPoint(**BY, point="T1g", value=1.0), IN_MANUAL, Cause.UNKNOWN, "st-01 has no point T1g"),
    (
        SetPoint(**BY, point="x.offset", value=1.0),
        IN_MANUAL,
        Cause.UNKNOWN,
        "st-01 has no point x.",
    ),
]


class TestARefusal:
    @pytest.mark.parametrize(("request_", "shown", "cause", "sentence"), REFUSED)
    def test_says_what_is_wrong_and_what_to_do_next(self, request_, shown, cause, sentence):
        desk, daemon = desk_of(shown)
        refusal = desk.select(request_, "wang")
        assert isinstance(refusal, Refusal)
        assert refusal.cause is cause
        assert refusal.sentence.startswith(sentence)
        assert refusal.next_step
        assert daemon.stations["st-01"].told == []

    @pytest.mark.parametrize(
        ("request_", "is_refused"),
        [(OPEN, True), (START, True), (WARMER, False), (COOLER, False), (BY_CURVE, False)],
    )
    def test_of_what_the_plc_moves_itself_leaves_the_setpoint(self, request_, is_refused):
        desk, daemon = desk_of(snapshot(loops=(GIVEN,)))
        daemon.stations["st-01"].config = station_file(write="setpoint")
        assert isinstance(desk.select(request_, "wang"), Refusal) is is_refused

    @pytest.mark.parametrize("why", ["换散热器\u3000约两小时", "a leak — 3 °C off", "café"])
    def test_is_not_for_words_of_any_language(self, why):
        desk, _ = desk_of()
        assert isinstance(desk.select(replace(OPEN, why=why), "wang"), Selection)

    @pytest.mark.parametrize(
        "where", [{"is_read_only": True}, {"authority": "watch"}, {"authority": "none"}]
    )
    def test_never_meets_who_withdraws_a_setpoint(self, where):
        desk, daemon = desk_of(snapshot(loops=(GIVEN,), **where))
        assert isinstance(desk.select(COOLER, "wang"), Refusal)
        assert operate(desk, BY_CURVE).outcome == "done"
        assert [type(command) for command in daemon.stations["st-01"].told] == [EndSetpoint]

    @pytest.mark.parametrize(
        "where", [{"is_read_only": True}, {"authority": "watch"}, {"authority": "none"}]
    )
    def test_never_meets_who_withdraws_an_offset(self, where):
        desk, daemon = desk_of(snapshot(**where))
        assert isinstance(desk.select(WARMER, "wang"), Refusal)
        none = replace(WARMER, offset_k=0.0)
        assert operate(desk, none).outcome == "done"
        assert [command.offset_k for command in daemon.stations["st-01"].told] == [0.0]

    def test_of_a_setpoint_says_what_to_write_instead(self):
        desk, _ = desk_of(snapshot())
        refusal = desk.select(replace(COOLER, setpoint_c=90.0), "wang")
        assert refusal.next_step == "Give 35 to 83 °C, as `limits` of main in its file says."

    def test_is_recorded_with_who_and_why(self):
        desk, daemon = desk_of()
        desk.select(replace(OPEN, value=101.0), "wang")
        (action,) = daemon.journal.kept
        assert isinstance(action, OperatorAction)
        assert (action.station, action.who, action.action) == ("st-01", "wang", "set_output")
        assert action.why == "cold night"
        assert action.outcome == "refused: 101 % is outside the range of CV1_SV."

    def test_names_the_sources_where_a_station_has_several(self):
        desk, _ = desk_of(boilers=("gas1", "gas2"))
        refusal = desk.select(replace(START, source=""), "wang")
        assert refusal.next_step == "Name one with --source: gas1, gas2."

    def test_says_so_where_a_station_has_no_backup_source(self):
        desk, _ = desk_of(boilers=())
        assert desk.select(START, "wang").sentence == "st-01 has no backup source."

    def test_of_an_acknowledgement_names_the_alarms_that_wait_for_one(self):
        desk, _ = desk_of()
        unknown = asyncio.run(desk.acknowledge(replace(SEEN, alarm="NONE"), "wang"))
        again = asyncio.run(desk.acknowledge(replace(SEEN, alarm="DOOR_OPEN"), "wang"))
        assert unknown.sentence == "st-01 has no alarm NONE now."
        assert again.sentence == "DOOR_OPEN is acknowledged already."
        assert unknown.next_step == again.next_step == "These wait for it: T2G_HIGH."

    def test_meets_a_script_that_runs_away_and_spares_the_journal(self):
        desk, daemon = desk_of()
        answers = [desk.select(replace(OPEN, value=101.0), "wang") for _ in range(300)]
        assert answers[COMMANDS_PER_MINUTE_MAX].cause is Cause.TOO_MANY
        assert len(daemon.journal.kept) == COMMANDS_PER_MINUTE_MAX
        daemon.clock.advance(60.0)
        assert isinstance(desk.select(OPEN, "wang"), Selection)

    def test_meets_guessed_tokens_and_spares_the_journal(self):
        desk, daemon = desk_of()
        answers = [asyncio.run(desk.operate("guess", "wang")) for _ in range(260)]
        assert {answer.cause for answer in answers} == {Cause.CONFLICT, Cause.TOO_MANY}
        assert len(daemon.journal.kept) == COMMANDS_PER_MINUTE_MAX

    def test_meets_who_leaves_too_many_selections_open(self):
        desk, daemon = desk_of()
        for _ in range(SELECTIONS_MAX):
            assert isinstance(desk.select(OPEN, "wang"), Selection)
        assert desk.select(OPEN, "wang").cause is Cause.TOO_MANY
        daemon.clock.advance(30.1)
        assert isinstance(desk.select(OPEN, "wang"), Selection)


class TestAToken:
    def test_operates_what_was_shown_once(self):
        desk, daemon = desk_of()
        token = desk.select(OPEN, "wang").token
        assert asyncio.run(desk.operate(token, "wang")) == Outcome(
            outcome="done",
            station="st-01",
            who="wang",
            action="set_output",
            detail="CV1_SV: 41.3 % -> 60 %, lease 4 h",
        )
        assert daemon.stations["st-01"].told == [replace(OPEN, who="wang", lease_s=MANUAL_LEASE_S)]
        assert asyncio.run(desk.operate(token, "wang")).sentence.startswith(
            "This selection is not known"
        )
        assert len(daemon.stations["st-01"].told) == 1

    @pytest.mark.parametrize(("after_s", "is_done"), [(29.9, True), (30.0, True), (30.1, False)])
    def test_lives_for_thirty_seconds(self, after_s, is_done):
        desk, daemon = desk_of()
        token = desk.select(OPEN, "wang").token
        daemon.clock.advance(after_s)
        answer = asyncio.run(desk.operate(token, "wang"))
        assert isinstance(answer, Outcome) is is_done
        assert len(daemon.stations["st-01"].told) == is_done

    def test_lives_by_the_wall_clock_where_the_plant_runs_faster(self):
        daemon = SmallDaemon(st_01=Door(snapshot=IN_MANUAL))
        desk = CommandDesk(daemon, wall=SetClock())
        token = desk.select(OPEN, "wang").token
        daemon.clock.advance(3600.0)
        assert isinstance(asyncio.run(desk.operate(token, "wang")), Outcome)

    def test_serves_nobody_else_and_is_spent_by_the_try(self):
        desk, daemon = desk_of()
        token = desk.select(OPEN, "wang").token
        stolen = asyncio.run(desk.operate(token, "li"))
        assert (stolen.cause, stolen.sentence) == (
            Cause.FORBIDDEN,
            "This selection belongs to wang.",
        )
        assert isinstance(asyncio.run(desk.operate(token, "wang")), Refusal)
        assert daemon.stations["st-01"].told == []

    @pytest.mark.parametrize(
        ("now", "sentence"),
        [
            (replace(MANUAL, holder="trip"), "CV1_SV is now held by trip, no longer by operator;"),
            (replace(MANUAL, mode="auto"), "T2g of st-01 is in auto"),
        ],
    )
    def test_is_void_when_mode_or_holder_changed(self, now, sentence):
        desk, daemon = desk_of()
        token = desk.select(OPEN, "wang").token
        daemon.scan(loops=(now,))
        assert asyncio.run(desk.operate(token, "wang")).sentence.startswith(sentence)
        assert daemon.stations["st-01"].told == []

    def test_of_a_setpoint_is_void_when_the_lease_of_another_has_ended(self):
        desk, daemon = desk_of(snapshot(loops=(GIVEN,)))
        token = desk.select(COOLER, "wang").token
        daemon.scan(loops=(VALVE,))
        assert asyncio.run(desk.operate(token, "wang")).sentence == (
            "setpoint of main is now held by curve, no longer by operator;"
            " it is at 56.2 °C, by the curve."
        )
        assert daemon.stations["st-01"].told == []

    def test_holds_while_only_the_measured_values_move(self):
        desk, daemon = desk_of()
        token = desk.select(OPEN, "wang").token
        daemon.scan(loops=(replace(MANUAL, output=41.9, measured=56.0),))
        assert isinstance(asyncio.run(desk.operate(token, "wang")), Outcome)

    def test_of_a_mode_is_void_when_somebody_else_changed_the_mode(self):
        desk, daemon = desk_of(snapshot())
        token = desk.select(TO_MAN, "wang").token
        daemon.scan(loops=(MANUAL,))
        answer = asyncio.run(desk.operate(token, "wang"))
        assert answer.sentence == "CV1_SV went from auto to man; it is at man at 41.3 %."


class TestTwoPeople:
    def test_who_operate_the_same_output_the_second_is_told_who_was_first(self):
        desk, daemon = desk_of()
        first, second = desk.select(OPEN, "li").token, desk.select(OPEN, "wang").token
        asyncio.run(desk.operate(first, "li"))
        daemon.scan(loops=(replace(MANUAL, output=60.0),))
        answer = asyncio.run(desk.operate(second, "wang"))
        assert answer.cause is Cause.CONFLICT
        assert answer.sentence == "li operated CV1_SV after you selected it; it is at 60 %."
        assert [command.who for command in daemon.stations["st-01"].told] == ["li"]

    def test_who_contradict_each_other_within_a_scan_are_both_in_the_audit(self):
        desk, daemon = desk_of(snapshot(source="suspect"))
        operate(desk, START, who="li")
        answer = desk.select(STOP, "wang")
        assert answer.cause is Cause.CONFLICT
        daemon.scan(source="start")
        assert isinstance(desk.select(STOP, "wang"), Selection)
        assert daemon.journal.outcomes[0] == "done"
        assert daemon.journal.outcomes[1].startswith("refused: ")

    def test_who_operate_while_the_disk_works_cannot_both_win(self):
        desk, daemon = desk_of(snapshot())

        async def both():
            first, second = desk.select(WARMER, "li").token, desk.select(WARMER, "wang").token
            return await asyncio.gather(desk.operate(first, "li"), desk.operate(second, "wang"))

        won, lost = asyncio.run(both())
        assert won.outcome == "done"
        assert lost.sentence == "A command of li to offset of main waits for the next scan."
        assert len(daemon.stations["st-01"].told) == 1

    def test_who_meet_while_a_scan_writes_the_second_looks_after_the_next_one(self):
        desk, daemon = desk_of(snapshot())
        door = daemon.stations["st-01"]
        # The scan that writes has taken its commands: it will be shown without hers.
        door.is_writing = True
        operate(desk, COOLER, who="ann")
        door.is_writing = False
        daemon.scan()
        answer = desk.select(replace(COOLER, setpoint_c=70.0), "bob")
        assert answer.sentence == "A command of ann to setpoint of main waits for the next scan."
        daemon.scan(loops=(GIVEN,))
        assert isinstance(desk.select(replace(COOLER, setpoint_c=70.0), "bob"), Selection)

    def test_who_move_different_outputs_do_not_meet(self):
        desk, daemon = desk_of()
        operate(desk, TO_AUTO, who="li")
        operate(desk, replace(TO_AUTO, loop="P2D"), who="wang")
        assert len(daemon.stations["st-01"].told) == 2


class TestTheJournal:
    @pytest.mark.parametrize(
        ("request_", "shown"),
        [
            (OPEN, IN_MANUAL),
            (TO_MAN, snapshot()),
            (START, snapshot()),
            (STOP, snapshot(source="backup")),
            (TUNE_NO_MORE, snapshot(loops=(TUNING,))),
        ],
    )
    def test_cannot_stop_what_protects(self, request_, shown):
        desk, daemon = desk_of(shown)
        daemon.journal.is_stuck = True
        assert is_protective(request_)
        assert operate(desk, request_).outcome == "done, not yet recorded"
        assert len(daemon.stations["st-01"].told) == 1
        assert daemon.journal.outcomes == ["done"]

    def test_cannot_stop_an_acknowledgement(self):
        desk, daemon = desk_of()
        daemon.journal.is_stuck = True
        assert asyncio.run(desk.acknowledge(SEEN, "wang")).outcome == "done, not yet recorded"
        assert daemon.stations["st-01"].told == [replace(SEEN, who="wang")]

    @pytest.mark.parametrize(
        ("request_", "shown"),
        [(WARMER, snapshot()), (TO_AUTO, IN_MANUAL), (TUNE, snapshot(loops=(AT_REST,)))],
    )
    def test_must_have_everything_else_first(self, request_, shown):
        desk, daemon = desk_of(shown)
        daemon.journal.is_stuck = True
        assert not is_protective(request_)
        refusal = operate(desk, request_)
        assert refusal.cause is Cause.UNAVAILABLE
        assert daemon.stations["st-01"].told == []
        assert daemon.journal.outcomes == ["asked", f"refused: {refusal.sentence}"]

    def test_holds_the_wish_and_the_deed_of_what_must_be_recorded_first(self):
        desk, daemon = desk_of(snapshot())
        assert operate(desk, WARMER).outcome == "done"
        assert daemon.journal.outcomes == ["asked", "done"]

    def test_holds_the_record_before_the_next_scan_can_take_the_command(self):
        desk, daemon = desk_of()
        door = daemon.stations["st-01"]

        async def scan_at_once():
            doing = asyncio.create_task(desk.acknowledge(SEEN, "wang"))
            await asyncio.sleep(0)
            assert door.told
            recorded = daemon.journal.outcomes
            await doing
            return recorded

        assert asyncio.run(scan_at_once()) == ["done"]

    @pytest.mark.parametrize(("request_", "shown"), [(OPEN, IN_MANUAL), (WARMER, snapshot())])
    def test_tells_when_a_station_takes_no_more_commands(self, request_, shown):
        desk, daemon = desk_of(shown)
        daemon.stations["st-01"].is_full = True
        refusal = operate(desk, request_)
        assert refusal.sentence == "Too many commands wait for the next scan of st-01."
        assert daemon.journal.outcomes[-1] == f"refused: {refusal.sentence}"

    def test_never_holds_a_token(self):
        desk, daemon = desk_of()
        selection = desk.select(OPEN, "wang")
        asyncio.run(desk.operate(selection.token, "wang"))
        asyncio.run(desk.operate(selection.token, "wang"))
        assert selection.token not in repr(daemon.journal.kept)
        assert selection.token not in repr(selection)


@pytest.mark.parametrize(
    ("uid", "account", "claimed", "name"),
    [
        (1000, "wang", "", "wang"),
        (1000, "wang", "wang", "wang"),
        (1000, "", "", "uid 1000"),
        (0, "root", "wang", "wang (unverified, uid 0)"),
        (0, "root", "张工", "张工 (unverified, uid 0)"),
        (0, "root", "Li Qiang", "Li Qiang (unverified, uid 0)"),
    ],
)
def test_people_are_named_by_their_account_and_root_by_its_claim(uid, account, claimed, name):
    assert name_operator(uid, account, claimed) == name


@pytest.mark.parametrize(
    ("uid", "account", "claimed", "sentence"),
    [
        (0, "root", "", "root is nobody in particular: the audit needs a person's name."),
        (0, "root", " wang", "That is not a name."),
        (0, "root", "wang ", "That is not a name."),
        (0, "root", "wang\n", "That is not a name."),
        (0, "root", "wang (shift 2)", "That is not a name."),
        (0, "root", "x" * 33, "That is not a name."),
        (1000, "wang", "li", "Only root may say --as; you are wang."),
        (1000, "", "li", "Only root may say --as; you are uid 1000."),
    ],
)
def test_nobody_speaks_in_another_name(uid, account, claimed, sentence):
    refusal = name_operator(uid, account, claimed)
    assert isinstance(refusal, Refusal)
    assert refusal.sentence == sentence
