"""What can go wrong between a trained model and its answers: it is said, and what served before keeps serving."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.digits import DigitsBed
from support.installed_operator import InstalledOperator
from support.serving import EXPORT, Serving
from support.traffic import Traffic, traffic

pytestmark = pytest.mark.story(long=True)


@pytest.fixture(scope="module")
def serving(real: DigitsBed, installed: InstalledOperator) -> Iterator[Serving]:
    """A namespace with a trained model that is served by one replica."""
    installed.run()
    found = Serving(real.namespace("push-faults"))
    found.digits.apply(found.service_manifest(replicas=1))
    found.digits.apply(found.lean_job_manifest("--steps=100"))
    found.until_pushed()
    yield found
    found.clear()


@pytest.fixture
def clients(serving: Serving) -> Iterator[Traffic]:
    """Clients that ask all the time; none of them may be turned away."""
    serving.digits.apply(serving.service_manifest(replicas=1))
    serving.until_rolled_out()
    with traffic(serving.address(), "digits", clients=4, rate=20) as seen:
        yield seen
    assert seen.failures == []
    assert seen.seconds


def a_copy(serving: Serving, name: str) -> Path:
    """A copy of the served model directory, made by hand."""
    original = next(serving.models.glob("sha256-*"))
    target = serving.digits.volume / name
    shutil.copytree(original, target)
    subprocess.run(["chmod", "-R", "u+w", target], check=True)
    return target


def serve(serving: Serving, name: str, **model: str) -> None:
    """Ask for a model directory by its URI."""
    uri = f"pvc://digits/{name}"
    serving.digits.apply(serving.service_manifest(replicas=1, model={"name": "digits", "uri": uri, **model}))


def until_says(serving: Serving, words: str, reason: str = "ModelLoadFailed") -> None:
    """Wait until the roll stands still and says why."""

    def says() -> bool:
        said = serving.claim("Progressing")
        return said.get("status") == "False" and said["reason"] == reason and words in said["message"]

    serving.digits.until(says, f"{reason}: {words}", seconds=120)
    assert "keeps serving" in serving.claim("Progressing")["message"]
    assert serving.claim("Available")["status"] == "True"


def test_a_wrong_digest_is_not_served(serving: Serving, clients: Traffic) -> None:
    """Nothing starts from content that nobody asked for."""
    a_copy(serving, "tampered")
    serve(serving, "tampered", digest="sha256:" + "0" * 64)
    until_says(serving, "its digest is sha256:")


def test_a_missing_directory_is_named(serving: Serving, clients: Traffic) -> None:
    """As its user calls it."""
    serve(serving, "nowhere")
    until_says(serving, "pvc://digits/nowhere: there is no such directory")


def test_a_model_that_never_loads_is_not_waited_for(serving: Serving, clients: Traffic) -> None:
    """The words of the model server stand in status."""
    broken = a_copy(serving, "broken")
    (broken / "1" / "model.py").write_text("raise RuntimeError('no such layer')\n")
    serve(serving, "broken")
    until_says(serving, "exit code")


def test_a_model_that_answers_wrongly_gets_no_requests(serving: Serving, clients: Traffic) -> None:
    """It is loaded, but fails the probe."""
    liar = a_copy(serving, "liar")
    source = (liar / "1" / "model.py").read_text()
    (liar / "1" / "model.py").write_text(source.replace("return [self._answer(request)", "return [None and (request)"))
    serve(serving, "liar")
    until_says(serving, "", reason="ProbeFailed")


def test_an_export_that_fails_says_so(serving: Serving, clients: Traffic) -> None:
    """With its last words, the remedy, and no release."""
    job = serving.quick_job("echo no weights found >&2; exit 4", name="failing")
    serving.digits.apply(job)
    serving.digits.until(lambda: serving.pushed("failing").get("reason") == "ExportFailed", "ExportFailed", 180)
    message = serving.pushed("failing")["message"]
    assert "exit code 4" in message
    assert "no weights found" in message
    assert "to export again" in message


def test_a_full_volume_says_so_and_leaves_nothing_half(serving: Serving, clients: Traffic, small_disk: str) -> None:
    """No directory appears under its final name, and the disk is free again."""
    make_full_volume(serving, "full", small_disk)
    job = serving.quick_job(EXPORT, name="full")
    job["spec"]["push"]["export"]["uri"] = "pvc://full/models"
    serving.digits.apply(job)
    serving.digits.until(lambda: serving.pushed("full").get("reason") == "ExportFailed", "ExportFailed", 180)
    assert "No space left on device" in serving.pushed("full")["message"]
    bed = serving.digits.bed
    assert [bed.docker("exec", node, "find", small_disk, "-type", "f") for node in bed.workers] == ["", ""]


def make_full_volume(serving: Serving, name: str, folder: str) -> None:
    """A claim of a volume that takes 32 KiB."""
    size = {"storage": "1Mi"}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{serving.namespace}-{name}"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": size,
            "claimRef": {"namespace": serving.namespace, "name": name},
            "hostPath": {"path": folder},
            "storageClassName": "",
        },
    }
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": size}, "storageClassName": ""}
    spec["volumeName"] = f"{serving.namespace}-{name}"
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec}
    claim["metadata"] = {"namespace": serving.namespace, "name": name}
    serving.digits.apply(volume)
    serving.digits.apply(claim)


def test_a_target_that_does_not_consent_is_left_alone(serving: Serving, clients: Traffic) -> None:
    """The model waits, exported once, until the target names the job."""
    before = serving.service()["status"]["stable"]
    serving.digits.apply(serving.quick_job(f"{EXPORT} && echo other > $TRAINPUSH_EXPORT_DIR/1/release", name="other"))
    serving.digits.until(
        lambda: serving.pushed("other").get("reason") == "TargetDoesNotConsent", "TargetDoesNotConsent", 180
    )
    assert "spec.model.from.trainPushJob to other" in serving.pushed("other")["message"]
    assert serving.service()["status"]["wanted"] == before
    model = {"name": "digits", "from": {"trainPushJob": "other"}}
    serving.digits.apply(serving.service_manifest(replicas=1, model=model))
    serving.digits.until(lambda: serving.pushed("other").get("status") == "True", "Pushed", 120)


def test_a_target_that_is_not_there_is_named(serving: Serving) -> None:
    """And it is pushed as soon as it comes."""
    job = serving.quick_job(EXPORT, name="early")
    job["spec"]["push"]["target"]["inferenceService"] = "later"
    serving.digits.apply(job)
    serving.digits.until(lambda: serving.pushed("early").get("reason") == "TargetNotFound", "TargetNotFound", 180)
    assert "spec.push.target" in serving.pushed("early")["message"]
