"""The `heatd-sim` command: quick help, JSON for programs, sentences for people, exit codes."""

import json
import subprocess
import sys
import threading
from contextlib import closing
from socket import AF_UNIX, socket

import pytest
from typer.testing import CliRunner

from hil_sim.cli import app
from hil_sim.doors import fault_door
from hil_sim.scenario import names

COMMANDS = [[], ["demo"], ["run"], ["fault"], ["serve"]]
SLOW = {"pymodbus", "asyncua", "sqlalchemy", "pydantic", "rich.live", "fastapi"}
KEYS = [
    "scenario",
    "seed",
    "virtual_s",
    "wall_s",
    "digest",
    "verdict",
    "figures",
    "broken_invariants",
]
FIGURES = [
    "supply_rmse_k",
    "within_1k_pct",
    "saturated_pct",
    "room_min_c",
    "degree_hours_below_19",
    "degree_hours_above_22",
    "heat_mwh",
    "valve_starts_per_day",
    "valve_strokes_per_day",
    "primary_return_c",
    "failover_decision_s",
    "failover_heat_s",
    "alarms_raised",
]
SHORT = """\
scenario: short
about: {zh: 短, en: five minutes}
station: st-01
start: 2026-01-12
duration: 5 min
settle: 3 min
weather: [{at: 0 h, outdoor: -10 °C}]
expect:
  room_min_c: {at_least: 19}
"""


def heatd_sim(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def short(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text(SHORT, encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A runtime folder in which no demo runs."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    fault_door("st-01").parent.mkdir()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_every_command_answers(words):
    answer = heatd_sim(*words, "--help")
    assert answer.exit_code == 0
    assert "Usage" in answer.stdout
    assert not words or f"Example: heatd-sim {words[0]}" in answer.stdout


def test_help_loads_nothing_slow():
    code = "import sys; from hil_sim.cli import app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert SLOW & set(loaded.stdout.split()) == set()


def test_the_scenarios_are_listed_with_what_they_show():
    answer = heatd_sim("run", "list")
    assert answer.exit_code == 0
    assert [line.split()[0] for line in answer.stdout.splitlines()] == names()


class TestRun:
    def test_prints_the_stable_result_for_programs(self, short):
        answer = heatd_sim("run", short, "--seed", 3, "-o", "json")
        result = json.loads(answer.stdout)
        assert answer.exit_code == 0, answer.stderr
        assert list(result) == KEYS
        assert list(result["figures"]) == FIGURES
        assert (result["scenario"], result["seed"], result["virtual_s"]) == ("short", 3, 300.0)
        assert (result["verdict"], result["broken_invariants"]) == ("pass", [])
        assert len(bytes.fromhex(result["digest"])) == 32

    def test_prints_a_table_for_people_with_the_command_that_repeats_it(self, short):
        answer = heatd_sim("run", short, "--seed", 3)
        text = answer.stdout.replace("\n", "")
        assert answer.exit_code == 0
        assert "room_min_c" in text
        assert f"again: ./run heatd-sim run {short} --seed 3" in text

    def test_writes_a_row_for_each_scan_where_asked_to(self, short, tmp_path):
        path = tmp_path / "rows.csv"
        assert heatd_sim("run", short, "--trace", path).exit_code == 0
        heading, *rows = path.read_text(encoding="utf-8").splitlines()
        assert heading.startswith("at_s,outdoor_c,wanted_c,setpoint_c,supply_c,")
        assert len(rows) == 60

    def test_says_what_was_missed_and_ends_with_1(self, short):
        short.write_text(SHORT.replace("at_least: 19", "at_least: 30"), encoding="utf-8")
        answer = heatd_sim("run", short, "-o", "json")
        assert answer.exit_code == 1
        assert json.loads(answer.stdout)["verdict"] == "fail"
        assert answer.stderr.startswith("missed: room_min_c is 2")
        assert answer.stderr.endswith(", expected at least 30\n")

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("settle: 3 min", "settle: 3 bar", "short.yaml:6:9: "),
            ("scenario: short", "drill: short", "short.yaml:1:1: "),
        ],
    )
    def test_refuses_a_wrong_file_with_its_place(self, short, old, new, said):
        short.write_text(SHORT.replace(old, new), encoding="utf-8")
        answer = heatd_sim("run", short)
        assert answer.exit_code == 2
        assert answer.stderr.startswith(said)

    def test_refuses_a_name_that_nobody_has(self):
        answer = heatd_sim("run", "nothing-such")
        assert answer.exit_code == 2
        assert answer.stderr.startswith("there is no scenario nothing-such; there are cold-snap, ")


@pytest.mark.usefixtures("here")
class TestFault:
    def test_without_a_demo_says_what_to_start(self):
        answer = heatd_sim("fault", "st-01", "primary-lost")
        assert answer.exit_code == 1
        assert "./run demo" in answer.stderr

    @pytest.mark.parametrize(
        ("words", "sent"),
        [
            (["pump-trip"], {"do": "pump-trip", "on": True}),
            (["pump-trip", "--tag", "XP2"], {"do": "pump-trip", "on": True, "tag": "XP2"}),
            (["pump-trip", "--off"], {"do": "pump-trip", "on": False}),
        ],
    )
    def test_sends_what_was_asked_and_prints_the_answer(self, words, sent):
        with closing(socket(AF_UNIX)) as door:
            door.bind(str(fault_door("st-01")))
            door.listen()
            heard = []

            def answer_once():
                asked, _ = door.accept()
                with closing(asked):
                    heard.append(json.loads(asked.recv(1000)))
                    asked.sendall(b'{"ok": true, "said": "done"}\n')

            thread = threading.Thread(target=answer_once)
            thread.start()
            answer = heatd_sim("fault", "st-01", *words)
            thread.join()
        assert (answer.exit_code, answer.stdout, heard) == (0, "done\n", [sent])


def test_serving_a_configuration_that_is_wrong_says_so(tmp_path):
    (tmp_path / "heatd.yaml").write_text("simulatoin: true\n", encoding="utf-8")
    answer = heatd_sim("serve", tmp_path)
    assert answer.exit_code == 1
    assert "heatd.yaml:1:1: " in answer.stderr
