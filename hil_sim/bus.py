"""What a simulated PLC and its points look like to the servers that put them on a bus.

Rule: the servers know a PLC by its tags and values alone; what a write does is the PLC's affair.
"""

from collections.abc import Mapping
from typing import Protocol

from core.point import Point


class BusPlc(Protocol):
    """A PLC: values by tag, a counter of its scans, and writes that it may refuse."""

    @property
    def registers(self) -> Mapping[str, float]:
        """Return the values as they stand, by tag."""
        ...

    @property
    def generation(self) -> int:
        """Return a number that grows with every scan of the PLC."""
        ...

    def write(self, tag: str, value: float) -> bool:
        """Take a value from the bus, in the point's unit; False refuses it."""
        ...


class BusRegister(Protocol):
    """Where and how a point stands in the register map of a Modbus device."""

    @property
    def point(self) -> Point:
        """Return the point."""
        ...

    @property
    def area(self) -> str:
        """Return holding, input, coil or discrete."""
        ...

    @property
    def address(self) -> int:
        """Return the 0-based wire address."""
        ...

    @property
    def kind(self) -> str:
        """Return bool, u16, i16, u32, i32, u64, i64, f32, f64, bcd16 or bcd32."""
        ...

    @property
    def bit(self) -> int | None:
        """Return which bit of a 16-bit word, where the point is one."""
        ...

    @property
    def scale(self) -> float:
        """Return the factor from the raw number to the value."""
        ...

    @property
    def offset(self) -> float:
        """Return what is added to the scaled raw number."""
        ...

    @property
    def word_order(self) -> str | None:
        """Return ABCD, CDAB, BADC, DCBA or BA; None for the device's own."""
        ...


class BusNode(Protocol):
    """Where and how a point stands in the address space of an OPC UA server."""

    @property
    def point(self) -> Point:
        """Return the point."""
        ...

    @property
    def node(self) -> str:
        """Return the string identifier within the namespace."""
        ...

    @property
    def kind(self) -> str:
        """Return bool, u16, i16, u32, i32, u64, i64, f32 or f64."""
        ...
