"""The operator may die after any write of a push, and any status may be lost."""

import json
import re
from pathlib import Path

import pytest

from support import operator_process
from support.digits import DigitsBed, Object, normalised
from support.figures import Figures
from support.killed_operator import PUSHING
from support.kills import OneOf, difference, killed_again_and_again, tell
from support.serving import Serving

KINDS = "pods,services,jobs,controllerrevisions,configmaps,poddisruptionbudgets"
OURS = "app.kubernetes.io/managed-by=trainpush"


def pushed_again(serving: Serving, releases: int) -> list[Object]:
    """Train, push, and push more releases over it; everything that is there in the end."""
    serving.digits.apply(serving.service_manifest(replicas=1))
    serving.digits.apply(serving.lean_job_manifest("--steps=60"))
    serving.until_pushed()
    for number in range(2, releases + 1):
        serving.release(number)
        serving.until_pushed()
    return at_rest(serving)


def at_rest(serving: Serving) -> list[Object]:
    """Everything that belongs to job and service, once the roll is over."""
    serving.until_rolled_out()
    serving.digits.until(lambda: len(serving.pods("replica")) == 1, "one replica", seconds=120)
    found: list[Object] = json.loads(serving.kubectl("get", KINDS, "-l", OURS, "-o", "json"))["items"]
    text = json.dumps(normalised([serving.digits.job(), serving.service(), *found]))
    for number, name in enumerate(releases(serving), start=1):
        text = text.replace(name, f"digits-release-{number}")
    for number, digest in enumerate(sorted(set(re.findall("sha256.[0-9a-f]{64}", text)), key=text.index), start=1):
        text = text.replace(digest, f"digest-{number}")
    # Which of two equal nodes is taken depends on what else is just there.
    text = re.sub("test-e2e-worker2?", "worker", text).replace(serving.namespace, "namespace")
    text = re.sub("-export-[0-9a-f]{8}(-[a-z0-9]{5})?", "-export", text)
    objects: list[Object] = json.loads(text)
    return objects


def releases(serving: Serving) -> list[str]:
    """Names of all revisions, oldest first."""
    found = json.loads(serving.kubectl("get", "controllerrevisions", "-o", "json"))["items"]
    return [entry["metadata"]["name"] for entry in sorted(found, key=lambda entry: int(entry["revision"]))]


def forget(serving: Serving) -> None:
    """Take the status from every object of ours."""
    for what in ("tpj/digits", "inferenceservices.training.ai/digits", "gpupool/real"):
        serving.kubectl("patch", what, "--subresource=status", "--type=merge", "-p", '{"status": null}')


@pytest.mark.usefixtures("no_operator")
def test_killed_after_one_write_of_a_push(real: DigitsBed, tmp_path: Path, figures: Figures, one_of: OneOf) -> None:
    """Whichever it is, the operator ends where an undisturbed one does; and so does one that lost every status."""
    ends_alike(real, tmp_path, figures, [one_of(PUSHING)], releases=2)


@pytest.mark.usefixtures("no_operator")
@pytest.mark.story(long=True)
def test_story_push_kills(real: DigitsBed, tmp_path: Path, figures: Figures) -> None:
    """Killed after every kind of write of a push, the operator ends where an undisturbed one does.

    Two writes may be under way when the operator dies, and only the one that was answered counts as a point.
    By the third release no other point is left, so that the last one is met too.
    """
    ends_alike(real, tmp_path, figures, [*PUSHING], releases=3)


def ends_alike(real: DigitsBed, tmp_path: Path, figures: Figures, points: list[str], releases: int) -> None:
    """Push undisturbed, with all statuses wiped in the end, and once more under an operator that is killed."""
    with operator_process.running(real.kubeconfig, tmp_path / "undisturbed.log"):
        undisturbed = Serving(real.namespace(f"push-undisturbed-{len(points)}"))
        wanted = pushed_again(undisturbed, releases)
        forget(undisturbed)
        undisturbed.until_pushed()
        remembered = at_rest(undisturbed)
        undisturbed.clear()
    disturbed = Serving(real.namespace(f"push-disturbed-{len(points)}"))
    with killed_again_and_again(real.kubeconfig, tmp_path, points) as struck:
        found = pushed_again(disturbed, releases)
        disturbed.digits.until(lambda: len(list(struck.iterdir())) == len(points), "every point struck", seconds=60)
        exports = disturbed.pods("export")
        disturbed.clear()
    models = list(disturbed.models.glob("sha256-*"))
    tell(figures, struck, points, wanted, found)
    differing = sum(a != b for a, b in zip(wanted, remembered, strict=False))
    figures.add("objects that differ after all statuses were wiped", differing, 0)
    figures.add(f"model directories after {releases} releases", len(models), releases)
    assert difference(wanted, found) == ""
    assert difference(wanted, remembered) == ""
    assert len(exports) == 1
    assert len(models) == releases
    assert not list(disturbed.models.glob(".staging/*/*"))
