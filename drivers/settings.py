"""What an engineer says about a device: its address, its timings and where its points lie.

Rule: no protocol library is imported here, so that a configuration is checked without one.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, cast, get_args

from annotated_types import Ge, Gt, Le, MinLen

from core.parameters import Unreadable, parameters
from core.point import Point, Tag, Unit
from drivers.credentials import KeyPair, Login
from drivers.line_key import LineKey, Pace

Area = Literal["holding", "input", "coil", "discrete"]
Kind = Literal["bool", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]
RegisterKind = Literal[Kind, "bcd16", "bcd32"]
WordOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
ByteOrder = Literal[WordOrder, "BA"]

WORDS: dict[RegisterKind, int] = {
    "bool": 1,
    "u16": 1,
    "i16": 1,
    "u32": 2,
    "i32": 2,
    "u64": 4,
    "i64": 4,
    "f32": 2,
    "f64": 4,
    "bcd16": 1,
    "bcd32": 2,
}
"""How many 16-bit registers a value of each kind takes."""

_ADDRESSES = 0x10000
_WORD_BITS = 16
# MODBUS over serial line V1.02, 2.5.1.1: 3.5 characters, and above 19200 baud 1.75 ms.
_QUIET_CHARACTERS = 3.5
_CHARACTER_BITS = 11
_QUIET_S_MIN = 0.00175
_RANGE = re.compile(rf"({'|'.join(get_args(Area))}) ([0-9]{{1,5}})(?:\.\.([0-9]{{1,5}}))?")
# A line to this machine is one line, by whichever of its names.
_THIS_MACHINE = {"localhost": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses of one area, `first` and `last` included."""

    area: Area
    first: int
    last: int

    @classmethod
    def from_text(cls, text: str) -> "AddressRange":
        """Return the range written as in `holding 100..119` or `coil 7`.

        Raises:
            Unreadable: It is not written so.
        """
        match = _RANGE.fullmatch(text)
        hint = "write area and addresses, as in `holding 100..119` or `coil 7`"
        if match is None:
            raise Unreadable(f"`{text}` is no range of addresses", hint)
        first, last = int(match[2]), int(match[3] or match[2])
        if not first <= last < _ADDRESSES:
            raise Unreadable(f"`{text}` is no range in 0..65535", hint)
        return cls(cast("Area", match[1]), first, last)

    def __str__(self) -> str:
        return f"{self.area} {self.first}..{self.last}"

    def holds(self, area: Area, first: int, last: int) -> bool:
        """Return whether any of these addresses lies in the range."""
        return area == self.area and first <= self.last and last >= self.first


@parameters
class _Modbus:
    """What every Modbus device has.

    Attributes:
        unit: Unit identifier; behind a gateway it tells the devices apart.
        timeout_s: How long one request, or the connection, may take.
        word_order: Order of the bytes of a value that takes two or more registers. A value of one
            register is always sent high byte first, as the Modbus specification has it.
        max_block: Most registers that one request may ask for.
        gap: How many registers that nobody wants may be read to save a request.
        forbidden: Addresses that no request may touch, as in `holding 100..119`.
        slow_poll_s: How often the points marked as slow are read.
        min_gap_s: Shortest time from a reply to the next request.
        connect_delay_s: How long a new connection is left alone before the first request.
    """

    unit: Annotated[int, Ge(0), Le(255)] = 1
    timeout_s: Annotated[float, Unit.SECOND, Gt(0), Le(60)] = 1.0
    word_order: WordOrder = "ABCD"
    max_block: Annotated[int, Ge(4), Le(125)] = 125
    gap: Annotated[int, Ge(0), Le(120)] = 8
    forbidden: tuple[AddressRange, ...] = ()
    slow_poll_s: Annotated[float, Unit.SECOND, Gt(0)] = 60.0
    min_gap_s: Annotated[float, Unit.SECOND, Ge(0), Le(5)] = 0.0
    connect_delay_s: Annotated[float, Unit.SECOND, Ge(0), Le(30)] = 0.0


@parameters
class ModbusTcp(_Modbus):
    """A device that speaks Modbus TCP.

    Attributes:
        host: Its address, or its gateway's.
        port: Its TCP port.
        depth: Most requests under way at once; most PLCs answer only one at a time.
        tid_zero: The device answers with transaction 0, whatever the request bears.
    """

    host: Annotated[str, MinLen(1)]
    port: Annotated[int, Ge(1), Le(65535)] = 502
    depth: Annotated[int, Ge(1), Le(16)] = 1
    tid_zero: bool = False

    @property
    def line(self) -> LineKey:
        """The line that it is on."""
        pace = Pace(
            depth=self.depth, min_gap_s=self.min_gap_s, connect_delay_s=self.connect_delay_s
        )
        return LineKey(_at(self.host, self.port), ("modbus_tcp", self.tid_zero), pace)


@parameters
class ModbusRtuTcp(_Modbus):
    """A device on a serial line behind a converter that hands its bytes on over TCP as they are.

    A late answer of another device cannot be told apart on such a line, so that the connection is
    closed after every time-out, and the new one left alone for as long again.

    Attributes:
        host: The converter's address.
        port: Its TCP port.
    """

    host: Annotated[str, MinLen(1)]
    port: Annotated[int, Ge(1), Le(65535)]
    unit: Annotated[int, Ge(1), Le(247)] = 1

    @property
    def line(self) -> LineKey:
        """The line that it is on."""
        pace = Pace(min_gap_s=self.min_gap_s, connect_delay_s=self.connect_delay_s)
        return LineKey(_at(self.host, self.port), ("modbus_rtu_tcp", self.timeout_s), pace)


@parameters
class ModbusRtu(_Modbus):
    """A device on a serial line of this machine.

    Attributes:
        serial_port: Device file of the port, best one that stays, as in `/dev/serial/by-id/...`.
        baud: Bits per second.
        parity: Parity bit.
        stop_bits: Stop bits.
    """

    serial_port: Annotated[str, MinLen(1)]
    unit: Annotated[int, Ge(1), Le(247)] = 1
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1

    @property
    def line(self) -> LineKey:
        """The line that it is on; a pause of 3.5 characters ends a message there."""
        quiet_s = max(_QUIET_CHARACTERS * _CHARACTER_BITS / self.baud, _QUIET_S_MIN)
        pace = Pace(min_gap_s=max(self.min_gap_s, quiet_s), connect_delay_s=self.connect_delay_s)
        how = ("modbus_rtu", self.baud, self.parity, self.stop_bits, self.timeout_s)
        return LineKey(self.serial_port, how, pace)


@parameters
class ModbusTls(_Modbus):
    """A device that speaks Modbus/TCP Security: both sides prove who they are.

    Attributes:
        host: Its address.
        port: Its TCP port.
        timeout_s: How long one request, or the connection with its handshake, may take.
        depth: Most requests under way at once.
        ca_file: Certificates of those whom we believe, PEM.
        certificate_file: Our own certificate, PEM.
        key_file: Its key, PEM; readable by heatd alone.
        server_name: The name in the device's certificate where it is not the host.
    """

    host: Annotated[str, MinLen(1)]
    port: Annotated[int, Ge(1), Le(65535)] = 802
    timeout_s: Annotated[float, Unit.SECOND, Gt(0), Le(60)] = 3.0
    depth: Annotated[int, Ge(1), Le(16)] = 1
    ca_file: Annotated[str, MinLen(1)]
    certificate_file: Annotated[str, MinLen(1)]
    key_file: Annotated[str, MinLen(1)]
    server_name: str = ""

    @property
    def line(self) -> LineKey:
        """The line that it is on."""
        pace = Pace(
            depth=self.depth, min_gap_s=self.min_gap_s, connect_delay_s=self.connect_delay_s
        )
        files = (self.ca_file, self.certificate_file, self.key_file)
        return LineKey(_at(self.host, self.port), ("modbus_tls", *files, self.server_name), pace)


Modbus = ModbusTcp | ModbusRtuTcp | ModbusRtu | ModbusTls


def _at(host: str, port: int) -> str:
    """Return one end by one name, however it is spelt; what only a name server knows stays two."""
    name = host.lower().rstrip(".")
    return f"{_THIS_MACHINE.get(name, name)} port {port}"


@parameters
class OpcUaSecurity:
    """A secure channel: who we are, and whom we trust. Paths are whole paths.

    Attributes:
        policy: What signs and encrypts; what is older than these two is broken.
        mode: `Sign` alone leaves values and commands to be read on the way.
        certificate: Our application certificate, DER or PEM.
        key: Its private key, PEM; not for everybody to read.
        trust: Folder of certificates: those of servers, and those of authorities that sign them.
    """

    policy: Literal["Basic256Sha256", "Aes256_Sha256_RsaPss"]
    mode: Literal["SignAndEncrypt", "Sign"] = "SignAndEncrypt"
    certificate: Annotated[str, MinLen(1)]
    key: Annotated[str, MinLen(1)]
    trust: Annotated[str, MinLen(1)]


@parameters
class OpcUa:
    """A device that speaks OPC UA and is polled.

    Attributes:
        endpoint: Address, "opc.tcp://host:port/path".
        namespace: URI of the namespace of the nodes; its index may differ after each start.
        security: None: nothing is signed, for a network that nobody else can reach.
        user: As whom we log in; None: as nobody in particular.
        user_certificate: Log in by a certificate in place of a name.
        source_time: What the source times of the values mean. `per_value`: the PLC renews the time
            of each value when it samples it, so a value is as old as its time. `newest`: it stamps
            what changed alone, so all values are as old as the newest change. `ignored`: nothing.
        stuck_after_s: When no source time has moved for so long, the connection is made anew.
        timeout_s: How long one service call, or the connection, may take.
        slow_poll_s: How often the points marked as slow are read.
    """

    endpoint: Annotated[str, MinLen(1)]
    namespace: Annotated[str, MinLen(1)]
    security: OpcUaSecurity | None = None
    user: Login | None = None
    user_certificate: KeyPair | None = None
    source_time: Literal["per_value", "newest", "ignored"] = "per_value"
    stuck_after_s: Annotated[float, Unit.SECOND, Ge(5), Le(600)] = 30.0
    timeout_s: Annotated[float, Unit.SECOND, Gt(0), Le(60)] = 4.0
    slow_poll_s: Annotated[float, Unit.SECOND, Gt(0)] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Where a point lies in a Modbus device.

    Attributes:
        address: Wire address, counted from 0.
        bit: Which bit of the register, 0 = lowest; None unless `kind` is bool in a register area.
        scale: The point's value is raw * scale + offset, in the point's unit.
        offset: See `scale`.
        correction: What is added for the error of the sensor, in the point's unit, before the value
            is held against its range.
        current_loop: What the register shows at 4 mA and at 20 mA, for the signal of a transmitter.
        is_slow: The point belongs to the slow group.
        is_once: The point is read once after each connect, and never ages.
        word_order: The device's own order where None. A value of one register, or a bit of one, is
            sent high byte first unless it is BA.
    """

    point: Point
    area: Area
    address: int
    kind: RegisterKind
    bit: int | None = None
    scale: float = 1.0
    offset: float = 0.0
    correction: float = 0.0
    current_loop: tuple[float, float] | None = None
    is_slow: bool = False
    is_once: bool = False
    word_order: ByteOrder | None = None

    @property
    def words(self) -> int:
        """Number of addresses that the point takes: registers, or 1 for a coil or discrete."""
        return WORDS[self.kind]

    @property
    def is_bit_area(self) -> bool:
        """True for coils and discrete inputs."""
        return self.area in {"coil", "discrete"}

    def fault(self) -> str:
        """Return what is impossible about this register, in words; empty where nothing is."""
        writes = self.point.is_writable or self.point.is_pulse
        # A time for the PLC's own timer is a number, and written once like any pulse.
        is_bit_pulse = self.point.is_pulse and self.point.unit is not Unit.SECOND
        rules = (
            (not 0 <= self.address <= _ADDRESSES - self.words, "its address is not in 0..65535"),
            (self.is_bit_area and self.kind != "bool", "a coil or discrete input is a bool"),
            (self.is_bit_area and self.bit is not None, "a coil or discrete input has no bits"),
            (
                not self.is_bit_area and (self.kind == "bool") != (self.bit is not None),
                "a bool in a register needs its bit, and only a bool has one",
            ),
            (self.bit is not None and not 0 <= self.bit < _WORD_BITS, "its bit is not in 0..15"),
            (self.scale == 0.0, "its scale is 0"),
            (
                self.word_order == "BA" and self.words > 1,
                "the order BA is one of a single register",
            ),
            (writes and self.area in {"input", "discrete"}, "its area cannot be written"),
            (writes and self.bit is not None, "one bit of a register cannot be written alone"),
            (is_bit_pulse and self.area != "coil", "a pulse is a coil"),
            (writes and self.is_once, "what is written is read back, so that once is too seldom"),
        )
        return next((text for is_broken, text in rules if is_broken), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRegister:
    """Where a text lies in a Modbus device: a serial number, a version.

    It is no column of an image, for an image holds numbers; whoever wants it asks for it.

    Attributes:
        address: Wire address, counted from 0.
        words: Registers that it takes, two characters in each.
        word_order: BADC where the second character comes first.
        expected: What it must be; empty where nobody said.
    """

    tag: Tag
    area: Area
    address: int
    words: int
    word_order: ByteOrder | None = None
    expected: str = ""

    def fault(self) -> str:
        """Return what is impossible about this text, in words; empty where nothing is."""
        if self.area in {"coil", "discrete"}:
            return "a text lies in registers"
        return "" if self.address + self.words <= _ADDRESSES else "its address is not in 0..65535"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where a point lies in an OPC UA server.

    Attributes:
        node: Where it is, as `NodeAddress` has it written: a string identifier in the device's
            namespace, `ns=URI;i=7`, or a path as in `/Objects/Station/T2g`.
        kind: Type of the variable on the server; values are written as exactly this type.
        is_slow: The point belongs to the slow group.
        is_once: The point is read once after each connect, and never ages.
        correction: What is added for the error of the sensor, in the point's unit.
    """

    point: Point
    node: str
    kind: Kind
    is_slow: bool = False
    is_once: bool = False
    correction: float = 0.0
