"""What the test bed promises of Services on real nodes: other tests believe it."""

import json
import time
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from support.digits import DigitsBed
from support.wait import until
from testbed import KindBed


@dataclass
class Web:
    """Pods web-0 and on, each of which answers its own name, and the Service `web` in front of them."""

    bed: KindBed
    namespace: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.bed.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def put(self, nodes: list[str]) -> None:
        """Make Service and pods, one per node, and wait until they are ready."""
        self.bed.kubectl("create", "namespace", self.namespace)
        service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
        items = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service}]
        items += [_pod(f"web-{index}", node) for index, node in enumerate(nodes)]
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        self.kubectl("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")

    def address(self, what: str, path: str) -> str:
        """An address in the Service or a pod."""
        return self.kubectl("get", what, f"--output=jsonpath={path}")

    def answers(self) -> set[str]:
        """Who answers this machine on the Service's address, each time on a new connection."""
        address = self.address("service/web", "{.spec.clusterIP}")
        return {ask(f"{address}:80") for _ in range(30)}


def ask(address: str) -> str:
    """What a web server says."""
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
        said: str = answer.read().decode().strip()
        return said


@pytest.fixture
def web(real: DigitsBed) -> Web:
    """One pod on each of two nodes."""
    made = Web(real.bed, f"web-{uuid.uuid4().hex[:6]}")
    made.put(real.bed.workers)
    return made


async def test_a_service_answers_this_machine_and_pods(web: Web) -> None:
    """On the same address, by all of its pods; pods also know its name."""
    await until(lambda: web.answers() == {"web-0", "web-1"}, "both pods answer")
    address = web.address("service/web", "{.spec.clusterIP}")
    for name in (address, f"web.{web.namespace}.svc.cluster.local"):
        asked = f"for i in $(seq 30); do wget -q -T 5 -O - http://{name}/; done"

        def answers(asked: str = asked) -> set[str]:
            return set(web.kubectl("exec", "web-0", "--", "sh", "-c", asked).split())

        # Each node learns of the pods by itself, and takes up to a second for it.
        await until(lambda: answers() == {"web-0", "web-1"}, f"both pods answer a pod that asks for {name}")


async def test_a_pod_that_goes_gets_no_new_connections(web: Web) -> None:
    """Long before it ends: it still answers under its own address."""
    await until(lambda: web.answers() == {"web-0", "web-1"}, "both pods answer")
    leaving = web.address("pod/web-1", "{.status.podIP}")
    web.kubectl("delete", "pod/web-1", "--wait=false")
    deleted_at = time.monotonic()
    await until(lambda: web.answers() == {"web-0"}, "the Service leaves it out", seconds=5)
    assert time.monotonic() - deleted_at < 3
    assert ask(f"{leaving}:8080") == "web-1"


def _pod(name: str, node: str) -> dict[str, Any]:
    # The first process of a container gets no SIGTERM that it did not ask for: so it serves until it is killed.
    serve = "mkdir /web && hostname > /web/index.html && exec httpd -f -h /web -p 8080"
    container = {
        "name": "main",
        "image": "trainpush.local/busybox:dev",
        "command": ["sh", "-c", serve],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 15, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}
