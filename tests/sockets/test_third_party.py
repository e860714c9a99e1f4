"""Programs of other makes: our daemon against their server, our PLC under their client."""

import re
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from api.client import Client, ClientError
from config.model import Station
from drivers.settings import Register
from tests.running import free_port, heatd, one_station, plc_of, process, station_of, until

HOST = "127.0.0.1"
WIDTH = {"f32": 2, "f64": 4, "u16": 1, "bool": 1}
# A station at -10 °C that the PLC has handed to nobody yet. What is not named reads 0.
PLAUSIBLE = {
    "T1g": 101.0, "T1h": 46.5, "P1g": 0.85, "P1h": 0.45, "F1": 49.0, "Q1": 3080.0,
    "T2g": 62.375, "T2h": 47.0, "P2g": 0.58, "P2h": 0.4, "P2D": 180.0, "F2": 175.0,
    "T_out": -10.0, "LT301": 1.5, "CV1_U": 71.25, "XP1_Hz": 45.0, "XP1_A": 40.0,
    "T_room_avg": 21.0, "T_room_min": 19.5, "T_room_p10": 20.25, "T_room_n": 400.0,
    "B_Tsup": 45.0, "B_Tret": 45.0, "B_gasP": 20.0, "PLC_ID": 65001.0,
    "XP1_run": 1.0, "LOC_REM": 1.0, "FALLBACK": 1.0, "PWR_OK": 1.0,
    "B_remote": 1.0, "B_flow_ok": 1.0, "B_P_ok": 1.0, "B_gasP_ok": 1.0,
    "CV1_SV": 71.25, "XP_SV": 45.0, "Q1_tot": 120034.5, "F3_tot": 1234.25,
}  # fmt: skip


class ForeignPlc:
    """A register image behind pyModbusTCP, with the little life that a daemon needs to see."""

    def __init__(self, station: Station, port: int) -> None:
        (device,) = station.devices.values()
        self._map: Mapping[str, Register] = {row.point.tag: row for row in device.registers}
        self.bank = DataBank(coils_size=16, d_inputs_size=16, h_regs_size=256, i_regs_size=16)
        self._server = ModbusServer(HOST, port, no_block=True, data_bank=self.bank)
        self._ended = threading.Event()
        self._beats: set[float] = set()
        for tag, value in PLAUSIBLE.items():
            self.put(tag, value)

    def put(self, tag: str, value: float) -> None:
        row = self._map[tag]
        words = self._encoded(row, value)
        if row.area == "input":
            self.bank.set_input_registers(row.address, words)
        else:
            self.bank.set_holding_registers(row.address, words)

    def get(self, tag: str) -> float:
        row = self._map[tag]
        words = self.bank.get_holding_registers(row.address, WIDTH[row.kind])
        if row.kind == "u16":
            return float(words[0])
        return float(struct.unpack(">f", struct.pack(">2H", *words))[0])

    def _encoded(self, row: Register, value: float) -> list[int]:
        if row.kind == "bool":
            (word,) = self.bank.get_holding_registers(row.address, 1)
            return [word | 1 << row.bit if value else word & ~(1 << row.bit)]
        form = {"f32": ">f", "f64": ">d", "u16": ">H"}[row.kind]
        data = struct.pack(form, int(value) if row.kind == "u16" else value)
        return list(struct.unpack(f">{len(data) // 2}H", data))

    @contextmanager
    def running(self) -> Iterator["ForeignPlc"]:
        self._server.start()
        life = threading.Thread(target=self._live, name="foreign PLC")
        life.start()
        try:
            yield self
        finally:
            self._ended.set()
            life.join()
            self._server.stop()

    def _live(self) -> None:
        """Count, hand over after three of heatd's beats, and let the valve follow its setpoint."""
        count = 0
        while not self._ended.wait(0.5):
            count += 1
            self.put("HB_PLC", float(count // 2))
            self.put("CV1_U", self.get("CV1_SV"))
            self._beats.add(self.get("HB_SCADA"))
            if len(self._beats) > 3:
                self.put("FALLBACK", 0.0)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="heatd-") as name:
        yield Path(name)


def test_the_daemon_controls_a_plc_of_another_make(folder):
    site = one_station(folder, port := free_port())
    command = heatd("run", site, "--state", folder, "--runtime", folder)
    plc = ForeignPlc(station_of(site), port)

    def shown():
        try:
            with Client(folder / "control.sock") as client:
                return client.station("st-01")
        except ClientError:
            return None

    def controls():
        found = shown()
        is_ours = found is not None and found.authority == "heatd"
        return found if is_ours and found.devices[0].writes_verified >= 6 else None

    with plc.running(), process(command, folder / "daemon.log"):
        found = until(controls, "heatd controls a foreign PLC", seconds=40.0)
        loops = {loop.name: loop for loop in found.loops}
        written = {tag: plc.get(tag) for tag in ("CV1_SV", "T2g_SP", "XP_SV", "FB_x1", "FB_y8")}

    (device,) = found.devices
    assert (device.poll_errors, device.unverified, device.last_error) == (0, (), "")
    assert (found.outdoor_c, found.rooms_p10_c) == (-10.0, 20.25)
    assert (loops["T2g"].measured, loops["P2D"].measured) == (62.375, 180.0)
    assert loops["P2h"].measured == pytest.approx(0.4, abs=1e-6)
    # The setpoint at -10 °C went out, the valve from where it stood, and the PLC's own curve.
    assert written["T2g_SP"] == pytest.approx(62.4, abs=1e-4)
    assert written["CV1_SV"] == pytest.approx(71.25, abs=3.0)
    assert written["XP_SV"] == pytest.approx(45.0, abs=1.0)
    assert (written["FB_x1"], written["FB_y8"]) == (pytest.approx(-28.4), pytest.approx(38.9))


@pytest.fixture
def mbpoll(require_program):
    """Read our PLC with mbpoll; its references begin with 1, its 32-bit order is told by -B."""
    program = require_program("mbpoll")

    def read(port: int, address: int, kind: str) -> str:
        command = [program, "-1", "-m", "tcp", "-p", port, "-a", 1, "-B", "-t", kind]
        answer = subprocess.run(
            [*map(str, command), "-r", str(address + 1), "-c", "1", HOST],
            capture_output=True,
            text=True,
            check=False,
            timeout=20.0,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return re.search(rf"^\[{address + 1}\]:\s+(\S+)", answer.stdout, re.MULTILINE)[1]

    return read


def test_mbpoll_reads_what_the_simulated_plc_holds(folder, mbpoll):
    site = one_station(folder, port := free_port())
    bits = ["XP1_run", "XP1_fault", "XP2_run", "XP2_fault", "BP1_run", "BP1_fault", "BP2_run"]
    bits += ["BP2_fault", "CV1_fault", "XSV_ON", "ESTOP", "LOC_REM", "FALLBACK", "PWR_OK"]
    with plc_of(station_of(site), is_scanning=False) as watched:
        plc = watched.plc
        plc.scan(77.0)
        supply_c = float(mbpoll(port, 12, "4:float"))
        total_gj = [int(mbpoll(port, address, "3:hex"), 16) for address in range(4)]
        beat = int(mbpoll(port, 60, "4"))
        status = int(mbpoll(port, 63, "4:hex"), 16)
    # mbpoll prints six digits.
    assert supply_c == pytest.approx(plc.registers["T2g"], rel=1e-5)
    assert beat == plc.registers["HB_PLC"] == 77.0
    assert status == sum(int(plc.registers[tag]) << bit for bit, tag in enumerate(bits))
    assert struct.unpack(">d", struct.pack(">4H", *total_gj))[0] == plc.registers["Q1_tot"]
