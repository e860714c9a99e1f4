"""The messages of the control socket: what the daemon shows and what a person may ask.

Rule: unknown keys are refused, messages never change, and a number that is unknown is null.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME_CHARS_MAX = 64
TEXT_CHARS_MAX = 1000
"""Longest text that is read at all; the daemon's own rules are tighter, and explained."""


def _known(value: object) -> object:
    """Return None for NaN and infinity, which JSON cannot carry."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_known)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
Text = Annotated[str, Field(max_length=TEXT_CHARS_MAX)]
ClaimedName = Annotated[str, Field(max_length=NAME_CHARS_MAX)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class Message(BaseModel):
    """What all messages have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class ChainLink(Message):
    """One link of the explanation of a loop.

    Quality and age are those of the worst and oldest value that it rests on; empty and null for
    what rests on no measurement.
    """

    name: str
    value: Number
    unit: str
    note: str
    quality: str = ""
    age_s: Number = None


class LoopFigures(Message):
    """How a loop fares, over at most the last day in which it was in control.

    `error_mean` and `error_std` are in the unit of the measured value, K for a temperature. Above 3
    in `regularity` the error cycles with `period_s`; null where nothing was found to.
    """

    watched_h: float
    starts_per_day: float
    strokes_per_day: float
    saturated_share: float
    error_mean: float
    error_std: float
    regularity: Number
    period_s: Number


class TuneStatus(Message):
    """An autotune of a loop: how far it is, and what it found.

    `phase` is settling, pre-move, bump, done or aborted; `elapsed_s` of `of_s` is the progress of
    the phase, `moved_k` by how much the supply has moved. What has not been found is null: the
    process (K/%, s, s), and the `gain` and `reset_time` under `circuits: <circuit>: pid:` for it.
    """

    circuit: str
    phase: str
    why: str
    who: str
    is_busy: bool
    elapsed_s: float
    of_s: float
    bump_pct: Number
    moved_k: Number
    gain_k_per_pct: Number
    tau_s: Number
    dead_s: Number
    gain_pct_per_k: Number
    reset_time_s: Number


class LoopStatus(Message):
    """One loop: what it wants, sees and does. `is_verified` is null until read back.

    `quality`, `age_s` and `reason` (why it is not good) are those of the measured value; `ruling`
    is what rules the setpoint (operator, a limit), `output_ruling` which limit rules the output in
    the loop's place; each is empty where it is as configured. `figures` is null before the loop has
    been in control, `tune` before its first autotune.
    """

    name: str
    output_tag: str
    mode: str
    setpoint: Number
    measured: Number
    unit: str
    output: Number
    output_unit: str
    holder: str
    why: str
    is_verified: bool | None
    quality: str = ""
    age_s: Number = None
    reason: str = ""
    ruling: str = ""
    output_ruling: str = ""
    figures: LoopFigures | None = None
    has_no_register: bool = False
    can_tune: bool = False
    tune: TuneStatus | None = None


class AlarmStatus(Message):
    """One alarm of one station that is not normal. `priority` is 1 (act now) to 4."""

    station: str
    name: str
    state: str
    priority: int
    text_zh: str
    text_en: str
    consequence: str
    action: str
    since: datetime
    is_suppressed: bool


class AlarmChange(Message):
    """One past transition of an alarm."""

    at: datetime
    station: str
    alarm: str
    event: str
    priority: int
    value: Number
    text: str
    who: str
    why: str


class Alarms(Message):
    """The alarms that are not normal and, where asked for, what happened, newest first."""

    active: tuple[AlarmStatus, ...]
    history: tuple[AlarmChange, ...] = ()


class PointStatus(Message):
    """One point: its value, how far it may be trusted, and why not further."""

    tag: str
    value: Number
    quality: str
    age_s: Number
    reason: str


class WearStatus(Message):
    """What one written register has been through; `life_years` is null where it does not wear."""

    tag: str
    left: Number
    total: int
    life_years: Number


class DeviceStatus(Message):
    """One device and its link.

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
    held: Mapping[str, str] = {}
    worn_out: tuple[str, ...] = ()
    blocked: str = ""
    wear: tuple[WearStatus, ...] = ()


class StationStatus(Message):
    """One station after its newest scan. Temperatures in degC.

    `outdoor_stages` are all sources of the outdoor temperature, best first, and what is made of
    each. `doubts` are the points that are not good. `points` are all of them, and are given only
    where one station is asked for.
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
    outdoor_c: Number
    outdoor_source: str
    rooms_p10_c: Number
    rooms_avg_c: Number
    source: str
    source_why: str
    loops: tuple[LoopStatus, ...]
    alarms: tuple[AlarmStatus, ...]
    devices: tuple[DeviceStatus, ...]
    outdoor_quality: str = ""
    outdoor_age_s: Number = None
    outdoor_stages: tuple[ChainLink, ...] = ()
    rooms_quality: str = ""
    rooms_age_s: Number = None
    doubts: tuple[PointStatus, ...] = ()
    points: tuple[PointStatus, ...] = ()


class Status(Message):
    """The whole daemon. `waiting` names the stations that have not finished a scan yet."""

    at: datetime
    started_at: datetime
    is_simulation: bool
    is_read_only: bool
    stations: tuple[StationStatus, ...]
    waiting: tuple[str, ...]

    def with_station(self, news: StationStatus) -> "Status":
        """Return the daemon with one station as it is now."""
        kept = {station.station: station for station in self.stations}
        return Status(
            at=news.at,
            started_at=self.started_at,
            is_simulation=self.is_simulation,
            is_read_only=self.is_read_only,
            stations=tuple((kept | {news.station: news}).values()),
            waiting=tuple(name for name in self.waiting if name != news.station),
        )


class Explanation(Message):
    """Why a loop does what it does: the chain from the outdoor temperature to its output.

    `outdoor_stages` are the sources of the outdoor temperature where the chain begins with it; for
    a past moment only the note of its first link tells of them.
    """

    station: str
    at: datetime
    loop: LoopStatus
    chain: tuple[ChainLink, ...]
    outdoor_stages: tuple[ChainLink, ...] = ()


class SetRequest(Message):
    """Give a point a value.

    It is the output of a loop in manual, a measured point that is not good, or `offset` (K) and
    `setpoint` (°C) of the supply; with several circuits `high.offset`.
    """

    kind: Literal["set"] = "set"
    station: Name
    point: Name
    value: Finite
    why: Text
    lease_s: Finite = 0.0
    as_name: ClaimedName = ""


class ModeRequest(Message):
    """Put a loop into manual or automatic."""

    kind: Literal["mode"] = "mode"
    station: Name
    loop: Name
    mode: Literal["man", "auto"]
    why: Text
    lease_s: Finite = 0.0
    as_name: ClaimedName = ""


class SourceRequest(Message):
    """Start or stop a backup source; `source` may be empty where a station has one only."""

    kind: Literal["source"] = "source"
    station: Name
    action: Literal["start", "stop"]
    source: ClaimedName = ""
    why: Text
    as_name: ClaimedName = ""


class TuneRequest(Message):
    """Start the autotune of a supply loop, or end it."""

    kind: Literal["tune"] = "tune"
    station: Name
    loop: Name
    action: Literal["start", "stop"]
    why: Text
    as_name: ClaimedName = ""


CommandRequest = Annotated[
    SetRequest | ModeRequest | SourceRequest | TuneRequest, Field(discriminator="kind")
]


class OperateRequest(Message):
    """Carry out what a selection prepared."""

    token: Annotated[str, Field(min_length=1, max_length=100)]
    as_name: ClaimedName = ""


class AcknowledgeRequest(Message):
    """Acknowledge an alarm."""

    station: Name
    alarm: Name
    why: Text
    as_name: ClaimedName = ""


class Selection(Message):
    """What a command would do, and the token that carries it out once, within `valid_s`."""

    token: str
    who: str
    station: str
    subject: str
    present: str
    wanted: str
    mode: str
    holder: str
    lease_s: float
    valid_s: float
    warnings: tuple[str, ...]


class Outcome(Message):
    """What became of a command: `done`, or `done, not yet recorded`."""

    outcome: str
    station: str
    who: str
    action: str
    detail: str


class FieldProblem(Message):
    """One field of a request that cannot be read. The input itself is never repeated."""

    where: str
    message: str


class Problem(Message):
    """Why a request was refused, and what to do next."""

    cause: str
    sentence: str
    next_step: str
    fields: tuple[FieldProblem, ...] = ()
