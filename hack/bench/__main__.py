"""The command line: `python -m bench [NAME]`; one JSON line for each benchmark, status 1 if one misses its goal.

All of them leave their lines for docs/results.md; one alone does so only with `--record`.
What takes an hour runs alone only.
"""

import argparse
import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench import (
    apply_to_placed,
    cold_start,
    cycle,
    cycle_growth,
    day_night,
    event_storm,
    fairness,
    fill,
    fill_gang,
    memory,
    place_one,
    preempt,
    say_no,
    say_no_live,
    snapshot,
    soak,
    span,
    switch_plan,
    thrift,
)
from record import lines
from record.circumstances import circumstances
from testbed import BedError

BENCHES: Final = {
    "api-ceiling": fill.ceiling,
    "apply-to-placed": apply_to_placed.measure,
    "cold-start": cold_start.measure,
    "cycle-cold": cycle_growth.cold,
    "cycle-growth": cycle_growth.measure,
    "day-night": day_night.measure,
    "event-storm": event_storm.measure,
    "fairness": fairness.measure,
    "fill": fill.measure,
    "fill-gang": fill_gang.measure,
    "memory": memory.measure,
    "place-one": place_one.measure,
    "preempt": preempt.measure,
    "say-no": say_no.measure,
    "say-no-live": say_no_live.measure,
    "snapshot": snapshot.measure,
    "soak": soak.measure,
    "queue": cycle.queue,
    "reclaim-storm": cycle.reclaim_storm,
    "span": span.measure,
    "switch-plan": switch_plan.measure,
    "thrift": thrift.measure,
}
ALONE: Final = {"soak"}
"""Those that take so long that they run only when they are named."""


def main() -> int:
    """Run one benchmark, or all of them."""
    parser = argparse.ArgumentParser(prog="bench", description="What the operator costs, in figures.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), help="which one (default: all but soak)")
    parser.add_argument("--seed", type=int, default=1, help="draws the same jobs again (default 1)")
    parser.add_argument("--record", action="store_true", help="keep the line for docs/results.md (always without NAME)")
    chosen = parser.parse_args()
    if chosen.record or not chosen.name:
        os.environ["RECORD"] = "1"  # pictures are drawn too
    are_held = []
    try:
        for name in [chosen.name] if chosen.name else sorted(BENCHES.keys() - ALONE):
            load = [os.getloadavg()[0]]
            with TemporaryDirectory() as folder:
                result = asyncio.run(BENCHES[name](chosen.seed, Path(folder)))
            load.append(os.getloadavg()[0])
            found = {"name": name, **asdict(result), "holds": result.holds, "seed": chosen.seed, **circumstances()}
            line = {**found, "figure": _figure(BENCHES[name]), "load before and after": load}
            print(json.dumps(line), flush=True)
            if chosen.record or not chosen.name:
                lines.record(lines.BENCHES, line)
            are_held.append(result.holds)
    except BedError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0 if all(are_held) else 1


def _figure(measure: Callable[[int, Path], object]) -> str:
    """How a figure is taken: the first paragraphs that its module and its function begin with."""
    paragraphs = [(inspect.getdoc(said) or "").split("\n\n")[0] for said in (inspect.getmodule(measure), measure)]
    return " ".join(" ".join(paragraphs).split())


if __name__ == "__main__":
    sys.exit(main())
