"""What the operator may do: the one table from which its roles are written and against which they are checked."""

import asyncio
from dataclasses import dataclass
from typing import Final

from trainpush.api import names
from trainpush.kube.client import Client, Object
from trainpush.kube.resources import (
    BUDGETS,
    CONFIGMAPS,
    DAEMONSETS,
    ENDPOINTSLICES,
    EVENTS,
    GPUPOOLS,
    INFERENCESERVICES,
    JOBS,
    LEASES,
    NODES,
    PODS,
    PRIORITYCLASSES,
    REVISIONS,
    SECRETS,
    SERVICES,
    TOKEN_REVIEWS,
    TRAINPUSHJOBS,
    Resource,
)
from trainpush.render.pods import PRIORITY_CLASS

RBAC: Final = "rbac.authorization.k8s.io"
NAME: Final = "trainpush-operator"
"""Name of the roles and their bindings."""


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on one resource or subresource, and the reason why the operator needs them."""

    resource: Resource
    verbs: tuple[str, ...]
    why: str
    subresource: str = ""
    name: str = ""
    """Of the one object that it is for; empty: any."""

    @property
    def plural(self) -> str:
        """As a role writes it."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


EVERYWHERE: Final = (
    Right(TRAINPUSHJOBS, ("get", "list", "watch"), "To see what is asked for."),
    Right(TRAINPUSHJOBS, ("patch",), "To write decisions down before they are carried out.", "status"),
    Right(
        TRAINPUSHJOBS,
        ("update",),
        "To own pods that block the deletion of their job, where OwnerReferencesPermissionEnforcement is on.",
        "finalizers",
    ),
    Right(
        INFERENCESERVICES,
        ("get", "list", "watch", "patch"),
        "To see what is to be served, and to note the stable revision in an annotation; a spec is never written.",
    ),
    Right(INFERENCESERVICES, ("patch",), "To write decisions down before they are carried out.", "status"),
    Right(INFERENCESERVICES, ("update",), "To own children that block the deletion of their service.", "finalizers"),
    Right(GPUPOOLS, ("get", "list", "watch"), "To know the nodes, the topology and the defaults of each pool."),
    Right(GPUPOOLS, ("patch",), "To report nodes and accelerators.", "status"),
    Right(
        NODES,
        ("get", "list", "watch", "patch"),
        "To know what is allocatable where; and, in a GPUPool with modes that is enforced, to set the annotation, "
        "label and taints of a mode, and the labels of spec.switching.hook: nothing else of a node is ever written.",
    ),
    Right(DAEMONSETS, ("list", "watch"), "To name those that would not come back on a node with a mode."),
    Right(PRIORITYCLASSES, ("list", "watch"), "To know which gang goes before which; the classes are the cluster's."),
    Right(
        PODS,
        ("get", "list", "watch", "create", "delete"),
        "To count what every pod takes, and to start and stop workers, replicas and pods that pull images; their specs "
        "are never changed. By force only pods of nodes that are gone or out of service are deleted.",
    ),
    Right(PODS, ("patch",), "To set the readiness gate of a replica that answered its probe.", "status"),
    Right(
        SERVICES,
        ("get", "list", "watch", "create", "patch"),
        "To give each gang, each service and each revision its Service, and to mend what was edited of it.",
    ),
    Right(ENDPOINTSLICES, ("list", "watch"), "To tell whether the Service of a model server finds its replicas."),
    Right(BUDGETS, ("get", "list", "watch", "create", "patch"), "To keep minAvailable replicas through evictions."),
    Right(CONFIGMAPS, ("get", "create"), "To give the replicas of a revision their configuration."),
    Right(
        REVISIONS,
        ("get", "list", "watch", "create", "patch", "delete"),
        "To record each release, and to drop those beyond the history.",
    ),
    Right(JOBS, ("get", "list", "watch", "create"), "To export trained models."),
    Right(
        EVENTS,
        ("create", "list"),
        "To tell users what happened to their job; and to read why a pod or an export of theirs does not start, where "
        "only Events tell.",
    ),
    Right(TOKEN_REVIEWS, ("create",), "To know which pod it is that reports a checkpoint."),
)
"""Rights in all namespaces."""

AT_HOME: Final = (
    Right(LEASES, ("get", "create", "patch"), "To agree which replica writes."),
    Right(PODS, ("patch",), "To label the pod of the replica that writes, by which workers find it."),
    Right(SECRETS, ("create",), "To keep the authority that signs the certificate by which workers know the operator."),
    Right(SECRETS, ("get",), f"To read {names.CA_SECRET}, and no other.", name=names.CA_SECRET),
)
"""Rights in the operator's own namespace."""


def cluster_role() -> Object:
    """The ClusterRole for `EVERYWHERE`."""
    metadata = {"name": NAME, "labels": _labels()}
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": _rules(EVERYWHERE)}


def role(namespace: str) -> Object:
    """The Role for `AT_HOME`."""
    metadata = {"name": NAME, "namespace": namespace, "labels": _labels()}
    return {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": _rules(AT_HOME)}


def priority_class() -> Object:
    """The class of all our pods: it never preempts, since kube-scheduler knows nothing of checkpoints."""
    return {
        "apiVersion": PRIORITYCLASSES.api_version,
        "kind": PRIORITYCLASSES.kind,
        "metadata": {"name": PRIORITY_CLASS, "labels": _labels()},
        "value": 0,
        "preemptionPolicy": "Never",
        "description": "Pods of trainpush, which decides itself who makes room for whom.",
    }


def manifests(namespace: str, service_account: str) -> list[Object]:
    """Everything that `service_account` in `namespace` needs to run the operator, in the order of creation."""
    home = {"name": NAME, "namespace": namespace, "labels": _labels()}
    account = {"kind": "ServiceAccount", "name": service_account, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**home, "name": service_account}},
        cluster_role(),
        _binding("ClusterRole", {"name": NAME, "labels": _labels()}, account),
        role(namespace),
        _binding("Role", home, account),
        priority_class(),
    ]


async def missing(client: Client, namespace: str) -> list[str]:
    """What the operator's identity may not do though it must, one readable line each; empty when all is well."""
    wanted = [(right, verb, "") for right in EVERYWHERE for verb in right.verbs]
    wanted += [(right, verb, namespace) for right in AT_HOME for verb in right.verbs]
    answers = await asyncio.gather(
        *(
            client.is_allowed(verb, right.resource, right.subresource, where, right.name)
            for right, verb, where in wanted
        )
    )
    return [
        _complaint(right, verb, where)
        for (right, verb, where), is_allowed in zip(wanted, answers, strict=True)
        if not is_allowed
    ]


def _complaint(right: Right, verb: str, where: str) -> str:
    group = f".{right.resource.group}" if right.resource.group else ""
    scope = f"in namespace {where}" if where else "in all namespaces" if right.resource.namespaced else "cluster-wide"
    return f"may not {verb} {right.plural}{group} {scope}. {right.why}"


def _rules(rights: tuple[Right, ...]) -> list[Object]:
    return [
        {
            "apiGroups": [right.resource.group],
            "resources": [right.plural],
            **({"resourceNames": [right.name]} if right.name else {}),
            "verbs": list(right.verbs),
        }
        for right in rights
    ]


def _binding(kind: str, metadata: Object, account: Object) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": NAME},
        "subjects": [account],
    }


def _labels() -> dict[str, str]:
    return {names.LABEL_APP: "trainpush", names.LABEL_COMPONENT: "operator"}
