"""The PLC's interlocks: when pumps, valve, make-up and relief may not do what is asked of them.

Rule: an interlock acts whoever is in command, and lets go only after its cause is surely over.
"""

from hil_sim.plant.station import StationPlant
from hil_sim.plc_parameters import CYCLE_S, SLOW_S, ProgramParameters

_PROOF_S = 5.0
_CONFIRM_S = 5.0
_WATER_C_MAX = 130.0
_RETURN_MPA_MAX = 1.0
_TANK_M_MAX = 2.5


class Interlocks:
    """The states of all interlocks of one station.

    `is_low_pressure`: pumps stay off. `is_tank_low`: make-up stays off. `is_hot`: the valve stays
    shut. `p2h_mpa` is the last return pressure that could be believed.
    """

    __slots__ = (
        "_cool_s",
        "_hot_s",
        "_low_s",
        "_no_pump_s",
        "_parameters",
        "_plant",
        "_proven_s",
        "_pumps",
        "_recovered_s",
        "_tank_low_s",
        "_tank_m",
        "is_hot",
        "is_low_pressure",
        "is_tank_low",
        "p2h_mpa",
    )

    def __init__(self, plant: StationPlant, parameters: ProgramParameters) -> None:
        self._plant = plant
        self._parameters = parameters
        self._pumps = tuple(plant.circuit.circulation.values())
        self.is_hot = self.is_low_pressure = self.is_tank_low = False
        self._cool_s = self._hot_s = self._low_s = self._recovered_s = 0.0
        self._no_pump_s = self._proven_s = self._tank_low_s = 0.0
        self.p2h_mpa = plant.circuit.holding.static_mpa
        self._tank_m = plant.circuit.holding.tank_m

    @property
    def is_flow_proven(self) -> bool:
        """True after a pump has run with flow for some seconds: the valve may open."""
        return self._proven_s >= _PROOF_S

    @property
    def must_shut(self) -> bool:
        """True where the valve has to close: supply too hot, or no pump for long or for good."""
        if self.is_hot:
            return True
        if self._no_pump_s == 0.0:
            return False
        is_hopeless = all(pump.is_tripped for pump in self._pumps)
        return is_hopeless or self._no_pump_s >= self._parameters.no_pump_s

    def start_warm(self) -> None:
        """Take over a station in operation: its flow counts as proven."""
        self._proven_s = _PROOF_S
        self.p2h_mpa = self._plant.circuit.holding.static_mpa

    def step(self) -> None:
        """Prove the flow; once a cycle."""
        first, second = self._pumps
        if first.is_running or second.is_running:
            self._no_pump_s = 0.0
            is_proven = self._plant.circuit.flow_m3h >= self._parameters.proof_m3h
            self._proven_s = self._proven_s + CYCLE_S if is_proven else 0.0
        else:
            self._no_pump_s += CYCLE_S
            self._proven_s = 0.0

    def step_slowly(self, supply_c: float) -> bool:
        """Watch pressure, tank and supply; return True where the pressure has just recovered."""
        self._guard_supply(supply_c)
        self._guard_tank()
        return self._guard_pressure()

    def _guard_pressure(self) -> bool:
        p, holding = self._parameters, self._plant.circuit.holding
        read_mpa = self._plant.instruments.p2h.read()
        if 0.0 <= read_mpa <= _RETURN_MPA_MAX:
            self.p2h_mpa = read_mpa
        mpa = self.p2h_mpa
        if mpa > p.relief_open_mpa:
            holding.is_relief_open = True
        elif mpa < p.relief_close_mpa:
            holding.is_relief_open = False
        self._low_s = self._low_s + SLOW_S if mpa < p.stop_mpa else 0.0
        self._recovered_s = self._recovered_s + SLOW_S if mpa > p.restart_mpa else 0.0
        if self._low_s >= _CONFIRM_S:
            self.is_low_pressure = True
            for pump in self._pumps:
                pump.run = False
            return False
        has_recovered = self.is_low_pressure and self._recovered_s >= p.restart_s
        self.is_low_pressure = self.is_low_pressure and not has_recovered
        return has_recovered

    def _guard_supply(self, supply_c: float) -> None:
        p = self._parameters
        # An open sensor reads far beyond any water; it is no reason to close.
        is_hot = p.supply_high_c <= supply_c <= _WATER_C_MAX
        self._hot_s = self._hot_s + SLOW_S if is_hot else 0.0
        self._cool_s = self._cool_s + SLOW_S if supply_c < p.supply_reset_c else 0.0
        if self._hot_s >= p.supply_high_s:
            self.is_hot = True
        elif self._cool_s >= p.restart_s:
            self.is_hot = False

    def _guard_tank(self) -> None:
        p, read_m = self._parameters, self._plant.instruments.lt301.read()
        if 0.0 <= read_m <= _TANK_M_MAX:
            self._tank_m = read_m
        self._tank_low_s = self._tank_low_s + SLOW_S if self._tank_m < p.tank_low_m else 0.0
        if self._tank_low_s >= _CONFIRM_S:
            self.is_tank_low = True
            for pump in self._plant.circuit.makeup.values():
                pump.run = False
        elif self._tank_m > p.tank_reset_m:
            self.is_tank_low = False
