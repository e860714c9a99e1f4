"""What a scan knows beside its image: values that heatd computed itself, under names of their own.

Rule: a computed name holds a dot (source.state) or ends in _SP (T2g_SP), so it never hides a tag.
"""

import math
from collections.abc import Mapping

from core.image import Pick, ProcessImage
from core.point import Quality, Sample, Tag


class Facts:
    """The image of a scan together with the facts computed in it.

    Args:
        image: The inputs of the scan.
        computed: Name to value; NaN stands for "not known" and makes a BAD sample.
    """

    __slots__ = ("_computed", "_image")

    def __init__(self, image: ProcessImage, computed: Mapping[str, float]) -> None:
        self._image = image
        self._computed = computed

    def __getitem__(self, tag: Tag) -> Sample:
        """Return the sample of `tag`; computed facts are GOOD and as old as the scan."""
        value = self._computed.get(tag)
        if value is None:
            return self._image[tag]
        return Sample(value, Quality.BAD if math.isnan(value) else Quality.GOOD, 0.0)

    def value(self, tag: Tag) -> float:
        """Return the value of `tag`, NaN where no decision may rest on it."""
        value = self._computed.get(tag)
        return self._image.value(tag) if value is None else value

    def usable(self, pick: Pick) -> tuple[float, ...]:
        """Return what `value` returns for each tag of `pick`."""
        return tuple(map(self._computed.get, pick.places, self._image.usable(pick)))

    def flag(self, tag: Tag) -> bool | None:
        """Return the bit `tag`, None where it cannot be trusted."""
        value = self._computed.get(tag)
        if value is None:
            return self._image.flag(tag)
        return None if math.isnan(value) else value != 0.0
