"""Where the PLCs of a demo listen: near the configured port, whoever else wants it."""

import asyncio
import socket
from dataclasses import replace

import pytest

from config.load import load
from hil_sim.demo_plan import listen_near, said_port, say_port, wanted_ports
from hil_sim.play import EXAMPLES


def listening(refused):
    """Return what listens on every port but the refused ones, and where it was tried."""
    tried = []

    async def listen(port):
        tried.append(port)
        if port in refused:
            raise OSError(98, "Address already in use")

    return listen, tried


def test_a_port_that_is_taken_after_the_look_is_stepped_over():
    listen, tried = listening({24841, 24842})
    assert asyncio.run(listen_near(24841, listen)) == 24843
    assert tried == [24841, 24842, 24843]


def test_a_busy_port_is_not_even_tried():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        listen, tried = listening(())
        assert asyncio.run(listen_near(busy, listen)) == tried[0] > busy


def test_where_no_port_is_free_it_says_which_were_tried():
    listen, _ = listening(range(24841, 25041))
    with pytest.raises(OSError, match="no free port from 24841 to 25040"):
        asyncio.run(listen_near(24841, listen))


def test_no_two_stations_want_the_same_port():
    site = load(EXAMPLES)
    first = site.stations[0]
    twins = replace(site, stations=(first, replace(first, station="st-09")))
    assert wanted_ports(twins) == {"st-01": 15021, "st-09": 15022}


def test_a_station_says_its_port_to_the_demo(tmp_path):
    assert said_port(tmp_path, "st-01") is None
    say_port(tmp_path, "st-01", 15023)
    assert said_port(tmp_path, "st-01") == 15023
