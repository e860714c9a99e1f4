"""Gas boiler with its own burner control, in series on the secondary after the exchanger.

Rule: from outside there are two inputs, enable and setpoint; the burner decides everything else.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from core.parameters import parameters
from core.point import Unit
from hil_sim.plant.lines import interpolate

# Efficiency on the higher heating value over inlet temperature at full fire (maker's curve of a
# condensing boiler, Crest FB-2501), and how much better it is at 5 % fire, at 49 °C inlet.
_EFFICIENCY = (
    (21.0, 0.970),
    (32.0, 0.951),
    (43.0, 0.917),
    (49.0, 0.896),
    (54.5, 0.885),
    (60.0, 0.878),
    (71.0, 0.874),
)
_PART_LOAD_GAIN = 0.024
_PART_LOAD = 0.05
_WATER_KJ_PER_M3K = 4114.8
_STEEL_KJ_PER_KG_K = 0.5
_OVERSHOOT_K = 8.0
_RESTART_K = 3.0


class BurnerState(Enum):
    """Where the burner's own sequence stands."""

    OFF = "off"
    CHECK = "check"
    PREPURGE = "prepurge"
    IGNITE = "ignite"
    WARMUP = "warmup"
    MODULATE = "modulate"
    POSTPURGE = "postpurge"
    LOCKOUT = "lockout"


@parameters
class BoilerParameters:
    """One boiler; times and limits of its burner control.

    The default is a 5 MW package boiler. A 70 MW unit ramps at 5 %/min.
    """

    capacity_kw: Annotated[float, Unit.KILOWATT, Gt(0)] = 5000.0
    min_fire_pct: Annotated[float, Unit.PERCENT, Interval(gt=0, le=100)] = 30.0
    ramp_pct_per_min: Annotated[float, Gt(0)] = 10.0
    check_s: Annotated[float, Unit.SECOND, Ge(0)] = 5.0
    prepurge_s: Annotated[float, Unit.SECOND, Ge(0)] = 60.0
    ignite_s: Annotated[float, Unit.SECOND, Gt(0)] = 10.0
    warmup_s: Annotated[float, Unit.SECOND, Ge(0)] = 180.0
    postpurge_s: Annotated[float, Unit.SECOND, Ge(0)] = 25.0
    tries: Annotated[int, Interval(ge=1, le=5)] = 2
    water_m3_per_mw: Annotated[float, Gt(0)] = 1.5
    steel_t_per_mw: Annotated[float, Gt(0)] = 1.5
    keep_warm_c: Annotated[float, Unit.CELSIUS] = 50.0
    keep_warm_kw: Annotated[float, Unit.KILOWATT, Ge(0)] = 150.0
    standby_loss_kw_per_k: Annotated[float, Ge(0)] = 1.7
    high_limit_c: Annotated[float, Unit.CELSIUS] = 95.0
    gain_per_k: Annotated[float, Gt(0)] = 0.05
    reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 180.0
    branch_s: Annotated[float, Unit.SECOND, Gt(0)] = 120.0
    min_flow_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Ge(0)] = 50.0
    min_pressure_mpa: Annotated[float, Unit.MEGAPASCAL, Ge(0)] = 0.25
    gas_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 10.0
    min_gas_kpa: Annotated[float, Unit.KILOPASCAL, Ge(0)] = 5.0


@dataclass(slots=True)
class Surroundings:
    """What the boiler meets: flow and pressure of the circuit, gas, station air, power."""

    flow_m3h: float = 0.0
    pressure_mpa: float = 0.0
    ambient_c: float = 18.0
    is_powered: bool = True


def efficiency(inlet_c: float, load: float = 1.0) -> float:
    """Return the efficiency on the higher heating value for an inlet (°C) and a load (0.05..1).

    Linear between the points of the maker's curve, constant beyond its ends.
    """
    return interpolate(_EFFICIENCY, inlet_c) + _PART_LOAD_GAIN * (1.0 - load) / (1.0 - _PART_LOAD)


class Boiler:
    """The boiler's water, its burner and its branch.

    Inputs: `is_enabled`, `setpoint_c`, `gas_kpa`, and two faults: `ignition_fails`, `trip()`.
    The branch opens fully to the circuit while it can give heat; then all water passes the boiler.
    While neither `is_enabled` nor `is_busy` it may be stepped seldom.
    """

    __slots__ = (
        "_capacity_kj_per_k",
        "_in_state_s",
        "_integral",
        "_parameters",
        "_tries",
        "fire",
        "gas_kpa",
        "gas_kwh",
        "heat_kw",
        "ignition_fails",
        "inlet_c",
        "is_busy",
        "is_enabled",
        "is_kept_warm",
        "open_share",
        "setpoint_c",
        "starts",
        "state",
        "surroundings",
        "water_c",
    )

    def __init__(self, parameters: BoilerParameters) -> None:
        p = parameters
        self._parameters = p
        megawatts = p.capacity_kw / 1000.0
        self._capacity_kj_per_k = megawatts * (
            p.water_m3_per_mw * _WATER_KJ_PER_M3K + p.steel_t_per_mw * 1000.0 * _STEEL_KJ_PER_KG_K
        )
        self.is_enabled = self.ignition_fails = self.is_busy = False
        self.is_kept_warm = True
        self.setpoint_c = 0.0
        self.gas_kpa = p.gas_kpa
        self.surroundings = Surroundings()
        self.state = BurnerState.OFF
        self._in_state_s = self._integral = 0.0
        self._tries = self.starts = 0
        self.fire = self.heat_kw = self.open_share = self.gas_kwh = 0.0
        self.water_c = self.inlet_c = p.keep_warm_c

    @property
    def has_flow(self) -> bool:
        """True where the circuit's flow suffices for the burner."""
        return self.surroundings.flow_m3h >= self._parameters.min_flow_m3h

    @property
    def has_pressure(self) -> bool:
        """True where the circuit's pressure suffices for the burner."""
        return self.surroundings.pressure_mpa >= self._parameters.min_pressure_mpa

    @property
    def has_gas(self) -> bool:
        """True where the gas pressure suffices for the burner."""
        return self.gas_kpa >= self._parameters.min_gas_kpa

    def trip(self) -> None:
        """Lock the burner out, as a lost flame does."""
        self._enter(BurnerState.LOCKOUT)

    def reset(self) -> None:
        """Reset a lockout, as a person does at the boiler."""
        if self.state is BurnerState.LOCKOUT:
            self._tries = 0
            self._enter(BurnerState.OFF)

    def step(self, dt_s: float, *, inlet_c: float, flow_kw_per_k: float) -> float:
        """Advance by `dt_s`; return the temperature behind the boiler's branch, °C."""
        p = self._parameters
        self.inlet_c = inlet_c
        self._in_state_s += dt_s
        if self.is_enabled or self.is_busy:
            self._sequence(dt_s)
        through = self.open_share * flow_kw_per_k
        loss = p.standby_loss_kw_per_k * (self.water_c - self.surroundings.ambient_c)
        heat = self.fire * p.capacity_kw - loss
        if self.is_kept_warm and self.fire == 0.0 and self.water_c < p.keep_warm_c:
            heat += p.keep_warm_kw if self.surroundings.is_powered else 0.0
        # Implicit in the flow, so that a fast flow through little water stays stable.
        stored = self._capacity_kj_per_k / dt_s
        self.water_c = (stored * self.water_c + heat + through * inlet_c) / (stored + through)
        self.heat_kw = through * (self.water_c - inlet_c)
        if self.fire > 0.0:
            burnt_kw = self.fire * p.capacity_kw / efficiency(inlet_c, self.fire)
            self.gas_kwh += burnt_kw * dt_s / 3600.0
        self.is_busy = self.open_share > 0.0 or self.state not in _RESTING
        return inlet_c + self.open_share * (self.water_c - inlet_c)

    def _sequence(self, dt_s: float) -> None:
        if not self.surroundings.is_powered:
            self._power_lost()
        elif self.state in _FIRING:
            self._firing(dt_s)
        else:
            self._starting()
        self._move_branch(dt_s)

    def _power_lost(self) -> None:
        # A flame that dies with the power needs a person; a burner at rest just stays at rest.
        if self.state in _FIRING or self.state is BurnerState.IGNITE:
            self.trip()
        elif self.state is not BurnerState.LOCKOUT:
            self._enter(BurnerState.OFF)

    def _starting(self) -> None:
        p, since = self._parameters, self._in_state_s
        may_burn = self.is_enabled and self.has_flow and self.has_pressure and self.has_gas
        match self.state:
            case BurnerState.OFF if may_burn and self._is_wanting():
                self._enter(BurnerState.CHECK)
            case BurnerState.CHECK | BurnerState.PREPURGE if not may_burn:
                self._enter(BurnerState.OFF)
            case BurnerState.CHECK if since >= p.check_s:
                self._enter(BurnerState.PREPURGE)
            case BurnerState.PREPURGE if since >= p.prepurge_s:
                self._tries += 1
                self._enter(BurnerState.IGNITE)
            case BurnerState.IGNITE if since >= p.ignite_s:
                self._ignited()
            case BurnerState.POSTPURGE if since >= p.postpurge_s:
                self._enter(BurnerState.OFF)
            case _:
                pass

    def _is_wanting(self) -> bool:
        water_c = self.water_c if self.open_share > 0.0 else self.inlet_c
        return water_c < self.setpoint_c - _RESTART_K

    def _ignited(self) -> None:
        if not self.ignition_fails:
            self._tries = 0
            self.starts += 1
            self._integral = 0.0
            self._enter(BurnerState.WARMUP)
            self.fire = self._parameters.min_fire_pct / 100.0
        elif self._tries >= self._parameters.tries:
            self.trip()
        else:
            self._enter(BurnerState.PREPURGE)

    def _firing(self, dt_s: float) -> None:
        p = self._parameters
        if not (self.has_flow and self.has_pressure and self.has_gas) or not self.is_enabled:
            self._enter(BurnerState.POSTPURGE)
            return
        stop_c = max(self.setpoint_c, p.keep_warm_c) + _OVERSHOOT_K
        if self.water_c >= min(p.high_limit_c, stop_c):
            self._enter(BurnerState.POSTPURGE)
            return
        if self.state is BurnerState.WARMUP:
            if self._in_state_s >= p.warmup_s and self.open_share == 1.0:
                self._enter(BurnerState.MODULATE, fire=self.fire)
            return
        self._modulate(dt_s)

    def _modulate(self, dt_s: float) -> None:
        p = self._parameters
        least = p.min_fire_pct / 100.0
        error = self.setpoint_c - self.water_c
        wanted = min(max(p.gain_per_k * error + self._integral, least), 1.0)
        most = p.ramp_pct_per_min / 100.0 * dt_s / 60.0
        self.fire = min(max(wanted, self.fire - most), self.fire + most)
        # External reset: the integral follows what the burner really does.
        reset = 1.0 - math.exp(-dt_s / p.reset_time_s)
        self._integral += reset * (self.fire - self._integral)

    def _move_branch(self, dt_s: float) -> None:
        # Opened once the boiler is not colder than the circuit, it stays open while enabled: a
        # burner that pauses leaves its warm water to the circuit.
        is_useful = self.state in _FIRING and self.water_c >= self.inlet_c - 1.0
        may_stay = self.is_enabled and self.state is not BurnerState.LOCKOUT
        move = dt_s / self._parameters.branch_s
        wanted = 1.0 if may_stay and (is_useful or self.open_share > 0.0) else 0.0
        self.open_share = min(max(wanted, self.open_share - move), self.open_share + move)

    def _enter(self, state: BurnerState, *, fire: float = 0.0) -> None:
        self.state = state
        self._in_state_s = 0.0
        self.fire = fire


_RESTING = (BurnerState.OFF, BurnerState.LOCKOUT)
_FIRING = (BurnerState.WARMUP, BurnerState.MODULATE)
