"""The operator may die after any write of a push, and any status may be lost."""

import json
import re
from pathlib import Path

import pytest

from support import operator_process
from support.digits import DigitsBed, Object, normalised
from support.figures import Figures
from support.killed_operator import PUSHING
from support.kills import difference, killed_again_and_again, tell
from support.serving import Serving

KINDS = "pods,services,jobs,controllerrevisions,configmaps,poddisruptionbudgets"
OURS = "app.kubernetes.io/managed-by=trainpush"


def pushed_again(serving: Serving) -> list[Object]:
    """Train, push, and push two more releases over it; everything that is there in the end.

    Two writes may be under way when the operator dies, and only the one that was answered counts as a point.
    By the third release no other point is left, so that the last one is met too.
    """
    serving.digits.apply(serving.service_manifest(replicas=1))
    serving.digits.apply(serving.lean_job_manifest("--steps=60"))
    serving.until_pushed()
    for number in (2, 3):
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
    text = re.sub("real-[01]", "real", text).replace(serving.namespace, "namespace")
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


@pytest.mark.story
def test_story_push_kills(real: DigitsBed, tmp_path: Path, figures: Figures) -> None:
    """Killed after every kind of write of a push, the operator ends where an undisturbed one does."""
    with operator_process.running(real.kubeconfig, tmp_path / "undisturbed.log"):
        undisturbed = Serving(real.namespace("push-undisturbed"))
        wanted = pushed_again(undisturbed)
        forget(undisturbed)
        undisturbed.until_pushed()
        remembered = at_rest(undisturbed)
        undisturbed.kubectl("delete", "inferenceservices.training.ai,tpj", "--all", "--cascade=foreground")
    disturbed = Serving(real.namespace("push-disturbed"))
    with killed_again_and_again(real.kubeconfig, tmp_path, "pushing") as struck:
        found = pushed_again(disturbed)
        disturbed.digits.until(lambda: len(list(struck.iterdir())) == len(PUSHING), "every point struck", seconds=60)
        exports = disturbed.pods("export")
        disturbed.kubectl("delete", "inferenceservices.training.ai,tpj", "--all", "--cascade=foreground")
    tell(figures, struck, len(PUSHING), wanted, found)
    figures.add(
        "objects that differ after all statuses were wiped",
        sum(a != b for a, b in zip(wanted, remembered, strict=False)),
    )
    figures.add("model directories after three releases", len(list(disturbed.models.glob("sha256-*"))))
    assert difference(wanted, found) == ""
    assert difference(wanted, remembered) == ""
    assert len(exports) == 1
    assert len(list(disturbed.models.glob("sha256-*"))) == 3
    assert not list(disturbed.models.glob(".staging/*/*"))
