"""The configuration of the bench: many stations with one template and one register map.

Rule: it is written as an engineer would write it and read by the product's own loader.
"""

from collections.abc import Sequence
from pathlib import Path

from hil_sim.bench_poll.points import (
    CURVE,
    FALLBACK,
    IDENTITY,
    PULSES,
    STATUS,
    STATUS_ZERO,
    WRITTEN,
    Measured,
    StationLayout,
)

_WRITTEN_UNITS = {"CV1_SV": ("%", 0, 100), "XP_SV": ("Hz", 0, 50), "BP_SV": ("Hz", 0, 50)}
_SETPOINT = ("°C", 0, 100)
_TEMPLATE = """\
template: bench
authority:
  write: valve
  fallback_proven: 2024-09-18
  hand_back_after: 2 s
outdoor: {{order: [T_out, last_good], damping: 6 h}}
season: {{start: 01-01, end: 12-31}}
rooms: {{target: 21 °C, tolerance: 2 K}}
circuits:
  main:
    area: 100000 m²
    class: residential
    emitter: radiator
    curve: {curve}
    limits: {{T2g: 35..83 °C, T1h_max: 65 °C, ramp: 10 K/h}}
    valve: {{stroke: 90 s, min: 5 %, on_power_loss: closes}}
    pumps: {{duty: [XP1, XP2], dp: 180 kPa, rotate: 168 h, min: 25 Hz, max: 50 Hz}}
    makeup: {{pumps: [BP1, BP2], P2h: 0.40 MPa, relief: 0.46 MPa, stop: 0.30 MPa}}
    pid: {{gain: 0.7 %/K, reset_time: 35 s, output_rate: 1.2 %/s, gap: 0.3 K, deadband: 0.5 %}}
    protection: {{T2g_hh: 90 °C, power_return: 60 s}}
sources:
  base:
    kind: network
    F1_design: 80 m³/h
    T1_plan: {{-28.4: 125, -16.8: 110, -10: 101, -5: 94.6, 0: 88, 5: 81.5, 10: 75}}
    dp_min: 50 kPa
alarms:
  comms_lost:
    kind: device_lost
    device: plc
    priority: 2
    on_delay: 30 s
    off_delay: 30 s
    text: {{zh: 与 PLC 通讯中断, en: no connection to the PLC}}
    consequence: {{zh: heatd 看不到站内情况, en: heatd sees nothing}}
    action: {{zh: 检查网络和 PLC 电源, en: check the network and the PLC}}
{alarms}"""
_STATION = """\
station: {name}
name: {{zh: 换热站 {name}, en: station {name}}}
template: bench
devices:
  plc:
    driver: modbus_tcp
    host: 127.0.0.1
    port: {port}
    depth: 4
    map: maps/bench.yaml
    scan: {period_s} s
    identity: {{tag: PLC_ID, equals: {identity}}}
"""


def write_site(folder: Path, ports: Sequence[int], *, tags: int, period_s: float) -> None:
    """Write a configuration with a station for each port.

    Args:
        folder: Where to; it exists.
        ports: Ports of the stations' PLCs on this machine.
        tags: Float points of each station.
        period_s: Scan period, s.
    """
    layout = StationLayout(tags)
    for name in ("maps", "templates", "stations"):
        (folder / name).mkdir()
    _write(folder / "heatd.yaml", "simulation: true\n")
    _write(folder / "maps/bench.yaml", _map(layout))
    alarms = "".join(_limit(point) for point in layout.measured)
    _write(folder / "templates/bench.yaml", _TEMPLATE.format(alarms=alarms, curve=CURVE))
    for i, port in enumerate(ports, 1):
        name = f"st-{i:04}"
        text = _STATION.format(name=name, port=port, period_s=f"{period_s:g}", identity=IDENTITY)
        _write(folder / f"stations/{name}.yaml", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _map(layout: StationLayout) -> str:
    units = {point.name: point.unit for point in layout.measured}
    rows = [
        f'  {name}: {{at: holding {address}, type: f32, unit: "{units[name]}"}}'
        for name, address in layout.floats.items()
        if name in units
    ]
    for name in WRITTEN:
        unit, low, high = _WRITTEN_UNITS.get(name, _SETPOINT)
        rows.append(
            f"  {name}: {{at: holding {layout.floats[name]}, type: f32,"
            f' unit: "{unit}", range: {low}..{high}, write: yes}}'
        )
    rows.append(f"  HB_SCADA: {{at: holding {layout.words}, type: u16, write: yes}}")
    rows.append(f"  HB_PLC: {{at: holding {layout.words + 1}, type: u16}}")
    rows.append(f"  PLC_ID: {{at: holding {layout.words + 2}, type: u16}}")
    status = layout.words + 3
    rows += [
        f"  {name}: {{at: holding {status} bit {bit}, type: bool}}"
        for name, bit in (STATUS | STATUS_ZERO).items()
    ]
    rows += [
        f"  {name}: {{at: coil {i}, type: bool, write: pulse}}" for i, name in enumerate(PULSES)
    ]
    rows += [
        f"  {name}: {{at: holding {layout.fallback + 2 * i}, type: f32, unit: °C,"
        f" range: {'-50..50' if name.startswith('FB_x') else '0..100'}, write: yes, poll: slow}}"
        for i, name in enumerate(FALLBACK)
    ]
    return "map: bench\npoints:\n" + "\n".join(rows) + "\n"


def _limit(point: Measured) -> str:
    return f"""\
  {point.name}_limits:
    kind: limit
    tag: {point.name}
    above: {point.high:g} {point.unit}
    below: {point.low:g} {point.unit}
    deadband: {_deadband(point)}
    priority: 3
    on_delay: 30 s
    off_delay: 1 min
    suppressed_by: [comms_lost]
    text: {{zh: {point.name} 越限, en: {point.name} out of its limits}}
    consequence: {{zh: 可能供热不足, en: heat may be missing}}
    action: {{zh: 检查, en: look at {point.name}}}
"""


def _deadband(point: Measured) -> str:
    unit = "K" if point.unit == "°C" else point.unit
    return f"{2 * point.step:g} {unit}"
