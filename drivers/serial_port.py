"""A serial port of this machine as an asyncio transport.

Rule: nobody else may use the port while we do, and what was waiting in it when we open it is thrown
away: it answers nothing that we asked.
"""

import asyncio
import errno
import fcntl
import os
import termios

from drivers.settings import ModbusRtu

_READ_BYTES = 4096
_SPEEDS = {
    1200: termios.B1200,
    2400: termios.B2400,
    4800: termios.B4800,
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}
_PARITIES = {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}


def open_serial(protocol: asyncio.Protocol, settings: ModbusRtu) -> None:
    """Open a port and connect it to a protocol.

    Raises:
        OSError: There is no such port, it is in use, or it is not ours to open.
    """
    fd = os.open(settings.serial_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        _configure(fd, settings)
    except (termios.error, OSError) as error:
        os.close(fd)
        number = error.args[0] if error.args else errno.EIO
        raise OSError(number, os.strerror(number), settings.serial_port) from error
    _SerialTransport(fd, protocol)


def _configure(fd: int, settings: ModbusRtu) -> None:
    fcntl.ioctl(fd, termios.TIOCEXCL)
    speed = _SPEEDS[settings.baud]
    control = termios.CS8 | termios.CREAD | termios.CLOCAL | _PARITIES[settings.parity]
    if settings.stop_bits == 2:  # noqa: PLR2004 - there are one or two
        control |= termios.CSTOPB
    attributes = termios.tcgetattr(fd)
    attributes[:6] = [0, 0, control, 0, speed, speed]
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    termios.tcflush(fd, termios.TCIOFLUSH)


class _SerialTransport(asyncio.Transport):
    """Bytes in and out of one port; any error ends the connection."""

    def __init__(self, fd: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._fd: int | None = fd
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._on_readable)
        protocol.connection_made(self)

    def is_closing(self) -> bool:
        """True once the port is closed."""
        return self._fd is None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; a port that does not take a whole message is no longer a port."""
        if self._fd is None:
            return
        try:
            is_taken = os.write(self._fd, data) == len(data)
        except OSError as error:
            self._end(error)
        else:
            if not is_taken:
                self._end(OSError(errno.EIO, "the port does not take what is sent"))

    def close(self) -> None:
        """Close the port."""
        self._end(None)

    def abort(self) -> None:
        """Close the port."""
        self._end(None)

    def _on_readable(self) -> None:
        assert self._fd is not None, "a closed port is not watched"
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._end(None)

    def _end(self, error: OSError | None) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._loop.remove_reader(fd)
            os.close(fd)
            self._loop.call_soon(self._protocol.connection_lost, error)
