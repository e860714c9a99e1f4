"""The devices of a station: which protocol each speaks, where it is, and what proves who it is.

Rule: there is one class for each driver, told apart by the key `driver`.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from config.rows import ModbusRow, OpcUaRow
from config.shape import Mark
from core.parameters import parameters
from core.point import Tag, Unit
from drivers.settings import (
    ModbusRtu,
    ModbusRtuTcp,
    ModbusTcp,
    ModbusTls,
    Node,
    OpcUa,
    Register,
    TextRegister,
)


@parameters
class Identity:
    """Which register proves that this is the station's own PLC, and what it must hold.

    Attributes:
        tag: The register.
        equals: What it must hold; with any other number all points of the device are BAD.
        firmware: The register that tells the version of the PLC's program.
        firmware_is: The version that an engineer has confirmed; nothing is written to another.
    """

    tag: Tag
    equals: Annotated[int, Ge(0), Le(65535)]
    firmware: Tag | None = None
    firmware_is: Annotated[float, Ge(0)] | None = None


@parameters
class _ModbusDevice:
    """What every Modbus device of a station has.

    Attributes:
        map: File of the register map, below the directory of the configuration.
        scan_s: Scan period; the station runs at the shortest of its devices.
        identity: How the device proves who it is; nothing is written to one that does not.
        points: What differs from the map in this station, row by row and key by key; `registers`
            and `texts` have it already, so that it is empty here.
        registers: The register map.
        texts: Where texts lie in the device, such as its serial number.
    """

    map: Annotated[str, MinLen(1)]
    scan_s: Annotated[float, Unit.SECOND, Ge(1), Le(60)] = 5.0
    identity: Identity | None = None
    points: Mapping[str, ModbusRow] = field(default_factory=dict)
    registers: Annotated[tuple[Register, ...], Mark.FILLED] = ()
    texts: Annotated[tuple[TextRegister, ...], Mark.FILLED] = ()


@parameters
class ModbusDevice(_ModbusDevice):
    """A device that speaks Modbus TCP; `settings` are its address and timings."""

    driver: Literal["modbus_tcp"] = "modbus_tcp"
    settings: Annotated[ModbusTcp, Mark.INLINE]


@parameters
class ModbusRtuTcpDevice(_ModbusDevice):
    """A device on a serial line behind a converter to TCP."""

    driver: Literal["modbus_rtu_tcp"] = "modbus_rtu_tcp"
    settings: Annotated[ModbusRtuTcp, Mark.INLINE]


@parameters
class ModbusRtuDevice(_ModbusDevice):
    """A device on a serial line of this machine."""

    driver: Literal["modbus_rtu"] = "modbus_rtu"
    settings: Annotated[ModbusRtu, Mark.INLINE]


@parameters
class ModbusTlsDevice(_ModbusDevice):
    """A device that speaks Modbus/TCP Security."""

    driver: Literal["modbus_tls"] = "modbus_tls"
    settings: Annotated[ModbusTls, Mark.INLINE]


AnyModbusDevice = ModbusDevice | ModbusRtuTcpDevice | ModbusRtuDevice | ModbusTlsDevice


@parameters
class OpcUaDevice:
    """A device of a station that speaks OPC UA; attributes as of `ModbusDevice`."""

    driver: Literal["opcua"] = "opcua"
    settings: Annotated[OpcUa, Mark.INLINE]
    map: Annotated[str, MinLen(1)]
    scan_s: Annotated[float, Unit.SECOND, Ge(1), Le(60)] = 5.0
    identity: Identity | None = None
    points: Mapping[str, OpcUaRow] = field(default_factory=dict)
    registers: Annotated[tuple[Node, ...], Mark.FILLED] = ()


Device = AnyModbusDevice | OpcUaDevice
