"""The decision of one scan: a pure function from what is known to what is written and recorded.

Rule: no clock, no waiting, no input or output; the same inputs give the same decision, so any
moment can be replayed and explained.
"""

from collections.abc import Mapping
from datetime import date
from math import isnan
from typing import NamedTuple

from config.model import BOILER_OUTPUTS, SIMULATOR_IDS
from config.season import MonthDay, Season
from control_loops.outdoor import OutdoorChoice
from control_loops.source import SourceMove, SourceState, calm_move, source_step
from controller.arbiter import Claim, Holder
from controller.authority import (
    Authority,
    AuthorityFacts,
    AuthorityState,
    authority_step,
)
from controller.changes import changes_of
from controller.circuit import CircuitResult, circuit_step
from controller.claims import Scan, ruling
from controller.computed import Beside, computed_facts, supply_off
from controller.contacts import opening_pct
from controller.facts import Facts
from controller.holidays import CHINA
from controller.leases import Asked, substituted, take
from controller.outdoors import station_sky
from controller.plan import StationPlan
from controller.relations import Related, relate
from controller.setpoint import Setpoint, SetpointChain, station_setpoints
from controller.sources import highest, is_network_well, source_facts
from controller.speeds import are_speeds_known
from controller.state import Beat, Heart, StationState, Surroundings
from core.command import Command
from core.image import Outputs, ProcessImage
from core.point import Tag
from core.record import Record, ScanRecord

HEARTBEATS = 65536
BEAT_S = 1.9
"""Our heartbeat counts not oftener than this: the PLC waits for 20 s or more, the line is short."""
# The PLC's counter advances every second: three scans without a change are three misses.
_MISSES_MAX = 3
_B_ENABLE, _B_TSET = BOILER_OUTPUTS
_LOC_REM, _ESTOP, _FALLBACK = Tag("LOC_REM"), Tag("ESTOP"), Tag("FALLBACK")
_PLC_MOVES = "by configuration the PLC's own loops move the outputs"


class Decision(NamedTuple):
    """What one scan decided, and everything that explains it.

    `held` names the holder of every output; `computed` are the facts that alarms may name.
    """

    outputs: Outputs
    records: tuple[Record, ...]
    state: StationState
    outdoor: OutdoorChoice
    source: SourceMove
    circuits: tuple[CircuitResult, ...]
    held: Mapping[Tag, Claim]
    computed: Mapping[str, float]

    @property
    def active_alarms(self) -> tuple[str, ...]:
        """Names of the alarms that are active, acknowledged or not."""
        table = self.state.alarms
        return tuple(
            row.name for row, s in zip(table.rows, table.states, strict=True) if s.is_active
        )


def decide(
    plan: StationPlan,
    image: ProcessImage,
    surroundings: Surroundings,
    commands: tuple[Command, ...],
    state: StationState,
    *,
    dt_s: float,
) -> Decision:
    """Return what to write, what to record and the next state.

    Args:
        plan: The station's configuration, worked out.
        image: Its inputs, frozen.
        surroundings: What other stations, links and the journal say.
        commands: What people asked for since the previous scan, checked.
        state: The state after the previous scan.
        dt_s: The time that this scan stands for, in s, > 0.
    """
    image, relations = _relate(plan, image, state, dt_s=dt_s)
    asked, image = _asked(plan, image, state, commands, dt_s=dt_s + surroundings.missed_s)
    beat = _hear_plc(plan, image, state.plc_beat)
    is_season = is_in_season(plan.config.season, (image.taken_at.utc + CHINA).date())
    openings = [
        opening_pct(circuit, state.circuits[i], image) for i, circuit in enumerate(plan.circuits)
    ]
    authority = _authority(
        plan, image, surroundings, state, beat, openings, is_season=is_season, dt_s=dt_s
    )
    sky, outdoor_state = station_sky(plan, image, surroundings, state, dt_s=dt_s)
    setpoints = station_setpoints(
        plan, image, state, sky, asked.operator, openings, is_ours=authority.is_ours, dt_s=dt_s
    )
    sources = source, source_state = _source(
        plan, image, setpoints[0].chain, asked, state, openings, is_season=is_season, dt_s=dt_s
    )
    scan = _scan(plan, image, authority, asked, source, sky.outdoor, dt_s=dt_s)
    results, held = _circuits(plan, state, setpoints, openings, scan)
    beside = Beside(beat.misses, image.doubts, asked.operator, relations, sky.outlook)
    at = image.taken_at.utc
    computed = computed_facts(plan, surroundings, results, sources, sky.outdoor, beside)
    alarms, alarm_records = asked.alarms.step(Facts(image, computed), dt_s, at, plan.station)
    next_state = StationState(
        tuple([result.state for result in results]),
        alarms,
        authority,
        outdoor_state,
        source_state,
        asked.operator,
        _beat(state.heartbeat, dt_s),
        beat,
        relations,
    )
    outputs = _outputs(plan, next_state, held, results)
    changes = changes_of(plan, at, state, next_state, source, results)
    records = (*asked.records, *changes, *alarm_records, ScanRecord(image, outputs))
    return Decision(outputs, records, next_state, sky.outdoor, source, results, held, computed)


def _relate(
    plan: StationPlan, image: ProcessImage, state: StationState, *, dt_s: float
) -> tuple[ProcessImage, Related]:
    """Return the image without the suspects of broken relations, and what was found."""
    image, standings = relate(plan.relations, image, state.relations.standings, dt_s=dt_s)
    return image, Related(standings, supply_off(plan, image, state, dt_s=dt_s))


def _asked(
    plan: StationPlan,
    image: ProcessImage,
    state: StationState,
    commands: tuple[Command, ...],
    *,
    dt_s: float,
) -> tuple[Asked, ProcessImage]:
    """Return what people ask for, and the image with the values that they put in."""
    asked = take(plan, image, state, commands, dt_s=dt_s)
    return asked, substituted(image, asked.operator.substitutes)


def _beat(last: Heart, dt_s: float) -> Heart:
    """Return our heartbeat after this scan."""
    age_s = last.age_s + dt_s
    return Heart((last.number + 1) % HEARTBEATS, 0.0) if age_s >= BEAT_S else last.older(age_s)


def _hear_plc(plan: StationPlan, image: ProcessImage, last: Beat) -> Beat:
    """Return the PLC's heartbeat, and for how many scans it has not been seen to change."""
    value = image.value(plan.heartbeat_read)
    if isnan(value) or value == last.value:
        return Beat(last.value, last.misses + 1)
    return Beat(value, 0)


def _authority(
    plan: StationPlan,
    image: ProcessImage,
    surroundings: Surroundings,
    state: StationState,
    beat: Beat,
    openings: list[float],
    *,
    is_season: bool,
    dt_s: float,
) -> AuthorityState:
    settings, value = plan.config.authority, image.value
    identities = [value(tag) for tag in plan.identities]
    may_write = (
        settings.write != "none"
        and not surroundings.is_read_only
        and (surroundings.is_simulation or not any(map(_is_simulator, identities)))
        # A boiler that we have started is switched off before the summer's silence.
        and (is_season or state.source.is_enabled)
    )
    is_data_good = (
        beat.misses < _MISSES_MAX
        and not isnan(sum(openings) + sum(identities))
        # Nobody takes over a pump whose speed he does not know; one that he holds, he keeps.
        and (state.authority.is_ours or all(are_speeds_known(c, image) for c in plan.circuits))
    )
    facts = AuthorityFacts(
        may_write,
        is_data_good,
        image.flag(_LOC_REM),
        image.flag(_ESTOP),
        image.flag(_FALLBACK),
        _blocked(surroundings),
    )
    return authority_step(
        state.authority, facts, hand_back_after_s=settings.hand_back_after_s, dt_s=dt_s
    )


def _blocked(surroundings: Surroundings) -> str:
    """Return why a device may not be written to; empty where none is blocked."""
    for status in surroundings.devices.values():
        if status.blocked:
            return status.blocked
    return ""


def is_in_season(season: Season, day: date) -> bool:
    """Return whether heat is due on a day: from the season's first day, 0:00, to its last."""
    at = MonthDay(day.month, day.day)
    if season.start <= season.end:
        return season.start <= at <= season.end
    return at >= season.start or at <= season.end


def _is_simulator(identity: float) -> bool:
    """Return True for a simulated PLC, which a real site never writes to."""
    return SIMULATOR_IDS.start <= identity < SIMULATOR_IDS.stop


def _source(
    plan: StationPlan,
    image: ProcessImage,
    chain: SetpointChain,
    asked: Asked,
    state: StationState,
    openings: list[float],
    *,
    is_season: bool,
    dt_s: float,
) -> tuple[SourceMove, SourceState]:
    valve_pct = highest(openings)
    is_start_asked = asked.is_start_asked and plan.moves_outputs
    if not is_start_asked and is_network_well(plan, image, valve_pct):
        move = calm_move(plan.boiler, state.source)
        if move is not None:
            return move, state.source
    facts = source_facts(
        plan,
        image,
        state.source,
        valve_pct=valve_pct,
        setpoint_c=chain.setpoint_c,
        is_start_asked=is_start_asked,
        is_stop_asked=asked.is_stop_asked,
        is_heat_wanted=is_season,
    )
    return source_step(plan.network, plan.boiler, state.source, facts, dt_s=dt_s)


def _scan(
    plan: StationPlan,
    image: ProcessImage,
    authority: AuthorityState,
    asked: Asked,
    source: SourceMove,
    outdoor: OutdoorChoice,
    *,
    dt_s: float,
) -> Scan:
    may_move = plan.moves_outputs or not authority.may_write
    return Scan(
        image,
        plan.moves_outputs and authority.is_ours,
        plan.moves_outputs and authority.holds is Authority.TAKING_OVER,
        authority.holds is not Authority.LOST,
        authority.why if may_move else _PLC_MOVES,
        source,
        asked.operator,
        asked.acknowledged,
        asked.tune,
        asked.alarms,
        outdoor.value_c,
        dt_s,
    )


def _circuits(
    plan: StationPlan,
    state: StationState,
    setpoints: list[Setpoint],
    openings: list[float],
    scan: Scan,
) -> tuple[tuple[CircuitResult, ...], dict[Tag, Claim]]:
    """Return what the circuits do, and who holds each output of the station."""
    results = tuple(
        [
            circuit_step(circuit, before, setpoint, opening, scan)
            for circuit, before, setpoint, opening in zip(
                plan.circuits, state.circuits, setpoints, openings, strict=True
            )
        ]
    )
    return results, _held(plan, results, scan)


def _held(plan: StationPlan, results: tuple[CircuitResult, ...], scan: Scan) -> dict[Tag, Claim]:
    """Return who holds each output; the boiler is told its orders while control is taken over."""
    held: dict[Tag, Claim] = {}
    for result in results:
        held.update(result.held)
    if plan.boiler is None:
        return held
    if not (scan.is_ours or scan.is_taking_over):
        held[_B_ENABLE] = held[_B_TSET] = Claim(Holder.LOCAL, None, scan.why_not)
        return held
    source = scan.source
    why = source.why or f"source {source.name}"
    held[_B_ENABLE] = Claim(Holder.SOURCE, float(source.boiler_enable), why)
    held[_B_TSET] = Claim(Holder.SOURCE, round(source.boiler_setpoint_c, 1), why)
    trip = ruling(results[0].trips, "boiler")
    if trip is not None:
        held[_B_ENABLE] = Claim(Holder.TRIP, 0.0, f"{trip.interlock}: {trip.why}")
    return held


def _outputs(
    plan: StationPlan,
    state: StationState,
    held: Mapping[Tag, Claim],
    results: tuple[CircuitResult, ...],
) -> Outputs:
    if not state.authority.may_write:
        return Outputs()
    values = {tag: claim.value for tag, claim in held.items() if claim.value is not None}
    values[plan.heartbeat_write] = float(state.heartbeat.number)
    pulses: set[Tag] = set()
    timed: dict[Tag, float] = {}
    for result in results:
        if not result.plan.has_valve_register:
            values.pop(result.plan.valve, None)
        if not isnan(result.chain.setpoint_c):
            values[result.plan.setpoint] = round(result.chain.setpoint_c, 1)
        # A curve that somebody changes at the panel later is alarmed, and not fought.
        if not result.state.is_fallback_confirmed:
            values.update(result.plan.fallback)
        pulses.update(result.pulses)
        timed.update(result.timed)
    return Outputs(values, frozenset(pulses), _urgent(plan, state, held, values), timed)


def _urgent(
    plan: StationPlan,
    state: StationState,
    held: Mapping[Tag, Claim],
    values: Mapping[Tag, float],
) -> frozenset[Tag]:
    """Return the outputs that neither a rate nor a budget of writes may hold back.

    What the PLC hands over must stand in its registers as it stands in the field; a burner must
    stop at once; and a heartbeat that waits is a dead daemon.
    """
    if state.authority.holds is Authority.TAKING_OVER:
        return frozenset(values)
    ruled = [tag for tag, claim in held.items() if claim.holder <= Holder.FROST]
    return frozenset([*ruled, _B_ENABLE, plan.heartbeat_write])
