"""The digits example from training to answers, in a namespace of a bed with real nodes."""

import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.digits import Digits, Object
from support.look import look, look_at_all
from support.operator_process import ROOT
from testbed import BedError

EXAMPLES = ROOT / "examples" / "digits"
EXPORT = "python3 /opt/trainpush/examples/export.py"


@dataclass
class Serving:
    """One namespace with a digits job and the service that follows it."""

    digits: Digits

    @property
    def namespace(self) -> str:
        """Its name."""
        return self.digits.namespace

    @property
    def models(self) -> Path:
        """Where model directories appear."""
        return self.digits.volume / "models"

    def service_manifest(self, **spec: Any) -> Object:
        """The example's service with other fields in its spec."""
        service: Object = yaml.safe_load((EXAMPLES / "service.yaml").read_text())
        service["metadata"]["namespace"] = self.namespace
        service["spec"] |= spec
        return service

    def job_manifest(self, *args: str) -> Object:
        """The example's job, which pushes."""
        return self._pushing(self.digits.manifest(*args))

    def lean_job_manifest(self, *args: str) -> Object:
        """The same with one process, for tests that begin where a model is trained."""
        return self._pushing(self.digits.lean_manifest(*args))

    def quick_job(self, export: str, name: str = "digits", run: str = "digits") -> Object:
        """A job that trains nothing, since `run` did, and exports by a shell command."""
        job = copy.deepcopy(self.job_manifest())
        job["metadata"]["name"] = name
        job["spec"]["checkpoint"]["uri"] = f"pvc://digits/{run}"
        job["spec"] |= {"replicas": 1, "strategy": {"type": "DDP"}, "resources": {"limits": {"nvidia.com/gpu": 1}}}
        job["spec"]["worker"] |= {"command": ["true"], "args": []}
        job["spec"]["push"]["export"]["command"] = ["sh", "-c", export]
        return job

    def release(self, number: int) -> None:
        """Push the trained model anew, in a directory of another content, by a new job of the same name."""
        self.kubectl("delete", "tpj", "digits", "--ignore-not-found", "--cascade=foreground", "--timeout=90s")
        self.digits.apply(self.quick_job(f"{EXPORT} && echo {number} > $TRAINPUSH_EXPORT_DIR/1/release"))

    def service(self, name: str = "digits") -> Object:
        """The InferenceService as it stands."""
        return look(self.digits.bed, f"/apis/training.ai/v1/namespaces/{self.namespace}/inferenceservices/{name}")

    def claim(self, kind: str, name: str = "digits") -> Object:
        """One of its conditions; empty before the first touch."""
        conditions: list[Object] = self.service(name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def pushed(self, name: str = "digits") -> Object:
        """The condition Pushed of a job; empty before the first touch."""
        conditions: list[Object] = self.digits.job(name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "Pushed"), {})

    def until_pushed(self, seconds: float = 300) -> None:
        """Wait until the service serves what the job pushed."""
        self.digits.until(lambda: self.pushed().get("status") == "True", "Pushed", seconds)

    def until_rolled_out(self, seconds: float = 180) -> None:
        """Wait until all replicas serve the wanted revision."""
        self.digits.until(lambda: self.claim("Progressing").get("reason") == "RolledOut", "rolled out", seconds)

    def address(self, name: str = "digits") -> str:
        """The address of its Service inside the cluster, which reaches this machine too."""
        return self.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}").strip()

    def ask(self, url: str) -> Object:
        """What the example's client finds out about all held-out images, from a pod of its own.

        An address may refuse for 3 s after its replicas are ready: kube-proxy learns of them a second later at most,
        and waits for a second between two changes of its rules.
        """
        deadline = time.monotonic() + 3
        while True:
            try:
                found: Object = json.loads(self.kubectl("exec", "client", "--", "python3", "ask.py", url))
            except BedError:
                if time.monotonic() > deadline:
                    raise
            else:
                return found

    def start_client(self) -> None:
        """Make the pod from which `ask` asks: it holds the labels, and has nothing to do with the server."""
        container = {"name": "client", "image": "trainpush.local/training:dev", "imagePullPolicy": "Never"}
        container |= {"command": ["sleep", "infinity"]}  # type: ignore[dict-item]
        selector = {"training.ai/testbed": "real"}
        spec = {"containers": [container], "nodeSelector": selector, "terminationGracePeriodSeconds": 0}
        metadata = {"name": "client", "namespace": self.namespace}
        self.digits.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")

    def pods(self, component: str) -> list[Object]:
        """Pods of one component."""
        selector = f"labelSelector=app.kubernetes.io/component={component}"
        return look_at_all(self.digits.bed, f"/api/v1/namespaces/{self.namespace}/pods?{selector}")

    def clear(self) -> None:
        """Delete jobs and services, and end their pods at once, so that their accelerators are free again."""
        self.kubectl("delete", "inferenceservices.training.ai,tpj", "--all", "--wait=false")
        self.kubectl("delete", "pods", "--all", "--grace-period=1")

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return self.digits.bed.kubectl("-n", self.namespace, *arguments)

    def _pushing(self, job: Object) -> Object:
        job["spec"]["push"] = yaml.safe_load((EXAMPLES / "job.yaml").read_text())["spec"]["push"]
        return job
