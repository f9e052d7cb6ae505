"""The command line: `python3 -m testbed up|down|status|kubeconfig|build`."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext

from . import builds, engine, fake_nodes, holding, processes
from .bed import Bed
from .kind_bed import KindBed, prepare
from .local_bed import Layer, LocalBed
from .report import BedError, step


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 1 for an error, or for `status` of a bed of which nothing runs."""
    given = _parser().parse_args(words)
    commands = {"up": _up, "down": _down, "status": _status, "kubeconfig": _kubeconfig, "build": _build}
    try:
        return commands[given.command](given)
    except BedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("testbed: interrupted; `up` goes on from here, `down` cleans up", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description="A real Kubernetes on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="up|down|status|kubeconfig|build")
    up = commands.add_parser("up", help="start what does not run yet")
    up.add_argument("--fake-nodes", type=_count, default=0, metavar="N", help="nodes that run nothing (default 0)")
    up.add_argument("--racks", type=_count, default=1, metavar="R", help="racks to spread them over (default 1)")
    up.add_argument(
        "--workers", type=_count, default=0, metavar="N", help="nodes of kind that run containers (default 0)"
    )
    down = commands.add_parser("down", help="stop everything; the next up takes seconds")
    down.add_argument("--when-free", action="store_true", help="wait until whoever holds it is gone")
    down.add_argument("--purge", action="store_true", help="also remove the bed's folder")
    status = commands.add_parser("status", help="show what runs")
    kubeconfig = commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    for command in (up, down, status, kubeconfig):
        command.add_argument("--name", default="demo", help="which bed (default demo)")
    build = commands.add_parser("build", help="make all programs and images that the cache lacks; starts nothing")
    build.set_defaults(name="demo")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _bed(name: str) -> Bed:
    local = LocalBed(name)
    return KindBed(name) if local.is_of_kind else local


def _up(given: argparse.Namespace) -> int:
    nodes = fake_nodes.layout(given.fake_nodes, given.racks)
    bed = _bed(given.name)
    if given.workers or bed.is_of_kind:
        bed = KindBed(given.name)
        bed.up(given.workers or None)
    else:
        LocalBed(given.name).up(Layer.SCALE)
    bed.add_fake_nodes(nodes)
    step(f"bed {bed.name} is up: export KUBECONFIG={bed.kubeconfig}")
    return 0


def _down(given: argparse.Namespace) -> int:
    with holding.wait_until_free(given.name) if given.when_free else nullcontext():
        _bed(given.name).down(purge=given.purge)
    step(f"bed {given.name} is down")
    return 0


def _kubeconfig(given: argparse.Namespace) -> int:
    bed = _bed(given.name)
    if not bed.kubeconfig.exists():
        raise BedError(f"bed {bed.name} is not up: bring it up first")
    print(bed.kubeconfig)
    return 0


def _build(given: argparse.Namespace) -> int:
    if os.geteuid() == 0 or engine.runs():
        prepare()
    else:
        step("images need a container engine or root: only programs are built")
    builds.make_all()
    return 0


def _status(given: argparse.Namespace) -> int:
    bed = _bed(given.name)
    parts = bed.parts
    if not parts and not bed.kubeconfig.exists():
        print(f"bed {bed.name} is down")
        return 1
    row = "{:<26} {:>8} {:>9} {:>8}  {}"
    print(row.format("PART", "PID", "RUNNING", "MEMORY", "LOG"))
    for name, part in parts.items():
        log = processes.log_file(bed.folder, name)
        print(row.format(name, part.pid, _duration(part.since), f"{part.memory >> 20} MiB", log))
    if bed.kubeconfig.exists():
        print(f"\nKUBECONFIG={bed.kubeconfig}\nnodes: {_nodes(bed)}")
    return 0


def _nodes(bed: Bed) -> str:
    """Count nodes by kind and readiness, for instance `15 fake, 2 real (1 not Ready)`."""
    rows = fake_nodes.readiness(bed)
    kinds = sorted({kind for kind, _ in rows.values()})
    counts = []
    for kind in kinds:
        ready = [is_ready for node_kind, is_ready in rows.values() if node_kind == kind]
        missing = f" ({ready.count(False)} not Ready)" if False in ready else ""
        counts.append(f"{len(ready)} {kind}{missing}")
    return ", ".join(counts) or "none"


def _duration(since: float) -> str:
    seconds = int(time.time() - since)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


if __name__ == "__main__":
    sys.exit(main())
