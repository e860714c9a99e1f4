"""From the outdoor temperature to a circuit's supply setpoint, with every step kept for people.

Rule: curve, then preheating, schedule, rooms and offset, or in the place of all these what a person
gave; then limits, then ramp. The chain says what each of them did.
"""

from math import isnan, nan
from typing import Literal, NamedTuple

from control_loops.heating_curve import supply_c
from control_loops.limits import LimitFacts, LimitState, Ruling, SupplyLimits, supply_limit
from control_loops.outdoor import OutdoorChoice
from control_loops.preheat import NO_PREHEAT, PreheatMove, preheat_move
from control_loops.room_trim import Frozen, TrimFacts, TrimMove, TrimState, trim_step
from control_loops.rooms import NO_ROOMS, RobustRooms, robust_rooms
from control_loops.schedule import NO_SHIFT, ScheduleShift, schedule_shift
from control_loops.shaping import ramp
from control_loops.weather import Felt, WeatherFacts, WeatherState, felt_step
from controller.holidays import CHINA, working_days
from controller.outdoors import Sky
from controller.plan import CircuitPlan, StationPlan
from controller.state import CircuitState, GivenSetpoint, OperatorValues, StationState
from core.image import ProcessImage
from core.point import Tag
from core.rooms import room_readings

_TOLD_K = 0.05
# Half a kelvin above the lowest that a room may have, nobody is set back.
_COLD_ROOMS_K = 0.5
_T1H, _F1, _Q1 = Tag("T1h"), Tag("F1"), Tag("Q1")


class Setpoint(NamedTuple):
    """A circuit's setpoint in one scan: how it came about, and what its makers remember."""

    chain: "SetpointChain"
    trim: TrimState
    limit: LimitState
    weather: WeatherState | None = None


class SetpointFacts(NamedTuple):
    """What a setpoint rests on besides the weather.

    Attributes:
        schedule: What the hour of the day takes from it or adds.
        offset_k: What a person added to the curve.
        limits: What the limiters look at.
        rooms: What the flats say, and whether they may be listened to.
        weather: What the circuit's terms of the weather look at; None where it has none.
        given: What a person put in the place of the curve; None where the curve rules.
        measured_c: The supply, in °C; NaN where no decision may rest on it.
        coldest_c: The coldest that is expected while the circuit would preheat, in °C; NaN where
            nothing is expected, or where it does not preheat.
    """

    schedule: ScheduleShift
    offset_k: float
    limits: LimitFacts
    rooms: TrimFacts
    weather: WeatherFacts | None = None
    given: GivenSetpoint | None = None
    measured_c: float = nan
    coldest_c: float = nan


class SetpointChain(NamedTuple):
    """How a supply setpoint came about, in °C and K.

    `wanted_c` is what the limits left of curve and offset, or of what a person gave; `ruling` is
    the limit that rules, and `setpoint_c` the setpoint after its ramp. `felt` is what the curve is
    asked with where that is not the damped outdoor temperature.
    """

    outdoor: OutdoorChoice
    curve_c: float
    schedule: ScheduleShift
    rooms: TrimMove
    offset_k: float
    wanted_c: float
    ruling: Ruling
    setpoint_c: float
    felt: Felt | None = None
    given: GivenSetpoint | None = None
    preheat: PreheatMove = NO_PREHEAT

    @property
    def rules(self) -> Ruling | Literal["operator"]:
        """Who rules the setpoint: a limit, the operator, or nobody but the curve."""
        return self.ruling or ("" if self.given is None else "operator")

    @property
    def why(self) -> str:
        """What made the setpoint, in few words."""
        if self.given is None:
            what = self._why_curve()
        else:
            what = f"set to {self.given.setpoint_c:.1f} °C by {self.given.who}: {self.given.why}"
        return f"{what}, limited by {self.ruling}" if self.ruling else what

    def _why_curve(self) -> str:
        felt_c = self.outdoor.damped_c if self.felt is None else self.felt.outdoor_c
        what = f"curve at {felt_c:.1f} °C ({self.outdoor.source})"
        if self.preheat.supply_k >= _TOLD_K:
            what += f", preheat {self.preheat.supply_k:+.1f} K"
        if self.schedule.why:
            what += f", {self.schedule.why} {self.schedule.shift_k:+.1f} K"
        if abs(self.rooms.shift_k) >= _TOLD_K:
            what += f", rooms {self.rooms.shift_k:+.1f} K"
        if self.offset_k:
            what += f", offset {self.offset_k:+.1f} K"
        return what


def station_setpoints(
    plan: StationPlan,
    image: ProcessImage,
    state: StationState,
    sky: Sky,
    operator: OperatorValues,
    openings: list[float],
    *,
    is_ours: bool,
    dt_s: float,
) -> list[Setpoint]:
    """Return the setpoint of each circuit in this scan.

    Args:
        plan: The station.
        image: Its inputs.
        state: Its state after the previous scan.
        sky: The weather of this scan.
        operator: What people have set.
        openings: Where the valve of each circuit stands, in %.
        is_ours: Our setpoint rules, so what the rooms do is its doing.
        dt_s: The time that this scan stands for, in s, > 0.
    """
    offsets, given = operator.offsets, operator.setpoints
    frozen: Frozen = "not in control"
    if is_ours:
        frozen = "" if state.source.name == "NORMAL" else "source"
    return [
        setpoint_chain(
            circuit,
            state.circuits[i],
            sky.outdoor,
            setpoint_facts(
                circuit,
                state.circuits[i],
                image,
                sky,
                valve_pct=openings[i],
                offset_k=offsets[circuit.name].offset_k if circuit.name in offsets else 0.0,
                given=given.get(circuit.name),
                frozen=frozen,
            ),
            dt_s=dt_s,
        )
        for i, circuit in enumerate(plan.circuits)
    ]


def setpoint_chain(
    plan: CircuitPlan,
    state: CircuitState,
    outdoor: OutdoorChoice,
    facts: SetpointFacts,
    *,
    dt_s: float,
) -> Setpoint:
    """Return the chain of this scan with the next states of trim and limiter.

    Args:
        plan: The circuit.
        state: Its state of the previous scan.
        outdoor: The outdoor temperature of this scan.
        facts: What else it rests on.
        dt_s: Time since the previous scan, in s, > 0.
    """
    felt, weather, felt_c = None, None, outdoor.damped_c
    if plan.weather is not None and facts.weather is not None:
        felt, weather = felt_step(
            plan.weather,
            state.weather,
            facts.weather,
            outdoor_c=outdoor.value_c,
            damped_c=felt_c,
            dt_s=dt_s,
        )
        felt_c = felt.outdoor_c
    curve_c, limits, given = supply_c(plan.config.curve, felt_c), plan.config.limits, facts.given
    preheat = _preheat(plan, state, felt_c, facts, dt_s)
    target = plan.rooms_target.warmer(preheat.room_k)
    rooms, trim = trim_step(plan.rooms.trim, plan.trim_gain, target, state.trim, facts.rooms, dt_s)
    asked_c = curve_c + preheat.supply_k + facts.schedule.shift_k + rooms.shift_k + facts.offset_k
    wanted_c, ruling, limit = supply_limit(
        asked_c if given is None else given.setpoint_c,
        limits=limits,
        facts=facts.limits,
        state=state.limit,
        dt_s=dt_s,
    )
    before_c, rate = state.setpoint_c, limits.ramp_k_per_h
    if given is not None and isnan(before_c):
        before_c = _begin_c(limits, facts.measured_c, asked_c)
        # While nobody knows where to begin there is no setpoint: the first one would be a step.
        wanted_c = nan if isnan(before_c) else wanted_c
    setpoint_c = ramp(before_c, wanted_c, up_per_h=rate, down_per_h=rate, dt_s=dt_s)
    chain = SetpointChain(
        outdoor,
        curve_c,
        facts.schedule,
        rooms,
        facts.offset_k,
        wanted_c,
        ruling,
        setpoint_c,
        felt,
        given,
        preheat,
    )
    return Setpoint(chain, trim, limit, weather)


def _preheat(
    plan: CircuitPlan, state: CircuitState, felt_c: float, facts: SetpointFacts, dt_s: float
) -> PreheatMove:
    """Return what preheating asks for: nothing in a circuit that does not preheat."""
    preheat, curve = plan.config.preheat, plan.config.curve
    if preheat is None:
        return NO_PREHEAT
    return preheat_move(
        preheat,
        curve,
        state.preheat_k,
        outdoor_c=felt_c,
        coldest_c=facts.coldest_c,
        # A boiler's warmth is dear, and its size is not the valve's.
        is_possible=facts.rooms.frozen != "source",
        dt_s=dt_s,
    )


def _begin_c(limits: SupplyLimits, measured_c: float, asked_c: float) -> float:
    """Return where the ramp to a person's first setpoint begins, within the limits; NaN: unknown.

    The curve's first setpoint fits the weather and needs no ramp; a person's may be far from what
    flows.
    """
    low_c, high_c = limits.T2g_c
    begin_c = asked_c if isnan(measured_c) else measured_c
    return nan if isnan(begin_c) else min(max(begin_c, low_c), high_c)


def setpoint_facts(
    plan: CircuitPlan,
    state: CircuitState,
    image: ProcessImage,
    sky: Sky,
    *,
    valve_pct: float,
    offset_k: float,
    given: GivenSetpoint | None,
    frozen: Frozen,
) -> SetpointFacts:
    """Return what a circuit's setpoint rests on in this scan.

    Args:
        plan: The circuit.
        state: Its state of the previous scan.
        image: The station's inputs.
        sky: The weather of this scan.
        valve_pct: Where its valve stands.
        offset_k: What a person added to the curve, in K.
        given: What a person put in its place.
        frozen: Why the flats may not be followed by anybody in this station; empty if they may.
    """
    value = image.value
    if given is not None and not frozen:
        frozen = "operator"
    outdoor, preheat, coldest_c = sky.outdoor, plan.config.preheat, nan
    if preheat is not None:
        coldest_c = sky.outlook.coldest_c(preheat.ahead_s)
    schedule = _schedule(plan, state, image, sky)
    # Before a cold that the station cannot carry nobody is set back, nor while that fades.
    is_cold = preheat is not None and coldest_c < preheat.below_c
    if schedule.shift_k < 0.0 and (is_cold or state.preheat_k):
        schedule = NO_SHIFT
    # What the schedule takes from the rooms, their correction must not give back.
    frozen = frozen or ("schedule" if schedule.shift_k else "")
    gains, is_limited = plan.gains, bool(state.override.ruling)
    return SetpointFacts(
        schedule,
        offset_k,
        limit_facts(plan, image, outdoor.damped_c),
        TrimFacts(rooms_of(plan, image), valve_pct, gains.low, gains.high, frozen, is_limited),
        None if plan.weather is None else sky.facts(plan.weather, image, plan.in_sun),
        given,
        value(plan.t2g),
        coldest_c,
    )


def limit_facts(plan: CircuitPlan, image: ProcessImage, outdoor_c: float) -> LimitFacts:
    """Return what the limits of a circuit look at; `outdoor_c` is damped."""
    value = image.value
    return LimitFacts(outdoor_c, value(_T1H), value(plan.t2h), value(_F1), value(_Q1))


def _schedule(
    plan: CircuitPlan,
    state: CircuitState,
    image: ProcessImage,
    sky: Sky,
) -> ScheduleShift:
    if not plan.config.schedule:
        return NO_SHIFT
    local = image.taken_at.utc + CHINA
    return schedule_shift(
        plan.config.schedule,
        local=local,
        working=working_days(plan.holidays, local.date()),
        outdoor_c=sky.outdoor.damped_c,
        are_rooms_cold=state.trim.guard_c < plan.rooms_target.lowest_c + _COLD_ROOMS_K,
        expected_c=sky.outlook.outdoor_c,
    )


def rooms_of(plan: CircuitPlan, image: ProcessImage) -> RobustRooms:
    """Return what the circuit's flats say: each for itself, or their mean as the PLC gives it.

    The mean of a PLC is taken as it is; without the number of flats the supply is never lowered.
    """
    rooms = plan.rooms
    if plan.flats:
        return robust_rooms(
            room_readings(plan.flats, image),
            max_age_s=rooms.max_age_s,
            weights=rooms.weights,
            trimming=rooms.trimming,
        )
    average = image[plan.rooms_avg]
    if not average.is_usable or average.age_s > rooms.max_age_s:
        return NO_ROOMS
    count = image.value(plan.rooms_count)
    return RobustRooms(average.value, image.value(plan.room), 0 if isnan(count) else int(count))
