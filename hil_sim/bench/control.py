"""The benchmark of the control: heat at equal comfort against the clairvoyant bound, and the rest.

Rule: every controller meets the same plant, weeks and seed; a controller that beats the bound means
that the bound is wrong, and then there is no result.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import TypeVar

from hil_sim.bench.clairvoyant import FLOOR_C, Bound, clairvoyant
from hil_sim.bench.comfort import LIMIT_KH_PER_DAY, shift_to_comfort
from hil_sim.bench.controllers import ANCHOR, ANCHOR_NZ3, CONTROLLERS, SHIPPED, SHIPPED_DEFAULT
from hil_sim.bench.lane import START_C, Lane, run_lane
from hil_sim.bench.primary_step import StepFigures, least_peaks, primary_step
from hil_sim.bench.rig import PROMPT, Collectors
from hil_sim.bench.tally import Outcome, Trace
from hil_sim.bench.weeks import DAY_S, Week
from hil_sim.plant.station import StationParameters

CLAIRVOYANT = "clairvoyant"
Progress = Callable[[float], None]
_T = TypeVar("_T")
_R = TypeVar("_R")
# Where the search begins; a good guess saves a round.
_GUESS_K = {ANCHOR: -0.65, ANCHOR_NZ3: -0.65, SHIPPED: -0.68, SHIPPED_DEFAULT: -0.5}
# Within this the heat is moved along the bound's own slope; beyond it the weeks are played again.
_NEAR_K = 0.1
_SLOPE_K = 0.5
# With steps of 5 min the bounds are the same within 0.004 %, and take ten times as long.
_BOUND_STEP_S = 900.0
_ROUNDS_MAX = 4
_ROUNDS_USUAL = 2
# Rounding of the programme and of its steps; a real difference is far above it.
_BOUND_PCT = 0.05
_DIGITS = 3


class BoundBeaten(AssertionError):  # noqa: N818 - it says what happened, as StopIteration does
    """A controller needed less heat than the clairvoyant bound, so the bound is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is benchmarked.

    `scan_s` is the controllers' scan; `workers` processes share the work.
    """

    plant: StationParameters
    weeks: tuple[Week, ...]
    seed: int
    scan_s: float
    collectors: Collectors = PROMPT
    controllers: tuple[str, ...] = CONTROLLERS
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """The result object: figures by week and controller, means by controller.

    `mean` is that of the shipped controller; `traces` by week and controller are for pictures.
    """

    weeks: dict[str, dict[str, dict[str, float]]]
    mean: dict[str, float]
    means: dict[str, dict[str, float]]
    room_offset_k: dict[str, float]
    primary_step: dict[str, dict[str, float]]
    anchor_share_pct: float | None
    traces: dict[str, dict[str, Trace]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Limit:
    """The bound of a week, and what a kelvin of the mean room costs there, MWh."""

    bound: Bound
    mwh_per_k: float


class _Work:
    """Runs the jobs, in this process or in some, and tells how far it is."""

    def __init__(self, pool: ProcessPoolExecutor | None, tell: Progress, jobs: int) -> None:
        self._pool, self._tell, self._jobs, self._done = pool, tell, jobs, 0

    def limits(self, settings: Settings) -> dict[str, _Limit]:
        jobs = [(settings.plant, week) for week in settings.weeks]
        names = (week.name for week in settings.weeks)
        return dict(zip(names, self._each(_limit, jobs), strict=True))

    def lanes(self, lanes: Sequence[Lane]) -> dict[str, Outcome]:
        names = (lane.week.name for lane in lanes)
        return dict(zip(names, self._each(run_lane, lanes), strict=True))

    def steps(self, settings: Settings) -> dict[str, StepFigures]:
        jobs = [(name, settings) for name in settings.controllers]
        return dict(zip(settings.controllers, self._each(_step, jobs), strict=True))

    def least_step(self, settings: Settings) -> dict[str, float]:
        (least,) = self._each(_least_step, [settings])
        return least

    def _each(self, run: Callable[[_T], _R], jobs: Sequence[_T]) -> Iterable[_R]:
        found = map(run, jobs) if self._pool is None else self._pool.map(run, jobs)
        for result in found:
            self._done += 1
            self._tell(min(self._done / self._jobs, 1.0))
            yield result


def bench_control(settings: Settings, tell: Progress) -> ControlResult:
    """Return the benchmark's result.

    Args:
        settings: What is benchmarked.
        tell: Told the share that is done, 0..1.

    Raises:
        BoundBeaten: The bound is wrong.
        NoOptimizer: scipy is not there.
    """
    count = len(settings.controllers)
    jobs = len(settings.weeks) * (1 + _ROUNDS_USUAL * count) + count + 1
    if settings.workers <= 1:
        return _bench(settings, _Work(None, tell, jobs))
    # More threads in the linear algebra than processes only stand in each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(settings.workers, get_context("spawn")) as pool:
        return _bench(settings, _Work(pool, tell, jobs))


def _bench(settings: Settings, work: _Work) -> ControlResult:
    limits = work.limits(settings)
    weeks: dict[str, dict[str, dict[str, float]]] = {week.name: {} for week in settings.weeks}
    traces: dict[str, dict[str, Trace]] = {week.name: {} for week in settings.weeks}
    offsets: dict[str, float] = {}
    for controller in settings.controllers:
        found = _at_comfort(settings, controller, limits, work)
        offsets[controller] = round(found.offset_k + found.shift_k, _DIGITS)
        for name, outcome in found.outcomes.items():
            limit = limits[name]
            heat_mwh = outcome.heat_mwh + found.shift_k * limit.mwh_per_k
            above = 100.0 * (heat_mwh / limit.bound.heat_mwh - 1.0)
            weeks[name][controller] = _rounded(
                {"heat_above_clairvoyant_pct": above, "heat_mwh": heat_mwh, **outcome.figures}
            )
            traces[name][controller] = outcome.trace
    for name, limit in limits.items():
        _check(name, limit.bound, weeks[name])
        weeks[name][CLAIRVOYANT] = _rounded(_bound_figures(limit.bound))
    means = {c: _mean([weeks[week][c] for week in weeks]) for c in settings.controllers}
    steps = {name: _rounded(asdict(figures)) for name, figures in work.steps(settings).items()}
    return ControlResult(
        weeks=weeks,
        mean=means[SHIPPED],
        means=means,
        room_offset_k=offsets,
        primary_step={**steps, CLAIRVOYANT: _rounded(work.least_step(settings))},
        anchor_share_pct=_share_of_anchor(means),
        traces=traces,
    )


@dataclass(frozen=True, slots=True)
class _AtComfort:
    """One controller at equal comfort: its last round, and how far that is from it."""

    offset_k: float
    shift_k: float
    outcomes: Mapping[str, Outcome]


def _at_comfort(
    settings: Settings, controller: str, limits: Mapping[str, _Limit], work: _Work
) -> _AtComfort:
    """Return the controller's weeks with the wanted room as low as comfort allows."""
    days = sum(week.scored_s for week in settings.weeks) / DAY_S
    limit_kh = LIMIT_KH_PER_DAY * days + sum(
        limit.bound.below_floor_kh for limit in limits.values()
    )
    offset_k = _GUESS_K[controller]
    for round_ in range(_ROUNDS_MAX):
        lanes = [
            Lane(
                controller=controller,
                week=week,
                plant=settings.plant,
                seed=settings.seed,
                scan_s=settings.scan_s,
                offset_k=offset_k,
                collectors=settings.collectors,
            )
            for week in settings.weeks
        ]
        outcomes = work.lanes(lanes)
        shift_k = shift_to_comfort(outcomes, limit_kh)
        if abs(shift_k) <= _NEAR_K or round_ + 1 == _ROUNDS_MAX:
            break
        offset_k += shift_k
    return _AtComfort(offset_k, shift_k, outcomes)


def _check(week: str, bound: Bound, figures: Mapping[str, Mapping[str, float]]) -> None:
    for controller, found in figures.items():
        if found["heat_above_clairvoyant_pct"] < -_BOUND_PCT:
            raise BoundBeaten(
                f"{week}: {controller} needs {found['heat_mwh']:.2f} MWh at equal comfort, less "
                f"than the bound of {bound.heat_mwh:.2f} MWh: the bound is wrong"
            )


def _bound_figures(bound: Bound) -> dict[str, float]:
    rooms = bound.room_mean_c
    return {
        "heat_above_clairvoyant_pct": 0.0,
        "heat_mwh": bound.heat_mwh,
        "room_mean_c": sum(rooms) / len(rooms),
        "room_max_c": max(rooms),
    }


def _share_of_anchor(means: Mapping[str, Mapping[str, float]]) -> float | None:
    """Return the shipped controller's heat above the bound as a share of the anchor's, %."""
    if ANCHOR not in means:
        return None
    excess = means[ANCHOR]["heat_above_clairvoyant_pct"]
    return round(100.0 * means[SHIPPED]["heat_above_clairvoyant_pct"] / excess, 1)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return _rounded({key: sum(row[key] for row in rows) / len(rows) for key in rows[0]})


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in figures.items()}


def _limit(job: tuple[StationParameters, Week]) -> _Limit:
    plant, week = job
    bound, above = (
        clairvoyant(plant, week, start_c=START_C, step_s=_BOUND_STEP_S, floor_c=floor_c)
        for floor_c in (FLOOR_C, FLOOR_C + _SLOPE_K)
    )
    return _Limit(bound, (above.heat_mwh - bound.heat_mwh) / _SLOPE_K)


def _step(job: tuple[str, Settings]) -> StepFigures:
    name, settings = job
    return primary_step(name, settings.plant, seed=settings.seed, scan_s=settings.scan_s)


def _least_step(settings: Settings) -> dict[str, float]:
    drop_k, back_k = least_peaks(settings.plant, seed=settings.seed, scan_s=settings.scan_s)
    return {"drop_peak_k": drop_k, "return_peak_k": back_k}
