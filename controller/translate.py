"""Snapshots and answers as messages of the control socket, and requests as commands.

Rule: only translates; nothing is decided here, and no number is rounded.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, assert_never

from api.messages import (
    AcknowledgeRequest,
    AlarmChange,
    AlarmStatus,
    ChainLink,
    DeviceStatus,
    Explanation,
    LoopStatus,
    ModeRequest,
    PointStatus,
    Problem,
    SetRequest,
    SourceRequest,
    StationStatus,
    Status,
    TuneRequest,
)
from api.messages import Outcome as OutcomeMessage
from api.messages import Selection as SelectionMessage
from controller.commands import DeskDaemon, Outcome, Selection
from controller.explained import read
from controller.loop_checks import no_loop
from controller.preview import Cause, Refusal, SetPoint
from controller.snapshot import OUTDOOR_STEP, ChainStep, LoopView, StationSnapshot
from core.command import (
    Acknowledge,
    Command,
    LoopMode,
    SetMode,
    StartSource,
    StartTune,
    StopSource,
    StopTune,
)
from core.image import ProcessImage
from core.point import Quality
from core.record import AlarmRecord, ExplanationRecord


class ShownDaemon(DeskDaemon, Protocol):
    """What the control socket shows of the daemon, beside its stations."""

    @property
    def started_at(self) -> datetime:
        """When it started."""
        ...

    @property
    def is_simulation(self) -> bool:
        """True where the PLCs are simulated."""
        ...

    @property
    def is_read_only(self) -> bool:
        """True where nothing is written."""
        ...

    async def wait_scan(self) -> None:
        """Return when some station has published a new snapshot."""
        ...


def status_of(daemon: ShownDaemon) -> Status:
    """Return the whole daemon as it is now."""
    snapshots = {name: door.snapshot for name, door in daemon.stations.items()}
    return Status(
        at=daemon.clock.now().utc,
        started_at=daemon.started_at,
        is_simulation=daemon.is_simulation,
        is_read_only=daemon.is_read_only,
        stations=tuple(station_of(snapshot) for snapshot in snapshots.values() if snapshot),
        waiting=tuple(name for name, snapshot in snapshots.items() if snapshot is None),
    )


def whole_station_of(snapshot: StationSnapshot) -> StationStatus:
    """Return one station after a scan, with every point of it."""
    image = snapshot.image
    points = tuple(_point(image, column) for column in range(len(image.table)))
    return station_of(snapshot).model_copy(update={"points": points})


def station_of(snapshot: StationSnapshot) -> StationStatus:
    """Return one station after a scan."""
    return StationStatus(
        station=snapshot.station,
        name_zh=snapshot.name_zh,
        name_en=snapshot.name_en,
        at=snapshot.at,
        scans=snapshot.scans,
        overruns=snapshot.overruns,
        is_simulation=snapshot.is_simulation,
        is_read_only=snapshot.is_read_only,
        authority=snapshot.authority,
        authority_why=snapshot.authority_why,
        outdoor_c=snapshot.outdoor_c,
        outdoor_source=snapshot.outdoor_source,
        rooms_p10_c=snapshot.rooms_p10_c,
        rooms_avg_c=snapshot.rooms_avg_c,
        source=snapshot.source,
        source_why=snapshot.source_why,
        loops=tuple(LoopStatus.model_validate(loop) for loop in snapshot.loops),
        alarms=alarms_of(snapshot),
        devices=tuple(DeviceStatus.model_validate(device) for device in snapshot.devices),
        outdoor_quality=snapshot.outdoor_quality,
        outdoor_age_s=snapshot.outdoor_age_s,
        outdoor_stages=_links(snapshot.outdoor_stages),
        rooms_quality=snapshot.rooms_quality,
        rooms_age_s=snapshot.rooms_age_s,
        doubts=_doubts(snapshot.image),
    )


def _doubts(image: ProcessImage) -> tuple[PointStatus, ...]:
    """Return the points that are not good."""
    good, qualities = int(Quality.GOOD), image.qualities
    if qualities.count(good) == len(qualities):
        return ()
    return tuple(_point(image, i) for i, quality in enumerate(qualities) if quality != good)


def _point(image: ProcessImage, column: int) -> PointStatus:
    tag = image.table.tags[column]
    return PointStatus(
        tag=tag,
        value=image.values[column],
        quality=Quality(image.qualities[column]).name.lower(),
        age_s=image.ages_s[column],
        reason=image.reason(tag),
    )


def alarms_of(snapshot: StationSnapshot) -> tuple[AlarmStatus, ...]:
    """Return the alarms of a station that are not normal, the most urgent and newest first."""
    alarms = (
        AlarmStatus(
            station=snapshot.station,
            name=alarm.name,
            state=alarm.state,
            priority=alarm.priority,
            text_zh=alarm.text_zh,
            text_en=alarm.text_en,
            consequence=alarm.consequence,
            action=alarm.action,
            since=alarm.since,
            is_suppressed=alarm.is_suppressed,
        )
        for alarm in snapshot.alarms
    )
    return urgent_first(alarms)


def urgent_first(alarms: Iterable[AlarmStatus]) -> tuple[AlarmStatus, ...]:
    """Return alarms by priority, and the newest of each priority first."""
    return tuple(sorted(alarms, key=lambda alarm: (alarm.priority, -alarm.since.timestamp())))


def change_of(record: AlarmRecord) -> AlarmChange:
    """Return one past transition of an alarm."""
    return AlarmChange(
        at=record.at,
        station=record.station,
        alarm=record.alarm,
        event=record.event.value,
        priority=record.priority,
        value=record.value,
        text=record.text,
        who=record.who,
        why=record.why,
    )


def explanation_of(snapshot: StationSnapshot, name: str) -> Explanation | Refusal:
    """Return why the loop `name` does what it does."""
    loop = next((loop for loop in snapshot.loops if loop.name == name), None)
    if loop is None:
        return no_loop(name, snapshot)
    rests_on_weather = loop.chain[0].name == OUTDOOR_STEP
    stages = snapshot.outdoor_stages if rests_on_weather else ()
    return _explanation(snapshot.station, snapshot.at, loop, stages)


def _explanation(
    station: str, at: datetime, loop: LoopView, stages: tuple[ChainStep, ...] = ()
) -> Explanation:
    return Explanation(
        station=station,
        at=at,
        loop=LoopStatus.model_validate(loop),
        chain=_links(loop.chain),
        outdoor_stages=_links(stages),
    )


def _links(steps: tuple[ChainStep, ...]) -> tuple[ChainLink, ...]:
    return tuple(ChainLink.model_validate(step) for step in steps)


def past_explanation_of(
    kept: ExplanationRecord | None, station: str, name: str, at: datetime
) -> Explanation | Refusal:
    """Return why the loop `name` did what it did at `at`, as it was kept then."""
    if kept is None:
        sentence = f"Nothing is known of {station} at {at.astimezone():%Y-%m-%d %H:%M:%S}."
        hint = "heatd did not run then, or the samples of that time were pruned."
        return Refusal(Cause.UNKNOWN, sentence, hint)
    loops = read(kept.loops)
    loop = next((loop for loop in loops if loop.name == name), None)
    if loop is None:
        names = ", ".join(loop.name for loop in loops)
        return Refusal(
            Cause.UNKNOWN, f"{station} had no loop {name} then.", f"There were: {names}."
        )
    return _explanation(station, kept.at, loop)


def command_of(request: SetRequest | ModeRequest | SourceRequest | TuneRequest) -> Command:
    """Return the command that a request asks for; who asks is filled in by the desk."""
    station, why = request.station, request.why
    match request:
        case SetRequest(point=point, value=value, lease_s=lease_s):
            return SetPoint(
                station=station, who="", why=why, lease_s=lease_s, point=point, value=value
            )
        case ModeRequest(loop=loop, mode=mode, lease_s=lease_s):
            return SetMode(
                station=station, who="", why=why, lease_s=lease_s, loop=loop, mode=LoopMode(mode)
            )
        case SourceRequest(action="start", source=source):
            return StartSource(station=station, who="", why=why, source=source)
        case SourceRequest(source=source):
            return StopSource(station=station, who="", why=why, source=source)
        case TuneRequest(action="start", loop=loop):
            return StartTune(station=station, who="", why=why, loop=loop)
        case TuneRequest(loop=loop):
            return StopTune(station=station, who="", why=why, loop=loop)
        case _:
            assert_never(request)


def acknowledgement_of(request: AcknowledgeRequest) -> Acknowledge:
    """Return the acknowledgement that a request asks for."""
    return Acknowledge(station=request.station, who="", why=request.why, alarm=request.alarm)


def answer_of(answer: Selection | Outcome) -> SelectionMessage | OutcomeMessage:
    """Return what the desk answered."""
    if isinstance(answer, Outcome):
        return OutcomeMessage.model_validate(answer)
    shown = answer.preview
    return SelectionMessage(
        token=answer.token,
        who=answer.who,
        station=shown.command.station,
        subject=shown.subject,
        present=shown.present,
        wanted=shown.wanted,
        mode=shown.mode,
        holder=shown.holder,
        lease_s=shown.command.lease_s,
        valid_s=answer.valid_s,
        warnings=answer.warnings,
    )


def problem_of(refusal: Refusal) -> Problem:
    """Return why the desk refused."""
    return Problem(
        cause=refusal.cause.value, sentence=refusal.sentence, next_step=refusal.next_step
    )
