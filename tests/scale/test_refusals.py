"""What only the operator can refuse: it says which field is wrong and what would do, and goes on with its work."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from support.cluster import Space, a_pool, conditions, fake_nodes, is_empty, nodes_of, says
from support.manifests import GPU, PRODUCT, TOLERATION, foreign_pod, job, pool, racks
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, PODS, SERVICES
from trainpush.model.reasons import IS_READY

DEFAULT: Final = pool("main", "refusals", default=True)
SPARE: Final = pool("spare", "nowhere")
NO_IMAGE: Final = pool("main", "refusals", default=True, defaults={})
TWO_KINDS: Final = pool("main", "refusals", acceleratorResources=[GPU, "amd.com/gpu"])
ZONES: Final = pool("main", "refusals", topology={"preset": "zone"}, defaults={"training": {"image": "a/b:1"}})


def fsdp(degree: int) -> Object:
    """A strategy that shards over `degree` ranks."""
    return {"type": "FSDP", "sharding": {"degree": degree}}


def limits(**amounts: int) -> Object:
    """Resources of a worker; `nvidia=8` for nvidia.com/gpu."""
    return {"limits": {f"{vendor}.com/gpu": amount for vendor, amount in amounts.items()}}


@dataclass(frozen=True)
class Wrong:
    """A job that no schema can refuse, the pools that there are, what the operator says, and the edit that helps."""

    id: str
    spec: dict[str, Any]
    reason: str
    says: Sequence[str]
    """The path of the field, and the remedy."""
    cure: dict[str, Any]
    pools: Sequence[Object] = (DEFAULT,)
    replicas: int = 2
    gpus: int = 8
    resources: Object = field(default_factory=dict)

    def job(self) -> Object:
        """The manifest."""
        made = job("job", self.replicas, self.gpus, **self.spec)
        if self.resources:
            made["spec"]["resources"] = self.resources
        return made


WRONG: Final = (
    Wrong(
        "degree-divides-not",
        {"strategy": fsdp(3)},
        "InvalidSpec",
        ("spec.strategy.sharding.degree: 3 does not divide the world size 16 (2 workers x 8", "use one of 1, 2, 4, 8"),
        {"strategy": fsdp(4)},
    ),
    Wrong(
        "degree-beyond-world",
        {"strategy": fsdp(32)},
        "InvalidSpec",
        ("spec.strategy.sharding.degree: 32 does not divide the world size 16", "use one of 1, 2, 4, 8, 16"),
        {"strategy": fsdp(16)},
    ),
    Wrong(
        "degree-of-odd-world",
        {"strategy": fsdp(2)},
        "InvalidSpec",
        ("spec.strategy.sharding.degree: 2 does not divide the world size 7 (1 worker x 7", "use one of 1, 7"),
        {"strategy": {"type": "DDP", "sharding": None}},
        replicas=1,
        gpus=7,
    ),
    Wrong(
        "pool-unknown",
        {"placement": {"pool": "mian"}},
        "PoolNotFound",
        ('spec.placement.pool: there is no GPUPool "mian"', "there are: main, spare"),
        {"placement": {"pool": "main"}},
        pools=(DEFAULT, SPARE),
    ),
    Wrong(
        "pool-unknown-and-none-there",
        {"placement": {"pool": "main"}},
        "PoolNotFound",
        ("spec.placement.pool", "there are: none"),
        {},
        pools=(),
    ),
    Wrong("no-pool", {}, "PoolRequired", ("spec.placement.pool: name a GPUPool (there are: none)",), {}, pools=()),
    Wrong(
        "two-pools-none-default",
        {},
        "PoolRequired",
        ("spec.placement.pool: name a GPUPool (there are: main, spare)", "or mark one with spec.default: true"),
        {"placement": {"pool": "main"}},
        pools=(pool("main", "refusals"), SPARE),
    ),
    Wrong(
        "no-image",
        {},
        "ImageRequired",
        ("spec.worker.image: name an image", "GPUPool main has no spec.defaults.training.image"),
        {"worker": {"image": "example.com/train:1"}},
        pools=(NO_IMAGE,),
    ),
    Wrong(
        "required-level-unknown",
        {"placement": {"required": "row"}},
        "InvalidSpec",
        ('spec.placement.required: GPUPool main has no level "row"', "it has: block, rack, host"),
        {"placement": {"required": "rack"}},
    ),
    Wrong(
        "preferred-level-unknown",
        {"placement": {"preferred": "zone"}},
        "InvalidSpec",
        ('spec.placement.preferred: GPUPool main has no level "zone"', "it has: block, rack, host"),
        {"placement": {"preferred": "block"}},
    ),
    Wrong(
        "level-of-another-preset",
        {"placement": {"required": "rack"}},
        "InvalidSpec",
        ('spec.placement.required: GPUPool main has no level "rack"', "it has: zone, host"),
        {"placement": {"required": None}},
        pools=(ZONES,),
    ),
    Wrong(
        "pool-is-no-level",
        {"placement": {"required": "pool"}},
        "InvalidSpec",
        ('spec.placement.required: GPUPool main has no level "pool"', "it has: block, rack, host"),
        {"placement": {"required": "block"}},
    ),
    Wrong(
        "preferred-wider-than-required",
        {"placement": {"required": "rack", "preferred": "block"}},
        "InvalidSpec",
        ("spec.placement.preferred: block is wider than the required rack", "use one of: rack, host"),
        {"placement": {"preferred": "host"}},
        replicas=1,
    ),
    Wrong(
        "preferred-wider-than-host",
        {"placement": {"required": "host", "preferred": "rack"}},
        "InvalidSpec",
        ("spec.placement.preferred: rack is wider than the required host", "use one of: host"),
        {"placement": {"preferred": None}},
        replicas=1,
    ),
    Wrong(
        "accelerator-of-another-pool",
        {},
        "InvalidSpec",
        ("spec.resources.requests: ask for at least 1 of what GPUPool main holds: nvidia.com/gpu",),
        {"resources": {"limits": {"amd.com/gpu": None, GPU: 8}}},
        resources=limits(amd=8),
    ),
    Wrong(
        "two-accelerators",
        {},
        "InvalidSpec",
        ("spec.resources: ask for one of nvidia.com/gpu, amd.com/gpu, not for several",),
        {"resources": {"limits": {"amd.com/gpu": None}}},
        pools=(TWO_KINDS,),
        resources=limits(nvidia=8, amd=8),
    ),
)


@pytest.fixture(scope="module", autouse=True)
def _racks(bed: Bed) -> Iterator[None]:
    """Two racks of three nodes."""
    with fake_nodes(bed, racks("refusals", [3, 3])):
        yield


@pytest.fixture
def pools(bed: Bed, request: pytest.FixtureRequest) -> Iterator[None]:
    """The pools that a test names by parameter, else one default pool."""
    with ExitStack() as stack:
        for manifest in getattr(request, "param", (DEFAULT,)):
            stack.enter_context(a_pool(bed, manifest))
        yield


@pytest.mark.parametrize(
    ("wrong", "pools"), [pytest.param(wrong, wrong.pools, id=wrong.id) for wrong in WRONG], indirect=["pools"]
)
@pytest.mark.usefixtures("pools")
async def test_a_wrong_job_is_refused_and_cured(space: Space, wrong: Wrong) -> None:
    """Refused with field and remedy, nothing made; once it is edited, or its pool appears, it runs."""
    await space.create(wrong.job())
    seen = await space.job("job", says("Accepted", "False"), "is refused")
    told = conditions(seen)
    assert told["Accepted"]["reason"] == wrong.reason
    for part in wrong.says:
        assert part in told["Accepted"]["message"]
    assert [told[kind]["status"] for kind in ("Ready", "Placed", "Stalled")] == ["False", "False", "True"]
    assert seen["status"]["verdict"]["reason"] == wrong.reason
    with ExitStack() as stack:
        if wrong.cure:
            await space.edit("job", **wrong.cure)
        else:
            stack.enter_context(a_pool(space.bed, DEFAULT))
        healed = await space.job("job", says("Running"), "runs")
        assert says("Ready")(healed)
        assert "Stalled" not in conditions(healed)
        await space.clear()


@pytest.mark.usefixtures("pools")
async def test_wrong_jobs_leave_nothing_and_hold_up_nobody(space: Space) -> None:
    """With every wrong job there at once, a good one runs, and nothing else was made."""
    wrong = [case for case in WRONG if case.pools == (DEFAULT,)]
    for case in wrong:
        manifest = case.job()
        manifest["metadata"]["name"] = case.id
        await space.create(manifest)
    await space.create(job("good", 2))
    await space.job("good", says("Running"), "runs")
    for case in wrong:
        await space.job(case.id, says("Accepted", "False"), "is refused")
    assert sorted(await space.pods()) == ["good-worker-0-a1", "good-worker-1-a1"]
    assert sorted(await space.until(SERVICES, lambda found: found, "a Service is there")) == ["good-workers"]


@dataclass(frozen=True)
class Waiting:
    """A sound job that finds no place while a foreign pod holds 4 GPUs of each node, and what its verdict says."""

    id: str
    job: Object
    reason: str
    message: str
    largest_free: int = 0


BUSY: Final = "6 without room for 8 nvidia.com/gpu and the rest of a worker"
WAITING: Final = (
    Waiting(
        "too-many-workers",
        job("job", 7),
        "ExceedsPool",
        f"0/6 nodes fit: {BUSY}; 7 workers need 56 nvidia.com/gpu, 24 free, room for 0 in the pool; "
        "the empty pool takes 6 workers: lower spec.replicas or add nodes",
    ),
    Waiting(
        "no-rack-so-large",
        job("job", 4, placement={"required": "rack"}),
        "TopologyUnsatisfiable",
        f"0/6 nodes fit: {BUSY}; 4 workers need 32 nvidia.com/gpu, 24 free, room for 0 in the largest rack; "
        "the largest empty rack takes 3 workers: relax spec.placement.required",
    ),
    Waiting(
        "no-such-product",
        job("job", 1, placement={"acceleratorProducts": ["NVIDIA-H100-80GB-HBM3"]}),
        "NoMatchingNodes",
        "0/6 nodes fit: 6 with another accelerator product; 1 worker needs 8 nvidia.com/gpu, 0 free, "
        f"room for 0 in the pool; the nodes have {PRODUCT}: allow more in spec.placement.acceleratorProducts",
    ),
    Waiting(
        "worker-too-large",
        job("job", 1, 16),
        "NoMatchingNodes",
        "0/6 nodes fit: 6 too small for a worker even when empty; 1 worker needs 16 nvidia.com/gpu, 0 free, "
        "room for 0 in the pool; a worker needs 16 nvidia.com/gpu, the largest node has 8 nvidia.com/gpu",
    ),
    Waiting(
        "others-hold-them",
        job("job", 7, 4),
        "WaitingForCapacity",
        "6/6 nodes fit; 7 workers need 28 nvidia.com/gpu, 24 free, room for 24 in the pool",
        largest_free=24,
    ),
)


@pytest.mark.parametrize("waiting", [pytest.param(waiting, id=waiting.id) for waiting in WAITING])
@pytest.mark.usefixtures("pools")
async def test_a_job_that_waits_says_why_in_numbers(space: Space, waiting: Waiting) -> None:
    """Accepted but not placed, with a tally of the nodes; nothing is made."""
    for node in racks("refusals", [3, 3]):
        await space.create(foreign_pod(f"on-{node.name}", node.name, gpus=4))
    await space.create(waiting.job)
    seen = await space.job("job", says("Placed", "False", waiting.reason), "waits")
    told = conditions(seen)
    assert told["Placed"]["message"] == waiting.message
    assert told["Accepted"]["status"] == "True"
    # What passes by itself is nothing to mend.
    assert told["Ready"]["status"] == str(IS_READY[waiting.reason])
    assert seen["status"]["verdict"]["message"] == waiting.message
    assert seen["status"]["verdict"]["largestFree"] == waiting.largest_free
    await space.until(SERVICES, is_empty, "no Service is there")


async def test_a_job_in_a_pool_without_nodes_waits(space: Space) -> None:
    """The verdict names the pool and the field that chooses its nodes."""
    with a_pool(space.bed, SPARE):
        await space.create(job("job", 1))
        seen = await space.job("job", says("Placed", "False", "NoMatchingNodes"), "waits")
        assert conditions(seen)["Placed"]["message"].endswith(
            "the pool has no nodes: give some the labels of spec.nodeSelector of GPUPool spare"
        )


async def test_a_job_waits_until_a_pool_bears_its_taint(space: Space) -> None:
    """The pool lacks the toleration of its nodes' taint; once it has it, the job runs."""
    with a_pool(space.bed, pool("main", "refusals", tolerations=[])):
        await space.create(job("job", 1))
        seen = await space.job("job", says("Placed", "False", "NoMatchingNodes"), "waits")
        assert "6 with a taint that is not tolerated" in seen["status"]["verdict"]["message"]
        await space.client.patch(GPUPOOLS, None, "main", {"spec": {"tolerations": [TOLERATION]}})
        await space.job("job", says("Running"), "runs")
        await space.clear()


@pytest.mark.usefixtures("pools")
async def test_a_job_is_placed_as_soon_as_there_is_room(space: Space) -> None:
    """Cordoned nodes count as not usable; the job goes where the foreign pod was."""
    await space.create(foreign_pod("other", "refusals-r2-1", gpus=8))
    for node in ("refusals-r1-0", "refusals-r1-1", "refusals-r1-2", "refusals-r2-0"):
        await space.cordon(node)
    try:
        await space.create(job("job", 2))
        seen = await space.job("job", says("Placed", "False", "WaitingForCapacity"), "waits")
        message = seen["status"]["verdict"]["message"]
        assert message.startswith("1/6 nodes fit: 4 cordoned, 1 without room for 8 nvidia.com/gpu")
        assert message.endswith("2 workers need 16 nvidia.com/gpu, 8 free, room for 8 in the pool")
        await space.delete(PODS, "other")
        placed = await space.job("job", says("Running"), "runs")
        assert nodes_of(placed) == ["refusals-r2-1", "refusals-r2-2"]
    finally:
        for fake in racks("refusals", [3, 3]):
            await space.cordon(fake.name, on=False)
