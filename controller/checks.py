"""May this be asked of this station now? Pure checks that answer with a preview or a refusal.

Rule: nothing here acts or raises; a refusal is a value that says what is wrong and what to do next.
"""

import math
from dataclasses import replace

from controller.preview import Cause, Preview, Refusal, lease_text, listed, quantity
from controller.resolve import StationConfig, backups_of, no_source, resolve
from controller.snapshot import AlarmView, LoopView, StationSnapshot
from controller.substitutes import preview_substitute
from core.command import (
    Acknowledge,
    Command,
    EndSubstitute,
    LoopMode,
    SetMode,
    SetOffset,
    SetOutput,
    SetSubstitute,
    StartSource,
    StartTune,
    StopSource,
    StopTune,
)
from core.point import Point, Tag, Unit

WHY_CHARS_MIN, WHY_CHARS_MAX = 3, 200
LEASE_S_MIN, LEASE_S_MAX = 60.0, 24 * 3600.0
MANUAL_LEASE_S, OFFSET_LEASE_S = 4 * 3600.0, 24 * 3600.0
"""How long a manual output (or a substitute) and an offset stay when nobody says otherwise."""
OFFSET_K_MAX = 10.0

_WATCHING = frozenset({"none", "watch"})
_STRONGER = frozenset({"local", "trip", "frost"})
_SOURCE_RUNS = frozenset({"start", "backup"})


def preview(command: Command, config: StationConfig, now: StationSnapshot) -> Preview | Refusal:
    """Return what `command` would do to the station as it is now, or why it may not.

    Args:
        command: The wish; a manual value or offset without lease gets the default one.
        config: The station's configuration.
        now: The station after its newest scan.
    """
    meant = resolve(command, config, now)
    if isinstance(meant, Refusal):
        return meant
    meant = _with_lease(meant)
    refusal = _check_why(meant.why) or _check_lease(meant)
    # What only changes how heatd sees the station may be done where it moves nothing.
    if refusal is None and not isinstance(meant, Acknowledge | SetSubstitute | EndSubstitute):
        refusal = _check_writable(now) or _check_moves(meant, config, now)
    return refusal or _preview(meant, config, now)


def _preview(command: Command, config: StationConfig, now: StationSnapshot) -> Preview | Refusal:
    match command:
        case SetSubstitute() | EndSubstitute():
            return preview_substitute(command, config, now)
        case SetOutput():
            return _preview_output(command, config, now)
        case SetMode():
            return _preview_mode(command, now)
        case SetOffset():
            return _preview_offset(command, config, now)
        case Acknowledge() | StartTune() | StopTune() | StartSource() | StopSource():
            return _preview_order(command, config, now)
        case _:
            return Refusal(
                Cause.INVALID,
                f"heatd does not know the command {type(command).__name__}.",
                "See `heatd --help`.",
            )


def _with_lease(command: Command) -> Command:
    """Return `command`; what nobody gave a lease gets the default one, where it needs one."""
    match command:
        case SetOutput() | SetSubstitute() | SetMode(mode=LoopMode.MAN):
            return replace(command, lease_s=command.lease_s or MANUAL_LEASE_S)
        case SetOffset():
            return replace(command, lease_s=command.lease_s or OFFSET_LEASE_S)
        case _:
            return command


def _check_why(why: str) -> Refusal | None:
    length = len(why.strip())
    if length >= WHY_CHARS_MIN and len(why) <= WHY_CHARS_MAX:
        return None
    return Refusal(
        Cause.INVALID,
        f"The reason has {length} characters; it needs {WHY_CHARS_MIN} to {WHY_CHARS_MAX}.",
        "Say in a few words why you do this (--why); it goes into the audit.",
    )


def _check_lease(command: Command) -> Refusal | None:
    if command.lease_s == 0.0:
        return None
    if not isinstance(command, SetOutput | SetOffset | SetSubstitute) and not (
        isinstance(command, SetMode) and command.mode is LoopMode.MAN
    ):
        return Refusal(
            Cause.INVALID,
            "Only a manual value, a substitute or an offset can have a lease.",
            "Leave the lease out.",
        )
    if LEASE_S_MIN <= command.lease_s <= LEASE_S_MAX:
        return None
    return Refusal(
        Cause.INVALID,
        f"A lease of {lease_text(command.lease_s)} is out of range.",
        f"Give {lease_text(LEASE_S_MIN)} to {lease_text(LEASE_S_MAX)}, and renew it when needed.",
    )


def _check_writable(now: StationSnapshot) -> Refusal | None:
    if now.is_read_only:
        return Refusal(
            Cause.FORBIDDEN,
            "heatd runs with --read-only: it writes nothing to any PLC.",
            "Operate at the station's panel, or have heatd restarted without --read-only.",
        )
    if now.authority in _WATCHING:
        return Refusal(
            Cause.FORBIDDEN,
            f"heatd only watches {now.station}: {now.authority_why}.",
            "Operate at the station's panel; `authority` in its file says what heatd may move.",
        )
    return None


def _check_moves(command: Command, config: StationConfig, now: StationSnapshot) -> Refusal | None:
    """Return why outputs and sources are not heatd's to move at this station, if so."""
    if isinstance(command, SetOffset) or config.authority.write == "valve":
        return None
    return Refusal(
        Cause.FORBIDDEN,
        f"At {now.station} the PLC moves valve, pumps and boiler; heatd gives the setpoint.",
        "Shift the curve (`offset`), or operate at the station's panel.",
    )


def _preview_output(
    command: SetOutput, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    loop = _loop(command.loop, now)
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
    if point is None and loop.is_by_contacts:
        # The opening of a motor with two contacts stands in no register.
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
    loop = _loop(command.loop, now)
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
        warnings=(*renews, *_stronger_holder(loop), *_not_ours(now)),
    )


def _preview_offset(
    command: SetOffset, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    if command.circuit not in config.circuits:
        return Refusal(
            Cause.UNKNOWN,
            f"{now.station} has no circuit {command.circuit}.",
            f"It has {listed(config.circuits)}.",
        )
    if not abs(command.offset_k) <= OFFSET_K_MAX:
        return Refusal(
            Cause.INVALID,
            f"An offset of {quantity(command.offset_k, 'K')} is out of range.",
            f"Give -{OFFSET_K_MAX:g} to {OFFSET_K_MAX:g} K, or change the heating curve.",
        )
    name = "T2g" if len(config.circuits) == 1 else f"{command.circuit}.T2g"
    loop = next((loop for loop in now.loops if loop.name == name), None)
    links = loop.chain if loop is not None else ()
    present = next((link.value for link in links if link.name == "offset"), math.nan)
    return Preview(
        command=command,
        subject=f"offset of {command.circuit}",
        present=quantity(present, "K"),
        wanted=quantity(command.offset_k, "K"),
        mode=loop.mode if loop is not None else "",
        holder="",
        warnings=_not_ours(now),
    )


def _preview_order(
    command: Acknowledge | StartSource | StopSource | StartTune | StopTune,
    config: StationConfig,
    now: StationSnapshot,
) -> Preview | Refusal:
    if isinstance(command, Acknowledge):
        return _preview_acknowledge(command, now)
    if isinstance(command, StartTune | StopTune):
        return _preview_tune(command, now)
    return _preview_source(command, config, now)


def _preview_source(
    command: StartSource | StopSource, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    backups = backups_of(config)
    if command.source not in backups:
        return no_source(command.source, now.station, backups)
    is_start = isinstance(command, StartSource)
    if is_start == (now.source in _SOURCE_RUNS):
        told = "started" if is_start else "stopped"
        return Refusal(
            Cause.CONFLICT,
            f"{command.source} cannot be {told}: the source is in {now.source} ({now.source_why}).",
            f"Look again with `heatd status {now.station}`.",
        )
    return Preview(
        command=command,
        subject=f"source {command.source}",
        present=now.source,
        wanted="start" if is_start else "return",
        mode=now.source,
        holder="",
        warnings=_not_ours(now),
    )


def _preview_tune(command: StartTune | StopTune, now: StationSnapshot) -> Preview | Refusal:
    loop = _loop(command.loop, now)
    if isinstance(loop, Refusal):
        return loop
    is_start, is_busy = isinstance(command, StartTune), is_tuning(loop)
    refusal = _check_may_tune(loop, now) if is_start else None
    if is_start == is_busy:
        what = "is under way already" if is_busy else "is not under way"
        refusal = Refusal(
            Cause.CONFLICT,
            f"An autotune of {loop.name} of {now.station} {what}.",
            f"Look with `heatd explain {now.station} {loop.name}`.",
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


def is_tuning(loop: LoopView) -> bool:
    """Return whether an autotune of the loop is under way."""
    return loop.tune is not None and loop.tune.is_busy


def _preview_acknowledge(command: Acknowledge, now: StationSnapshot) -> Preview | Refusal:
    alarm = next((alarm for alarm in now.alarms if alarm.name == command.alarm), None)
    if alarm is not None and _is_unacknowledged(alarm):
        return Preview(
            command=command,
            subject=f"alarm {alarm.name}",
            present=alarm.state,
            wanted="acknowledged",
            mode=alarm.state,
            holder="",
        )
    waiting = [alarm.name for alarm in now.alarms if _is_unacknowledged(alarm)]
    next_step = f"These wait for it: {listed(waiting)}." if waiting else "No alarm waits for it."
    if alarm is None:
        sentence = f"{now.station} has no alarm {command.alarm} now."
        return Refusal(Cause.UNKNOWN, sentence, next_step)
    return Refusal(Cause.CONFLICT, f"{alarm.name} is acknowledged already.", next_step)


def _is_unacknowledged(alarm: AlarmView) -> bool:
    return alarm.state.startswith("unack")


def _loop(name: str, now: StationSnapshot) -> LoopView | Refusal:
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


def _not_ours(now: StationSnapshot) -> tuple[str, ...]:
    if now.authority == "heatd":
        return ()
    return (f"heatd does not move the station now ({now.authority}: {now.authority_why})",)
