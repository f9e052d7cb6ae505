"""Volumes of a pod, each claim once: some kubelets wait for ever for a pod that names one claim twice."""

from collections.abc import Mapping

from trainpush.api.base import plain
from trainpush.api.pod import WorkerTemplate
from trainpush.api.text import claim_and_path
from trainpush.render.pods import Manifest


class Volumes:
    """The volumes of a worker's template, and those that trainpush adds."""

    def __init__(self, template: WorkerTemplate, added: Mapping[str, str | None]) -> None:
        """Add a volume for the claim of each URI in `added`, by name, unless another volume has that claim."""
        self._template = template
        volumes = [(volume.name, volume.persistent_volume_claim) for volume in template.volumes]
        self._claims = {name: claim for name, claim in volumes if claim}
        ours = {claim_and_path(uri)[0]: name for name, uri in added.items() if uri}
        self._names = ours | {claim.claim_name: name for name, claim in self._claims.items()}
        self._written = {*ours, *(claim.claim_name for claim in self._claims.values() if not claim.read_only)}

    def manifests(self) -> list[Manifest]:
        """All of them, each claim once; only to read where nobody asked for more."""
        others = [plain(volume) for volume in self._template.volumes if volume.name not in self._claims]
        return [*others, *(self._manifest(claim, name) for claim, name in self._names.items())]

    def mounts(self, only_read: bool = False) -> list[Manifest]:
        """The mounts of the template, claims among them `only_read`."""
        mounts = []
        for mount in self._template.volume_mounts:
            manifest = plain(mount)
            if claim := self._claims.get(mount.name):
                manifest["name"] = self._names[claim.claim_name]
                manifest["readOnly"] = only_read or mount.read_only or claim.read_only
            mounts.append(manifest)
        return mounts

    def mount(self, uri: str, path: str, **more: object) -> Manifest:
        """A mount of the directory at `uri`, which is made if it is missing."""
        claim, inside = claim_and_path(uri)
        return {"name": self._names[claim], "mountPath": path, **({"subPath": inside} if inside else {}), **more}

    def root(self, uri: str, path: str) -> Manifest:
        """A mount of the whole claim of `uri`."""
        return {"name": self._names[claim_and_path(uri)[0]], "mountPath": path}

    def _manifest(self, claim: str, name: str) -> Manifest:
        only_read = {} if claim in self._written else {"readOnly": True}
        return {"name": name, "persistentVolumeClaim": {"claimName": claim, **only_read}}
