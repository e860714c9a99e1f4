"""May a circuit's setpoint be shifted or given by a person now, and what would it do?

Rule: what a person gives keeps to the circuit's limits, and says how long its ramp takes.
"""

from controller.loop_checks import loop_of, not_ours
from controller.preview import Cause, Preview, Refusal, listed, quantity
from controller.resolve import StationConfig
from controller.snapshot import GIVEN_STEP, ChainStep, LoopView, StationSnapshot
from core.command import EndSetpoint, LoopMode, SetOffset, SetSetpoint

OFFSET_K_MAX = 10.0
_MIN_PER_H = 60.0
_NO_LIMIT = ("", "operator")
_RANGE = ("T2g_low", "T2g_high")


def preview_setpoint(
    command: SetOffset | SetSetpoint | EndSetpoint, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    """Return what a command to the setpoint of a circuit would do, or why it may not be."""
    if command.circuit not in config.circuits:
        return Refusal(
            Cause.UNKNOWN,
            f"{now.station} has no circuit {command.circuit}.",
            f"It has {listed(config.circuits)}.",
        )
    name = "T2g" if len(config.circuits) == 1 else f"{command.circuit}.T2g"
    loop = loop_of(name, now)
    if isinstance(loop, Refusal):
        return loop
    if isinstance(command, SetOffset):
        return _preview_offset(command, loop, now)
    if isinstance(command, EndSetpoint):
        return _preview_end(command, loop, now)
    return _preview_given(command, loop, config, now)


def _preview_offset(command: SetOffset, loop: LoopView, now: StationSnapshot) -> Preview | Refusal:
    if not abs(command.offset_k) <= OFFSET_K_MAX:
        return Refusal(
            Cause.INVALID,
            f"An offset of {quantity(command.offset_k, 'K')} is out of range.",
            f"Give -{OFFSET_K_MAX:g} to {OFFSET_K_MAX:g} K, or change the heating curve.",
        )
    waits = "a person's setpoint rules: the offset counts once that has ended"
    return Preview(
        command=command,
        subject=f"offset of {command.circuit}",
        present=quantity(_offset_k(loop), "K"),
        wanted=quantity(command.offset_k, "K"),
        mode=loop.mode,
        holder="",
        warnings=(*((waits,) if _given(loop) else ()), *_limited(loop), *not_ours(now)),
    )


def _preview_given(
    command: SetSetpoint, loop: LoopView, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    limits, wanted = config.circuits[command.circuit].limits, quantity(command.setpoint_c, "°C")
    low_c, high_c = limits.T2g_c
    if not low_c <= command.setpoint_c <= high_c:
        return Refusal(
            Cause.INVALID,
            f"{wanted} is outside the limits of {loop.name} of {now.station}.",
            f"Give {low_c:g} to {high_c:g} °C, as `limits` of {command.circuit} in its file says.",
        )
    ramp = limits.ramp_k_per_h
    takes_min = _MIN_PER_H * abs(command.setpoint_c - loop.setpoint) / ramp
    warnings = [f"the ramp of {ramp:g} K/h takes {takes_min:.0f} min"] if takes_min >= 1.0 else []
    if loop.mode == LoopMode.MAN.value:
        warnings.append(f"{loop.name} is in manual: the valve follows once it is in auto")
    if _offset_k(loop):
        warnings.append(f"the offset of {quantity(_offset_k(loop), 'K')} waits meanwhile")
    return Preview(
        command=command,
        subject=_subject(command.circuit),
        present=_present(loop),
        wanted=wanted,
        mode=loop.mode,
        holder=_holder(loop),
        # What is given lies within the range of T2g, so that neither end of it rules any more.
        warnings=(*warnings, *_limited(loop, no_limit=(*_NO_LIMIT, *_RANGE)), *not_ours(now)),
    )


def _preview_end(command: EndSetpoint, loop: LoopView, now: StationSnapshot) -> Preview | Refusal:
    if _given(loop) is None:
        return Refusal(
            Cause.CONFLICT,
            f"No person's setpoint stands for {command.circuit} of {now.station} now.",
            "There is nothing to do.",
        )
    return Preview(
        command=command,
        subject=_subject(command.circuit),
        present=_present(loop),
        wanted="by the curve, with the ramp",
        mode=loop.mode,
        holder=_holder(loop),
        warnings=not_ours(now),
    )


def _subject(circuit: str) -> str:
    return f"setpoint of {circuit}"


def _present(loop: LoopView) -> str:
    given = _given(loop)
    if given is None:
        return f"{quantity(loop.setpoint, '°C')}, by the curve"
    return f"{quantity(given.value, '°C')}, by {given.note}"


def _holder(loop: LoopView) -> str:
    return "curve" if _given(loop) is None else "operator"


def _given(loop: LoopView) -> ChainStep | None:
    """Return the setpoint that a person gave, with who and why; None where the curve rules."""
    return next((link for link in loop.chain if link.name == GIVEN_STEP), None)


def _limited(loop: LoopView, *, no_limit: tuple[str, ...] = _NO_LIMIT) -> tuple[str, ...]:
    """Return which limit rules the setpoint now, and which the valve, as sentences."""
    found = []
    if loop.ruling not in no_limit:
        found.append(f"limited now by {loop.ruling}: the setpoint moves no further than it allows")
    if loop.output_ruling:
        ruler = loop.output_ruling
        found.append(f"limited now by {ruler}: the valve opens no further than it allows")
    return tuple(found)


def _offset_k(loop: LoopView) -> float:
    return next(link.value for link in loop.chain if link.name == "offset")
