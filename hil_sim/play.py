"""Plays a scenario: plant, PLC, network and the whole daemon in virtual time, judged scan by scan.

Rule: the daemon and its drivers are the real ones; only the sockets, the clock and the plant are
simulated, and the same seed gives the same digest.
"""

import asyncio
import hashlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from pathlib import Path

from config.devices import ModbusDevice
from config.load import load
from config.model import Site, Station
from control_loops.heating_curve import as_points, supply_c
from control_loops.shaping import damp
from controller.daemon import JOURNAL, Daemon, Options
from controller.decide import Decision
from controller.station import StationShell
from core.clock import LoopClock
from core.record import AlarmEvent, AlarmRecord
from hil_sim.collectors import report_for_ever, with_collector
from hil_sim.invariants import Invariants, Scene
from hil_sim.modbus_plc import ModbusPlc, serve_modbus
from hil_sim.on_demand import OnDemandPlc
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import ScriptedWeather
from hil_sim.plc import SimPlc
from hil_sim.plc_parameters import ProgramParameters
from hil_sim.quiet import quiet_logs
from hil_sim.scenario import LINK_CUT, Fault, Scenario
from hil_sim.score import Observation, Score
from hil_sim.virtual_loop import VirtualLoop
from history.reader import Reader

EXAMPLES = Path(__file__).parent.parent / "config" / "examples"
CHINA_H = 8
_HOUR_S = 3600.0
_KJ_PER_MWH = 3.6e6
# Heat flows: a tenth of the boiler's capacity for a minute.
_FLOWING_SHARE = 0.1
_FLOWING_S = 60.0
# After a repair the PLC hands control back within a minute; a quarter of an hour is generous.
_TAKE_BACK_S = 900.0
_HELD_SHARE = 0.95
_PROGRESS_S = 1800.0
# A commit costs the same in virtual time; what a crash would lose is tested on real disks.
_SAMPLE_FLUSH_S = 300.0

Progress = Callable[[float], None]
"""Told the share of the scenario that has been played, 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a scenario came to: the result object that programs read."""

    scenario: str
    seed: int
    virtual_s: float
    wall_s: float
    digest: str
    verdict: str
    figures: dict[str, float | int | None]
    broken_invariants: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One scan as a person would plot it."""

    at_s: float
    outdoor_c: float
    setpoint_c: float
    wanted_c: float
    supply_c: float
    measured_c: float
    quality: int
    valve_pct: float
    command_pct: float
    room_p10_c: float
    source: str
    authority: str
    alarms: tuple[str, ...]
    registers: dict[str, float]


@dataclass(slots=True)
class Play:
    """One run of a scenario, alive inside a virtual loop."""

    scenario: Scenario
    seed: int
    station: Station
    rows: list[Row] | None = None
    score: Score = field(default_factory=Score)
    invariants: Invariants = field(default_factory=Invariants)
    writes: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _plc: SimPlc = field(init=False)
    _bus: OnDemandPlc = field(init=False)
    _last_s: float = field(default=0.0, init=False)
    _damped_c: float = field(default=nan, init=False)
    _loop: str = field(default="", init=False)
    _boiler_mwh: float = field(default=0.0, init=False)
    _flowing_s: float = field(default=0.0, init=False)
    _calm: int = field(default=0, init=False)
    _held: int = field(default=0, init=False)
    _lost_at_s: float | None = field(default=None, init=False)
    _linked: bool = field(default=True, init=False)
    _is_lost: bool = field(default=False, init=False)

    async def run(self, site: Site, state_dir: Path, progress: Progress | None) -> None:
        """Play the scenario to its end.

        Args:
            site: The site, with the scenario's station alone.
            state_dir: Where the journal lies.
            progress: Told how far it is.
        """
        device = self._device()
        plant = StationPlant(
            StationParameters(), random.Random(f"{self.seed} plant"), weather=self._weather()
        )
        circuit = next(iter(self.station.circuits.values()))
        self._plc = SimPlc(
            plant,
            rng=random.Random(f"{self.seed} plc"),
            curve=as_points(circuit.curve),
            plc_timeout_s=self.station.authority.heartbeat.plc_timeout_s,
            plc_id=device.identity.equals if device.identity else 0,
            program=ProgramParameters(has_contacts=circuit.valve.three_step is not None),
        )
        self._plc.warm_start()
        self._bus = OnDemandPlc(self._plc, self.writes)
        settings = device.settings
        server = await serve_modbus(
            self._bus,
            device.registers,
            settings.host,
            settings.port,
            unit=settings.unit,
            word_order=settings.word_order,
        )
        start = datetime.combine(self.scenario.start, datetime.min.time(), UTC)
        clock = LoopClock(start - timedelta(hours=CHINA_H))
        options = Options(state_dir=state_dir, is_durable=False, on_scan=self._on_scan)
        daemon = Daemon(site, clock, options)
        await self._through(daemon, server, progress)

    async def _through(self, daemon: Daemon, server: ModbusPlc, progress: Progress | None) -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(daemon.run(stop), name="daemon")
            drill = group.create_task(self._break_things(), name="faults")
            rooms = group.create_task(self._report_rooms(daemon), name="collectors")
            await self._wait(progress)
            drill.cancel()
            rooms.cancel()
            stop.set()
            await running
            await server.stop()

    async def _report_rooms(self, daemon: Daemon) -> None:
        if self.station.flats:
            flats = self._plc.plant.circuit.flats
            await report_for_ever(
                self.station, daemon.boards, lambda: flats.reported_c, daemon.clock
            )

    async def _wait(self, progress: Progress | None) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self.scenario.duration_s:
            await asyncio.sleep(min(_PROGRESS_S, self.scenario.duration_s - loop.time()))
            if progress is not None:
                progress(loop.time() / self.scenario.duration_s)

    async def _break_things(self) -> None:
        steps = sorted(_timeline(self.scenario.faults), key=lambda step: step[0])
        loop = asyncio.get_running_loop()
        for at_s, fault, is_active in steps:
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            self._apply(fault, is_active=is_active)

    def _apply(self, fault: Fault, *, is_active: bool) -> None:
        loop = asyncio.get_running_loop()
        if fault.do == LINK_CUT:
            assert isinstance(loop, VirtualLoop)
            settings = self._device().settings
            (loop.net.cut if is_active else loop.net.heal)(settings.host, settings.port)
            self._linked = not is_active
            return
        self._bus.catch_up()
        self._plc.inject(fault.do, is_active, **fault.options)
        if fault.do in {"primary-lost", "src-trip"}:
            self._is_lost = is_active
            self._lost_at_s = loop.time() if is_active else self._lost_at_s

    def _on_scan(self, shell: StationShell, decision: Decision) -> None:
        now_s = asyncio.get_running_loop().time()
        dt_s, self._last_s = now_s - self._last_s, now_s
        self._bus.catch_up()
        image = shell.image
        assert image is not None
        circuit = decision.circuits[0]
        self._loop = repr((circuit.state.pid, circuit.state.trim))
        truth = self._plc.plant.truth()
        self.invariants.check(self._scene(shell, decision, now_s, dt_s))
        self._note_alarms(decision)
        self._note_failover(truth.heat_boiler_mwh, now_s, dt_s)
        self._note_holding(decision, now_s)
        self.score.observe(
            Observation(
                supply_c=truth.supply_c,
                wanted_c=self._curve_c(truth.outdoor_c, circuit.chain.rooms.shift_k, dt_s),
                setpoint_c=circuit.chain.setpoint_c,
                valve_pct=truth.valve_pct,
                room_p10_c=truth.room_p10_c,
                room_mean_c=truth.room_mean_c,
                heat_mwh=truth.heat_network_mwh + truth.heat_boiler_mwh,
                valve_travel_pct=truth.valve_travel_pct,
                valve_starts=truth.valve_starts,
                primary_return_c=truth.primary_return_c,
                primary_flow_kg_s=truth.primary_kg_s,
                is_scored=now_s >= self.scenario.settle_s,
            ),
            dt_s,
        )
        if self.rows is not None:
            self.rows.append(
                Row(
                    at_s=now_s,
                    outdoor_c=truth.outdoor_c,
                    setpoint_c=circuit.chain.setpoint_c,
                    wanted_c=circuit.chain.wanted_c,
                    supply_c=truth.supply_c,
                    measured_c=circuit.measured_c,
                    quality=int(image[circuit.plan.t2g].quality),
                    valve_pct=truth.valve_pct,
                    command_pct=circuit.state.valve_pct,
                    room_p10_c=truth.room_p10_c,
                    source=decision.source.name,
                    authority=decision.state.authority.holds.value,
                    alarms=decision.active_alarms,
                    registers=dict(self._plc.registers),
                )
            )

    def _base_lost_s(self, now_s: float) -> float:
        if self._lost_at_s is None or not self._is_lost:
            return 0.0
        return now_s - self._lost_at_s

    def _scene(self, shell: StationShell, decision: Decision, now_s: float, dt_s: float) -> Scene:
        image = shell.image
        assert image is not None
        return Scene(
            at_s=now_s,
            dt_s=dt_s,
            period_s=shell.period_s,
            plan=shell.plan,
            image=image,
            decision=decision,
            registers=dict(self._plc.registers),
            valve_pct=self._plc.plant.truth().valve_pct,
            is_linked=self._linked,
            base_lost_s=self._base_lost_s(now_s),
        )

    def _note_alarms(self, decision: Decision) -> None:
        for record in decision.records:
            if isinstance(record, AlarmRecord) and record.event is AlarmEvent.RAISED:
                self.score.alarms_raised += 1

    def _curve_c(self, outdoor_c: float, rooms_k: float, dt_s: float) -> float:
        """Return what curve and rooms ask for by the true air, whatever the daemon thinks of it."""
        if isnan(self._damped_c):
            self._damped_c = outdoor_c
        damping_s = self.station.outdoor.damping_s
        self._damped_c = damp(self._damped_c, outdoor_c, time_constant_s=damping_s, dt_s=dt_s)
        circuit = next(iter(self.station.circuits.values()))
        low_c, high_c = circuit.limits.T2g_c
        return min(max(supply_c(circuit.curve, self._damped_c) + rooms_k, low_c), high_c)

    def _note_failover(self, boiler_mwh: float, now_s: float, dt_s: float) -> None:
        """Time the failover by what reached the PLC and by the heat that truly flowed."""
        power_kw = (boiler_mwh - self._boiler_mwh) * _KJ_PER_MWH / dt_s
        self._boiler_mwh = boiler_mwh
        if self._lost_at_s is None:
            return
        since_s = round(now_s - self._lost_at_s, 1)
        if self.score.failover_decision_s is None and self._plc.registers["B_enable"]:
            self.score.failover_decision_s = since_s
        capacity_kw = self._plc.plant.parameters.boiler.capacity_kw
        is_flowing = power_kw >= _FLOWING_SHARE * capacity_kw
        self._flowing_s = self._flowing_s + dt_s if is_flowing else 0.0
        if self.score.failover_heat_s is None and self._flowing_s >= _FLOWING_S:
            self.score.failover_heat_s = since_s

    def _note_holding(self, decision: Decision, now_s: float) -> None:
        """Count the scans in which nothing was broken, and those in which heatd was in control."""
        is_calm = now_s >= self.scenario.settle_s and not any(
            fault.at_s <= now_s
            and (not fault.for_s or now_s < fault.at_s + fault.for_s + _TAKE_BACK_S)
            for fault in self.scenario.faults
        )
        if is_calm:
            self._calm += 1
            self._held += decision.state.authority.is_ours

    @property
    def shirked(self) -> str:
        """Say so if heatd did not control while nothing kept it from doing so; else empty."""
        share = self._held / self._calm if self._calm else 1.0
        if share >= _HELD_SHARE:
            return ""
        return f"heatd held the outputs in {100.0 * share:.0f} % of the scans without a fault"

    def _device(self) -> ModbusDevice:
        device = next(iter(self.station.devices.values()))
        if not isinstance(device, ModbusDevice):
            raise TypeError("scenarios are played over Modbus TCP")
        return device

    def _weather(self) -> ScriptedWeather:
        return ScriptedWeather(
            [(point.at_s / _HOUR_S, point.outdoor_c) for point in self.scenario.weather]
        )


def play(
    scenario: Scenario,
    *,
    seed: int,
    progress: Progress | None = None,
    rows: list[Row] | None = None,
    change: Callable[[Station], Station] = lambda station: station,
    site_dir: Path = EXAMPLES,
) -> Result:
    """Play a scenario and return its result.

    Args:
        scenario: The drill.
        seed: Of all chance in it.
        progress: Told how far it is.
        rows: Filled with a row for each scan, if given.
        site_dir: Where the scenario's station is configured.
        change: Changes the station's configuration before the play, to try another tuning.
    """
    site = load(site_dir)
    station = change(next(s for s in site.stations if s.station == scenario.station))
    history = replace(site.history, sample_flush_s=_SAMPLE_FLUSH_S)
    site = with_collector(replace(site, stations=(station,), history=history))
    began_s = time.perf_counter()
    made = Play(scenario, seed, station, rows)
    with tempfile.TemporaryDirectory(prefix="heatd-play-") as folder, quiet_logs():
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
            runner.run(made.run(site, Path(folder), progress))
        digest = _digest(Path(folder) / JOURNAL, made)
    figures = made.score.figures()
    broken = [*made.invariants.broken, *filter(None, [made.shirked])]
    missed = scenario.missed(figures)
    return Result(
        scenario=scenario.scenario,
        seed=seed,
        virtual_s=scenario.duration_s,
        wall_s=round(time.perf_counter() - began_s, 2),
        digest=digest,
        verdict="pass" if not broken and not missed else "fail",
        figures=figures,
        broken_invariants=broken,
    )


def _timeline(faults: tuple[Fault, ...]) -> Iterator[tuple[float, Fault, bool]]:
    for fault in faults:
        yield fault.at_s, fault, True
        if fault.for_s:
            yield fault.at_s + fault.for_s, fault, False


def _digest(journal: Path, made: Play) -> str:
    """Return the SHA-256 of history, register writes, and the last state of PLC and loop."""
    reader = Reader(journal)
    rows = reader.digest()
    reader.close()
    final = sorted(made._plc.registers.items())  # noqa: SLF001 - one run, one module
    text = f"{rows} {made.writes.hexdigest()} {final!r} {made._loop}"  # noqa: SLF001 - one run, one module
    return hashlib.sha256(text.encode()).hexdigest()
