"""The messages refuse what they do not know and carry no number that JSON lacks."""

import json
import math

import pytest
from pydantic import TypeAdapter, ValidationError

from api.messages import ChainLink, CommandRequest, SetRequest, SourceRequest, Status
from controller.translate import station_of, status_of
from tests.face import SmallDaemon, snapshot

SET = {"kind": "set", "station": "st-01", "point": "CV1_SV", "value": 45.0, "why": "test"}
REQUEST = TypeAdapter(CommandRequest)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_known_is_null(value):
    link = ChainLink(name="outdoor", value=value, unit="°C", note="")
    assert json.loads(link.model_dump_json())["value"] is None


def test_a_message_never_changes():
    with pytest.raises(ValidationError):
        SetRequest(**SET).value = 46.0


@pytest.mark.parametrize(
    "wrong",
    [
        {**SET, "value": math.nan},
        {**SET, "value": math.inf},
        {**SET, "value": True},
        {**SET, "value": "45"},
        {**SET, "extra": 1},
        {**SET, "kind": "reboot"},
        {**SET, "station": ""},
        {**SET, "station": "x" * 65},
        {**SET, "why": "x" * 1001},
        {**SET, "lease_s": math.inf},
        {key: value for key, value in SET.items() if key != "why"},
    ],
)
def test_a_request_that_is_not_exactly_one_is_refused(wrong):
    with pytest.raises(ValidationError):
        REQUEST.validate_python(wrong)


def test_the_kind_of_a_request_says_which_it_is():
    found = REQUEST.validate_python(
        {"kind": "source", "station": "st-01", "action": "start", "why": "test"}
    )
    assert found == SourceRequest(station="st-01", action="start", why="test")


def test_a_status_comes_back_as_it_was_sent():
    status = status_of(SmallDaemon())
    assert Status.model_validate_json(status.model_dump_json()) == status


def test_news_of_one_station_take_the_place_of_what_was_known_of_it():
    status = status_of(SmallDaemon())
    news = station_of(snapshot(scans=7))
    assert [station.scans for station in status.with_station(news).stations] == [7]


def test_news_of_a_station_that_was_waited_for_end_the_wait():
    status = status_of(SmallDaemon()).model_copy(update={"waiting": ("st-02",)})
    news = station_of(snapshot(station="st-02"))
    after = status.with_station(news)
    assert [station.station for station in after.stations] == ["st-01", "st-02"]
    assert after.waiting == ()
