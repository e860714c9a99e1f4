"""May this be asked of this station now? Pure checks that answer with a preview or a refusal.

Rule: nothing here acts or raises; a refusal is a value that says what is wrong and what to do next.
"""

from dataclasses import replace

from controller.loop_checks import not_ours, preview_loop
from controller.preview import Cause, Preview, Refusal, lease_text, listed
from controller.resolve import StationConfig, backups_of, no_source, resolve
from controller.setpoint_checks import preview_setpoint
from controller.snapshot import AlarmView, StationSnapshot
from controller.substitutes import preview_substitute
from core.command import (
    Acknowledge,
    Command,
    EndSetpoint,
    EndSubstitute,
    LoopMode,
    SetMode,
    SetOffset,
    SetOutput,
    SetSetpoint,
    SetSubstitute,
    StartSource,
    StartTune,
    StopSource,
    StopTune,
)

WHY_CHARS_MIN, WHY_CHARS_MAX = 2, 200
LEASE_S_MIN, LEASE_S_MAX = 60.0, 24 * 3600.0
MANUAL_LEASE_S, OFFSET_LEASE_S = 4 * 3600.0, 24 * 3600.0
"""How long a manual output (a setpoint, a substitute) and an offset stay when nobody says."""

# People type it between Chinese words; Python counts it among what is not printable.
_WIDE_SPACE = "\N{IDEOGRAPHIC SPACE}"
_WATCHING = frozenset({"none", "watch"})
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
    if refusal is None and not _moves_nothing(meant):
        refusal = _check_writable(now) or _check_moves(meant, config, now)
    return refusal or _preview(meant, config, now)


def _preview(command: Command, config: StationConfig, now: StationSnapshot) -> Preview | Refusal:
    match command:
        case SetSubstitute() | EndSubstitute():
            return preview_substitute(command, config, now)
        case SetOutput() | SetMode() | StartTune() | StopTune():
            return preview_loop(command, config, now)
        case SetOffset() | SetSetpoint() | EndSetpoint():
            return preview_setpoint(command, config, now)
        case Acknowledge():
            return _preview_acknowledge(command, now)
        case StartSource() | StopSource():
            return _preview_source(command, config, now)
        case _:
            return Refusal(
                Cause.INVALID,
                f"heatd does not know the command {type(command).__name__}.",
                "See `heatd --help`.",
            )


def _moves_nothing(command: Command) -> bool:
    """Return whether a command may be given where heatd only watches.

    It changes only how heatd sees the station, or takes back a wish: a setpoint or an offset that
    nobody can withdraw would wait for the season.
    """
    if isinstance(command, SetOffset):
        return command.offset_k == 0.0
    return isinstance(command, Acknowledge | SetSubstitute | EndSubstitute | EndSetpoint)


def _with_lease(command: Command) -> Command:
    """Return `command`; what nobody gave a lease gets the default one, where it needs one."""
    match command:
        case SetOutput() | SetSetpoint() | SetSubstitute() | SetMode(mode=LoopMode.MAN):
            return replace(command, lease_s=command.lease_s or MANUAL_LEASE_S)
        case SetOffset():
            return replace(command, lease_s=command.lease_s or OFFSET_LEASE_S)
        case _:
            return command


def _check_why(why: str) -> Refusal | None:
    # It is shown to others where they decide: no escape sequence may paint over what they see.
    if not why.replace(_WIDE_SPACE, " ").isprintable():
        return Refusal(
            Cause.INVALID,
            "The reason has characters that cannot be printed.",
            "Say it in one line of plain text (--why), without control characters.",
        )
    length = len(why.strip())
    if length >= WHY_CHARS_MIN and len(why) <= WHY_CHARS_MAX:
        return None
    return Refusal(
        Cause.INVALID,
        f"The reason needs {WHY_CHARS_MIN} to {WHY_CHARS_MAX} characters and has {length}.",
        "Say in a few words why you do this (--why); it goes into the audit.",
    )


def _check_lease(command: Command) -> Refusal | None:
    if command.lease_s == 0.0:
        return None
    if not isinstance(command, SetOutput | SetOffset | SetSetpoint | SetSubstitute) and not (
        isinstance(command, SetMode) and command.mode is LoopMode.MAN
    ):
        return Refusal(
            Cause.INVALID,
            "Only a manual value, a setpoint, a substitute or an offset can have a lease.",
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
    is_setpoint = isinstance(command, SetOffset | SetSetpoint)
    if is_setpoint or config.authority.write == "valve":
        return None
    return Refusal(
        Cause.FORBIDDEN,
        f"At {now.station} the PLC moves valve, pumps and boiler; heatd gives the setpoint.",
        "Shift the curve (`offset`), give a `setpoint`, or operate at the station's panel.",
    )


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
        warnings=not_ours(now),
    )


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
