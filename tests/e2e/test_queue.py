"""Who gets what when not all can: priorities and guarantees, with real containers on real nodes."""

import json
import time

import pytest

from support.cluster import conditions, says
from support.digits import Digits, DigitsBed, Object
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.sharing import Diary, a_team, apply, diary_of, holder, others_hold, quotas, urgency
from trainpush.model.reasons import Reason

STEPS = 120
ONCE = {"failures": 0, "infrastructure": 0, "preemptions": 1}
NEVER = {"failures": 0, "infrastructure": 0, "preemptions": 0}


def uids(team: Digits, job: str) -> dict[str, tuple[str, int]]:
    """Uid of every pod of a job, and how often its containers were started again."""
    pods = [child for child in team.children() if child["kind"] == "Pod"]
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(container["restartCount"] for container in pod["status"].get("containerStatuses", [])),
        )
        for pod in pods
        if pod["metadata"]["name"].startswith(f"{job}-worker-")
    }


def reasons(team: Digits, job: str) -> set[str]:
    """Reasons of all Events about a job."""
    found = json.loads(team.bed.kubectl("get", "events.events.k8s.io", "-n", team.namespace, "-o", "json"))["items"]
    return {event["reason"] for event in found if event["regarding"].get("name") == job}


def is_announced(job: Object) -> bool:
    """Others will take something from it, and nothing is taken yet."""
    return "eviction" in job["status"]


def is_hit(job: Object) -> bool:
    """Something was announced, or taken."""
    return is_announced(job) or conditions(job)["Evicted"]["reason"] != Reason.NOT_EVICTED


def attempt_runs(number: int, job: Object) -> bool:
    """Whether all workers of this attempt run."""
    return bool(job["status"]["attempt"] == number and says("Running")(job))


def training(team: Digits) -> Object:
    """A real training that saves only when it is told to stop, and in the end."""
    args = (f"--steps={STEPS}", "--step-delay=0.1", "--checkpoint-every=1000000")
    job = team.lean_manifest(*args, workers=2, name="cheap")
    job["spec"]["resources"]["requests"]["cpu"] = "200m"
    return job


@pytest.mark.story
def test_story_preempt(real: DigitsBed, operator: InstalledOperator, figures: Figures) -> None:
    """The cheaper of two makes room for what is urgent, and goes on from its checkpoint; the other never notices."""
    with (
        a_team(real, "preempt") as team,
        urgency(real.bed) as urgent,
        diary_of(team) as diary,
        others_hold(team, 4),
    ):
        apply(team, holder("dear", workers=2))
        began = diary.first("dear", says("Running"), "runs").at
        dear = uids(team, "dear")
        team.until(lambda: time.monotonic() - began > 10, "dear has done work that the other one has not")
        team.apply(training(team))
        diary.first("cheap", says("Running"), "runs")
        team.until(lambda: f"/{STEPS} loss" in team.logs("cheap-worker-0-a1"), "cheap has learned something")
        started = time.monotonic()
        apply(team, holder("urgent", workers=2, seconds="5", priority_class=urgent))
        runs = diary.first("urgent", says("Running"), "runs")
        left = diary.first("cheap", says("Evicted", "True", Reason.PREEMPTED), "is evicted")
        figures.add("seconds from apply until the victim was told to stop", left.at - started)
        figures.add("seconds from apply until the urgent gang ran: the victim had saved and ended", runs.at - started)
        check_eviction(diary)
        diary.first("cheap", lambda job: attempt_runs(2, job), "runs again")
        diary.first("urgent", says("TrainingComplete"), "is complete")
        team.until_true("TrainingComplete", "cheap", seconds=300)
        check_resumption(team, figures)
        assert uids(team, "dear") == dear
        assert all(restarts == 0 for _, restarts in dear.values())
        assert not diary.ever("dear", lambda job: is_hit(job) or job["status"]["attempt"] != 1)
        figures.add("of two that could make room, those that noticed", "1, the cheaper one", 1)


def check_eviction(diary: Diary) -> None:
    """The eviction was announced and explained before it was carried out."""
    announced = diary.first("cheap", is_announced, "is told").job
    waits = diary.first("urgent", says("Placed", "False", Reason.WAITING_FOR_PREEMPTION), "waits").job
    evicted = diary.first("cheap", says("Evicted", "True", Reason.PREEMPTED), "is evicted").job
    assert announced["status"]["eviction"]["by"] == "preempt/urgent"
    assert announced["status"]["eviction"]["lost"] > 0
    assert says("Evicted", "False", Reason.ANNOUNCED)(announced)
    assert says("Running")(announced)
    assert "preempt/cheap makes room in the next cycle (loses " in waits["status"]["verdict"]["message"]
    order = [int(job["metadata"]["resourceVersion"]) for job in (waits, evicted)]
    assert order == sorted(order)
    assert {Reason.ANNOUNCED, Reason.PREEMPTED} <= reasons(diary.team, "cheap")
    assert not {Reason.ANNOUNCED, Reason.PREEMPTED} & reasons(diary.team, "dear")


def check_resumption(team: Digits, figures: Figures) -> None:
    """It went on from exactly where it was stopped."""
    (_, stopped), *later = team.checkpoints("cheap")
    status = team.job("cheap")["status"]
    assert 0 < stopped < STEPS
    assert later == [(2, STEPS)]
    assert f"resumed from attempt-1/step-{stopped}" in team.logs("cheap-worker-0-a2")
    assert status["progress"]["step"] == status["progress"]["totalSteps"] == STEPS
    assert status["restarts"] == ONCE
    figures.add("steps of the displaced training before and after", f"{stopped} + {STEPS - stopped}, 0 lost", "0 lost")


def is_placed(job: Object) -> bool:
    """Whether it holds accelerators."""
    return says("Placed")(job) and not says("TrainingComplete")(job)


@pytest.mark.story(long=True)
def test_story_guarantee(real: DigitsBed, operator: InstalledOperator, figures: Figures) -> None:
    """A team gets back what it is guaranteed, all of that and no more, from what the other one borrowed."""
    with (
        quotas(real),
        a_team(real, "team-a") as a,
        a_team(real, "team-b") as b,
        diary_of(a) as of_a,
        diary_of(b) as of_b,
    ):
        apply(b, *(holder(f"b{i}") for i in range(8)))
        b.until(lambda: of_b.most(says("Running")) == 8, "b borrows all that is not its own")
        before = {name: uids(b, name) for name in of_b.names}
        started = time.monotonic()
        apply(a, *(holder(f"a{i}", seconds="20") for i in range(5)))
        a.until(lambda: of_a.most(says("Running")) == 4, "a has its guarantee")
        figures.add("seconds from apply until the team had its guarantee", time.monotonic() - started)
        for name in of_a.names:
            of_a.first(name, says("TrainingComplete"), "is complete")
        gave = {name for name in of_b.names if of_b.ever(name, says("Evicted", "True", Reason.RECLAIMED))}
        for name in gave:
            of_b.first(name, lambda job: attempt_runs(2, job), "runs again")
        kept = {name for name in of_b.names if uids(b, name) == before[name] and not of_b.ever(name, is_hit)}
        figures.add("jobs evicted for that", len(gave), 4)
        figures.add("jobs of the other team that never noticed", len(kept), 4)
        figures.add("jobs of the team that ran at once, of 5", of_a.most(is_placed), 4)
        assert (len(gave), len(kept), of_a.most(is_placed)) == (4, 4, 4)
        assert {name: b.job(name)["status"]["restarts"] for name in of_b.names} == {
            name: ONCE if name in gave else NEVER for name in of_b.names
        }
