"""What must be true of one part of a configuration, whatever stands around it.

Rule: each check gives the key that is wrong, what is wrong and what to write instead; what a single
field may be is said in its own class.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from config.devices import (
    Identity,
    ModbusDevice,
    ModbusRtuTcpDevice,
    ModbusTlsDevice,
    OpcUaDevice,
)
from config.model import AuthoritySettings, Circuit
from config.quantities import format_quantity
from config.reading import Finding, PartCheck
from control_loops.autotune import AutotuneLimits
from control_loops.exchanger import ExchangerData, data_problems
from control_loops.frost import FrostLimits
from control_loops.heating_curve import CurveFormula, CurvePoints, curve_problems
from control_loops.limits import SupplyLimits
from control_loops.makeup import MakeUp
from control_loops.pid import PidTuning
from control_loops.preheat import RATE_K_PER_H, Preheat
from control_loops.pressure import DpPoints
from control_loops.pumps import CirculationPumps
from control_loops.schedule import Setback
from control_loops.source import NetworkSource
from control_loops.valve import Valve
from core.point import Unit
from drivers.collector_settings import BrokerTls, MqttBroker, TopicReading, pattern_fault
from drivers.credentials import KeyPair, Login
from drivers.forecast_settings import ForecastFile, ForecastTopic
from drivers.settings import OpcUaSecurity

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_ENDPOINT = re.compile(r"opc\.tcp://[^/:@\s]+(:[0-9]{1,5})?(/\S*)?")


def _curve_points(curve: CurvePoints) -> Iterator[Finding]:
    yield from _rising(curve.points, "points")


def _curve_formula(curve: CurveFormula) -> Iterator[Finding]:
    for message in curve_problems(curve):
        yield (), message, ""


def _network(source: NetworkSource) -> Iterator[Finding]:
    yield from _rising(source.T1_plan, "T1_plan")


def _rising(points: Mapping[float, float], key: str, unit: str = "°C") -> Iterator[Finding]:
    """Yield each point that asks for more than a colder one."""
    for colder, warmer in pairwise(sorted(points)):
        if points[warmer] > points[colder]:
            message = (
                f"the curve rises with the outdoor temperature: {points[colder]:g} {unit} at"
                f" {colder:g} °C, but {points[warmer]:g} {unit} at {warmer:g} °C"
            )
            yield (key, warmer), message, f"write {points[colder]:g} or less"


def _pid(tuning: PidTuning) -> Iterator[Finding]:
    low, high = tuning.output_low_pct, tuning.output_high_pct
    yield from _ordered(("output_low", low), ("output_high", high), Unit.PERCENT)


def _circulation(pumps: CirculationPumps) -> Iterator[Finding]:
    yield from _ordered(("min", pumps.min_hz), ("max", pumps.max_hz), Unit.HERTZ)
    yield from _twice(pumps.duty, "duty")


def _makeup(makeup: MakeUp) -> Iterator[Finding]:
    start_mpa = makeup.P2h_mpa - makeup.start_below_mpa
    yield from _ordered(("P2h", makeup.P2h_mpa), ("relief", makeup.relief_mpa), Unit.MEGAPASCAL)
    if makeup.stop_mpa >= start_mpa:
        message = (
            f"the limits are crossed: `stop` {_mpa(makeup.stop_mpa)} is not below the pressure at"
            f" which make-up starts, {_mpa(start_mpa)}"
        )
        yield ("stop",), message, f"write less than {_mpa(start_mpa)}"
    tank_stop, tank_start = makeup.tank_stop_m, makeup.tank_start_m
    yield from _ordered(("tank_stop", tank_stop), ("tank_start", tank_start), Unit.METRE)
    yield from _ordered(("min", makeup.min_hz), ("max", makeup.max_hz), Unit.HERTZ)
    yield from _twice(makeup.pumps, "pumps")


def _exchanger(data: ExchangerData) -> Iterator[Finding]:
    for message in data_problems(data):
        yield (), message, "copy the four temperatures from the data sheet again"


def _autotune(limits: AutotuneLimits) -> Iterator[Finding]:
    needed_s = limits.pre_move_time_s + limits.bump_time_s
    if limits.whole_s <= needed_s:
        needed = format_quantity(needed_s, Unit.SECOND)
        message = f"the autotune would be given up before its end: it takes {needed}"
        yield ("whole",), message, f"write more than {needed}"


def _limits(limits: SupplyLimits) -> Iterator[Finding]:
    if limits.valve_override is None:
        return
    yield from (
        (("valve_override", *keys), message, "name each limit once")
        for keys, message, _ in _twice(limits.valve_override.by, "by")
    )
    given = {
        "T1h_over_T2h": limits.T1h_over_T2h_k,
        "F1_max": limits.F1_max_m3h,
        "Q1_max": limits.Q1_max_kw,
    }
    for name in limits.valve_override.by:
        if name in given and given[name] is None:
            message = f"`{name}` shall act on the valve, but the circuit has no such limit"
            yield ("valve_override", "by"), message, f"add `{name}`, or take it out of `by`"


def _valve(valve: Valve) -> Iterator[Finding]:
    if valve.split is not None and valve.three_step is not None:
        message = "two valves in sequence need positioners, but `three_step` drives contacts"
        yield ("split",), message, "keep `split` or `three_step`"


def _frost(frost: FrostLimits) -> Iterator[Finding]:
    yield from _ordered(("T2h", frost.T2h_c), ("T2h_end", frost.T2h_end_c), Unit.CELSIUS)


def _circuit(circuit: Circuit) -> Iterator[Finding]:
    highest, trip = circuit.limits.T2g_c[1], circuit.protection.T2g_hh_c
    if trip <= highest:
        message = (
            f"the limits are crossed: the setpoint may reach {highest:g} °C, but"
            f" `protection.T2g_hh` closes the valve at {trip:g} °C"
        )
        yield ("limits", "T2g"), message, "leave room between the two"


def _setback(setback: Setback) -> Iterator[Finding]:
    low, high = setback.none_below_c, setback.full_above_c
    yield from _ordered(("none_below", low), ("full_above", high), Unit.CELSIUS)
    if setback.start_early_s >= setback.between.length_min * 60.0:
        message = "`start_early` takes the whole setback away"
        yield ("start_early",), message, "write less than the setback lasts"


def _preheat(preheat: Preheat) -> Iterator[Finding]:
    most_k = RATE_K_PER_H * preheat.ahead_s / 3600.0
    if preheat.by_k > most_k:
        message = f"within `ahead` the rooms are wanted no more than {most_k:g} K warmer"
        yield (
            ("ahead",),
            message,
            f"write at least {preheat.by_k / RATE_K_PER_H:g} h, or a smaller `by`",
        )


def _dp_points(points: DpPoints) -> Iterator[Finding]:
    yield from _rising(points.points, "points", "kPa")


def _authority(authority: AuthoritySettings) -> Iterator[Finding]:
    if authority.write == "valve" and authority.fallback_proven is None:
        message = "`write: valve` needs proof that the PLC's own curve takes over"
        hint = "add `fallback_proven: YEAR-MONTH-DAY` after the test on site, or write `none`"
        yield ("write",), message, hint


def _modbus(
    device: ModbusDevice | ModbusRtuTcpDevice | ModbusTlsDevice,
) -> Iterator[Finding]:
    host = device.settings.host
    if _HOST.fullmatch(host) is None:
        hint = "write an address or a name alone; the port has a key of its own"
        yield ("host",), f"`{host}` is not a host", hint


def _broker(broker: MqttBroker) -> Iterator[Finding]:
    if _HOST.fullmatch(broker.host) is None:
        hint = "write an address or a name alone; the port has a key of its own"
        yield ("host",), f"`{broker.host}` is not a host", hint
    if broker.user is not None and broker.tls is None and broker.host not in _LOOPBACK:
        hint = "add `tls`, or leave out `user`"
        yield ("user",), "its password would pass the network in the clear", hint
    for pattern in broker.topics:
        fault = pattern_fault(pattern)
        if fault:
            hint = "write it as in `home/{flat}/+/state`"
            yield ("topics", pattern), f"`{pattern}` is no topic pattern: {fault}", hint


def _topic(reading: TopicReading) -> Iterator[Finding]:
    for key, pointer in (("value", reading.value), ("time", reading.time or "")):
        if _POINTER.fullmatch(pointer) is None:
            hint = "write it as in `/data/temperature`"
            yield (key,), f"`{pointer}` is no JSON pointer", hint


def _forecast_file(file: ForecastFile) -> Iterator[Finding]:
    yield from _whole_paths(file, "path")


def _forecast_topic(source: ForecastTopic) -> Iterator[Finding]:
    if "+" in source.topic or "#" in source.topic:
        yield ("topic",), f"`{source.topic}` is no single topic", "write it without `+` and `#`"


def _broker_tls(tls: BrokerTls) -> Iterator[Finding]:
    yield from _whole_paths(tls, "ca")


def _opcua(device: OpcUaDevice) -> Iterator[Finding]:
    endpoint = device.settings.endpoint
    if _ENDPOINT.fullmatch(endpoint) is None:
        hint = "write it as in `opc.tcp://10.17.0.11:4840/path`"
        yield ("endpoint",), f"`{endpoint}` is not an OPC UA endpoint", hint

    if device.settings.user is not None and device.settings.security is None:
        hint = "add `security`, or leave out `user`"
        yield ("user",), "its password would pass the network in the clear", hint
    if device.settings.user is not None and device.settings.user_certificate is not None:
        hint = "keep `user` or `user_certificate`"
        yield ("user_certificate",), "nobody logs in by password and by certificate", hint


def _login(login: Login) -> Iterator[Finding]:
    if (login.password_file is None) == (login.password_env is None):
        message = "a user needs one place where the password is kept"
        hint = "add `password_file: /PATH` or `password_env: NAME`, and not both"
        yield ("name",), message, hint
    yield from _whole_paths(login, "password_file")


def _key_pair(pair: KeyPair) -> Iterator[Finding]:
    yield from _whole_paths(pair, "certificate", "key")


def _opcua_security(security: OpcUaSecurity) -> Iterator[Finding]:
    yield from _whole_paths(security, "certificate", "key", "trust")


def _whole_paths(part: object, *keys: str) -> Iterator[Finding]:
    """Yield each path that would depend on where the daemon was started."""
    for key in keys:
        path: str | None = getattr(part, key)
        if path is not None and not path.startswith("/"):
            hint = "write it from the root, as in `/etc/heatd/pki/heatd.der`"
            yield (key,), f"`{path}` is not a whole path", hint


def _identity(identity: Identity) -> Iterator[Finding]:
    if (identity.firmware is None) != (identity.firmware_is is None):
        given, missing = "firmware", "firmware_is"
        if identity.firmware is None:
            given, missing = missing, given
        yield (given,), f"`{given}` stands without `{missing}`", f"add `{missing}:`"


def _ordered(low: tuple[str, float], high: tuple[str, float], unit: Unit) -> Iterator[Finding]:
    if low[1] >= high[1]:
        low_text, high_text = format_quantity(low[1], unit), format_quantity(high[1], unit)
        message = (
            f"the limits are crossed: `{low[0]}` {low_text} is not below `{high[0]}` {high_text}"
        )
        yield (low[0],), message, f"write less than {high_text}, or raise `{high[0]}`"


def _twice(names: tuple[str, ...], key: str) -> Iterator[Finding]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield (key,), f"`{name}` stands twice", "name each pump once"


def _mpa(pressure_mpa: float) -> str:
    return f"{pressure_mpa:g} MPa"


PART_CHECKS: Mapping[type, PartCheck] = {
    AuthoritySettings: _authority,
    AutotuneLimits: _autotune,
    BrokerTls: _broker_tls,
    Circuit: _circuit,
    CirculationPumps: _circulation,
    CurveFormula: _curve_formula,
    CurvePoints: _curve_points,
    DpPoints: _dp_points,
    ExchangerData: _exchanger,
    ForecastFile: _forecast_file,
    ForecastTopic: _forecast_topic,
    FrostLimits: _frost,
    Identity: _identity,
    KeyPair: _key_pair,
    Login: _login,
    MakeUp: _makeup,
    ModbusDevice: _modbus,
    MqttBroker: _broker,
    ModbusRtuTcpDevice: _modbus,
    ModbusTlsDevice: _modbus,
    NetworkSource: _network,
    OpcUaDevice: _opcua,
    OpcUaSecurity: _opcua_security,
    PidTuning: _pid,
    Setback: _setback,
    Preheat: _preheat,
    SupplyLimits: _limits,
    TopicReading: _topic,
    Valve: _valve,
}
"""The check of each class that has one."""
