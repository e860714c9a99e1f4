"""What makes two devices be on one line, and how a line may be used.

Rule: devices on one line have equal keys; a configuration in which they differ is refused.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a line may be used.

    Attributes:
        depth: Most requests under way at once.
        min_gap_s: Shortest time from a reply to the next request.
        connect_delay_s: How long a new connection is left alone.
    """

    depth: int = 1
    min_gap_s: float = 0.0
    connect_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LineKey:
    """What devices on one line have in common.

    Attributes:
        where: The other end, for people too; two lines never have the same.
        how: Everything else that decides how it is opened.
        pace: How it may be used.
    """

    where: str
    how: tuple[object, ...]
    pace: Pace
