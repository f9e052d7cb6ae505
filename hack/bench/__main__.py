"""The command line: `python -m bench [NAME]`; one JSON line for each benchmark, status 1 if one misses its goal."""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench import apply_to_placed, memory
from bench.result import circumstances
from testbed import BedError

BENCHES: Final = {"apply-to-placed": apply_to_placed.measure, "memory": memory.measure}


def main() -> int:
    """Run one benchmark, or all of them."""
    parser = argparse.ArgumentParser(prog="bench", description="What the operator costs, in figures.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), help="which one (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="draws the same jobs again (default 1)")
    chosen = parser.parse_args()
    are_held = []
    try:
        for name in [chosen.name] if chosen.name else sorted(BENCHES):
            load = [os.getloadavg()[0]]
            with TemporaryDirectory() as folder:
                result = asyncio.run(BENCHES[name](chosen.seed, Path(folder)))
            load.append(os.getloadavg()[0])
            found = {"name": name, **asdict(result), "holds": result.holds, "seed": chosen.seed, **circumstances()}
            print(json.dumps({**found, "load before and after": load}))
            are_held.append(result.holds)
    except BedError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0 if all(are_held) else 1


if __name__ == "__main__":
    sys.exit(main())
