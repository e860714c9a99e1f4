"""Single questions to a Modbus device, outside every plan: what lies here, and does it answer.

Rule: there are only the four functions that read.
"""

import asyncio
import struct
from dataclasses import replace

from drivers.dial import channel_to
from drivers.line import ERROR_FLAG, Confused, LineError
from drivers.modbus_plan import READ_CODES
from drivers.settings import Area, Modbus

RECOVERY_S = 0.5
"""How long a device is left alone after a question that it did not answer."""

_BYTE_BITS = 8


class Denied(Exception):  # noqa: N818 - the name says what the device did
    """The device answered that it will not; `code` is its Modbus exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class Inquiry:
    """One device over a line of its own; the first question opens it.

    Args:
        settings: Its address and timings.
        min_gap_s: Shortest time from a reply to the next question, where it is not theirs.
    """

    def __init__(self, settings: Modbus, *, min_gap_s: float | None = None) -> None:
        if min_gap_s is not None:
            settings = replace(settings, min_gap_s=min_gap_s)
        self._settings = settings
        self._channel = channel_to(settings)
        self._channel.join()

    async def read(self, area: Area, address: int, count: int) -> bytes:
        """Return the bytes of `count` registers, or of as many coils or discrete inputs.

        Raises:
            Denied: The device refuses.
            LineError: There is no answer, or a wrong one.
        """
        code = READ_CODES[area]
        question = struct.pack(">BHH", code, address, count)
        timeout_s = self._settings.timeout_s
        (reply,) = await self._channel.ask(self._settings.unit, [question], timeout_s)
        if reply[0] == code | ERROR_FLAG:
            raise Denied(reply[1])
        is_bits = area in {"coil", "discrete"}
        size = -(-count // _BYTE_BITS) if is_bits else 2 * count
        if reply[0] != code or len(reply) != size + 2 or reply[1] != size:
            raise Confused(f"the reply is none to a question for {count} of {area} {address}")
        return reply[2:]

    async def insist(self, area: Area, address: int, count: int) -> bytes:
        """Return what `read` returns, asked for once more where no answer came.

        Raises:
            Denied: The device refuses.
            LineError: There is no answer the second time either.
        """
        try:
            return await self.read(area, address, count)
        except LineError:
            # What it is still busy with must not count against the next question.
            await asyncio.sleep(RECOVERY_S)
            return await self.read(area, address, count)

    def close(self) -> None:
        """Give the line back."""
        self._channel.leave()
