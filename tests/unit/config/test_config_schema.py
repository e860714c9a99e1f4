import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from config.quantities import is_number
from config.schema import SCHEMA_FILE, schema, text
from config.tree import Branch, read_tree

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(ROOT.glob("config/examples*/**/*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(schema())


def as_json(branch: Branch) -> Any:
    """Return a branch as an editor's parser (YAML 1.2) sees it."""
    if branch.mapping is not None:
        return {key: as_json(child) for key, child in branch.mapping.items()}
    if branch.items is not None:
        return [as_json(item) for item in branch.items]
    if branch.text is None or not branch.is_plain:
        return branch.text
    if branch.text in {"true", "false"}:
        return branch.text == "true"
    if is_number(branch.text):
        return float(branch.text) if "." in branch.text else int(branch.text)
    return branch.text


def errors(document: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_the_schema_file_is_in_step_with_the_classes() -> None:
    assert SCHEMA_FILE.read_text("utf-8") == text(), "run: python -m config.schema"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_is_valid_for_an_editor(path: Path) -> None:
    assert errors(as_json(read_tree(path, path.name))) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_names_its_schema(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]

    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SCHEMA_FILE


@pytest.mark.parametrize(
    "circuit",
    [
        {"emiter": "radiator"},
        {"emitter": "radiater"},
        {"area": 62000},
        {"area": "62000 kW"},
        {"limits": {"T2g": "35-80 °C"}},
        {"curve": {"-25": "79.5"}},
        {"pid": {"filter_n": 0.5}},
        {"pumps": {"duty": "XP1"}},
    ],
)
def test_an_editor_sees_the_commonest_mistakes(circuit: dict[str, Any]) -> None:
    station = {"station": "st-01", "name": {"zh": "一", "en": "one"}, "circuits": {"main": circuit}}

    assert errors(station) != []


def test_the_schema_explains_keys_with_range_and_default() -> None:
    pumps = schema()["$defs"]["CirculationPumps"]["properties"]

    assert pumps["rotate"]["description"] == (
        "Running time after which the next pump takes the duty. More than 0 s. Default 7 d."
    )
    assert pumps["duty"]["description"].endswith("Default [XP1, XP2].")
    device = schema()["$defs"]["ModbusDevice"]["properties"]
    assert device["port"]["maximum"] == 65535
    assert device["timeout"]["description"].startswith("How long one request")
