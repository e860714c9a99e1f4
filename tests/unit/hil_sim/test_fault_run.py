"""The fault catalogue in virtual time, and that its judge can say no."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial

import pytest
from typer.testing import CliRunner

from controller.station import StationShell
from core.clock import LoopClock
from hil_sim.cli import app
from hil_sim.fault_rows import LONG_ROWS, ROWS, FaultRow
from hil_sim.fault_run import chosen, play_rows, run_rows
from hil_sim.quiet import quiet_logs
from hil_sim.virtual_loop import VirtualLoop


def test_every_row_is_survived_in_virtual_time():
    """Ten times is over two minutes: slow points and refreshed outputs meet every fault."""
    result = play_rows(ROWS, repeat=10, is_virtual=True)
    assert {row.fault: row.why for row in result.rows if not row.survived} == {}
    assert result.verdict == "pass"


def test_a_block_that_a_device_refuses_does_not_take_the_others_with_it():
    result = play_rows(LONG_ROWS, is_virtual=True)
    assert {row.fault: row.why for row in result.rows if not row.survived} == {}


def test_a_hundred_power_cycles_of_the_plc_leave_nothing_behind():
    result = play_rows(chosen(["refuse"]), repeat=100, is_virtual=True)
    assert (result.verdict, result.grew, result.repeats) == ("pass", (), 100)
    assert {(held.fds, held.tasks) for held in result.held} == {
        (result.held[0].fds, result.held[0].tasks)
    }


def row(name, fault, **more):
    return FaultRow(row=99, name=name, fault=fault, **more)


WRONG = [
    (row("a", "rst", alarms=("T2g_bad",)), "alarms: comms_lost raised, comms_lost cleared; wanted"),
    (row("b", "rst", alarms=()), "wanted: none raised and cleared once"),
    (row("c", "late", amount=3.0, recover_s=0.5), "s, not 0.5 s"),
    (row("d", "duplicate", alarms=(), blinds=True), "others are called GOOD under the fault"),
    (row("e", "duplicate", alarms=(), blinds=True), "writes while nothing could be read"),
    # A plausible value that the PLC does not hold: only an outsider can tell.
    (
        row("f", "raw", tag="P1g", amount=0x3F00, alarms=(), blinds=False),
        "P1g is called GOOD at 0.50",
    ),
]


def test_the_judge_finds_what_is_not_as_the_row_says():
    result = play_rows([one for one, _ in WRONG], is_virtual=True)
    assert result.verdict == "fail"
    for found, (asked, said) in zip(result.rows, WRONG, strict=True):
        assert not found.survived
        assert any(said in sentence for sentence in found.why), (asked.name, found.why)


@pytest.mark.parametrize("is_excused", [False, True])
def test_a_late_scan_is_found_unless_the_machine_withheld_the_time(monkeypatch, is_excused):
    scan, spent_s = StationShell.scan, 0.0

    async def late_once_in_thirty(shell):
        nonlocal spent_s
        if shell.scans % 30 == 29:
            await asyncio.sleep(1.3)
            spent_s += 1.3
        await scan(shell)

    monkeypatch.setattr(StationShell, "scan", late_once_in_thirty)
    rows, clock = chosen(["duplicate"]), LoopClock(datetime(2026, 1, 12, 4, tzinfo=UTC))
    with quiet_logs(), asyncio.Runner(loop_factory=partial(VirtualLoop, 1)) as runner:
        withheld_s = (lambda: spent_s) if is_excused else (lambda: 0.0)
        result = runner.run(run_rows(rows, clock, repeat=5, withheld_s=withheld_s))
    found = any("between two scans" in sentence for sentence in result.rows[0].why)
    assert found != is_excused, result.rows


class TestTheCommand:
    def run(self, *words):
        return CliRunner().invoke(app, ["faults", *words])

    def test_prints_a_row_for_each_fault(self):
        answer = self.run("rst", "nan", "--virtual", "-o", "json")
        found = json.loads(answer.stdout)
        assert answer.exit_code == 0
        assert [line["fault"] for line in found["rows"]] == ["rst", "nan"]
        assert set(found["rows"][0]) == {
            "row", "fault", "survived", "recovery_s", "alarms", "duplicate_writes",
            "fds", "tasks", "rss_mb", "why",
        }  # fmt: skip

    def test_prints_a_table_for_people(self):
        answer = self.run("fin", "--virtual")
        assert "fin" in answer.stdout
        assert "pass" in answer.stdout

    def test_knows_its_faults(self):
        answer = self.run("nonsense")
        assert answer.exit_code == 2
        assert "no fault is called nonsense; there are rst, fin" in answer.stderr
