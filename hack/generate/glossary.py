"""The glossary of the code: every public class of the model and of the planner, with what it says of itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .markdown import code, page, table

PACKAGE = Path(__file__).parents[2] / "operator" / "trainpush"


def glossary_page() -> dict[str, str]:
    """Page by name; the classes stand under their folder, which says in one line what it answers."""
    folders = [PACKAGE / "model", PACKAGE / "planner", *sorted((PACKAGE / "planner").glob("*/"))]
    sections = [part for folder in folders if (folder / "__init__.py").exists() for part in _section(folder)]
    text = page(
        "Glossary of the code",
        "What the classes of the model and of the planner stand for, in their own words.\n"
        "The words of users stand in [ARCHITECTURE.md](../../ARCHITECTURE.md#glossary).",
        *sections,
    )
    return {"glossary": text}


def _section(folder: Path) -> Iterator[str]:
    rows = sorted((row for file in folder.glob("*.py") for row in _classes(file)), key=lambda row: row[0].strip("`"))
    if rows:
        yield f"## {folder.relative_to(PACKAGE).as_posix()}"
        yield ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        yield table(("class", "what it is", "file"), rows)


def _classes(file: Path) -> Iterator[tuple[str, str, str]]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield code(node.name), (ast.get_docstring(node) or "").partition("\n\n")[0], code(file.name)
