"""What a person may ask of a station: frozen requests with who, why and for how long.

Rule: a command is a wish. `controller/commands.py` checks it, `decide` carries it out, the arbiter
says who holds the output in the end.
"""

from dataclasses import dataclass
from enum import Enum

from core.point import Tag


class LoopMode(Enum):
    """Who moves a loop's output: a person (MAN) or the loop (AUTO)."""

    MAN = "man"
    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The part that every command has. `why` is for the audit; `lease_s` 0 means no lease."""

    station: str
    who: str
    why: str
    lease_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMode(Command):
    """Put a loop into MAN (its output stays where it is) or AUTO."""

    loop: str
    mode: LoopMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOutput(Command):
    """Give the output of a loop that is in MAN, in the output's unit."""

    loop: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOffset(Command):
    """Shift the heating curve of a circuit by `offset_k`, in K."""

    circuit: str
    offset_k: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetpoint(Command):
    """Give a circuit's supply a setpoint, in °C, in the place of what its curve asks for."""

    circuit: str
    setpoint_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSetpoint(Command):
    """Let a circuit's supply follow its curve again."""

    circuit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSubstitute(Command):
    """Put a value in the place of one that cannot be trusted, in the unit of its point."""

    tag: Tag
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSubstitute(Command):
    """Show a point as it is measured again."""

    tag: Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge(Command):
    """Acknowledge an alarm by its name."""

    alarm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSource(Command):
    """Ask the source machine to start the backup source."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSource(Command):
    """Ask the source machine to go back to the base source."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTune(Command):
    """Let an autotune bump the valve of a supply loop, once there is calm."""

    loop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTune(Command):
    """End an autotune; the valve goes back to where it stood before."""

    loop: str
