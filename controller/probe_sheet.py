"""The point-to-point sheet (点对点校核表): what heatd reads, and room for what the engineer reads.

Rule: it shows what was read and nothing else; the local reading and the tick are a person's.
"""

import csv
import html
import io
from collections.abc import Sequence

from controller.probe import Probed

COLUMNS = (
    "tag",
    "name 名称",
    "address 地址",
    "raw 原始值",
    "value 读数",
    "unit 单位",
    "quality 品质",
    "local reading 就地读数",
    "✓",
    "remark 备注",
)
FORMATS = (".csv", ".html", ".md")

_STYLE = """
@page { size: A4 landscape; margin: 12mm }
body { font: 10pt/1.3 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; color: #000 }
h1 { font-size: 14pt; margin: 0 0 2mm }
table { border-collapse: collapse; width: 100% }
thead { display: table-header-group }
tr { break-inside: avoid }
th, td { border: .3mm solid #555; padding: .8mm 1.2mm; text-align: left; vertical-align: top }
th { background: #eee }
td.raw { font-family: monospace; font-size: 8pt }
td.bad { font-weight: bold; text-decoration: underline }
td.room { min-width: 22mm }
footer { margin-top: 8mm; display: flex; gap: 20mm }
footer span { border-top: .3mm solid #000; padding-top: 1mm; min-width: 50mm }
"""


def sheet(title: str, taken: str, rows: Sequence[Probed], suffix: str) -> str:
    """Return the sheet as the text of a file.

    Args:
        title: The station.
        taken: When the points were read.
        rows: What they showed.
        suffix: One of `FORMATS`.
    """
    match suffix:
        case ".csv":
            return _csv(title, taken, rows)
        case ".html":
            return _html(title, taken, rows)
        case _:
            return _markdown(title, taken, rows)


def _cells(one: Probed) -> tuple[str, ...]:
    """Return what a row holds; the places of the engineer are empty."""
    quality = one.quality if not one.said else f"{one.quality}: {one.said}"
    remark = f"calibrated 校正 {one.correction:+g}" if one.correction else ""
    return (one.tag, one.name, one.at, one.raw, one.shown, one.unit, quality, "", "", remark)


def _csv(title: str, taken: str, rows: Sequence[Probed]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([title, taken])
    writer.writerow(COLUMNS)
    # A spreadsheet must not take what a device says for a formula.
    writer.writerows([_tame(cell) for cell in _cells(one)] for one in rows)
    writer.writerow(["engineer 校核人", "", "date 日期", "", "signature 签字", ""])
    # The mark makes spreadsheets take it for what it is: UTF-8.
    return "\ufeff" + out.getvalue()


def _tame(cell: str) -> str:
    is_number = cell.lstrip("+-").replace(".", "", 1).replace("e", "", 1).replace("-", "").isdigit()
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@"} and not is_number else cell


def _html(title: str, taken: str, rows: Sequence[Probed]) -> str:
    def cell(i: int, text: str, one: Probed) -> str:
        kinds = {3: "raw", 6: "" if one.quality == "GOOD" else "bad", 7: "room", 9: "room"}
        kind = kinds.get(i, "")
        return f"<td{f' class={kind}' if kind else ''}>{html.escape(text)}</td>"

    body = "\n".join(
        "<tr>" + "".join(cell(i, text, one) for i, text in enumerate(_cells(one))) + "</tr>"
        for one in rows
    )
    head = "".join(f"<th>{html.escape(column)}</th>" for column in COLUMNS)
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="zh"><head><meta charset="utf-8"><title>{name}</title>\n'
        f"<style>{_STYLE}</style></head><body>\n"
        f"<h1>Point-to-point check 点对点校核表: {name}</h1>\n"
        f"<p>read 读取时间: {html.escape(taken)}</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>\n"
        "<footer><span>engineer 校核人</span><span>date 日期</span>"
        "<span>signature 签字</span></footer>\n</body></html>\n"
    )


def _markdown(title: str, taken: str, rows: Sequence[Probed]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join(
        [
            f"# Point-to-point check 点对点校核表: {title}",
            "",
            f"read 读取时间: {taken}",
            "",
            line(COLUMNS),
            line(["---"] * len(COLUMNS)),
            *(line(_cells(one)) for one in rows),
            "",
            "engineer 校核人: ____________  date 日期: ____________  signature 签字: ____________",
            "",
        ]
    )
