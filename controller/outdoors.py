"""The weather of a station in one scan: its outdoor temperature, and what else is known.

Rule: a sample comes from the station's own image, another station or the forecast; nothing is read
here.
"""

from collections.abc import Mapping
from math import isnan, nan
from typing import NamedTuple

from control_loops.climate import normal_c
from control_loops.outdoor import FORECAST, OutdoorChoice, OutdoorState, choose_outdoor
from control_loops.weather import Sun, WeatherFacts, WeatherTerms, Wind
from controller.holidays import CHINA
from controller.plan import StationPlan
from controller.state import StationState, Surroundings
from core.forecast import Outlook, outlook
from core.image import ProcessImage
from core.point import NO_SAMPLE, Quality, Sample, Tag


class Sky(NamedTuple):
    """The weather of a station in one scan.

    Attributes:
        outdoor: The outdoor temperature that control goes by.
        outlook: What the forecast lets one expect.
        elsewhere: Points of other stations by "st-02.wind".
    """

    outdoor: OutdoorChoice
    outlook: Outlook
    elsewhere: Mapping[str, Sample]

    def facts(
        self, terms: WeatherTerms, image: ProcessImage, in_sun: tuple[str, ...]
    ) -> WeatherFacts:
        """Return what the terms of a circuit look at.

        Args:
            terms: The terms.
            image: The station's inputs.
            in_sun: The outdoor sensors on which the sun shines.
        """
        expected = self.outlook.now
        return WeatherFacts(
            wind=self._sample(terms.wind, expected.wind_m_s, image),
            sun=self._sample(terms.sun, expected.sun_w_m2, image),
            is_sunlit=self.outdoor.source in in_sun,
        )

    def _sample(self, term: Wind | Sun | None, expected: float, image: ProcessImage) -> Sample:
        if term is None:
            return NO_SAMPLE
        if term.source == FORECAST:
            # It is of this very moment, however old the forecast: that has a limit of its own.
            return NO_SAMPLE if isnan(expected) else Sample(expected, Quality.GOOD, 0.0)
        sample = self.elsewhere.get(term.source)
        return image[Tag(term.source)] if sample is None else sample


def station_sky(
    plan: StationPlan,
    image: ProcessImage,
    surroundings: Surroundings,
    state: StationState,
    *,
    dt_s: float,
) -> tuple[Sky, OutdoorState | None]:
    """Return the weather of this scan, and what is remembered of the outdoor temperature.

    Args:
        plan: The station.
        image: Its inputs.
        surroundings: What other stations and the forecast say.
        state: The state after the previous scan.
        dt_s: The time that this scan stands for, in s, > 0.
    """
    settings, elsewhere = plan.config.outdoor, surroundings.outdoor
    ahead = outlook(surroundings.forecast, image.taken_at.utc)
    samples: dict[str, Sample] = {
        tag: elsewhere[tag] if tag in elsewhere else image[tag] for tag in plan.outdoor
    }
    if ahead.forecast is not None and FORECAST in settings.order:
        expected_c = ahead.now.outdoor_c
        quality = Quality.BAD if isnan(expected_c) else Quality.GOOD
        samples[FORECAST] = Sample(expected_c, quality, ahead.age_s)
    usual_c = nan
    if settings.climate is not None:
        usual_c = normal_c(settings.climate, image.taken_at.utc + CHINA)
    outdoor, remembered = choose_outdoor(
        settings, samples, state.outdoor, normal_c=usual_c, dt_s=dt_s
    )
    return Sky(outdoor, ahead, elsewhere), remembered
