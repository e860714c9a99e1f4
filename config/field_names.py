"""What the field calls the points of a station: Chinese and English names, headings, types.

Rule: a name is compared without spaces, signs and the words that vary: 一网 is 一次, 供水温度 is
供温.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from core.point import Unit


@dataclass(frozen=True, slots=True)
class KnownPoint:
    """A point that heatd knows by its tag.

    Attributes:
        unit: In which control expects it.
        range: What is plausible where a list gives no range.
        names: What the field calls it, the first for people to read.
    """

    tag: str
    unit: Unit
    range: tuple[float, float] | None
    names: tuple[str, ...]


_TABLE = """
T1g |°C |0..150|一次供水温度 / primary supply temperature
T1h |°C |0..150|一次回水温度 / primary return temperature
P1g |MPa|0..1.6|一次供水压力 / primary supply pressure
P1h |MPa|0..1.6|一次回水压力 / primary return pressure
F1 |m³/h|0..150|一次瞬时流量 / 一次流量 / primary flow
F1_tot|m³|    |一次累计流量
Q1 |kW|0..25000|一次瞬时热量 / 瞬时热量 / 一次热功率 / primary heat output
Q1_tot|GJ|    |一次累计热量 / 累计热量 / primary heat
T2g |°C |0..100|二次供水温度 / secondary supply temperature
T2h |°C |0..100|二次回水温度 / secondary return temperature
P2g |MPa|0..1.0|二次供水压力 / secondary supply pressure
P2h |MPa|0..1.0|二次回水压力 / secondary return pressure
P2D |kPa|0..400|二次供回压差 / 二次供回水压差 / 二次压差 / secondary differential pressure
F2 |m³/h|0..300|二次瞬时流量 / 二次流量 / secondary flow
T_out|°C|-50..50|室外温度 / outdoor temperature
T_room_avg|°C|0..40|室内平均温度 / 平均室温
T_room_min|°C|0..40|室内最低温度 / 最低室温
T_room_p10|°C|0..40|室温p10
LT301|m|0..2.5|补水箱液位 / 水箱液位 / tank level
F3 |m³/h|0..15|补水瞬时流量 / 补水流量 / make-up flow
F3_tot|m³|    |补水累计流量
CV1_U|%|0..100|调节阀阀位反馈 / 调节阀开度反馈 / 调节阀反馈 / 阀位反馈 / valve position
CV1_SV|%|0..100|调节阀给定 / 调节阀阀位给定 / 调节阀开度给定 / 阀位给定 / valve setpoint
CV1_fault| |   |调节阀故障 / valve fault
CV2_U|%|0..100|2#调节阀阀位反馈 / 2#调节阀开度反馈 / 2#调节阀反馈 / 2#阀位反馈
CV2_SV|%|0..100|2#调节阀给定 / 2#调节阀阀位给定 / 2#调节阀开度给定 / 2#阀位给定
CV2_fault| |   |2#调节阀故障
XP_SV|Hz|0..50|循环泵频率给定 / 循环泵给定
BP_SV|Hz|0..50|补水泵频率给定 / 补水泵给定
T2g_SP|°C|0..100|二次供水温度设定 / 二次供温设定 / 二次供水温度给定
HB_PLC| |   |PLC心跳 / 心跳 / heartbeat
HB_SCADA| | |上位机心跳 / 监控心跳
PLC_ID| |   |站号 / PLC标识
LOC_REM| |  |本地远程 / 就地远程 / 远程就地 / 远程允许 / local remote
ESTOP| |    |急停 / 紧急停车 / emergency stop
FALLBACK| | |本地曲线运行 / 自主运行
PWR_OK| |   |市电正常 / 市电
XSV_ON| |   |泄压阀状态 / 泄压阀开
DOOR| |     |门禁 / 门磁
SMOKE| |    |烟感 / 烟雾报警
FLOOD| |    |地面浸水 / 浸水 / 水浸
GAS| |      |可燃气体 / 可燃气 / 燃气泄漏
"""
_PUMPS = {"XP": "循环泵", "BP": "补水泵"}
_PUMP_POINTS = """
Hz|Hz|0..51|频率反馈 / 频率 / 运行频率
A|A|0..100|电流
run| | |运行 / 运行状态
fault| | |故障
start| | |启动 / 启动命令 / 启泵
stop| | |停止 / 停止命令 / 停泵
"""
_PUMPS_MAX = 4
_CURVE_POINTS = 8
_CURVE = (("x", "-50..50", "曲线室外温度"), ("y", "0..100", "曲线供水温度"))


def _known(line: str) -> KnownPoint:
    tag, unit, span, names = (part.strip() for part in line.split("|"))
    low, _, high = span.partition("..")
    limits = (float(low), float(high)) if span else None
    return KnownPoint(tag, Unit(unit), limits, tuple(names.split(" / ")))


def _pump_lines() -> list[str]:
    lines = []
    for pump, name in _PUMPS.items():
        for number in range(1, _PUMPS_MAX + 1):
            for line in _PUMP_POINTS.strip().splitlines():
                point, unit, span, names = line.split("|")
                spelled = [f"{number}#{name}{one}" for one in names.split(" / ")]
                spelled += [f"{name}{number}{one}" for one in names.split(" / ")]
                lines.append(f"{pump}{number}_{point}|{unit}|{span}|{' / '.join(spelled)}")
    return lines


def _curve_lines() -> list[str]:
    return [
        f"FB_{axis}{i}|°C|{span}|{name}{i}"
        for axis, span, name in _CURVE
        for i in range(1, _CURVE_POINTS + 1)
    ]


POINTS: Mapping[str, KnownPoint] = {
    point.tag: point
    for point in map(_known, chain(_TABLE.strip().splitlines(), _pump_lines(), _curve_lines()))
}
"""All points that heatd knows, by tag."""

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "name": ("名称", "点名称", "描述", "参数名称", "变量描述", "说明", "name", "description"),
    "tag": ("点名", "标签", "变量名", "位号", "标识", "tag", "label", "variable"),
    "address": ("地址", "寄存器地址", "寄存器", "modbus地址", "通讯地址", "address", "register"),
    "type": ("数据类型", "类型", "变量类型", "data type", "type", "datatype"),
    "unit": ("单位", "工程单位", "unit", "units"),
    "formula": ("公式", "换算公式", "转换公式", "换算", "formula", "conversion"),
    "scale": ("系数", "倍率", "比例", "scale", "factor"),
    "range": ("量程", "范围", "range"),
    "low": ("下限", "量程下限", "最小值", "low", "min", "minimum"),
    "high": ("上限", "量程上限", "最大值", "high", "max", "maximum"),
    "access": ("读写", "读写属性", "读写权限", "属性", "access", "rw", "r/w", "read/write"),
}
"""The columns of a point list and their usual headings."""

TYPES: Mapping[str, str] = {
    **dict.fromkeys(("real", "float", "float32", "single", "浮点", "浮点数", "f32"), "f32"),
    **dict.fromkeys(("double", "lreal", "float64", "双精度", "f64"), "f64"),
    **dict.fromkeys(("int", "int16", "short", "有符号整数", "i16"), "i16"),
    **dict.fromkeys(("uint", "uint16", "word", "ushort", "无符号整数", "u16"), "u16"),
    **dict.fromkeys(("dint", "int32", "long", "i32"), "i32"),
    **dict.fromkeys(("udint", "uint32", "dword", "ulong", "u32"), "u32"),
    **dict.fromkeys(("lint", "int64", "i64"), "i64"),
    **dict.fromkeys(("ulint", "uint64", "lword", "u64"), "u64"),
    **dict.fromkeys(("bool", "bit", "boolean", "开关量", "di", "do"), "bool"),
    **dict.fromkeys(("bcd", "bcd16"), "bcd16"),
    "bcd32": "bcd32",
}
"""heatd's types by the names that PLCs and lists have for them."""

ZONES: Mapping[str, str] = {"高区": "high", "中区": "mid", "低区": "low"}
"""Zones of pressure in a tall building: each is a circuit of its own."""

_SAME = (
    ("一网", "一次"),
    ("二网", "二次"),
    ("一级", "一次"),
    ("二级", "二次"),
    ("供水温度", "供温"),
    ("回水温度", "回温"),
    ("供水压力", "供压"),
    ("回水压力", "回压"),
    ("循环水泵", "循环泵"),
    ("号", ""),
)
_SIGNS = re.compile(r"[\s#()\[\]_\-./:,]+")


def folded(name: str) -> str:
    """Return a name as names are compared."""
    plain = _SIGNS.sub("", unicodedata.normalize("NFKC", name).lower())
    for found, meant in _SAME:
        plain = plain.replace(found, meant)
    return plain


_BY_NAME = {folded(name): point for point in POINTS.values() for name in point.names}
_BY_TAG = {tag.lower(): point for tag, point in POINTS.items()}


def is_taken_wrongly(known: KnownPoint, unit: Unit) -> bool:
    """Return whether control would take a value in `unit` for one in another; no total is used."""
    is_used = known.unit is not Unit.NONE and not known.tag.endswith("_tot")
    return is_used and unit not in {Unit.NONE, known.unit}


def known_by_name(name: str) -> KnownPoint | None:
    """Return the point that the field calls `name`."""
    return _BY_NAME.get(folded(name))


def known_by_tag(tag: str) -> KnownPoint | None:
    """Return the point with this tag, however its letters are written."""
    return _BY_TAG.get(tag.strip().lower())
