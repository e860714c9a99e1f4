"""Flats with a temperature collector in each: what the rooms really are, and what is reported.

Rule: a collector reports seldom, rounded and noisy; the truth is for scoring alone.
"""

import random
from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from core.parameters import parameters
from core.point import Unit


@parameters
class FlatsParameters:
    """How many flats are measured, how they differ within a group, how their collectors report."""

    count: Annotated[int, Interval(ge=10, le=2000)] = 60
    spread_k: Annotated[float, Unit.KELVIN, Ge(0)] = 0.5
    noise_k: Annotated[float, Unit.KELVIN, Ge(0)] = 0.2
    quantum_k: Annotated[float, Unit.KELVIN, Gt(0)] = 0.1
    report_s: Annotated[float, Unit.SECOND, Gt(0)] = 1800.0


class Flats:
    """The measured flats: (group, offset within the group) each, and their last reports."""

    __slots__ = ("_due", "_members", "_parameters", "_rng", "reported_c")

    def __init__(
        self, parameters: FlatsParameters, shares: Sequence[float], rng: random.Random
    ) -> None:
        self._parameters = parameters
        self._rng = rng
        self._members = _members(parameters, shares)
        self._due = 0.0
        self.reported_c = [0.0] * len(self._members)

    def true_c(self, air_c: Sequence[float]) -> list[float]:
        """Return every flat's true temperature for the groups' air temperatures, °C."""
        return [air_c[group] + offset for group, offset in self._members]

    def settle(self, air_c: Sequence[float]) -> None:
        """Let every collector report at once."""
        for i in range(len(self._members)):
            self._report(i, air_c)

    def step(self, dt_s: float, air_c: Sequence[float]) -> None:
        """Advance by `dt_s`: the collectors report in turn, each once in `report_s`."""
        count = len(self._members)
        before = int(self._due)
        self._due += dt_s * count / self._parameters.report_s
        for i in range(before, int(self._due)):
            self._report(i % count, air_c)
        if self._due >= count:
            self._due -= count

    def _report(self, i: int, air_c: Sequence[float]) -> None:
        p = self._parameters
        group, offset = self._members[i]
        measured = air_c[group] + offset + self._rng.gauss(0.0, p.noise_k)
        self.reported_c[i] = round(measured / p.quantum_k) * p.quantum_k


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0..1) of the values lie, linear between ranks."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _members(parameters: FlatsParameters, shares: Sequence[float]) -> tuple[tuple[int, float], ...]:
    counts = [max(round(share * parameters.count), 1) for share in shares]
    counts[counts.index(max(counts))] += parameters.count - sum(counts)
    members: list[tuple[int, float]] = []
    for group, count in enumerate(counts):
        # Evenly spread, so that the flats' mean is the group's.
        members += [
            (group, parameters.spread_k * ((2 * i + 1) / count - 1.0)) for i in range(count)
        ]
    return tuple(members)
