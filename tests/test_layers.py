"""The layers of pyproject.toml hold, and the checker that says so can say no."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RULES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = [contract["name"] for contract in RULES["contracts"]]
TRESPASSES = {
    "core/trespass.py": "import config",
    "alarms/trespass.py": "import drivers, random",
    "control_loops/trespass.py": "import asyncio",
    "config/trespass.py": "import hil_sim, pymodbus, asyncua",
    "controller/trespass.py": "import alembic, sqlalchemy, apscheduler, pydantic, ruamel.yaml",
    "drivers/trespass.py": "import aiomqtt, cryptography, fastapi, openpyxl",
    "history/trespass.py": "import chinese_calendar",
}


def lint_imports(folder: Path) -> str:
    """Return what import-linter says of the packages in `folder`."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return outcome.stdout + outcome.stderr


def test_every_package_keeps_to_its_layer():
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in lint_imports(ROOT)


@pytest.fixture(scope="module")
def verdict_on_trespass(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the packages in which every rule is broken."""
    folder = tmp_path_factory.mktemp("trespass")
    for package in RULES["root_packages"]:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    for module, line in TRESPASSES.items():
        (folder / module).write_text(line + "\n", encoding="utf-8")
    return lint_imports(folder)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_an_import_across_a_border_is_found(verdict_on_trespass, contract):
    assert f"{contract} BROKEN" in verdict_on_trespass, verdict_on_trespass
