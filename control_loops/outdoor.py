"""Which outdoor temperature control goes by: the best of a chain of sources, and never a step.

Rule: whatever happens to a source, the outdoor temperature that control uses moves no faster than
`rate`, 1 K/min unless the configuration says otherwise.

The chain goes from what is measured (sensors of this and other stations, points of any device) over
the last reading and what the weather of the place usually is to a value for safety. Each member is
there to be shown, also while it does not rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, isnan, nan
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, MinLen

from control_loops.climate import Climate
from control_loops.shaping import damp, ramp
from core.parameters import parameters
from core.point import NO_SAMPLE, Quality, Sample, Unit

LAST_GOOD = "last_good"
"""In an order of sources: hold the last usable reading for a while."""
CLIMATE = "climate"
"""In an order of sources: what is usual now, with what is left of the last reading's distance."""
FORECAST = "forecast"
"""In an order of sources: what the weather forecast of the site expects for now."""
RESERVED = frozenset({FORECAST, LAST_GOOD, CLIMATE})
"""What an order may name beside points."""
DAMPED = "damped"
"""The source when no other is left: the damped temperature, the best guess at the day's mean."""
SUBSTITUTE = "substitute"
"""The source when no other is left and the configuration gives a value for that."""

_UNMEASURED = frozenset({LAST_GOOD, CLIMATE, DAMPED, SUBSTITUTE})
_PAIR = 2
_TRUSTED_PLACES = 2
"""Below so many members of its chain a station no longer knows its weather: that is alarmed."""


@parameters
class Outdoor:
    """Where the outdoor temperature comes from and how much it is damped.

    Attributes:
        order: Names of sources, best first: points of this station, of another one
            (`st-02.T_out`), and among them `forecast`, `last_good` and `climate`.
        damping_s: Time constant of the damping; heavy buildings 6 h.
        last_good_s: How long the last usable reading is held before what follows takes over.
        climate: What is usual at the place; `climate` in `order` needs it.
        in_sun: Which of the sources stand in the sun: while one of them rules, no circuit adds the
            sun once more.
        substitute_c: Taken instead of the damped one; also where no sensor has ever been usable.
        rate_k_per_min: Fastest change of the undamped value.
        vote_k: A source this far from the median of all is not believed.
        jump_k: Nor is one that differs from the present value by this much,
        believed_after_s: unless it is the best that is left and has done so for this long. For so
            long, too, a lone sensor may be warmer than the forecast by more than `vote`.
    """

    order: Annotated[tuple[str, ...], MinLen(1)] = ("T_out", LAST_GOOD)
    damping_s: Annotated[float, Unit.SECOND, Ge(0)] = 21600.0
    last_good_s: Annotated[float, Unit.SECOND, Ge(0)] = 7200.0
    climate: Climate | None = None
    in_sun: tuple[str, ...] = ()
    substitute_c: Annotated[float, Unit.CELSIUS, Ge(-50), Le(30)] | None = None
    rate_k_per_min: Annotated[float, Unit.KELVIN_PER_MINUTE, Gt(0)] = 1.0
    vote_k: Annotated[float, Unit.KELVIN, Gt(0), Le(30)] = 6.0
    jump_k: Annotated[float, Unit.KELVIN, Gt(0), Le(60)] = 10.0
    believed_after_s: Annotated[float, Unit.SECOND, Ge(0)] = 1800.0


@dataclass(frozen=True, slots=True)
class OutdoorState:
    """What is remembered: the present value, its damped value and the last usable reading.

    `jumped_s` is for how long the best source has been left out for having jumped, `anomaly_k` by
    how much the last reading differed from what was usual then, 0 where that is not known.
    `apart_s` is for how long the only sensor that is believed has been too warm for the forecast.
    """

    value_c: float
    damped_c: float
    last_good_c: float
    last_good_age_s: float
    jumped_s: float = 0.0
    anomaly_k: float = 0.0
    apart_s: float = 0.0


class OutdoorChoice(NamedTuple):
    """The outdoor temperature of this scan and where it came from.

    GOOD from the first source of the order, SUBSTITUTED from any other, BAD (NaN) only when no
    source has ever been usable and none is given instead. `age_s` is the age of the
    reading behind it. `place` counts the members of the order from 0; what follows after all of
    them comes last.

    `chain` is kept for whoever asks for the stages.
    """

    value_c: float
    damped_c: float
    quality: Quality
    source: str
    age_s: float
    place: int = 0
    chain: "Chain | None" = None

    @property
    def is_poor(self) -> bool:
        """True where none of the first two members of the chain can be had."""
        return self.place >= _TRUSTED_PLACES or isnan(self.value_c)


class Chain(NamedTuple):
    """What the members of a chain gave in a scan.

    Attributes:
        outdoor: The order of sources, times and rates.
        seen: A sample by name of source.
        left_out: Why usable ones are not believed, by name.
        last_good_c: The last reading, °C.
        carried_c: What the climate makes of it now, °C.
    """

    outdoor: Outdoor
    seen: Mapping[str, Sample]
    left_out: Mapping[str, str]
    last_good_c: float
    carried_c: float


class Stage(NamedTuple):
    """One member of the chain as it stands in a scan: its value in °C, and what is made of it."""

    name: str
    value_c: float
    quality: Quality
    age_s: float
    note: str


class _Heard(NamedTuple):
    """Who is believed and who is left out, why; `jumped_s` and `apart_s` as in `OutdoorState`."""

    believed: Mapping[str, Sample]
    left_out: dict[str, str]
    jumped_s: float
    apart_s: float


class _Found(NamedTuple):
    value_c: float
    quality: Quality
    source: str
    age_s: float
    place: int


def choose_outdoor(
    outdoor: Outdoor,
    samples: Mapping[str, Sample],
    state: OutdoorState | None,
    *,
    normal_c: float = nan,
    dt_s: float,
) -> tuple[OutdoorChoice, OutdoorState | None]:
    """Return the outdoor temperature from the best usable source, and the next state.

    Args:
        outdoor: The order of sources, times and rates.
        samples: A sample by name of source of the order; a missing name counts as BAD.
        state: The state of the previous scan; None at the first start.
        normal_c: What is usual now, °C; NaN where that is not known.
        dt_s: Time since the previous scan, > 0.
    """
    believed, left_out, jumped_s, apart_s = _heard(outdoor, samples, state, dt_s)
    carried_c = _carried_c(outdoor, state, normal_c, dt_s)
    found = _best_source(outdoor, believed, state, carried_c, dt_s)
    if found is None:
        chain = Chain(outdoor, samples, left_out, nan, nan)
        return OutdoorChoice(nan, nan, Quality.BAD, "", inf, len(outdoor.order), chain), None
    wanted_c, quality, source, age_s, place = found
    # What a person put in the place of a sensor is no reading to hold on to, nor an uncertain one.
    is_measured = source not in _UNMEASURED and believed[source].quality is Quality.GOOD
    last_good_c = wanted_c if state is None or is_measured else state.last_good_c
    held_s = age_s if is_measured else _held_s(outdoor, state, dt_s)
    anomaly_k = 0.0 if state is None else state.anomaly_k
    if is_measured and not isnan(normal_c):
        anomaly_k = wanted_c - normal_c
    value_c = damped_c = wanted_c
    if state is not None:
        per_h = outdoor.rate_k_per_min * 60.0
        value_c = ramp(state.value_c, wanted_c, up_per_h=per_h, down_per_h=per_h, dt_s=dt_s)
        damped_c = damp(state.damped_c, value_c, time_constant_s=outdoor.damping_s, dt_s=dt_s)
    chain = Chain(outdoor, samples, left_out, last_good_c, carried_c)
    return (
        OutdoorChoice(value_c, damped_c, quality, source, age_s, place, chain),
        OutdoorState(value_c, damped_c, last_good_c, held_s, jumped_s, anomaly_k, apart_s),
    )


def stages(choice: OutdoorChoice) -> tuple[Stage, ...]:
    """Return every member of the chain as it stood in a scan, best first, safety last."""
    chain = choice.chain
    if chain is None:
        return ()
    order, substitute_c = chain.outdoor.order, chain.outdoor.substitute_c
    safe, safe_c = DAMPED, choice.damped_c
    if substitute_c is not None:
        safe, safe_c = SUBSTITUTE, substitute_c
    age_s = choice.age_s if choice.source == safe else nan
    last = Stage(safe, safe_c, Quality.SUBSTITUTED, age_s, _rules(choice, safe))
    return (*[_stage(chain, choice, name) for name in order], last)


def _stage(chain: Chain, choice: OutdoorChoice, name: str) -> Stage:
    since_s = choice.age_s if choice.source in _UNMEASURED else 0.0
    if name in _UNMEASURED:
        value_c, most_s = chain.last_good_c, chain.outdoor.last_good_s
        if name == CLIMATE:
            value_c = chain.carried_c
            most_s = 0.0 if chain.outdoor.climate is None else chain.outdoor.climate.max_age_s
        note = "too old" if since_s > most_s else _rules(choice, name)
        return Stage(name, value_c, Quality.SUBSTITUTED, since_s, note)
    sample = chain.seen.get(name, NO_SAMPLE)
    note = chain.left_out.get(name, "")
    if not sample.is_usable:
        note = "says nothing of now" if name == FORECAST else sample.quality.name.lower()
        note = "no data" if sample.age_s == inf else note
    return Stage(name, sample.value, sample.quality, sample.age_s, note or _rules(choice, name))


def _rules(choice: OutdoorChoice, name: str) -> str:
    return "rules" if choice.source == name else ""


def _best_source(
    outdoor: Outdoor,
    samples: Mapping[str, Sample],
    state: OutdoorState | None,
    carried_c: float,
    dt_s: float,
) -> _Found | None:
    """Return the best source, or None if there never was one."""
    # A value that nobody measured is never the last good one.
    age_s = _held_s(outdoor, state, dt_s)
    for place, name in enumerate(outdoor.order):
        if name == LAST_GOOD:
            if state is not None and age_s <= outdoor.last_good_s:
                return _Found(state.last_good_c, Quality.SUBSTITUTED, name, age_s, place)
        elif name == CLIMATE:
            if not isnan(carried_c):
                return _Found(carried_c, Quality.SUBSTITUTED, name, age_s, place)
        elif (sample := samples.get(name, NO_SAMPLE)).is_usable:
            quality = Quality.SUBSTITUTED if place else sample.quality
            return _Found(sample.value, quality, name, sample.age_s, place)
    place = len(outdoor.order)
    if outdoor.substitute_c is not None:
        return _Found(outdoor.substitute_c, Quality.SUBSTITUTED, SUBSTITUTE, age_s, place)
    if state is None:
        return None
    return _Found(state.damped_c, Quality.SUBSTITUTED, DAMPED, age_s, place)


def _held_s(outdoor: Outdoor, state: OutdoorState | None, dt_s: float) -> float:
    """Return how old the last reading is; too old to be held where there was none."""
    return dt_s + (outdoor.last_good_s if state is None else state.last_good_age_s)


def _carried_c(outdoor: Outdoor, state: OutdoorState | None, normal_c: float, dt_s: float) -> float:
    """Return what is usual now and what is left of the last reading's distance from it, °C.

    NaN without a climate, and when the last reading is too old for it.
    """
    climate = outdoor.climate
    if climate is None:
        return nan
    if state is None:
        return normal_c
    age_s = state.last_good_age_s + dt_s
    if age_s > climate.max_age_s:
        return nan
    return normal_c + state.anomaly_k * exp(-age_s / climate.fade_s)


def _heard(
    outdoor: Outdoor, samples: Mapping[str, Sample], state: OutdoorState | None, dt_s: float
) -> _Heard:
    """Return which sources are believed; a lone sensor that has not jumped needs no vote."""
    if state is not None and len(samples) == 1 and FORECAST not in samples:
        (sensor,) = samples.values()
        if sensor.is_usable and abs(sensor.value - state.value_c) <= outdoor.jump_k:
            return _Heard(samples, {}, 0.0, 0.0)
    jumped_s = _jumped_s(outdoor, samples, state, dt_s)
    believed, left_out = _believed(outdoor, samples, state, jumped_s)
    if FORECAST not in samples:
        return _Heard(believed, left_out, jumped_s, 0.0)
    apart_s = _apart_s(outdoor, samples[FORECAST], believed, state, dt_s)
    believed = _with_forecast(outdoor, samples[FORECAST], believed, left_out, apart_s)
    return _Heard(believed, left_out, jumped_s, apart_s)


def _jumped_s(
    outdoor: Outdoor, samples: Mapping[str, Sample], state: OutdoorState | None, dt_s: float
) -> float:
    """Return for how long the best usable source has stood too far from the present value."""
    if state is None:
        return 0.0
    for name in outdoor.order:
        sample = samples.get(name)
        if sample is not None and sample.is_usable and name != FORECAST:
            has_jumped = abs(sample.value - state.value_c) > outdoor.jump_k
            return state.jumped_s + dt_s if has_jumped else 0.0
    return 0.0


def _believed(
    outdoor: Outdoor,
    samples: Mapping[str, Sample],
    state: OutdoorState | None,
    jumped_s: float,
) -> tuple[dict[str, Sample], dict[str, str]]:
    """Return the usable sensors without those that jumped and those that the others outvote.

    With them comes why the others are left out. Air does not jump, sensors do. Of two that
    contradict each other the colder is believed: the sun warms a sensor and never cools it, and too
    much heat is the smaller harm.
    """
    usable = {
        name: samples[name]
        for name in outdoor.order
        if name in samples and samples[name].is_usable and name != FORECAST
    }
    left_out: dict[str, str] = {}
    if state is not None and jumped_s < outdoor.believed_after_s:
        for name in _beyond(usable, state.value_c, outdoor.jump_k):
            left_out[name] = f"jumped by {usable.pop(name).value - state.value_c:+.1f} K"
    if len(usable) >= _PAIR:
        agreed_c = _agreed_c(sorted([one.value for one in usable.values()]))
        for name in _beyond(usable, agreed_c, outdoor.vote_k):
            left_out[name] = f"outvoted, {usable.pop(name).value - agreed_c:+.1f} K off"
    return usable, left_out


def _apart_s(
    outdoor: Outdoor,
    forecast: Sample,
    believed: Mapping[str, Sample],
    state: OutdoorState | None,
    dt_s: float,
) -> float:
    """Return for how long a lone sensor has been warmer than the forecast by more than `vote`.

    A colder one is believed, and two that agree know better than any forecast.
    """
    if state is None or not forecast.is_usable or len(believed) != 1:
        return 0.0
    (sensor,) = believed.values()
    return state.apart_s + dt_s if sensor.value - forecast.value > outdoor.vote_k else 0.0


def _with_forecast(
    outdoor: Outdoor,
    forecast: Sample,
    believed: dict[str, Sample],
    left_out: dict[str, str],
    apart_s: float,
) -> dict[str, Sample]:
    """Return what is believed with the forecast, and without a sensor that it contradicts."""
    if apart_s > outdoor.believed_after_s:
        ((name, sensor),) = believed.items()
        left_out[name] = f"{sensor.value - forecast.value:+.1f} K off the forecast"
        return {FORECAST: forecast}
    return {**believed, FORECAST: forecast}


def _beyond(samples: Mapping[str, Sample], middle_c: float, most_k: float) -> list[str]:
    return [name for name, one in samples.items() if abs(one.value - middle_c) > most_k]


def _agreed_c(values: list[float]) -> float:
    """Return the median of some sorted values; of two the lower."""
    middle = len(values) // 2
    if len(values) == _PAIR:
        return values[0]
    return values[middle] if len(values) % 2 else 0.5 * (values[middle - 1] + values[middle])
