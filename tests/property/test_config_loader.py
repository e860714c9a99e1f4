"""No text whatever makes the loader raise anything but `ConfigErrors`, with places that exist."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from config.load import load
from config.problem import ConfigErrors

BASE = Path(__file__).parents[1] / "golden" / "config" / "_base"
FILES = ("heatd.yaml", "stations/st-01.yaml", "templates/plain.yaml", "maps/plc.yaml")
STROKES = [
    *"{}[]:,#&*!|>%@`'\"\\?-~=.\t\n \r\0",
    *(
        "\u2028",
        "\x85",
        "：",
        "，",
        "null",
        "<<",
        "- ",
        ": ",
        "\n  ",
        "*a",
        "&a ",
        "!!str ",
        ".nan",
    ),
    *("1e99", "0x7f", "-0", "..", "---\n", "%YAML 1.1\n", '"\\U99999999"', '"\\x', "!<tag:%zz>"),
    *("? ", "°C", "yes", "2024-09-18", "\ud7ff", "𝄞"),
]
SIGNS = st.sampled_from(STROKES)
TEXTS = st.one_of(st.text(max_size=200), st.lists(SIGNS, max_size=40).map("".join))


def problems_of(file: str, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "site"
        shutil.copytree(BASE, folder)
        (folder / file).write_bytes(content)
        try:
            load(folder)
        except ConfigErrors as errors:
            for problem in errors.problems:
                assert problem.line >= 1
                assert problem.column >= 1
                assert problem.message
                assert "\n" not in str(problem)
            return str(errors)
        return ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXTS, file=st.sampled_from(FILES))
@example(text='a: "\\U99999999"', file="heatd.yaml")
@example(text="[" * 3000, file="heatd.yaml")
@example(text="&a [*a]", file="stations/st-01.yaml")
def test_any_text_in_any_file_is_refused_or_taken(text: str, file: str) -> None:
    problems_of(file, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=20, deadline=None)
@given(content=st.binary(max_size=100), file=st.sampled_from(FILES))
def test_any_bytes_in_any_file_are_refused_or_taken(content: bytes, file: str) -> None:
    problems_of(file, content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), file=st.sampled_from(FILES))
def test_a_right_file_with_a_few_wrong_strokes_is_refused_or_taken(
    data: st.DataObject, file: str
) -> None:
    text = (BASE / file).read_text("utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(SIGNS | st.just("")) + text[end:]

    problems_of(file, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), file=st.sampled_from(FILES))
def test_whatever_value_a_key_has_its_problem_names_that_file(
    data: st.DataObject, file: str
) -> None:
    lines = (BASE / file).read_text("utf-8").splitlines()
    with_key = [i for i, line in enumerate(lines) if ": " in line and "#" not in line]
    i = data.draw(st.sampled_from(with_key))
    key = lines[i].partition(": ")[0]
    value = data.draw(st.sampled_from(["", "[]", "{}", "null", "''", "5 K", "[1, [2]]", "{5: {}}"]))
    lines[i] = f"{key}: {value}"

    said = problems_of(file, "\n".join(lines).encode())

    assert said == "" or ".yaml:" in said
