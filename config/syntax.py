"""What a YAML syntax error means to the person who typed it.

Rule: the parser's own words name its states ("expected <block end>"); these name the mistake.
"""

import re

from ruamel.yaml.error import MarkedYAMLError

from config.problem import Place, Problem, problem_at

_FULL_WIDTH = {
    "：": ":",
    "，": ",",
    "；": ";",
    "｛": "{",
    "｝": "}",
    "【": "[",
    "】": "]",
    "［": "[",
    "］": "]",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "　": " ",
    "－": "-",
    "．": ".",
    "。": ".",
}
_FULL_WIDTH_ONE = re.compile("[" + "".join(_FULL_WIDTH) + "]")
_NO_SPACE = re.compile(r"\s*[A-Za-z_][\w.-]*:(?=[^\s/])")
_COMMENT = re.compile(r"(^|\s)#.*")


def plain_form(text: str) -> tuple[str, str, int] | None:
    """Return the first full-width sign in `text`, the plain sign for it and its offset, or None."""
    found = _FULL_WIDTH_ONE.search(text)
    if found is None:
        return None
    return found.group(), _FULL_WIDTH[found.group()], found.start()


def full_width(text: str, file: str, *, line: int = 1) -> Problem | None:
    """Return the first full-width sign outside comments from `line` on as a problem, if any."""
    for number, content in enumerate(text.splitlines()[line - 1 :], start=line):
        found = plain_form(_COMMENT.sub("", content))
        if found is not None:
            sign, plain, offset = found
            place = Place(file, number, offset + 1)
            return full_width_at(place, sign, plain)
    return None


def full_width_at(place: Place, sign: str, plain: str) -> Problem:
    """Return the problem of a full-width sign at `place`."""
    message = f"`{sign}` is a full-width sign (U+{ord(sign):04X})"
    hint = "write a plain space" if plain == " " else f"write `{plain}`"
    return problem_at(place, message, hint)


def explain(error: MarkedYAMLError, text: str, file: str) -> Problem:
    """Return the syntax error of the file's `text` as a problem at the position of the mistake."""
    mark = error.problem_mark or error.context_mark
    line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    content = lines[line - 1] if line <= len(lines) else ""
    for suspect in {max(line - 1, 1), line}:
        found = full_width(text, file, line=suspect)
        if found is not None and found.line == suspect:
            return found
    opening = error.context_mark
    if "end of stream" in str(error.problem) and opening is not None and opening.line + 1 < line:
        place = Place(file, opening.line + 1, opening.column + 1)
        return problem_at(place, "what opens here is not closed", "close the quote or bracket")
    above = lines[line - 2] if 1 < line <= len(lines) + 1 else ""
    tight = _NO_SPACE.match(above)
    if str(error.problem).startswith("mapping values") and tight and ": " not in above:
        place = Place(file, line - 1, tight.end())
        return problem_at(place, "a space is missing after the `:`", "write `key: value`")
    message, hint = _meaning(error, content, column)
    if message == _TAB:
        column = content.index("\t") + 1
    return problem_at(Place(file, line, column), message, hint)


_TAB = "a tab stands here; YAML is indented with spaces"


def _meaning(error: MarkedYAMLError, content: str, column: int) -> tuple[str, str]:
    """Return what the mistake is and what to write instead."""
    problem = str(error.problem or "").removeprefix("but ")
    opened = "" if error.context_mark is None else f" of line {error.context_mark.line + 1}"
    sign = content[column - 1 : column]
    if "\t" in content[:column]:
        return _TAB, "replace it by spaces"
    if problem == "mapping values are not allowed here" and ": " in content[: column - 1]:
        return "a second `:` in one value", "put a text that contains `: ` in quotes"
    meanings = (
        ("mapping values", "the indentation is wrong here", "line the key up with its neighbours"),
        ("cannot start any token", f"a value cannot start with `{sign}`",
         f'put it in quotes, as in `"{sign}"`'),
        ("stream end", "the file ends inside a bracket", "close it"),
        ("expected <block end>", f"the indentation does not fit the block{opened}",
         "line the key up with its neighbours"),
        ("expected ',' or", f"a `,` or the end of the bracket{opened} is missing before here",
         "write `,` between entries"),
        ("could not find expected ':'", f"the line{opened} is no `key: value`", "write its `:`"),
        ("found undefined alias", problem.removeprefix("found "), "write the value itself"),
        ("another document", "a second document starts here", "keep one document in a file"),
    )  # fmt: skip
    fitting = (meaning for words, *meaning in meanings if words in problem)
    message, hint = next(fitting, (f"this is not YAML: {problem}", ""))
    return message, hint
