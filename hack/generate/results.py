"""The figures of the benchmarks in docs/results.md, from the lines that they left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.record import recorded

from .markdown import code, table

PAGE = "docs/results.md"
BEGIN = "<!-- From docs/results/benches.jsonl by `make generate`; do not edit. -->"
END = "<!-- End of what is generated. -->"


def result_page() -> dict[str, str]:
    """The page, with the table between its marks; what people wrote around it stays."""
    text = (Path(__file__).resolve().parents[2] / PAGE).read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no lines {BEGIN!r} and {END!r}: put them where the table of benches belongs")
    heads = ("bench", "how the figure is taken", "goal", "measured", "commit")
    rows = [row(line) for line in recorded()]
    return {PAGE: f"{before}{BEGIN}\n\n{table(heads, rows)}\n\n{END}{after}"}


def row(line: Mapping[str, Any]) -> tuple[str, ...]:
    """What the table says of one line; a goal that was missed is shown as missed."""
    unit, details = line["unit"], line["details"]
    found = f"{_number(line['value'])} {unit}"
    if line["value"] > line["goal"]:
        found = f"**missed**: {found}"
    if line["missed"]:
        found += f"; **missed**: {', '.join(f'{name} {_number(details[name])}' for name in line['missed'])}"
    return code(line["name"]), line["figure"], f"at most {_number(line['goal'])} {unit}", found, code(line["commit"])


def _number(value: float) -> str:
    return f"{int(value) if float(value).is_integer() else value:,}"
