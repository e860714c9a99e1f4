"""A picture of each week: rooms, supply, valve and weather, heatd beside a usual controller.

Rule: everything drawn is the plant's truth at equal comfort; what is not in the traces is not here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hil_sim.bench.controllers import ANCHOR, SHIPPED
from hil_sim.bench.tally import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _QUIET, _GRID = "#1d2733", "#8a96a3", "#e3e8ed"
_COLOURS = {SHIPPED: "#0b6e99", ANCHOR: "#d1782b"}
_NAMES = {SHIPPED: "heatd", ANCHOR: "fixed curve + PI"}
_COLD, _SUN = "#3b6fb6", "#f2c14e"
_ROOM_LOW_C, _ROOM_HIGH_C = 19.0, 22.0
_DAY_S = 86_400.0


class NoPlots(ImportError):  # noqa: N818 - it says what is missing, as BadWeatherFile does
    """matplotlib is not installed."""


def draw_weeks(folder: Path, plant: str, traces: Mapping[str, Mapping[str, Trace]]) -> list[Path]:
    """Draw one PNG for each week into `folder`, and return where they lie.

    Args:
        folder: Made where it is not there.
        plant: Part of the files' names.
        traces: By week and controller.

    Raises:
        NoPlots: matplotlib is not there.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise NoPlots("pictures need matplotlib: pip install 'heatd[plots]'") from error
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _draw(folder / f"{plant}-{week}.png", f"{plant} · {week}", controllers)
        for week, controllers in traces.items()
    ]


def _draw(path: Path, title: str, traces: Mapping[str, Trace]) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an optional extra

    shown = {name: traces[name] for name in (ANCHOR, SHIPPED) if name in traces}
    figure, (rooms, supply, valve, weather) = plt.subplots(
        4, 1, figsize=(12, 10), sharex=True, height_ratios=(3, 3, 1.5, 1.5), layout="constrained"
    )
    figure.suptitle(title, x=0.01, ha="left", color=_INK, fontsize=15, fontweight="bold")
    for name, trace in shown.items():
        days = [(at_s - trace.at_s[0]) / _DAY_S for at_s in trace.at_s]
        colour, label = _COLOURS[name], _NAMES[name]
        rooms.fill_between(
            days, trace.room_p10_c, trace.room_p90_c, color=colour, alpha=0.15, linewidth=0
        )
        rooms.plot(days, trace.room_mean_c, color=colour, linewidth=1.8, label=label)
        supply.plot(days, trace.supply_c, color=colour, linewidth=1.2, label=label)
        supply.plot(days, trace.setpoint_c, color=colour, linewidth=0.9, linestyle=(0, (4, 3)))
        valve.plot(days, trace.valve_pct, color=colour, linewidth=1.0)
    _weather(weather, next(iter(shown.values())))
    for limit_c in (_ROOM_LOW_C, _ROOM_HIGH_C):
        rooms.axhline(limit_c, color=_QUIET, linewidth=0.9, linestyle=(0, (1, 2)))
    for axes, what in (
        (rooms, "rooms °C\nmean, 10–90 %"),
        (supply, "supply °C\ndashed: setpoint"),
        (valve, "valve %"),
        (weather, "outdoors °C"),
    ):
        _tidy(axes, what)
    rooms.legend(loc="upper right", frameon=False, ncols=2, labelcolor=_INK)
    weather.set_xlabel("days", color=_QUIET)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _weather(axes: "Axes", trace: Trace) -> None:
    days = [(at_s - trace.at_s[0]) / _DAY_S for at_s in trace.at_s]
    axes.plot(days, trace.outdoor_c, color=_COLD, linewidth=1.4)
    sun = axes.twinx()
    sun.fill_between(days, trace.sun_w_per_m2, color=_SUN, alpha=0.45, linewidth=0)
    sun.set_ylim(0, max(800.0, *trace.sun_w_per_m2))
    sun.set_ylabel("sun W/m²", color=_QUIET)
    sun.tick_params(colors=_QUIET, length=0)
    sun.spines[:].set_visible(False)
    axes.set_zorder(sun.get_zorder() + 1)
    axes.patch.set_visible(False)


def _tidy(axes: "Axes", what: str) -> None:
    axes.set_ylabel(what, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_QUIET, length=0)
    axes.spines[:].set_visible(False)
    axes.margins(x=0)
