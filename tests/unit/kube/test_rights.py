"""The roles follow from the table of rights."""

from trainpush.kube import rights
from trainpush.kube.client import Object


def every(objects: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [body for body in objects if body["kind"] == kind]


def test_every_right_says_why() -> None:
    """One sentence each, for the reference page and for people who review the roles."""
    for right in (*rights.EVERYWHERE, *rights.AT_HOME):
        assert right.why.endswith(".")
        assert right.verbs


def test_no_dangerous_right() -> None:
    """No wildcards, nothing that leads to more rights, and of nodes nothing is made or deleted."""
    rules = rights.cluster_role()["rules"] + rights.role("ns")["rules"]
    granted = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert not {verb for _, verb in granted} & {"*", "impersonate", "escalate", "bind", "deletecollection"}
    resources = {resource for resource, _ in granted}
    assert not resources & {"*", "serviceaccounts", "pods/exec", "nodes/proxy", "pods/ephemeralcontainers"}
    assert {verb for resource, verb in granted if resource == "nodes"} == {"get", "list", "watch", "patch"}


def test_of_secrets_only_its_own_can_be_read() -> None:
    """At home, by its name; elsewhere there is no right at all."""
    assert not [rule for rule in rights.cluster_role()["rules"] if "secrets" in rule["resources"]]
    found = [rule for rule in rights.role("ns")["rules"] if "secrets" in rule["resources"]]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in found] == [
        (["create"], None),
        (["get"], ["trainpush-ca"]),
    ]


def test_manifests_bind_the_account_to_both_roles() -> None:
    """In an order in which they can be created."""
    made = rights.manifests("home", "operator")
    assert [body["kind"] for body in made] == [
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "PriorityClass",
    ]
    for body in (*every(made, "ClusterRoleBinding"), *every(made, "RoleBinding")):
        assert body["subjects"] == [{"kind": "ServiceAccount", "name": "operator", "namespace": "home"}]
    assert {body["metadata"].get("namespace") for body in made} == {None, "home"}
