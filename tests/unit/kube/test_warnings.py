"""What Events say of something that does not go on."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from trainpush.kube.client import Page
from trainpush.kube.resources import EVENTS, Resource
from trainpush.kube.store import Store
from trainpush.kube.warnings import MOST, NOTHING, Warned, Warnings, latest, latest_warning


def an_event(reason: str, **fields: Any) -> bytes:
    """A warning, as the API server sends it."""
    return json.dumps({"reason": reason, "note": f"{reason}.", "type": "Warning", **fields}).encode()


def test_the_latest_counts_however_its_writer_notes_times() -> None:
    """A kubelet repeats an Event by its last timestamp, newer writers by a series."""
    first = an_event("FailedScheduling", eventTime="2026-01-01T12:00:00.000000Z")
    again = an_event("FailedMount", eventTime=None, deprecatedLastTimestamp="2026-01-01T12:00:09Z")
    series = {"count": 3, "lastObservedTime": "2026-01-01T12:00:11.000000Z"}
    last = an_event("FailedCreatePodSandBox", eventTime="2026-01-01T11:59:00.000000Z", series=series)
    assert latest([first, again]) == "FailedMount: FailedMount."
    assert latest([last, again, first]) == "FailedCreatePodSandBox: FailedCreatePodSandBox."
    assert latest([]) == ""


def test_that_it_was_once_not_bound_is_no_news_of_a_pod_that_is() -> None:
    """Its node may not have warned of anything yet."""
    bound_since = an_event("FailedScheduling", eventTime="2026-01-01T12:00:00.000000Z")
    assert latest([bound_since]) == ""
    before = an_event("FailedAttachVolume", eventTime="2026-01-01T11:00:00.000000Z")
    assert latest([before, bound_since]) == "FailedAttachVolume: FailedAttachVolume."


async def test_one_bounded_question_about_one_object() -> None:
    """However many Events there are."""
    asked: list[tuple[Resource, str, Mapping[str, str]]] = []

    class Pages:
        async def pages(self, resource: Resource, namespace: str, *, query: Mapping[str, str]) -> AsyncIterator[Page]:
            asked.append((resource, namespace, query))
            body = {"metadata": {"continue": "more"}, "items": [json.loads(an_event("FailedMount"))]}
            while True:
                yield msgspec.json.decode(json.dumps(body), type=Page)

    assert await latest_warning(Pages(), "team", "u") == "FailedMount: FailedMount."  # type: ignore[arg-type]
    assert asked == [(EVENTS, "team", {"fieldSelector": "regarding.uid=u,type=Warning", "limit": "50"})]


def test_what_was_once_said_stays_although_its_event_is_gone() -> None:
    """Kubernetes forgets Events after an hour."""
    store = Store()
    store.warnings.put("u", "FailedMount: no Secret")
    store.warnings.put("u", "")
    assert store.warnings.get("u") == Warned("FailedMount: no Secret", 2)
    assert store.dirty.is_set()


def test_no_more_is_remembered_than_may_matter() -> None:
    """What was asked about first is most likely gone."""
    warnings = Warnings(lambda: None)
    for number in range(MOST + 1):
        warnings.put(str(number), "why")
    assert (len(warnings), warnings.get("0"), warnings.get("1").said) == (MOST, NOTHING, "why")
