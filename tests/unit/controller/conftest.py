"""A station whose scans a test feeds by hand: the example's configuration and the real `decide`.

Rule: the image says what an untroubled winter day looks like; a test says only what differs.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from config.load import load
from config.model import Station
from controller.authority import Authority
from controller.decide import Decision, decide
from controller.plan import plan_station
from controller.snapshot import LoopView
from controller.state import StationState, Surroundings, first_state
from controller.view import snapshot_of
from core.clock import Instant
from core.command import Command
from core.image import ProcessImage
from core.point import Quality, Sample, Tag, TagTable
from core.record import Record
from drivers.link import LinkStatus

CONFIG = Path(__file__).parents[3] / "config"
WINTER = datetime(2026, 1, 15, 4, 0, tzinfo=UTC)
NAN = math.nan

# At -5 °C outdoors the example's curve asks for 56.2 °C, which stands in the field.
CALM: dict[str, float] = {
    "T1g": 94.6,
    "T1h": 48.0,
    "P1g": 0.9,
    "P1h": 0.5,
    "F1": 41.9,
    "Q1": 430.0,
    "T2g": 56.2,
    "T2h": 44.0,
    "P2g": 0.58,
    "P2h": 0.4,
    "P2D": 180.0,
    "F2": 160.0,
    "T_out": -5.0,
    "LT301": 1.5,
    "F3": 0.0,
    "CV1_U": 40.0,
    "XP1_Hz": 43.0,
    "XP1_run": 1.0,
    "T_room_avg": 21.0,
    "T_room_min": 20.0,
    "T_room_p10": 20.0,
    "T_room_n": 30.0,
    "B_Tsup": 45.0,
    "B_Tret": 44.0,
    "B_remote": 1.0,
    "B_flow_ok": 1.0,
    "B_P_ok": 1.0,
    "B_gasP": 20.0,
    "B_gasP_ok": 1.0,
    "LOC_REM": 1.0,
    "PWR_OK": 1.0,
    "FALLBACK": 1.0,
}


# Floor heating above: colder water under more pressure.
HIGH_ZONE: dict[str, float] = {
    "high.T2g": 36.6,
    "high.T2h": 31.0,
    "high.P2g": 0.88,
    "high.P2h": 0.75,
    "high.P2D": 120.0,
    "high.CV1_U": 25.0,
}


class Bench:
    """One station, scanned by hand every `period_s`.

    What heatd writes stands in the registers of the next scan, the valve follows at once, and the
    PLC's heartbeat counts. `values` and `qualities` may be changed between scans.
    """

    period_s = 5.0

    def __init__(self, config: Station, *, is_simulation: bool = True) -> None:
        self.config = config
        self.plan = plan_station(config)
        self.state: StationState = first_state(self.plan)
        self.table = TagTable(tag for tag, point in config.points.items() if not point.is_pulse)
        self.values: dict[str, float] = {
            tag: HIGH_ZONE.get(tag, CALM.get(tag.rpartition(".")[2], 0.0)) for tag in self.table
        }
        identity = next(iter(config.devices.values())).identity
        self.values["PLC_ID"] = float(identity.equals) if identity else 0.0
        self.qualities: dict[str, Quality] = {}
        self.beats = True
        self.at = Instant(1000.0, WINTER)
        self.surroundings = Surroundings(
            outdoor={},
            devices={name: link_status(name) for name in config.devices},
            is_journal_degraded=False,
            is_read_only=False,
            is_simulation=is_simulation,
        )
        self.decisions: list[Decision] = []

    def view(self, *, unverified: tuple[Tag, ...] = ()) -> LoopView:
        """Return the first loop as people see it; what stands in `unverified` is not read back."""
        snapshot = snapshot_of(
            self.plan,
            self.last,
            links={"plc": link_status("plc", unverified=unverified)},
            scans=1,
            overruns=0,
            is_simulation=True,
            is_read_only=False,
            is_faulty=False,
        )
        return snapshot.loops[0]

    @property
    def last(self) -> Decision:
        """What the newest scan decided."""
        return self.decisions[-1]

    @property
    def holds(self) -> Authority:
        """Who moves the outputs since the newest scan."""
        return self.last.state.authority.holds

    @property
    def records(self) -> list[Record]:
        """All records of all scans, in order."""
        return [record for decision in self.decisions for record in decision.records]

    def image(self) -> ProcessImage:
        """The image of the present values: NaN where the quality is BAD."""
        qualities = [self.qualities.get(tag, Quality.GOOD) for tag in self.table]
        values = tuple(
            NAN if quality is Quality.BAD else self.values[tag]
            for tag, quality in zip(self.table, qualities, strict=True)
        )
        ages_s = (0.1,) * len(self.table)
        station = self.config.station
        return ProcessImage(station, self.at, self.table, values, bytes(qualities), ages_s)

    def scan(self, *commands: Command, dt_s: float = period_s, **changes: float) -> Decision:
        """Let `dt_s` pass, take the changed values, and decide."""
        self.values.update(changes)
        if self.beats:
            self.values["HB_PLC"] = (self.values["HB_PLC"] + 5) % 65536
        self.at = Instant(self.at.monotonic_s + dt_s, self.at.utc + timedelta(seconds=dt_s))
        decision = decide(
            self.plan, self.image(), self.surroundings, commands, self.state, dt_s=dt_s
        )
        self.state = decision.state
        self.decisions.append(decision)
        self._carry_out(decision)
        return decision

    def scan_for(self, seconds: float, **changes: float) -> Decision:
        """Scan until `seconds` have passed; return the last decision."""
        for _ in range(round(seconds / self.period_s)):
            self.scan(**changes)
        return self.last

    def take_over(self) -> "Bench":
        """Scan until the PLC has handed the outputs to heatd."""
        self.scan_for(60.0)
        assert self.holds is Authority.TAKING_OVER
        self.scan(FALLBACK=0.0)
        assert self.holds is Authority.HEATD
        return self

    def spoil(self, *tags: str, quality: Quality = Quality.BAD) -> None:
        """Make points BAD, or give them another quality, until `mend`."""
        self.qualities.update(dict.fromkeys(tags, quality))

    def mend(self, *tags: str) -> None:
        """Make points GOOD again."""
        for tag in tags:
            self.qualities.pop(tag)

    def see(self, **changes: object) -> None:
        """Change what the scan knows of the world outside its own PLC."""
        self.surroundings = self.surroundings._replace(**changes)

    def _carry_out(self, decision: Decision) -> None:
        for tag, value in decision.outputs.values.items():
            self.values[tag] = value
            if tag.endswith("CV1_SV"):
                self.values[tag.removesuffix("SV") + "U"] = value


def link_status(name: str, *, is_up: bool = True, unverified: tuple[Tag, ...] = ()) -> LinkStatus:
    """Return how a link fares that has nothing to tell."""
    return LinkStatus(
        name=name,
        is_up=is_up,
        down_since_s=None if is_up else 0.0,
        polls=10,
        poll_errors=0,
        writes=3,
        writes_verified=3,
        unverified=unverified,
        last_error="",
    )


def sample(value: float, quality: Quality = Quality.GOOD) -> Sample:
    """Return a sample that was taken just now."""
    return Sample(value, quality, 0.1)


def with_authority(config: Station, **changes: object) -> Station:
    """Return the station with other settings of its authority."""
    return replace(config, authority=replace(config.authority, **changes))


@cache
def example(name: str = "st-01") -> Station:
    """Return a station of the examples."""
    return next(s for s in load(CONFIG / "examples").stations if s.station == name)


@cache
def two_zones() -> Station:
    """Return the example of a station with two circuits."""
    return load(CONFIG / "examples-two-zone").stations[0]


@pytest.fixture(scope="session")
def station() -> Station:
    """The example with one circuit and a boiler."""
    return example()


@pytest.fixture(scope="session")
def two_zone_station() -> Station:
    """The example with two circuits, low and high."""
    return two_zones()


@pytest.fixture
def bench(station: Station) -> Bench:
    """The example's station, before its first scan."""
    return Bench(station)


@pytest.fixture
def ours(bench: Bench) -> Bench:
    """The example's station, just taken over by heatd."""
    return bench.take_over()
