"""What can break in a station, by the names that drills use.

Rule: a fault changes the plant or the panel, never the PLC's program; the same name mends it again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_sim.plant.sensor import SensorFault
from hil_sim.plant.station import StationPlant

if TYPE_CHECKING:
    from hil_sim.plc import SimPlc


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault put on (`is_active`) or taken away, with what else the drill says about it."""

    plc: "SimPlc"
    is_active: bool
    options: Mapping[str, float | str]

    @property
    def plant(self) -> StationPlant:
        """The plant that suffers it."""
        return self.plc.plant

    @property
    def tag(self) -> str:
        """The tag that the drill names."""
        return str(self.options["tag"])


def inject(cause: Cause, fault: str) -> None:
    """Put `fault` on or take it away.

    Raises:
        ValueError: No such fault, a sensor, pump or contact that does not exist, a missing option.
    """
    put = FAULTS.get(fault)
    if put is None:
        raise ValueError(f"no fault is called {fault}; there are {', '.join(sorted(FAULTS))}")
    try:
        put(cause)
    except KeyError as missing:
        raise ValueError(f"fault {fault}: {missing} is not there") from missing


def _primary_lost(cause: Cause) -> None:
    cause.plant.primary.is_lost = cause.is_active


def _source_trip(cause: Cause) -> None:
    cause.plant.primary.is_tripped = cause.is_active


def _sensor(fault: SensorFault, amount: str) -> Callable[[Cause], None]:
    def put(cause: Cause) -> None:
        if not cause.is_active:
            cause.plant.instruments.fail(cause.tag, SensorFault.NONE)
            return
        by = float(cause.options[amount]) if amount else 0.0
        cause.plant.instruments.fail(cause.tag, fault, by)

    return put


def _sensor_open(cause: Cause) -> None:
    kind = SensorFault.OPEN if cause.is_active else SensorFault.NONE
    cause.plant.instruments.fail(cause.tag, kind, float(cause.options.get("reads", 0.0)))


def _sun(cause: Cause) -> None:
    cause.plant.is_sun_on_sensor = cause.is_active


def _pump_trip(cause: Cause) -> None:
    circuit = cause.plant.circuit
    tag = str(cause.options.get("tag") or "XP1")
    pump = circuit.circulation.get(tag) or circuit.makeup[tag]
    pump.is_tripped = cause.is_active


def _both_pumps_trip(cause: Cause) -> None:
    for pump in cause.plant.circuit.circulation.values():
        pump.is_tripped = cause.is_active


def _boiler_lockout(cause: Cause) -> None:
    if cause.is_active:
        cause.plant.boiler.trip()
    else:
        cause.plant.boiler.reset()


def _ignition_failure(cause: Cause) -> None:
    cause.plant.boiler.ignition_fails = cause.is_active


def _gas_lost(cause: Cause) -> None:
    boiler = cause.plant.boiler
    boiler.gas_kpa = 0.0 if cause.is_active else cause.plant.parameters.boiler.gas_kpa


def _valve_stuck(cause: Cause) -> None:
    cause.plant.valve.is_stuck = cause.is_active


def _leak(cause: Cause) -> None:
    leak_m3h = float(cause.options.get("m3h", 1.0)) if cause.is_active else 0.0
    cause.plant.circuit.holding.leak_m3h_at_04 = leak_m3h


def _power_loss(cause: Cause) -> None:
    cause.plant.set_power(is_on=not cause.is_active)


def _estop(cause: Cause) -> None:
    if cause.is_active:
        cause.plc.program.is_estop = True
    else:
        cause.plc.program.release_estop()


def _local(cause: Cause) -> None:
    cause.plc.program.set_local(is_local=cause.is_active)


def _contact(cause: Cause) -> None:
    if cause.tag not in cause.plc.contacts:
        raise KeyError(cause.tag)
    cause.plc.contacts[cause.tag] = cause.is_active


FAULTS: dict[str, Callable[[Cause], None]] = {
    "primary-lost": _primary_lost,
    "src-trip": _source_trip,
    "sensor-open": _sensor_open,
    "sensor-stuck": _sensor(SensorFault.STUCK, ""),
    "sensor-drift": _sensor(SensorFault.DRIFT, "per_day"),
    "sensor-offset": _sensor(SensorFault.OFFSET, "by"),
    "sun-on-sensor": _sun,
    "pump-trip": _pump_trip,
    "both-pumps-trip": _both_pumps_trip,
    "boiler-lockout": _boiler_lockout,
    "ignition-failure": _ignition_failure,
    "gas-lost": _gas_lost,
    "valve-stuck": _valve_stuck,
    "leak": _leak,
    "power-loss": _power_loss,
    "estop": _estop,
    "local-mode": _local,
    "digital-input": _contact,
}
"""Every fault by its name. Options: `tag` (sensor-*, pump-trip, digital-input), `by` (K or the
tag's unit), `per_day`, `reads` (sensor-open), `m3h` (leak)."""
