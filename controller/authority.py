"""Whether heatd may move a station's outputs in this scan, and how control changes hands.

Rule: while anybody else moves the outputs, heatd only watches and tracks, so that taking over never
makes a step; if we lose sight or die we write nothing, and the PLC goes on by its own curve.
"""

from enum import Enum
from typing import NamedTuple


class Authority(Enum):
    """Who moves the outputs of a station."""

    WATCH = "watch"  # by configuration or --read-only: no write at all, heartbeat included
    LOCAL = "local"  # emergency stop or the panel's local switch
    LOST = "lost"  # the values that control needs are not true
    TRACKING = "tracking"  # data are good; the PLC still follows its own curve
    TAKING_OVER = "taking over"  # our heartbeat runs; the PLC has not handed over yet
    HEATD = "heatd"


# A PLC that sees the heartbeat hands over within a few scans.
_HAND_OVER_S = 60.0


class AuthorityFacts(NamedTuple):
    """What decides about authority in one scan; None where the PLC's bit cannot be trusted.

    `blocked` says why a device may not be written to although it is the right one.
    """

    may_write: bool
    is_data_good: bool
    is_remote: bool | None
    is_emergency_stop: bool | None
    is_plc_on_own_curve: bool | None
    blocked: str = ""


class AuthorityState(NamedTuple):
    """Who moves the outputs, since how many seconds the data are good, and why it is so.

    `told` is whom the records name: another one than `holds` only between a fault, or a pause, and
    the next scan.
    """

    holds: Authority = Authority.LOST
    told: Authority = Authority.LOST
    good_s: float = 0.0
    held_s: float = 0.0
    why: str = "no scan yet"

    @property
    def may_write(self) -> bool:
        """True where outputs may be written."""
        return self.holds is Authority.HEATD or self.holds is Authority.TAKING_OVER

    @property
    def is_ours(self) -> bool:
        """True where the loops move the plant; else they track."""
        return self.holds is Authority.HEATD

    @property
    def reason(self) -> str:
        """Why it is so, and where to look once a PLC is long in handing over."""
        if self.holds is not Authority.TAKING_OVER or self.held_s < _HAND_OVER_S:
            return self.why
        return (
            f"{self.why}, for {self.held_s:.0f} s so far; "
            "see that it reads our heartbeat, and waits for it for three scans at least"
        )


# A PLC that has not fallen back still stands at our last outputs: two good scans are proof enough.
_GOOD_SCANS_BEFORE_RESUMING = 2


def authority_step(
    state: AuthorityState, facts: AuthorityFacts, *, hand_back_after_s: float, dt_s: float
) -> AuthorityState:
    """Return who moves the outputs from this scan on.

    Args:
        state: The state after the previous scan.
        facts: What this scan's image says.
        hand_back_after_s: How long data must be good before heatd takes over from a PLC that runs
            on its own curve, in s.
        dt_s: Time since the previous scan, in s.
    """
    blocked = _blocked(facts)
    if blocked is not None:
        holds, why = blocked
        return _enter(state, holds, why, good_s=0.0, dt_s=dt_s)
    good_s = state.good_s + dt_s
    if state.may_write:
        return _keep(state, facts, good_s=good_s, dt_s=dt_s)
    is_plc_waiting = facts.is_plc_on_own_curve is False
    needed_s = _GOOD_SCANS_BEFORE_RESUMING * dt_s if is_plc_waiting else hand_back_after_s
    if good_s < needed_s:
        why = f"data good for {good_s:.0f} s of {needed_s:.0f} s"
        return _enter(state, Authority.TRACKING, why, good_s=good_s, dt_s=dt_s)
    why = "heartbeat runs; waiting for the PLC to hand over"
    return _enter(state, Authority.TAKING_OVER, why, good_s=good_s, dt_s=dt_s)


def _blocked(facts: AuthorityFacts) -> tuple[Authority, str] | None:
    if not facts.may_write:
        return Authority.WATCH, "writing is not allowed (read-only, or authority: none)"
    if facts.blocked:
        return Authority.WATCH, f"writing is blocked: {facts.blocked}"
    if not facts.is_data_good:
        return Authority.LOST, "the values that control needs are not true"
    if facts.is_emergency_stop is not False:
        return Authority.LOCAL, "emergency stop"
    if facts.is_remote is not True:
        return Authority.LOCAL, "the panel's switch stands on local"
    return None


def _keep(
    state: AuthorityState, facts: AuthorityFacts, *, good_s: float, dt_s: float
) -> AuthorityState:
    match state.holds, facts.is_plc_on_own_curve:
        case Authority.TAKING_OVER, False:
            why = "the PLC follows heatd"
            return _enter(state, Authority.HEATD, why, good_s=good_s, dt_s=dt_s)
        case Authority.HEATD, True:
            # The PLC missed our heartbeat (a slow link, a stopped process): it must be won anew.
            why = "the PLC went to its own curve"
            return _enter(state, Authority.TRACKING, why, good_s=0.0, dt_s=dt_s)
        case _:
            return _enter(state, state.holds, state.why, good_s=good_s, dt_s=dt_s)


def _enter(
    state: AuthorityState, holds: Authority, why: str, *, good_s: float, dt_s: float
) -> AuthorityState:
    held_s = state.held_s + dt_s if holds is state.holds else 0.0
    return AuthorityState(holds, holds, good_s, held_s, why)
