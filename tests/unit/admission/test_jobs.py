"""Which gang a job asks for: its sizes and slices, and what is said of a strategy that does not suit them."""

from typing import Any, Final

import pytest

from support.manifests import job, pool
from trainpush.admission.jobs import Admission, admit
from trainpush.admission.scheduling import Priorities, PriorityClass
from trainpush.api.demand import PriorityStatus
from trainpush.api.gpupool import GPUPool
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.gang import Gang, Slices
from trainpush.model.nodes import HOST, Toleration
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal

CLASSES = Priorities({"high": PriorityClass(100)}, default=PriorityClass(7))
BOUNDS = {"minReplicas": 2, "maxReplicas": 8, "multipleOf": 2}


def admitted(manifest: dict[str, Any], **of_pool: Any) -> Admission | Refusal:
    """What the pool, which has the levels block and rack, makes of a job."""
    return admit(TrainPushJob.parse(manifest), [GPUPool.parse(pool("pool", "any", **of_pool))], CLASSES)


def a_job(replicas: int = 4, gpus: int = 8, **spec: Any) -> dict[str, Any]:
    """A job as it stands in the cluster."""
    return job("job", replicas, gpus, **spec)


def gang_of(manifest: dict[str, Any], **of_pool: Any) -> Gang:
    """The gang that a sound job asks for."""
    found = admitted(manifest, **of_pool)
    assert isinstance(found, Admission)
    return found.gang


def resolved_of(manifest: dict[str, Any]) -> Resolved:
    """What defaults come to for a sound job."""
    found = admitted(manifest)
    assert isinstance(found, Admission)
    return found.resolved


def refused(manifest: dict[str, Any], **of_pool: Any) -> str:
    """Why a job is refused."""
    found = admitted(manifest, **of_pool)
    assert isinstance(found, Refusal)
    assert found.reason == Reason.INVALID_SPEC
    return found.message


def placed(manifest: dict[str, Any], workers: int, **resolved: Any) -> dict[str, Any]:
    """The same job once it has a place for so many workers, with what was resolved then."""
    place = {"level": "rack", "domain": "r1", "nodes": ["n1"] * workers, "since": "2026-01-01T00:00:00Z"}
    kept = resolved_of(manifest).model_dump(by_alias=True) | resolved
    return manifest | {"status": {"placement": place, "resolved": kept}}


def test_jobs_that_ask_for_the_same_have_the_very_same_gang() -> None:
    """Whoever compares thousands of them most often compares one with itself."""
    assert gang_of(job("one", 4, gpus=8)) is gang_of(job("other", 4, gpus=8))
    assert gang_of(job("one", 4, gpus=8)) != gang_of(job("one", 4, gpus=4))


class TestSizes:
    def test_a_job_that_is_not_elastic_has_one_size(self) -> None:
        gang = gang_of(a_job(4))
        assert (gang.workers, gang.sizes) == (4, ())

    @pytest.mark.parametrize(
        ("elastic", "sizes"),
        [
            (BOUNDS, (8, 6, 4, 2)),
            ({"minReplicas": 3}, (4, 3)),
            ({"minReplicas": 4, "maxReplicas": 6}, (6, 5, 4)),
            ({"allowedReplicas": [2, 8, 4]}, (8, 4, 2)),
        ],
    )
    def test_an_elastic_one_starts_at_the_largest(self, elastic: dict[str, Any], sizes: tuple[int, ...]) -> None:
        gang = gang_of(a_job(4, elastic=elastic))
        assert (gang.workers, gang.sizes) == (sizes[0], sizes)
        assert resolved_of(a_job(4, elastic=elastic)).world_size == sizes[0] * 8

    def test_one_legal_size_is_as_good_as_none(self) -> None:
        assert gang_of(a_job(4, elastic={"allowedReplicas": [4]})).sizes == ()

    def test_a_placed_gang_is_as_large_as_its_place(self) -> None:
        gang = gang_of(placed(a_job(4, elastic=BOUNDS), 6))
        assert (gang.workers, gang.sizes) == (6, (8, 6, 4, 2))

    def test_a_placed_gang_keeps_a_size_that_is_not_legal_any_more(self) -> None:
        before = placed(a_job(4, elastic=BOUNDS), 6)
        spec = {**before["spec"], "elastic": {"allowedReplicas": [2, 4]}}
        gang = gang_of({**before, "spec": spec})
        assert (gang.workers, gang.sizes) == (6, (6, 4, 2))

    def test_a_placed_gang_is_offered_no_size_that_does_not_suit_what_was_resolved(self) -> None:
        sharded = a_job(4, elastic={"allowedReplicas": [4, 8]}, strategy={"type": "FSDP", "sharding": {"degree": 32}})
        before = placed(sharded, 4)
        spec = {**before["spec"], "elastic": {"allowedReplicas": [2, 4, 8]}}
        assert gang_of({**before, "spec": spec}).sizes == (8, 4)


class TestSharding:
    def test_a_degree_must_divide_the_world_at_every_size(self) -> None:
        strategy = {"type": "FSDP", "sharding": {"degree": 32}}
        assert refused(a_job(4, elastic=BOUNDS, strategy=strategy)) == (
            "spec.strategy.sharding.degree: 32 does not divide the world size 48 (6 workers x 8 nvidia.com/gpu); "
            "use one of 1, 2, 4, 8, 16"
        )

    def test_over_all_ranks_suits_every_size(self) -> None:
        assert resolved_of(a_job(4, elastic=BOUNDS, strategy={"type": "FSDP"})).sharding_degree == 64

    def test_a_huge_world_is_told_at_once(self) -> None:
        message = refused(a_job(1024, 999_999, strategy={"type": "FSDP", "sharding": {"degree": 1_048_575}}))
        assert message.endswith("…")
        assert len(message) < 500


class TestTensorParallel:
    def test_inside_a_worker_it_asks_for_nothing(self) -> None:
        sharing = a_job(3, strategy={"tensorParallel": 4})
        assert gang_of(sharing).topology.slices == ()
        assert resolved_of(sharing).tensor_parallel == 4

    def test_over_several_workers_they_share_a_host(self) -> None:
        assert gang_of(a_job(4, gpus=2, strategy={"tensorParallel": 4})).topology.slices == (Slices(HOST, 2),)

    def test_it_is_the_innermost_layer(self) -> None:
        sharing = a_job(8, 2, strategy={"tensorParallel": 4}, placement={"slices": [{"level": "rack", "size": 4}]})
        assert gang_of(sharing).topology.slices == (Slices("rack", 4), Slices(HOST, 2))

    def test_slices_on_one_host_hold_it_already(self) -> None:
        sharing = a_job(8, 2, strategy={"tensorParallel": 4}, placement={"slices": [{"level": "host", "size": 4}]})
        assert gang_of(sharing).topology.slices == (Slices(HOST, 4),)

    @pytest.mark.parametrize(
        ("replicas", "gpus", "degree", "legal"),
        [
            (3, 8, 3, "with 8 nvidia.com/gpu in each of 3 workers; use one of 1, 2, 4, 8, 24"),
            (4, 4, 6, "with 4 nvidia.com/gpu in each of 4 workers; use one of 1, 2, 4, 8, 16"),
            (3, 4, 8, "with 4 nvidia.com/gpu in each of 3 workers; use one of 1, 2, 4, 12"),
        ],
    )
    def test_groups_must_come_out_even(self, replicas: int, gpus: int, degree: int, legal: str) -> None:
        message = refused(a_job(replicas, gpus, strategy={"tensorParallel": degree}))
        assert message.startswith(f"spec.strategy.tensorParallel: {degree} ranks cannot be groups of neighbours")
        assert message.endswith(legal)

    def test_at_every_size(self) -> None:
        message = refused(a_job(4, 4, elastic={"minReplicas": 3}, strategy={"tensorParallel": 8}))
        assert message.endswith("in each of 4, 3 workers; use one of 1, 2, 4")

    def test_and_in_every_slice(self) -> None:
        asked = a_job(6, 4, strategy={"tensorParallel": 8}, placement={"slices": [{"level": "rack", "size": 3}]})
        assert refused(asked) == (
            "spec.placement.slices[0].size: 3 cannot be divided into groups of 2 that share layers on one host "
            "(strategy.tensorParallel 8); use a multiple of 2"
        )


class TestSlices:
    def test_become_those_of_the_gang(self) -> None:
        slices = [{"level": "block", "size": 8}, {"level": "rack", "size": 4}, {"level": "host", "size": 1}]
        gang = gang_of(a_job(8, placement={"slices": slices}))
        assert gang.topology.slices == (Slices("block", 8), Slices("rack", 4), Slices(HOST, 1))

    def test_may_begin_at_the_required_level(self) -> None:
        assert gang_of(
            a_job(4, placement={"required": "rack", "slices": [{"level": "rack", "size": 2}]})
        ).topology.slices

    @pytest.mark.parametrize(
        ("placement", "says"),
        [
            (
                {"slices": [{"level": "row", "size": 2}]},
                'spec.placement.slices[0].level: GPUPool pool has no level "row"; use one of: block, rack, host',
            ),
            (
                {"slices": [{"level": "host", "size": 2}, {"level": "rack", "size": 1}]},
                "spec.placement.slices[1].level: rack does not lie inside host; remove this entry",
            ),
            (
                {"required": "rack", "slices": [{"level": "block", "size": 2}]},
                "spec.placement.slices[0].level: block does not lie inside rack; use one of: rack, host",
            ),
        ],
    )
    def test_must_lie_inside_each_other(self, placement: dict[str, Any], says: str) -> None:
        assert refused(a_job(4, placement=placement)) == says

    def test_must_lie_inside_what_the_pool_requires(self) -> None:
        defaults = {"training": {"image": "a", "required": "rack"}}
        message = refused(a_job(4, placement={"slices": [{"level": "block", "size": 2}]}), defaults=defaults)
        assert "block does not lie inside rack" in message

    def test_stay_as_they_were_resolved_while_the_gang_is_placed(self) -> None:
        gang = gang_of(placed(a_job(4), 4, slices=[{"level": "rack", "size": 2}]))
        assert gang.topology.slices == (Slices("rack", 2),)


class TestCommand:
    POOL: Final = {"training": {"image": "a", "command": ["torchrun"], "args": ["pool.py"]}}

    def test_of_the_pool_is_kept(self) -> None:
        found = admitted(a_job(), defaults=self.POOL)
        assert isinstance(found, Admission)
        assert (found.resolved.command, found.resolved.args) == (["torchrun"], ["pool.py"])

    @pytest.mark.parametrize("said", [{"image": "b"}, {"command": ["x" * 4096] * 250}, {"args": ["train.py"]}])
    def test_of_the_job_is_not_repeated(self, said: dict[str, Any]) -> None:
        """It may be a megabyte, and the status has to fit beside it."""
        found = admitted(a_job(worker=said), defaults=self.POOL)
        assert isinstance(found, Admission)
        assert (found.resolved.command, found.resolved.args) == ([], [])


class TestPriorityClass:
    def test_is_told_with_what_defaults_came_to(self) -> None:
        found = admitted(a_job(scheduling={"priorityClassName": "high"}))
        assert isinstance(found, Admission)
        assert found.resolved.priority == PriorityStatus(class_name="high", value=100)

    @pytest.mark.parametrize("is_placed", [False, True])
    def test_may_vanish_and_what_it_said_stays(self, is_placed: bool) -> None:
        orphan = a_job(scheduling={"priorityClassName": "gone"})
        manifest = {**placed(orphan, 4), "spec": orphan["spec"]}
        manifest["status"]["resolved"]["priority"] = {"className": "gone", "value": 9}
        if not is_placed:
            del manifest["status"]["placement"]
        found = admitted(manifest)
        assert isinstance(found, Admission)
        assert found.resolved.priority == PriorityStatus(class_name="gone", value=9)


@pytest.mark.parametrize("is_placed", [False, True])
def test_a_gang_goes_where_its_pods_may_run(is_placed: bool) -> None:
    """To nodes that train, also one that was placed before there were modes."""
    manifest = placed(a_job(), 4) if is_placed else a_job()
    trains = Toleration("training.ai/mode", "Equal", "Training", "NoSchedule")
    assert gang_of(manifest).requirements.tolerations[-1] == trains


class TestLeeway:
    """What advice may say: nothing that this spec or its pool would refuse, or make nothing of."""

    @pytest.mark.parametrize(
        ("spec", "field", "multiple"),
        [
            ({}, "spec.replicas", 1),
            ({"elastic": {"minReplicas": 4}}, "spec.elastic.minReplicas", 1),
            ({"elastic": {"minReplicas": 4, "maxReplicas": 8, "multipleOf": 4}}, "spec.elastic.minReplicas", 4),
            ({"elastic": {"allowedReplicas": [4]}}, "spec.elastic.allowedReplicas", 1),
        ],
    )
    def test_the_field_of_the_size(self, spec: dict[str, Any], field: str, multiple: int) -> None:
        found = gang_of(a_job(4, **spec)).leeway
        assert (found.size_field, found.multiple) == (field, multiple)

    @pytest.mark.parametrize(
        ("spec", "multiple", "fixed"),
        [
            ({}, 1, (False, False)),
            ({"strategy": {"type": "FSDP", "sharding": {"degree": 16}}}, 2, (True, False)),
            ({"strategy": {"tensorParallel": 8}}, 1, (True, False)),
            ({"strategy": {"tensorParallel": 16}}, 2, (True, True)),
            ({"placement": {"slices": [{"level": "rack", "size": 2}]}}, 2, (False, False)),
        ],
    )
    def test_what_strategy_and_slices_fix(self, spec: dict[str, Any], multiple: int, fixed: tuple[bool, bool]) -> None:
        found = gang_of(a_job(4, **spec)).leeway
        assert (found.multiple, (found.fixes_accelerators, found.fixes_slices)) == (multiple, fixed)

    def test_the_fields_that_require_a_level(self) -> None:
        """Without its own a job has the pool's."""
        default = {"defaults": {"training": {"image": "i", "required": "block"}}}
        both = "spec.placement.required and spec.defaults.training.required of GPUPool pool"
        assert gang_of(a_job(placement={"required": "rack"})).leeway.required_field == "spec.placement.required"
        assert gang_of(a_job(placement={"required": "rack"}), **default).leeway.required_field == both
        assert gang_of(a_job(), **default).leeway.required_field == both.partition(" and ")[2]
