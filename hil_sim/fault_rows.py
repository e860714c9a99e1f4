"""The catalogue of what a Modbus device and the way to it can do to us, and what must hold then.

Rule: a row names a cause and what an outsider must see of it, never how heatd gets there.
"""

from dataclasses import dataclass

LOOP_RAW = (0, 27648)
"""What the analogue input of a PLC shows at 4 mA and at 20 mA."""

LINK_BACK_S = 5.0
"""Data are true again so soon after the cause ended, s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """One fault of the catalogue.

    Attributes:
        row: Its number, as in the scorecards in docs/drivers.
        name: Its name, unique; several faults may share a row.
        fault: What the hostile device is told.
        amount: How much of it; None for what is usual.
        tag: Which point it is about, where it is about one.
        alarms: What it raises, each once; one alarm mostly, where the cause has one place.
        blinds: No value may be believed while it lasts.
        recover_s: Data are true again so soon after its end, s.
        wire: How requests are framed: tcp or rtu.
        has_loop: T2g comes as the raw signal of a 4-20 mA transmitter.
    """

    row: int
    name: str
    fault: str
    amount: float | None = None
    tag: str = ""
    alarms: tuple[str, ...] = ("comms_lost",)
    blinds: bool = True
    recover_s: float = LINK_BACK_S
    wire: str = "tcp"
    has_loop: bool = False


def _row(row: int, fault: str, name: str = "", **more: object) -> FaultRow:
    return FaultRow(row=row, name=name or fault, fault=fault, **more)  # type: ignore[arg-type] # the table below is checked by its test


def _loop(
    row: int, name: str, *, alarms: tuple[str, ...], current_ma: float = 0.0, raw: int | None = None
) -> FaultRow:
    if raw is None:
        low, high = LOOP_RAW
        raw = round(low + (current_ma - 4.0) / 16.0 * (high - low)) & 0xFFFF
    return _row(row, "raw", name, tag="T2g", amount=raw, alarms=alarms, blinds=False, has_loop=True)


ROWS: tuple[FaultRow, ...] = (
    _row(1, "rst"),
    _row(2, "fin"),
    _row(3, "refuse", recover_s=6.0),
    _row(4, "silent", recover_s=10.0),
    _row(5, "late", amount=3.0),
    _row(6, "drip"),
    _row(7, "wrong-transaction"),
    _row(8, "zero-transaction"),
    _row(9, "wrong-unit"),
    _row(10, "wrong-function"),
    _row(11, "short"),
    _row(12, "long"),
    _row(13, "truncated"),
    _row(14, "junk"),
    _row(15, "bad-length"),
    _row(15, "zero-length"),
    _row(16, "duplicate", alarms=(), blinds=False),
    _row(17, "late", "rtu-late", amount=1.5, wire="rtu"),
    _row(18, "exception", "exception-1", amount=1),
    _row(18, "exception", "exception-2", amount=2),
    _row(18, "exception", "exception-3", amount=3),
    _row(19, "exception", "exception-4", amount=4),
    _row(20, "exception", "exception-5", amount=5, alarms=()),
    _row(20, "exception", "exception-6", amount=6, alarms=()),
    _row(21, "exception", "exception-8", amount=8),
    _row(21, "exception", "exception-10", amount=10),
    _row(21, "exception", "exception-11", amount=11),
    _row(21, "exception", "exception-99", amount=99),
    _row(22, "wrong-echo", alarms=("write_failed",), blinds=False),
    _row(29, "shifted"),
    _row(30, "raw", "identity", tag="PLC_ID", amount=4711),
    _row(31, "frozen", alarms=("heartbeat_stuck",), blinds=False),
    _row(32, "nan", tag="T2g", alarms=("T2g_bad",), blinds=False),
    _row(32, "inf", tag="T2g", alarms=("T2g_bad",), blinds=False),
    _row(
        33,
        "swapped",
        # A group of sensors for each alarm: no device fact can tell swapped words from broken ones.
        alarms=("T2g_bad", "pressure_bad", "primary_bad", "sensor_bad"),
        blinds=False,
    ),
    _loop(34, "open", current_ma=21.5, alarms=("T2g_bad",)),
    _loop(34, "overflow", raw=0x8000, alarms=("T2g_bad",)),
    _loop(35, "shorted", current_ma=3.5, alarms=("T2g_bad",)),
    _loop(36, "under-range", current_ma=3.7, alarms=("T2g_bad",)),
    _loop(36, "over-range", current_ma=20.7, alarms=("T2g_bad",)),
    # The same on a serial line behind a converter: nothing numbers the replies there.
    _row(1, "rst", "rtu-rst", wire="rtu"),
    _row(4, "silent", "rtu-silent", wire="rtu", recover_s=10.0),
    _row(9, "wrong-unit", "rtu-wrong-unit", wire="rtu"),
    _row(10, "wrong-function", "rtu-wrong-function", wire="rtu"),
    _row(11, "short", "rtu-short", wire="rtu"),
    _row(13, "truncated", "rtu-truncated", wire="rtu"),
    _row(14, "junk", "rtu-junk", wire="rtu"),
    _row(15, "bad-length", "rtu-checksum", wire="rtu"),
    _row(16, "duplicate", "rtu-duplicate", wire="rtu", alarms=(), blinds=False),
    _row(19, "exception", "rtu-exception-4", amount=4, wire="rtu"),
)

LONG_ROWS: tuple[FaultRow, ...] = (
    # What a map has wrong is asked for again once a minute.
    _row(18, "forbidden", tag="F3", alarms=("reads_refused",), blinds=False, recover_s=60.0),
)
"""Rows that take more than a minute: for virtual time."""
