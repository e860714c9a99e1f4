"""A station's plant as a controller meets it: points that are read, outputs that are written.

Rule: what a network would do in between is left out, and so are pumps and pressure: the flow is
constant, and every point that has no part in heating reads what it read at the start.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from config.model import Station
from core.clock import Instant
from core.image import ProcessImage
from core.point import Quality, Tag, TagTable
from hil_sim.plant.flats import percentile
from hil_sim.plant.station import StationPlant, metered_m3h
from hil_sim.plc import SimPlc

_ROOMS_S = 300.0
_AGE_S = 0.5
_MEASURED = ("T2g", "T2h", "T1g", "T1h", "T_out", "P1g", "CV1_U")
_XP_SV = Tag("XP_SV")


@dataclass(frozen=True, slots=True)
class Collectors:
    """How the rooms are reported: `late_s` after they were measured, with `noise_k` on top."""

    late_s: float = 0.0
    noise_k: float = 0.0


PROMPT = Collectors()
"""Rooms as they are reported today: at once, without more noise than the flats' own."""


class Rig:
    """A plant in operation, with a column of values for each point of a station.

    Args:
        plant: The plant; the rig settles it on `curve` with the mean room at `room_c`.
        station: Whose points there are.
        curve: The curve that the plant starts on.
        room_c: Mean room at the start, °C.
        collectors: How the rooms are reported.
        rng: Of the collectors' extra noise.
    """

    def __init__(
        self,
        plant: StationPlant,
        station: Station,
        *,
        curve: Mapping[float, float],
        room_c: float,
        collectors: Collectors,
        rng: random.Random,
    ) -> None:
        plc = SimPlc(plant, rng=rng, curve=sorted(curve.items()))
        plc.warm_start(room_c=room_c)
        self.plant = plant
        self.station = station
        points = station.points.items()
        self.table = TagTable(tag for tag, point in points if not point.is_pulse)
        identity = next(iter(station.devices.values())).identity
        known = {
            **plc.registers,
            "FALLBACK": 0.0,
            "P2D": plant.parameters.dp_kpa,
            "P2h": plant.parameters.static_mpa,
            "PLC_ID": float(identity.equals) if identity else 0.0,
        }
        self._values = [known.get(tag, 0.0) for tag in self.table]
        self._good = bytes([Quality.GOOD] * len(self.table))
        index, i = self.table.index, plant.instruments
        self._sensors = tuple((index[Tag(tag)], i[tag]) for tag in _MEASURED)
        self._f1, self._beat = index[Tag("F1")], index[Tag("HB_PLC")]
        self._pumps = tuple(
            (index[Tag(f"{name}_Hz")], index[Tag(f"{name}_run")], pump)
            for name, pump in plant.circuit.circulation.items()
        )
        rooms = [tag.startswith("T_room_") for tag in self.table]
        self._ages_s = tuple(collectors.late_s + _AGE_S if room else _AGE_S for room in rooms)
        self._collectors, self._rng = collectors, rng
        self._reports: deque[tuple[float, dict[str, float]]] = deque()
        self._rooms_due_s = 0.0
        self._report_rooms()

    def read(self, tag: Tag) -> float:
        """Return the present value of a point."""
        return self._values[self.table.index[tag]]

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` pass, and read the instruments."""
        plant = self.plant
        plant.step(dt_s)
        if plant.elapsed_s >= self._rooms_due_s:
            self._report_rooms()
        values = self._values
        for place, sensor in self._sensors:
            values[place] = sensor.read()
        values[self._f1] = metered_m3h(plant.primary_kg_s, plant.primary.supply_c)
        values[self._beat] = (values[self._beat] + dt_s) % 65536.0
        for hz, run, pump in self._pumps:
            values[hz], values[run] = pump.hz, float(pump.is_running)

    def image(self, now: Instant) -> ProcessImage:
        """Return the image of the present values, all of them GOOD."""
        station = self.station.station
        return ProcessImage(station, now, self.table, tuple(self._values), self._good, self._ages_s)

    def write(self, values: Mapping[Tag, float], pulses: frozenset[Tag] = frozenset()) -> None:
        """Carry out what a controller wants; what is written can be read back."""
        index, circuit = self.table.index, self.plant.circuit
        for tag, value in values.items():
            self._values[index[tag]] = value
            if tag == "CV1_SV":
                self.plant.valve.command_pct = value
        for pulse in pulses:
            name, _, order = pulse.partition("_")
            pump = circuit.circulation.get(name)
            if pump is not None:
                pump.run = order == "start"
                pump.wanted_hz = self._values[index[_XP_SV]]

    def _report_rooms(self) -> None:
        plant, noise_k = self.plant, self._collectors.noise_k
        rooms = plant.circuit.flats.reported_c
        off_k = self._rng.gauss(0.0, noise_k) if noise_k else 0.0
        report = {
            "T_room_avg": sum(rooms) / len(rooms) + off_k,
            "T_room_min": min(rooms) + off_k,
            "T_room_p10": percentile(rooms, 0.1) + off_k,
            "T_room_n": float(len(rooms)),
        }
        self._reports.append((plant.elapsed_s + self._collectors.late_s, report))
        self._rooms_due_s = plant.elapsed_s + _ROOMS_S
        while len(self._reports) > 1 and self._reports[1][0] <= plant.elapsed_s:
            self._reports.popleft()
        for tag, value in self._reports[0][1].items():
            if tag in self.table:
                self._values[self.table.index[Tag(tag)]] = value
