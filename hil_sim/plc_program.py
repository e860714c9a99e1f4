"""The program in the station's PLC: its own curve and loops, its watchdog, its interlocks.

Rule: interlocks act in every mode; the own loops act only while nobody remote is in command.
"""

import random
from collections.abc import Mapping

from hil_sim.plant.hydraulics import FULL_HZ
from hil_sim.plant.lines import interpolate
from hil_sim.plant.station import StationPlant
from hil_sim.plc_interlocks import Interlocks
from hil_sim.plc_loop import PiLoop
from hil_sim.plc_parameters import CURVE_POINTS, CYCLE_S, SLOW_EVERY, SLOW_S, ProgramParameters


class Program:
    """One PLC's program around one plant.

    A fast task moves valve and pumps every second; a slow task of 5 s, the pace at which pressures
    and levels move, holds pressure and watches limits. `is_fallback`: the own curve rules.
    `is_local` and `is_estop` are switches at the panel.
    """

    def __init__(
        self,
        plant: StationPlant,
        parameters: ProgramParameters,
        *,
        rng: random.Random,
        plc_timeout_s: float,
    ) -> None:
        p = parameters
        self._plant = plant
        self._parameters = p
        self._rng = rng
        self._timeout_s = plc_timeout_s
        self._interlocks = Interlocks(plant, p)
        self._pumps = tuple(plant.circuit.circulation.values())
        self.is_fallback = True
        self.is_local = self.is_estop = False
        self._cycles = self.slow_tasks = 0
        self._beat, self._beat_age_s, self._beats = 0.0, 0.0, 0
        self._untracked_s = 0.0
        self._supply = _loop(0.7, 35.0, (0.0, 100.0), deadband=0.5, cycle_s=CYCLE_S)
        self._dp = _loop(0.03, 10.0, (p.min_hz, FULL_HZ), deadband=0.2, cycle_s=SLOW_S)
        self._dp.track(p.min_hz, 0.0)
        self._makeup = _loop(50.0, 20.0, (p.min_hz, FULL_HZ), deadband=0.1, cycle_s=SLOW_S)
        self._curve: list[tuple[float, float]] = []
        self._outdoor_c = plant.sky.outdoor_c
        self._setpoint_c = self._supply_c = 0.0
        self._duty = "XP1"
        self._was_powered = True
        self._restart_wait_s = 0.0
        self._is_soft_start = False
        self._tripped_s = 0.0

    @property
    def is_remote(self) -> bool:
        """True while what heatd writes is carried out."""
        return not (self.is_fallback or self.is_local or self.is_estop)

    def start_warm(self, duty: str) -> None:
        """Take over a plant in operation: everything proven, own curve, no bump."""
        self._duty = duty
        self.is_fallback = True
        self._interlocks.start_warm()
        self._supply_c = self._plant.instruments.t2g.read()
        self._read_slowly()
        self._enter_fallback()

    def cycle(self, registers: Mapping[str, float]) -> None:
        """Run one cycle of one second, after the plant has moved."""
        self._cycles += 1
        self._supply_c = self._plant.instruments.t2g.read()
        self._watch_power()
        self._watch_heartbeat(registers)
        is_remote = self.is_remote
        if self._cycles % SLOW_EVERY == 0:
            self._slow_task(registers, is_remote=is_remote)
        self._interlocks.step()
        self._drive_pumps(registers, is_remote=is_remote)
        self._drive_valve(registers, is_remote=is_remote)
        boiler = self._plant.boiler
        if is_remote:
            boiler.is_enabled = registers["B_enable"] != 0.0
            boiler.setpoint_c = registers["B_Tset"]
        elif self.is_estop:
            boiler.is_enabled = False

    def _slow_task(self, registers: Mapping[str, float], *, is_remote: bool) -> None:
        self.slow_tasks += 1
        self._read_slowly()
        if self._interlocks.step_slowly(self._supply_c):
            self._start_circulation(self._duty)
        if is_remote:
            for pump in self._plant.circuit.makeup.values():
                pump.wanted_hz = registers["BP_SV"]
        elif not self._interlocks.is_tank_low:
            self._hold_pressure()
        if not is_remote:
            self._hold_difference()

    def close_contact(self, way: float, seconds: float) -> None:
        """Let the timer of one of the valve's contacts run; the other one is opened first."""
        if self.is_remote and self._parameters.has_contacts:
            self._plant.valve.contact_s = way * max(seconds, 0.0)

    def pulse(self, tag: str) -> None:
        """Carry out a start or stop pulse (XP1_start, BP2_stop, ...) if it may be."""
        if not self.is_remote:
            return
        name, _, command = tag.partition("_")
        circuit = self._plant.circuit
        pump = circuit.circulation.get(name) or circuit.makeup[name]
        if command == "stop":
            pump.run = False
        elif name in circuit.circulation:
            self._start_circulation(name)
        elif not self._interlocks.is_tank_low and not pump.is_tripped:
            pump.start()

    def _read_slowly(self) -> None:
        i = self._plant.instruments
        outdoor_c = i.t_out.read()
        if -50.0 <= outdoor_c <= 50.0:  # noqa: PLR2004 - a sensor out of its range is not believed
            self._outdoor_c = outdoor_c
        self._setpoint_c = self.curve_c(self._outdoor_c)

    def _watch_heartbeat(self, registers: Mapping[str, float]) -> None:
        beat = registers["HB_SCADA"]
        if beat != self._beat:
            # A gap longer than the timeout starts the count anew.
            self._beats = self._beats + 1 if self._beat_age_s < self._timeout_s else 1
            self._beat, self._beat_age_s = beat, 0.0
        else:
            self._beat_age_s += CYCLE_S
        if not self.is_fallback:
            if self._beat_age_s >= self._timeout_s:
                self._enter_fallback()
            return
        if self._beats >= self._parameters.beats_to_remote and self._beat_age_s < self._timeout_s:
            self._offer_remote(registers["CV1_SV"])

    def _offer_remote(self, wanted_pct: float) -> None:
        p = self._parameters
        if self.is_local or self.is_estop or self._restart_wait_s > 0.0:
            return
        # A controller that does not track the valve waits; afterwards its value is reached at the
        # actuator's own rate.
        self._untracked_s += CYCLE_S
        # Whoever moves a valve by contacts moves it from where it stands.
        gap = 0.0 if p.has_contacts else abs(wanted_pct - self._plant.valve.motor_pct)
        if gap <= p.tracking_pct or self._untracked_s >= p.tracking_wait_s:
            self.is_fallback = False
            # The make-up pump that the own loop started is not left to run without its loop.
            for pump in self._plant.circuit.makeup.values():
                pump.run = False

    def _enter_fallback(self) -> None:
        self.is_fallback = True
        self._beats = 0
        self._untracked_s = 0.0
        circuit = self._plant.circuit
        self._supply.track(self._plant.valve.motor_pct, self._setpoint_c - self._supply_c)
        hz = max(pump.wanted_hz for pump in circuit.circulation.values())
        self._dp.track(max(hz, self._parameters.min_hz), 0.0)
        makeup_hz = max(pump.wanted_hz for pump in circuit.makeup.values())
        self._makeup.track(max(makeup_hz, self._parameters.min_hz), 0.0)

    def _watch_power(self) -> None:
        is_on = self._plant.is_powered
        if is_on and not self._was_powered:
            self._restart_softly()
        if not is_on or self.is_estop:
            self._stop_everything()
        self._was_powered = is_on
        if self._restart_wait_s > 0.0:
            self._restart_wait_s -= CYCLE_S

    def set_local(self, *, is_local: bool) -> None:
        """Turn the panel's switch: in local the own curve takes over without a bump."""
        if is_local and not self.is_local:
            self._enter_fallback()
        self.is_local = is_local

    def release_estop(self) -> None:
        """Let the emergency stop go: the station restarts as after a power failure."""
        if self.is_estop:
            self.is_estop = False
            self._restart_softly()

    def _restart_softly(self) -> None:
        p = self._parameters
        self._restart_wait_s = self._rng.uniform(p.power_wait_low_s, p.power_wait_high_s)
        self._is_soft_start = True
        self._enter_fallback()

    def _stop_everything(self) -> None:
        circuit = self._plant.circuit
        for pump in (*circuit.circulation.values(), *circuit.makeup.values()):
            pump.run = False

    def _drive_pumps(self, registers: Mapping[str, float], *, is_remote: bool) -> None:
        first, second = self._pumps
        if (first.run and first.is_tripped) or (second.run and second.is_tripped):
            self._replace_tripped()
        else:
            self._tripped_s = 0.0
        if is_remote:
            hz = min(max(registers["XP_SV"], self._parameters.min_hz), FULL_HZ)
        else:
            hz = self._dp.output
            if not (first.run or second.run):
                self._start_circulation(self._duty)
        first.wanted_hz = second.wanted_hz = hz

    def _replace_tripped(self) -> None:
        self._tripped_s += CYCLE_S
        if self._tripped_s < self._parameters.standby_s:
            return
        for pump in self._pumps:
            pump.run = pump.run and not pump.is_tripped
        if not any(pump.run for pump in self._pumps):
            # The speed command is common to both, so the standby runs up to the last speed.
            self._start_circulation(self._duty)

    def _start_circulation(self, tag: str) -> None:
        pumps = self._plant.circuit.circulation
        if self._may_not_pump():
            return
        if pumps[tag].is_tripped:
            tag = next((other for other, pump in pumps.items() if not pump.is_tripped), tag)
        if pumps[tag].is_tripped:
            return
        self._duty = tag
        ramp_s = (
            self._parameters.power_ramp_s
            if self._is_soft_start
            else self._plant.parameters.pump.ramp_s
        )
        pumps[tag].ramp_hz_s = FULL_HZ / ramp_s
        pumps[tag].start()

    def _may_not_pump(self) -> bool:
        return (
            self._interlocks.is_low_pressure
            or self.is_estop
            or not self._plant.is_powered
            or self._restart_wait_s > 0.0
        )

    def _drive_valve(self, registers: Mapping[str, float], *, is_remote: bool) -> None:
        valve, error = self._plant.valve, self._setpoint_c - self._supply_c
        if not is_remote:
            valve.contact_s = 0.0
        if self._interlocks.must_shut or self.is_estop:
            valve.command_pct, valve.contact_s = 0.0, 0.0
            self._supply.track(valve.motor_pct, error)
            return
        if is_remote and self._parameters.has_contacts:
            if not self._interlocks.is_flow_proven:
                valve.contact_s = min(valve.contact_s, 0.0)
            self._supply.follow(valve.motor_pct)
            return
        if is_remote:
            wanted = registers["CV1_SV"]
        elif -_HIGHEST_C <= error <= _HIGHEST_C:
            wanted = self._supply.step(error)
        else:
            wanted = self._supply.output
        if self._interlocks.is_flow_proven and not self._is_soft_start:
            valve.command_pct = wanted
            return
        valve.command_pct = self._restrained(wanted, error)
        self._supply.follow(valve.command_pct)

    def _restrained(self, wanted: float, error: float) -> float:
        p, valve = self._parameters, self._plant.valve
        is_proven = self._interlocks.is_flow_proven
        if self._is_soft_start:
            # Cold pipes take hot water slowly, until the supply is near its setpoint.
            rise = p.power_rise_pct_per_min / 60.0 * CYCLE_S
            wanted = min(wanted, valve.command_pct + rise)
            self._is_soft_start = not (is_proven and error < _SOFT_END_K)
        if not is_proven:
            wanted = min(wanted, max(p.unproven_pct, valve.motor_pct))
        return wanted

    def _hold_pressure(self) -> None:
        p, pumps = self._parameters, self._plant.circuit.makeup
        p2h_mpa = self._interlocks.p2h_mpa
        running = next((pump for pump in pumps.values() if pump.is_running), None)
        error = p.makeup_mpa - p2h_mpa
        if running is None:
            spare = next((pump for pump in pumps.values() if not pump.is_tripped), None)
            may_start = self._plant.is_powered and not self.is_estop
            if spare is not None and may_start and p2h_mpa < p.makeup_start_mpa:
                spare.start()
                self._makeup.track(_MAKEUP_START_HZ, error)
                spare.wanted_hz = _MAKEUP_START_HZ
        elif error <= 0.0:
            running.run = False
        else:
            running.wanted_hz = self._makeup.step(error)

    def _hold_difference(self) -> None:
        # While a pump runs up its speed says nothing about the loop.
        is_up_to_speed = max(pump.hz for pump in self._pumps) >= self._dp.output - 1.0
        dp_kpa = 1000.0 * (self._plant.instruments.p2g.read() - self._interlocks.p2h_mpa)
        is_believable = 0.0 <= dp_kpa <= _DP_KPA_MAX
        if self._interlocks.is_flow_proven and is_up_to_speed and is_believable:
            self._dp.step(self._parameters.dp_kpa - dp_kpa)

    def curve_c(self, outdoor_c: float) -> float:
        """Return the own curve's supply temperature, °C."""
        return interpolate(self._curve, outdoor_c)

    def set_curve(self, registers: Mapping[str, float]) -> None:
        """Take the own curve from its registers FB_x1..8 and FB_y1..8."""
        points = [
            (registers[f"FB_x{n}"], registers[f"FB_y{n}"]) for n in range(1, CURVE_POINTS + 1)
        ]
        self._curve = sorted(points)


def _loop(
    gain: float, reset_s: float, limits: tuple[float, float], *, deadband: float, cycle_s: float
) -> PiLoop:
    return PiLoop(
        gain=gain,
        reset_s=reset_s,
        limits=limits,
        rate_per_s=1.0,
        deadband=deadband,
        cycle_s=cycle_s,
    )


_DP_KPA_MAX = 400.0
_HIGHEST_C = 130.0
_SOFT_END_K = 3.0
_MAKEUP_START_HZ = 42.0
