"""A line: one connection that carries Modbus requests and replies, whatever their framing.

Rule: a line knows which reply belongs to which request, and nothing else; whose turn it is, how
long a reply may take and what a silence means is the channel's to say.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

PDU_BYTES_MAX = 253
"""Longest function code and body that a Modbus message holds (application protocol V1.1b3, 4.1)."""

TRANSACTION_MAX = 0xFFFF
"""The highest transaction number; after it they begin anew."""

ERROR_FLAG = 0x80
"""Added to the function code of a request, it makes the code of its exception reply."""


class LineError(Exception):
    """A request brought no reply; what happened, in words."""


class Silent(LineError):  # noqa: N818 - the name says what the other side did
    """No reply came in time."""


class Confused(LineError):  # noqa: N818 - the name says what the other side did
    """What came is no reply to what was asked."""


class Lost(LineError):  # noqa: N818 - the name says what happened to the connection
    """The other side ended the connection, or there was none to be had."""


class Unlinked(LineError):  # noqa: N818 - the name says what the gateway found
    """A gateway has no way to the unit, or no answer from it (exceptions 10 and 11)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class Resting(LineError):  # noqa: N818 - the name says what the unit does
    """Nothing was asked: the unit failed lately, and has used up its share of a shared line."""


@dataclass(slots=True, eq=False)
class Batch:
    """What one device wants at once: it is done when all replies are there, or at the first error.

    Attributes:
        unit: Whom to ask.
        requests: Function code and body of each request.
        timeout_s: How long each reply may take, from its request on.
        replies: Function code and body of each reply, by the index of its request.
        done: Set when the last reply came; carries the error otherwise.
        sent: How many of the requests were sent.
        under_way: How many of them have neither been answered nor given up.
        timer: Ends the waiting for the oldest of these.
        left: How many replies are still missing.
    """

    unit: int
    requests: Sequence[bytes]
    timeout_s: float
    replies: list[bytes]
    done: "asyncio.Future[None]"
    sent: int = 0
    under_way: int = 0
    timer: asyncio.TimerHandle | None = None
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = len(self.requests)


@dataclass(slots=True, eq=False)
class Ticket:
    """One request on its way.

    Attributes:
        unit: Whom it asks.
        pdu: Function code and body.
        batch: What it is part of.
        index: Its place there.
        transaction: The number by which a framing that has numbers finds it again, from 1 on.
        sent_s: Loop time at which it was sent.
        is_followed: Another request is sent right behind it, so that a framing may put both in one
            packet.
    """

    unit: int
    pdu: bytes
    batch: Batch
    index: int
    transaction: int
    sent_s: float = 0.0
    is_followed: bool = False


class Owner(Protocol):
    """Who is told what comes over a line."""

    def replied(self, ticket: Ticket, pdu: bytes) -> None:
        """Take the one reply to a request: function code and body, at least two bytes."""
        ...

    def wronged(self, ticket: Ticket, why: str) -> None:
        """Take note that what came in a request's place is no reply to it; the line holds."""
        ...

    def confused(self, line: "Line", why: str) -> None:
        """Take note that nothing on this line can be told apart any more."""
        ...

    def lost(self, line: "Line") -> None:
        """Take note that the other side ended the connection."""
        ...


class Line(Protocol):
    """One open connection."""

    settle_s: float
    """After we closed it, late answers may come over the next one too: for how long, s."""

    @property
    def is_open(self) -> bool:
        """False once either side ended it."""
        ...

    def send(self, ticket: Ticket) -> None:
        """Send a request; its reply goes to the owner."""
        ...

    def forget(self, ticket: Ticket) -> bool:
        """Wait for a reply no longer; return whether the line must be closed for it.

        It must where a late reply could be taken for that to another request.
        """
        ...

    @property
    def is_midway(self) -> bool:
        """True while the beginning of a message is there and its end is not."""
        ...

    def close(self) -> None:
        """End the connection now; the owner is told nothing any more."""
        ...


class OpenLine(asyncio.Protocol):
    """How the connection of a line begins and ends, whatever its framing.

    Args:
        owner: Who is told what comes.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        # The beginning of a message; never longer than one message and one read of the connection.
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """False once either side ended the connection."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_midway(self) -> bool:
        """True while the beginning of a message is there and its end is not."""
        return bool(self._rest)

    def close(self) -> None:
        """End the connection now; a plain close waits for bytes that a dead peer never takes."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open connection."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner at once, unless we ended it ourselves."""
        del exc
        if self._transport is not None:
            self._transport = None
            self._owner.lost(cast("Line", self))
