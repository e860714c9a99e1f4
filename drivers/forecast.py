"""Forecasts from outside: a file that somebody writes, or a message; read, weighed and kept.

Rule: what cannot be read changes nothing: the forecast that is known goes on until it is too old.
No forecast at all is normal.

Both forms say the same. JSON: {"issued": "2026-01-15T08:00:00+08:00", "hours": [{"time":
"2026-01-15T09:00:00+08:00", "outdoor_c": -12.3, "wind_m_s": 3.1, "sun_w_m2": 120}, ...]}. CSV: the
columns issued, time, outdoor_c and, if known, wind_m_s and sun_w_m2, with one `issued` in all rows.
"""

import asyncio
import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from core.clock import Clock, Instant
from core.forecast import Expected, Forecast
from drivers.forecast_settings import ForecastFile

BYTES_MAX = 262_144
HOURS_MAX = 1000
_HOURS_MIN = 2
_AHEAD_MAX = timedelta(minutes=5)
"""A forecast from further in the future has a wrong clock, and would shut out all true ones."""
_RANGES = {"outdoor_c": (-60.0, 50.0), "wind_m_s": (0.0, 70.0), "sun_w_m2": (0.0, 1500.0)}

_log = structlog.get_logger()


class ForecastError(ValueError):
    """A text is no forecast; says what is wrong and where."""


@dataclass(slots=True)
class ForecastBoard:
    """The newest forecast that is known.

    Attributes:
        max_age_s: For how long a forecast is believed.
        newest: None before the first.
        fault: Why the last text was refused; empty where it was not.
    """

    max_age_s: float = math.inf
    newest: Forecast | None = None
    fault: str = ""

    def take(self, data: bytes, source: str, now: Instant) -> None:
        """Take what a file or a message holds; what is no forecast is told once and dropped."""
        try:
            found = read_forecast(data, max_age_s=self.max_age_s)
        except ForecastError as error:
            self.refuse(source, str(error))
            return
        if found.issued_at - now.utc > _AHEAD_MAX:
            self.refuse(source, f"issued at {found.issued_at.isoformat()}, in the future")
            return
        if not found.is_good(now.utc):
            self.refuse(source, f"issued at {found.issued_at.isoformat()}, which is too long ago")
            return
        if self.newest is not None and found.issued_at < self.newest.issued_at:
            return
        if self.fault:
            self.fault = ""
            _log.info("forecast_back", source=source)
        self.newest = found

    def refuse(self, source: str, fault: str) -> None:
        """Note why there is nothing new; the same reason is told once."""
        if fault != self.fault:
            remedy = "the last forecast is kept until it is too old"
            if self.newest is None:
                remedy = "there is no forecast until a good one comes"
            _log.warning("forecast_refused", source=source, error=fault, remedy=remedy)
        self.fault = fault


class ForecastWatch:
    """Reads a file again whenever it has changed.

    Args:
        settings: Which file, and how often it is looked at.
        board: Where the forecast goes.
        clock: Civil time.
    """

    def __init__(self, settings: ForecastFile, board: ForecastBoard, clock: Clock) -> None:
        self._settings = settings
        self._board = board
        self._clock = clock
        self._seen: tuple[int, int] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._settings.look_s)

    async def look(self) -> None:
        """Look once; a file that is not there is no fault."""
        path = Path(self._settings.path)
        try:
            found = await asyncio.to_thread(_changed, path, self._seen)
        except OSError as error:
            self._board.refuse(str(path), error.strerror or type(error).__name__)
            self._seen = None
            return
        if found is not None:
            self._seen, data = found
            self._board.take(data, str(path), self._clock.now())
            if self._board.fault:
                # The next look judges it anew: what lies in the future now is right soon.
                self._seen = None


def _changed(
    path: Path, seen: tuple[int, int] | None
) -> tuple[tuple[int, int] | None, bytes] | None:
    """Return mark and content of a file that has changed; None where it has not, or is not there.

    Raises:
        OSError: It cannot be read.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    mark = status.st_mtime_ns, status.st_size
    if mark == seen:
        return None
    with path.open("rb") as file:
        return mark, file.read(BYTES_MAX + 1)


def read_forecast(data: bytes, *, max_age_s: float = math.inf) -> Forecast:
    """Return the forecast that a text in JSON or CSV gives.

    Args:
        data: The text, UTF-8.
        max_age_s: For how long it will be believed.

    Raises:
        ForecastError: It is none.
    """
    if len(data) > BYTES_MAX:
        raise ForecastError(f"longer than {BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ForecastError("not UTF-8") from None
    rows = _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text)
    issued_at, hours = _hours(rows)
    if not _HOURS_MIN <= len(hours) <= HOURS_MAX:
        raise ForecastError(f"{len(hours)} hours; {_HOURS_MIN} to {HOURS_MAX} are taken")
    good_until = datetime.max.replace(tzinfo=UTC)
    if math.isfinite(max_age_s):
        good_until = issued_at + timedelta(seconds=max_age_s)
    after_s = tuple((time - issued_at).total_seconds() for time, _ in hours)
    return Forecast(issued_at, good_until, after_s, tuple(hour for _, hour in hours))


_Row = tuple[str, Mapping[str, object]]
"""Where a row stands, and what it says by the names of the columns."""


def _json_rows(text: str) -> Iterable[_Row]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForecastError(f"no JSON: {error}") from None
    hours = document.get("hours")
    if not isinstance(hours, list):
        raise ForecastError("`hours` is no list")
    for i, hour in enumerate(hours):
        if not isinstance(hour, dict):
            raise ForecastError(f"hour {i + 1} is no object")
        yield f"hour {i + 1}", {"issued": document.get("issued"), **hour}


def _csv_rows(text: str) -> Iterable[_Row]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    missing = {"issued", "time", "outdoor_c"}.difference(reader.fieldnames or ())
    if missing:
        raise ForecastError(f"no column `{min(missing)}`")
    try:
        for row in reader:
            yield f"line {reader.line_num}", {name: text for name, text in row.items() if text}
    except csv.Error as error:
        raise ForecastError(f"line {reader.line_num + 1}: {error}") from None


def _hours(rows: Iterable[_Row]) -> tuple[datetime, list[tuple[datetime, Expected]]]:
    issued_at: datetime | None = None
    hours: list[tuple[datetime, Expected]] = []
    for where, row in rows:
        issued = _moment(where, row, "issued")
        if issued_at is not None and issued != issued_at:
            raise ForecastError(f"{where}: another `issued` than above")
        issued_at = issued
        time = _moment(where, row, "time")
        if hours and time <= hours[-1][0]:
            raise ForecastError(f"{where}: `time` does not come after the one before")
        outdoor_c = _number(where, row, "outdoor_c")
        if math.isnan(outdoor_c):
            raise ForecastError(f"{where}: no `outdoor_c`")
        wind_m_s, sun_w_m2 = _number(where, row, "wind_m_s"), _number(where, row, "sun_w_m2")
        hours.append((time, Expected(outdoor_c, wind_m_s, sun_w_m2)))
    if issued_at is None:
        raise ForecastError("no hours")
    return issued_at, hours


def _moment(where: str, row: Mapping[str, object], name: str) -> datetime:
    written = row.get(name)
    try:
        moment = datetime.fromisoformat(written if isinstance(written, str) else "")
    except ValueError:
        raise ForecastError(f"{where}: `{name}` is no time in ISO 8601") from None
    if moment.tzinfo is None:
        raise ForecastError(f"{where}: `{name}` has no zone; write it as 2026-01-15T08:00:00+08:00")
    return moment.astimezone(UTC)


def _number(where: str, row: Mapping[str, object], name: str) -> float:
    """Return a number within its range; NaN where none is given."""
    written = row.get(name)
    if written is None:
        return math.nan
    try:
        value = float("" if isinstance(written, bool) else str(written))
    except ValueError:
        raise ForecastError(f"{where}: `{name}` is no number") from None
    low, high = _RANGES[name]
    if not low <= value <= high:
        raise ForecastError(f"{where}: `{name}` {value:g} is not within {low:g}..{high:g}")
    return value
