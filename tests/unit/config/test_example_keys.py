"""What the examples show in comments may be written as it stands there."""

import re
import shutil
from pathlib import Path

from config.load import load
from config.shape import keys_of
from drivers.collector_settings import FlatRow

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"


def test_the_keys_of_collectors_and_flats_are_shown_as_they_may_be_written(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    site, station = tmp_path / "heatd.yaml", tmp_path / "stations" / "st-01.yaml"
    text = site.read_text("utf-8")
    shown = re.search(r"(# collectors:\n(?:#  .*\n)+)# In a .*\n(# flats:\n(?:#  .*\n)+)", text)
    assert shown is not None
    collectors, flats = (re.sub("(?m)^# ", "", block) for block in shown.groups())
    site.write_text(text + collectors, "utf-8")
    station.write_text(station.read_text("utf-8") + "\n" + flats, "utf-8")

    loaded = load(tmp_path)

    broker = loaded.collectors["rooms"]
    for part in (broker, broker.tls, broker.topics["home/{flat}/+/state"]):
        assert {key.name for key in keys_of(type(part)).values()} <= set(
            re.findall(r"\w+", collectors)
        )
    assert loaded.stations[0].flats["3-601"].device == "a4c1385f02e7"
    assert {key.name for key in keys_of(FlatRow).values()} <= set(re.findall(r"\w+", flats))
