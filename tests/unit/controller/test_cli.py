"""The `heatd` command: help at once, tables for people, JSON for programs, honest exit codes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
from typer.testing import CliRunner

from api.client import Client
from controller.cli import app
from controller.explained import written
from core.record import ExplanationRecord
from tests.face import AT, PUMP, SETTLING, VALVE, SmallDaemon, served, snapshot

WHY = ["--why", "cold night"]
# Only root must say who it is, and only root may.
AS = ["--as", "wang"] if os.getuid() == 0 else []
COMMANDS = [
    [],
    ["run"],
    ["check"],
    ["new"],
    ["new", "station"],
    ["probe"],
    ["status"],
    ["alarms"],
    ["alarms", "ack"],
    ["set"],
    ["mode"],
    ["source"],
    ["source", "start"],
    ["source", "stop"],
    ["explain"],
    ["tune"],
]

SLOW = {"pydantic", "httpx", "rich.console", "fastapi", "sqlalchemy", "pymodbus", "structlog"}


@pytest.fixture
def daemon():
    return SmallDaemon()


@pytest.fixture
def heatd(tmp_path, daemon):
    """Run a command against the served daemon."""
    with served(daemon, tmp_path) as path:

        def run(*words, given=None):
            return CliRunner().invoke(
                app, [str(word) for word in words], env={"HEATD_SOCKET": str(path)}, input=given
            )

        yield run


class TestHelp:
    @pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_of_every_command_gives_an_example(self, words, flag):
        answer = CliRunner().invoke(app, [*words, flag])
        assert answer.exit_code == 0
        assert f"Example: heatd {' '.join(words)}".rstrip() in answer.stdout

    def test_loads_nothing_slow(self):
        """So it comes in a fifth of a second, which a busy machine cannot be asked to show."""
        program = (
            "import sys; from controller.cli import app; app(['-h'], standalone_mode=False);"
            f"print(*sys.modules.keys() & {SLOW}, file=sys.stderr)"
        )
        command = [sys.executable, "-c", program]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        assert "Example: heatd status" in answer.stdout
        assert answer.stderr == "\n"

    @pytest.mark.parametrize(
        "words",
        [
            ["reboot"],
            ["set", "st-01"],
            ["set", "st-01", "CV1_SV", "45"],
            ["set", "st-01", "CV1_SV", "warm", *WHY],
            ["set", "st-01", "CV1_SV", "45", *WHY, "--lease", "soon"],
            ["mode", "st-01", "T2g", "manual", *WHY],
            ["check", "/nowhere"],
            ["status", "-o", "xml"],
        ],
    )
    def test_is_offered_for_wrong_use_with_exit_code_2(self, words):
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == 2
        assert answer.stdout == ""
        assert "-h' for help" in answer.stderr


class TestWithoutADaemon:
    @pytest.mark.parametrize(
        ("environment", "words", "path"),
        [
            ({}, [], "/run/heatd/control.sock"),
            ({"RUNTIME_DIRECTORY": "/run/x:/run/y"}, [], "/run/x/control.sock"),
            ({"HEATD_SOCKET": "/run/z/c.sock"}, [], "/run/z/c.sock"),
            ({"HEATD_SOCKET": "/run/z/c.sock"}, ["--socket", "/run/a.sock"], "/run/a.sock"),
        ],
    )
    def test_a_command_says_where_it_looked_and_what_to_do(self, environment, words, path):
        unset = {"HEATD_SOCKET": None, "RUNTIME_DIRECTORY": None}
        answer = CliRunner().invoke(app, ["status", *words], env={**unset, **environment})
        assert answer.exit_code == 1
        assert answer.stdout == ""
        assert f"there is no socket {path}." in answer.stderr
        assert "heatd run DIR" in answer.stderr


class TestStatus:
    def test_shows_a_row_for_each_circuit(self, heatd):
        answer = heatd("status")
        assert answer.exit_code == 0
        assert "SIMULATION" in answer.stdout
        (row,) = [line for line in answer.stdout.splitlines() if line.startswith("st-01")]
        assert row.split() == [
            *["st-01", "-8.5", "56.2", "55.8", "41.3", "%", "-", "normal", "heatd"],
            *["▲2", "×1", "◆3", "×1"],
        ]

    def test_names_the_circuit_where_there_are_several(self, heatd, daemon):
        low, high = replace(VALVE, name="low.T2g"), replace(VALVE, name="high.T2g")
        daemon.stations["st-01"].snapshot = snapshot(loops=(low, high))
        rows = [line.split()[:2] for line in heatd("status").stdout.splitlines()[2:]]
        assert rows == [["st-01", "low"], ["st-01", "high"]]

    def test_marks_a_station_that_is_not_ours(self, heatd, daemon):
        daemon.stations["st-01"].snapshot = snapshot(authority="tracking", authority_why="new")
        assert "▲ tracking" in heatd("status").stdout

    def test_names_a_station_that_has_not_scanned_yet(self, heatd, daemon):
        daemon.stations["st-01"].snapshot = None
        assert "no scan yet" in heatd("status").stdout

    def test_of_one_station_shows_its_loops_devices_and_alarms(self, heatd):
        shown = heatd("status", "st-01").stdout
        for what in ("Kangcheng", "CV1_SV 41.3 %", "XP_SV 42.0 Hz", "modbus_tcp", "T2G_HIGH"):
            assert what in shown

    def test_speaks_the_language_of_the_terminal(self, tmp_path, daemon):
        with served(daemon, tmp_path) as path:
            words = ["status", "st-01", "--socket", str(path)]
            for language, name in (("zh_CN.UTF-8", "康城"), ("en_GB.UTF-8", "Kangcheng")):
                answer = CliRunner().invoke(app, words, env={"LC_ALL": language})
                assert name in answer.stdout

    def test_is_json_for_programs(self, heatd):
        status = json.loads(heatd("status", "-o", "json").stdout)
        assert status["stations"][0]["rooms_p10_c"] is None
        assert json.loads(heatd("status", "st-01", "-o", "json").stdout)["station"] == "st-01"

    def test_of_an_unknown_station_says_which_there_are(self, heatd):
        answer = heatd("status", "st-99")
        assert answer.exit_code == 1
        assert answer.stderr == "There is no station st-99.\nThere are: st-01.\n"

    def test_goes_on_showing_what_changes_until_the_daemon_stops(self, tmp_path, daemon):
        program = "from controller.cli import main; main()"
        words = ["status", "--watch", "-o", "json", "--socket", str(tmp_path / "control.sock")]
        with served(daemon, tmp_path):
            command = [sys.executable, "-c", program, *words]
            watching = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            first = json.loads(watching.stdout.readline())
            daemon.scan_from_a_thread(outdoor_c=-9.0)
            second = json.loads(watching.stdout.readline())
        _, words_at_the_end = watching.communicate(timeout=20.0)
        assert [shown["stations"][0]["scans"] for shown in (first, second)] == [1, 2]
        assert words_at_the_end == "heatd has stopped.\n"
        assert watching.returncode == 1


class TestAlarms:
    def test_come_the_most_urgent_first_with_shape_and_number(self, heatd):
        rows = [line.split()[:3] for line in heatd("alarms").stdout.splitlines()[2:]]
        assert rows == [["▲2", "st-01", "T2G_HIGH"], ["◆3", "st-01", "DOOR_OPEN"]]

    def test_come_with_their_past_where_asked_for(self, heatd):
        assert "raised" in heatd("alarms", "--all").stdout
        assert json.loads(heatd("alarms", "--all", "-o", "json").stdout)["history"]

    def test_may_be_none(self, heatd, daemon):
        daemon.stations["st-01"].snapshot = snapshot(alarms=())
        assert heatd("alarms").stdout == "No alarm is active.\n"

    @pytest.mark.parametrize("yes", [[], ["--yes"]])
    def test_are_acknowledged_by_name(self, heatd, daemon, yes):
        answer = heatd("alarms", "ack", "st-01", "T2G_HIGH", *yes, *WHY, *AS)
        assert answer.exit_code == 0
        assert answer.stdout.endswith("done\n")
        (command,) = daemon.stations["st-01"].told
        assert (command.alarm, command.why) == ("T2G_HIGH", "cold night")


class TestACommand:
    def test_shows_what_it_would_do_and_asks(self, heatd, daemon):
        answer = heatd("set", "st-01", "offset", "-2", *WHY, *AS, given="y\n")
        assert answer.exit_code == 0
        for line in ("offset of main", "now    1 K", "then   -2 K", "for    24 h, then it ends"):
            assert line in answer.stdout
        assert "Operate within 30 s?" in answer.stdout
        assert answer.stdout.endswith("done\n")
        (command,) = daemon.stations["st-01"].told
        assert (command.circuit, command.offset_k) == ("main", -2.0)

    @pytest.mark.parametrize("given", ["n\n", "\n", ""])
    def test_does_nothing_unless_told_yes(self, heatd, daemon, given):
        answer = heatd("set", "st-01", "offset", "2", *WHY, *AS, given=given)
        assert answer.exit_code == 1
        assert daemon.stations["st-01"].told == []

    def test_does_not_ask_where_told_so(self, heatd, daemon):
        answer = heatd("mode", "st-01", "T2g", "man", *WHY, "--yes", *AS, "--lease", "90min")
        assert answer.exit_code == 0
        assert daemon.stations["st-01"].told[0].lease_s == 5400.0

    @pytest.mark.parametrize(
        ("words", "source", "told"),
        [
            (["source", "start", "st-01"], "normal", "StartSource"),
            (["source", "start", "st-01", "--source", "gas1"], "suspect", "StartSource"),
            (["source", "stop", "st-01"], "backup", "StopSource"),
        ],
    )
    def test_moves_the_source(self, heatd, daemon, words, source, told):
        daemon.stations["st-01"].snapshot = snapshot(source=source)
        assert heatd(*words, *WHY, "--yes", *AS).exit_code == 0
        (command,) = daemon.stations["st-01"].told
        assert (type(command).__name__, command.source) == (told, "gas1")

    def test_that_is_refused_says_why_and_what_to_do(self, heatd):
        answer = heatd("set", "st-01", "CV1_SV", "45", *WHY, "--yes", *AS)
        assert answer.exit_code == 1
        assert answer.stderr == (
            "T2g of st-01 is in auto: the loop itself moves CV1_SV.\n"
            "Put it into manual first: heatd mode st-01 T2g man --why ...\n"
        )

    def test_shows_a_warning_before_it_asks(self, heatd, daemon):
        held = replace(VALVE, mode="man", holder="frost", why="frost danger")
        daemon.stations["st-01"].snapshot = snapshot(loops=(held, PUMP))
        shown = heatd("set", "st-01", "CV1_SV", "45", *WHY, *AS, given="n\n").stdout
        assert "▲ mind  frost holds CV1_SV (frost danger): it goes first" in shown

    def test_that_cannot_even_be_asked_says_why(self, heatd):
        answer = heatd("set", "x" * 65, "y" * 200, "45", *WHY, "--yes", *AS)
        assert answer.exit_code == 1
        assert "station: String should have at most 64 characters" in answer.stderr
        assert "point: String should have at most" in answer.stderr


FOUND = replace(
    SETTLING,
    phase="done",
    why="",
    is_busy=False,
    moved_k=2.2,
    gain_k_per_pct=0.44,
    tau_s=16.4,
    dead_s=4.2,
    gain_pct_per_k=2.13,
    reset_time_s=16.4,
)
GIVEN_UP = replace(SETTLING, phase="aborted", why="an alarm came up", is_busy=False)


def showing(tune):
    return {"loops": (replace(VALVE, can_tune=True, tune=tune), PUMP)}


@pytest.mark.parametrize("text", ["2K", "nan", "offset", "1,5"])
def test_a_value_that_is_no_number_says_how_to_write_one(heatd, text):
    answer = heatd("set", "st-01", "offset", text, *WHY, *AS, "--yes")
    assert answer.exit_code == 2
    assert f"`{text}` is no number; write it" in " ".join(answer.stderr.split())


class TestTune:
    """The daemon shows what each case says, one after the other, once the command has come."""

    @pytest.fixture
    def tuning(self, heatd, daemon):
        daemon.stations["st-01"].snapshot = snapshot(**showing(None))

        def run(*shown, words=("--yes",), given=None):
            def scans():
                # The last two again and again: a crowded machine may miss one of them.
                for i, tune in enumerate([*shown, *shown[-2:] * 10]):
                    daemon.loop.call_later(0.4 * i, partial(daemon.scan, **showing(tune)))

            daemon.stations["st-01"].on_submit = scans
            return heatd("tune", "st-01", "T2g", *WHY, *AS, *words, given=given)

        return run

    def test_shows_how_it_goes_and_prints_what_to_paste(self, tuning, daemon):
        answer = tuning(SETTLING, FOUND)
        assert answer.exit_code == 0
        assert answer.stdout.splitlines()[-5:] == [
            "# st-01 T2g: 0.44 K/%, time constant 16 s, dead time 4 s",
            "# gains after SIMC; for the station's file, then heatd check and a restart",
            "circuits:",
            "  main:",
            "    pid: {gain: 2.1 %/K, reset_time: 16 s}",
        ]
        (command,) = daemon.stations["st-01"].told
        assert (type(command).__name__, command.loop) == ("StartTune", "T2g")

    def test_of_an_earlier_one_it_takes_no_notice(self, tuning):
        assert (
            "gain: 9.9 %/K"
            not in tuning(replace(FOUND, gain_pct_per_k=9.9), SETTLING, FOUND).stdout
        )

    def test_says_why_it_was_given_up_and_ends_with_1(self, tuning):
        answer = tuning(SETTLING, GIVEN_UP)
        assert answer.exit_code == 1
        said = "The autotune was given up: an alarm came up. No setting was changed.\n"
        assert answer.stderr.endswith(said)

    def test_is_json_for_programs_with_all_words_on_stderr(self, tuning):
        answer = tuning(SETTLING, FOUND, words=("--yes", "-o", "json"))
        assert answer.stderr.endswith("done\n")
        # The daemon of the test logs to the same stdout.
        found = json.loads(answer.stdout[answer.stdout.index("{\n") :])
        assert (found["gain_pct_per_k"], found["dead_s"]) == (2.13, 4.2)

    def test_asks_first(self, tuning, daemon):
        answer = tuning(words=(), given="n\n")
        assert answer.exit_code == 1
        assert "a bump of CV1_SV once there is calm" in answer.stdout
        assert daemon.stations["st-01"].told == []

    def test_ends_it_where_the_person_gives_up_before_it_is_shown(
        self, tuning, daemon, monkeypatch
    ):
        operate, starts = Client.operate, iter([True, False])

        def tired(client, token, *, as_name=""):
            outcome = operate(client, token, as_name=as_name)
            if next(starts):
                raise KeyboardInterrupt
            return outcome

        monkeypatch.setattr(Client, "operate", tired)
        answer = tuning(SETTLING)
        assert answer.exit_code == 1
        assert answer.stderr.endswith("the valve goes back to where it stood.\n")
        told = [type(command).__name__ for command in daemon.stations["st-01"].told]
        assert told == ["StartTune", "StopTune"]

    def test_ends_it_where_the_person_gives_up(self, tuning, daemon, monkeypatch):
        def tired(_client):
            raise KeyboardInterrupt

        monkeypatch.setattr(Client, "watch", tired)
        answer = tuning(SETTLING)
        assert answer.exit_code == 1
        assert answer.stderr.endswith("the valve goes back to where it stood.\n")
        told = [type(command).__name__ for command in daemon.stations["st-01"].told]
        assert told == ["StartTune", "StopTune"]


class TestExplain:
    def test_shows_the_chain_from_the_outdoor_temperature_to_the_write(self, heatd):
        lines = heatd("explain", "st-01", "T2g").stdout.splitlines()
        assert lines[0] == "st-01 T2g  AUTO, held by loop"
        assert lines[1].split() == ["outdoor", "-8.5", "°C", "T_out,", "4", "s", "old"]
        depths = [len(line) - len(line.lstrip()) for line in lines[1:-1]]
        assert depths == [0, 2, 4, 6, 8, 10]
        assert lines[-2].split() == ["written", "41.3", "%", "verified"]
        assert lines[-1] == "now CV1_SV 41.3 %; verified; PID"

    def test_is_json_for_programs(self, heatd):
        chain = json.loads(heatd("explain", "st-01", "T2g", "-o", "json").stdout)["chain"]
        assert chain[0] == {
            "name": "outdoor",
            "value": -8.5,
            "unit": "°C",
            "note": "T_out, 4 s old",
            "quality": "",
            "age_s": None,
        }

    def test_shows_the_chain_of_a_past_moment_as_it_was_kept_then(self, heatd, daemon):
        then = replace(VALVE, output=12.5)
        daemon.explanations.append(
            ExplanationRecord(at=AT, station="st-01", loops=written((then,)))
        )
        shown = heatd("explain", "st-01", "T2g", "--at", "2026-01-15T04:00:30+00:00").stdout
        assert shown.splitlines()[-1].endswith("CV1_SV 12.5 %; verified; PID")
        assert not shown.splitlines()[-1].startswith("now")

    @pytest.mark.parametrize(
        ("loop", "at", "said"),
        [
            ("T2g", "2026-01-14T23:00:00+00:00", "Nothing is known of st-01 at 2026-01-1"),
            ("T9", "2026-01-15T05:00:00+00:00", "st-01 had no loop T9 then.\nThere were: T2g."),
        ],
    )
    def test_of_a_moment_that_is_not_known_says_so(self, heatd, daemon, loop, at, said):
        kept = ExplanationRecord(at=AT, station="st-01", loops=written((VALVE,)))
        daemon.explanations.append(kept)
        answer = heatd("explain", "st-01", loop, "--at", at)
        assert answer.exit_code == 1
        assert answer.stderr.startswith(said)

    def test_of_what_is_no_moment_says_how_to_write_one(self, heatd):
        answer = heatd("explain", "st-01", "T2g", "--at", "yesterday")
        assert answer.exit_code == 2
        assert "write it as in" in answer.stderr

    def test_of_an_unknown_loop_says_which_there_are(self, heatd):
        answer = heatd("explain", "st-01", "T9")
        assert (answer.exit_code, answer.stderr) == (1, "st-01 has no loop T9.\nIt has T2g, P2D.\n")


class TestCheck:
    def test_names_every_problem_with_its_place(self, tmp_path):
        (tmp_path / "heatd.yaml").write_text("stations: 1\nbogus: 2\n", encoding="utf-8")
        answer = CliRunner().invoke(app, ["check", str(tmp_path)])
        assert answer.exit_code == 1
        assert answer.stdout == ""
        assert "heatd.yaml:" in answer.stderr
        assert "problems: " in answer.stderr

    def test_gives_programs_a_list(self, tmp_path):
        (tmp_path / "heatd.yaml").write_text("bogus: 2\n", encoding="utf-8")
        answer = CliRunner().invoke(app, ["check", str(tmp_path), "-o", "json"])
        assert answer.exit_code == 1
        assert {"file", "line", "column", "message", "hint"} == set(json.loads(answer.stdout)[0])

    @pytest.mark.parametrize("as_json", [False, True])
    def test_says_what_it_found(self, as_json):
        words = ["check", "config/examples", *(["-o", "json"] if as_json else [])]
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == 0, answer.stderr
        if as_json:
            assert json.loads(answer.stdout)["stations"] > 0
        else:
            assert answer.stdout.startswith("good: ")


class TestRun:
    def test_refuses_a_configuration_that_is_wrong(self, tmp_path):
        (tmp_path / "heatd.yaml").write_text("bogus: 2\n", encoding="utf-8")
        words = ["run", str(tmp_path), "--state", str(tmp_path), "--runtime", str(tmp_path)]
        answer = subprocess.run(
            [sys.executable, "-c", "from controller.cli import main; main()", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 1
        assert "heatd.yaml:" in answer.stderr
        assert "Traceback" not in answer.stderr
