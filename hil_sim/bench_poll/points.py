"""The points of a station in the bench: where they lie and how their values move.

Rule: server, configuration and contenders all take the layout from here, so that everybody reads
the same registers of the same server.
"""

import random
import struct
from dataclasses import dataclass
from functools import cached_property

TAGS_MIN = 32
WRITTEN = ("CV1_SV", "XP_SV", "BP_SV", "T2g_SP")
CURVE = {-28.4: 83.6, -19.6: 73.7, -16.8: 70.4, -10: 62.4, -5: 56.2, 0: 49.8, 5: 43.1, 8: 38.9}
"""The heating curve of all stations, which their PLCs hold as their own as well."""
FALLBACK = {
    f"FB_{axis}{i}": value
    for axis, column in (("x", CURVE), ("y", CURVE.values()))
    for i, value in enumerate(column, 1)
}
IDENTITY = 65001
FLOAT_WORDS = 2
# XP1 and BP1 run, the panel says remote, the mains are there.
STATUS = {"XP1_run": 0, "BP1_run": 4, "LOC_REM": 11, "PWR_OK": 13}
STATUS_ZERO = {"XP2_run": 2, "BP2_run": 6, "ESTOP": 10, "FALLBACK": 12}
PULSES = tuple(
    f"{pump}_{order}" for pump in ("XP1", "XP2", "BP1", "BP2") for order in ("start", "stop")
)
_VALVE_PCT = 50.0
_IMAGES = 64
_SEED = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured float: its unit, about which value it moves, and in which steps."""

    name: str
    unit: str
    mean: float
    step: float

    @property
    def low(self) -> float:
        """Alarm limit that its walk never reaches."""
        return round(self.mean - 100 * self.step, 6)

    @property
    def high(self) -> float:
        """See `low`."""
        return round(self.mean + 100 * self.step, 6)


_PROCESS = (
    Measured("T1g", "°C", 101.0, 0.1),
    Measured("T1h", "°C", 45.0, 0.1),
    Measured("P1g", "MPa", 0.85, 0.001),
    Measured("P1h", "MPa", 0.60, 0.001),
    Measured("F1", "m³/h", 60.0, 0.1),
    Measured("Q1", "kW", 3000.0, 1.0),
    Measured("T2g", "°C", 56.0, 0.1),
    Measured("T2h", "°C", 44.0, 0.1),
    Measured("P2g", "MPa", 0.58, 0.001),
    Measured("P2h", "MPa", 0.40, 0.0001),
    Measured("P2D", "kPa", 180.0, 0.1),
    Measured("F2", "m³/h", 150.0, 0.1),
    Measured("T_out", "°C", -5.0, 0.1),
    Measured("LT301", "m", 1.5, 0.001),
    Measured("F3", "m³/h", 0.5, 0.001),
    Measured("CV1_U", "%", 50.0, 1.0),
    Measured("XP1_Hz", "Hz", 40.0, 0.01),
    Measured("XP2_Hz", "Hz", 30.0, 0.01),
    Measured("BP1_Hz", "Hz", 35.0, 0.01),
    Measured("BP2_Hz", "Hz", 30.0, 0.01),
    Measured("T_room_avg", "°C", 21.5, 0.01),
    Measured("T_room_p10", "°C", 20.5, 0.01),
)


@dataclass(frozen=True)
class StationLayout:
    """Where the points of a station with `tags` float points lie in its holding registers."""

    tags: int

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """The floats that the PLC measures, by address from 0: the process, then flats."""
        flats = self.tags - len(WRITTEN) - len(_PROCESS)
        return _PROCESS + tuple(
            Measured(f"flat_{i:03}", "°C", 21.0, 0.01) for i in range(1, flats + 1)
        )

    @cached_property
    def floats(self) -> dict[str, int]:
        """Address of each float that a scan reads: the measured ones, then what heatd writes."""
        names = [point.name for point in self.measured] + list(WRITTEN)
        return {name: FLOAT_WORDS * i for i, name in enumerate(names)}

    @property
    def words(self) -> int:
        """Address of the words behind the floats: HB_SCADA, HB_PLC, PLC_ID, status."""
        return FLOAT_WORDS * self.tags

    @property
    def fallback(self) -> int:
        """Address of the PLC's own curve."""
        return self.words + 16

    @property
    def size(self) -> int:
        """Number of holding registers."""
        return self.fallback + FLOAT_WORDS * len(FALLBACK)

    def first_image(self) -> bytearray:
        """Return the registers of a station as they stand at the start."""
        image = bytearray(2 * self.size)
        struct.pack_into(f">{len(self.measured)}f", image, 0, *(p.mean for p in self.measured))
        status = sum(1 << bit for bit in STATUS.values())
        struct.pack_into(">f", image, 2 * self.floats["CV1_SV"], _VALVE_PCT)
        struct.pack_into(f">{len(FALLBACK)}f", image, 2 * self.fallback, *FALLBACK.values())
        struct.pack_into(">4H", image, 2 * self.words, 0, 0, IDENTITY, status)
        return image

    def walks(self) -> tuple[bytes, ...]:
        """Return the measured floats at successive moments: a walk of small steps and back."""
        rng = random.Random(_SEED)
        steps = [0] * len(self.measured)
        images = []
        for _ in range(_IMAGES):
            steps = [n + rng.choice((-1, 0, 1)) for n in steps]
            values = [p.mean + n * p.step for p, n in zip(self.measured, steps, strict=True)]
            images.append(struct.pack(f">{len(values)}f", *values))
        return (*images, *reversed(images))
