"""Each point of a station read once, without the daemon: what `heatd probe` shows.

Rule: nothing is ever written, and a point that does not come says why instead of showing a value.
"""

import math
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from config.devices import AnyModbusDevice, Device, OpcUaDevice
from config.field_names import POINTS
from config.model import Station
from core.clock import SystemClock
from core.point import Point, Quality, Tag
from drivers.base import DriverError
from drivers.current_loop import intact
from drivers.inquiry import Denied, Inquiry
from drivers.line import LineError
from drivers.registers import BlockCodec, text_of
from drivers.settings import Area, Register, TextRegister, WordOrder

_WORD_BYTES = 2
_SILENT_MAX = 3
# What a float becomes whose words are swapped, and what hardly any sensor shows.
_TINY = 1e-12
_DENIALS = {
    1: "it knows no such function: is the area right?",
    2: "it has no such address",
    3: "it refuses so many registers",
    4: "it failed",
    10: "the gateway has no way to it",
    11: "it does not answer its gateway",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one point showed.

    Attributes:
        device: The device that it belongs to.
        tag: Its tag.
        name: What the field calls it, empty where that is not known.
        at: Its address.
        raw: The registers as they came, in hexadecimal; empty where none came.
        value: Its value, the calibration applied; NaN where there is none.
        unit: The value's unit.
        quality: `GOOD`, `STALE` or `BAD`.
        text: The name of its state, or the text that it holds.
        correction: What calibration added.
        said: Why it is not GOOD, or what is odd about it.
    """

    device: str
    tag: str
    name: str
    at: str
    raw: str = ""
    value: float = math.nan
    unit: str = ""
    quality: str = Quality.BAD.name
    text: str = ""
    correction: float = 0.0
    said: str = ""

    @property
    def shown(self) -> str:
        """The value for people: a number with as many digits as it deserves, a state, a text."""
        number = "" if math.isnan(self.value) else f"{self.value:.6g}"
        return f"{number} {self.text}".strip()


async def probe(station: Station) -> AsyncIterator[Probed]:
    """Yield every point of the station, device by device.

    Raises:
        LineError, DriverError: A device does not answer at all.
    """
    for name, device in station.devices.items():
        found = _opcua(name, device) if isinstance(device, OpcUaDevice) else _modbus(name, device)
        async for one in found:
            yield one


async def _modbus(name: str, device: AnyModbusDevice) -> AsyncIterator[Probed]:
    inquiry = Inquiry(device.settings)
    desk = _Desk(name, inquiry)
    spots: list[Register | TextRegister] = [*device.registers, *device.texts]
    try:
        for one in spots:
            if not (isinstance(one, Register) and one.point.is_pulse):
                yield _shown(name, one, await desk.answer(one), device.settings.word_order)
    finally:
        inquiry.close()


class _Desk:
    """The answers of one device: sixteen bits of a status word are one question."""

    def __init__(self, name: str, inquiry: Inquiry) -> None:
        self._name = name
        self._inquiry = inquiry
        self._answers: dict[tuple[Area, int, int], bytes | str] = {}
        self._silent = 0

    async def answer(self, one: Register | TextRegister) -> bytes | str:
        """Return the bytes of a point, or why there are none.

        Raises:
            LineError: The device says nothing from the start on, or no longer.
        """
        key = (one.area, one.address, one.words)
        if key in self._answers:
            return self._answers[key]
        try:
            self._answers[key] = await _answer(self._inquiry, *key)
            self._silent = 0
        except LineError as error:
            self._answers[key] = str(error)
            self._silent += 1
            if self._silent in {len(self._answers), _SILENT_MAX}:
                raise LineError(f"{self._name}: {error}") from error
        return self._answers[key]


async def _answer(inquiry: Inquiry, area: Area, address: int, words: int) -> bytes | str:
    """Return the bytes that came, or why the device refused them.

    Raises:
        LineError: There was no answer.
    """
    try:
        return await inquiry.insist(area, address, words)
    except Denied as error:
        return f"{_DENIALS.get(error.code, 'it refuses')} ({error})"


def _shown(
    device: str, one: Register | TextRegister, answer: bytes | str, word_order: WordOrder
) -> Probed:
    tag = one.point.tag if isinstance(one, Register) else one.tag
    bit = one.bit if isinstance(one, Register) else None
    at = f"{one.area} {one.address}" + ("" if bit is None else f" bit {bit}")
    name = name_of(tag)
    if isinstance(answer, str):
        return Probed(device=device, tag=tag, name=name, at=at, said=answer)
    raw = answer.hex(" ", _WORD_BYTES)
    if isinstance(one, TextRegister):
        text = text_of(one, answer)
        is_right = one.expected in {"", text}
        return Probed(
            device=device,
            tag=tag,
            name=name,
            at=at,
            raw=raw,
            text=text,
            quality=(Quality.GOOD if is_right else Quality.BAD).name,
            said="" if is_right else f"it must be {one.expected}",
        )
    codec = BlockCodec([one], address=one.address, count=one.words, word_order=word_order)
    (value,), (quality,) = codec.decode(answer)
    return Probed(
        device=device,
        tag=tag,
        name=name,
        at=at,
        raw=raw,
        value=value,
        unit=one.point.unit.value,
        quality=Quality(quality).name,
        text=one.point.state(value),
        correction=one.correction,
        said=_why(one, Quality(quality), answer, word_order),
    )


def _why(one: Register, quality: Quality, answer: bytes, word_order: WordOrder) -> str:
    """Return why a value that came is not GOOD, or what looks odd about one that is."""
    value = without_limits(one, answer, word_order)
    if quality is Quality.GOOD:
        is_tiny = one.kind in {"f32", "f64"} and 0.0 < abs(value) < _TINY
        return "next to nothing: is the byte order right?" if is_tiny else ""
    if quality is Quality.STALE:
        return "the current is out of specification (3.8..20.5 mA)"
    if math.isnan(value):
        return "it is no number"
    if one.point.states:
        return f"{value:.6g} is none of its states"
    if one.current_loop is not None:
        low, high = intact(one)
        if not low < value < high:
            return "the sensor is open or shorted (3.6 mA or less, 21 mA or more)"
    return f"{value:.6g} is outside {one.point.low:g}..{one.point.high:g}"


def without_limits(one: Register, answer: bytes, word_order: WordOrder) -> float:
    """Return the value of a point whatever its limits say; NaN where it is no number."""
    free = Register(
        point=Point(tag=one.point.tag),
        area=one.area,
        address=one.address,
        kind=one.kind,
        bit=one.bit,
        scale=one.scale,
        offset=one.offset,
        correction=one.correction,
        word_order=one.word_order,
    )
    codec = BlockCodec([free], address=one.address, count=one.words, word_order=word_order)
    return codec.decode(answer)[0][0]


async def _opcua(name: str, device: OpcUaDevice) -> AsyncIterator[Probed]:
    from drivers.opcua import opc_ua  # noqa: PLC0415 - a second and 80 MB only where it is used

    driver = opc_ua(name, device.settings, device.registers, SystemClock())()
    try:
        reading = await driver.read(slow=True)
    finally:
        with suppress(DriverError):
            await driver.close()
    came = {
        driver.table.tags[block.start + i]: (value, Quality(quality))
        for block in reading.blocks
        for i, (value, quality) in enumerate(zip(block.values, block.qualities, strict=True))
    }
    for node in device.registers:
        point = node.point
        if point.is_pulse:
            continue
        value, quality = came.get(point.tag, (math.nan, Quality.BAD))
        said = "no data came" if point.tag not in came else "no good value in its range"
        yield Probed(
            device=name,
            tag=point.tag,
            name=name_of(point.tag),
            at=node.node,
            value=value,
            unit=point.unit.value,
            quality=quality.name,
            text=point.state(value),
            correction=node.correction,
            said="" if quality is Quality.GOOD else said,
        )


def name_of(tag: Tag) -> str:
    """Return what the field calls a point, where heatd knows it."""
    known = POINTS.get(tag.rpartition(".")[2])
    return "" if known is None else known.names[0]


def modbus_of(station: Station) -> dict[str, AnyModbusDevice]:
    """Return the devices of a station that the doctor can examine."""
    devices: dict[str, Device] = dict(station.devices)
    return {name: one for name, one in devices.items() if isinstance(one, AnyModbusDevice)}
