"""What must be true of where a site and its stations get their weather from.

Rule: as in `config.checks`: each check is one function that yields problems.
"""

from collections.abc import Iterator, Mapping, Sequence

from config.advice import did_you_mean
from config.draft import Draft, entries
from config.problem import Problem, problem_at
from config.tree import Branch
from control_loops.outdoor import CLIMATE, FORECAST, RESERVED, Outdoor
from core.point import Tag, Unit
from drivers.collector_settings import MqttBroker
from drivers.forecast_settings import ForecastSource, ForecastTopic


def weather_sources(drafts: Sequence[Draft], *, are_all_read: bool) -> Iterator[Problem]:
    """Yield sources of outdoor temperatures, wind and sun that no station has.

    Args:
        drafts: The stations that could be read.
        are_all_read: There are no further stations.
    """
    stations = {draft.station: draft for draft in drafts}
    for draft in drafts:
        for name, unit, branch in _sources(draft):
            prefix, _, tag = name.rpartition(".")
            # `low.wind` may be a circuit's own.
            is_own = not prefix or Tag(name) in draft.points
            asked = draft if is_own else stations.get(prefix)
            if asked is None and are_all_read:
                hint = did_you_mean(prefix, stations)
                message = f"`{name}`: the site has no station `{prefix}`"
                yield problem_at(branch.place, message, hint)
            elif asked is not None and asked.are_tags_known:
                yield from _not_measured(asked, Tag(name if is_own else tag), unit, branch)


def _sources(draft: Draft) -> Iterator[tuple[str, Unit, Branch]]:
    """Yield each point that a station takes its weather from, its unit, and where it is named."""
    outdoor: Outdoor | None = draft.values.get("outdoor")
    order = draft.tree.at("outdoor", "order")
    for i, name in enumerate(outdoor.order if outdoor is not None else ()):
        if name not in RESERVED:
            yield name, Unit.CELSIUS, order.items[i] if order.items else order
    for circuit, config in draft.circuits.items():
        branch = draft.tree.at("circuits", circuit, "weather")
        terms = (
            ("wind", config.weather.wind, Unit.METRE_PER_SECOND),
            ("sun", config.weather.sun, Unit.WATT_PER_SQUARE_METRE),
        )
        for key, term, unit in terms:
            if term is not None and term.source != FORECAST:
                yield term.source, unit, branch.at(key, "source")


def _not_measured(asked: Draft, tag: Tag, unit: Unit, branch: Branch) -> Iterator[Problem]:
    """Yield that a station has no such point, or that it is in another unit."""
    point = asked.points.get(tag)
    if point is None:
        message = f"no map of `{asked.station}` has `{tag}`"
        hint = did_you_mean(tag, [*asked.points, *sorted(RESERVED)])
        yield problem_at(branch.place, message, hint)
    elif point.unit is not unit:
        message = f"`{tag}` is in {point.unit.value or 'no unit'}, and {unit.value} is wanted here"
        yield problem_at(
            branch.place, message, "name another point, or correct its unit in the map"
        )


def outdoor_problems(draft: Draft) -> Iterator[Problem]:
    """Yield what is wrong with a chain of outdoor temperatures in itself."""
    outdoor: Outdoor | None = draft.values.get("outdoor")
    if outdoor is None:
        return
    branch = draft.tree.at("outdoor", "order")
    for i, name in enumerate(outdoor.order):
        place = (branch.items[i] if branch.items else branch).place
        if name in outdoor.order[:i]:
            yield problem_at(place, f"`{name}` stands twice", "name each source once")
        elif name == CLIMATE and outdoor.climate is None:
            hint = "add `climate: {monthly: {10: 9, 11: 0, 12: -8, ...}}` beside `order`"
            yield problem_at(place, "nobody says what is usual at the place", hint)
    shone = draft.tree.at("outdoor", "in_sun")
    for i, name in enumerate(outdoor.in_sun):
        if name not in outdoor.order:
            place = (shone.items[i] if shone.items else shone).place
            message = f"`{name}` stands in the sun, and is no source of `order`"
            yield problem_at(place, message, did_you_mean(name, outdoor.order))


def forecast_problems(
    site: Branch | None,
    forecast: ForecastSource | None,
    collectors: Mapping[str, MqttBroker],
    drafts: Sequence[Draft],
) -> Iterator[Problem]:
    """Yield what is wrong with the forecast of a site, and collectors that bring nothing.

    Args:
        site: The site's file, None if it could not be read.
        forecast: Where its forecast comes from.
        collectors: Its collectors.
        drafts: Its stations.
    """
    if site is None:
        return
    yield from _carrier(site, forecast, collectors)
    if "forecast" not in (site.mapping or {}):
        for draft in drafts:
            yield from _without_forecast(draft)


def _carrier(
    site: Branch, forecast: ForecastSource | None, collectors: Mapping[str, MqttBroker]
) -> Iterator[Problem]:
    """Yield a forecast that no collector brings, and collectors that bring nothing."""
    carrier = ""
    if isinstance(forecast, ForecastTopic):
        carrier = forecast.collector or (next(iter(collectors)) if len(collectors) == 1 else "")
        if carrier not in collectors:
            known = ", ".join(collectors) or "none; add `collectors`"
            place = site.at("forecast", "collector").place
            message = "nobody knows which collector brings the forecast"
            if carrier:
                message = f"the site has no collector `{carrier}`"
            yield problem_at(place, message, f"there are: {known}")
    for name, branch in entries(site, "collectors"):
        if name in collectors and not collectors[name].topics and name != carrier:
            hint = "add `topics`, or let it bring the `forecast`"
            yield problem_at(branch.key_place, f"`{name}` brings nothing", hint)


def _without_forecast(draft: Draft) -> Iterator[Problem]:
    """Yield what asks for a forecast in a site that has none."""
    outdoor: Outdoor | None = draft.values.get("outdoor")
    order = draft.tree.at("outdoor", "order")
    asking = [
        order.items[i] if order.items else order
        for i, name in enumerate(outdoor.order if outdoor is not None else ())
        if name == FORECAST
    ]
    for circuit, config in draft.circuits.items():
        branch = draft.tree.at("circuits", circuit, "weather")
        terms = (("wind", config.weather.wind), ("sun", config.weather.sun))
        asking += [
            branch.at(key, "source")
            for key, term in terms
            if term is not None and term.source == FORECAST
        ]
        if config.preheat is not None:
            asking.append(draft.tree.at("circuits", circuit, "preheat"))
    for branch in asking:
        hint = "add `forecast: {kind: file, path: /var/lib/heatd/forecast.json}` to heatd.yaml"
        yield problem_at(branch.place, "the site has no forecast", hint)
