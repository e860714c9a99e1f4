"""All alarms of one station: one frozen table, advanced once per scan.

Rule: causes are advanced before the alarms that they explain, so that one cause is one alarm even
when everything happens in the same scan.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from operator import is_
from typing import Any

from alarms.alarm import REST, AlarmState, Phase, acknowledge, advance
from alarms.condition import Condition, Facts, causes_of, flaws
from alarms.watch import Watch
from core.point import Tag
from core.record import AlarmEvent, AlarmRecord

_TABLES_MAX = 1024
"""How many templates' tables are shared; one more has a table for each of its stations."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One alarm as the scan needs it; `causes` are places in the table."""

    name: str
    condition: Condition
    needs: Tag | None
    causes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One alarm that a person may want to see."""

    name: str
    condition: Condition
    state: AlarmState


@dataclass(frozen=True, slots=True)
class AlarmTable:
    """The alarms of one station and what each remembers. Make one with `AlarmTable.of`.

    `standing` are the places that `watch` says must be looked at in every scan.
    """

    rows: tuple[_Row, ...]
    states: tuple[AlarmState, ...]
    watch: Watch = field(compare=False, repr=False)
    standing: tuple[int, ...] = field(compare=False, repr=False)

    @classmethod
    def of(cls, conditions: Mapping[str, Condition]) -> "AlarmTable":
        """Return a table in which every alarm rests.

        Args:
            conditions: The conditions by the names of their alarms.

        Raises:
            ValueError: The conditions do not fit together (`condition.flaws` says how).
        """
        return _resting(tuple(conditions.items()))

    @classmethod
    def from_dict(
        cls, conditions: Mapping[str, Condition], kept: Mapping[str, Any]
    ) -> "AlarmTable":
        """Return the table that `to_dict` kept, for the conditions as they are configured now.

        An alarm that is new rests; one that is no longer configured is forgotten.

        Raises:
            ValueError: The conditions do not fit together, or `kept` did not come from `to_dict`.
        """
        first = cls.of(conditions)
        rows = first.rows
        try:
            states = tuple(
                AlarmState.from_dict(kept[row.name]) if row.name in kept else REST for row in rows
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a checkpoint of alarms: {error!r}") from error
        return first.with_states(states)

    def to_dict(self) -> dict[str, Any]:
        """Return all that is not at rest as plain JSON values, for a checkpoint."""
        return {
            row.name: state.to_dict()
            for row, state in zip(self.rows, self.states, strict=True)
            if state is not REST
        }

    def step(
        self, facts: Facts, dt_s: float, at: datetime, station: str
    ) -> tuple["AlarmTable", tuple[AlarmRecord, ...]]:
        """Advance all alarms by one scan.

        Args:
            facts: What is known in this scan.
            dt_s: Time in s since the previous scan, >= 0.
            at: Civil time of the scan, UTC, for the records.
            station: Whose alarms they are, for the records.

        Returns:
            The next table, which is this very object if nothing changed, and what happened.
        """
        places = self._due(facts)
        if not places:
            return self, ()
        states = list(self.states)
        records: list[AlarmRecord] = []
        for i in places:
            row, state = self.rows[i], states[i]
            holds = row.condition.holds(facts, is_active=state.is_active)
            if row.needs is not None and holds is not False:
                holds = _both(holds, facts.flag(row.needs))
            cause = self._cause(row, states)
            if state is REST and not holds and not cause:
                continue
            value = row.condition.observed(facts)
            after, events = advance(
                row.condition, state, holds=holds, cause=cause, value=value, dt_s=dt_s, at=at
            )
            states[i] = after
            if after.is_active and not state.is_active:
                # Its effects stand behind it, so that they still have their turn in this scan.
                _add_in_order(places, self.watch.effects[i])
            for event in events:
                why = after.cause or state.cause if event in _OF_SUPPRESSION else ""
                records.append(_record(row, event, at, station, value=value, why=why))
        return self.with_states(states), tuple(records)

    def acknowledge(
        self, name: str, *, who: str, why: str, at: datetime, station: str
    ) -> tuple["AlarmTable", tuple[AlarmRecord, ...]]:
        """Acknowledge one alarm; nothing happens where nothing waits for it.

        Args:
            name: Name of the alarm.
            who: Who acknowledges.
            why: The reason given, for the audit.
            at: Civil time, UTC.
            station: Whose alarm it is, for the record.

        Returns:
            The next table, and the ACKNOWLEDGED record if something changed.

        Raises:
            KeyError: The station has no alarm of this name.
        """
        i = self._place(name)
        state = self.states[i]
        after, events = acknowledge(state, who)
        value = math.nan if state.value is None else state.value
        records = tuple(
            _record(self.rows[i], event, at, station, value=value, why=why, who=who)
            for event in events
        )
        if not records:
            return self, ()
        return self.with_states([*self.states[:i], after, *self.states[i + 1 :]]), records

    def with_states(self, states: Sequence[AlarmState]) -> "AlarmTable":
        """Return the table with other states, or this very object if none is another object."""
        if all(map(is_, states, self.states)):
            return self
        return AlarmTable(self.rows, tuple(states), self.watch, self.watch.standing(states))

    def active(self) -> tuple[Standing, ...]:
        """Return the alarms that want a person: active, or gone and not acknowledged.

        The most urgent come first, among these the oldest. Suppressed ones are in `suppressed`.
        """
        shown = (
            standing
            for standing in self._standing()
            if standing.state.phase is not Phase.NORMAL and not standing.state.is_suppressed
        )
        return tuple(
            sorted(shown, key=lambda s: (s.condition.priority, str(s.state.raised_at), s.name))
        )

    def suppressed(self) -> tuple[Standing, ...]:
        """Return the alarms that another alarm holds back, each with its cause in its state."""
        return tuple(s for s in self._standing() if s.state.is_noted)

    def state(self, name: str) -> AlarmState:
        """Return what one alarm remembers.

        Raises:
            KeyError: The station has no alarm of this name.
        """
        return self.states[self._place(name)]

    def _due(self, facts: Facts) -> list[int]:
        """Return the places of all alarms that may have something to say, in order."""
        outside = self.watch.outside(facts)
        return sorted(outside.union(self.standing)) if outside else list(self.standing)

    def _place(self, name: str) -> int:
        for i, row in enumerate(self.rows):
            if row.name == name:
                return i
        raise KeyError(name)

    def _standing(self) -> tuple[Standing, ...]:
        return tuple(
            Standing(row.name, row.condition, state)
            for row, state in zip(self.rows, self.states, strict=True)
            if state is not REST
        )

    def _cause(self, row: _Row, states: Sequence[AlarmState]) -> str:
        for i in row.causes:
            if states[i].is_active:
                return self.rows[i].name
        return ""


@lru_cache(maxsize=_TABLES_MAX)
def _resting(named: tuple[tuple[str, Condition], ...]) -> AlarmTable:
    """Return the table in which every alarm rests; stations with one template share it."""
    conditions = dict(named)
    if found := flaws(conditions):
        raise ValueError("; ".join(f"{f.alarm}.{f.field}: {f.message}" for f in found))
    causes = {name: causes_of(name, conditions) for name in conditions}
    # What explains a cause explains its effect too, so a cause always has fewer causes.
    order = sorted(conditions, key=lambda name: len(causes[name]))
    place = {name: i for i, name in enumerate(order)}
    rows = tuple(
        _Row(name, condition, condition.needs, tuple(place[cause] for cause in causes[name]))
        for name, condition in ((name, conditions[name]) for name in order)
    )
    watch = Watch([row.condition for row in rows], [row.causes for row in rows])
    states = (REST,) * len(rows)
    return AlarmTable(rows, states, watch, watch.standing(states))


def _add_in_order(places: list[int], more: Sequence[int]) -> None:
    """Add to the places that are still to come, while a loop goes over them."""
    for i in more:
        at = bisect_left(places, i)
        if at == len(places) or places[at] != i:
            places.insert(at, i)


_OF_SUPPRESSION = frozenset({AlarmEvent.SUPPRESSED, AlarmEvent.UNSUPPRESSED})


def _both(holds: bool | None, needed: bool | None) -> bool | None:  # noqa: FBT001 - two equal terms of a three-valued AND
    if holds is False or needed is False:
        return False
    return None if holds is None or needed is None else True


def _record(
    row: _Row,
    event: AlarmEvent,
    at: datetime,
    station: str,
    *,
    value: float,
    why: str,
    who: str = "",
) -> AlarmRecord:
    return AlarmRecord(
        at=at,
        station=station,
        alarm=row.name,
        event=event,
        priority=row.condition.priority,
        value=value,
        text=str(row.condition.text),
        who=who,
        why=why,
    )
