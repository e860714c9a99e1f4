"""What must hold after every simulated scan, whatever the scenario.

Rule: a law sees what an outsider could see (the image, what was decided, the PLC, the plant) and
answers with one sentence where it is broken; it changes nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.arbiter import Holder
from controller.authority import Authority
from controller.decide import BEAT_S, Decision
from controller.plan import CircuitPlan, StationPlan
from core.image import ProcessImage
from core.point import Quality, Tag
from hil_sim.ledgers import AlarmLedger, ModeLedger, SetpointLedger, scan_record_found

BROKEN_MAX = 20
_BAD = int(Quality.BAD)
_EDGE = 1e-6
_HEARTBEATS = 65536
_SERVICE_TAGS = ("FB_x", "FB_y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scan as an outsider saw it.

    `registers` are the PLC's after the scan's writes, a copy; `valve_pct` is the true position;
    `is_linked` tells whether the network let heatd and the PLC talk; `base_lost_s` for how long
    the network's heat has been gone, 0 while it is there.
    """

    at_s: float
    dt_s: float
    period_s: float
    plan: StationPlan
    image: ProcessImage
    decision: Decision
    registers: Mapping[str, float]
    valve_pct: float
    is_linked: bool
    base_lost_s: float = 0.0

    @property
    def authority(self) -> Authority:
        """Who moves the outputs."""
        return self.decision.state.authority.holds

    @property
    def is_ours(self) -> bool:
        """True where heatd's loops move the plant."""
        return self.authority is Authority.HEATD

    @property
    def is_plc_on_own_curve(self) -> bool:
        """True while the PLC follows its own curve."""
        return self.registers["FALLBACK"] != 0.0

    def written(self, tag: Tag) -> float | None:
        """Return what this scan wrote to an output, None where it wrote nothing."""
        return self.decision.outputs.values.get(tag)

    def holder(self, tag: Tag) -> Holder:
        """Return who holds an output."""
        claim = self.decision.held.get(tag)
        return Holder.HOLD if claim is None else claim.holder


Law = Callable[[Scene, Scene | None], str]
"""Takes a scan and the one before it; returns what is wrong, or nothing."""


class Invariants:
    """Holds each scan against all laws and keeps what they found, the first `BROKEN_MAX` of it."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.scans = 0
        self._last: Scene | None = None
        link = _LinkLaws()
        self.laws: tuple[Law, ...] = (
            bad_values_are_no_numbers,
            silence_ages,
            ages_are_true,
            _OutputRanges().outputs_stay_in_range,
            _ValveRate().valve_keeps_its_rate,
            nothing_is_written_blindly,
            nobody_writes_without_authority,
            heartbeat_counts_scans,
            contacts_close_one_at_a_time,
            every_output_has_one_holder,
            control_changes_hands_without_a_step,
            frost_needs_a_running_pump,
            _Backup().backup_starts_in_time,
            _Records().records_are_facts,
            link.data_return_with_the_link,
            link.what_is_written_stands_in_the_plc,
        )

    def check(self, scene: Scene) -> None:
        """Hold one scan against every law."""
        self.scans += 1
        for law in self.laws:
            found = law(scene, self._last)
            if found and len(self.broken) < BROKEN_MAX:
                self.broken.append(f"{scene.at_s:.0f} s: {name_of(law)}: {found}")
        self._last = scene


def name_of(law: Law) -> str:
    """Return a law's name as results show it, e.g. "silence ages"."""
    return str(getattr(law, "__name__", "law")).replace("_", " ")


def bad_values_are_no_numbers(scene: Scene, _last: Scene | None) -> str:
    """A value is NaN exactly where its quality is BAD."""
    image = scene.image
    if _BAD not in image.qualities and not math.isnan(math.fsum(image.values)):
        return ""
    for tag, value, quality in zip(image.table.tags, image.values, image.qualities, strict=True):
        if math.isnan(value) is not (quality == _BAD):
            return f"{tag} is {value} with quality {Quality(quality).name}"
    return ""


def silence_ages(scene: Scene, _last: Scene | None) -> str:
    """A fast point is not GOOD after three silent periods, and BAD after twelve, at least 60 s."""
    image, stale_s = scene.image, 3.0 * scene.period_s + _EDGE
    for circuit in scene.plan.circuits:
        for tag in (circuit.t2g, circuit.p2h, circuit.position):
            column = image.table.index[tag]
            age_s, quality = image.ages_s[column], image.qualities[column]
            if age_s <= stale_s or quality == _BAD:
                continue
            if quality > Quality.STALE or age_s > max(60.0, 12.0 * scene.period_s) + _EDGE:
                return f"{tag} is {Quality(quality).name} at an age of {age_s:.1f} s"
    return ""


def ages_are_true(scene: Scene, _last: Scene | None) -> str:
    """No value is older than it says: the PLC's counter, one a second, tells how old it is."""
    tag = scene.plan.heartbeat_read
    sample = scene.image[tag]
    if sample.quality is Quality.BAD:
        return ""
    true_s = (scene.registers[tag] - sample.value) % _HEARTBEATS
    said_s = sample.age_s + scene.at_s - scene.image.taken_at.monotonic_s
    # The counter steps once a second, and a reply may be under way for a while.
    if true_s <= said_s + 2.0:
        return ""
    return f"{tag} is {true_s:.0f} s old and says {said_s:.1f} s"


class _OutputRanges:
    def __init__(self) -> None:
        self._plan: StationPlan | None = None
        self._ranges: dict[Tag, tuple[float, float]] = {}
        self._pulses: frozenset[Tag] = frozenset()

    def outputs_stay_in_range(self, scene: Scene, _last: Scene | None) -> str:
        """Only writable points are written, with finite values in range; only coils are pulsed."""
        if scene.plan is not self._plan:
            self._learn(scene.plan)
        for tag, value in scene.decision.outputs.values.items():
            if tag not in self._ranges:
                return f"{tag} is not writable"
            low, high = self._ranges[tag]
            if not low - _EDGE <= value <= high + _EDGE:
                return f"{tag} = {value} outside {low:g}..{high:g}"
        if not scene.decision.outputs.pulses <= self._pulses:
            return f"{sorted(scene.decision.outputs.pulses - self._pulses)} are no pulses"
        return ""

    def _learn(self, plan: StationPlan) -> None:
        self._plan, points = plan, plan.config.points
        self._pulses = frozenset(tag for tag, point in points.items() if point.is_pulse)
        self._ranges = {
            tag: (point.low, point.high)
            for tag, point in points.items()
            if point.is_writable and not point.is_pulse
        }


class _ValveRate:
    def __init__(self) -> None:
        self._standing: dict[Tag, float] = {}

    def valve_keeps_its_rate(self, scene: Scene, _last: Scene | None) -> str:
        """The valve's setpoint moves no faster than its loop may, but for trips and frost."""
        found = ""
        for circuit in scene.plan.circuits:
            now = scene.written(circuit.valve)
            if not scene.is_ours:
                self._standing.pop(circuit.valve, None)
            before = self._standing.get(circuit.valve)
            if now is None:
                continue
            self._standing[circuit.valve] = now
            is_bound = scene.holder(circuit.valve) >= Holder.OPERATOR
            most = circuit.gains.rate_per_s * scene.dt_s + 0.05
            if before is not None and is_bound and abs(now - before) > most:
                why = scene.decision.held[circuit.valve].why
                found = found or f"moved by {now - before:+.2f} % in {scene.dt_s:.0f} s ({why})"
        return found


def nothing_is_written_blindly(scene: Scene, last: Scene | None) -> str:
    """No loop moves its output while the value that it rests on is BAD or STALE."""
    if not scene.is_ours or last is None or not last.is_ours:
        return ""
    for circuit in scene.plan.circuits:
        for measured, output in _loops(circuit):
            if not math.isnan(scene.image.value(measured)):
                continue
            now, before = scene.written(output), last.written(output)
            if now is not None and now != before and scene.holder(output) is Holder.LOOP:
                quality = scene.image[measured].quality.name
                return f"{output} moves to {now:g} while {measured} is {quality}"
    return ""


def _loops(circuit: CircuitPlan) -> tuple[tuple[Tag, Tag], ...]:
    return (
        (circuit.t2g, circuit.valve),
        (circuit.p2d, circuit.pump_speed),
        (circuit.p2h, circuit.makeup_speed),
    )


def nobody_writes_without_authority(scene: Scene, _last: Scene | None) -> str:
    """Without authority nothing leaves the daemon, the heartbeat included."""
    if scene.is_ours or scene.authority is Authority.TAKING_OVER:
        return ""
    outputs = scene.decision.outputs
    if outputs.values or outputs.pulses or outputs.timed:
        tags = sorted((*outputs.values, *outputs.pulses, *outputs.timed))
        return f"{tags} written while authority is {scene.authority.value}"
    return ""


def heartbeat_counts_scans(scene: Scene, last: Scene | None) -> str:
    """Our counter advances with completed scans, within 2 s, and goes out where we may write."""
    tag, (beat, age_s) = scene.plan.heartbeat_write, scene.decision.state.heartbeat
    if age_s >= BEAT_S:
        return f"{tag} has not counted for {age_s:.1f} s"
    before = beat if last is None else last.decision.state.heartbeat.number
    if last is not None and beat != (before + (age_s == 0.0)) % _HEARTBEATS:
        return f"{tag} went from {before} to {beat}"
    may_write = scene.decision.state.authority.may_write
    if may_write and scene.written(tag) != beat:
        return f"{tag} = {scene.written(tag)}, but {beat} scans are done"
    return ""


def every_output_has_one_holder(scene: Scene, _last: Scene | None) -> str:
    """What is written is what its one holder wants, with a reason; nothing goes out unheld."""
    outputs, held = scene.decision.outputs.values, scene.decision.held
    pulsed = {circuit.valve for circuit in scene.plan.circuits if not circuit.has_valve_register}
    for tag, claim in held.items():
        value = outputs.get(tag)
        if value != claim.value and tag not in pulsed:
            return f"{tag} = {value}, but {claim.holder.name} wants {claim.value}"
        if not claim.why:
            return f"{tag} is held by {claim.holder.name} without a reason"
    if len(outputs) == sum(claim.value is not None for claim in held.values()):
        return ""
    told = {scene.plan.heartbeat_write, *(circuit.setpoint for circuit in scene.plan.circuits)}
    loose = [
        tag
        for tag in outputs
        if tag not in held
        and tag not in told
        and not tag.rpartition(".")[2].startswith(_SERVICE_TAGS)
    ]
    return f"{loose} are written and nobody holds them" if loose else ""


def contacts_close_one_at_a_time(scene: Scene, _last: Scene | None) -> str:
    """Of a motor's two contacts one is closed at most, and opens before the next scan."""
    timed = scene.decision.outputs.timed
    for circuit in scene.plan.circuits:
        motor = circuit.motor
        closed = [] if motor is None else [t for t in (motor.raise_, motor.lower) if t in timed]
        if len(closed) > 1 or any(not 0.0 < timed[tag] < scene.dt_s for tag in closed):
            return f"{ {tag: timed[tag] for tag in closed} } s in a scan of {scene.dt_s:.1f} s"
    return ""


def control_changes_hands_without_a_step(scene: Scene, last: Scene | None) -> str:
    """Whoever takes over valve and pumps begins where they are."""
    if last is None:
        return ""
    is_stopped = scene.registers["ESTOP"] != 0.0
    has_changed = scene.is_plc_on_own_curve is not last.is_plc_on_own_curve
    # Whoever moves a valve by contacts moves it from where it stands.
    if has_changed and not is_stopped and scene.plan.circuits[0].motor is None:
        off_pct = abs(scene.registers["CV1_SV"] - scene.valve_pct)
        if off_pct > _STEP_PCT:
            return f"the valve's setpoint is {off_pct:.1f} % away from the valve"
    if not scene.is_ours or last.is_ours:
        return ""
    for circuit in scene.plan.circuits:
        hz = scene.written(circuit.pump_speed)
        running_hz = max((scene.registers[pump.hz] for pump in circuit.pumps), default=0.0)
        is_stepping = hz is not None and abs(hz - running_hz) > _STEP_HZ
        if is_stepping and running_hz >= circuit.config.pumps.min_hz:
            return f"the pumps run at {running_hz:.1f} Hz and are set to {hz:.1f} Hz"
    return ""


# Position noise, backlash and one scan's travel: more than this would be felt.
_STEP_PCT = 6.0
# The loop's own first move on the noise of the differential pressure.
_STEP_HZ = 2.0


def frost_needs_a_running_pump(scene: Scene, _last: Scene | None) -> str:
    """Frost opens a valve only where a pump is known to run."""
    for circuit in scene.plan.circuits:
        if scene.holder(circuit.valve) is not Holder.FROST:
            continue
        if not any(scene.image.flag(pump.run) for pump in circuit.pumps):
            return f"{circuit.valve} is opened by frost, and no pump runs"
    return ""


DECISION_S = 120.0
HEAT_S = 900.0


class _Backup:
    def __init__(self) -> None:
        self._enabled_s = 0.0

    def backup_starts_in_time(self, scene: Scene, _last: Scene | None) -> str:
        """While heatd controls, a lost base is decided about in 2 min and replaced in 15 min.

        A boiler that may not run (gas, lockout, rest) has its 13 minutes from when it may.
        """
        authority, source = scene.decision.state.authority, scene.decision.source
        if not scene.base_lost_s or not scene.is_ours or scene.plan.boiler is None:
            self._enabled_s = 0.0
            return ""
        self._enabled_s = self._enabled_s + scene.dt_s if source.boiler_enable else 0.0
        lost_s = min(scene.base_lost_s, authority.held_s)
        is_decided = source.name not in {"NORMAL", "SUSPECT"} or source.is_waiting
        if lost_s > DECISION_S and not is_decided:
            return f"the base is lost for {lost_s:.0f} s and the source is {source.name.lower()}"
        is_late = self._enabled_s > HEAT_S - DECISION_S
        if is_late and not source.is_heat_flowing and not source.is_failed:
            return f"the boiler is enabled for {self._enabled_s:.0f} s and no heat flows"
        return ""


class _Records:
    def __init__(self) -> None:
        self._ledgers = (AlarmLedger(), SetpointLedger(), ModeLedger())

    def records_are_facts(self, scene: Scene, _last: Scene | None) -> str:
        """Records tell every alarm, setpoint and mode, and nothing that is not so."""
        found = scan_record_found(scene.image, scene.decision)
        for ledger in self._ledgers:
            found = found or ledger.check(scene.decision)
        return found


class _LinkLaws:
    """What must be true again soon after the network lets values through."""

    def __init__(self) -> None:
        self._linked_scans = 0

    def data_return_with_the_link(self, scene: Scene, _last: Scene | None) -> str:
        """Data are true within two polls after the network lets them through again."""
        self._linked_scans = self._linked_scans + 1 if scene.is_linked else 0
        if not self._is_settled:
            return ""
        sample = scene.image[scene.plan.heartbeat_read]
        is_good = sample.quality is Quality.GOOD
        return "" if is_good else f"{scene.plan.heartbeat_read} is {sample.quality.name}"

    def what_is_written_stands_in_the_plc(self, scene: Scene, _last: Scene | None) -> str:
        """Nobody else writes heatd's outputs: after the scan the PLC holds what was decided."""
        if not self._is_settled:
            return ""
        for tag, value in scene.decision.outputs.values.items():
            # The PLC keeps 32-bit floats.
            if abs(scene.registers[tag] - value) > 1e-3:  # noqa: PLR2004 - said in the line above
                return f"{tag} is {scene.registers[tag]:g} in the PLC, decided was {value:g}"
        return ""

    @property
    def _is_settled(self) -> bool:
        # One scan more than two: the first after the cut's end may have begun before it.
        return self._linked_scans > _POLLS_TO_TRUTH + 1


_POLLS_TO_TRUTH = 2
