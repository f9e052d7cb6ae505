"""From a trained model to answers: the part of the demo that asks the served digits over HTTP."""

import json

from testbed import Bed, images
from testbed.report import step

from .objects import Object, Row, true_since, until_true


def ask(bed: Bed) -> list[Row]:
    """Wait until the trained model is served, then ask it, from a pod, for the images that training held out."""
    step("serving: the model is exported, its digest becomes a release, tritonserver loads it")
    job = until_true(bed, "tpj/digits", "Pushed", seconds=300)
    service = until_true(bed, "infsvc/digits", "Available", seconds=60)
    seconds = (true_since(service, "Available") - true_since(job, "TrainingComplete")).total_seconds()
    trained = float(job["status"]["progress"]["metrics"]["accuracy"])
    step(f"asking {service['status']['url']} for the held-out images")
    answer = _ask_from_a_pod(bed, service["status"]["url"])
    return [
        ("digits: seconds from trained to served", f"{seconds:.0f}", True),
        ("digits: held-out images answered rightly over HTTP", f"{answer['right']}/{answer['images']}", True),
        ("digits: accuracy as served", f"{answer['accuracy']:.3f}", answer["accuracy"] == trained),
    ]


def _ask_from_a_pod(bed: Bed, url: str) -> Object:
    """What examples/digits/ask.py prints; the labels stay in its pod."""
    bed.kubectl("delete", "pod", "digits-ask", "--ignore-not-found")  # of a run that was broken off
    image = (f"--image={images.reference('training')}", "--image-pull-policy=Never", "--restart=Never")
    program = ("python3", "/opt/trainpush/examples/ask.py", url)
    said = bed.kubectl("run", "digits-ask", *image, "--attach", "--rm", "--quiet", "--command", "--", *program)
    answer: Object = json.loads(said)
    return answer
