"""The chart in a real API server: its manifests, and releases that come, change and go. No pod runs here."""

import asyncio
import json
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart import CHART, NAMESPACE, VALUES, WITH_IMAGE, Object, render, the
from testbed import Bed, BedError, LocalBed, held
from trainpush.kube import rights
from trainpush.kube.client import Client
from trainpush.kube.credentials import load

RELEASE = "gpus"
POOL = "{apiVersion: training.ai/v1, kind: GPUPool, metadata: {name: kept}, spec: {nodeSelector: {a: b}}}"


@pytest.fixture(scope="module")
def bed(required: Callable[[Callable[[], None]], None]) -> Iterator[Bed]:
    """An API server without our kinds; no controllers."""
    with held(LocalBed("test-chart")) as bed:
        required(bed.up)
        bed.kubectl("create", "namespace", NAMESPACE)
        yield bed


@pytest.fixture
def release(bed: Bed) -> Iterator[str]:
    """A release with every value at its default; what helm said when it was made."""
    yield install(bed)
    bed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found")
    bed.kubectl("delete", "crd", "--all")


def install(bed: Bed, *options: str, chart: Path = CHART) -> str:
    """Install or upgrade; what helm says."""
    return bed.helm("upgrade", "--install", RELEASE, str(chart), f"--namespace={NAMESPACE}", WITH_IMAGE, *options)


def stored(bed: Bed, *what: str) -> Any:
    """An object, or a list of them, as the API server has it."""
    return json.loads(bed.kubectl("get", *what, "--namespace", NAMESPACE, "-o", "json"))


@pytest.mark.parametrize("options", [WITH_IMAGE, *(f"--values={path}" for path in sorted(VALUES.glob("*.yaml")))])
def test_the_api_server_takes_every_manifest(bed: Bed, options: str) -> None:
    """In a dry run in which an unknown field is an error; what is left out by mistake has a test of its own."""
    text = yaml.safe_dump_all(render(options))
    bed.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


@pytest.mark.parametrize("options", [WITH_IMAGE, f"--values={VALUES / 'full.yaml'}"])
def test_the_pods_keep_the_strictest_standard(bed: Bed, options: str) -> None:
    """Pod Security `restricted`, enforced by the API server."""
    bed.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    template = the("Deployment", render(options))["spec"]["template"]
    metadata = {**template["metadata"], "name": "operator", "namespace": NAMESPACE}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    bed.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(pod))
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    with pytest.raises(BedError, match="violates PodSecurity"):
        bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


async def test_a_release_gives_the_operator_all_of_its_rights(bed: Bed, release: str) -> None:
    """The ServiceAccount of the pods may do what the operator asks for at its start."""
    assert "STATUS: deployed" in release
    async with Client(load(str(bed.kubeconfig_for(NAMESPACE, "trainpush")))) as operator:
        async with asyncio.timeout(10):  # the authorizer hears of new roles a moment later
            while await rights.missing(operator, NAMESPACE):
                pass


def test_the_notes_hold_a_pool_that_can_be_made(bed: Bed, release: str) -> None:
    """Whoever copies it gets what it says."""
    text = release.partition("A first pool:\n")[2].partition("Then `")[0]
    bed.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    bed.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=textwrap.dedent(text))


def test_an_upgrade_changes_definitions_too(bed: Bed, tmp_path: Path) -> None:
    """A field that an older chart did not have is there afterwards, and the older chart's objects stay."""
    older = tmp_path / "trainpush"
    shutil.copytree(CHART, older)
    file = older / "files" / "crds" / "training.ai_gpupools.yaml"
    definition = yaml.safe_load(file.read_text())
    del fields(definition)["tolerations"]
    file.write_text(yaml.safe_dump(definition))
    install(bed, chart=older)
    try:
        before = stored(bed, "crd", "gpupools.training.ai")
        install(bed)
        after = stored(bed, "crd", "gpupools.training.ai")
        assert before["metadata"]["uid"] == after["metadata"]["uid"]
        assert "tolerations" not in fields(before)
        assert "tolerations" in fields(after)
    finally:
        bed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")
        bed.kubectl("delete", "crd", "--all")


def fields(definition: Object) -> Object:
    """Fields of the spec of a kind."""
    found: Object = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return found


def test_uninstalling_leaves_jobs_and_pools(bed: Bed, release: str) -> None:
    """Nothing else stays, and the next release takes the definitions over."""
    bed.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    bed.kubectl("apply", "-f", "-", stdin=POOL)
    bed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")
    assert stored(bed, "gpupool", "kept")["spec"]["nodeSelector"] == {"a": "b"}
    ours = "deployments,services,configmaps,serviceaccounts,poddisruptionbudgets,roles,rolebindings,clusterroles"
    left = stored(bed, f"{ours},clusterrolebindings,priorityclasses", "-l", f"app.kubernetes.io/instance={RELEASE}")
    assert left["items"] == []
    assert "STATUS: deployed" in install(bed)


def test_definitions_go_where_that_is_wished(bed: Bed, release: str) -> None:
    """With crds.keep=false a release leaves nothing."""
    install(bed, "--set=crds.keep=false")
    bed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")
    bed.kubectl("wait", "--for=delete", "crd", "-l", "app.kubernetes.io/name=trainpush", "--timeout=30s")


def test_a_second_release_is_refused(bed: Bed, release: str) -> None:
    """A cluster has one operator."""
    bed.kubectl("create", "namespace", "other")
    with pytest.raises(BedError, match="cannot be imported into the current release"):
        bed.helm("install", "second", str(CHART), "--namespace=other", WITH_IMAGE, "--set=crds.install=false")
