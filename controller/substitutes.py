"""May a person's value stand for this point now? What it would do, or why it may not.

Rule: a value that is GOOD is never hidden, and nothing is put in that the point could not measure.
"""

import math

from controller.preview import Cause, Preview, Refusal, quantity
from controller.resolve import StationConfig
from controller.snapshot import StationSnapshot
from core.command import EndSubstitute, SetSubstitute
from core.point import Quality, Tag


def preview_substitute(
    command: SetSubstitute | EndSubstitute, config: StationConfig, now: StationSnapshot
) -> Preview | Refusal:
    """Return what the substitute would do, or why it may not stand for its point, or not end."""
    if isinstance(command, EndSubstitute):
        return _preview_end(command, now)
    tag, point = command.tag, config.points[command.tag]
    unit, sample = point.unit.value, now.image[tag]
    if sample.quality is Quality.GOOD:
        return Refusal(
            Cause.CONFLICT,
            f"{tag} is good: {quantity(sample.value, unit)}.",
            "A substitute stands only for a value that cannot be trusted.",
        )
    if not (math.isfinite(point.low) and math.isfinite(point.high)):
        return Refusal(
            Cause.FORBIDDEN,
            f"{tag} has no range, so heatd cannot tell what is possible.",
            f"Give {tag} a `range` in the device's map.",
        )
    if not point.low <= command.value <= point.high:
        return Refusal(
            Cause.INVALID,
            f"{quantity(command.value, unit)} is outside the range of {tag}.",
            f"Give {point.low:g} to {quantity(point.high, unit)}.",
        )
    mode = sample.quality.name.lower()
    return Preview(
        command=command,
        subject=tag,
        present=f"{quantity(sample.value, unit)}, {mode}: {now.image.reason(tag)}",
        wanted=f"{quantity(command.value, unit)}, substituted",
        mode=mode,
        holder="",
        warnings=(_who_takes_it(tag, config),),
    )


def _preview_end(command: EndSubstitute, now: StationSnapshot) -> Preview | Refusal:
    tag, sample = command.tag, now.image[command.tag]
    if tag not in now.substitutes:
        return Refusal(
            Cause.CONFLICT,
            f"No person's value stands for {tag} of {now.station} now.",
            "There is nothing to do.",
        )
    return Preview(
        command=command,
        subject=tag,
        present=f"{quantity(sample.value, '')}, {now.image.reason(tag) or 'good'}",
        wanted="as measured",
        mode=sample.quality.name.lower(),
        holder="",
    )


def _who_takes_it(tag: Tag, config: StationConfig) -> str:
    if tag in config.outdoor.order:
        return "the outdoor temperature may rest on it"
    return "it is shown and recorded; no loop and no protection rests on a substitute"
