"""How the operator starts, refuses to start, and hands over to another replica."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import audit, operator_process
from support.cluster import a_pool, a_space, fake_nodes, now, says
from support.manifests import job, pool, racks
from support.operator_process import NAMESPACE, OperatorProcess
from support.wait import until
from testbed import Bed, LocalBed, held
from trainpush.kube import rights
from trainpush.kube.client import Client, Object
from trainpush.kube.resources import LEASES

Start = Callable[..., OperatorProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts operators, each with a log of its own, and ends those that still run."""
    started: list[OperatorProcess] = []

    def begin(kubeconfig: Path, **environment: str) -> OperatorProcess:
        log = tmp_path / f"{len(started)}.log"
        started.append(operator_process.start(kubeconfig, log, environment=environment))
        return started[-1]

    yield begin
    for operator in started:
        operator.stop()


@pytest.fixture
def altered(kubeconfig: Path, tmp_path: Path) -> Callable[..., Path]:
    """The operator's kubeconfig with other values for its cluster or its user; None takes one away."""

    def merged(old: Object, new: Object | None) -> Object:
        return {key: value for key, value in {**old, **(new or {})}.items() if value is not None}

    def alter(cluster: Object | None = None, user: Object | None = None) -> Path:
        document = json.loads(kubeconfig.read_text())
        document["clusters"][0]["cluster"] = merged(document["clusters"][0]["cluster"], cluster)
        document["users"][0]["user"] = merged(document["users"][0]["user"], user)
        path = tmp_path / "altered.kubeconfig"
        path.write_text(json.dumps(document))
        return path

    return alter


def refusal(operator: OperatorProcess) -> str:
    """The one line that an operator says when it does not start."""
    assert operator.process.wait(timeout=60) == 1
    lines = operator.log.read_text().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("trainpush: ")
    return lines[0].removeprefix("trainpush: ")


def test_no_kubeconfig(start: Start, tmp_path: Path) -> None:
    told = refusal(start(tmp_path / "none.kubeconfig"))
    assert told.startswith(f"kubeconfig {tmp_path / 'none.kubeconfig'}: no such file")


def test_a_kubeconfig_that_is_none(start: Start, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("clusters: [\n")
    assert f"kubeconfig {tmp_path / 'text'}: not valid YAML" in refusal(start(tmp_path / "text"))


def test_an_unknown_context(start: Start, kubeconfig: Path) -> None:
    assert "no-such-context" in refusal(start(kubeconfig, TRAINPUSH_CONTEXT="no-such-context"))


def test_nobody_answers(start: Start, altered: Callable[..., Path]) -> None:
    server = f"https://127.0.0.1:{operator_process.free_port()}"
    told = refusal(start(altered(cluster={"server": server})))
    assert told.startswith("no API server (")
    assert f"{server}: Connection refused" in told


def test_credentials_that_are_not_accepted(start: Start, altered: Callable[..., Path]) -> None:
    told = refusal(start(altered(user={"token": "wrong"})))
    assert told.startswith("the API server does not accept the credentials of ")


def test_a_certificate_that_is_not_trusted(start: Start, altered: Callable[..., Path]) -> None:
    told = refusal(start(altered(cluster={"certificate-authority-data": None})))
    assert "the server's certificate is not trusted" in told


def test_no_custom_resource_definitions(start: Start, required: Callable[[Callable[[], None]], None]) -> None:
    with held(LocalBed("test-bare")) as bare:
        required(bare.up)
        told = refusal(start(bare.kubeconfig))
    name = "trainpushjobs.training.ai"
    assert told == f"the cluster has no CustomResourceDefinition {name}: apply the files of crds/ first"


@pytest.mark.usefixtures("kubeconfig")
def test_no_permissions(start: Start, bed: Bed) -> None:
    told = refusal(start(bed.kubeconfig_for("nobody", "nobody")))
    assert told.startswith("missing permissions: ")
    assert "trainpushjobs.training.ai" in told
    assert told.endswith("Apply the output of `trainpush rbac`")


@pytest.mark.usefixtures("kubeconfig")
def test_a_permission_that_is_missing(start: Start, bed: Bed) -> None:
    """All rights but one: the line says which, and what it is for."""
    roles = _roles_for("partly")
    for rule in roles[0]["rules"]:
        if rule["resources"] == ["pods"]:
            rule["verbs"].remove("delete")
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": roles}))
    told = refusal(start(bed.kubeconfig_for(NAMESPACE, "partly")))
    assert told == (
        "missing permissions: may not delete pods in all namespaces. To count what every pod takes, and to start and "
        "stop workers, replicas and pods that pull images; their specs are never changed. "
        "By force only pods of nodes that are gone or out of service are deleted. "
        "Apply the output of `trainpush rbac`"
    )


def test_a_busy_port(start: Start, kubeconfig: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refusal(start(kubeconfig, TRAINPUSH_PORT=str(port)))
    assert told == f"cannot listen on 127.0.0.1:{port}: Address already in use; set TRAINPUSH_PORT to a free port"


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({"TRAINPUSH_KUBECONFG": "x"}, ["unknown setting TRAINPUSH_KUBECONFG", "TRAINPUSH_KUBECONFIG"]),
        ({"TRAINPUSH_PORT": "http"}, ["TRAINPUSH_PORT: ", "integer"]),
        ({"TRAINPUSH_PORT": "70000"}, ["TRAINPUSH_PORT: ", "65535"]),
        ({"TRAINPUSH_LOG_LEVEL": "loud"}, ["TRAINPUSH_LOG_LEVEL: ", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"]),
    ],
    ids=lambda value: next(iter(value.items()))[0] if isinstance(value, dict) else "",
)
def test_settings(start: Start, tmp_path: Path, variables: dict[str, str], parts: list[str]) -> None:
    told = refusal(start(tmp_path / "not-read", **variables))
    for part in parts:
        assert part in told


def _roles_for(account: str) -> list[Any]:
    """Roles and bindings for another ServiceAccount, beside those of the installed one."""
    made = [thing for thing in rights.manifests(NAMESPACE, account) if thing["apiVersion"].startswith(rights.RBAC)]
    for thing in made:
        thing["metadata"] |= {"name": account}
        if "roleRef" in thing:
            thing["roleRef"] |= {"name": account}
    return made


@dataclass
class Pair:
    """Two operators, each under a ServiceAccount of its own; the first one leads."""

    leader: OperatorProcess
    follower: OperatorProcess
    follower_account: str


@pytest.fixture
def pair(bed: Bed, kubeconfig: Path, start: Start) -> Iterator[Pair]:
    """Two operators over three nodes."""
    manifest = {"apiVersion": "v1", "kind": "List", "items": _roles_for("second")}
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    with ExitStack() as stack:
        stack.enter_context(fake_nodes(bed, racks("startup", [3])))
        stack.enter_context(a_pool(bed, pool("main", "startup", default=True)))
        leader = start(kubeconfig)
        operator_process.wait_ready(leader)
        follower = start(bed.kubeconfig_for(NAMESPACE, "second"))
        operator_process.wait_ready(follower)
        yield Pair(leader, follower, f"system:serviceaccount:{NAMESPACE}:second")


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGTERM, 5), (signal.SIGKILL, 25)], ids=["SIGTERM", "SIGKILL"])
async def test_one_of_two_writes(bed: Bed, client: Client, pair: Pair, number: signal.Signals, seconds: float) -> None:
    """The follower writes nothing; when the leader ends it takes over, at once or when the Lease has run out."""
    begun = audit.mark(bed.audit_log)
    async with a_space(bed, client) as space:
        await until(lambda: _leads(pair.leader), "the first one leads")
        await space.create(job("before"))
        await space.job("before", says("Running"), "runs")
        assert not _leads(pair.follower)
        assert _written(bed, begun, pair) == []
        assert pair.leader.stop(number) == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        ended = now()
        await space.create(job("after"))
        await space.job("after", says("Running"), "runs under the second one", seconds=seconds)
        assert _leads(pair.follower)
        assert _written(bed, begun, pair)
        assert now() - ended < seconds
        lease = await client.get(LEASES, "trainpush-operator", NAMESPACE)
        assert lease["spec"]["holderIdentity"].endswith(f"-{pair.follower.process.pid}")
        await space.clear()


def _leads(operator: OperatorProcess) -> bool:
    return "\ntrainpush_is_leader 1.0\n" in operator.get("/metrics")[1]


def _written(bed: Bed, begun: int, pair: Pair) -> list[str]:
    """What the follower wrote, questions about its own rights aside."""
    found = audit.writes(audit.entries(bed.audit_log, begun), pair.follower_account)
    return [line for line in found if "selfsubjectaccessreviews" not in line]
