"""A station's shell with everything real but the wires: daemon, drivers, a PLC and its plant."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from config.model import Site, Station
from controller.authority import Authority
from controller.commands import CommandDesk, Outcome, Selection
from controller.daemon import JOURNAL, Daemon, Options
from controller.decide import Decision
from controller.explained import read
from controller.station import COMMANDS_MAX, StationShell
from controller.translate import station_of
from core.clock import LoopClock
from core.command import Command, LoopMode, SetMode, SetOutput, SetSetpoint, StartSource
from core.image import Outputs
from core.point import Quality, Tag
from core.record import AlarmRecord, ModeRecord
from drivers.link import Link
from hil_sim.ledgers import ModeLedger
from hil_sim.plant.sensor import SensorFault
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc
from hil_sim.serve import make_station, open_bus, scan_plc
from hil_sim.virtual_loop import VirtualLoop
from history.reader import Reader
from tests.unit.controller.conftest import example

WINTER = datetime(2026, 1, 15, tzinfo=UTC)
POISON = Command(station="st-01", who="ann", why="a bug")  # no station takes a bare command
PORT = 15021


@dataclass
class Rig:
    """A daemon with its stations' PLCs, alive in a virtual loop."""

    daemon: Daemon
    loop: VirtualLoop
    plcs: dict[str, SimPlc]
    decisions: list[tuple[float, str, Decision]] = field(default_factory=list)

    @property
    def shell(self) -> StationShell:
        return self.daemon.stations["st-01"]

    @property
    def plc(self) -> SimPlc:
        return self.plcs["st-01"]

    @property
    def holds(self) -> Authority:
        return self.shell.state.authority.holds

    async def until(self, is_so: Callable[[], bool], within_s: float = 200.0) -> float:
        """Let time pass until something is so; return how long it took."""
        began_s = self.loop.time()
        while not is_so():
            assert self.loop.time() - began_s < within_s, "it never came"
            await asyncio.sleep(0.1)
        return self.loop.time() - began_s

    async def taken_over(self) -> None:
        await self.until(lambda: self.holds is Authority.HEATD)

    def alarms(self, name: str) -> list[tuple[str, str]]:
        return [(r.event.value, r.station) for r in self.daemon.reader.alarms() if r.alarm == name]


class StallingLoop(VirtualLoop):
    """A virtual loop on a machine that can stand still."""

    stalled_s = 0.0

    def time(self) -> float:
        return super().time() + self.stalled_s


def modes(decision: Decision) -> list[ModeRecord]:
    return [record for record in decision.records if isinstance(record, ModeRecord)]


def site_of(*stations: Station, simulation: bool = True) -> Site:
    return Site(simulation=simulation, stations=stations or (example(),))


def third_station() -> Station:
    """The first station once more, under another name and at another port."""
    first = example()
    device = first.devices["plc"]
    device = replace(device, settings=replace(device.settings, port=PORT + 100))
    order = ("T_out", "last_good")
    outdoor = replace(first.outdoor, order=order)
    return replace(first, station="st-03", devices={"plc": device}, outdoor=outdoor)


@asynccontextmanager
async def rig(
    folder: Path, site: Site, *, plcs: dict[str, SimPlc] | None = None, is_read_only: bool = False
) -> AsyncIterator[Rig]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock = LoopClock(WINTER)
    plcs = plcs or {
        station.station: make_station(
            station, weather=SteadyWeather(-10.0), seed=1, start_hour=0.0
        ).plc
        for station in site.stations
    }
    decisions: list[tuple[float, str, Decision]] = []

    def note(shell: StationShell, decision: Decision) -> None:
        decisions.append((loop.time(), shell.config.station, decision))

    async with AsyncExitStack() as stack:
        for station in site.stations:
            await open_bus(stack, station, plcs[station.station], clock)
        options = Options(
            state_dir=folder, is_durable=False, is_read_only=is_read_only, on_scan=note
        )
        daemon = Daemon(site, clock, options)
        stop = asyncio.Event()
        tasks = [asyncio.create_task(scan_plc(plc)) for plc in plcs.values()]
        running = asyncio.create_task(daemon.run(stop))
        try:
            yield Rig(daemon, loop, plcs, decisions)
        finally:
            stop.set()
            await running
            for task in tasks:
                task.cancel()


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., None]:
    """Run a test against a rig in virtual time."""

    def run(
        test: Callable[[Rig], Awaitable[None]],
        site: Site | None = None,
        *,
        loop: Callable[[int], VirtualLoop] = VirtualLoop,
        is_read_only: bool = False,
    ) -> None:
        async def play() -> None:
            async with rig(tmp_path, site or site_of(), is_read_only=is_read_only) as made:
                await test(made)

        with quiet(), asyncio.Runner(loop_factory=lambda: loop(1)) as runner:
            runner.run(play())

    return run


@contextmanager
def quiet() -> Iterator[list[tuple[float, str]]]:
    """Keep what is logged, with the loop's time, instead of printing it."""
    processors = structlog.get_config()["processors"]
    before, seen = list(processors), []

    def note(_logger: object, _method: str, event: dict[str, object]) -> dict[str, object]:
        seen.append((asyncio.get_running_loop().time(), str(event["event"])))
        raise structlog.DropEvent

    processors[:] = [note]
    try:
        yield seen
    finally:
        processors[:] = before


class TestAnUntroubledStation:
    def test_is_taken_over_without_a_step_of_valve_or_pumps(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            plant = made.plc.plant
            before_pct = plant.valve.motor_pct
            before_hz = plant.circuit.circulation["XP1"].hz
            await asyncio.sleep(15.0)
            assert made.plc.registers["FALLBACK"] == 0.0
            assert abs(plant.valve.motor_pct - before_pct) < 3.0
            assert abs(plant.circuit.circulation["XP1"].hz - before_hz) < 1.0

        live(test)

    def test_is_scanned_on_a_grid(self, live):
        async def test(made: Rig) -> None:
            await asyncio.sleep(60.0)
            at_s = [at for at, _, _ in made.decisions]
            assert len(at_s) == 12
            assert [b - a for a, b in itertools.pairwise(at_s)] == pytest.approx(
                [5.0] * 11, abs=0.1
            )
            assert made.shell.overruns == 0

        live(test)

    def test_can_be_asked_afterwards_why_its_loops_did_what_they_did(self, live):
        """Once a minute, and when somebody else rules: here when heatd takes over."""

        async def test(made: Rig) -> None:
            await asyncio.sleep(200.0)
            await made.daemon.journal.commit()
            reader = made.daemon.reader
            for at_s, _, decision in made.decisions[4::7]:
                at = WINTER + timedelta(seconds=at_s)
                kept = reader.explanation("st-01", at, since=at - timedelta(seconds=61.0))
                assert kept is not None
                loop = next(loop for loop in read(kept.loops) if loop.name == "T2g")
                assert loop.holder == decision.held["CV1_SV"].holder.name.lower()
            assert reader.history_rows()["explanation"] <= 12

        live(test)

    def test_shows_one_snapshot_for_each_scan(self, live):
        async def test(made: Rig) -> None:
            assert made.shell.snapshot is None
            await made.daemon.wait_scan()
            first = made.shell.snapshot
            assert first is not None
            assert made.shell.snapshot is first
            await made.daemon.wait_scan()
            assert made.shell.snapshot.scans == first.scans + 1
            assert made.shell.snapshot.image is made.shell.image

        live(test)

    def test_is_left_to_the_plc_as_it_stands_when_heatd_ends(self, tmp_path):
        async def play() -> None:
            async with rig(tmp_path, site_of()) as made:
                await made.taken_over()
                await asyncio.sleep(60.0)
                plc, beat = made.plc, made.plc.registers["HB_SCADA"]
                before_pct = plc.plant.valve.motor_pct
            for _ in range(70):
                plc.scan(1.0)
            assert plc.registers["HB_SCADA"] - beat <= 1.0
            assert plc.registers["FALLBACK"] == 1.0
            assert abs(plc.plant.valve.motor_pct - before_pct) < 3.0

        with quiet(), asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
            runner.run(play())


class TestTwoPeople:
    def test_the_second_is_never_shown_a_scan_without_the_firsts_command(self, live, monkeypatch):
        """ann operates while a scan writes: that one has taken its commands before."""

        async def test(made: Rig) -> None:
            await made.taken_over()
            desk, given = CommandDesk(made.daemon), "52 °C, by ann: a leak, 240 min left"
            ask = SetSetpoint(
                station="st-01", who="", why="a leak", circuit="main", setpoint_c=52.0
            )
            token, write = desk.select(ask, "ann").token, Link.write

            async def meanwhile(link: Link, outputs: Outputs, now_s: float) -> None:
                monkeypatch.setattr(Link, "write", write)
                assert isinstance(await desk.operate(token, "ann"), Outcome)
                await write(link, outputs, now_s)

            monkeypatch.setattr(Link, "write", meanwhile)
            shown = []
            for _ in range(3):
                await made.daemon.wait_scan()
                shown.append(desk.select(replace(ask, setpoint_c=70.0), "bob"))
            assert [isinstance(one, Selection) for one in shown] == [False, True, True]
            assert shown[0].sentence.startswith("A command of ann to setpoint of main waits")
            assert {one.preview.present for one in shown[1:]} == {given}

        live(test)


class TestNothingIsWritten:
    def untouched(self, made: Rig) -> None:
        registers = made.plc.registers
        assert made.shell.scans > 20
        assert registers["HB_SCADA"] == 0.0
        assert registers["FALLBACK"] == 1.0
        assert made.shell.links["plc"].status.writes == 0

    def test_read_only(self, live):
        async def test(made: Rig) -> None:
            await asyncio.sleep(150.0)
            self.untouched(made)
            assert made.holds is Authority.WATCH

        live(test, is_read_only=True)

    def test_to_a_simulated_plc_by_a_site_that_is_real(self, live):
        async def test(made: Rig) -> None:
            await asyncio.sleep(150.0)
            assert made.plc.registers["PLC_ID"] == 65001.0
            self.untouched(made)
            assert made.holds is Authority.WATCH

        live(test, site_of(simulation=False))

    def test_to_another_plc_than_the_stations_own(self, live):
        device = example().devices["plc"]
        device = replace(device, identity=replace(device.identity, equals=1234))

        async def test(made: Rig) -> None:
            made.plc.registers["PLC_ID"] = 65001.0
            await asyncio.sleep(150.0)
            self.untouched(made)
            assert made.holds is Authority.LOST

        live(test, site_of(replace(example(), devices={"plc": device})))

    def test_while_the_link_is_cut_and_control_is_won_back(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            made.loop.net.cut("127.0.0.1", PORT)
            await asyncio.sleep(120.0)
            assert made.holds is Authority.LOST
            assert made.plc.registers["FALLBACK"] == 1.0
            lost = [d for at, _, d in made.decisions if at > made.loop.time() - 60.0]
            assert not any(d.outputs.values or d.outputs.pulses for d in lost)
            made.loop.net.heal("127.0.0.1", PORT)
            assert await made.until(lambda: made.holds is Authority.HEATD) < 100.0

        live(test)


class TestABug:
    def test_is_one_alarm_that_clears_when_scans_complete_again(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            made.shell.submit(POISON)
            await made.until(lambda: made.shell.is_faulty)
            assert made.shell.snapshot.authority == "fault"
            await made.until(lambda: not made.shell.is_faulty)
            await asyncio.sleep(10.0)
            assert made.alarms("CONTROLLER_FAULT") == [("raised", "st-01"), ("cleared", "st-01")]
            assert made.shell.snapshot.authority != "fault"

        live(test)

    def test_writes_nothing_not_even_the_heartbeat(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            made.shell.submit(POISON)
            await made.until(lambda: made.shell.is_faulty)
            writes, beat = made.shell.links["plc"].status.writes, made.plc.registers["HB_SCADA"]
            while made.shell.is_faulty:
                assert made.shell.links["plc"].status.writes == writes
                assert made.plc.registers["HB_SCADA"] == beat
                await asyncio.sleep(0.1)

        live(test)

    def test_makes_the_station_start_anew_after_ever_longer_pauses(self, tmp_path):
        faults_s: list[float] = []

        async def play(seen: list[tuple[float, str]]) -> None:
            async with rig(tmp_path, site_of()) as made:
                await made.taken_over()
                for count in range(1, 8):
                    made.shell.submit(POISON)
                    await made.until(lambda n=count: faults(seen) == n)
                faults_s.extend(at for at, event in seen if event == "controller_fault")
                assert len(made.alarms("CONTROLLER_FAULT")) == 1
                await made.until(lambda: not made.shell.is_faulty)
                # Once scans complete again, the next bug is a first one.
                made.shell.submit(POISON)
                await made.until(lambda: faults(seen) == 8)
                began_s = made.loop.time()
                await made.until(lambda: not made.shell.is_faulty)
                assert made.loop.time() - began_s < 1.0 + 2 * 5.0

        def faults(seen: list[tuple[float, str]]) -> int:
            return sum(event == "controller_fault" for _, event in seen)

        with quiet() as seen, asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
            runner.run(play(seen))
        pauses_s = [b - a for a, b in itertools.pairwise(faults_s)]
        # Each restart waits for its place in the period, so up to 5 s more.
        for pause_s, least_s in zip(pauses_s, (1.0, 2.0, 5.0, 10.0, 30.0, 30.0), strict=True):
            assert least_s <= pause_s <= least_s + 5.1

    def test_does_not_make_the_valve_jump(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            await asyncio.sleep(300.0)
            before_pct = made.plc.plant.valve.motor_pct
            made.shell.submit(POISON)
            await made.until(lambda: made.shell.is_faulty)
            await made.taken_over()
            await asyncio.sleep(10.0)
            assert abs(made.plc.plant.valve.motor_pct - before_pct) < 3.0

        live(test)

    def test_of_one_station_leaves_the_others_alone(self, live):
        async def test(made: Rig) -> None:
            await made.until(
                lambda: all(
                    shell.state.authority.holds is Authority.HEATD
                    for shell in made.daemon.stations.values()
                )
            )
            made.shell.submit(POISON)
            await made.until(lambda: made.shell.is_faulty)
            other = made.daemon.stations["st-03"]
            scans = other.scans
            await asyncio.sleep(20.0)
            assert other.scans == scans + 4
            assert other.state.authority.holds is Authority.HEATD

        live(test, site_of(example(), third_station()))


class TestCommands:
    def test_are_carried_out_by_the_next_scan(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            told = {"station": "st-01", "who": "ann", "why": "test", "loop": "T2g"}
            made.shell.submit(SetMode(**told, mode=LoopMode.MAN))
            made.shell.submit(SetOutput(**told, value=33.0))
            await made.daemon.wait_scan()
            assert made.shell.state.operator.manual["T2g"].value == 33.0
            await asyncio.sleep(60.0)
            assert made.plc.registers["CV1_SV"] == 33.0

        live(test)

    def test_are_bounded_and_the_queue_empties_with_the_scan(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            command = SetMode(station="st-01", who="ann", why="x", loop="T2g", mode=LoopMode.AUTO)
            for _ in range(COMMANDS_MAX):
                made.shell.submit(command)
            with pytest.raises(OverflowError, match=f"{COMMANDS_MAX} commands are waiting"):
                made.shell.submit(command)
            await made.daemon.wait_scan()
            made.shell.submit(command)

        live(test)


class TestTime:
    def test_a_scan_that_takes_too_long_skips_grid_points_and_counts_them(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            assert isinstance(made.loop, StallingLoop)
            scans = made.shell.scans
            due_s = made.decisions[-1][0] % 5.0
            await asyncio.sleep(5.0 - (made.loop.time() - due_s) % 5.0 - 0.001)
            made.loop.stalled_s += 12.0  # in the middle of nothing: the next scan begins late
            await asyncio.sleep(20.0)
            assert made.shell.overruns == 2
            assert made.shell.scans - scans == pytest.approx(5, abs=1)
            late_s = [at % 5.0 for at, _, _ in made.decisions[-3:]]
            assert late_s == pytest.approx([due_s] * 3, abs=0.05)

        live(test, loop=StallingLoop)

    def test_after_a_pause_of_the_machine_control_is_won_anew_and_nothing_jumps(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            await asyncio.sleep(60.0)
            assert isinstance(made.loop, StallingLoop)
            before_pct, scans = made.plc.plant.valve.motor_pct, made.shell.scans
            made.loop.stalled_s += 40.0
            await made.until(lambda: made.shell.scans > scans)
            assert made.holds is not Authority.HEATD
            (lost,) = modes(made.decisions[-1][2])
            assert (lost.old, lost.new) == ("heatd", made.holds.value)
            await made.taken_over()
            await asyncio.sleep(10.0)
            assert abs(made.plc.plant.valve.motor_pct - before_pct) < 3.0

        live(test, loop=StallingLoop)

    @pytest.mark.parametrize("begins_after", range(1, 6))
    def test_whatever_pause_leaves_a_record_of_every_change_of_hands(self, live, begins_after):
        async def test(made: Rig) -> None:
            assert isinstance(made.loop, StallingLoop)
            # Also while control is taken over, and twice in a row.
            await made.until(lambda: made.shell.scans == begins_after)
            for _ in range(2):
                made.loop.stalled_s += 20.0
                await asyncio.sleep(6.0)
            await made.taken_over()
            made.loop.stalled_s += 20.0
            await made.taken_over()
            ledger = ModeLedger()
            assert [ledger.check(decision) for _, _, decision in made.decisions] == [""] * len(
                made.decisions
            )

        live(test, loop=StallingLoop)


class TestARestart:
    def test_takes_up_what_the_checkpoint_kept(self, tmp_path):
        async def play() -> None:
            plcs = None
            async with rig(tmp_path, site_of()) as made:
                await made.taken_over()
                told = {"station": "st-01", "who": "ann", "why": "test", "loop": "T2g"}
                made.shell.submit(SetOutput(**told, value=33.0))
                await asyncio.sleep(90.0)
                plcs, state = made.plcs, made.shell.state
            async with rig(tmp_path, site_of(), plcs=plcs) as made:
                manual = made.shell.state.operator.manual["T2g"]
                assert (manual.value, manual.who) == (33.0, "ann")
                assert made.shell.state.outdoor == state.outdoor
                # The PLC still stands at our outputs: two good scans are enough.
                assert await made.until(lambda: made.holds is Authority.HEATD) < 25.0
                assert made.plc.registers["CV1_SV"] == 33.0

        with quiet(), asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
            runner.run(play())

    def test_what_a_person_set_is_kept_by_the_scan_that_took_it(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            told = {"station": "st-01", "who": "ann", "why": "test", "loop": "T2g"}
            made.shell.submit(SetOutput(**told, value=33.0))
            await made.daemon.wait_scan()
            await made.daemon.journal.commit()
            kept = made.daemon.reader.latest_checkpoint("st-01")
            assert kept.state["manual"]["T2g"]["value"] == 33.0

        live(test)

    def test_an_alarm_that_comes_or_goes_is_kept_by_the_scan_that_saw_it(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            for happens in (made.loop.net.cut, made.loop.net.heal):
                happens("127.0.0.1", PORT)
                told = len(made.alarms("comms_lost"))
                while len(made.alarms("comms_lost")) == told:
                    await made.daemon.wait_scan()
                    await made.daemon.journal.commit()
                kept = made.daemon.reader.latest_checkpoint("st-01")
                assert (made.daemon.clock.now().utc - kept.at).total_seconds() < 1.0
                stands = made.shell.state.alarms.to_dict()["comms_lost"]
                assert kept.state["alarms"]["comms_lost"]["phase"] == stands["phase"]

        live(test)

    def test_a_checkpoint_is_kept_every_minute_and_at_the_end(self, tmp_path):
        async def play() -> None:
            async with rig(tmp_path, site_of()) as made:
                await asyncio.sleep(130.0)
                kept = made.daemon.reader.latest_checkpoint("st-01")
                assert kept is not None
                assert (made.daemon.clock.now().utc - kept.at).total_seconds() < 70.0
                ended_at = made.daemon.clock.now().utc
            reader = Reader(tmp_path / JOURNAL)
            assert reader.latest_checkpoint("st-01").at >= ended_at
            reader.close()

        with quiet(), asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
            runner.run(play())


class TestRecords:
    def test_every_scan_and_every_change_of_hands_reaches_the_journal(self, live):
        async def test(made: Rig) -> None:
            await made.taken_over()
            await asyncio.sleep(30.0)
            modes = [r.new for r in made.daemon.reader.modes() if r.subject == "authority"]
            assert modes == ["tracking", "taking over", "heatd"]
            assert made.daemon.reader.setpoints()
            assert not [r for r in made.daemon.reader.alarms() if isinstance(r, AlarmRecord)]

        live(test)


def test_read_only_writes_nothing_on_either_protocol_whatever_is_commanded(live):
    async def test(made: Rig) -> None:
        await asyncio.sleep(60.0)
        for name, shell in made.daemon.stations.items():
            asked = {"station": name, "who": "ann", "why": "a test", "lease_s": 600.0}
            shell.submit(SetMode(**asked, loop="T2g", mode=LoopMode.MAN))
            shell.submit(SetOutput(**asked, loop="T2g", value=80.0))
            shell.submit(StartSource(**asked, source="gas1"))
        await asyncio.sleep(300.0)
        assert all(shell.scans > 60 for shell in made.daemon.stations.values())
        assert {name: plc.writes for name, plc in made.plcs.items()} == {"st-01": 0, "st-02": 0}

    live(test, site_of(example("st-01"), example("st-02")), is_read_only=True)


def test_the_writes_of_a_register_are_counted_over_a_restart(live, tmp_path):
    async def test(made: Rig) -> None:
        await made.taken_over()
        await asyncio.sleep(70.0)
        link = made.shell.links["plc"]
        totals.append(link.status.wear[Tag("T2g_SP")].total)

    totals: list[int] = []
    live(test)
    live(test)
    assert totals[0] > 0
    assert totals[1] > totals[0]


def test_a_sensor_that_freezes_or_jumps_is_told_from_the_register_to_the_status(live):
    """Through the map's `frozen: 1 h` and `rate: 5 K/min`, on the wire and in virtual time."""

    async def test(made: Rig) -> None:
        await made.taken_over()
        instruments = made.plc.plant.instruments
        instruments.fail("T1h", SensorFault.STUCK)
        await asyncio.sleep(3500.0)
        assert made.shell.image[Tag("T1h")].quality is Quality.GOOD
        await asyncio.sleep(300.0)
        instruments.fail("T_out", SensorFault.OFFSET, 40.0)
        await asyncio.sleep(6.0)
        [frozen, jumped] = sorted(station_of(made.shell.snapshot).doubts, key=lambda p: p.tag)
        assert (frozen.tag, frozen.quality) == ("T1h", "stale")
        assert frozen.reason in {"frozen 62 min", "frozen 63 min"}
        assert (jumped.tag, jumped.quality) == ("T_out", "bad")
        assert re.fullmatch(r"rate \d+ K/min", jumped.reason)
        assert made.shell.decision.outdoor.source == "last_good"
        for tag in ("T1h", "T_out"):
            instruments.fail(tag, SensorFault.NONE)
        await asyncio.sleep(120.0)
        assert station_of(made.shell.snapshot).doubts == ()
        assert made.holds is Authority.HEATD
        await made.daemon.journal.commit()
        assert made.alarms("sensor_frozen") == [("raised", "st-01"), ("cleared", "st-01")]

    live(test)
