"""What is kept of what programs say, and when it is a reason to decide anew."""

from datetime import timedelta

from support.build import NOW
from trainpush.kube.records import OwnerId, PodRow
from trainpush.kube.reports import PACE, Reports
from trainpush.kube.store import Store
from trainpush.kube.table import Row
from trainpush.model.workload import Checkpoint, Heard, Worker


def a_save(step: int, request: str = "", seconds: float = 0) -> Heard:
    """As it comes from the endpoint."""
    at = NOW + timedelta(seconds=seconds)
    return Heard(1, at, step, saved=Checkpoint(1, step, f"uri-{step}", at), request=request)


def a_report(step: int, seconds: float = 0) -> Heard:
    """As it comes from the endpoint."""
    return Heard(1, NOW + timedelta(seconds=seconds), step, 100, {"loss": 1.0})


def test_the_first_word_and_every_checkpoint_are_news_the_rest_every_half_minute() -> None:
    told: list[str] = []
    reports = Reports(told.append)
    news = []
    pace = PACE.total_seconds()
    for said in (
        a_report(1),
        a_report(2, pace - 1),
        a_save(2, seconds=pace - 1),
        a_report(3, pace),
        a_report(4, 2 * pace),
    ):
        before = len(told)
        reports.put("a", said)
        news.append(len(told) - before)
    assert news == [1, 0, 1, 0, 1]
    reports.put("b", a_report(1))
    assert len(told) == 4


def test_the_latest_word_counts_and_the_checkpoint_stays() -> None:
    reports = Reports(lambda uid: None)
    reports.put("a", a_report(50))
    reports.put("a", a_save(40, "1-x", seconds=1))
    heard = reports.get("a")
    assert heard
    assert (heard.step, heard.total, heard.metrics, heard.request) == (50, 100, {"loss": 1.0}, "1-x")
    assert heard.saved
    assert heard.saved.uri == "uri-40"
    reports.put("a", a_report(51, 2))
    heard = reports.get("a")
    assert heard
    assert (heard.step, heard.saved and heard.saved.step, heard.request) == (51, 40, "1-x")


def test_an_older_checkpoint_does_not_replace_a_newer_one() -> None:
    """But the same step may be told again, as the answer to a request."""
    reports = Reports(lambda uid: None)
    for said in (a_save(40), a_save(30, seconds=1), a_save(40, "1-x", seconds=2)):
        reports.put("a", said)
    heard = reports.get("a")
    assert heard
    assert heard.saved == a_save(40, seconds=2).saved
    assert heard.request == "1-x"


def test_a_pod_that_goes_is_forgotten() -> None:
    store = Store()
    worker = Worker(name="w", uid="w", attempt=1, rank=0)
    store.pods.put(Row("w", 1, PodRow("n", is_live=True, requests={}, owner=OwnerId("j", "ns"), ours=worker)))
    store.reports.put("w", a_report(1))
    assert store.reports.get("w")
    store.pods.forget("w")
    assert store.reports.get("w") is None
