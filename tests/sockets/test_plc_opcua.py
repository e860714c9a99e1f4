"""The simulated OPC UA PLC on a real socket."""

import asyncio
import socket

from asyncua import Client, ua

from core.clock import SystemClock
from core.point import Point, Tag
from drivers.settings import Node
from hil_sim.opcua_plc import serve_opcua

NAMESPACE = "urn:example:plc"


class Plc:
    """A PLC of one output."""

    def __init__(self):
        self.registers = {"CV1_SV": 20.0}
        self.generation = 0

    def write(self, tag, value):
        self.registers[tag] = value
        self.generation += 1
        return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_client_reads_and_writes_over_loopback():
    async def main():
        plc = Plc()
        endpoint = f"opc.tcp://127.0.0.1:{free_port()}/heat/"
        node = Node(
            point=Point(tag=Tag("CV1_SV"), is_writable=True), node="st-01.CV1_SV", kind="f32"
        )
        server = await serve_opcua(plc, [node], endpoint, NAMESPACE, clock=SystemClock())
        async with Client(endpoint) as client:
            index = await client.get_namespace_index(NAMESPACE)
            output = client.get_node(ua.NodeId("st-01.CV1_SV", index))
            before = await output.read_value()
            await output.write_value(ua.DataValue(ua.Variant(55.0, ua.VariantType.Float)))
            after = await output.read_value()
        await server.stop()
        return before, after, plc.registers["CV1_SV"]

    assert asyncio.run(main()) == (20.0, 55.0, 55.0)
