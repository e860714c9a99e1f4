"""The bench of polling, very short: its object is complete and its counts are true."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hil_sim.bench_poll.figures import Figures
from hil_sim.bench_poll.job import Job, Scope

STATIONS, TAGS = 3, 40
KEYS = {field.name for field in dataclasses.fields(Figures)}
PROMISED = {
    *("stations", "tags", "seconds", "points_per_s", "cores", "cpu_us_per_point", "rss_mb", "loop"),
    *("lateness_p50_ms", "lateness_p99_ms", "lateness_max_ms"),
}


def bench(*options):
    command = [str(Path(sys.executable).with_name("heatd-sim")), "bench", "poll", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def figures(*options):
    asked = ("--stations", str(STATIONS), "--tags", str(TAGS), "--seconds", "2", "-o", "json")
    ended = bench(*asked, *options)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_every_point_that_is_counted_was_decoded_and_is_on_the_disk():
    found = figures()
    assert set(found) == KEYS >= PROMISED
    assert (found["stations"], found["tags"], found["loop"]) == (STATIONS, TAGS, "asyncio")
    # Two or three scans of a second each fall into the window of each station.
    assert found["stored_points"] in range(STATIONS * TAGS, 4 * STATIONS * TAGS, TAGS)
    assert found["polled_points"] == pytest.approx(found["stored_points"], abs=STATIONS * TAGS)
    assert found["points_per_s"] == pytest.approx(STATIONS * TAGS, rel=0.6)
    assert 0.0 < found["cores"] < 2.0
    assert 0.0 <= found["lateness_p50_ms"] <= found["lateness_p99_ms"] <= found["lateness_max_ms"]
    assert found["alarms"] == STATIONS * (TAGS - 4 + 1)


def test_flat_out_does_the_same_work_more_often_than_the_period():
    found = figures("--flat-out")
    assert found["points_per_s"] > 5 * STATIONS * TAGS
    assert found["polled_points"] == pytest.approx(found["stored_points"], rel=0.1)
    assert found["lateness_p99_ms"] is None


def test_without_the_decision_every_point_is_still_checked_and_stored():
    found = figures("--flat-out", "--undecided")
    assert found["points_per_s"] > 5 * STATIONS * TAGS
    assert found["polled_points"] == pytest.approx(found["stored_points"], rel=0.1)
    assert found["alarms"] == STATIONS * (TAGS - 4 + 1)


def test_contenders_are_compared_on_one_server():
    against = "collectd,naive" if shutil.which("collectd") else "naive"
    found = figures("--against", against)
    assert set(found) == {"heatd", *against.split(",")}
    for contender in found.values():
        assert set(contender) == KEYS
        assert contender["stored_points"] >= STATIONS * TAGS
        assert contender["cpu_us_per_point"] >= 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--against", "nobody"), "no contender is called 'nobody'; there are: collectd, naive"),
        (("--against", "naive", "--flat-out"), "leave --flat-out away"),
        (("--undecided",), "--undecided goes with --flat-out"),
        (("--tags", "5"), "a station needs at least 32 tags"),
    ],
)
def test_what_cannot_be_measured_is_said(options, said):
    ended = bench(*options)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_a_job_goes_through_a_command_line():
    job = Job(
        config="/c",
        state="/s",
        ports=(1, 2),
        tags=40,
        period_s=1.0,
        seconds=2.0,
        loop="uvloop",
        scope=Scope.RECORD,
    )
    assert Job.from_json(job.to_json()) == job
