"""A raise/lower valve, played in virtual time with the real daemon, its drivers and its PLC."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from hil_sim.play import Result, Row, play
from hil_sim.scenario import load_scenario
from tests.contact_site import write_site
from tests.playing import elsewhere

DRILL = Path(__file__).parent / "drills" / "contacts.yaml"
CUT_S, HEALED_S, TAKEN_BACK_S = 4500.0, 5100.0, 5280.0


def played(site: Path, seed: int) -> tuple[Result, list[Row]]:
    rows: list[Row] = []
    return play(load_scenario(str(DRILL)), seed=seed, rows=rows, site_dir=site), rows


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    site = write_site(tmp_path_factory.mktemp("contacts"))
    return elsewhere(tmp_path_factory, "contacts-1", partial(played, site, 1))


def test_all_laws_hold(drill):
    result, _ = drill
    assert (result.verdict, result.broken_invariants) == ("pass", [])


def test_the_supply_is_held_and_the_motor_is_spared(drill):
    """Only heatd's starts count, the way back from the cut included: not those of the PLC."""
    result, rows = drill
    assert result.figures["supply_rmse_k"] <= 1.0
    held = [row for row in rows if row.at_s >= 2700.0 and row.authority == "heatd"]
    moves = [later.valve_pct != row.valve_pct for row, later in pairwise(held)]
    starts = sum(now and not before for before, now in pairwise([False, *moves]))
    assert 0 < starts <= 7


def test_while_the_link_is_cut_the_plc_moves_the_valve_and_gives_it_back_where_it_stands(drill):
    _, rows = drill
    cut = [row for row in rows if CUT_S + 90.0 < row.at_s < HEALED_S]
    assert {row.authority for row in cut} == {"lost"}
    assert {row.registers["FALLBACK"] for row in cut} == {1.0}
    after = [row for row in rows if row.at_s >= TAKEN_BACK_S]
    assert {row.authority for row in after} == {"heatd"}
    off_k = [abs(row.supply_c - row.setpoint_c) for row in after]
    assert max(off_k) < 3.0


def test_the_valve_follows_what_the_loop_wants(drill):
    _, rows = drill
    calm = [row for row in rows if 2700.0 < row.at_s < CUT_S]
    assert max(abs(row.valve_pct - row.command_pct) for row in calm) < 6.0
    assert sum(abs(row.valve_pct - row.command_pct) < 2.5 for row in calm) > 0.9 * len(calm)
