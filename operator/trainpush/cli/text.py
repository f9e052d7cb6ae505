"""Files that people give, as JSON values: nothing in them is guessed, and what is wrong is one line."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

STDIN: Final = "-"


class BadInput(ValueError):  # noqa: N818 - it says what is wrong
    """A file that cannot be used as it is; one line with file, item and field."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: times are strings, and no key may come twice."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in entries if tag != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, unless a key comes twice: PyYAML would take the last one in silence."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} comes twice", node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def text_of(path: str, stdin: Any) -> str:
    """What stands in a file, or comes by `stdin` where the path is `-`.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: no UTF-8 text (byte {error.start})") from None


def documents(text: str, source: str) -> list[Any]:
    """The JSON values that a YAML or JSON text holds; empty documents are left out.

    Raises:
        BadInput: it is neither, or holds what JSON cannot say.
    """
    try:
        if text.lstrip().startswith("{") and "\n---" not in text:
            # All readers of YAML are slow, and a snapshot may be large.
            return [msgspec.json.decode(text)]
        found = [document for document in yaml.load_all(text, _Loader) if document is not None]
        fault = next(_faults(found), "")
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise BadInput(f"{source}: not valid YAML{where}: {error.problem or error.context}") from None
    except msgspec.MsgspecError as error:
        raise BadInput(f"{source}: {one_line(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{source}: not valid YAML: {one_line(error)}") from None
    except RecursionError:
        raise BadInput(f"{source}: nested too deeply, or inside itself") from None
    if fault:
        raise BadInput(f"{source}: {fault}")
    return found


def _faults(found: list[Any]) -> Iterator[str]:
    for number, document in enumerate(found, 1):
        where = f"document {number}: " if len(found) > 1 else ""
        for path, value in _values(document, ""):
            if fault := _fault(value):
                yield f"{where}{path or 'it'}: {fault}"


def _values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value inside `value` with its path, itself first."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(inner, f"{path}[{number}]")


def _fault(value: Any) -> str:
    """Why JSON cannot say `value`; empty where it can."""
    match value:
        case dict():
            odd = next((key for key in value if not isinstance(key, str)), None)
            return "" if odd is None else f"the key {odd!r} must be a string"
        case float():
            return "" if math.isfinite(value) else f"{value} is no number that JSON knows"
        case None | bool() | int() | str() | list():
            return ""
        case _:
            return f"a {type(value).__name__} is nothing that JSON knows"


def one_line(error: Exception) -> str:
    """What an error says, the path of a field first: `metadata.name: Expected str, got int`."""
    text, _, path = " ".join(str(error).split()).replace("`", "").partition(" - at ")
    path = path.removeprefix("$").removeprefix(".")
    return f"{path}: {text}" if path else text
