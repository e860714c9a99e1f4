"""One line and who shares it: order, fair shares, pauses, and a breaker for each unit.

Rule: units that fail cost the others at most a tenth of the line's time, and a connection that is
gone is told at once to everybody who waits for it.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from drivers.line import (
    ERROR_FLAG,
    TRANSACTION_MAX,
    Batch,
    Confused,
    Line,
    LineError,
    Lost,
    Owner,
    Resting,
    Silent,
    Ticket,
    Unlinked,
)
from drivers.line_key import Pace

FAILING_SHARE_MAX = 0.1
"""Share of a line's time that all units together may take that do not answer."""

_GATEWAY_ERRORS = (10, 11)

Dial = Callable[[Owner], Awaitable[Line]]
"""Opens a line that reports to an owner; raises OSError where there is none to be had."""


class Channel:
    """One line, opened when it is first asked for and closed when its last user leaves.

    Each unit that has something waiting gets its turn after the others, one request each.

    Attributes:
        name: Where the line leads, for messages.
        losses: How often the other side ended the connection.

    Args:
        name: Where the line leads.
        dial: Opens it.
        pace: What the devices behind it ask for.
    """

    def __init__(self, name: str, dial: Dial, pace: Pace) -> None:
        self.name = name
        self.losses = 0
        self._dial = dial
        self._pace = pace
        self._users = 0
        self._line: Line | None = None
        self._dialling: asyncio.Task[Line] | None = None
        self._waiting: dict[int, deque[Batch]] = {}
        self._under_way: list[Ticket] = []
        self._transaction = 0
        self._free_at_s = -math.inf
        self._settle_s = 0.0
        self._turn: asyncio.TimerHandle | None = None
        # Units that failed, and when each may be asked again.
        self._failing: dict[int, float] = {}
        self._silent_unit: int | None = None

    @property
    def is_shared(self) -> bool:
        """Whether more than one device uses the line."""
        return self._users > 1

    def join(self) -> None:
        """Count one more user."""
        self._users += 1

    def leave(self) -> None:
        """Count one user less; after the last one the line is closed."""
        self._users -= 1
        if self._users:
            return
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        self._hang_up(Lost("the line is closed"))
        self._failing.clear()

    def is_failing(self, unit: int) -> bool:
        """Return whether a unit of a shared line failed lately, so that it is worth one probe."""
        return self.is_shared and unit in self._failing

    async def ask(self, unit: int, requests: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Return the reply to each request: function code and body, as they came.

        Args:
            unit: Whom to ask.
            requests: Function code and body of each, at least one.
            timeout_s: How long each reply may take, from its request on.

        Raises:
            LineError: At the first request without a reply; the rest is not asked.
        """
        loop = asyncio.get_running_loop()
        if self._failing and self.is_shared and loop.time() < self._failing.get(unit, -math.inf):
            raise Resting(f"unit {unit} does not answer, and has used up its share of the line")
        batch = Batch(unit, requests, timeout_s, [b""] * len(requests), loop.create_future())
        self._waiting.setdefault(unit, deque()).append(batch)
        self._go_on()
        try:
            await batch.done
        except asyncio.CancelledError:
            self._give_up(batch)
            raise
        return batch.replies

    # --- what the line tells

    def replied(self, ticket: Ticket, pdu: bytes) -> None:
        """Take the reply to a request."""
        if pdu[0] & ERROR_FLAG and pdu[1] in _GATEWAY_ERRORS:
            self._silent_unit = None
            self._fail(ticket, Unlinked(pdu[1]))
            self._go_on()
            return
        self._end(ticket)
        if self._failing:
            self._failing.pop(ticket.unit, None)
        self._silent_unit = None
        batch = ticket.batch
        batch.replies[ticket.index] = pdu
        batch.left -= 1
        if not batch.left and not batch.done.done():
            batch.done.set_result(None)
        if self._waiting:
            self._go_on()

    def wronged(self, ticket: Ticket, why: str) -> None:
        """Fail a request that was answered wrongly."""
        self._fail(ticket, Confused(why))
        self._go_on()

    def confused(self, line: Line, why: str) -> None:
        """Take a new line: on this one nothing can be told apart any more."""
        if line is not self._line:
            line.close()
            return
        self._hang_up(Confused(why))
        self._go_on()

    def lost(self, line: Line) -> None:
        """Tell everybody who waits that the connection is gone."""
        if line is not self._line:
            return
        self.losses += 1
        self._line = None
        self._fail_all(Lost("the connection broke"))

    # --- turns

    def _go_on(self) -> None:
        """Send what may be sent now."""
        while self._waiting and len(self._under_way) < self._pace.depth:
            line = self._line
            if line is None:
                self._open()
                return
            loop = asyncio.get_running_loop()
            now_s = loop.time()
            if now_s < self._free_at_s:
                if self._turn is None:
                    self._turn = loop.call_at(self._free_at_s, self._on_turn)
                return
            self._send(line, self._next(), now_s)

    def _on_turn(self) -> None:
        self._turn = None
        self._go_on()

    def _next(self) -> Ticket:
        """Return the next request: the oldest of the unit that has waited longest for its turn."""
        unit = next(iter(self._waiting))
        queue = self._waiting.pop(unit)
        batch = queue[0]
        index = batch.sent
        batch.sent += 1
        if batch.sent == len(batch.requests):
            queue.popleft()
        if queue:
            self._waiting[unit] = queue
        # The numbers go on from connection to connection, and 0 is never used.
        self._transaction = self._transaction % TRANSACTION_MAX + 1
        return Ticket(unit, batch.requests[index], batch, index, self._transaction)

    def _send(self, line: Line, ticket: Ticket, now_s: float) -> None:
        ticket.sent_s = now_s
        self._under_way.append(ticket)
        ticket.is_followed = bool(self._waiting) and len(self._under_way) < self._pace.depth
        batch = ticket.batch
        batch.under_way += 1
        if batch.timer is None:
            batch.timer = asyncio.get_running_loop().call_at(
                now_s + batch.timeout_s, self._expire, batch
            )
        line.send(ticket)

    def _end(self, ticket: Ticket) -> None:
        """Take a request off the line; the next one may follow after the gap."""
        self._under_way.remove(ticket)
        batch = ticket.batch
        batch.under_way -= 1
        if not batch.under_way and batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        if self._pace.min_gap_s:
            self._free_at_s = asyncio.get_running_loop().time() + self._pace.min_gap_s

    # --- failures

    def _expire(self, batch: Batch) -> None:
        """End the requests of a batch that have waited for too long; watch those sent later."""
        assert batch.timer is not None, "only its timer calls this"
        due_s, batch.timer = batch.timer.when(), None
        for ticket in self._under_way_of(batch):
            if ticket.sent_s + batch.timeout_s > due_s:
                break
            # To end one may have ended the line, and all that was under way on it.
            if ticket in self._under_way:
                self._end_late(ticket)
        left = self._under_way_of(batch)
        if left and batch.timer is None:
            batch.timer = asyncio.get_running_loop().call_at(
                left[0].sent_s + batch.timeout_s, self._expire, batch
            )

    def _under_way_of(self, batch: Batch) -> list[Ticket]:
        """Return the requests of a batch that are under way, in the order in which they went."""
        return [ticket for ticket in self._under_way if ticket.batch is batch]

    def _end_late(self, ticket: Ticket) -> None:
        line = self._line
        is_midway = line is not None and line.is_midway
        error: LineError = (
            Confused("what came is no whole Modbus reply")
            if is_midway
            else Silent(f"no answer within {ticket.batch.timeout_s:g} s")
        )
        self._drop(ticket, error)

    def _give_up(self, batch: Batch) -> None:
        """Forget a batch that nobody waits for any more."""
        if batch.done.done() and not batch.done.cancelled():
            batch.done.exception()  # Else asyncio reports an error that came too late.
        self._unqueue(batch)
        for ticket in self._under_way_of(batch):
            self._drop(ticket, None)

    def _drop(self, ticket: Ticket, error: LineError | None) -> None:
        """End a request that has no reply, and the line too if it is not worth having.

        Without an error the one who asked does not wait any more.
        """
        line = self._line
        must_close = line is not None and line.forget(ticket)
        settle_s = line.settle_s if line is not None and must_close else 0.0
        self._fail(ticket, error, after_s=settle_s)
        # Two units in a row that say nothing: it is the line that says nothing.
        is_dead = self._silent_unit not in {None, ticket.unit}
        self._silent_unit = ticket.unit
        if must_close or is_dead:
            self._hang_up(error or Silent("the line was closed for a request of another unit"))
        self._go_on()

    def _fail(self, ticket: Ticket, error: LineError | None, after_s: float = 0.0) -> None:
        """Fail a request, and with it all that is wanted of its unit at this moment.

        Args:
            ticket: The request.
            error: What happened; nothing is failed without one.
            after_s: For how much longer the line is of no use to the others, s.
        """
        self._end(ticket)
        now_s = asyncio.get_running_loop().time()
        self._failing[ticket.unit] = now_s
        # All that fail share the tenth: n of them wait n times as long.
        cost_s = now_s - ticket.sent_s + after_s
        rest_s = cost_s * (1.0 / FAILING_SHARE_MAX - 1.0) * len(self._failing)
        self._failing[ticket.unit] = now_s + after_s + rest_s
        if error is not None:
            _settle(ticket.batch, error)
            for batch in self._waiting.pop(ticket.unit, ()):
                _settle(batch, error)

    def _unqueue(self, batch: Batch) -> None:
        queue = self._waiting.get(batch.unit)
        if queue is not None and batch in queue:
            queue.remove(batch)
            if not queue:
                del self._waiting[batch.unit]

    def _hang_up(self, error: LineError) -> None:
        """Close the line; what is under way fails, what waits goes over the next one."""
        line, self._line = self._line, None
        if line is not None:
            line.close()
            self._settle_s = line.settle_s
        self._silent_unit = None
        for ticket in tuple(self._under_way):
            self._end(ticket)
            _settle(ticket.batch, error)
            self._unqueue(ticket.batch)

    def _fail_all(self, error: Exception) -> None:
        self._silent_unit = None
        for ticket in tuple(self._under_way):
            self._end(ticket)
            _settle(ticket.batch, error)
        waiting, self._waiting = self._waiting, {}
        for queue in waiting.values():
            for batch in queue:
                _settle(batch, error)

    # --- the connection

    def _open(self) -> None:
        if self._dialling is None:
            timeout_s = next(iter(self._waiting.values()))[0].timeout_s
            self._dialling = asyncio.get_running_loop().create_task(
                self._dialled(timeout_s), name=f"line to {self.name}"
            )
            self._dialling.add_done_callback(self._opened)

    async def _dialled(self, timeout_s: float) -> Line:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._dial(self)
        except TimeoutError:
            raise Lost(f"no connection to {self.name} within {timeout_s:g} s") from None
        except OSError as error:
            why = error.strerror or str(error)
            file = f": {error.filename}" if error.filename else ""
            raise Lost(f"no connection to {self.name} ({why}{file})") from error

    def _opened(self, task: asyncio.Task[Line]) -> None:
        is_wanted = self._dialling is task
        if is_wanted:
            self._dialling = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None and not is_wanted:
            task.result().close()
        elif error is None and task.result().is_open:
            self._line = task.result()
            quiet_s = max(self._pace.connect_delay_s, self._settle_s)
            self._settle_s = 0.0
            if quiet_s:
                self._free_at_s = asyncio.get_running_loop().time() + quiet_s
            self._go_on()
        elif is_wanted:
            # Some devices accept a connection only to close it at once.
            closed = Lost(f"{self.name} takes the connection and closes it")
            self._fail_all(error if isinstance(error, Exception) else closed)


def _settle(batch: Batch, error: Exception) -> None:
    if not batch.done.done():
        batch.done.set_exception(error)
