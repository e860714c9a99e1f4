"""The habits of the house, held by the machine: small functions, told reasons, plain names.

Rule: each check is a function from text to findings, and is itself shown a case it must refuse.
"""

import ast
import asyncio
import io
import re
import shutil
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["importlinter"]["root_packages"]

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400
NESTING_MAX = 3
BANNED_WORDS = {"manager", "handler", "helper", "helpers", "util", "utils"}

ASYNCIO_NAMES = set(dir(asyncio.AbstractEventLoop))

BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = (*FUNCTIONS, ast.ClassDef)

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def committed_files() -> list[Path]:
    """Return every file that is, or would be, committed."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def identifier(path: Path) -> str:
    """Return the path as people write it."""
    return str(path.relative_to(ROOT))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def depth(node: ast.AST) -> int:
    """Return how deep the blocks under `node` nest; an `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, NAMED):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        opens = isinstance(child, BLOCKS) and not is_elif
        deepest = max(deepest, depth(child) + opens)
    return deepest


def size_findings(source: str) -> list[str]:
    """Return what is too long or too deep in a module."""
    findings = []
    if (lines := source.count("\n")) > MODULE_LINES_MAX:
        findings.append(f"module has {lines} lines")
    for function in functions(ast.parse(source)):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            findings.append(f"{function.name} has {lines} lines")
        if (nesting := depth(function)) > NESTING_MAX:
            findings.append(f"{function.name} nests {nesting} deep")
    return findings


def reason_findings(source: str) -> list[str]:
    """Return the comments that silence a checker without naming the rule and the reason."""
    silencing = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover)")
    rules = r"noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[\w-]+(, ?[\w-]+)*\]|pragma: no cover"
    reasoned = re.compile(rf"#\s*({rules})\s+(-|#)\s*\S+ \S+")
    comments = (
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    )
    return [
        f"line {comment.start[0]}: {comment.string}"
        for comment in comments
        if silencing.search(comment.string) and not reasoned.search(comment.string)
    ]


def name_findings(source: str, module: str) -> list[str]:
    """Return the names of modules, classes and functions that say nothing and are our own."""
    names = [module] + [
        node.name for node in ast.walk(ast.parse(source)) if isinstance(node, NAMED)
    ]
    return [name for name in names if BANNED_WORDS & set(words(name)) and name not in ASYNCIO_NAMES]


def words(name: str) -> list[str]:
    """Return the words of a snake_case or CamelCase name."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def module_name(path: Path) -> str:
    """Return the dotted name of a module of the packages."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: str, package: str) -> set[str]:
    """Return every dotted name that a module may load, whether it imports or only spells it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -node.level + 1 or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names | {
        ".".join(name.split(".")[:i]) for name in names for i in range(1, name.count(".") + 1)
    }


def unreachable(modules: dict[str, str], roots: set[str]) -> set[str]:
    """Return those of `modules`, sources by name, that loading the `roots` never loads."""
    reached: set[str] = set()
    waiting = {name for name in roots if name in modules}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {
            other for other in imported_names(modules[name], name) if other in modules
        } - reached
    return set(modules) - reached


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_functions_and_modules_stay_small_and_flat(path):
    assert size_findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=identifier)
def test_whoever_silences_a_checker_says_why(path):
    assert reason_findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_names_are_words_of_the_plant(path):
    assert name_findings(path.read_text(encoding="utf-8"), path.stem) == []


def test_every_module_is_loaded_by_an_entry_point_or_a_test():
    modules = {module_name(path): path.read_text(encoding="utf-8") for path in SOURCES}
    entry_points = {script.partition(":")[0] for script in PROJECT["project"]["scripts"].values()}
    from_tests = {
        name for path in TESTS for name in imported_names(path.read_text(encoding="utf-8"), "tests")
    }
    loaded_by_alembic = {name for name in modules if name.startswith("history.migrations")}
    assert unreachable(modules, entry_points | from_tests | loaded_by_alembic) == set()


@pytest.mark.parametrize(
    "path", sorted(path for p in PACKAGES for path in (ROOT / p).rglob("*.y*ml")), ids=identifier
)
def test_every_sample_yaml_loads(path):
    assert YAML(typ="safe").load(path) is not None


def foreign_findings(text: str) -> list[str]:
    """Return the paths of one machine and the addresses of package registries in a text."""
    places = [
        re.escape(f"{ROOT}/"),
        r"/(?:home|Users|roo[t])/\w+",
        r"pythonhosted[.]org|pypi[.]org|npmjs[.](?:org|com)",
        r"--(?:extra-)?index-ur[l][ =]",
        r"https?://\S+[.](?:whl|tgz|tar[.]gz)",
    ]
    return re.findall("|".join(places), text)


def test_no_file_knows_this_machine_or_a_package_registry():
    findings = {
        identifier(path): found
        for path in committed_files()
        if (found := foreign_findings(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert findings == {}


class TestTheChecksCanSayNo:
    """A check that never fails guards nothing."""

    def test_about_size(self):
        long = "def f():\n" + "    x = 1\n" * 60
        deep = "def f():\n for a in b:\n  if a:\n   with a:\n    while True:\n     c()\n"
        flat = "def f(a):\n if a:\n  b()\n" + " elif c:\n  d()\n" * 5
        assert size_findings(long) == ["f has 61 lines"]
        assert size_findings(deep) == ["f nests 4 deep"]
        assert size_findings(flat) == []
        assert size_findings("\n" * 401) == ["module has 401 lines"]

    @pytest.mark.parametrize(
        ("comment", "is_refused"),
        [
            ("noqa", True),
            ("noqa: S101", True),
            ("noqa: S101 - the type checker cannot see it", False),
            ("noqa: S101, PLR2004 - two rules at once", False),
            ("type: ignore", True),
            ("type: ignore[misc]", True),
            ("type: ignore[misc] # the library has no types", False),
            ("pragma: no cover", True),
        ],
    )
    def test_about_reasons(self, comment, is_refused):
        assert bool(reason_findings(f"x = 1  # {comment}\n")) is is_refused

    def test_about_names(self):
        source = "class LinkManager:\n    def event_handler(self): ...\nclass Handle: ...\n"
        source += "class Loop:\n    def set_exception_handler(self): ...\n"
        assert name_findings(source, "utils") == ["utils", "LinkManager", "event_handler"]

    def test_about_unreachable_modules(self):
        modules = {
            "a": "from b import c",
            "b": "",
            "b.c": "import d",
            "d": "load('b.e')",
            "b.e": "",
            "lost": "import a",
        }
        assert unreachable(modules, {"a"}) == {"lost"}

    def test_about_foreign_places(self):
        assert foreign_findings("see /home" + "/ann/heatd and --index" + "-url x") != []
        assert foreign_findings("the supply is /homely/ warm") == []
