"""A duty pump and its standbys: start pulses, proof of running, tries, faults and who takes over.

Rule: a pulse is sent once, and at most once more after the proof time has passed; an unusable
signal neither starts nor stops anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from core.point import Tag

MAX_TRIES = 2
"""Start pulses before a pump counts as failed."""
RELEASE_S = 300.0
"""A failed pump is trusted again after its fault bit has been clear for this long."""
PROVEN_HZ = 10.0
"""A drive that reports this speed turns its pump, where no run bit says so."""
COAST_DOWN_S = 15.0
"""A pump needs this long to come to rest before it counts as not stopping."""
_QUIET_MAX = 1024
"""How many pumps have the move ready in which they have the duty and all is well."""


class PumpFacts(NamedTuple):
    """What one pump reports: None and NaN where a signal is unusable or does not exist."""

    is_running: bool | None
    is_faulted: bool | None
    hz: float


class PumpState(NamedTuple):
    """What is remembered of one pump: the open order, its tries, and whether it counts as failed.

    `wait_s` runs since the last pulse; `clear_s`, up to `RELEASE_S`, since the fault bit was last
    seen set or the pump failed.
    """

    order: Literal["", "start", "stop"] = ""
    tries: int = 0
    wait_s: float = 0.0
    is_failed: bool = False
    clear_s: float = RELEASE_S


class SetState(NamedTuple):
    """What is remembered of a set: its pumps, who has duty, who is being brought in.

    `duty` and `incoming` are places in the list of pumps; `incoming` -1 means nobody. `run_s` is
    how long the duty pump has run. `was_proven` tells a pump that stopped from one that has yet to
    start.
    """

    pumps: tuple[PumpState, ...]
    duty: int = 0
    incoming: int = -1
    run_s: float = 0.0
    was_proven: bool = False


class SetMove(NamedTuple):
    """Pulses of this scan and what is known about the set.

    `is_proven` is True while a pump is proven to run, False while all are known not to, None where
    neither is known. `failed` are the names of the pumps that count as failed.
    """

    start: tuple[Tag, ...]
    stop: tuple[Tag, ...]
    duty: str
    is_proven: bool | None
    are_all_failed: bool
    failed: tuple[str, ...]
    why: str


def set_start(names: Sequence[str]) -> SetState:
    """Return the state to start from; a pump that already runs is found and given the duty."""
    return SetState(tuple(PumpState() for _ in names))


def proof(facts: PumpFacts) -> bool | None:
    """Return whether a pump is proven to run, by its run bit or its speed; None if nobody knows."""
    if facts.is_running or facts.hz >= PROVEN_HZ:
        return True
    if facts.is_running is None and not facts.hz < PROVEN_HZ:
        return None
    return False


def set_step(
    names: tuple[str, ...],
    state: SetState,
    *,
    facts: Sequence[PumpFacts],
    is_wanted: bool | None,
    is_acknowledged: bool,
    prove_s: float,
    rotate_s: float,
    dt_s: float,
) -> tuple[SetMove, SetState]:
    """Return the pulses of this scan and the next state.

    Args:
        names: Names of the pumps; the tags of the pulses are NAME_start and NAME_stop.
        state: The state of the previous scan, at first `set_start`.
        facts: What each pump reports, in the order of `names`.
        is_wanted: True to run, False to stop, None to send no pulse at all.
        is_acknowledged: A person has acknowledged: failed pumps may be tried again.
        prove_s: Time in which a started pump must be proven to run.
        rotate_s: Running time after which the next pump takes the duty.
        dt_s: Time since the previous scan, > 0.
    """
    if (settled := _settled(names, state, facts, is_wanted, rotate_s, dt_s)) is not None:
        return settled
    scan = _Scan(
        names,
        [
            _observed(p, f, is_acknowledged=is_acknowledged, dt_s=dt_s)
            for p, f in zip(state.pumps, facts, strict=True)
        ],
        [proof(f) for f in facts],
        prove_s,
    )
    if is_wanted:
        next_state = scan.run(state, rotate_s, dt_s)
    elif is_wanted is None:
        next_state = scan.leave(state)
    else:
        next_state = scan.rest(state)
    is_proven = True if True in scan.proofs else (None if None in scan.proofs else False)
    failed = tuple(n for n, p in zip(names, next_state.pumps, strict=True) if p.is_failed)
    are_all_failed = len(failed) == len(names)
    if are_all_failed:
        scan.notes.append("every pump has failed: " + ", ".join(names))
    move = SetMove(
        tuple(scan.start),
        tuple(scan.stop),
        names[next_state.duty],
        is_proven,
        are_all_failed,
        failed,
        "; ".join(scan.notes),
    )
    return move, next_state


def _settled(
    names: tuple[str, ...],
    state: SetState,
    facts: Sequence[PumpFacts],
    is_wanted: bool | None,  # noqa: FBT001 - passed on from `set_step`, where it is named
    rotate_s: float,
    dt_s: float,
) -> tuple[SetMove, SetState] | None:
    """Return the result of a scan in which nothing can change, or None; nearly all scans are so."""
    for pump in state.pumps:
        if pump.order or pump.is_failed or pump.clear_s < RELEASE_S:
            return None
    for seen in facts:
        if seen.is_faulted:
            return None
    duty, run_s = state.duty, state.run_s
    if is_wanted:
        run_s += dt_s
        if state.incoming >= 0 or run_s >= rotate_s or not proof(facts[duty]):
            return None
        after = SetState(state.pumps, duty, -1, run_s, True)  # noqa: FBT003 - a record's fields
        return _quiet(names[duty], is_proven=True), after
    if is_wanted is None or [proof(seen) for seen in facts].count(False) < len(facts):
        return None
    if state.was_proven or state.incoming >= 0:
        state = SetState(state.pumps, duty, -1, run_s, was_proven=False)
    return _quiet(names[duty], is_proven=False), state


@lru_cache(maxsize=_QUIET_MAX)
def _quiet(duty: str, *, is_proven: bool) -> SetMove:
    """Return the move of a set in which all is well."""
    return SetMove((), (), duty, is_proven, are_all_failed=False, failed=(), why="")


def _observed(
    pump: PumpState, facts: PumpFacts, *, is_acknowledged: bool, dt_s: float
) -> PumpState:
    """Return the pump with its fault bit taken in and its timers advanced."""
    if facts.is_faulted:
        return PumpState(is_failed=True, clear_s=0.0)
    if facts.is_faulted is False and pump.clear_s < RELEASE_S:
        pump = pump._replace(clear_s=min(pump.clear_s + dt_s, RELEASE_S))
    if pump.is_failed and (is_acknowledged or pump.clear_s >= RELEASE_S):
        return PumpState()
    if pump.order:
        return pump._replace(wait_s=pump.wait_s + dt_s)
    return pump


@dataclass(slots=True)
class _Scan:
    """The set within one scan: what is known, and the pulses as they come together."""

    names: tuple[str, ...]
    pumps: list[PumpState]
    proofs: list[bool | None]
    prove_s: float
    start: list[Tag] = field(default_factory=list)
    stop: list[Tag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self, state: SetState, rotate_s: float, dt_s: float) -> SetState:
        """Keep one pump running: adopt, start, take over, rotate."""
        duty = self._adopted(state)
        incoming = state.incoming if duty == state.duty else -1
        was_proven = state.was_proven and duty == state.duty and self.pumps[duty].order != "stop"
        if was_proven and self.proofs[duty] is False and not self.pumps[duty].is_failed:
            self._fail(duty, "stopped by itself")
        first, duty = duty, self._brought_up(duty)
        if duty != first:
            incoming, was_proven = -1, False
        is_proven = self.proofs[duty] is True
        run_s = state.run_s if duty == state.duty else 0.0
        if is_proven:
            run_s += dt_s
        if incoming < 0 and is_proven and run_s >= rotate_s:
            heir = self._next_sound(duty)
            incoming = -1 if heir is None else heir
        if incoming >= 0:
            duty, incoming, run_s = self._rotate(duty, incoming, run_s)
        self._finish_stops(duty, incoming)
        was_proven = self.proofs[duty] is True or (was_proven and self.proofs[duty] is None)
        was_proven = was_proven and self.pumps[duty].order != "stop"
        return SetState(tuple(self.pumps), duty, incoming, run_s, was_proven)

    def rest(self, state: SetState) -> SetState:
        """Stop whatever runs or was about to."""
        for i, pump in enumerate(self.pumps):
            is_up = self.proofs[i] is True or pump.order == "start"
            if is_up and pump.order != "stop":
                self._order_stop(i)
        self._finish_stops()
        return SetState(tuple(self.pumps), state.duty, -1, state.run_s, was_proven=False)

    def leave(self, state: SetState) -> SetState:
        """Send nothing and let open orders wait: who keeps the pumps off is no failed pump."""
        pumps = tuple(
            pump._replace(wait_s=before.wait_s) if pump.order else pump
            for pump, before in zip(self.pumps, state.pumps, strict=True)
        )
        return SetState(pumps, state.duty, -1, state.run_s, was_proven=False)

    def _adopted(self, state: SetState) -> int:
        """Return who has duty: another pump that runs instead of it was started by the PLC."""
        duty = state.duty
        if self.proofs[duty] is False and self.pumps[duty].order != "start":
            for i, is_proven in enumerate(self.proofs):
                is_ours = i == state.incoming or self.pumps[i].order == "stop"
                if is_proven and not is_ours and not self.pumps[i].is_failed:
                    self.notes.append(f"{self.names[i]} runs and has the duty")
                    return i
        return duty

    def _brought_up(self, duty: int) -> int:
        """Return who has duty after this scan's starts and failures; each failure leaves fewer."""
        heir: int | None = duty
        while heir is not None:
            duty = heir
            if not self.pumps[duty].is_failed:
                self._bring_up(duty)
            heir = self._next_sound(duty) if self.pumps[duty].is_failed else None
            if heir is not None:
                self.notes.append(f"{self.names[heir]} takes over from {self.names[duty]}")
        return duty

    def _bring_up(self, i: int) -> None:
        """Start a pump that is known not to run, or count its failed proof."""
        pump = self.pumps[i]
        if self.proofs[i]:
            if pump.order == "stop" and pump.wait_s < COAST_DOWN_S:
                self.notes.append(f"{self.names[i]} comes to rest before it starts again")
            elif pump.order:
                self.pumps[i] = pump._replace(order="", tries=0)
            return
        if self.proofs[i] is None:
            return
        if pump.order != "start":
            self._order_start(i, 1)
        elif pump.wait_s < self.prove_s:
            self.notes.append(f"{self.names[i]} is starting")
        elif pump.tries < MAX_TRIES:
            self._order_start(i, pump.tries + 1)
        else:
            self._fail(i, f"did not run after {MAX_TRIES} starts")
            # A start that comes late would run beside the pump that takes over.
            self._order_stop(i)

    def _rotate(self, duty: int, incoming: int, run_s: float) -> tuple[int, int, float]:
        """Return duty, incoming and running time with the incoming pump brought one scan on."""
        if not self.pumps[incoming].is_failed:
            self._bring_up(incoming)
        if self.pumps[incoming].is_failed:
            return duty, -1, 0.0
        if not self.proofs[incoming]:
            return duty, incoming, run_s
        self.notes.append(f"{self.names[incoming]} takes the duty from {self.names[duty]}")
        self._order_stop(duty)
        return incoming, -1, 0.0

    def _next_sound(self, duty: int) -> int | None:
        count = len(self.names)
        for i in range(duty + 1, duty + count):
            if not self.pumps[i % count].is_failed:
                return i % count
        return None

    def _order_start(self, i: int, tries: int) -> None:
        self.start.append(Tag(f"{self.names[i]}_start"))
        self.pumps[i] = self.pumps[i]._replace(order="start", tries=tries, wait_s=0.0)
        self.notes.append(f"{self.names[i]} is started" + (" once more" if tries > 1 else ""))

    def _order_stop(self, i: int) -> None:
        tries = self.pumps[i].tries + 1 if self.pumps[i].order == "stop" else 1
        self.stop.append(Tag(f"{self.names[i]}_stop"))
        self.pumps[i] = self.pumps[i]._replace(order="stop", tries=tries, wait_s=0.0)

    def _finish_stops(self, *wanted: int) -> None:
        for i, pump in enumerate(self.pumps):
            if pump.order != "stop" or i in wanted:
                continue
            if self.proofs[i] is False and pump.wait_s > 0.0:
                self.pumps[i] = pump._replace(order="", tries=0)
            elif self.proofs[i] and pump.wait_s >= COAST_DOWN_S:
                if pump.tries < MAX_TRIES:
                    self._order_stop(i)
                else:
                    self.notes.append(f"{self.names[i]} does not stop")

    def _fail(self, i: int, how: str) -> None:
        self.pumps[i] = self.pumps[i]._replace(is_failed=True, clear_s=0.0, order="", tries=0)
        self.notes.append(f"{self.names[i]} {how}")
