"""What teams may have of a pool."""

from support.manifests import pool
from trainpush.admission.pools import quotas_of
from trainpush.api.gpupool import GPUPool
from trainpush.model.snapshot import Quota, Share

GPU = "nvidia.com/gpu"


def test_quotas_are_in_thousandths_by_name() -> None:
    """What is not named is neither guaranteed nor limited."""
    quotas = [
        {"name": "vision", "namespaces": ["v1", "v2"], "resources": {GPU: {"guarantee": 16, "weight": 2, "limit": 64}}},
        {"name": "speech", "namespaces": ["s"], "resources": {GPU: {"limit": 0}}},
        {"name": "guests", "namespaces": ["g"]},
    ]
    assert quotas_of(GPUPool.parse(pool("pool", "any", quotas=quotas))) == (
        Quota("guests", frozenset({"g"}), {}),
        Quota("speech", frozenset({"s"}), {GPU: Share(0, 1, 0)}),
        Quota("vision", frozenset({"v1", "v2"}), {GPU: Share(16_000, 2, 64_000)}),
    )


def test_a_pool_without_quotas_has_no_teams() -> None:
    """All namespaces share one account."""
    assert quotas_of(GPUPool.parse(pool("pool", "any"))) == ()
