"""Binary coded decimals: a digit in each half byte, as old meters send them.

Rule: a digit above 9 makes no number.
"""

import math
from collections.abc import Sequence


def to_decimal(number: int) -> int:
    """Return the raw number whose hexadecimal digits are the decimal digits of `number`, >= 0."""
    return int(str(number), 16)


def from_decimals(numbers: tuple[float, ...], columns: Sequence[int]) -> tuple[float, ...]:
    """Return `numbers` with those at `columns` read as binary coded decimals, NaN for none."""
    read = list(numbers)
    for i in columns:
        digits = f"{int(read[i]):x}"
        read[i] = float(digits) if digits.isdecimal() else math.nan
    return tuple(read)
