"""The heat source of a station: when the network fails, start the boiler; when it is back, return.

Rule: the boiler is asked for with `boiler_enable` and `boiler_setpoint_c` alone (purge, ignition,
flame and lockout are its own), and unusable signals neither start nor end anything.

The boiler stands in series on the secondary behind the exchanger; T2g is measured behind both.

    NORMAL   the network heats, the valve's loop regulates
    SUSPECT  a hard cause has lasted 30 s
    START    it has lasted 90 s, or a person asks: the boiler is enabled once it is permitted
    BACKUP   the boiler's heat flows; the primary valve is closed, and probes for the network
    RETURN   the network has been good for 30 minutes; the valve takes over, the boiler is lowered
"""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from control_loops.latch import lasting
from control_loops.source_boiler import (
    ALONE_K,
    HEAT_S,
    RETRY_REST_S,
    SAG_K,
    is_heating,
    is_idle,
    lost_permissives,
    missing_permissives,
    setpoint_c,
    trouble,
)
from control_loops.source_model import (
    GasBoiler,
    NetworkSource,
    SourceFacts,
    SourceMove,
    SourceState,
    StateName,
    Transition,
    ValveAsk,
)
from control_loops.source_network import Votes, is_well, vote
from control_loops.source_valve import COLD_S, is_good, valve_step

__all__ = [
    "GasBoiler",
    "NetworkSource",
    "SourceFacts",
    "SourceMove",
    "SourceState",
    "StateName",
    "Transition",
    "ValveAsk",
    "calm_move",
    "is_well",
    "lost_permissives",
    "missing_permissives",
    "source_step",
]

SUSPECT_S = 30.0
START_S = 90.0
CLEAR_S = 300.0
RETURN_S = 1800.0
"""The network must have been good for this long before it is trusted again."""
_ASKED_RETURN_S = 60.0
"""The same when a person wants the network back."""
_FLICKER_S = 10.0
"""A cause that is away for less than this has not gone."""
_ALONE_S = 300.0
_LATE_S = 900.0
"""A boiler that is kept warm must heat within 15 minutes of its start."""
_CALM_MAX = 64
"""How many temperatures of boilers kept warm have their calm move ready."""


class _Change(NamedTuple):
    name: StateName
    why: str = ""


def calm_move(boiler: GasBoiler | None, state: SourceState) -> SourceMove | None:
    """Return what is asked while the network is well and nobody asks for the boiler.

    None where the machine is under way, so that `source_step` must be called. Nearly all scans of a
    winter are calm, and the state stays as it is.
    """
    return _calm_move(boiler.keep_warm_c if boiler else 0.0) if _is_at_rest(state) else None


def source_step(
    network: NetworkSource,
    boiler: GasBoiler | None,
    state: SourceState,
    facts: SourceFacts,
    *,
    dt_s: float,
) -> tuple[SourceMove, SourceState]:
    """Return what is asked of boiler and primary valve in this scan, and the next state.

    Call it in every scan that is not calm, also for a station without a boiler (`boiler` None): it
    then still closes the valve of a cold primary, probes for its return, and says that there is no
    backup.
    """
    votes = vote(network, state, facts)
    if not votes.is_failed and not facts.is_start_asked and _is_at_rest(state):
        return _calm_move(boiler.keep_warm_c if boiler else 0.0), state
    timed = _timed(boiler, state, facts, votes, dt_s)
    change = _change(boiler, timed, facts, votes)
    name, old = change.name, timed.name
    transitions = (Transition(old, name, change.why),) if name != old else ()
    timed = _entered(timed, change, facts) if transitions else timed
    is_enabled, waits_for = _enabled(name, boiler, timed, facts)
    is_failed = name == "START" and (
        bool(trouble(facts)) or (timed.in_state_s >= _LATE_S and timed.flowing_s == 0.0)
    )
    valve = valve_step(name, timed, facts, votes, has_heat=is_enabled and not is_failed, dt_s=dt_s)
    next_state = replace(
        timed,
        valve=valve.valve,
        valve_s=valve.valve_s,
        valve_pct=valve.valve_pct,
        cold_s=valve.cold_s,
        good_s=valve.good_s,
        is_enabled=is_enabled,
        run_left_s=_run_left_s(boiler, timed, is_enabled=is_enabled),
        rest_left_s=_rest_left_s(boiler, timed, facts, is_enabled=is_enabled),
        setpoint_c=setpoint_c(name, boiler, timed, facts, dt_s=dt_s) if boiler else 0.0,
    )
    is_waiting = name == "SUSPECT" and timed.cause_s >= START_S and boiler is not None
    move = SourceMove(
        name=name,
        boiler_enable=is_enabled,
        boiler_setpoint_c=next_state.setpoint_c,
        valve=valve.valve,
        valve_pct=valve.valve_pct,
        is_primary_cold=valve.valve == "close" and valve.cold_s >= COLD_S,
        is_heat_flowing=timed.flowing_s >= HEAT_S,
        is_failed=is_failed,
        is_waiting=is_waiting,
        why=_why(boiler, next_state, facts, waits_for),
        transitions=transitions,
    )
    return move, next_state


def _is_at_rest(state: SourceState) -> bool:
    """Return whether only a failed network or a person can change anything in this scan."""
    return (
        state.name == "NORMAL"
        and state.valve == "regulate"
        and state.cause_s == state.cold_s == state.rest_left_s == 0.0
    )


@lru_cache(maxsize=_CALM_MAX)
def _calm_move(keep_warm_c: float) -> SourceMove:
    return SourceMove(
        name="NORMAL",
        boiler_enable=False,
        boiler_setpoint_c=keep_warm_c,
        valve="regulate",
        valve_pct=0.0,
        is_primary_cold=False,
        is_heat_flowing=False,
        is_failed=False,
        is_waiting=False,
        why="",
        transitions=(),
    )


def _timed(
    boiler: GasBoiler | None, state: SourceState, facts: SourceFacts, votes: Votes, dt_s: float
) -> SourceState:
    """Return the state with every stopwatch advanced by one scan."""
    failed = votes.is_failed if facts.is_heat_wanted else False
    clear_s = lasting(state.clear_s, dt_s, is_so=None if failed is None else not failed)
    cause_s = state.cause_s
    if failed:
        cause_s += dt_s
    elif clear_s >= _FLICKER_S:
        cause_s = 0.0
    since_cause_s = state.since_cause_s
    if state.name in {"NORMAL", "SUSPECT"} and cause_s == 0.0:
        since_cause_s = 0.0
    elif state.heat_s is None or state.name == "NORMAL":
        since_cause_s += dt_s
    is_flowing = is_heating(boiler, facts) if boiler and state.is_enabled else False
    flowing_s = lasting(state.flowing_s, dt_s, is_so=is_flowing)
    heat_s = state.heat_s
    if flowing_s >= HEAT_S and heat_s is None and state.name != "NORMAL":
        heat_s = since_cause_s
    return replace(
        state,
        in_state_s=state.in_state_s + dt_s,
        cause_s=cause_s,
        clear_s=clear_s,
        cause=votes.cause or ("" if state.name == "NORMAL" and cause_s == 0.0 else state.cause),
        since_cause_s=since_cause_s,
        heat_s=heat_s,
        flowing_s=flowing_s,
        valve_s=state.valve_s + dt_s,
        cold_s=lasting(state.cold_s, dt_s, is_so=votes.is_cold),
        dp_s=lasting(state.dp_s, dt_s, is_so=votes.is_under_pressure),
        good_s=lasting(state.good_s, dt_s, is_so=is_good(state, facts, votes)),
        held_s=lasting(state.held_s, dt_s, is_so=_is_alone(boiler, state, facts)),
        run_left_s=max(0.0, state.run_left_s - dt_s),
        rest_left_s=max(0.0, state.rest_left_s - dt_s),
        is_stop_asked=(state.is_stop_asked or facts.is_stop_asked)
        and state.name in {"START", "BACKUP"}
        and not facts.is_start_asked,
    )


def _is_alone(boiler: GasBoiler | None, state: SourceState, facts: SourceFacts) -> bool:
    """Return whether the valve holds the supply temperature without the boiler."""
    return (
        boiler is not None
        and state.name == "RETURN"
        and facts.t2g_c >= facts.t2g_setpoint_c - SAG_K
        and state.setpoint_c <= facts.t2g_c - ALONE_K
        and is_idle(boiler, facts)
    )


def _change(
    boiler: GasBoiler | None, state: SourceState, facts: SourceFacts, votes: Votes
) -> _Change:
    """Return the state that follows and why; the present one where nothing changes."""
    if not facts.is_heat_wanted:
        return _Change("NORMAL", "no heat is wanted")
    if state.name == "NORMAL":
        return _from_normal(boiler, state, facts)
    if boiler is None or state.name == "SUSPECT":
        return _from_suspect(boiler, state, facts)
    if state.name == "START":
        return _from_start(state)
    if state.name == "BACKUP":
        return _from_backup(state, facts)
    return _from_return(state, facts, votes)


def _from_normal(boiler: GasBoiler | None, state: SourceState, facts: SourceFacts) -> _Change:
    if facts.is_start_asked and boiler:
        return _Change("START", "asked for by a person")
    if state.cause_s >= SUSPECT_S:
        return _Change("SUSPECT", state.cause)
    return _Change("NORMAL")


def _from_suspect(boiler: GasBoiler | None, state: SourceState, facts: SourceFacts) -> _Change:
    if boiler and facts.is_start_asked:
        return _Change("START", "asked for by a person")
    if boiler and boiler.start == "auto" and state.cause_s >= START_S:
        return _Change("START", state.cause)
    if state.clear_s >= CLEAR_S and state.valve == "regulate":
        return _Change("NORMAL", "the network has been clear for 5 min")
    return _Change("SUSPECT", state.cause)


def _from_start(state: SourceState) -> _Change:
    if state.flowing_s >= HEAT_S:
        return _Change("BACKUP", "the boiler's heat flows")
    if state.cause_s == 0.0 and state.is_stop_asked:
        return _Change("NORMAL", "the network is asked for by a person")
    is_back = state.clear_s >= CLEAR_S and state.valve in {"regulate", "unload"}
    if is_back and not state.is_by_hand:
        return _Change("NORMAL", "the network came back before the boiler")
    return _Change("START")


def _from_backup(state: SourceState, facts: SourceFacts) -> _Change:
    if trouble(facts):
        return _Change("START", f"FAILED: {trouble(facts)}")
    if state.is_stop_asked and state.good_s >= _ASKED_RETURN_S:
        return _Change("RETURN", "the network is good and asked for by a person")
    if state.good_s >= RETURN_S and state.run_left_s <= 0.0:
        return _Change("RETURN", f"the network has been good for {state.good_s / 60.0:.0f} min")
    return _Change("BACKUP")


def _from_return(state: SourceState, facts: SourceFacts, votes: Votes) -> _Change:
    if votes.is_failed:
        return _Change("BACKUP", votes.cause)
    if facts.is_start_asked:
        return _Change("BACKUP", "asked for by a person")
    if trouble(facts):
        return _Change("NORMAL", f"FAILED: {trouble(facts)}; the network carries on")
    if state.held_s >= _ALONE_S:
        return _Change("NORMAL", "the network holds the supply temperature alone")
    return _Change("RETURN")


def _entered(state: SourceState, change: _Change, facts: SourceFacts) -> SourceState:
    """Return the state on its first scan under the new name."""
    entered = replace(state, name=change.name, in_state_s=0.0, good_s=0.0, held_s=0.0)
    if state.name == "NORMAL":
        # A new episode: the figures of the last one have been read by now.
        entered = replace(entered, decision_s=None, heat_s=None)
    if change.name == "START" and state.name != "BACKUP":
        decision_s, by_hand = state.since_cause_s, facts.is_start_asked
        return replace(entered, decision_s=decision_s, is_by_hand=by_hand)
    if change.name == "NORMAL":
        return replace(
            entered,
            cause="",
            cause_s=0.0,
            since_cause_s=0.0,
            flowing_s=0.0,
            is_by_hand=False,
            is_stop_asked=False,
        )
    return entered


def _enabled(
    name: StateName, boiler: GasBoiler | None, state: SourceState, facts: SourceFacts
) -> tuple[bool, str]:
    """Return whether the boiler is enabled, and what it still waits for."""
    if boiler is None or name not in {"START", "BACKUP", "RETURN"}:
        return False, ""
    if waits_for := trouble(facts):
        return False, waits_for
    if state.is_enabled:
        return True, ""
    if facts.missing:
        return False, "the boiler waits for " + ", ".join(facts.missing)
    if state.rest_left_s > 0.0:
        return False, f"the boiler rests for {state.rest_left_s / 60.0:.0f} min more"
    return True, ""


def _run_left_s(boiler: GasBoiler | None, state: SourceState, *, is_enabled: bool) -> float:
    if boiler is None or not is_enabled:
        return 0.0
    return state.run_left_s if state.is_enabled else boiler.min_run_s


def _rest_left_s(
    boiler: GasBoiler | None, state: SourceState, facts: SourceFacts, *, is_enabled: bool
) -> float:
    if boiler is None:
        return 0.0
    if trouble(facts):
        return max(state.rest_left_s, RETRY_REST_S)
    return boiler.min_off_s if state.is_enabled and not is_enabled else state.rest_left_s


def _why(boiler: GasBoiler | None, state: SourceState, facts: SourceFacts, waits_for: str) -> str:
    """Return what is going on, for people."""
    parts: tuple[str, ...] = ()
    match state.name:
        case "NORMAL":
            parts = (state.cause,) if state.valve != "regulate" else ()
        case "SUSPECT":
            if boiler is None:
                parts = (state.cause, "the station has no backup")
            elif state.cause_s >= START_S:
                parts = (state.cause, "the boiler's start waits for a person")
            else:
                parts = (state.cause,)
        case "START":
            is_late = state.in_state_s >= _LATE_S
            late = "the boiler gives no heat" if is_late else "the boiler starts"
            parts = (state.cause, waits_for or late)
        case "RETURN":
            parts = ("the valve takes over while the boiler is lowered",)
        case _:
            parts = ("the boiler heats", _network_news(state, facts))
    return "; ".join(part for part in parts if part)


def _network_news(state: SourceState, facts: SourceFacts) -> str:
    if state.valve == "probe":
        good_min, return_min = state.good_s / 60.0, RETURN_S / 60.0
        return f"the network has been good for {good_min:.0f} of {return_min:.0f} min"
    if facts.is_tripped or state.dp_s == 0.0:
        return "the network is not back"
    return "the primary valve will probe for the network"
