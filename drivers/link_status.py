"""How a link fares, for the scan and for people.

Rule: a status is what was so at one moment; it never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.point import Tag
from drivers.budget import NO_WEAR, Wear


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """How a link fares.

    Attributes:
        is_up: The device gives data and is the right one.
        down_since_s: Loop time at which an outage began; None while there is none.
        polls: Polls begun; none while waiting in back-off.
        poll_errors: Polls that brought nothing.
        writes: Values that the device took.
        writes_verified: Of these, values that a later poll showed.
        unverified: Tags that do not show what was written.
        last_error: The newest error, empty if there was none yet.
        is_untrusted: There is no connection because one side does not trust the other.
        held: Tags that do not stand as wanted, each with what holds them back.
        worn_out: Tags that have had their day's writes.
        refused: What the device answers but will not give, in words; empty while it gives all.
        wear: What each register that is written has been through.
        blocked: Why nothing may be written to the right device; empty where it may.
    """

    name: str
    is_up: bool
    down_since_s: float | None
    polls: int
    poll_errors: int
    writes: int
    writes_verified: int
    unverified: tuple[Tag, ...]
    last_error: str
    is_untrusted: bool = False
    held: Mapping[Tag, str] = field(default_factory=dict)
    worn_out: tuple[Tag, ...] = ()
    refused: str = ""
    wear: Mapping[Tag, Wear] = field(default_factory=lambda: NO_WEAR)
    blocked: str = ""
