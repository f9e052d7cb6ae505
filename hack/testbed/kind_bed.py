"""A bed on a cluster of kind: nodes on which containers run. Only its GPUs are pretended."""

import contextlib
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

from pytest_kind import KindCluster  # type: ignore[import-untyped]

from . import audit, builds, engine, fake_nodes, images, kind_configuration, machine, node_image, processes, state
from .bed import Bed
from .engine import Engine
from .recipes import OF_NODES, RECIPES
from .report import BedError, step
from .work import side_by_side

GPUS = 8
GPU_SOCKET = "/var/lib/kubelet/device-plugins/trainpush-fake.sock"
"""A kubelet that starts takes it away, and the device plugin makes it anew."""
MANIFESTS = Path(__file__).parent / "manifests"


def prepare() -> None:
    """Make all programs and images that a cluster of kind needs and the cache lacks."""
    ours = node_image.is_ours()
    programs = builds.make_all if ours else partial(builds.make, "tools")
    side_by_side(programs, partial(images.make, [name for name in RECIPES if ours or name not in OF_NODES]))


class KindBed(Bed):
    """A cluster of kind with a control plane NAME-control-plane, and workers NAME-worker, NAME-worker2 and on."""

    def up(self, workers: int | None = None) -> None:
        """Create the cluster, with 2 workers unless it is said, or start its nodes again; wait until all is ready."""
        with self._locked():
            if self.parts and not self.is_of_kind:
                raise BedError(f"bed {self.name} is no cluster of kind: take it down first, or name another one")
            engine.take(self.name)
            if self.is_of_kind and self._state.is_complete:
                self._resume(workers)
            else:
                self._create(workers or 2)
            self._wait_until_ready()
            fake_nodes.start(self)

    def route(self) -> None:
        """Let this machine reach pods by their node, and Services by the control plane's kube-proxy."""
        if os.geteuid() != 0:
            raise BedError("to reach pods from this machine takes root: run this as root, on Linux")
        for node in (self._control_plane_node, *self.workers):
            pods = self.kubectl("get", "node", node, "--output=jsonpath={.spec.podCIDR}")
            machine.run("ip", "route", "replace", pods, "via", self._address(node))
        machine.run("ip", "route", "replace", self.service_range, "via", self._address(self._control_plane_node))

    def _end(self) -> None:
        processes.sweep(self.folder)
        if self.is_of_kind:
            if engine.runs():
                self._delete_cluster()
            elif not engine.is_taken(self.name):
                step(f"no container engine answers: where it is started again, `kind delete cluster -n {self.name}`")
            if os.geteuid() == 0:
                for addresses in (self.pod_range, self.service_range):
                    machine.run("ip", "route", "flush", "root", addresses)
            self._kind_configuration.unlink()
        engine.leave(self.name)

    @property
    def engine(self) -> Engine:
        """What its nodes run in."""
        return engine.current()

    def docker(self, *arguments: str | Path) -> str:
        """Run a docker command; the nodes of the cluster are containers of their names."""
        return self.engine.docker(*arguments)

    def cut_off(self, node: str) -> None:
        """Take a node's network away; what runs on it goes on."""
        self.docker("network", "disconnect", engine.NETWORK, node)

    def reconnect(self, node: str) -> None:
        """Give a node its network back, with the address that it had: by request where the network allows one."""
        address, connect = self._address(node), ("network", "connect")
        with contextlib.suppress(BedError):
            self.docker(*connect, f"--ip={address}", engine.NETWORK, node)
            return
        self.docker(*connect, engine.NETWORK, node)
        if address not in self.docker("inspect", node):
            raise BedError(f"{node} did not get its address {address} again: take bed {self.name} down")

    def load_image(self, name: str) -> None:
        """Make an image of hack/images, unless the cache holds it, and import it into every worker that lacks it."""
        archive = images.archive(name)
        step(f"loading image {name} into {', '.join(self.workers)}")
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: self._import(node, name, archive), self.workers))

    @property
    def workers(self) -> list[str]:
        """The nodes that take pods."""
        indices = range(1, self._state.workers + 1)
        return [f"{self.name}-worker{index if index > 1 else ''}" for index in indices]

    def _create(self, workers: int) -> None:
        if self.is_of_kind:
            self._delete_cluster()  # which was not finished
        if self._nodes():
            raise BedError(f"kind has a cluster {self.name} that is not of this bed: delete it, or name another bed")
        self._begin()
        memory = self._state
        memory.workers = workers
        state.write(self.folder, memory)
        self.certificates.mkdir(parents=True)
        (self.folder / "volumes").mkdir(exist_ok=True)
        (self.control_plane / "policy.json").write_text(json.dumps(audit.POLICY))
        self._kind_configuration.write_text(json.dumps(kind_configuration.of(self), indent=2) + "\n")
        step(f"creating a cluster of kind with {workers} workers")
        cluster = KindCluster(self.name, self.kubeconfig, node_image.name(), self.kind, builds.binary("kubectl"))
        try:
            cluster.create(self._kind_configuration)
        except subprocess.CalledProcessError:
            raise BedError(f"kind could not create cluster {self.name}: its own words stand above") from None
        for file in ("ca.crt", "ca.key"):
            source = f"{self._control_plane_node}:{kind_configuration.PKI}/{file}"
            self.docker("cp", source, self.certificates / file)
        self._settle_dns()
        self.load_image("deviceplugin")
        self.kubectl("apply", "-f", str(MANIFESTS / "gpus.yaml"))
        memory = self._state
        memory.is_complete = True
        state.write(self.folder, memory)

    def _resume(self, workers: int | None) -> None:
        """Start the nodes that do not run, and wait until they say so themselves: the cluster may not know better."""
        nodes = [self._control_plane_node, *self.workers]
        if workers not in {None, len(self.workers)}:
            raise BedError(f"bed {self.name} has {len(self.workers)} workers: take it down first")
        running = self.docker("ps", "--format={{.Names}}").split()
        stopped = [node for node in nodes if node not in running]
        if not stopped:
            return
        self.docker("start", *stopped)
        started = time.time()
        deadline = time.monotonic() + 120
        while not all(self._has_beaten(node, started) for node in stopped):
            if time.monotonic() > deadline:
                raise BedError(f"of {', '.join(stopped)} not all come back: see `docker logs`, or take the bed down")
            time.sleep(0.2)

    def _has_beaten(self, node: str, since: float) -> bool:
        """Whether a node's kubelet has renewed its lease since a time, and knows its GPUs."""
        lease = ("get", "lease", node, "--namespace=kube-node-lease", "--output=jsonpath={.spec.renewTime}")
        try:
            beaten = datetime.fromisoformat(self.kubectl(*lease)).timestamp() > since
            return beaten and (node == self._control_plane_node or bool(self.docker("exec", node, "ls", GPU_SOCKET)))
        except BedError:  # nobody answers yet
            return False

    def _delete_cluster(self) -> None:
        machine.run(self.kind, "delete", "cluster", f"--name={self.name}", f"--kubeconfig={self.kubeconfig}")

    def _nodes(self) -> list[str]:
        return machine.run(self.kind, "get", "nodes", f"--name={self.name}").split()

    def _settle_dns(self) -> None:
        """One CoreDNS, on the node that no test takes away."""
        coredns = ("coredns", "--namespace=kube-system", "--type=merge")
        if self.engine.is_shut_in:
            corefile = {"data": {"Corefile": (MANIFESTS / "Corefile").read_text()}}
            self.kubectl("patch", "configmap", *coredns, f"--patch={json.dumps(corefile)}")
        template = {"spec": {"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}}}
        patch = json.dumps({"spec": {"replicas": 1, "template": template}})
        self.kubectl("patch", "deployment", *coredns, f"--patch={patch}")

    def _wait_until_ready(self) -> None:
        gpus = f"jsonpath={{.status.allocatable.nvidia\\.com/gpu}}={GPUS}"
        nodes = [f"node/{name}" for name in self.workers]
        for condition in ("condition=Ready", gpus):
            self.kubectl("wait", *nodes, f"--for={condition}", "--timeout=120s")
        self.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=120s")
        self.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=60s")

    def _import(self, node: str, name: str, archive: Path) -> None:
        store = ("exec", node, "ctr", "--namespace=k8s.io", "images")
        is_there = f'name=={images.reference(name)},labels."{images.KEY_LABEL}"=={archive.stem}'
        if not self.docker(*store, "list", "--quiet", is_there).strip():
            self.docker(*store, "import", f"{kind_configuration.IMAGES}/{archive.name}")
            self.docker(*store, "label", images.reference(name), f"{images.KEY_LABEL}={archive.stem}")

    def _address(self, node: str) -> str:
        path = '{.status.addresses[?(@.type=="InternalIP")].address}'
        return self.kubectl("get", "node", node, f"--output=jsonpath={path}")

    @property
    def _control_plane_node(self) -> str:
        return f"{self.name}-control-plane"

    @cached_property
    def kind(self) -> Path:
        """The kind command, told where its engine is."""
        return engine.current().wrapped(builds.binary("kind"), self.folder)
