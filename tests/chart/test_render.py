"""What the chart makes of its values, without a cluster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import trainpush
from support.chart import CHART, KUBERNETES, NAMESPACE, VALUES, WITH_IMAGE, HelmError, Object, helm, render, the
from trainpush.api import crd, names
from trainpush.controller.reporting import hosts
from trainpush.controller.settings import Settings, unknown_variables
from trainpush.kube import rights

SETS = sorted(VALUES.glob("*.yaml"))


@pytest.fixture(scope="module")
def plain() -> list[Object]:
    """The manifests with every value at its default."""
    return render(WITH_IMAGE)


@pytest.mark.parametrize("options", [WITH_IMAGE, *(f"--values={path}" for path in SETS)])
def test_lint_finds_nothing(options: str) -> None:
    """Not even a warning."""
    helm("lint", "--strict", f"--kube-version={KUBERNETES}", CHART, options)


def test_the_chart_has_the_version_of_the_operator() -> None:
    """A tag that nobody sets is the right one."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == trainpush.__version__


def test_it_installs_the_definitions_of_the_code(plain: list[Object]) -> None:
    """Whole: nothing is lost on the way through the template."""
    rendered = {one["metadata"]["name"]: one for one in plain if one["kind"] == "CustomResourceDefinition"}
    wanted = {one["metadata"]["name"]: one for one in map(yaml.safe_load, crd.crds().values())}
    assert {name: one["spec"] for name, one in rendered.items()} == {name: one["spec"] for name, one in wanted.items()}
    assert {one["metadata"]["annotations"]["helm.sh/resource-policy"] for one in rendered.values()} == {"keep"}


def test_it_grants_the_rights_of_the_code(plain: list[Object]) -> None:
    """To the ServiceAccount of the pods, in all namespaces and at home."""
    assert the("ClusterRole", plain)["rules"] == rights.cluster_role()["rules"]
    assert the("Role", plain)["rules"] == rights.role(NAMESPACE)["rules"]
    account = the("ServiceAccount", plain)["metadata"]
    for kind in ("ClusterRole", "Role"):
        binding = the(f"{kind}Binding", plain)
        assert binding["roleRef"]["name"] == the(kind, plain)["metadata"]["name"] == rights.NAME
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
        ]
    assert the("Deployment", plain)["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


def test_the_priority_class_is_the_one_that_pods_name(plain: list[Object]) -> None:
    """It never preempts."""
    rendered, wanted = the("PriorityClass", plain), rights.priority_class()
    assert rendered["metadata"]["name"] == wanted["metadata"]["name"]
    assert {**rendered, "metadata": {}} == {**wanted, "metadata": {}}


@pytest.mark.parametrize("options", [WITH_IMAGE, *(f"--values={path}" for path in SETS)])
def test_the_operator_reads_every_setting_that_it_is_given(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is misspelt, each is valid, and the chart's defaults are the operator's."""
    manifests = render(options)
    settings = the("ConfigMap", manifests)["data"]
    (container,) = the("Deployment", manifests)["spec"]["template"]["spec"]["containers"]
    names = {entry["name"] for entry in container["env"]} | settings.keys()
    assert unknown_variables(dict.fromkeys(names, "")) == []
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    if options == WITH_IMAGE:
        assert Settings(identity="me") == Settings.model_construct(identity="me")
    else:
        assert Settings(identity="me").proxy_image == settings["TRAINPUSH_PROXY_IMAGE"]


def test_the_labels_of_the_pods_are_found_by_service_and_budget(plain: list[Object]) -> None:
    """By all that select them."""
    deployment = the("Deployment", plain)["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"].items() <= labels
    assert the("Service", plain, "trainpush")["spec"]["selector"].items() <= labels
    assert the("PodDisruptionBudget", plain)["spec"]["selector"]["matchLabels"].items() <= labels


def test_workers_reach_the_leader_alone(plain: list[Object]) -> None:
    """By the label that it sets on its own pod, at the port where it listens, under a name of its certificate."""
    deployment = the("Deployment", plain)["spec"]["template"]
    service = the("Service", plain, names.ENDPOINT_SERVICE)
    assert service["spec"]["selector"] == deployment["metadata"]["labels"] | {names.LABEL_LEADER: "true"}
    (port,) = service["spec"]["ports"]
    ports = {entry["name"]: entry["containerPort"] for entry in deployment["spec"]["containers"][0]["ports"]}
    assert ports[port["targetPort"]] == Settings(identity="me").endpoint_port
    assert port["port"] == 443
    assert f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc" == hosts(NAMESPACE)[0]


SECTIONS = {"image", "proxy", "serviceAccount", "crds"}
"""What holds values; every other name is a value itself."""


def leaves(values: Object) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value with its path."""
    for name, value in values.items():
        if name in SECTIONS:
            yield from (((name, inner), setting) for inner, setting in value.items())
        else:
            yield (name,), value


CHANGES = [
    pytest.param(path, value, id=".".join(path))
    for file in SETS
    for path, value in leaves(yaml.safe_load(file.read_text()))
]


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_every_value_changes_something(path: tuple[str, ...], value: Any, plain: list[Object]) -> None:
    """Set alone, it makes other manifests."""
    assert render(WITH_IMAGE, f"--set-json={'.'.join(path)}={json.dumps(value)}") != plain


def test_every_value_is_tried() -> None:
    """Defaults, schema and the sets of values speak of the same names."""
    defaults = {path for path, _ in leaves(yaml.safe_load((CHART / "values.yaml").read_text()))}
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    accepted: set[tuple[str, ...]] = {(name, inner) for name in SECTIONS for inner in schema[name]["properties"]}
    accepted |= {(name,) for name in schema if name not in SECTIONS | {"global"}}
    assert defaults == accepted
    assert {path for file in SETS for path, _ in leaves(yaml.safe_load(file.read_text()))} == accepted


def test_a_change_of_a_setting_starts_the_pods_anew(plain: list[Object]) -> None:
    """They read it only at their start; another release of the same chart leaves them alone."""

    def template(manifests: list[Object]) -> Object:
        pod: Object = the("Deployment", manifests)["spec"]["template"]
        return pod

    assert template(render(WITH_IMAGE, "--set=logLevel=DEBUG")) != template(plain)
    assert template(render(WITH_IMAGE, "--set=replicas=3")) == template(plain)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--set=replica=3", "replica"),
        ("--set=image.tags=1", "tags"),
        ("--set=image.pullPolicy=never", "/image/pullPolicy"),
        ("--set=image.repository=registry.example/trainpush:1.0@", "/image/repository"),
        ("--set=replicas=0", "/replicas"),
        ("--set=proxy.image=", "/proxy/image"),
        ("--set=logLevel=debug", "/logLevel"),
        ("--set=logFormat=yaml", "/logFormat"),
        ("--set=resources.request.cpu=1", "request"),
        ("--set=tolerations[0].effect=NoRun", "/tolerations/0/effect"),
        ("--set=affinity.podAfinity.x=1", "podAfinity"),
        ("--set=serviceAccount.name=", "/serviceAccount/name"),
        ("--set-string=crds.install=yes", "/crds/install"),
        (r"--set=podLabels.app\.kubernetes\.io/name=other", "/podLabels"),
    ],
)
def test_a_mistake_is_refused_with_its_path(option: str, says: str) -> None:
    """Before anything reaches the cluster."""
    with pytest.raises(HelmError, match="values don't meet the specifications") as refusal:
        render(WITH_IMAGE, option)
    assert says in str(refusal.value)


def test_a_missing_image_is_told_in_one_line() -> None:
    """It is the one thing that has no default."""
    with pytest.raises(HelmError, match=r"image\.repository is empty: build the Dockerfile"):
        render()


def test_it_can_be_a_part_of_another_chart(tmp_path: Path, plain: list[Object]) -> None:
    """As GitOps repositories have it: the outer chart's global values do not disturb it."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "trainpush").symlink_to(CHART)
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: outer, version: 1.0.0}")
    inner = {"image": {"repository": "registry.example/trainpush"}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"global": {"a": 1}, "trainpush": inner}))
    assert by_name(render(chart=tmp_path)) == by_name(plain)


def by_name(manifests: list[Object]) -> dict[tuple[str, str], Object]:
    """Helm's order depends on folders, too."""
    return {(one["kind"], one["metadata"]["name"]): one for one in manifests}
