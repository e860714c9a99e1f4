"""A simulated PLC with its station: registers, one scan, writes from the bus, faults.

Rule: `scan` moves the plant too, second by second; whoever drives the PLC calls nothing else.
"""

import math
import random
from collections.abc import Sequence

from hil_sim.plant.boiler import BurnerState
from hil_sim.plant.exchanger import CP_WATER_KJ_PER_KG_K
from hil_sim.plant.flats import percentile
from hil_sim.plant.station import StationPlant, water_kg_per_m3
from hil_sim.plc_faults import Cause, inject
from hil_sim.plc_parameters import CURVE_POINTS, CYCLE_S, ProgramParameters
from hil_sim.plc_points import CONTACT_TIMES, CONTACTS, PULSES, WRITABLE
from hil_sim.plc_program import Program

_ROOMS_EVERY_S = 60.0
_WORD = 65_536
# An ultrasonic meter shows nothing below its cut-off.
_FLOW_CUT_M3H = 1.0
_NOT_RUNNING = (BurnerState.OFF, BurnerState.LOCKOUT)


class SimPlc:
    """A PLC with a station behind it, in the state of a cold start.

    Args:
        plant: The station; the PLC is the only one to move it.
        rng: Source of the waiting times after a power failure.
        curve: The own curve, 1 to 8 points (outdoor °C, supply °C).
        plc_timeout_s: Without a new HB_SCADA for so long the own curve takes over.
        plc_id: What PLC_ID reads.
        program: Setpoints and limits of the PLC's program.

    Raises:
        ValueError: The curve has no point, or more than 8.
    """

    def __init__(
        self,
        plant: StationPlant,
        *,
        rng: random.Random,
        curve: Sequence[tuple[float, float]],
        plc_timeout_s: float = 60.0,
        plc_id: int = 1,
        program: ProgramParameters | None = None,
    ) -> None:
        if not 1 <= len(curve) <= CURVE_POINTS:
            raise ValueError(f"the PLC's curve has 1 to {CURVE_POINTS} points, not {len(curve)}")
        self.plant = plant
        self.program = Program(
            plant, program or ProgramParameters(), rng=rng, plc_timeout_s=plc_timeout_s
        )
        self.contacts: dict[str, bool] = dict.fromkeys(CONTACTS, False)
        circuit = plant.circuit
        self._drives = tuple(
            (pump, f"{tag}_Hz", f"{tag}_run", f"{tag}_fault")
            for tag, pump in (*circuit.circulation.items(), *circuit.makeup.items())
        )
        self.registers: dict[str, float] = dict.fromkeys(sorted(PULSES), 0.0)
        self.registers.update(dict.fromkeys(WRITABLE, 0.0))
        if program is not None and program.has_contacts:
            self.registers.update(dict.fromkeys(CONTACT_TIMES, 0.0))
        self.registers["PLC_ID"] = float(plc_id)
        self.registers["HB_PLC"] = 0.0
        self.generation = 0
        self.writes = 0
        self._owed_s = 0.0
        self._rooms_due_s = 0.0
        self._put_curve(curve)
        self._publish()

    def scan(self, dt_s: float) -> None:
        """Let `dt_s` pass: whole seconds are cycled, the rest is carried; then publish once."""
        self._owed_s += dt_s
        cycles = 0
        slow_before = self.program.slow_tasks
        while self._owed_s >= CYCLE_S - 1e-9:
            self._owed_s -= CYCLE_S
            self.plant.step(CYCLE_S)
            self.program.cycle(self.registers)
            cycles += 1
        self.registers["HB_PLC"] = (self.registers["HB_PLC"] + cycles) % _WORD
        if self.program.slow_tasks != slow_before:
            self._publish()
        else:
            self._publish_fast()

    def write(self, tag: str, value: float) -> bool:
        """Take a value from the bus; return False where the point may not be written so.

        Registers keep what is written in every mode; it is carried out in remote only. A pulse that
        is not 0 starts or stops its pump. `writes` counts what came, taken or not.
        """
        self.writes += 1
        if tag in CONTACT_TIMES:
            self.program.close_contact(CONTACT_TIMES[tag], value)
            return True
        if tag in PULSES:
            if value != 0.0:
                self.program.pulse(tag)
            return True
        limits = WRITABLE.get(tag)
        if limits is None or not limits[0] <= value <= limits[1]:
            return False
        self.registers[tag] = value
        if tag.startswith("FB_"):
            self.program.set_curve(self.registers)
        self.generation += 1
        return True

    def warm_start(self, outdoor_c: float | None = None, room_c: float = 21.0) -> None:
        """Put plant and PLC into steady operation on the own curve, XP1 running.

        Args:
            outdoor_c: Outdoor air, °C; the weather's present value if None.
            room_c: Mean room, °C.
        """
        outdoor_c = (
            self.plant.weather.at(self.plant.elapsed_s).outdoor_c
            if outdoor_c is None
            else outdoor_c
        )
        supply_c = self.program.curve_c(outdoor_c)
        self.plant.settle(supply_c=supply_c, outdoor_c=outdoor_c, room_c=room_c)
        self.program.start_warm("XP1")
        registers = self.registers
        registers["CV1_SV"] = self.plant.valve.motor_pct
        registers["XP_SV"] = self.plant.circuit.circulation["XP1"].hz
        registers["T2g_SP"] = supply_c
        self._rooms_due_s = self.plant.elapsed_s
        self._publish()

    def inject(self, fault: str, active: bool = True, **options: float | str) -> None:  # noqa: FBT001, FBT002 - a switch
        """Let something break, or mend it (`active` False). Names and options: `plc_faults`.

        Raises:
            ValueError: No such fault; the text lists those that there are.
        """
        inject(Cause(self, active, options), fault)
        self._publish()

    def _put_curve(self, curve: Sequence[tuple[float, float]]) -> None:
        points = sorted(curve)
        points += [points[-1]] * (CURVE_POINTS - len(points))
        for n, (outdoor_c, supply_c) in enumerate(points, start=1):
            self.registers[f"FB_x{n}"] = outdoor_c
            self.registers[f"FB_y{n}"] = supply_c
        self.program.set_curve(self.registers)

    def _publish(self) -> None:
        self._publish_slow()
        self._publish_boiler()
        if self.plant.elapsed_s >= self._rooms_due_s:
            self._publish_rooms()
        self._publish_fast()

    def _publish_fast(self) -> None:
        self._publish_drives()
        self._publish_words()
        r, i = self.registers, self.plant.instruments
        r["T1g"], r["T1h"] = i.t1g.read(), i.t1h.read()
        r["T2g"], r["T2h"] = i.t2g.read(), i.t2h.read()
        p2g = i.p2g.read()
        r["P2g"] = p2g
        r["P2D"] = _without_noise(1000.0 * (p2g - r["P2h"]), high=400.0, noise=5.0)
        f2 = i.f2.read()
        r["F2"] = f2 if f2 > _FLOW_CUT_M3H else 0.0
        self.generation += 1

    def _publish_slow(self) -> None:
        # What the plant itself moves only every few seconds.
        r, i, plant = self.registers, self.plant.instruments, self.plant
        r["P1g"], r["P1h"] = i.p1g.read(), i.p1h.read()
        r["P2h"] = _without_noise(i.p2h.read(), high=1.0, noise=0.01)
        r["LT301"] = _without_noise(i.lt301.read(), high=2.5, noise=0.05)
        r["F3"] = i.f3.read()
        r["T_out"] = i.t_out.read()
        f1 = i.f1.read()
        r["F1"] = f1 = f1 if f1 > _FLOW_CUT_M3H else 0.0
        # The heat meter has a pair of thermometers of its own.
        warmer, colder = i.t1g.value, i.t1h.value
        flow_kg_s = f1 * water_kg_per_m3(warmer) / 3600.0
        r["Q1"] = max(0.0, flow_kg_s * CP_WATER_KJ_PER_KG_K * (warmer - colder))
        r["Q1_tot"] = math.floor(max(plant.heat_network_kj, 0.0) / 1000.0) / 1000.0
        r["F3_tot"] = math.floor(plant.circuit.holding.makeup_m3 * 1000.0) / 1000.0

    def _publish_drives(self) -> None:
        r, contacts = self.registers, self.contacts
        r["CV1_U"] = _without_noise(self.plant.instruments.cv1_u.read(), high=100.0, noise=0.5)
        for pump, hz, run, fault in self._drives:
            r[hz] = pump.hz
            r[run] = 1.0 if pump.is_running else 0.0
            r[fault] = 1.0 if pump.is_tripped or contacts[fault] else 0.0
        first, second = self.plant.circuit.circulation.values()
        r["XP1_A"], r["XP2_A"] = first.current_a, second.current_a

    def _publish_boiler(self) -> None:
        r, boiler, i = self.registers, self.plant.boiler, self.plant.instruments
        r["B_Tsup"], r["B_Tret"] = i.b_tsup.read(), i.b_tret.read()
        r["B_flow"] = boiler.open_share * self.plant.circuit.flow_m3h
        r["B_gasP"] = boiler.gas_kpa
        r["B_power"] = max(0.0, boiler.heat_kw)
        r["B_run"] = float(boiler.state not in _NOT_RUNNING)
        r["B_firing"] = float(boiler.fire > 0.0)
        r["B_lock"] = r["B_fault"] = float(boiler.state is BurnerState.LOCKOUT)
        r["B_remote"] = 1.0
        r["B_flow_ok"] = float(boiler.has_flow)
        r["B_P_ok"] = float(boiler.has_pressure)
        r["B_gasP_ok"] = float(boiler.has_gas)

    def _publish_words(self) -> None:
        r, program, plant = self.registers, self.program, self.plant
        r["XSV_ON"] = float(plant.circuit.holding.is_relief_open)
        r["ESTOP"] = float(program.is_estop)
        r["LOC_REM"] = float(not program.is_local)
        r["FALLBACK"] = float(program.is_fallback or program.is_local)
        r["PWR_OK"] = float(plant.is_powered)
        r["SRC_trip"] = float(plant.primary.is_tripped)
        for tag in ("CV1_fault", "GAS", "DOOR", "SMOKE", "FLOOD"):
            r[tag] = float(self.contacts[tag])

    def _publish_rooms(self) -> None:
        r, rooms = self.registers, self.plant.circuit.flats.reported_c
        r["T_room_avg"] = sum(rooms) / len(rooms)
        r["T_room_min"] = min(rooms)
        r["T_room_p10"] = percentile(rooms, 0.1)
        r["T_room_n"] = float(len(rooms))
        self._rooms_due_s = self.plant.elapsed_s + _ROOMS_EVERY_S


def _without_noise(read: float, *, high: float, noise: float) -> float:
    # Noise at an end of the range is not a broken sensor: only what is far outside is left so.
    if -noise < read < 0.0:
        return 0.0
    return high if high < read < high + noise else read
