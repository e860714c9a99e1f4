"""The outdoor temperature that a building feels: its storage, the wind and the sun.

Rule: off unless configured, bounded, and slow: each term moves by 0.1 K/min at most, so that one
whose input is lost fades to nothing without a step.

    felt = fast_share * fast + (1 - fast_share) * slow - wind + sun

All of it is in kelvins outdoors, so that the curve makes of it what it makes of the weather.
"""

from dataclasses import dataclass
from math import isnan
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, MinLen

from control_loops.shaping import damp, ramp
from core.parameters import parameters
from core.point import Sample, Unit

_RATE_K_PER_H = 6.0
"""A wind that rises, and an anemometer that is lost: neither moves a term faster."""
_SUN_STEP_W_M2 = 100.0

Share = Annotated[float, Ge(0), Le(1)]
Most = Annotated[float, Unit.KELVIN, Gt(0), Le(10)]
Age = Annotated[float, Unit.SECOND, Gt(0), Le(86400)]


@parameters
class Mixed:
    """The outdoor temperature as a building with light and heavy parts feels it.

    It takes the place of `outdoor.damping` for the curve of its circuit. Siemens mixes half of the
    present temperature with half of the damped one for heavy buildings, and 3/4 with 1/4 for light
    ones (RVL481).

    Attributes:
        fast_s: Time constant of what windows and air feel.
        slow_s: Time constant of what walls feel.
        fast_share: Weight of the fast one.
    """

    fast_s: Annotated[float, Unit.SECOND, Ge(0), Le(86400)] = 3600.0
    slow_s: Annotated[float, Unit.SECOND, Gt(0), Le(864000)] = 86400.0
    fast_share: Share = 0.5


@parameters
class Wind:
    """What the wind takes from buildings that are not tight.

    Attributes:
        source: Where the speed comes from: a point of this station in m/s, of
            another one (`st-02.wind`), or `forecast`.
        per_m_s_k: By how much colder it feels for each m/s above `above`.
        above_m_s: Up to this speed nothing is felt.
        max_k: The most that the wind may make of it.
        max_age_s: An older measurement counts for nothing; a forecast has an age limit of its own.
    """

    source: Annotated[str, MinLen(1)]
    per_m_s_k: Annotated[float, Unit.KELVIN, Gt(0), Le(2)]
    above_m_s: Annotated[float, Unit.METRE_PER_SECOND, Ge(0), Le(30)] = 4.0
    max_k: Most = 4.0
    max_age_s: Age = 1800.0


@parameters
class Sun:
    """What the sun gives to buildings with windows to the south.

    Attributes:
        source: Where the radiation comes from: a point of this station in W/m²,
            of another one, or `forecast`.
        per_100_w_k: By how much warmer it feels for each 100 W/m².
        filter_s: Time constant of what the rooms feel of it.
        max_k: The most that the sun may make of it.
        max_age_s: An older measurement counts for nothing; a forecast has an age limit of its own.
    """

    source: Annotated[str, MinLen(1)]
    per_100_w_k: Annotated[float, Unit.KELVIN, Gt(0), Le(3)]
    filter_s: Annotated[float, Unit.SECOND, Ge(0), Le(86400)] = 7200.0
    max_k: Most = 3.0
    max_age_s: Age = 1800.0


@parameters
class WeatherTerms:
    """What a circuit's curve is asked with beside the damped outdoor temperature; all off.

    Attributes:
        mixed: A mixture of a fast and a slow outdoor temperature instead of the damped one.
        wind: The wind's term.
        sun: The sun's term; never while a sensor rules on which the sun shines (`outdoor.in_sun`).
    """

    mixed: Mixed | None = None
    wind: Wind | None = None
    sun: Sun | None = None


@dataclass(frozen=True, slots=True)
class WeatherState:
    """What is remembered: both outdoor temperatures in °C, the filtered sun in W/m², the terms."""

    fast_c: float
    slow_c: float
    sun_w_m2: float = 0.0
    wind_k: float = 0.0
    sun_k: float = 0.0


class WeatherFacts(NamedTuple):
    """What the terms look at: the wind in m/s and the sun in W/m², and whether it may count.

    `is_sunlit`: the sun shines on the sensor that rules, so that it is in its reading already.
    """

    wind: Sample
    sun: Sample
    is_sunlit: bool


class Felt(NamedTuple):
    """The outdoor temperature that the curve is asked with, in °C, and what made it, in K."""

    outdoor_c: float
    mixed_c: float
    wind_k: float
    sun_k: float
    wind_m_s: float
    sun_w_m2: float


def felt_step(
    terms: WeatherTerms,
    state: WeatherState | None,
    facts: WeatherFacts,
    *,
    outdoor_c: float,
    damped_c: float,
    dt_s: float,
) -> tuple[Felt, WeatherState | None]:
    """Return the outdoor temperature that a circuit's buildings feel, and the next state.

    Args:
        terms: What acts beside the damped temperature.
        state: The state of the previous scan, None at the first.
        facts: What they look at.
        outdoor_c: The outdoor temperature, undamped; NaN if unknown.
        damped_c: The damped one, which counts where nothing is mixed.
        dt_s: Time since the previous scan, in s, > 0.
    """
    if isnan(outdoor_c):
        nothing = Felt(outdoor_c, outdoor_c, 0.0, 0.0, facts.wind.value, facts.sun.value)
        return nothing, state
    before = state or WeatherState(outdoor_c, damped_c)
    fast_c, slow_c, mixed_c = outdoor_c, damped_c, damped_c
    if terms.mixed is not None:
        mixed = terms.mixed
        fast_c = damp(before.fast_c, outdoor_c, time_constant_s=mixed.fast_s, dt_s=dt_s)
        slow_c = damp(before.slow_c, outdoor_c, time_constant_s=mixed.slow_s, dt_s=dt_s)
        mixed_c = mixed.fast_share * fast_c + (1.0 - mixed.fast_share) * slow_c
    wind_k = _moved(before.wind_k, _wind_k(terms.wind, facts), dt_s)
    sun_w_m2 = _filtered(terms.sun, before.sun_w_m2, facts, dt_s)
    sun_k = _moved(before.sun_k, _sun_k(terms.sun, facts, sun_w_m2), dt_s)
    felt_c = mixed_c - wind_k + sun_k
    return (
        Felt(felt_c, mixed_c, wind_k, sun_k, facts.wind.value, facts.sun.value),
        WeatherState(fast_c, slow_c, sun_w_m2, wind_k, sun_k),
    )


def _moved(before_k: float, wanted_k: float, dt_s: float) -> float:
    return ramp(before_k, wanted_k, up_per_h=_RATE_K_PER_H, down_per_h=_RATE_K_PER_H, dt_s=dt_s)


def _is_true(sample: Sample, max_age_s: float) -> bool:
    return sample.is_usable and sample.age_s <= max_age_s


def _wind_k(wind: Wind | None, facts: WeatherFacts) -> float:
    if wind is None or not _is_true(facts.wind, wind.max_age_s):
        return 0.0
    over_m_s = max(0.0, facts.wind.value - wind.above_m_s)
    return min(wind.per_m_s_k * over_m_s, wind.max_k)


def _filtered(sun: Sun | None, before_w_m2: float, facts: WeatherFacts, dt_s: float) -> float:
    """Return the filtered sun; while nobody measures it, it sets."""
    if sun is None:
        return 0.0
    seen_w_m2 = max(0.0, facts.sun.value) if _is_true(facts.sun, sun.max_age_s) else 0.0
    return damp(before_w_m2, seen_w_m2, time_constant_s=sun.filter_s, dt_s=dt_s)


def _sun_k(sun: Sun | None, facts: WeatherFacts, sun_w_m2: float) -> float:
    if sun is None or facts.is_sunlit or not _is_true(facts.sun, sun.max_age_s):
        return 0.0
    return min(sun.per_100_w_k * sun_w_m2 / _SUN_STEP_W_M2, sun.max_k)
