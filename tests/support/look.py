"""Looks at a cluster over one connection that stays open: a kubectl for each would slow down what is waited for."""

import json
from functools import cache
from http import HTTPStatus
from pathlib import Path

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from testbed import BedError, KindBed
from trainpush.kube.client import Object

PATIENCE_SECONDS = 30


def look(bed: KindBed, path: str) -> Object:
    """The object at this path of the API, such as `/api/v1/nodes/NAME`; BedError if there is none."""
    api = _connection(bed.kubeconfig)
    answer = api.call_api(
        "GET", f"{api.configuration.host}{path}", {"Accept": "application/json"}, _request_timeout=PATIENCE_SECONDS
    )
    found: Object = json.loads(answer.read())  # type: ignore[no-untyped-call]
    if answer.status != HTTPStatus.OK:
        raise BedError(f"GET {path}: {found['message']}")
    return found


def look_at_all(bed: KindBed, path: str) -> list[Object]:
    """All objects of a kind at this path, such as `/api/v1/nodes`, each with its kind as kubectl shows it."""
    found = look(bed, path)
    kind = found["kind"].removesuffix("List")
    return [{"apiVersion": found["apiVersion"], "kind": kind, **item} for item in found["items"]]


@cache
def _connection(kubeconfig: Path) -> ApiClient:
    """The administrator's, to a bed that is brought up only once while this process lives."""
    api: ApiClient = new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    return api
