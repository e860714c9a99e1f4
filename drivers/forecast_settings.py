"""What an engineer says about where a weather forecast comes from.

Rule: no protocol library is imported here, so that a configuration is checked without one.
"""

from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from core.parameters import parameters
from core.point import Unit

MaxAge = Annotated[float, Unit.SECOND, Ge(3600), Le(864000)]


@parameters
class ForecastFile:
    """A forecast in a file, JSON or CSV, that something else writes.

    Attributes:
        path: Whole path of the file. It is best replaced as a whole (written beside, then renamed).
        max_age_s: For so long after it was issued a forecast is believed.
        look_s: How often the file is looked at; it is read when it has changed.
    """

    kind: Literal["file"]
    path: Annotated[str, MinLen(1)]
    max_age_s: MaxAge = 86400.0
    look_s: Annotated[float, Unit.SECOND, Ge(1), Le(3600)] = 30.0


@parameters
class ForecastTopic:
    """A forecast that a broker brings, as the JSON or CSV of a file.

    Attributes:
        topic: The topic, without wildcards. A retained message is as good as any: its age is that
            of its `issued`.
        collector: Which collector of the site connects to the broker; may be left out where there
            is one.
        max_age_s: For so long after it was issued a forecast is believed.
    """

    kind: Literal["mqtt"]
    topic: Annotated[str, MinLen(1)]
    collector: str = ""
    max_age_s: MaxAge = 86400.0


ForecastSource = ForecastFile | ForecastTopic
