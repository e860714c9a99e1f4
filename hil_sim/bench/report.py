"""The benchmark's result as a table for people.

Rule: nothing is worked out here; what is printed stands in the result object too.
"""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_FIGURES = (
    ("heat_above_clairvoyant_pct", "heat above bound %"),
    ("degree_hours_below_19", "K·h < 19"),
    ("degree_hours_above_22", "K·h > 22"),
    ("valve_starts_per_day", "starts/d"),
    ("valve_strokes_per_day", "strokes/d"),
    ("supply_rmse_k", "RMSE K"),
    ("supply_p95_k", "p95 K"),
    ("saturated_pct", "open %"),
    ("primary_return_c", "T1h °C"),
    ("room_min_c", "p10 min °C"),
    ("room_mean_c", "mean °C"),
    ("room_max_c", "max °C"),
)

_WIDTH = 150


def print_control(result: Mapping[str, Any]) -> None:
    """Print the result of one plant."""
    out = Console()
    if not out.is_terminal:
        out = Console(width=_WIDTH)
    out.print(figures_table(result))
    for controller, step in result["primary_step"].items():
        drop, back = (
            f"{step[f'{way}_peak_k']:.1f} K"
            + (
                f", {step[key]:.1f} min beyond 1 K"
                if (key := f"{way}_beyond_1k_min") in step
                else ""
            )
            for way in ("drop", "return")
        )
        out.print(f"primary -20 K, {controller}: peak {drop}; on return {back}")
    out.print(f"room offsets at equal comfort, K: {result['room_offset_k']}")
    if result["anchor_share_pct"] is not None:
        out.print(
            f"excess of the shipped controller: {result['anchor_share_pct']} % of the anchor's"
        )


def figures_table(result: Mapping[str, Any]) -> Table:
    """Return the figures of each week, the controllers side by side: it fits into 80 columns."""
    weeks = {**result["weeks"], "mean": result["means"]}
    controllers = list(dict.fromkeys(name for figures in weeks.values() for name in figures))
    table = Table(title=f"{result['plant']}, seed {result['seed']}", box=SIMPLE, padding=0)
    table.add_column("week, figure", no_wrap=True)
    for controller in controllers:
        table.add_column(controller, justify="right")
    for week, figures in weeks.items():
        table.add_row(week, style="bold")
        for key, title in _FIGURES:
            found = [figures.get(name, {}).get(key) for name in controllers]
            table.add_row(f"  {title}", *("—" if one is None else f"{one:.2f}" for one in found))
        table.add_section()
    return table
