"""May a loop's output be set, its mode changed, or its valve bumped now, and what would it do?

Rule: who holds the output is shown before anything is asked of it, and the stronger one goes first.
"""

import math

from controller.preview import Cause, Preview, Refusal, listed, quantity
from controller.resolve import StationConfig
from controller.snapshot import LoopView, StationSnapshot
from core.command import LoopMode, SetMode, SetOutput, StartTune, StopTune
from core.point import Point, Tag, Unit

_STRONGER = frozenset({"local", "trip", "frost"})


def preview_loop(
    command: SetOutput | SetMode | StartTune | StopTune,
    config: StationConfig,
    now: StationSnapshot,
) -> Preview | Refusal:
    """Return what a command to a loop would do, or why it may not be."""
    if isinstance(command, SetOutput):
        return _preview_output(command, config, now)
    if isinstance(command, SetMode):
        return _preview_mode(command, now)
    return _preview_tune(command, now)


def _preview_output(
    command: SetOutput, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    loop = loop_of(command.loop, now)
    if isinstance(loop, Refusal):
        return loop
    refusal = (
        _check_is_manual(loop, now)
        or _check_authority(now)
        or check_range(command.value, loop, config)
    )
    if refusal is not None:
        return refusal
    return Preview(
        command=command,
        subject=loop.output_tag,
        present=quantity(loop.output, loop.output_unit),
        wanted=quantity(command.value, loop.output_unit),
        mode=loop.mode,
        holder=loop.holder,
        warnings=_stronger_holder(loop),
    )


def _check_is_manual(loop: LoopView, now: StationSnapshot) -> Refusal | None:
    if loop.mode == LoopMode.MAN.value:
        return None
    return Refusal(
        Cause.CONFLICT,
        f"{loop.name} of {now.station} is in {loop.mode}: the loop itself moves {loop.output_tag}.",
        f"Put it into manual first: heatd mode {now.station} {loop.name} man --why ...",
    )


def _check_authority(now: StationSnapshot) -> Refusal | None:
    if now.authority == "heatd":
        return None
    return Refusal(
        Cause.CONFLICT,
        f"heatd does not move {now.station} now ({now.authority}: {now.authority_why}).",
        "Operate at the station's panel, or wait until heatd has control.",
    )


def check_range(value: float, loop: LoopView, config: StationConfig) -> Refusal | None:
    """Return why `value` is not one that the output of `loop` can take, else None.

    The range is that of the point in the device's register map.
    """
    point = config.points.get(Tag(loop.output_tag))
    if point is None and loop.has_no_register:
        # The opening of a motor with two contacts, or of two valves, stands in no register.
        point = Point(tag=Tag(loop.output_tag), unit=Unit.PERCENT, low=0.0, high=100.0)
    if point is None or not (math.isfinite(point.low) and math.isfinite(point.high)):
        return Refusal(
            Cause.FORBIDDEN,
            f"{loop.output_tag} has no range, so heatd cannot tell what is safe.",
            f"Give {loop.output_tag} a `range` in the device's register map.",
        )
    if point.low <= value <= point.high:
        return None
    return Refusal(
        Cause.INVALID,
        f"{quantity(value, loop.output_unit)} is outside the range of {loop.output_tag}.",
        f"Give {point.low:g} to {quantity(point.high, loop.output_unit)}.",
    )


def _preview_mode(command: SetMode, now: StationSnapshot) -> Preview | Refusal:
    loop = loop_of(command.loop, now)
    if isinstance(loop, Refusal):
        return loop
    is_same = loop.mode == command.mode.value
    if is_same and command.mode is LoopMode.AUTO:
        return Refusal(
            Cause.CONFLICT,
            f"{loop.name} of {now.station} is in auto already.",
            "There is nothing to do.",
        )
    renews = ("it is in manual already: this renews the lease",) if is_same else ()
    wanted = command.mode.value
    if command.mode is LoopMode.MAN:
        wanted = f"man at {quantity(loop.output, loop.output_unit)}"
    return Preview(
        command=command,
        subject=loop.output_tag,
        present=f"{loop.mode} at {quantity(loop.output, loop.output_unit)}",
        wanted=wanted,
        mode=loop.mode,
        holder=loop.holder,
        warnings=(*renews, *_stronger_holder(loop), *not_ours(now)),
    )


def _preview_tune(command: StartTune | StopTune, now: StationSnapshot) -> Preview | Refusal:
    loop = loop_of(command.loop, now)
    if isinstance(loop, Refusal):
        return loop
    is_start, is_busy = isinstance(command, StartTune), _is_tuning(loop)
    refusal = _check_may_tune(loop, now) if is_start else None
    if is_start == is_busy:
        what = "is under way already" if is_busy else "is not under way"
        ends = f"; `heatd mode {now.station} {loop.name} man` ends it" if is_busy else ""
        refusal = Refusal(
            Cause.CONFLICT,
            f"An autotune of {loop.name} of {now.station} {what}.",
            f"Look with `heatd explain {now.station} {loop.name}`{ends}.",
        )
    if refusal is not None:
        return refusal
    stands = quantity(loop.output, loop.output_unit)
    phase = loop.tune.phase if loop.tune is not None else "idle"
    return Preview(
        command=command,
        subject=f"autotune of {loop.name}",
        present=f"{phase}, {loop.output_tag} at {stands}",
        wanted=f"a bump of {loop.output_tag} once there is calm" if is_start else "ended",
        mode=loop.mode,
        holder=loop.holder,
    )


def _check_may_tune(loop: LoopView, now: StationSnapshot) -> Refusal | None:
    """Return why the loop may not be bumped now; `controller.tuning` goes on looking."""
    rules = (
        (loop.can_tune, "is not a supply loop, the only kind that is tuned", "Name a T2g."),
        (loop.mode == LoopMode.AUTO.value, f"is in {loop.mode}", "Put it into auto first."),
        (now.source == "normal", f"stands while the source is in {now.source}", "Wait for normal."),
    )
    for may, why, next_step in rules:
        if not may:
            return Refusal(Cause.CONFLICT, f"{loop.name} of {now.station} {why}.", next_step)
    return _check_authority(now)


def _is_tuning(loop: LoopView) -> bool:
    return loop.tune is not None and loop.tune.is_busy


def loop_of(name: str, now: StationSnapshot) -> LoopView | Refusal:
    """Return the loop that is meant, or that the station has none of this name."""
    loop = next((loop for loop in now.loops if loop.name == name), None)
    return loop or no_loop(name, now)


def no_loop(name: str, now: StationSnapshot) -> Refusal:
    """Return the refusal of a request for a loop that the station lacks."""
    return Refusal(
        Cause.UNKNOWN,
        f"{now.station} has no loop {name}.",
        f"It has {listed(loop.name for loop in now.loops)}.",
    )


def _stronger_holder(loop: LoopView) -> tuple[str, ...]:
    if loop.holder not in _STRONGER:
        return ()
    return (f"{loop.holder} holds {loop.output_tag} ({loop.why}): it goes first",)


def not_ours(now: StationSnapshot) -> tuple[str, ...]:
    """Return the warning that what is asked moves nothing yet; none where heatd has control."""
    if now.authority == "heatd":
        return ()
    return (f"heatd does not move the station now ({now.authority}: {now.authority_why})",)
