"""pytest-kind's own fixture, unchanged, on the engine and the node image of the test bed."""

import os
import subprocess
import sys
from pathlib import Path

from support.installed_operator import InstalledOperator
from testbed import builds, images, node_image

CASE = """
import json
import os
import subprocess

def test_a_pod_runs(kind_cluster):
    load = (kind_cluster.kind_path, "load", "image-archive", os.environ["ARCHIVE"], f"--name={kind_cluster.name}")
    subprocess.run(load, check=True)
    kind_cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")
    kind_cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    tolerations = [{"operator": "Exists"}]
    overrides = json.dumps({"spec": {"tolerations": tolerations}})
    image = ("--image=trainpush.local/busybox:dev", "--image-pull-policy=Never", "--restart=Never")
    said = ("--attach", "--rm", "--quiet", "--command", "--", "echo", "here I am")
    assert "here I am" in kind_cluster.kubectl("run", "one", *image, f"--overrides={overrides}", *said)
"""


def test_its_fixture_gives_a_cluster(installed: InstalledOperator, tmp_path: Path) -> None:
    """In a run of pytest of its own, so that the cluster goes before the next test."""
    (tmp_path / "test_case.py").write_text(CASE)
    own = [f"--cluster-name={tmp_path.name.replace('_', '-')}", f"--kind-image={node_image.name()}"]
    programs = [f"--kind-bin={installed.bed.kind}", f"--kind-kubectl-bin={builds.binary('kubectl')}"]
    here = {**os.environ, "ARCHIVE": str(images.archive("busybox"))}
    command = [sys.executable, "-m", "pytest", "test_case.py", *own, *programs]
    subprocess.run(command, cwd=tmp_path, env=here, check=True)
