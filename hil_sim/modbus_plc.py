"""A simulated PLC behind pymodbus's own server: real framing, sockets and sessions.

Rule: pymodbus carries the requests; what a register holds and what a write does comes from
`RegisterImage`, for this server's request classes go there and not to the library's data store.
"""

import asyncio
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    WriteMultipleCoilsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from hil_sim.bus import BusPlc, BusRegister
from hil_sim.register_image import RegisterImage, Verdict

_WORDS_MAX = 125
_BITS_MAX = 2000
_COIL_ON = 0xFF00
_COIL_OFF = 0x0000


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a device cannot do.

    Attributes:
        block_max: Most registers that it gives at once; more is exception 3.
        rest_s: A request that comes so soon after a reply is not heard.
    """

    block_max: int = _WORDS_MAX
    rest_s: float = 0.0


class ModbusPlc:
    """The server of one PLC, which can be taken off the network and brought back."""

    def __init__(
        self,
        image: RegisterImage,
        host: str,
        port: int,
        unit: int,
        quirks: Quirks,
    ) -> None:
        self._host = host
        self._port = port
        self._unit = unit
        self._rest_s = quirks.rest_s
        self._requests = _requests(image, unit, quirks.block_max)
        self._server: ModbusTcpServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on; the one that the system chose where 0 was asked for."""
        return self._port

    @property
    def is_serving(self) -> bool:
        """True between `start` and `stop`."""
        return self._server is not None

    async def start(self) -> None:
        """Listen and serve; no effect while it does.

        Raises:
            OSError: The address cannot be listened on.
        """
        if self._server is not None:
            return
        server = _Server(
            # The library wants a data store; ours stands beside it, so this one refuses all.
            SimDevice(
                self._unit, simdata=[SimData(0, datatype=DataType.REGISTERS)], action=_refuse
            ),
            address=(self._host, self._port),
            custom_pdu=self._requests,
        )
        server.rest_s = self._rest_s
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            # The library has logged the reason and kept it to itself.
            raise OSError(f"cannot listen on {self._host}:{self._port}") from error
        self._server = server
        listener = server.transport
        if isinstance(listener, asyncio.AbstractServer):
            self._port = listener.sockets[0].getsockname()[1]  # type: ignore[attr-defined] # both loops' servers have it

    async def stop(self) -> None:
        """Close the connections and refuse new ones; no effect while stopped."""
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus types it not


async def serve_modbus(
    plc: BusPlc,
    registers: Iterable[BusRegister],
    host: str,
    port: int = 502,
    *,
    unit: int = 1,
    word_order: str = "ABCD",
    gap: int = 8,
    quirks: Quirks = Quirks(),
) -> ModbusPlc:
    """Serve a PLC by Modbus TCP and return its handle.

    Args:
        plc: The PLC.
        registers: Its register map.
        host: Address to listen on.
        port: Port; 0 lets the system choose.
        unit: The unit identifier that it answers to; others get exception 11, as from a gateway.
        word_order: Of values of two or more registers, for registers that name none.
        gap: Spare addresses between two points that may be read as 0.
        quirks: In what it is poorer than the standard allows.

    Raises:
        ValueError: The map contradicts itself or the PLC.
        OSError: The address cannot be listened on.
    """
    image = RegisterImage(plc, registers, word_order=word_order, gap=gap)
    handle = ModbusPlc(image, host, port, unit, quirks)
    await handle.start()
    return handle


async def _refuse(*_: object) -> ExcCodes:
    return ExcCodes.ILLEGAL_FUNCTION


class _Connection(ServerRequestHandler):
    """One client, answered without a task for each request: that was a third of a whole run."""

    hears_at_s = 0.0

    def handle_later(self) -> None:
        rest_s = self.server.rest_s
        if rest_s and asyncio.get_running_loop().time() < self.hears_at_s:
            return
        # Our requests never wait, so that one step carries them out.
        steps = self.handle_request()  # type: ignore[no-untyped-call] # pymodbus types it not
        try:
            steps.send(None)
        except StopIteration:
            if rest_s:
                self.hears_at_s = asyncio.get_running_loop().time() + rest_s
            return
        raise RuntimeError("a request to a simulated PLC waited")


class _Server(ModbusTcpServer):
    """pymodbus's server with our connections, which are deaf for a while after each reply."""

    rest_s = 0.0

    def callback_new_connection(self) -> ServerRequestHandler:
        hooks = (self.trace_packet, self.trace_pdu, self.trace_connect)
        return _Connection(self, *hooks)  # type: ignore[no-untyped-call] # pymodbus types it not


def _requests(image: RegisterImage, unit: int, block_max: int) -> list[type[ModbusPDU]]:
    """Return the request classes of one server, which know its image, its unit and its limit."""
    mine = {"image": image, "unit": unit, "block_max": block_max}
    kinds: list[tuple[type[_Request], int, str]] = [
        (_ReadBits, 1, "coil"),
        (_ReadBits, 2, "discrete"),
        (_ReadWords, 3, "holding"),
        (_ReadWords, 4, "input"),
        (_WriteCoil, 5, "coil"),
        (_WriteWord, 6, "holding"),
        (_WriteCoils, 15, "coil"),
        (_WriteWords, 16, "holding"),
    ]
    return [
        type(kind.__name__, (kind,), {**mine, "function_code": code, "area": area})
        for kind, code, area in kinds
    ]


class _Request(ModbusPDU):
    """A request as it came; what it asks for is looked at when it is carried out."""

    image: ClassVar[RegisterImage]
    unit: ClassVar[int]
    block_max: ClassVar[int]
    area: ClassVar[str]
    body = b""

    def __str__(self) -> str:
        # The library formats every request for a log line that nobody reads.
        return type(self).__name__

    def decode(self, data: bytes) -> None:
        self.body = data

    async def datastore_update(self, context: object, device_id: int) -> ModbusPDU:
        """Carry the request out."""
        del context
        if device_id != self.unit:
            return self.refused(ExcCodes.GATEWAY_NO_RESPONSE)
        try:
            return self.answer()
        except struct.error:
            return self.refused(ExcCodes.ILLEGAL_VALUE)
        except Exception as error:
            # The library would pass a bug of the simulation off as a fault of the device.
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the PLC failed in {self}", "exception": error}
            )
            raise

    def answer(self) -> ModbusPDU:
        """Return the response."""
        raise NotImplementedError

    def refused(self, code: int) -> ModbusPDU:
        """Return the exception response."""
        return ExceptionResponse(self.function_code, code)


class _Words(ModbusPDU):
    """A response that carries registers as the image has them."""

    def __init__(self, function_code: int, payload: bytes) -> None:
        super().__init__()
        self.function_code = function_code
        self.payload = payload

    def encode(self) -> bytes:
        return len(self.payload).to_bytes(1, "big") + self.payload


class _ReadWords(_Request):
    def answer(self) -> ModbusPDU:
        address, count = struct.unpack(">HH", self.body)
        if not 1 <= count <= self.block_max:
            return self.refused(ExcCodes.ILLEGAL_VALUE)
        payload = self.image.read_words(self.area, address, count)
        if payload is None:
            return self.refused(ExcCodes.ILLEGAL_ADDRESS)
        return _Words(self.function_code, payload)


class _ReadBits(_Request):
    def answer(self) -> ModbusPDU:
        address, count = struct.unpack(">HH", self.body)
        if not 1 <= count <= _BITS_MAX:
            return self.refused(ExcCodes.ILLEGAL_VALUE)
        bits = self.image.read_bits(self.area, address, count)
        if bits is None:
            return self.refused(ExcCodes.ILLEGAL_ADDRESS)
        response = ReadCoilsResponse(bits=bits)
        response.function_code = self.function_code
        return response


class _WriteWord(_Request):
    def answer(self) -> ModbusPDU:
        address, value = struct.unpack(">HH", self.body)
        verdict = self.image.write_words(address, self.body[2:4])
        if verdict is not Verdict.DONE:
            return self.refused(verdict.value)
        return WriteSingleRegisterResponse(address=address, registers=[value])


class _WriteWords(_Request):
    def answer(self) -> ModbusPDU:
        address, count, size = struct.unpack_from(">HHB", self.body)
        data = self.body[5:]
        if not count or len(data) != size or size != 2 * count:
            return self.refused(ExcCodes.ILLEGAL_VALUE)
        verdict = self.image.write_words(address, data)
        if verdict is not Verdict.DONE:
            return self.refused(verdict.value)
        return WriteMultipleRegistersResponse(address=address, count=count)


class _WriteCoil(_Request):
    def answer(self) -> ModbusPDU:
        address, value = struct.unpack(">HH", self.body)
        if value not in {_COIL_ON, _COIL_OFF}:
            return self.refused(ExcCodes.ILLEGAL_VALUE)
        verdict = self.image.write_coils(address, [value == _COIL_ON])
        if verdict is not Verdict.DONE:
            return self.refused(verdict.value)
        return WriteSingleCoilResponse(address=address, bits=[value == _COIL_ON])


class _WriteCoils(_Request):
    def answer(self) -> ModbusPDU:
        address, count, size = struct.unpack_from(">HHB", self.body)
        data = self.body[5:]
        if not 1 <= count <= _BITS_MAX or len(data) != size or size != -(-count // 8):
            return self.refused(ExcCodes.ILLEGAL_VALUE)
        bits = [bool(data[i // 8] >> i % 8 & 1) for i in range(count)]
        verdict = self.image.write_coils(address, bits)
        if verdict is not Verdict.DONE:
            return self.refused(verdict.value)
        return WriteMultipleCoilsResponse(address=address, count=count)
