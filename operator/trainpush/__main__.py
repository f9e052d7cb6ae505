"""`trainpush`: run the operator, or print what a cluster needs for it."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import yaml
from pydantic import ValidationError

from trainpush.api import crd


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(prog="trainpush", description="One pool of GPU nodes trains and serves.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator; its settings are the environment variables TRAINPUSH_*")
    run.set_defaults(do=_run)
    crds = commands.add_parser("crds", help="write the CustomResourceDefinitions")
    crds.add_argument("--out", type=Path, default=Path("crds"), help="folder to write to (default: crds)")
    crds.set_defaults(do=_crds)
    rbac = commands.add_parser("rbac", help="print namespace, ServiceAccount, roles and priority class")
    rbac.add_argument("--namespace", default="trainpush-system")
    rbac.set_defaults(do=_rbac)
    chosen = parser.parse_args(arguments)
    code: int = chosen.do(chosen)
    return code


def _run(_: argparse.Namespace) -> int:
    # Only this command needs the operator: the others must not wait for its libraries.
    from trainpush.controller.preflight import StartError  # noqa: PLC0415
    from trainpush.controller.run import operate  # noqa: PLC0415
    from trainpush.controller.settings import Settings, unknown_variables  # noqa: PLC0415
    from trainpush.telemetry import logs  # noqa: PLC0415

    try:
        if unknown := unknown_variables(dict(os.environ)):
            msg = f"unknown setting {', '.join(unknown)}: the settings are {', '.join(Settings.variables())}"
            raise StartError(msg)
        settings = Settings()
        logs.configure(level=settings.log_level, json=settings.log_format == "json")
        asyncio.run(operate(settings))
    except ValidationError as error:
        first = error.errors()[0]
        return _complain(f"TRAINPUSH_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}")
    except StartError as error:
        return _complain(str(error))
    return 0


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
