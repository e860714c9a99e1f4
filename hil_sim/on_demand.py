"""A simulated PLC that runs only when somebody looks: nothing has to tick in virtual time.

Rule: whoever looks or writes finds the PLC and its plant at the present second.
"""

import asyncio
import hashlib
import struct
from collections.abc import Mapping

from hil_sim.plc import SimPlc

_PLC_SCAN_S = 1.0


class OnDemandPlc:
    """The PLC as its bus server sees it.

    The plant is brought up to the present second whenever somebody looks or writes, so nothing has
    to tick; every accepted write is noted for the digest.
    """

    def __init__(self, plc: SimPlc, writes: "hashlib._Hash") -> None:
        self._plc = plc
        self._writes = writes
        self._done_s = 0.0

    @property
    def registers(self) -> Mapping[str, float]:
        """All points by tag, as of the last look at `generation`."""
        return self._plc.registers

    @property
    def generation(self) -> int:
        """A number that grows whenever the registers changed."""
        # Whoever wants the registers asks for their generation first.
        self.catch_up()
        return self._plc.generation

    def write(self, tag: str, value: float) -> bool:
        """Take a value from the bus; False where the PLC refuses it."""
        self.catch_up()
        at_s = asyncio.get_running_loop().time()
        self._writes.update(struct.pack(">dd", at_s, value) + tag.encode())
        return self._plc.write(tag, value)

    def catch_up(self) -> None:
        """Run the PLC's cycles that are due by now."""
        due_s = asyncio.get_running_loop().time() - self._done_s
        if due_s >= _PLC_SCAN_S:
            whole_s = due_s // _PLC_SCAN_S * _PLC_SCAN_S
            self._plc.scan(whole_s)
            self._done_s += whole_s
