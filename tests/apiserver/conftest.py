"""A real API server with our kinds, and the door that users come through."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from support.door import Door
from testbed import Bed, Layer

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def bed(required: Callable[[Callable[[], None]], None]) -> Iterator[Bed]:
    """An API server that knows our kinds; no controllers."""
    bed = Bed("test-api")
    required(lambda: bed.up(layer=Layer.API))
    try:
        bed.kubectl("apply", "--server-side", "-f", str(CRDS))
        bed.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield bed
    finally:
        bed.down()


@pytest.fixture(scope="session")
def api(bed: Bed) -> Iterator[ApiClient]:
    """The administrator's connection, by the official client: none of our own code."""
    with new_client_from_config(str(bed.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield api


@pytest.fixture
def door(api: ApiClient) -> Iterator[Door]:
    """A namespace of its own for one test. Nothing collects it: no controllers run, and the bed is thrown away."""
    made = Door(api, "").create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "door-"}})
    with closing(Door(api, made["metadata"]["name"])) as door:
        yield door
