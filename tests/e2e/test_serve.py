"""From a trained model to its answers, release after release, without a request that fails."""

import json
import time
import urllib.request
from collections.abc import Iterator

import pytest

from support.digits import DigitsBed
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.serving import Serving
from support.traffic import traffic

OUTAGE_SECONDS = 120
EVERY_FILE = "find / -path /proc -prune -o -path /sys -prune -o -type f -print 2> /dev/null; true"


@pytest.fixture(scope="module")
def served(real: DigitsBed, installed: InstalledOperator) -> Iterator[Serving]:
    """A namespace in which the digits were trained, exported and served by the operator in the cluster."""
    installed.run()
    serving = Serving(real.namespace("serve"))
    serving.start_client()
    serving.digits.apply(serving.service_manifest())
    serving.digits.apply(serving.job_manifest())
    yield serving
    serving.clear()


@pytest.mark.story
def test_story_serve(served: Serving, figures: Figures) -> None:
    """What was trained answers, as well as it was trained; the labels were never near it."""
    served.digits.until_true("TrainingComplete", seconds=300)
    complete = time.monotonic()
    served.digits.until(lambda: served.claim("Available").get("status") == "True", "Available", seconds=180)
    answers = served.ask(f"http://digits.{served.namespace}.svc")
    figures.add("seconds from training complete to the first right answers", time.monotonic() - complete)
    served.until_pushed()
    trained = float(served.digits.job()["status"]["progress"]["metrics"]["accuracy"])
    figures.add("accuracy of the trained model", trained)
    figures.add("accuracy of the served model", answers["accuracy"], "at least 0.95, as trained")
    figures.add("held-out images asked for", answers["images"])
    assert answers["accuracy"] == trained
    assert answers["accuracy"] >= 0.95
    replicas = served.pods("replica")
    computed = sum(rows_computed(pod["status"]["podIP"]) for pod in replicas)
    figures.add("rows that tritonserver computed", computed)
    assert computed >= answers["images"]
    for pod in replicas:
        files = served.kubectl("exec", pod["metadata"]["name"], "-c", "server", "--", "sh", "-c", EVERY_FILE)
        assert "weights.npz" in files
        assert "digits.csv" not in files
    weights = list(served.models.glob("sha256-*/1/weights.npz"))
    assert len(weights) == 1


def rows_computed(address: str) -> int:
    """What a model server counts."""
    with urllib.request.urlopen(f"http://{address}:8002/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith("nv_inference_count{"))


def test_a_release_says_where_it_comes_from(served: Serving) -> None:
    """Job, attempt, image, step and metrics stand in the ControllerRevision; the job names the release."""
    served.until_pushed()
    status = served.digits.job()["status"]
    name = status["push"]["revision"]
    revision = json.loads(served.kubectl("get", "controllerrevision", name, "-o", "json"))
    assert revision["data"]["model"]["digest"] == status["push"]["digest"]
    assert revision["data"]["provenance"] == {
        "job": "digits",
        "jobUid": served.digits.job()["metadata"]["uid"],
        "generation": 1,
        "attempt": 1,
        "image": "trainpush.local/training:dev",
        "step": 300,
        "metrics": status["progress"]["metrics"],
    }
    assert served.service()["metadata"]["annotations"]["training.ai/stable-revision"] == name


def test_kubectl_scale_scales(served: Serving) -> None:
    """By the scale subresource; what serves is not disturbed."""
    served.until_pushed()
    served.kubectl("scale", "inferenceservices.training.ai/digits", "--replicas=1")
    served.digits.until(lambda: len(served.pods("replica")) == 1, "one replica", seconds=120)
    served.kubectl("scale", "inferenceservices.training.ai/digits", "--replicas=2")
    served.digits.until(lambda: served.service()["status"]["readyReplicas"] == 2, "two replicas", seconds=120)


@pytest.mark.story(long=True)
def test_story_roll(served: Serving, figures: Figures) -> None:
    """Five releases under traffic, with clients that never try again."""
    served.until_pushed()
    served.until_rolled_out()
    releases = {served.service()["status"]["stable"]}
    with traffic(served.address(), "digits") as seen:
        for number in range(1, 6):
            served.release(number)
            served.until_pushed()
            served.until_rolled_out()
            releases.add(served.service()["status"]["stable"])
        # The last replica of the old release still drains.
        served.digits.until(lambda: len(served.pods("replica")) == 2, "only the new replicas", seconds=90)
    figures.add("releases", len(releases) - 1)
    figures.add("requests", len(seen.seconds) + len(seen.failures))
    figures.add("requests per second", seen.rate, "at least 50")
    figures.add("failed or timed-out requests", len(seen.failures), 0)
    figures.add("milliseconds, p50", 1000 * seen.percentile(0.5))
    figures.add("milliseconds, p99", 1000 * seen.percentile(0.99))
    assert seen.failures == []
    assert len(releases) == 6
    assert seen.rate >= 50


@pytest.mark.story(long=True)
def test_story_outage(served: Serving, installed: InstalledOperator, figures: Figures) -> None:
    """Both replicas of the operator are down for two minutes; whoever is served does not notice."""
    served.until_rolled_out()
    before = served.service()["status"]
    with traffic(served.address(), "digits", rate=20) as seen:
        installed.stop()
        time.sleep(OUTAGE_SECONDS)  # the outage itself is what is tested
        installed.run()
        served.digits.until(installed.leads, "an operator that leads again", seconds=60)
    figures.add("seconds without an operator", OUTAGE_SECONDS)
    figures.add("requests", len(seen.seconds) + len(seen.failures))
    figures.add("failed or timed-out requests", len(seen.failures), 0)
    assert seen.failures == []
    assert served.service()["status"]["placements"] == before["placements"]
