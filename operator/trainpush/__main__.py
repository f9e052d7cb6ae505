"""`trainpush`: run the operator, print what a cluster needs for it, or tell what it would do."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml
from pydantic import ValidationError

from trainpush.api import crd

if TYPE_CHECKING:
    from trainpush.controller.settings import Settings

_SNAPSHOT: Final = """\
Write what the operator acts on to one file: nodes, pods, pools, jobs, services and what was made for them.
It is a v1 List of the objects reduced to what the operator reads: of nodes and pods no images and no environment,
of pods that are not trainpush's only what they take where. The specs of jobs and services are in it as they are.
What the API does not keep is not in it: which child the API server last refused.
Nothing is written to the cluster."""
_SIMULATE: Final = """\
Tell what would happen now if manifests were applied, and to whom: by the operator's own planner, on a snapshot file
or on the live cluster. Without -f: what the operator decides at that moment. Nothing is written to the cluster.
Exit status: 0 when all given objects would have their place, 2 when one would wait or be refused, 1 for bad input."""


class _Parser(argparse.ArgumentParser):
    """One line and exit status 1 for a wrong command line: 2 says that something would wait."""

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    parser = _Parser(prog="trainpush", description="One pool of GPU nodes trains and serves.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator; its settings are the environment variables TRAINPUSH_*")
    run.set_defaults(do=_run)
    crds = commands.add_parser("crds", help="write the CustomResourceDefinitions")
    crds.add_argument("--out", type=Path, default=Path("crds"), help="folder to write to (default: crds)")
    crds.set_defaults(do=_crds)
    rbac = commands.add_parser("rbac", help="print namespace, ServiceAccount, roles and priority class")
    rbac.add_argument("--namespace", default="trainpush-system")
    rbac.set_defaults(do=_rbac)
    _add_what_if(commands)
    chosen = parser.parse_args(arguments)
    code: int = chosen.do(chosen)
    return code


def _add_what_if(commands: Any) -> None:
    as_is = argparse.RawDescriptionHelpFormatter
    cluster = argparse.ArgumentParser(add_help=False)
    cluster.add_argument("--kubeconfig", metavar="PATH", help="default: as for the operator, else ~/.kube/config")
    cluster.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: its current one)")
    snapshot = commands.add_parser(
        "snapshot",
        parents=[cluster],
        formatter_class=as_is,
        description=_SNAPSHOT,
        help="write what the operator acts on to a file",
    )
    snapshot.add_argument("-o", "--output", metavar="FILE", help="file to write (default: standard output)")
    snapshot.set_defaults(do=_snapshot)
    simulate = commands.add_parser(
        "simulate",
        parents=[cluster],
        formatter_class=as_is,
        description=_SIMULATE,
        help="tell what would happen if manifests were applied",
    )
    simulate.add_argument(
        *("-f", "--filename"),
        metavar="FILE",
        action="append",
        default=[],
        help="manifests of TrainPushJobs, InferenceServices and GPUPools; - for standard input; may be repeated",
    )
    simulate.add_argument("--snapshot", metavar="FILE", help="file of `trainpush snapshot` (default: the live cluster)")
    simulate.add_argument(
        "-o", "--output", choices=("table", "wide", "json", "yaml"), default="table", help="default: table"
    )
    simulate.set_defaults(do=_simulate)


def _run(_: argparse.Namespace) -> int:
    # Only the commands below need the operator: the others must not wait for its libraries.
    from trainpush.controller.preflight import StartError  # noqa: PLC0415
    from trainpush.controller.run import operate  # noqa: PLC0415
    from trainpush.telemetry import logs  # noqa: PLC0415

    try:
        settings = _settings()
        logs.configure(level=settings.log_level, json=settings.log_format == "json")
        asyncio.run(operate(settings))
    except (StartError, _BadSettings) as error:
        return _complain(str(error))
    return 0


def _snapshot(chosen: argparse.Namespace) -> int:
    from trainpush.cli.commands import write_snapshot  # noqa: PLC0415
    from trainpush.cli.text import BadInput  # noqa: PLC0415

    try:
        write_snapshot(_settings(kubeconfig=chosen.kubeconfig, context=chosen.context), chosen.output)
    except (BadInput, _BadSettings) as error:
        return _complain(str(error))
    return 0


def _simulate(chosen: argparse.Namespace) -> int:
    from trainpush.cli.commands import write_answer  # noqa: PLC0415
    from trainpush.cli.text import BadInput  # noqa: PLC0415

    if chosen.snapshot and (chosen.kubeconfig or chosen.context):
        return _complain("--snapshot names a file, --kubeconfig and --context a live cluster: name one of both")
    try:
        settings = _settings(kubeconfig=chosen.kubeconfig, context=chosen.context)
        return write_answer(settings, chosen.filename, chosen.snapshot, chosen.output)
    except (BadInput, _BadSettings) as error:
        return _complain(str(error))


class _BadSettings(Exception):  # noqa: N818 - it says what is wrong
    """An environment variable that cannot be used; one line."""


def _settings(**given: str | None) -> "Settings":
    """The settings of the environment; what is `given` on the command line goes before."""
    from trainpush.controller.settings import Settings, unknown_variables  # noqa: PLC0415

    if unknown := unknown_variables(dict(os.environ)):
        msg = f"unknown setting {', '.join(unknown)}: the settings are {', '.join(Settings.variables())}"
        raise _BadSettings(msg)
    try:
        return Settings().model_copy(update={name: value for name, value in given.items() if value})
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"TRAINPUSH_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}"
        raise _BadSettings(msg) from None


def _crds(chosen: argparse.Namespace) -> int:
    crd.write(chosen.out)
    return 0


def _rbac(chosen: argparse.Namespace) -> int:
    from trainpush.kube import rights  # noqa: PLC0415

    yaml.safe_dump_all(rights.manifests(chosen.namespace, "trainpush"), sys.stdout, sort_keys=False)
    return 0


def _complain(message: str) -> int:
    print(f"trainpush: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
