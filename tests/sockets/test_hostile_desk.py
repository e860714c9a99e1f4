"""A hostile PLC as a process of its own, which is told by `heatd-sim fault` to misbehave."""

import re
import subprocess
import tempfile
from pathlib import Path

from pyModbusTCP.client import ModbusClient

from tests.running import environment, heatd_sim, process, terminated, until


def test_a_hostile_plc_is_switched_from_the_command_line():
    with tempfile.TemporaryDirectory(prefix="heatd-") as name:
        log, home = Path(name) / "hostile.log", {"XDG_RUNTIME_DIR": name}

        def fault(*words):
            return subprocess.run(
                heatd_sim("fault", "st-01", *words),
                env=environment(**home),
                capture_output=True,
                text=True,
                check=False,
                timeout=30.0,
            )

        with process(heatd_sim("hostile", "--port", 0), log, **home) as running:
            text = until(lambda: re.search(r"port (\d+)", log.read_text()), "a port", seconds=30.0)
            client = ModbusClient(host="127.0.0.1", port=int(text[1]), unit_id=1, timeout=2.0)
            identity = client.read_holding_registers(61, 1)
            answers = [fault("raw", "--tag", "PLC_ID", "--amount", 4711)]
            lie = client.read_holding_registers(61, 1)
            answers.append(fault("raw", "--off"))
            truth = client.read_holding_registers(61, 1)
            answers.append(fault("primary-lost"))
            unknown = fault("nonsense")
            client.close()
            code, _ = terminated(running, seconds=10.0)
        said = log.read_text()

    assert (identity, lie, truth) == ([65001], [4711], [65001])
    assert [answer.returncode for answer in answers] == [0, 0, 0]
    assert "requests=1, connections=1" in answers[0].stdout
    assert (unknown.returncode, "no fault is called nonsense" in unknown.stderr) == (2, True)
    assert code == 0
    assert "it saw Counts(requests=3" in said
