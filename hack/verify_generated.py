#!/usr/bin/env python3
"""Checks that everything generated is as the code would write it now; `--write` writes it."""

import argparse
import sys
from pathlib import Path

from generate import generated_files
from generate.chart import chart_files
from generate.results import result_page
from record import lines
from record.sources import is_stale

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Check or write; 1 if something has drifted and was only checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write what has drifted instead of complaining")
    is_writing = parser.parse_args().write
    whole = generated_files() | chart_files()
    wanted = whole | result_page()
    drifted = sorted(path for path in wanted.keys() | _neighbours(whole) if _stored(path) != wanted.get(path))
    for path in drifted:
        if is_writing:
            _store(path, wanted.get(path))
        else:
            print(f"{path} is not as the code would write it: run `make generate`", file=sys.stderr)
    if stale := [line["name"] for line in lines.recorded(lines.STORIES) if is_stale(line)]:
        print(f"{len(stale)} stories are older than what they are of, which is no error: `make story` lists them")
    return 1 if drifted and not is_writing else 0


def _neighbours(paths: dict[str, str]) -> set[str]:
    """Every file in the folders of generated files: there may be no other."""
    folders = {(ROOT / path).parent for path in paths}
    return {file.relative_to(ROOT).as_posix() for folder in folders for file in folder.glob("*")}


def _stored(path: str) -> str | None:
    file = ROOT / path
    return file.read_bytes().decode() if file.exists() else None


def _store(path: str, text: str | None) -> None:
    file = ROOT / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text.encode())


if __name__ == "__main__":
    sys.exit(main())
