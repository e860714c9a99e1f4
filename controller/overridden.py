"""Limits that act on a circuit's valve in a scan: what they see, what they leave, what people read.

Rule: they bound the loop and nobody else; a person, frost and trips go before them as they go
before the loop.
"""

from math import isnan

from control_loops.limits import bounds_of
from control_loops.override import (
    HOLD_S,
    LowestSupply,
    Member,
    OverrideState,
    keep_lowest,
    override_step,
)
from control_loops.pid import PidStep
from controller.claims import Scan
from controller.plan import CircuitPlan
from controller.setpoint import SetpointChain, limit_facts
from controller.snapshot import ChainStep
from controller.state import CircuitState
from core.image import ProcessImage
from core.point import Tag

_T1H, _F1, _Q1 = Tag("T1h"), Tag("F1"), Tag("Q1")
_PERCENT = 100.0


def overridden(
    plan: CircuitPlan,
    state: CircuitState,
    supply: PidStep,
    chain: SetpointChain,
    scan: Scan,
    *,
    lowest: LowestSupply,
    external_reset: float | None,
) -> tuple[PidStep, OverrideState]:
    """Return the step of the supply loop as the limits let it, and their next state.

    Args:
        plan: The circuit.
        state: Its state after the previous scan.
        supply: What its loop would do.
        chain: Its setpoint in this scan.
        scan: What all circuits of the station share.
        lowest: The supply below which no limit may close.
        external_reset: What the supply loop took for what stands in the field.
    """
    facts = limit_facts(plan, scan.image, chain.outdoor.damped_c)
    stands_pct = state.pid.output
    limited = override_step(
        plan.override,
        state.override,
        supply,
        bounds_of(plan.config.limits, facts),
        stands_pct=stands_pct,
        external_reset=external_reset,
        dt_s=scan.dt_s,
    )
    step, override = keep_lowest(
        lowest,
        state.override,
        supply,
        limited,
        stands_pct=stands_pct,
        external_reset=external_reset,
        dt_s=scan.dt_s,
    )
    if supply.terms.limited_by == "hold":
        # While the valve holds nobody rules, and the limits stay beside it.
        return supply, override._replace(ruling="", is_lowest=False)
    return step, override


def why_overridden(plan: CircuitPlan, override: OverrideState, image: ProcessImage) -> str:
    """Return which limit rules the valve in the place of the loop, for people."""
    member = next(one for one in override.members if one.name == override.ruling)
    note = f", {_note(plan, override, member, image)}"
    if not override.is_lowest:
        return note
    return f"{note}, but {plan.t2g} is at its lowest {_lowest(plan)}: it closes no further"


def override_steps(
    plan: CircuitPlan, override: OverrideState, image: ProcessImage
) -> tuple[ChainStep, ...]:
    """Return how far each limit that acts on the valve lets it open; none where none does."""
    steps = [
        ChainStep(one.name, one.allowed_pct, "%", _note(plan, override, one, image))
        for one in override.members
    ]
    floor = override.floor
    if floor is None:
        return tuple(steps)
    note = f"{plan.t2g} {floor.pid.measured:.1f} of at least {_lowest(plan)}"
    if isnan(floor.least_pct):
        note = f"abstains, {plan.t2g} {image.reason(plan.t2g)}"
    elif override.is_lowest:
        note = f"{note}: no limit closes further"
    return (*steps, ChainStep("T2g_low", floor.least_pct, "%", note))


def _lowest(plan: CircuitPlan) -> str:
    return f"{plan.config.limits.T2g_c[0]:g} °C"


def _note(plan: CircuitPlan, override: OverrideState, member: Member, image: ProcessImage) -> str:
    """Return what a member sees and does: `F1 62.0 of 60 m³/h rules the valve`."""
    is_ruling = member.name == override.ruling
    bad_s = member.pid.bad_s
    if bad_s > 0.0:
        lost = _lost(plan, member, image)
        if not isnan(member.allowed_pct):
            return f"{lost}: the valve opens no further for {HOLD_S - bad_s:.0f} s"
        return f"abstains, {lost}"
    seen = _seen(plan, member)
    return f"{seen} rules the valve" if is_ruling else seen


def _seen(plan: CircuitPlan, member: Member) -> str:
    limits, measured = plan.config.limits, member.pid.measured
    limit = member.pid.setpoint + plan.override[member.name].gap
    if member.name == "T1h_max":
        return f"T1h {measured:.1f} of {limit:.1f} °C"
    if member.name == "T1h_over_T2h":
        return f"T1h - T2h {measured:.1f} of {limit:g} K"
    share = measured / _PERCENT
    if member.name == "F1_max":
        most_m3h = limits.F1_max_m3h or 0.0
        return f"F1 {share * most_m3h:.1f} of {most_m3h:g} m³/h"
    most_kw = limits.Q1_max_kw or 0.0
    return f"Q1 {share * most_kw:.0f} of {most_kw:g} kW"


def _lost(plan: CircuitPlan, member: Member, image: ProcessImage) -> str:
    """Return which value of a member cannot be used, and why."""
    tags = {"F1_max": (_F1,), "Q1_max": (_Q1,), "T1h_over_T2h": (_T1H, plan.t2h)}
    for tag in tags.get(member.name, (_T1H,)):
        if reason := image.reason(tag):
            return f"{tag} {reason}"
    return "its limit is not known"
