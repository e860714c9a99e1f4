"""May a circuit's setpoint be shifted by a person now, and what would it do?

Rule: nothing is asked of a circuit that its station lacks, and nothing beyond what may be asked.
"""

import math

from controller.loop_checks import not_ours
from controller.preview import Cause, Preview, Refusal, listed, quantity
from controller.resolve import StationConfig
from controller.snapshot import StationSnapshot
from core.command import SetOffset

OFFSET_K_MAX = 10.0


def preview_offset(
    command: SetOffset, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    """Return what a shift of the curve would do, or why it may not be."""
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
        warnings=not_ours(now),
    )
