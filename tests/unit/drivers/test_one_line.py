"""Two devices are on one line when they name the same other end, however they spell it."""

import pytest

from drivers.settings import ModbusRtuTcp, ModbusTcp


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("gw-7.heat.example", "GW-7.heat.example.", True),
        ("localhost", "127.0.0.1", True),
        ("10.17.0.11", "10.17.0.12", False),
        ("gw-7", "gw-7.heat.example", False),
    ],
)
@pytest.mark.parametrize("kind", [ModbusTcp, ModbusRtuTcp])
def test_a_host_is_the_same_in_any_spelling(kind, one, other, is_one):
    lines = [kind(host=host, port=502, unit=1).line.where for host in (one, other)]
    assert (lines[0] == lines[1]) is is_one
