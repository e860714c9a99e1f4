"""The rows of a point list as its file has them: CSV of any common kind, or xlsx.

Rule: nothing is guessed about what a cell means; only how the file was saved is found out.
"""

import csv
import io
import zipfile
from pathlib import Path

_DELIMITERS = ("\t", ";", ",")
_ENCODINGS = ("utf-8-sig", "gb18030")
_BYTES_MAX = 8 * 1024 * 1024
ROWS_MAX = 20_000

Row = tuple[int, tuple[str, ...]]
"""The number of a row in its file, and its cells."""


class UnreadableFile(ValueError):  # noqa: N818 - it says what a file is, as StopIteration does
    """A file that is no table; the text says what to do about it."""


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV or xlsx file that are not empty.

    Raises:
        UnreadableFile: It cannot be read, or it is another kind of file.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise UnreadableFile(f"{path.name} is larger than {_BYTES_MAX >> 20} MB")
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{path}: {(error.strerror or str(error)).lower()}") from error
    ending = path.suffix.lower()
    if ending in {".csv", ".txt"}:
        cells = _csv(raw, path.name)
    elif ending == ".xlsx":
        cells = _xlsx(raw, path.name)
    else:
        raise UnreadableFile(f"{path.name}: save the point list as .csv or .xlsx")
    rows = [(i, row) for i, row in enumerate(cells, start=1) if any(row)]
    if len(rows) > ROWS_MAX:
        raise UnreadableFile(f"{path.name} has {len(rows)} rows; at most {ROWS_MAX} are read")
    return rows


def _csv(raw: bytes, name: str) -> list[tuple[str, ...]]:
    text = _decoded(raw, name)
    # The separator is the one that most lines are full of; a formula or a note may hold the others.
    lines = [line for line in text.splitlines() if line.strip()]
    counts = {sign: sum(line.count(sign) for line in lines) for sign in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda sign: counts[sign])
    try:
        found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise UnreadableFile(f"{name} is no CSV: {error}") from error
    return [tuple(cell.strip() for cell in row) for row in found]


def _decoded(raw: bytes, name: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableFile(f"{name} is neither UTF-8 nor GBK: save it as CSV UTF-8")


def _xlsx(raw: bytes, name: str) -> list[tuple[str, ...]]:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - an extra, and slow to load
        from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415 - as above
    except ImportError:
        raise UnreadableFile(
            f"{name}: reading xlsx needs openpyxl: pip install 'heatd[xlsx]', or save it as CSV"
        ) from None
    try:
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        sheets = [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UnreadableFile(f"{name} is no xlsx file: {error}") from error
    # A book often begins with a cover sheet; the point list is the longest one.
    longest = max(sheets, key=len, default=[])
    return [tuple(_text(cell) for cell in row) for row in longest]


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
