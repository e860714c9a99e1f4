"""One station beside a PLC that misbehaves: what it believes, writes and reports meanwhile.

Rule: it judges by what an outsider sees: the image, the alarm records, the PLC and the wire.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from config.devices import AnyModbusDevice, Device, ModbusDevice, ModbusRtuTcpDevice
from config.model import Station
from controller.decide import Decision
from controller.station import StationShell
from core.image import ProcessImage
from core.point import Quality, Tag
from core.record import AlarmEvent, AlarmRecord
from drivers.settings import ModbusRtuTcp, Register
from hil_sim.fault_rows import LOOP_RAW, FaultRow
from hil_sim.hostile import HostileServer
from hil_sim.hostile_bank import Bank
from hil_sim.hostile_frames import Framing
from hil_sim.invariants import Invariants, Scene
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc
from hil_sim.serve import make_station

_PLC_SCAN_S = 1.0
# Its last heartbeat may have come just before the fault, and it looks once a second.
_PLC_SLACK_S = 3.0
# A value counts as GOOD for three periods; a scan and a PLC cycle come on top.
_REMEMBERED = 16
_REMEMBERED_S = 5.0
_GOOD = int(Quality.GOOD)
_PERIODS_TO_STALE = 3.0
_GAP_PERIODS_MAX = 2.0
_FINDINGS_MAX = 5
_F32 = struct.Struct("f")


@dataclass(slots=True)
class FaultHouse:
    """A station of the daemon under test, its simulated PLC, and its hostile server.

    What a crowded or stopped machine took, as `withheld_s` adds it up, is not counted against it.
    """

    row: FaultRow
    station: Station
    plc: SimPlc
    server: HostileServer
    withheld_s: Callable[[], float]
    findings: list[str] = field(default_factory=list)
    alarms: list[tuple[str, AlarmEvent]] = field(default_factory=list)
    began_s: float | None = None
    ended_s: float | None = None
    true_s: float | None = None
    is_ours: bool = False
    _invariants: Invariants = field(default_factory=Invariants)
    _recent: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _scanned: asyncio.Event = field(default_factory=asyncio.Event)
    _last_s: float | None = None
    _withheld_s: float = 0.0
    _ended_withheld_s: float = 0.0
    _slack: dict[Tag, float] = field(default_factory=dict)
    _first_duplicate: int = 0

    def __post_init__(self) -> None:
        # What rounding to whole raw numbers takes away.
        self._slack = {
            row.point.tag: 0.5 * abs(row.scale)
            for row in self._device.registers
            if isinstance(row, Register)
            and row.kind not in {"f32", "f64", "bool"}
            and row.scale != 1.0
        }

    @property
    def duplicate_writes(self) -> int:
        """Writes of this trial that nobody had a reason to send."""
        return len(self.server.ledger.duplicates) - self._first_duplicate

    @property
    def raised(self) -> int:
        """Alarms raised in this trial."""
        return sum(event is AlarmEvent.RAISED for _, event in self.alarms)

    @property
    def recovery_s(self) -> float | None:
        """Time from the end of the cause until all data were true, s; None if they are not."""
        if self.true_s is None or self.ended_s is None:
            return None
        return self.true_s - self.ended_s

    @property
    def is_quiet(self) -> bool:
        """True once data are true and as many alarms are cleared as were raised."""
        return self.true_s is not None and 2 * self.raised == len(self.alarms)

    async def live(self) -> None:
        """Scan the PLC once a second, for ever, but while its program stands still."""
        loop = asyncio.get_running_loop()
        done_s = loop.time()
        while True:
            self._recent.append(dict(self.plc.registers))
            await asyncio.sleep(_PLC_SCAN_S)
            owed_s, done_s = loop.time() - done_s, loop.time()
            if not self.server.is_frozen:
                self.plc.scan(owed_s)

    async def until(self, claim: str, seconds: float) -> bool:
        """Return whether the attribute `claim` became true within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not getattr(self, claim):
                    self._scanned.clear()
                    await self._scanned.wait()
        except TimeoutError:
            return False
        return True

    async def begin(self) -> None:
        """Put the fault on and judge from now on."""
        self.findings.clear()
        self.alarms.clear()
        self._invariants.broken.clear()
        self.server.ledger.writes.clear()
        self._first_duplicate = len(self.server.ledger.duplicates)
        self.true_s = self.ended_s = None
        self.began_s = asyncio.get_running_loop().time()
        row = self.row
        await self.server.put(row.fault, amount=row.amount, tag=row.tag)

    async def end(self) -> None:
        """Take the cause away."""
        await self.server.mend()
        self.ended_s = asyncio.get_running_loop().time()
        self._ended_withheld_s = self.withheld_s()

    def close_trial(self) -> None:
        """Add what only the whole trial can tell, and rest until the next one."""
        self._find_alarms()
        self._find_late_writes()
        self.findings += self._invariants.broken[:_FINDINGS_MAX]
        if self.duplicate_writes:
            self._find(f"written twice: {self.server.ledger.duplicates[-1]}")
        recovery_s = self.recovery_s
        if recovery_s is None:
            self._find("data did not become true again")
        elif recovery_s > self.row.recover_s:
            self._find(f"data true after {recovery_s:.1f} s, not {self.row.recover_s:g} s")
        self.began_s = None

    def on_scan(self, shell: StationShell, decision: Decision) -> None:
        """Take one completed scan."""
        image = shell.image
        assert image is not None
        now_s = asyncio.get_running_loop().time()
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        self.is_ours = decision.state.authority.is_ours
        self._recent.append(dict(self.plc.registers))
        withheld_s = self.withheld_s()
        if self.began_s is not None:
            self._judge(shell, decision, image, gap_s - (withheld_s - self._withheld_s))
        self._withheld_s = withheld_s
        self._invariants.check(self._scene(shell, decision, image, gap_s))
        self._scanned.set()

    def _judge(
        self, shell: StationShell, decision: Decision, image: ProcessImage, gap_s: float
    ) -> None:
        for record in decision.records:
            if isinstance(record, AlarmRecord) and record.event in {
                AlarmEvent.RAISED,
                AlarmEvent.CLEARED,
            }:
                self.alarms.append((record.alarm, record.event))
        if gap_s > _GAP_PERIODS_MAX * shell.period_s:
            self._find(f"{gap_s:.2f} s between two scans")
        self._find_lies(image)
        taken_s = image.taken_at.monotonic_s
        assert self.began_s is not None
        if self.ended_s is None:
            if (
                self.row.blinds
                and taken_s > self.began_s + (_PERIODS_TO_STALE + 1) * shell.period_s
            ):
                self._find_fresh(image)
                self._find_unattended(taken_s - self.began_s)
        elif self.true_s is None and taken_s > self.ended_s:
            status = [link.status for link in shell.links.values()]
            is_asked_since = max(image.ages_s) < float("inf") and min(image.ages_s) < (
                taken_s - self.ended_s
            )
            is_well = all(one.is_up and not one.unverified for one in status)
            if is_well and is_asked_since and all(q == _GOOD for q in image.qualities):
                self.true_s = taken_s - (self.withheld_s() - self._ended_withheld_s)

    def _find_lies(self, image: ProcessImage) -> None:
        """Find a value that is called GOOD and that the PLC did not hold."""
        for tag, value, quality, age_s in zip(
            image.table.tags, image.values, image.qualities, image.ages_s, strict=True
        ):
            if quality != _GOOD or age_s > _REMEMBERED_S:
                continue
            held = [registers.get(str(tag)) for registers in self._recent]
            slack = self._slack.get(tag, 0.0)
            if not any(_is_same(value, one, slack) for one in held):
                self._find(f"{tag} is called GOOD at {value:g}, the PLC holds {held[-1]}")

    def _find_fresh(self, image: ProcessImage) -> None:
        fresh = [
            str(tag)
            for tag, quality, age_s in zip(
                image.table.tags, image.qualities, image.ages_s, strict=True
            )
            if quality == _GOOD and age_s < 1.0
        ]
        if fresh:
            self._find(f"{fresh[0]} and {len(fresh) - 1} others are called GOOD under the fault")

    def _find_unattended(self, blind_s: float) -> None:
        """Find a PLC that still waits for us when its time is up: it must follow its own curve."""
        patience_s = self.station.authority.heartbeat.plc_timeout_s + _PLC_SLACK_S
        if blind_s > patience_s and not self.plc.registers["FALLBACK"]:
            self._find(f"the PLC waits for heatd after {blind_s:.0f} s")

    def _find_alarms(self) -> None:
        events = (AlarmEvent.RAISED, AlarmEvent.CLEARED)
        wanted = {(name, event) for name in self.row.alarms for event in events}
        if len(self.alarms) != len(wanted) or set(self.alarms) != wanted:
            told = ", ".join(f"{alarm} {event.value}" for alarm, event in self.alarms)
            names = " and ".join(self.row.alarms) or "none"
            self._find(f"alarms: {told or 'none'}; wanted: {names} raised and cleared once")

    def _find_late_writes(self) -> None:
        if not self.row.blinds or self.began_s is None or self.ended_s is None:
            return
        blind_s = self.began_s + _PERIODS_TO_STALE * self._device.scan_s
        late = [w for w in self.server.ledger.writes if blind_s < w.at_s < self.ended_s]
        if late:
            self._find(f"{len(late)} writes while nothing could be read")

    @property
    def _device(self) -> Device:
        return next(iter(self.station.devices.values()))

    def _find(self, what: str) -> None:
        if len(self.findings) < _FINDINGS_MAX:
            self.findings.append(what)

    def _scene(
        self, shell: StationShell, decision: Decision, image: ProcessImage, gap_s: float
    ) -> Scene:
        return Scene(
            at_s=asyncio.get_running_loop().time(),
            dt_s=gap_s or shell.period_s,
            period_s=shell.period_s,
            plan=shell.plan,
            image=image,
            decision=decision,
            registers=dict(self.plc.registers),
            valve_pct=self.plc.plant.truth().valve_pct,
            is_linked=self.began_s is None,
        )


def _is_same(value: float, held: float | None, slack: float) -> bool:
    """Return whether a value is what the PLC holds, up to `slack` and a 32-bit float."""
    if held is None:
        return False
    return value == held or abs(value - held) <= slack + 2.0**-22 * abs(held)


async def make_house(
    row: FaultRow,
    example: Station,
    *,
    scan_s: float,
    seed: int,
    withheld_s: Callable[[], float],
) -> FaultHouse:
    """Return a house whose server listens, on a station like the example.

    Args:
        row: What will happen to it.
        example: A station with one Modbus device.
        scan_s: Its scan period, s.
        seed: Of all chance in plant and PLC.
        withheld_s: For how long the machine has kept this process from running so far, s.
    """
    name = f"{row.row:02}-{row.name}"
    device = next(iter(example.devices.values()))
    if not isinstance(device, ModbusDevice):
        raise TypeError("the catalogue is about Modbus")
    station = replace(_quick(example, row.alarms), station=name)
    made = make_station(station, weather=SteadyWeather(-10.0), seed=seed, start_hour=12.0)
    settings = device.settings
    if row.has_loop:
        device = replace(device, registers=tuple(map(_with_loop, device.registers)))
    bank = Bank(made.plc, device.registers, word_order=settings.word_order)
    server = HostileServer({settings.unit: bank}, framing=Framing(row.wire))
    await server.start()
    polled = _polled(replace(device, scan_s=scan_s), server)
    station = replace(station, devices=dict.fromkeys(station.devices, polled))
    return FaultHouse(row, station, made.plc, server, withheld_s)


def _polled(device: ModbusDevice, server: HostileServer) -> AnyModbusDevice:
    """Return the device as heatd finds it at the server, on the line that it serves."""
    settings = device.settings
    if server.framing is Framing.TCP:
        return replace(device, settings=replace(settings, host=server.host, port=server.port))
    return ModbusRtuTcpDevice(
        settings=ModbusRtuTcp(
            host=server.host,
            port=server.port,
            unit=settings.unit,
            word_order=settings.word_order,
            timeout_s=_SERIAL_TIMEOUT_S,
        ),
        map=device.map,
        scan_s=device.scan_s,
        identity=device.identity,
        registers=device.registers,
    )


_LOOP_TAG = "T2g"
# After a time-out a serial line is left alone for as long again, and both must fit into a scan.
_SERIAL_TIMEOUT_S = 0.3
_HAND_BACK_S = 2.0
_ON_DELAY_S = 1.0
_OFF_DELAY_S = 1.0


def _with_loop(row: Register) -> Register:
    """Return T2g as the raw signal of a transmitter of 0 to 100 degC, other points as they are."""
    if row.point.tag != _LOOP_TAG:
        return row
    low, high = LOOP_RAW
    return replace(row, kind="i16", scale=100.0 / (high - low), current_loop=LOOP_RAW)


def _quick(station: Station, awaited: tuple[str, ...]) -> Station:
    """Return a station that takes over soon, and some of whose alarms wait for a second only.

    They are the one about the link, which must not come where it is not asked for, and `awaited`.
    """
    heartbeat = replace(station.authority.heartbeat, plc_timeout_s=20.0)
    authority = replace(station.authority, heartbeat=heartbeat, hand_back_after_s=_HAND_BACK_S)
    alarms = {
        name: replace(one, on_delay_s=_ON_DELAY_S, off_delay_s=_OFF_DELAY_S)
        if name in {"comms_lost", *awaited}
        else one
        for name, one in station.alarms.items()
    }
    outdoor = replace(station.outdoor, order=("T_out", "last_good"))
    return replace(station, authority=authority, alarms=alarms, outdoor=outdoor)
