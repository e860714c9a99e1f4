"""The kinds of commands: what each is called in the audit, and which act without a journal.

Rule: what protects the plant or the people waits for no disk.
"""

from controller.preview import SetPoint
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

ACTIONS: dict[type[Command], str] = {
    SetPoint: "set_point",
    SetOutput: "set_output",
    SetMode: "set_mode",
    SetOffset: "set_offset",
    SetSetpoint: "set_setpoint",
    EndSetpoint: "end_setpoint",
    SetSubstitute: "set_substitute",
    EndSubstitute: "end_substitute",
    StartSource: "start_source",
    StopSource: "stop_source",
    StartTune: "start_tune",
    StopTune: "stop_tune",
    Acknowledge: "acknowledge",
}


def is_protective(command: Command) -> bool:
    """Tell whether a command must act even when no journal can take it."""
    match command:
        case StartSource() | StopSource() | SetOutput() | Acknowledge() | StopTune():
            return True
        case SetMode(mode=mode):
            return mode is LoopMode.MAN
        case _:
            return False
