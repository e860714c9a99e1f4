"""A small PLC on OPC UA in a process of its own, to be stopped, killed and made to forget.

Run as `python -m tests.opcua_child PORT START`; says "serving" once it listens. SIGUSR1 makes it
forget all sessions; from its second start on the namespace has another index and P1g is gone.
"""

import asyncio
import signal
import sys

from core.clock import SystemClock
from core.point import Point, Tag
from drivers.settings import Node
from hil_sim.opcua_plc import OpcUaPlc

NAMESPACE = "urn:heatd:test:plc"
NODES = (
    Node(point=Point(tag=Tag("T2g"), low=0.0, high=100.0), node="/Objects/Station/T2g", kind="f32"),
    Node(point=Point(tag=Tag("P1g"), low=0.0, high=2.0), node="P1g", kind="f32"),
    Node(point=Point(tag=Tag("HB_PLC")), node="ns=urn:heatd:test:di;i=7", kind="u16"),
    Node(point=Point(tag=Tag("SV"), low=0, high=100, is_writable=True), node="SV", kind="f32"),
)


class Plc:
    """Three values and a setpoint; its heartbeat counts its scans."""

    def __init__(self):
        self.registers = {"T2g": 45.5, "P1g": 0.85, "HB_PLC": 0.0, "SV": 20.0}
        self.generation = 0

    def scan(self):
        self.generation += 1
        self.registers["HB_PLC"] = float(self.generation % 60000)

    def write(self, tag, value):
        self.registers[tag] = value
        self.generation += 1
        return True


def endpoint(port):
    return f"opc.tcp://127.0.0.1:{port}/heat/"


def served(port, plc, nodes=NODES, **more):
    """Return the server of `plc`, not started yet, that stamps all values at each scan."""
    clock = SystemClock()
    server = OpcUaPlc(
        plc, nodes, endpoint(port), NAMESPACE, clock=clock, station="st-01", push_s=60.0, **more
    )
    server.disturb(stamps_all=True)
    return server


async def main(port, start):
    plc = Plc()
    server = served(port, plc)
    if start > 1:
        server.disturb(
            namespaces_before=tuple(f"urn:new:{i}" for i in range(start)), absent=frozenset({"P1g"})
        )
    await server.start()
    loop = asyncio.get_running_loop()
    forgetting = set()
    loop.add_signal_handler(
        signal.SIGUSR1, lambda: forgetting.add(loop.create_task(server.forget_sessions()))
    )
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    while True:
        plc.scan()
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
