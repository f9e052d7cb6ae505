"""Pages and tables as Markdown text."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- Generated from the code by `make generate`; do not edit. -->"


def page(title: str, *parts: str) -> str:
    """A page of parts that blank lines set apart."""
    return "\n\n".join([NOTE, f"# {title}", *(part for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars and line breaks in cells do not break it."""
    lines = [heads, ["---"] * len(heads), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: object) -> str:
    """As code; an empty text stays empty."""
    return f"`{text}`" if str(text) else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
