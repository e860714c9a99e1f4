"""A scenario's scans as a CSV file, for a spreadsheet or a plot.

Rule: one row for each scan; times in seconds from the start, temperatures in degC.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from hil_sim.play import Row

_COLUMNS = (
    "at_s",
    "outdoor_c",
    "wanted_c",
    "setpoint_c",
    "supply_c",
    "measured_c",
    "quality",
    "valve_pct",
    "command_pct",
    "room_p10_c",
    "source",
    "authority",
)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows of a play to `path`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, "alarms"])
        for row in rows:
            writer.writerow([*(getattr(row, name) for name in _COLUMNS), " ".join(row.alarms)])
