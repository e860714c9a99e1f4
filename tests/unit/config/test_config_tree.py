from pathlib import Path

import pytest

from config.load import read_document
from config.model import Site
from config.problem import ConfigErrors
from config.tree import ALIASES_MAX, BYTES_MAX, DEPTH_MAX, Branch, merge, read_tree


def tree_of(tmp_path: Path, text: str | bytes) -> Branch:
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_tree(path, "x.yaml")


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigErrors) as refused:
        tree_of(tmp_path, text)
    return str(refused.value)


def test_every_key_and_value_knows_where_it_stands(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a:\n  b: {c: 5 K, d: [x, y]}\n")

    branch = tree.at("a", "b", "c")
    assert (branch.text, branch.key_place.column, branch.place.column) == ("5 K", 7, 10)
    items = tree.at("a", "b", "d").items
    assert items is not None
    assert [(item.text, item.place.line, item.place.column) for item in items] == [
        ("x", 2, 19),
        ("y", 2, 22),
    ]


def test_a_path_that_ends_early_gives_the_deepest_branch_there_is(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a: {b: 1}\n")

    assert tree.at("a", "x", "y") is tree.at("a")


def test_scalars_stay_text_until_somebody_asks(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a: no\nb: 0777\nc: '1'\nd: null\ne:\nf: 1_0\n")

    texts = {key: branch.text for key, branch in (tree.mapping or {}).items()}
    assert texts == {"a": "no", "b": "0777", "c": "1", "d": None, "e": None, "f": "1_0"}
    assert (tree.at("d").is_null, tree.at("e").is_null) == (True, False)
    assert (tree.at("b").is_plain, tree.at("c").is_plain) == (True, False)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "\ufeffa: 1\r\nb: 2\r\n".encode())

    assert (tree.at("a").key_place.column, tree.at("b").place.line) == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.yaml:1:1: the file is empty"),
        ("# nothing\n", "x.yaml:1:1: the file is empty"),
        ("- a\n", "x.yaml:1:1: the file is not a mapping; write `key: value` lines"),
        ("station：st-01\n", "x.yaml:1:8: `：` is a full-width sign (U+FF1A); write `:`"),
        ("a: [1,\n", "x.yaml:2:1: the file ends inside a bracket; close it"),
        (
            "a: b: c\n",
            "x.yaml:1:5: a second `:` in one value; put a text that contains `: ` in quotes",
        ),
        ("a: %\n", 'x.yaml:1:4: a value cannot start with `%`; put it in quotes, as in `"%"`'),
        ("a: *y\n", "x.yaml:1:4: undefined alias 'y'; write the value itself"),
        ("a: |\n x\ny\n", "x.yaml:4:1: the line of line 3 is no `key: value`; write its `:`"),
        ('a: "\\q"\n', "x.yaml:1:6: this is not YAML: found unknown escape character 'q'"),
        ("a: !b 1\n", "x.yaml:1:4: the tag `!b` means nothing here; remove it"),
        ("{[1]: 2}\n", "x.yaml:1:2: a key must be a plain word; write `key: value`"),
        (
            'a: "\\U99999999"\n',
            "x.yaml:1:1: the file is not YAML: Python int too large to convert to C int",
        ),
        ("[" * 5000, "x.yaml:1:65: more than 64 brackets are open here; close them"),
        ("- " * 5000, "x.yaml:1:1: the file is nested too deeply"),
        ('a: !"' + "b" * 9, "x.yaml:1:5: this is not YAML: expected URI, but found '\"'"),
        ("a　: 1\nb: [\n", "x.yaml:3:1: the file ends inside a bracket; close it"),
        ("a\n", "x.yaml:1:1: the file is not a mapping; write `key: value` lines"),
    ],
)
def test_what_is_not_one_plain_mapping_is_refused_at_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refusal(tmp_path, text) == message


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    text = f"a: {'x' * BYTES_MAX}\n"

    assert refusal(tmp_path, text) == (
        "x.yaml:1:1: the file has 262148 bytes; at most 262144 are read;"
        " split it into several files"
    )


def test_a_message_is_of_bearable_length(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, "a: !b" + "z" * 9000 + " 1\n")) < 500


def test_a_message_never_carries_terminal_codes(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text('simulation: "\\e[31mno\\n"\n')

    with pytest.raises(ConfigErrors) as refused:
        read_document(path, Site)

    assert str(refused.value) == (
        "x.yaml:1:13: `\\x1b[31mno\\n` is neither true nor false; write `true` or `false`"
    )


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="the file cannot be read: no such file"):
        read_tree(tmp_path / "nothing.yaml", "nothing.yaml")


def test_deep_nesting_is_refused_once(tmp_path: Path) -> None:
    depth = DEPTH_MAX + 3
    text = "a: " + "[" * depth + "1, 2" + "]" * depth + "\n"

    assert refusal(tmp_path, text).startswith(
        f"x.yaml:1:{4 + DEPTH_MAX}: nested more than {DEPTH_MAX} levels deep"
    )


def test_more_aliases_than_anyone_needs_are_refused(tmp_path: Path) -> None:
    text = "a: &a 1\nb: [" + ", ".join(["*a"] * (ALIASES_MAX + 1)) + "]\n"

    assert f"more than {ALIASES_MAX} aliases" in refusal(tmp_path, text)


def test_an_alias_stands_for_what_its_anchor_says(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "a: &x {k: 1}\nb: *x\n")

    assert tree.at("b", "k").text == "1"
    assert tree.at("b").key_place.line == 2


def merged(tmp_path: Path, template: str, station: str) -> tuple[Branch, list[str]]:
    below = tree_of(tmp_path, template)
    above = tree_of(tmp_path, station)
    branch, problems = merge(below, above)
    return branch, [str(problem) for problem in problems]


def test_mappings_merge_key_by_key_and_the_station_wins(tmp_path: Path) -> None:
    tree, problems = merged(tmp_path, "a: {b: 1, c: 2}\nl: [1, 2]\n", "a: {c: 3, d: 4}\nl: [5]\n")

    assert {key: tree.at("a", key).text for key in "bcd"} == {"b": "1", "c": "3", "d": "4"}
    assert [item.text for item in tree.at("l").items or ()] == ["5"]
    assert problems == []


def test_a_curve_is_replaced_as_a_whole(tmp_path: Path) -> None:
    tree, _ = merged(tmp_path, "curve: {-25: 80, 10: 36}\n", "curve: {-20: 70, 5: 40}\n")

    assert list(tree.at("curve").mapping or ()) == ["-20", "5"]


def test_null_takes_away_what_the_template_has(tmp_path: Path) -> None:
    tree, problems = merged(tmp_path, "a: {b: 1, c: 2}\n", "a: {b: null, x: ~}\n")

    assert list(tree.at("a").mapping or ()) == ["c"]
    assert problems == [
        "x.yaml:1:14: `x: null` takes away what the template or map does not have; remove the line"
    ]
