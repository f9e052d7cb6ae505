"""The project's Dockerfile, built by a real Docker as users build it."""

import shutil
from pathlib import Path

from support.installed_operator import InstalledOperator
from support.operator_process import ROOT
from testbed import KindBed, images

TAG = "trainpush.local/by-docker:dev"


def test_docker_builds_an_operator_that_runs(installed: InstalledOperator, tmp_path: Path) -> None:
    """From the file as it is, on the base that it names, or on ours where that cannot be pulled."""
    bed = installed.bed
    base = [] if bed.engine.pulls("python:3.13-slim") else [f"--build-arg=BASE={our_base(bed, tmp_path)}"]
    bed.docker("build", "--network=host", f"--tag={TAG}", *base, ROOT)
    assert "usage: trainpush" in bed.docker("run", "--rm", "--network=none", TAG, "--help")


def our_base(bed: KindBed, folder: Path) -> str:
    """Debian with Python, which trusts whom this machine trusts: pip may have to go by a proxy."""
    bed.docker("import", images.base("operator"), "trainpush.local/python:dev")
    shutil.copy(images.TRUST, folder / "certificates")
    (folder / "pip.conf").write_text("[global]\ncert = /certificates\n")
    lines = ["FROM trainpush.local/python:dev", "COPY certificates /", "COPY pip.conf /etc/"]
    (folder / "Dockerfile").write_text("\n".join(lines))
    bed.docker("build", "--tag=trainpush.local/trusting-python:dev", folder)
    return "trainpush.local/trusting-python:dev"
