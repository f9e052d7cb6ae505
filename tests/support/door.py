"""The door that users come through: the API server, asked by the official client, none of our own code."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus

from kubernetes.client import ApiClient

from support.tables import Manifest


class RefusedError(Exception):
    """The API server's own words, and its status."""

    def __init__(self, status: int, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Door:
    """What `kubectl --validate=strict` does, in one namespace."""

    api: ApiClient
    namespace: str
    made: list[str] = field(default_factory=list)
    """Paths of what was created."""

    def create(self, manifest: Manifest) -> Manifest:
        """The object as it is stored."""
        stored = self._send("POST", self._path(manifest), manifest)
        self.made.append(f"{self._path(stored)}/{stored['metadata']['name']}")
        return stored

    def patch(self, stored: Manifest, change: Manifest, subresource: str = "") -> Manifest:
        """The object after a JSON merge patch."""
        name = stored["metadata"]["name"]
        return self._send("PATCH", f"{self._path(stored)}/{name}{subresource}", change)

    def close(self) -> None:
        """Delete what was created: a pool would be there for other tests too."""
        for path in self.made:
            self._send("DELETE", path, {})

    def _path(self, manifest: Manifest) -> str:
        version = manifest["apiVersion"]
        scope = f"namespaces/{self.namespace}/" if manifest["kind"] in {"TrainPushJob", "InferenceService"} else ""
        return f"/{'apis' if '/' in version else 'api'}/{version}/{scope}{manifest['kind'].lower()}s"

    def _send(self, method: str, path: str, body: Manifest) -> Manifest:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        url = f"{self.api.configuration.host}{path}?fieldValidation=Strict"
        answer = self.api.call_api(method, url, {"Content-Type": kind, "Accept": "application/json"}, body)
        said: Manifest = json.loads(answer.read())  # type: ignore[no-untyped-call]
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(answer.status, said["message"])
        return said
