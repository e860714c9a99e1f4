"""The interlocks I1 to I10 of a station, as predicates over frozen facts.

Rule: an unusable value abstains: no interlock fires from it, and nothing is closed because
something failed on our side. The PLC has interlocks of its own; these keep heatd from asking for
what they forbid, and say why. (I6, the standby's start, is carried out in `pump_set`.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from control_loops.latch import lasting, latched
from core.parameters import parameters
from core.point import Unit

OutputGroup = Literal["valve", "pumps", "makeup", "boiler"]
TripAction = Literal["close", "stop", "hold", "slow", "none"]

_GROUPS: tuple[OutputGroup, ...] = ("valve", "pumps", "makeup", "boiler")
_HOT_BAND_K = 5.0
"""The supply must cool by this much before the valve may open again."""
_RESTS_MAX = 64
"""How many lengths of the ramp after a power cut have their state at rest ready."""


@parameters
class Protection:
    """Limits of the interlocks of one circuit.

    `T2g_hh_c` is 90 °C for radiators (the setpoint ends at 83) and 55 °C for floors. `stop_mpa`
    and `relief_mpa` belong to `MakeUp` and reach the interlocks through `StationFacts`.
    """

    T2g_hh_c: Annotated[float, Unit.CELSIUS, Gt(0), Le(130)] = 90.0
    T2g_hh_s: Annotated[float, Unit.SECOND, Ge(0)] = 30.0
    no_pump_s: Annotated[float, Unit.SECOND, Ge(0)] = 15.0
    no_pump_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(20)] = 5.0
    P2h_stop_s: Annotated[float, Unit.SECOND, Ge(0)] = 5.0
    P2h_restart_mpa: Annotated[float, Unit.MEGAPASCAL, Ge(0)] = 0.05
    P2h_restart_s: Annotated[float, Unit.SECOND, Ge(0)] = 60.0
    relief_band_mpa: Annotated[float, Unit.MEGAPASCAL, Gt(0)] = 0.03
    power_return_s: Annotated[float, Unit.SECOND, Ge(0), Le(600)] = 60.0
    power_ramp_s: Annotated[float, Unit.SECOND, Ge(0)] = 1200.0
    power_ramp_pct_per_s: Annotated[float, Unit.PERCENT_PER_SECOND, Gt(0)] = 5.0 / 60.0


class StationFacts(NamedTuple):
    """What the interlocks look at: NaN and None where a value is unusable or does not exist.

    `stop_mpa` and `relief_mpa` are the circuit's parameters; `is_primary_cold` and
    `are_pumps_failed` are results of the source machine and of the pumps.
    """

    t2g_c: float = float("nan")
    p2h_mpa: float = float("nan")
    tank_m: float = float("nan")
    stop_mpa: float = float("nan")
    relief_mpa: float = float("nan")
    tank_stop_m: float = float("nan")
    tank_start_m: float = float("nan")
    is_pump_proven: bool | None = None
    are_pumps_failed: bool = False
    is_primary_cold: bool = False
    is_power_ok: bool | None = None
    is_linked: bool = True
    is_stopped: bool | None = None
    is_remote: bool | None = None
    is_boiler_flow_ok: bool | None = None
    is_boiler_pressure_ok: bool | None = None
    is_gas: bool | None = None


class InterlockState(NamedTuple):
    """How long each condition has lasted, and what is latched."""

    hot_s: float = 0.0
    is_hot: bool = False
    no_pump_s: float = 0.0
    low_s: float = 0.0
    is_low: bool = False
    restored_s: float = 0.0
    is_relieving: bool = False
    is_tank_low: bool = False
    is_power_lost: bool = False
    powered_s: float = 1e9


@dataclass(frozen=True, slots=True)
class Trip:
    """One interlock that rules an output group now.

    Attributes:
        interlock: I1 .. I10, or `cold_primary`.
        group: The outputs that it rules.
        action: `close`: the valve to 0 %, below its own minimum. `stop`: pumps or boiler off.
            `hold`: no start, and no opening beyond the present one or `limit`, whichever is more.
            `slow`: opens at most at `limit` % per second. `none`: nothing is written at all.
        limit: See `action`.
        why: For people, with the values that decided.
    """

    interlock: str
    group: OutputGroup
    action: TripAction
    why: str
    limit: float = 0.0


def interlock_step(
    protection: Protection, state: InterlockState, facts: StationFacts, *, dt_s: float
) -> tuple[tuple[Trip, ...], InterlockState]:
    """Return every interlock that rules now, I1 first, and the next state.

    Where two rule one group, the stricter wins: none (no writes), then close or stop, hold, slow.
    """
    if state == _at_rest(protection.power_ramp_s) and _is_quiet(protection, facts):
        return (), state
    next_state = _observed(protection, state, facts, dt_s)
    trips: list[Trip] = []
    trips += _pump_and_heat(protection, next_state, facts)
    trips += _water(next_state, facts)
    trips += _power(protection, next_state)
    trips += _hands_off(facts)
    trips += _boiler(facts)
    if facts.is_primary_cold:
        why = "the primary supply is too cold: it would carry heat out of the station"
        trips.append(Trip("cold_primary", "valve", "close", why))
    return tuple(trips), next_state


@lru_cache(maxsize=_RESTS_MAX)
def _at_rest(power_ramp_s: float) -> InterlockState:
    """Return the state in which nothing is latched and no stopwatch runs."""
    return InterlockState(powered_s=power_ramp_s)


def _is_quiet(protection: Protection, facts: StationFacts) -> bool:
    """Return whether no interlock finds what it looks for: at rest, all of them stay there.

    Nearly all scans are so; what this cannot rule out is looked at one by one.
    """
    return not (
        facts.t2g_c >= protection.T2g_hh_c
        or facts.p2h_mpa < facts.stop_mpa
        or facts.p2h_mpa >= facts.relief_mpa
        or facts.tank_m <= facts.tank_stop_m
        or facts.are_pumps_failed
        or facts.is_primary_cold
        or facts.is_stopped
        or facts.is_gas
        or not facts.is_linked
        or facts.is_pump_proven is False
        or facts.is_power_ok is False
        or facts.is_remote is False
        or facts.is_boiler_flow_ok is False
        or facts.is_boiler_pressure_ok is False
        # With so short a ramp the mains have always just come back.
        or protection.power_ramp_s < protection.power_return_s
    )


def _observed(
    protection: Protection, state: InterlockState, facts: StationFacts, dt_s: float
) -> InterlockState:
    """Return the state with every stopwatch and latch advanced by one scan."""
    p2h_mpa, t2g_c = facts.p2h_mpa, facts.t2g_c
    hot_s = lasting(state.hot_s, dt_s, is_so=t2g_c >= protection.T2g_hh_c)
    low_s = lasting(state.low_s, dt_s, is_so=p2h_mpa < facts.stop_mpa)
    is_restored = p2h_mpa > facts.stop_mpa + protection.P2h_restart_mpa
    restored_s = lasting(state.restored_s, dt_s, is_so=is_restored and state.is_low)
    no_pump = None if facts.is_pump_proven is None else not facts.is_pump_proven
    is_power_lost = facts.is_power_ok is False or (state.is_power_lost and not facts.is_power_ok)
    powered_s = 0.0 if is_power_lost else min(state.powered_s + dt_s, protection.power_ramp_s)
    # A sensor that is lost after it was hot lets go: the loop holds the valve where it stands.
    is_hot = (hot_s > 0.0 and hot_s >= protection.T2g_hh_s) or (
        state.is_hot and t2g_c > protection.T2g_hh_c - _HOT_BAND_K
    )
    is_low = latched(
        state.is_low,
        sets=low_s >= protection.P2h_stop_s and low_s > 0.0,
        clears=restored_s >= protection.P2h_restart_s,
    )
    is_relieving = latched(
        state.is_relieving,
        sets=p2h_mpa >= facts.relief_mpa,
        clears=p2h_mpa < facts.relief_mpa - protection.relief_band_mpa,
    )
    is_tank_low = latched(
        state.is_tank_low,
        sets=facts.tank_m <= facts.tank_stop_m,
        clears=facts.tank_m > facts.tank_start_m,
    )
    return InterlockState(
        hot_s,
        is_hot,
        lasting(state.no_pump_s, dt_s, is_so=no_pump),
        low_s,
        is_low,
        restored_s,
        is_relieving,
        is_tank_low,
        is_power_lost,
        powered_s,
    )


def _pump_and_heat(
    protection: Protection, state: InterlockState, facts: StationFacts
) -> Iterator[Trip]:
    """I1: no opening without a proven pump. I2: close when no pump runs or the supply is hot."""
    if facts.is_pump_proven is False:
        limit_pct = protection.no_pump_pct
        yield Trip("I1", "valve", "hold", "no circulation pump is proven to run", limit_pct)
    if facts.are_pumps_failed:
        yield Trip("I2", "valve", "close", "every circulation pump has failed")
    elif state.no_pump_s >= protection.no_pump_s and state.no_pump_s > 0.0:
        why = f"no circulation pump has run for {state.no_pump_s:.0f} s"
        yield Trip("I2", "valve", "close", why)
    if state.is_hot:
        why = f"T2g {facts.t2g_c:.1f} °C has passed {protection.T2g_hh_c:g} °C"
        yield Trip("I2", "valve", "close", why)


def _water(state: InterlockState, facts: StationFacts) -> Iterator[Trip]:
    """I3: no circulation at low pressure. I4, I5: no make-up from an empty tank or into relief."""
    if state.is_low:
        why = f"P2h {facts.p2h_mpa:.2f} MPa: the stop pressure is {facts.stop_mpa:g} MPa"
        yield Trip("I3", "pumps", "stop", why)
        yield Trip("I3", "valve", "close", why)
    if state.is_tank_low:
        why = f"tank {facts.tank_m:.2f} m: make-up stops at {facts.tank_stop_m:g} m"
        yield Trip("I4", "makeup", "stop", why)
    if state.is_relieving:
        why = f"P2h {facts.p2h_mpa:.2f} MPa: the relief valve opens at {facts.relief_mpa:g} MPa"
        yield Trip("I5", "makeup", "stop", why)


def _power(protection: Protection, state: InterlockState) -> Iterator[Trip]:
    """I7: after the mains are back wait, lest all stations start at once, then open slowly.

    Cold water that rushes into a hot exchanger hammers the pipes and tears the plates.
    """
    if state.is_power_lost or state.powered_s < protection.power_return_s:
        why = "the mains are off" if state.is_power_lost else "the mains have just come back"
        yield Trip("I7", "pumps", "hold", why)
        yield Trip("I7", "makeup", "hold", why)
    if state.powered_s < protection.power_ramp_s:
        limit = protection.power_ramp_pct_per_s
        yield Trip("I7", "valve", "slow", "the mains were off: the valve opens slowly", limit)


def _hands_off(facts: StationFacts) -> Iterator[Trip]:
    """I8: the PLC is on its own while it is not reached. I9: emergency stop and local panel."""
    if not facts.is_linked:
        yield from _all_groups("I8", "the PLC is not reached: it goes to its own curve")
    if facts.is_stopped:
        yield from _all_groups("I9", "emergency stop")
    if facts.is_remote is False:
        yield from _all_groups("I9", "the station is switched to local")


def _all_groups(interlock: str, why: str) -> list[Trip]:
    return [Trip(interlock, group, "none", why) for group in _GROUPS]


def _boiler(facts: StationFacts) -> Iterator[Trip]:
    """I10: the burner only with water flow, water pressure and clean air."""
    if facts.is_boiler_flow_ok is False:
        yield Trip("I10", "boiler", "stop", "the boiler has no water flow")
    if facts.is_boiler_pressure_ok is False:
        yield Trip("I10", "boiler", "stop", "the boiler's water pressure is too low")
    if facts.is_gas:
        yield Trip("I10", "boiler", "stop", "combustible gas in the station")
