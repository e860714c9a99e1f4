"""How a line is opened: what kind of connection the settings of a device ask for.

Rule: encryption is never optional: a device of Modbus/TCP Security whose certificate is not
trusted, or that does not trust ours, is not reached at all.
"""

import asyncio
import socket
import ssl
from functools import partial

from drivers.channel import Channel
from drivers.line import Line, Owner
from drivers.mbap import MbapLine
from drivers.rtu import RtuLine
from drivers.serial_port import open_serial
from drivers.settings import Modbus, ModbusRtu, ModbusRtuTcp, ModbusTcp, ModbusTls

# A peer that is gone without a word is noticed by the kernel in 60 s at the latest, also where
# nothing is sent; by us after two requests.
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)


def channel_to(settings: Modbus) -> Channel:
    """Return a channel to the line that the settings of a device name; nothing is opened yet."""
    line = settings.line
    return Channel(line.where, partial(dial, settings), line.pace)


async def dial(settings: Modbus, owner: Owner) -> Line:
    """Return an open line that reports to `owner`.

    Raises:
        OSError: It cannot be opened, or the other side is not whom we trust.
    """
    match settings:
        case ModbusTcp():
            mbap = MbapLine(owner, tid_zero=settings.tid_zero)
            return await _connected(mbap, settings.host, settings.port)
        case ModbusTls():
            # Made for each connection, so that a renewed certificate needs no restart.
            context = _context(settings)
            name = settings.server_name or settings.host
            return await _connected(MbapLine(owner), settings.host, settings.port, context, name)
        case ModbusRtuTcp():
            rtu = RtuLine(owner, settings.timeout_s)
            return await _connected(rtu, settings.host, settings.port)
        case ModbusRtu():
            rtu = RtuLine(owner, settings.timeout_s)
            open_serial(rtu, settings)
            return rtu


async def _connected(
    line: MbapLine | RtuLine,
    host: str,
    port: int,
    context: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> Line:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: line, host, port, ssl=context, server_hostname=server_name
    )
    # There is no socket in a network of memory.
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        for level, option, value in _OPTIONS:
            sock.setsockopt(level, option, value)
    return line


def _context(settings: ModbusTls) -> ssl.SSLContext:
    """Return what proves both sides to each other (Modbus/TCP Security V2.1, 8)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(settings.ca_file)
    context.load_cert_chain(settings.certificate_file, settings.key_file)
    return context
