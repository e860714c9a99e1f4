"""Register addresses as point lists of the field write them: `4x0001:REAL`, `40001`, `1x0013`.

Rule: the field counts from 1 and names the area by a digit; the wire counts from 0.
"""

import re
from dataclasses import dataclass

from drivers.settings import Area

_AREA_DIGITS: dict[str, Area] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_WITH_X = re.compile(r"([0134])[xX×]\s*([0-9]{1,5})(?:\.([0-9]{1,2}))?(?:\s*[:：]\s*(\w+))?")
_DIGITS = re.compile(r"([0134])([0-9]{4}|[0-9]{5})(?:\.([0-9]{1,2}))?(?:\s*[:：]\s*(\w+))?")
_OWN = re.compile(r"(holding|input|coil|discrete)\s+([0-9]{1,5})(?:\s+bit\s+([0-9]{1,2}))?")
_ADDRESSES = 0x10000


@dataclass(frozen=True, slots=True)
class FieldAddress:
    """An address of a point list.

    Attributes:
        number: As written: from 1 in the field's ways of writing, from 0 in heatd's own.
        bit: Which bit of the register, where one is named.
        type: What stands behind the colon, empty where nothing does.
        is_own: It is written as heatd writes it.
    """

    area: Area
    number: int
    bit: int | None = None
    type: str = ""
    is_own: bool = False

    def written(self, first: int = 1) -> str:
        """Return the address as heatd writes it, where the list counts from `first`."""
        wire = self.number if self.is_own else self.number - first
        return f"{self.area} {wire}" + ("" if self.bit is None else f" bit {self.bit}")


def read_address(text: str) -> FieldAddress | None:
    """Return the address in `text`, or None where it is none that Modbus knows."""
    text = text.strip()
    own = _OWN.fullmatch(text)
    if own is not None:
        found = _AREAS_BY_NAME[own[1]], int(own[2]), own[3], "", True
    else:
        match = _WITH_X.fullmatch(text) or _DIGITS.fullmatch(text)
        if match is None:
            return None
        found = _AREA_DIGITS[match[1]], int(match[2]), match[3], match[4] or "", False
    area, number, bit, kind, is_own = found
    if number > _ADDRESSES:
        return None
    return FieldAddress(area, number, None if bit is None else int(bit), kind, is_own)


_AREAS_BY_NAME: dict[str, Area] = {area: area for area in _AREA_DIGITS.values()}
