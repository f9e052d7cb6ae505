"""The figures of stories and benchmarks in docs/results.md, from the lines that they left."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from record import lines

from .markdown import code, table

PAGE = "docs/results.md"
END = "<!-- End of what is generated. -->"


def result_page() -> dict[str, str]:
    """The page, with the tables between their marks; what people wrote around them stays."""
    stories = (row for line in lines.recorded(lines.STORIES) for row in story(line))
    benches = map(bench, lines.recorded(lines.BENCHES))
    text = (Path(__file__).resolve().parents[2] / PAGE).read_text()
    text = _with(text, "stories", table(("story", "figure", "goal", "measured"), stories))
    text = _with(text, "benches", table(("bench", "how the figure is taken", "goal", "measured", "commit"), benches))
    return {PAGE: text}


def _with(text: str, kind: str, made: str) -> str:
    begin = f"<!-- From docs/results/{kind}.jsonl by `make generate`; do not edit. -->"
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise SystemExit(f"{PAGE} has no lines {begin!r} and {END!r}: put them where the {kind} belong")
    return f"{before}{begin}\n\n{made}\n\n{END}{after}"


def story(line: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """What the table says of one story: what it is about and when it ran, then its figures."""
    ran = f"{line['date']} at {code(line['commit'])}, {line['seconds']:.1f} s"
    yield code(line["name"]), line["about"], "", ran
    yield from (("", what, goal, value) for what, value, goal in line["figures"])


def bench(line: Mapping[str, Any]) -> tuple[str, ...]:
    """What the table says of one benchmark; a goal that was missed is shown as missed."""
    unit, details = line["unit"], line["details"]
    found = f"{_number(line['value'])} {unit}"
    if line["value"] > line["goal"]:
        found = f"**missed**: {found}"
    if line["missed"]:
        found += f"; **missed**: {', '.join(f'{name} {_number(details[name])}' for name in line['missed'])}"
    return code(line["name"]), line["figure"], f"at most {_number(line['goal'])} {unit}", found, code(line["commit"])


def _number(value: float) -> str:
    return f"{int(value) if float(value).is_integer() else value:,}"
