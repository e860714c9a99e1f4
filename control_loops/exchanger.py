"""The rough model of exchanger and valve: which opening gives a supply, and how steeply.

Rule: it need not be right. The loop corrects what the model gets wrong; the model only tells it
where to look when the primary changes, and how strong the valve is there.

Counterflow effectiveness by number of transfer units (Kays and London), films by their flows to the
power 0.8 with hA1/hA2 = C1/C2 at design, an equal-percentage valve in series with the rest of the
station (IEC 60534-2-4): F / F_open = (N / phi^2 + 1 - N)^-1/2 with phi = R^(y - 1).
"""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

from control_loops.valve import Valve
from core.parameters import parameters
from core.point import Unit

CP_WATER_KJ_PER_KG_K = 4.19
_KG_PER_M3 = 955.0
"""Mean density of primary water between supply and return."""
_FILM_EXPONENT = 0.8
_RESERVE = 1.1
"""Flow through the open valve over the design flow, where the data sheet does not tell."""
_EQUAL = 1e-9
_LEAST_SHARE = 0.02
_HALVINGS = 14


@parameters
class ExchangerData:
    """The exchanger's data sheet: power and four temperatures of one operating point.

    With it the loop knows by how much the valve must move when the primary changes, and how strong
    the valve is at each opening. Half right is good enough.

    Attributes:
        power_kw: Heat at that point.
        T1g_c: Primary in.
        T1h_c: Primary out.
        T2g_c: Secondary out.
        T2h_c: Secondary in.
        dp_kpa: Differential pressure of the primary at which the open valve passes `F1_open`.
        F1_open_m3h: Primary flow of the circuit with its valve fully open; none means a tenth more
            than the data sheet's flow.
        lead_s: By how much a change of T1g is brought forward: the lag of its thermowell.
    """

    power_kw: Annotated[float, Unit.KILOWATT, Gt(0)]
    T1g_c: Annotated[float, Unit.CELSIUS, Gt(0), Le(200)]
    T1h_c: Annotated[float, Unit.CELSIUS, Gt(0), Le(200)]
    T2g_c: Annotated[float, Unit.CELSIUS, Gt(0), Le(120)]
    T2h_c: Annotated[float, Unit.CELSIUS, Gt(0), Le(120)]
    dp_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 150.0
    F1_open_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Gt(0)] | None = None
    lead_s: Annotated[float, Unit.SECOND, Ge(0), Le(120)] = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ValveModel:
    """Exchanger and valve as numbers; capacity flows, and films at the design point, in kW/K."""

    film1: float
    film2: float
    c1: float
    c2: float
    c1_open: float
    dp_kpa: float
    authority: float
    rangeability: float
    design: "Duty"


class Duty(NamedTuple):
    """What is asked of the exchanger: setpoint, both inlets (°C), pressure of the primary, kPa."""

    setpoint_c: float
    t1g_c: float
    t2h_c: float
    dp_kpa: float


def valve_model(data: ExchangerData, valve: Valve) -> ValveModel:
    """Return the model that a data sheet and a valve make."""
    c1 = data.power_kw / (data.T1g_c - data.T1h_c)
    c2 = data.power_kw / (data.T2g_c - data.T2h_c)
    warm_k, cold_k = data.T1g_c - data.T2g_c, data.T1h_c - data.T2h_c
    mean_k = warm_k if abs(warm_k - cold_k) < _EQUAL else (warm_k - cold_k) / log(warm_k / cold_k)
    if data.F1_open_m3h is None:
        c1_open = _RESERVE * c1
    else:
        c1_open = data.F1_open_m3h / 3600.0 * _KG_PER_M3 * CP_WATER_KJ_PER_KG_K
    ratio = c1 / c2
    film1 = (1.0 + ratio) * (data.power_kw / mean_k)
    return ValveModel(
        film1=film1,
        film2=film1 / ratio,
        c1=c1,
        c2=c2,
        c1_open=c1_open,
        dp_kpa=data.dp_kpa,
        authority=valve.authority,
        rangeability=valve.loop_rangeability,
        design=Duty(data.T2g_c, data.T1g_c, data.T2h_c, data.dp_kpa),
    )


def opening_pct(model: ValveModel, duty: Duty) -> float:
    """Return the opening that gives the duty's setpoint, 0..100 %; 100 where none is enough."""
    least, most = _LEAST_SHARE * model.c1_open, model.c1_open * sqrt(duty.dp_kpa / model.dp_kpa)
    warmer_k = duty.t1g_c - duty.t2h_c
    wanted = model.c2 * (duty.setpoint_c - duty.t2h_c)
    if wanted <= 0.0 or most <= least:
        return 0.0
    if warmer_k <= 0.0 or _heat_per_kelvin(model, most) * warmer_k <= wanted:
        return 100.0
    for _ in range(_HALVINGS):
        middle = sqrt(least * most)
        if _heat_per_kelvin(model, middle) * warmer_k < wanted:
            least = middle
        else:
            most = middle
    flow = sqrt(least * most) / model.c1_open * sqrt(model.dp_kpa / duty.dp_kpa)
    phi = sqrt(model.authority / (1.0 / (flow * flow) - 1.0 + model.authority))
    return 100.0 * min(max(1.0 + log(phi) / log(model.rangeability), 0.0), 1.0)


def strength_k_per_pct(model: ValveModel, duty: Duty) -> float | None:
    """Return by how many kelvin 1 % of opening moves the supply; None near either end stop."""
    low_pct = opening_pct(model, duty._replace(setpoint_c=duty.setpoint_c - 1.0))
    high_pct = opening_pct(model, duty._replace(setpoint_c=duty.setpoint_c + 1.0))
    if low_pct <= 0.0 or high_pct >= 100.0 or high_pct - low_pct < _EQUAL:  # noqa: PLR2004 - the end stops
        return None
    return 2.0 / (high_pct - low_pct)


def data_problems(data: ExchangerData) -> tuple[str, ...]:
    """Return why a data sheet cannot be; empty if it can."""
    hotter_first = (
        ("T1g", data.T1g_c, "T1h", data.T1h_c, "the primary gives heat away"),
        ("T2g", data.T2g_c, "T2h", data.T2h_c, "the secondary takes heat up"),
        ("T1g", data.T1g_c, "T2g", data.T2g_c, "heat flows from warm to cold"),
        ("T1h", data.T1h_c, "T2h", data.T2h_c, "heat flows from warm to cold"),
    )
    return tuple(
        f"`{hot}` {hot_c:g} °C is not above `{cold}` {cold_c:g} °C, but {why}"
        for hot, hot_c, cold, cold_c, why in hotter_first
        if hot_c <= cold_c
    )


def _heat_per_kelvin(model: ValveModel, c1: float) -> float:
    """Return effectiveness times the smaller capacity flow, kW/K."""
    c2, film2 = model.c2, model.film2
    film1 = model.film1 * exp(_FILM_EXPONENT * log(c1 / model.c1))
    ua = film1 * film2 / (film1 + film2)
    smaller, larger = (c1, c2) if c1 < c2 else (c2, c1)
    shrink = 1.0 - smaller / larger
    ntu = ua / smaller
    if shrink < _EQUAL:
        return smaller * ntu / (1.0 + ntu)
    decay = exp(-ntu * shrink)
    return smaller * (1.0 - decay) / (1.0 - decay * (1.0 - shrink))
