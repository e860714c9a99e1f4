"""What one station shows to the outside after a scan: frozen, and able to explain itself.

Rule: a snapshot is built once per scan and never changes; the socket only translates it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import nan

from control_loops.monitor import LoopFigures
from core.image import ProcessImage

OUTDOOR_STEP = "outdoor"
"""The first link in the chain of a supply loop."""
GIVEN_STEP = "operator"
"""The link with the setpoint that a person gave; it stands in the place of all before it."""


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One link of the explanation of a loop: `outdoor -3.2 °C (T_out, 4 s old)`.

    `quality` (`good` ... `bad`) and `age_s` are those of the worst and oldest value that it rests
    on; empty and NaN for what rests on no measurement.
    """

    name: str
    value: float
    unit: str
    note: str = ""
    quality: str = ""
    age_s: float = nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneView:
    """An autotune of a loop: how far it is, and what it found.

    `phase` is settling, pre-move, bump, done or aborted, `why` what it waits for or why it was
    given up, `elapsed_s` of `of_s` the progress of the phase, and `moved_k` by how much the supply
    has moved. What has not been found is NaN: the process (K/%, s, s), and the gain and reset time
    of `circuits: <circuit>: pid:` that go with it.
    """

    circuit: str
    phase: str
    why: str
    who: str
    is_busy: bool
    elapsed_s: float
    of_s: float
    bump_pct: float
    moved_k: float
    gain_k_per_pct: float
    tau_s: float
    dead_s: float
    gain_pct_per_k: float
    reset_time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopView:
    """One loop: what it wants, what it sees, what it does, who holds the output and why.

    `name` is the loop's own name (T2g, P2D, P2h, with the circuit's prefix if there are several),
    `output_tag` the point it moves. `holder` is the winner of the arbiter: trip, frost, operator,
    source, loop, tracking or hold. `is_verified` is None until the PLC has been read back.
    `quality`, `age_s` and `reason` (why it is not good) are those of the measured value. `ruling`
    is what rules the setpoint (operator, a limit), `output_ruling` which limit rules the output in
    the loop's place; each is empty where it is as configured. `figures` says how the loop fares;
    None before it has been in control.
    `has_no_register`: its output is an opening that the pulses of two contacts make, or two valves
    in sequence. `can_tune`: it has an autotune; `tune` is the one under way or the last one, None
    before the first.
    """

    name: str
    output_tag: str
    mode: str
    setpoint: float
    measured: float
    unit: str
    output: float
    output_unit: str
    holder: str
    why: str
    is_verified: bool | None
    chain: tuple[ChainStep, ...]
    quality: str = ""
    age_s: float = nan
    reason: str = ""
    ruling: str = ""
    output_ruling: str = ""
    figures: LoopFigures | None = None
    has_no_register: bool = False
    can_tune: bool = False
    tune: TuneView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmView:
    """One alarm that is not normal. `since` is when its present state began."""

    name: str
    state: str
    priority: int
    text_zh: str
    text_en: str
    consequence: str
    action: str
    since: datetime
    is_suppressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WearView:
    """What one written register has been through: writes left now, all so far, and its life.

    `life_years` is the forecast of a register in EEPROM, NaN for any other.
    """

    tag: str
    left: float
    total: int
    life_years: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """One device and its link. Counters run from the start of the daemon.

    `held` says of each output that does not stand as wanted what holds it back, `blocked` why
    nothing is written at all.
    """

    name: str
    driver: str
    is_up: bool
    polls: int
    poll_errors: int
    writes: int
    writes_verified: int
    unverified: tuple[str, ...]
    last_error: str
    held: Mapping[str, str] = field(default_factory=dict)
    worn_out: tuple[str, ...] = ()
    blocked: str = ""
    wear: tuple[WearView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSnapshot:
    """One station after one scan.

    Temperatures in degC, NaN where unknown. `authority` is heatd, tracking, plc or none;
    `source` is the state of the source machine (normal, suspect, start, backup, return).
    `outdoor_stages` are all members of the chain of outdoor temperatures, best first; the note says
    which one rules and why others are left out. `substitutes` are the points that a person has put
    a value in the place of.
    """

    station: str
    name_zh: str
    name_en: str
    at: datetime
    scans: int
    overruns: int
    is_simulation: bool
    is_read_only: bool
    authority: str
    authority_why: str
    outdoor_c: float
    outdoor_source: str
    rooms_p10_c: float
    rooms_avg_c: float
    source: str
    source_why: str
    loops: tuple[LoopView, ...]
    alarms: tuple[AlarmView, ...]
    devices: tuple[DeviceView, ...]
    image: ProcessImage
    outdoor_quality: str = ""
    outdoor_age_s: float = nan
    outdoor_stages: tuple[ChainStep, ...] = ()
    rooms_quality: str = ""
    rooms_age_s: float = nan
    substitutes: tuple[str, ...] = ()
