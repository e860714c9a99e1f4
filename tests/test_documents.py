"""The documents are true: links lead somewhere, commands exist, the station of the README loads."""

import re
import shutil
from pathlib import Path

import pytest
from typer.main import get_command

from config.load import load
from controller.cli import app as heatd
from hil_sim.cli import app as heatd_sim
from hil_sim.scenario import names

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def identifier(path: Path) -> str:
    """Return the path as people write it."""
    return str(path.relative_to(ROOT))


def test_the_changelog_is_open_for_the_next_change():
    headings = re.findall(
        r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings[0] == "[Unreleased]"
    assert all(
        re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:]
    )


def test_decisions_are_numbered_once_short_and_listed():
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    index = (folder / "README.md").read_text(encoding="utf-8")
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    assert sorted(re.findall(r"\]\((\d{4}-[^)]+)\)", index)) == [page.name for page in pages]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert [
            heading
            for heading in ("Context", "Decision", "Consequences")
            if f"\n## {heading}\n" not in text
        ] == []
        assert text.count("\n") <= 30, page.name


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_every_link_leads_to_a_file(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_every_command_that_is_named_exists(page):
    code = re.findall(r"```.*?```|`[^`]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    commands = {
        "heatd": set(get_command(heatd).commands),
        "heatd-sim": set(get_command(heatd_sim).commands),
    }
    named = re.findall(r"\b(heatd(?:-sim)?) (?!-)([a-z]+)", "\n".join(code))
    assert [(program, word) for program, word in named if word not in commands[program]] == []


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_every_source_file_that_is_named_exists(page):
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.\w+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_every_drill_that_is_named_exists(page):
    drills = re.findall(r"heatd-sim run ([a-z-]+)", page.read_text(encoding="utf-8"))
    assert set(drills) - {"list"} <= set(names())


def test_the_station_in_the_readme_is_accepted(tmp_path):
    shutil.copytree(ROOT / "config" / "examples", tmp_path / "site")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    station = re.search(r"```yaml\n(station: st-01\n.*?)```", readme, re.DOTALL)
    (tmp_path / "site" / "stations" / "st-01.yaml").write_text(station[1], encoding="utf-8")
    assert "st-01" in [station.station for station in load(tmp_path / "site").stations]


SCORECARDS = [*(ROOT / "docs" / "drivers").glob("*.md"), ROOT / "docs" / "data-quality.md"]


def test_every_row_of_the_catalogue_of_field_faults_has_a_line_that_names_its_test():
    lines = [line for page in SCORECARDS for line in page.read_text("utf-8").splitlines()]
    shown = {
        int(row[1])
        for line in lines
        if (row := re.match(r"\| (\d+) \|.*(`[\w-]+`|the same)", line)) is not None
    }
    assert shown >= {*range(1, 39), 68, 69}


def test_every_test_that_a_scorecard_names_exists():
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    known = set(tests) | {
        name for text in tests.values() for name in re.findall(r"def (test_\w+)", text)
    }
    named = {
        name
        for page in SCORECARDS
        for name in re.findall(
            r"`(?:[\w/]+/)?(test_\w+(?:\.py)?)`", page.read_text(encoding="utf-8")
        )
    }
    assert len(named) > 10
    assert named - known == set()
