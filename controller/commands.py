"""The one way in for every command: look first, then operate, and leave a record either way.

Rule: who asks is decided by the door (the socket's peer), never by the request; what is asked is
carried out only while the plant is as it was shown.
"""

import math
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

import structlog

from controller.actions import ACTIONS, is_protective
from controller.checks import preview
from controller.preview import Cause, Preview, Refusal
from controller.resolve import StationConfig
from controller.snapshot import StationSnapshot
from core.clock import Clock
from core.command import Acknowledge, Command
from core.record import OperatorAction, Record
from history.writer import NotRecorded

log = structlog.get_logger(__name__)

TOKEN_S_MAX = 30.0
"""How long a selection may wait to be operated, in seconds of the wall clock."""
SELECTIONS_MAX = 64
COMMANDS_PER_MINUTE_MAX = 240
"""More than people type; keeps a runaway script from filling the journal."""

DONE, DONE_NOT_RECORDED, ASKED = "done", "done, not yet recorded", "asked"

_MINUTE_S = 60.0


class StationDoor(Protocol):
    """What the desk sees of a station."""

    @property
    def config(self) -> StationConfig:
        """The station's configuration."""
        ...

    @property
    def snapshot(self) -> StationSnapshot | None:
        """The station after its newest scan, None before the first."""
        ...

    @property
    def scans_begun(self) -> int:
        """The number of the newest scan that has taken its commands; it may not be shown yet."""
        ...

    def submit(self, command: Command) -> None:
        """Hand a checked command to the next scan.

        Raises:
            OverflowError: Too many commands wait for that scan already.
        """
        ...


class JournalDoor(Protocol):
    """What the desk sees of the journal's writer."""

    def put(self, records: Iterable[Record]) -> None:
        """Take records; never waits."""
        ...

    async def commit(self, records: Iterable[Record]) -> None:
        """Take records and return when they are durable.

        Raises:
            NotRecorded: They were not in time; they wait and will be written later.
        """
        ...


class DeskDaemon(Protocol):
    """What the desk sees of the daemon."""

    @property
    def stations(self) -> Mapping[str, StationDoor]:
        """Station name to station."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock of the records."""
        ...

    @property
    def journal(self) -> JournalDoor:
        """Where the records go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A command that was shown and waits to be operated, once, within `valid_s`."""

    token: str = field(repr=False)
    who: str
    preview: Preview
    warnings: tuple[str, ...]
    valid_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A command that was carried out. `outcome` is `done` or `done, not yet recorded`."""

    outcome: str
    station: str
    who: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Accepted:
    """The newest command to one subject: its number, who gave it, and the last scan without it."""

    number: int
    who: str
    scans: float


class CommandDesk:
    """Select, operate and acknowledge, for every face of the daemon.

    Args:
        daemon: Its stations, journal and clock.
        wall: The clock of the tokens, where it is not the daemon's own (a demo that runs fast).
    """

    def __init__(self, daemon: DeskDaemon, wall: Clock | None = None) -> None:
        self._daemon = daemon
        self._wall = wall or daemon.clock
        self._selections: dict[str, tuple[Selection, float, int]] = {}
        self._accepted: dict[tuple[str, str], _Accepted] = {}
        self._number = 0
        self._asked_s: deque[float] = deque(maxlen=COMMANDS_PER_MINUTE_MAX)

    def select(self, request: Command, who: str) -> Selection | Refusal:
        """Show what `request` would do; nothing happens yet.

        Args:
            request: The wish; its own `who` is not believed.
            who: Who asks, as `controller.operators` names people.
        """
        request = replace(request, who=who)
        shown = self._limited() or self._look(request)
        if isinstance(shown, Refusal):
            return self._refused(request, shown)
        now_s = self._wall.now().monotonic_s
        self._forget_old(now_s)
        if len(self._selections) >= SELECTIONS_MAX:
            sentence = f"{SELECTIONS_MAX} selections are open."
            return self._refused(
                request, Refusal(Cause.TOO_MANY, sentence, f"Wait {TOKEN_S_MAX:g} s.")
            )
        token = secrets.token_urlsafe()
        others = sorted(
            {
                f"{other.who} has selected it too"
                for other, _, _ in self._selections.values()
                if other.who != who and _subject(other.preview) == _subject(shown)
            }
        )
        made = Selection(
            token=token,
            who=who,
            preview=shown,
            warnings=(*shown.warnings, *others),
            valid_s=TOKEN_S_MAX,
        )
        self._selections[token] = (made, now_s, self._number)
        return made

    async def operate(self, token: str, who: str) -> Outcome | Refusal:
        """Carry out what `token` selected. The token is spent, whatever the answer.

        Args:
            token: Of a selection by the same person, at most `TOKEN_S_MAX` old.
            who: Who operates.
        """
        selection, since_s, number = self._selections.pop(token, (None, math.nan, 0))
        if selection is None:
            refusal = self._limited() or Refusal(
                Cause.CONFLICT,
                "This selection is not known: it was used, ran out, or heatd restarted.",
                "Select again.",
            )
            return self._refused(Command(station="", who=who, why=""), refusal)
        command = replace(selection.preview.command, who=who)
        if selection.who != who:
            sentence = f"This selection belongs to {selection.who}."
            refusal = Refusal(Cause.FORBIDDEN, sentence, "Select it yourself.")
            return self._refused(command, refusal)
        if self._wall.now().monotonic_s - since_s > TOKEN_S_MAX:
            sentence = f"This selection is older than {TOKEN_S_MAX:g} s."
            refusal = Refusal(Cause.CONFLICT, sentence, "Select again and look at the values.")
            return self._refused(command, refusal)
        shown = self._look(command)
        if isinstance(shown, Refusal):
            return self._refused(command, shown)
        changed = self._changed(selection.preview, shown, number)
        if changed is not None:
            return self._refused(command, changed)
        return await self._carry_out(shown)

    async def acknowledge(self, request: Acknowledge, who: str) -> Outcome | Refusal:
        """Acknowledge an alarm; this moves nothing, so nothing is selected first."""
        command = replace(request, who=who)
        shown = self._limited() or self._look(command)
        if isinstance(shown, Refusal):
            return self._refused(command, shown)
        return await self._carry_out(shown)

    def _look(self, command: Command) -> Preview | Refusal:
        """Return what the command would do now, unless an earlier one still waits for its scan."""
        door = self._daemon.stations.get(command.station)
        if door is None:
            names = ", ".join(self._daemon.stations)
            sentence = f"There is no station {command.station}."
            return Refusal(Cause.UNKNOWN, sentence, f"There are: {names}.")
        if door.snapshot is None:
            sentence = f"{command.station} has not finished a scan yet."
            return Refusal(Cause.UNAVAILABLE, sentence, "Try again in a few seconds.")
        shown = preview(command, door.config, door.snapshot)
        if isinstance(shown, Refusal):
            return shown
        earlier = self._accepted.get(_subject(shown))
        if earlier is not None and door.snapshot.scans <= earlier.scans:
            return Refusal(
                Cause.CONFLICT,
                f"A command of {earlier.who} to {shown.subject} waits for the next scan.",
                "Look again in a few seconds.",
            )
        return shown

    def _changed(self, before: Preview, now: Preview, number: int) -> Refusal | None:
        """Return why a selection no longer shows the plant as it is."""
        later = self._accepted.get(_subject(now))
        if later is not None and later.number > number:
            what = f"{later.who} operated {now.subject} after you selected it"
        elif now.mode != before.mode:
            what = f"{now.subject} went from {before.mode} to {now.mode}"
        elif now.holder != before.holder:
            what = f"{now.subject} is now held by {now.holder}, no longer by {before.holder}"
        else:
            return None
        sentence = f"{what}; it is at {now.present}."
        return Refusal(Cause.CONFLICT, sentence, "Look at it and select again.")

    async def _carry_out(self, shown: Preview) -> Outcome | Refusal:
        """Record the command, then hand it to the next scan."""
        command, subject = shown.command, _subject(shown)
        # From here on nobody else's selection of this subject holds, also while the disk works.
        self._number += 1
        accepted = _Accepted(self._number, command.who, math.inf)
        self._accepted[subject] = accepted
        try:
            if is_protective(command):
                return await self._submit_and_record(shown)
            return await self._record_and_submit(shown)
        finally:
            # Not the scan that was shown last: one that writes now will be shown without it.
            scans = self._daemon.stations[command.station].scans_begun
            self._accepted[subject] = replace(accepted, scans=scans)

    async def _submit_and_record(self, shown: Preview) -> Outcome | Refusal:
        """Act at once: no disk may hold up what protects the plant or the people."""
        command = shown.command
        try:
            self._daemon.stations[command.station].submit(command)
        except OverflowError:
            return self._refused(command, _crowded(command), shown.detail)
        # The record is queued before the next scan can run, so before the write it explains.
        try:
            await self._daemon.journal.commit((self._action(command, shown.detail, DONE),))
        except NotRecorded:
            return self._done(shown, DONE_NOT_RECORDED)
        return self._done(shown, DONE)

    async def _record_and_submit(self, shown: Preview) -> Outcome | Refusal:
        """Act only once the journal has it; what comes of it is a second record."""
        command, journal = shown.command, self._daemon.journal
        try:
            await journal.commit((self._action(command, shown.detail, ASKED),))
        except NotRecorded:
            sentence = "The journal cannot take the command now, so it is not carried out."
            refusal = Refusal(Cause.UNAVAILABLE, sentence, "Look at the disk, then try again.")
            return self._refused(command, refusal, shown.detail)
        try:
            self._daemon.stations[command.station].submit(command)
        except OverflowError:
            return self._refused(command, _crowded(command), shown.detail)
        journal.put((self._action(command, shown.detail, DONE),))
        return self._done(shown, DONE)

    def _done(self, shown: Preview, outcome: str) -> Outcome:
        command = shown.command
        done = Outcome(
            outcome=outcome,
            station=command.station,
            who=command.who,
            action=ACTIONS[type(command)],
            detail=shown.detail,
        )
        log.info("command_accepted", **asdict(done))
        return done

    def _refused(self, command: Command, refusal: Refusal, detail: str = "") -> Refusal:
        """Record a refusal, and return it. What came too fast is not recorded."""
        if refusal.cause is Cause.TOO_MANY:
            return refusal
        action = self._action(command, detail, f"refused: {refusal.sentence}")
        self._daemon.journal.put((action,))
        log.info(
            "command_refused",
            station=command.station,
            action=action.action,
            who=command.who,
            reason=refusal.sentence,
        )
        return refusal

    def _action(self, command: Command, detail: str, outcome: str) -> OperatorAction:
        return OperatorAction(
            at=self._daemon.clock.now().utc,
            station=command.station,
            who=command.who,
            action=ACTIONS.get(type(command), "operate"),
            detail=detail,
            why=command.why,
            outcome=outcome,
        )

    def _limited(self) -> Refusal | None:
        """Return a refusal once more commands came within a minute than people type."""
        now_s = self._wall.now().monotonic_s
        asked_s = self._asked_s
        if len(asked_s) == asked_s.maxlen and now_s - asked_s[0] < _MINUTE_S:
            sentence = f"More than {COMMANDS_PER_MINUTE_MAX} commands came within a minute."
            return Refusal(Cause.TOO_MANY, sentence, "Wait a minute.")
        asked_s.append(now_s)
        return None

    def _forget_old(self, now_s: float) -> None:
        self._selections = {
            token: kept
            for token, kept in self._selections.items()
            if now_s - kept[1] <= TOKEN_S_MAX
        }


def _subject(shown: Preview) -> tuple[str, str]:
    return shown.command.station, shown.subject


def _crowded(command: Command) -> Refusal:
    return Refusal(
        Cause.UNAVAILABLE,
        f"Too many commands wait for the next scan of {command.station}.",
        "Try again in a few seconds.",
    )
