"""Make-up: start and stop thresholds, the tank, lost pressures, and a run that does not end."""

from dataclasses import dataclass, field
from math import nan

import pytest

from control_loops.makeup import MakeUp, makeup_start, makeup_step
from control_loops.pump_set import PumpFacts

MAKE_UP = MakeUp(P2h_mpa=0.40, relief_mpa=0.46, stop_mpa=0.30)
H = 5.0


@dataclass
class Loop:
    """A network that leaks, two pumps that obey at once, and a tank."""

    p2h_mpa: float = 0.40
    tank_m: float = 1.4
    leak_mpa: float = 0.0
    running: list = field(default_factory=lambda: [False, False])
    is_broken: bool = False
    state: object = field(default_factory=lambda: makeup_start(MAKE_UP))
    sent: list = field(default_factory=list)
    move: object = None

    def run(self, seconds, *, is_allowed=True):
        """Run for some seconds; return the last move."""
        for _ in range(round(seconds / H)):
            facts = tuple(PumpFacts(run, is_faulted=False, hz=nan) for run in self.running)
            self.move, self.state = makeup_step(
                MAKE_UP,
                MAKE_UP.gains(),
                self.state,
                facts=facts,
                p2h_mpa=self.p2h_mpa,
                tank_m=self.tank_m,
                is_allowed=is_allowed,
                dt_s=H,
            )
            for tag in (*self.move.start, *self.move.stop):
                self.sent.append(tag)
                self.running[int(tag[2]) - 1] = tag.endswith("start") and not self.is_broken
            flow = sum(self.running) * (self.move.hz - 20.0)
            self.p2h_mpa += 2e-5 * flow * H - self.leak_mpa * H
        return self.move


def test_make_up_starts_below_its_band_and_stops_at_the_setpoint():
    loop = Loop(p2h_mpa=0.371)
    assert not loop.run(60).is_filling
    loop.p2h_mpa = 0.369
    assert loop.run(5).start == ("BP1_start",)
    loop.run(600)
    assert loop.sent == ["BP1_start", "BP1_stop"]
    assert loop.p2h_mpa == pytest.approx(0.40, abs=0.005)
    assert (loop.move.is_filling, loop.move.why) == (False, "")


def test_the_pumps_swap_after_every_run():
    loop = Loop(leak_mpa=1e-5)
    loop.run(6 * 3600)
    starts = [tag for tag in loop.sent if tag.endswith("start")]
    assert len(starts) >= 4
    assert starts[:4] == ["BP1_start", "BP2_start", "BP1_start", "BP2_start"]


def test_a_lower_pressure_runs_the_pump_faster():
    slow, fast = Loop(p2h_mpa=0.365), Loop(p2h_mpa=0.30)
    assert fast.run(15).hz > slow.run(15).hz > 25.0


def test_an_empty_tank_stops_make_up_until_it_is_well_filled():
    loop = Loop(p2h_mpa=0.35, leak_mpa=1e-3)
    loop.run(30)
    loop.tank_m = 0.3
    move = loop.run(10)
    assert loop.running == [False, False]
    assert move.is_tank_low
    assert "the tank is too low" in move.why
    loop.tank_m = 0.6
    assert loop.run(60).is_tank_low
    loop.tank_m = nan
    assert loop.run(60).is_tank_low
    loop.tank_m = 0.61
    assert loop.run(30).is_filling


def test_a_lost_pressure_starts_nothing():
    loop = Loop(p2h_mpa=nan)
    loop.run(600)
    assert loop.sent == []


def test_a_lost_pressure_ends_a_run_after_a_minute():
    loop = Loop(p2h_mpa=0.36)
    loop.run(10)
    loop.p2h_mpa = nan
    assert loop.run(55).is_filling
    loop.run(10)
    assert loop.sent == ["BP1_start", "BP1_stop"]


def test_an_interlock_ends_a_run():
    loop = Loop(p2h_mpa=0.36)
    loop.run(10)
    loop.run(10, is_allowed=False)
    assert loop.sent == ["BP1_start", "BP1_stop"]


def test_left_alone_it_sends_no_pulse():
    loop = Loop(p2h_mpa=0.36)
    loop.run(600, is_allowed=None)
    assert loop.sent == []


def test_a_run_of_half_an_hour_is_flagged():
    loop = Loop(p2h_mpa=0.36, leak_mpa=1e-3)
    assert not loop.run(1795).is_run_on
    move = loop.run(5)
    assert move.is_run_on
    assert "30 min without a break" in move.why


def test_pumps_that_do_not_start_are_named():
    loop = Loop(p2h_mpa=0.36, is_broken=True)
    move = loop.run(60)
    assert move.are_all_failed
    assert move.failed == ("BP1", "BP2")
    assert loop.sent.count("BP1_start") == 2
