"""Circulation pumps: one pulse, proof, standby within a scan, rotation, and lost bits."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import nan

import pytest

from control_loops.pressure import WantedDp
from control_loops.pump_set import PumpFacts, proof
from control_loops.pumps import CirculationPumps, circulation_start, circulation_step

PUMPS = CirculationPumps(dp_kpa=180.0)
WANTED = WantedDp(180.0, "", None)
H = 1.0


@dataclass
class Room:
    """Two pumps in the field: they obey a pulse after two seconds, unless they are broken."""

    running: list = field(default_factory=lambda: [False, False])
    faulted: list = field(default_factory=lambda: [False, False])
    broken: list = field(default_factory=lambda: [False, False])
    deaf: list = field(default_factory=lambda: [False, False])
    blind: list = field(default_factory=lambda: [False, False])
    due: dict = field(default_factory=dict)
    dp_kpa: float = 180.0
    state: object = field(default_factory=lambda: circulation_start(PUMPS, hz=42.0))
    sent: list = field(default_factory=list)
    second: int = 0
    move: object = None

    def scan(self, seconds=1, *, is_wanted=True, is_acknowledged=False, pumps=PUMPS):
        """Run for some seconds; return the last move."""
        for _ in range(seconds):
            self.second += 1
            facts = tuple(
                PumpFacts(None if b else r, None if b else f, nan)
                for r, f, b in zip(self.running, self.faulted, self.blind, strict=True)
            )
            self.move, self.state = circulation_step(
                pumps,
                pumps.gains(),
                self.state,
                facts=facts,
                dp_kpa=self.dp_kpa,
                wanted=WANTED,
                is_wanted=is_wanted,
                is_acknowledged=is_acknowledged,
                dt_s=H,
            )
            for tag in (*self.move.start, *self.move.stop):
                self.sent.append((self.second, tag))
                self.due[int(tag[2]) - 1] = (self.second + 1, tag.endswith("start"))
            for i, (at, is_start) in list(self.due.items()):
                if self.second >= at:
                    del self.due[i]
                    if is_start:
                        self.running[i] = not self.broken[i] and not self.faulted[i]
                    elif not self.deaf[i]:
                        self.running[i] = False
        return self.move

    def trip(self, i):
        """Trip a pump on overload."""
        self.running[i], self.faulted[i] = False, True


def ready():
    """Return a room whose first pump has the duty and runs."""
    room = Room()
    room.scan(10)
    room.sent.clear()
    return room


def test_the_duty_pump_gets_one_pulse_and_is_proven():
    room = Room()
    assert room.scan().start == ("XP1_start",)
    move = room.scan(60)
    assert room.sent == [(1, "XP1_start")]
    assert (move.duty, move.is_proven, move.why) == ("XP1", True, "")


def test_a_pump_that_runs_at_the_start_is_found_and_left_alone():
    room = Room(running=[False, True])
    move = room.scan(60)
    assert room.sent == []
    assert (move.duty, move.is_proven) == ("XP2", True)


def test_a_pump_gets_two_tries_and_then_the_standby_starts_in_the_same_scan():
    room = Room(broken=[True, False])
    room.scan(20)
    assert room.sent == [(1, "XP1_start"), (6, "XP1_start"), (11, "XP2_start"), (11, "XP1_stop")]
    assert room.move.duty == "XP2"
    assert room.move.failed == ("XP1",)
    assert room.move.is_proven


def test_a_trip_starts_the_standby_within_one_scan_at_the_last_speed():
    room = ready()
    before = room.move.hz
    room.trip(0)
    move = room.scan()
    assert move.start == ("XP2_start",)
    assert move.hz == before
    assert "XP2 takes over from XP1" in move.why
    assert not move.is_proven
    assert room.scan(5).is_proven


def test_a_pump_that_stops_by_itself_counts_as_tripped():
    room = ready()
    room.running[0] = False
    move = room.scan()
    assert move.start == ("XP2_start",)
    assert "XP1 stopped by itself" in move.why


def test_a_standby_that_the_plc_has_started_is_adopted_without_a_pulse():
    room = ready()
    room.running = [False, True]
    move = room.scan(30)
    assert (move.duty, move.failed, room.sent) == ("XP2", (), [])


def test_a_standby_that_runs_already_takes_over_from_a_fault_without_a_pulse():
    room = ready()
    room.trip(0)
    room.running[1] = True
    move = room.scan(30)
    assert (move.duty, move.failed, room.sent) == ("XP2", ("XP1",), [])


def test_both_failed_is_said_and_nothing_more_is_started():
    room = ready()
    room.trip(0)
    room.trip(1)
    move = room.scan(60)
    assert move.are_all_failed
    assert "every pump has failed: XP1, XP2" in move.why
    assert room.sent == []


def test_an_acknowledgement_gives_failed_pumps_new_tries():
    room = ready()
    room.broken = [True, True]
    room.running = [False, False]
    assert room.scan(60).are_all_failed
    room.broken = [False, False]
    room.sent.clear()
    room.scan(1, is_acknowledged=True)
    move = room.scan(5)
    assert move.failed == ()
    assert move.is_proven
    assert len(room.sent) == 1


def test_a_fault_bit_that_is_clear_for_five_minutes_gives_new_tries():
    room = ready()
    room.trip(0)
    room.scan(10)
    room.faulted[0] = False
    assert room.scan(299).failed == ("XP1",)
    assert room.scan(1).failed == ()
    assert room.move.duty == "XP2"


def test_an_acknowledgement_does_not_clear_a_fault_that_stands():
    room = ready()
    room.trip(0)
    assert room.scan(5, is_acknowledged=True).failed == ("XP1",)


def test_the_duty_rotates_start_prove_then_stop():
    weekly = replace(PUMPS, rotate_s=100.0)
    room = ready()
    room.scan(95, pumps=weekly)
    names = [tag for _, tag in room.sent]
    assert names == ["XP2_start", "XP1_stop"]
    assert room.sent[1][0] - room.sent[0][0] == 2
    move = room.scan(20, pumps=weekly)
    assert (move.duty, room.running, move.why) == ("XP2", [False, True], "")
    room.scan(100, pumps=weekly)
    assert [tag for _, tag in room.sent[2:]] == ["XP1_start", "XP2_stop"]


def test_a_rotation_to_a_broken_pump_leaves_the_duty_where_it_is():
    weekly = replace(PUMPS, rotate_s=100.0)
    room = ready()
    room.broken[1] = True
    move = room.scan(130, pumps=weekly)
    assert [tag for _, tag in room.sent] == ["XP2_start", "XP2_start", "XP2_stop"]
    assert (move.duty, move.failed, room.running) == ("XP1", ("XP2",), [True, False])


def test_a_rotation_ends_when_the_incoming_pump_trips():
    weekly = replace(PUMPS, rotate_s=100.0)
    room = ready()
    room.broken[1] = True
    room.scan(94, pumps=weekly)
    room.faulted[1] = True
    room.scan(60, pumps=weekly)
    assert [tag for _, tag in room.sent] == ["XP2_start"]
    assert room.state.pumps.incoming == -1


def test_a_single_pump_has_nobody_to_rotate_to():
    alone = replace(PUMPS, duty=("XP1",), rotate_s=10.0)
    state, move = circulation_start(alone), None
    for _ in range(60):
        move, state = circulation_step(
            alone,
            alone.gains(),
            state,
            facts=(PumpFacts(is_running=True, is_faulted=False, hz=40.0),),
            dp_kpa=180.0,
            wanted=WANTED,
            is_wanted=True,
            dt_s=H,
        )
        assert (move.start, move.stop) == ((), ())
    assert move.duty == "XP1"


def test_when_no_heat_is_wanted_the_pump_is_stopped_once():
    room = ready()
    room.scan(60, is_wanted=False)
    assert [tag for _, tag in room.sent] == ["XP1_stop"]
    assert room.move.is_proven is False


def test_a_pump_that_does_not_stop_gets_one_more_pulse_and_is_named():
    room = ready()
    room.deaf[0] = True
    move = room.scan(120, is_wanted=False)
    assert [tag for _, tag in room.sent] == ["XP1_stop", "XP1_stop"]
    assert room.sent[1][0] - room.sent[0][0] == 15
    assert move.why == "XP1 does not stop"


def test_a_pump_that_coasts_down_is_started_again_when_heat_is_wanted_after_all():
    room = ready()
    room.scan(1, is_wanted=False)
    move = room.scan(1)
    assert move.start == ()
    assert "comes to rest" in move.why
    move = room.scan(10)
    assert (move.duty, move.failed, move.is_proven) == ("XP1", (), True)
    assert [tag for _, tag in room.sent] == ["XP1_stop", "XP1_start"]


def test_a_stop_that_had_no_effect_is_forgotten_when_heat_is_wanted_again():
    room = ready()
    room.deaf[0] = True
    room.scan(3, is_wanted=False)
    move = room.scan(30)
    assert [tag for _, tag in room.sent] == ["XP1_stop"]
    assert (move.is_proven, move.why) == (True, "")


def test_a_start_that_is_no_longer_wanted_is_taken_back():
    room = Room(broken=[True, False])
    room.scan(2)
    room.scan(10, is_wanted=False)
    assert [tag for _, tag in room.sent] == ["XP1_start", "XP1_stop"]


def test_left_alone_no_pulse_is_sent_and_no_pump_fails():
    room = ready()
    room.running = [False, False]
    room.scan(600, is_wanted=None)
    assert room.sent == []
    assert room.move.failed == ()
    room.scan(5)
    assert [tag for _, tag in room.sent] == ["XP1_start"]
    assert room.move.failed == ()


def test_an_order_waits_while_the_pumps_are_left_alone():
    room = Room(broken=[True, False])
    room.scan(3)
    room.scan(600, is_wanted=None)
    room.scan(2)
    assert room.sent == [(1, "XP1_start")]
    room.scan(1)
    assert room.sent[1:] == [(606, "XP1_start")]


def test_lost_bits_start_and_stop_nothing():
    room = ready()
    room.blind = [True, True]
    move = room.scan(600)
    assert (room.sent, move.is_proven, move.failed) == ([], None, ())
    room.blind = [False, False]
    assert room.scan(5).is_proven
    assert room.sent == []


def test_a_pump_that_died_unseen_is_noticed_when_its_bits_are_back():
    room = ready()
    room.blind = [True, True]
    room.scan(60)
    room.running[0], room.blind = False, [False, False]
    assert room.scan().start == ("XP2_start",)


@pytest.mark.parametrize(
    ("is_running", "hz", "expected"),
    [
        (True, nan, True), (False, nan, False), (None, nan, None), (None, 42.0, True),
        (None, 0.0, False), (False, 42.0, True), (False, 0.0, False),
    ],
)  # fmt: skip
def test_a_run_bit_or_a_speed_proves_a_pump(is_running, hz, expected):
    assert proof(PumpFacts(is_running, None, hz)) is expected


def test_the_speed_holds_the_differential_pressure_within_its_limits():
    room = ready()
    hz = []
    for _ in range(300):
        room.dp_kpa = 0.1 * room.move.hz**2 * 0.8
        room.scan()
        hz.append(room.move.hz)
    assert room.dp_kpa == pytest.approx(180.0, abs=3.0)
    assert all(abs(b - a) <= 1.0 + 1e-9 for a, b in pairwise(hz))
    room.dp_kpa = 400.0
    assert room.scan(200).hz == 25.0
    room.dp_kpa = 0.0
    assert room.scan(200).hz == 50.0


def test_a_lost_pressure_holds_the_speed():
    room = ready()
    before = room.move.hz
    room.dp_kpa = nan
    assert room.scan(600).hz == before


@pytest.mark.parametrize(("hz", "first"), [(nan, 25.0), (10.0, 25.0), (43.0, 43.0)])
def test_the_speed_starts_from_what_stands_in_the_field(hz, first):
    assert circulation_start(PUMPS, hz=hz).pid.output == first
