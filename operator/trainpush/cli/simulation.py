"""The operator's own decision on a snapshot, made and never carried out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from trainpush.admission.services import Asked
from trainpush.cli.document import Document, Identity, identity
from trainpush.cli.manifests import applied
from trainpush.cli.outlook import Change, Outlook, changes, outlooks
from trainpush.controller.observe import Observation, observe
from trainpush.kube.children import RevisionRow
from trainpush.kube.client import Object
from trainpush.kube.records import OwnerId
from trainpush.kube.resources import INFERENCESERVICES
from trainpush.kube.store import Store
from trainpush.kube.table import Row
from trainpush.planner.plan import plan


@dataclass(frozen=True, slots=True)
class Answer:
    """What would happen, and to whom."""

    at: datetime
    source: str
    outlooks: Mapping[Identity, Outlook]
    """Of every object, with what was given."""
    given: tuple[Identity, ...]
    """What was asked about; empty for a replay."""
    changes: tuple[Change, ...]
    """What becomes different for everybody else."""

    @property
    def asked_about(self) -> list[Outlook]:
        """What would become of what was given; of everything, where nothing was."""
        return [self.outlooks[one] for one in self.given or sorted(self.outlooks) if one in self.outlooks]

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was given would wait or be refused."""
        return all(self.outlooks[one].is_settled for one in self.given if one in self.outlooks)


def simulate(document: Document, manifests: Sequence[Object]) -> Answer:
    """What would happen if `manifests` were applied at the moment of `document`.

    Raises:
        BadInput: one of both is malformed.
    """
    before = decide(document)
    given = tuple(identity(manifest) for manifest in manifests)
    after = decide(applied(document, manifests), given) if manifests else before
    return Answer(document.at, document.source, after, given, changes(before, after, given))


def decide(document: Document, given: Sequence[Identity] = ()) -> Mapping[Identity, Outlook]:
    """What the plan of that moment says of each object.

    A service that is `given` counts as one whose release is on record already, which takes the operator a cycle more.
    """
    store = document.store()
    seen = _observed(store, document)
    if _release(store, seen, given):
        seen = _observed(store, document)
    return outlooks(seen, plan(seen.snapshot, document.at))


def _observed(store: Store, document: Document) -> Observation:
    # What the API server last refused is not in the API: as for an operator that has just started.
    return observe(store, lambda _: "", document.proxy_image)


def _release(store: Store, seen: Observation, given: Sequence[Identity]) -> bool:
    """Record what given services ask for; whether anything was missing."""
    is_missing = False
    for service in seen.snapshot.services:
        asked = seen.asked[service.key]
        is_given = (INFERENCESERVICES.kind, service.key.namespace, service.key.name) in given
        if is_given and isinstance(asked, Asked) and asked.name not in {known.name for known in service.revisions}:
            number = max((known.number for known in service.revisions), default=0) + 1
            owner = OwnerId(service.uid, service.key.namespace)
            uid = f"{service.uid}-{asked.name}"
            is_missing = store.revisions.put(Row(uid, 1, RevisionRow(asked.name, uid, owner, number, asked.data)))
    return is_missing
