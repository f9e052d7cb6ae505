"""Leader election against a real API server, with time running five times as fast as in production."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from support.api import admin
from support.fault_proxy import FaultProxy, answering, is_write, losing_the_answer
from support.given_cluster import Cluster
from support.wait import until
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.lease import Elector, Timing
from trainpush.kube.resources import LEASES

NAME = "operator"
FAST = Timing(lease=3, renew=2.0, retry=0.4)


@dataclass
class Candidate:
    """One replica and its network."""

    elector: Elector
    proxy: FaultProxy
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """End it in an orderly way."""
        self.task.cancel()
        await asyncio.wait([self.task])


@asynccontextmanager
async def a_candidate(cluster: Cluster, namespace: str, identity: str) -> AsyncIterator[Candidate]:
    """A replica that takes part in the election."""
    async with FaultProxy(admin(cluster)) as proxy, Client(proxy.credentials) as client:
        elector = Elector(client, namespace, NAME, identity, timing=FAST)
        candidate = Candidate(elector, proxy, asyncio.create_task(elector.run()))
        try:
            yield candidate
        finally:
            await candidate.stop()


async def spec_of(client: Client, namespace: str) -> Object:
    """The Lease as it stands."""
    spec: Object = (await client.get(LEASES, NAME, namespace))["spec"]
    return spec


async def became_leader(candidate: Candidate, seconds: float = 10.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(seconds):
        await candidate.elector.became_leader()


async def test_one_leads_and_goes_on_leading(cluster: Cluster, client: Client, namespace: str) -> None:
    """The Lease is renewed: same holder, same acquireTime, no transition."""
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        first = await spec_of(client, namespace)
        assert first["holderIdentity"] == "one"
        assert (first["leaseDurationSeconds"], first["leaseTransitions"]) == (FAST.lease, 0)
        writes = one.proxy.count(is_write)
        await until(lambda: one.proxy.count(is_write) >= writes + 3, "three renewals")
        later = await spec_of(client, namespace)
        assert later["renewTime"] > first["renewTime"]
        assert {**later, "renewTime": ""} == {**first, "renewTime": ""}
        assert one.elector.is_leader


async def test_an_orderly_end_hands_over_at_once(cluster: Cluster, client: Client, namespace: str) -> None:
    """The Lease is let go, so that the other need not wait until it runs out."""
    async with a_candidate(cluster, namespace, "one") as one, a_candidate(cluster, namespace, "two") as two:
        await until(lambda: one.elector.is_leader or two.elector.is_leader, "somebody leads")
        leader, other = (one, two) if one.elector.is_leader else (two, one)
        started = time.monotonic()
        await leader.stop()
        assert not leader.elector.is_leader
        await became_leader(other)
        assert time.monotonic() - started < FAST.lease / 2
        assert (await spec_of(client, namespace))["leaseTransitions"] == 1


async def test_never_two_leaders(cluster: Cluster, client: Client, namespace: str) -> None:
    """The holder is cut off: it stops by itself before the other may start, and follows when it is back."""
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        async with a_candidate(cluster, namespace, "two") as two:
            await until(lambda: two.proxy.count(lambda request: True) >= 2, "two takes part")
            await one.proxy.close()
            both = 0

            def two_leads() -> bool:
                nonlocal both
                both += one.elector.is_leader and two.elector.is_leader
                return two.elector.is_leader

            await until(two_leads, "the other leads")
            assert both == 0
            async with asyncio.timeout(5):
                await one.elector.lost_leadership()
            await one.proxy.open()
            seen = one.proxy.count(lambda request: True)
            await until(lambda: one.proxy.count(lambda request: True) >= seen + 3, "one takes part again")
            assert two.elector.is_leader
            assert not one.elector.is_leader


async def test_a_lease_of_a_dead_holder_with_a_wrong_clock(cluster: Cluster, client: Client, namespace: str) -> None:
    """Its renewTime lies in the future; only the time in which nothing changed counts."""
    spec = {
        "holderIdentity": "dead",
        "leaseDurationSeconds": 2,
        "renewTime": "2099-01-01T00:00:00.000000Z",
        "acquireTime": "2099-01-01T00:00:00.000000Z",
        "leaseTransitions": 7,
    }
    await client.create(LEASES, a_lease(namespace, spec))
    started = time.monotonic()
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        assert time.monotonic() - started >= 2
        taken = await spec_of(client, namespace)
        assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("one", 8)


async def test_a_lease_without_a_spec(cluster: Cluster, client: Client, namespace: str) -> None:
    """Somebody made it by hand: it is free."""
    await client.create(LEASES, a_lease(namespace, {}))
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one, FAST.lease)


async def test_the_same_replica_after_a_crash(cluster: Cluster, client: Client, namespace: str) -> None:
    """Needs not wait for its own Lease to run out."""
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
    await client.create(LEASES, a_lease(namespace, spec))
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one, FAST.lease)


async def test_a_lease_that_somebody_takes_away(cluster: Cluster, client: Client, namespace: str) -> None:
    """A foreign holder ends the leadership at the next renewal."""
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        await client.patch(LEASES, namespace, NAME, {"spec": {"holderIdentity": "other"}})
        async with asyncio.timeout(FAST.renew):
            await one.elector.lost_leadership()
        assert not one.elector.is_leader


async def test_a_lease_that_is_edited_or_deleted(cluster: Cluster, client: Client, namespace: str) -> None:
    """Costs nothing but a look."""
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        await client.patch(LEASES, namespace, NAME, {"metadata": {"annotations": {"a": "b"}}})
        await until_renewed(one)
        lease = await client.get(LEASES, NAME, namespace)
        await client.delete(LEASES, Exactly(namespace, NAME, lease["metadata"]["uid"]))
        await until_renewed(one)
        assert one.elector.is_leader
        assert (await spec_of(client, namespace))["holderIdentity"] == "one"


async def test_renewals_that_fail_for_a_moment(cluster: Cluster, client: Client, namespace: str) -> None:
    """Leadership is kept through errors and lost answers that are shorter than the deadline."""
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        one.proxy.fail(is_write, answering(500), losing_the_answer)
        writes = one.proxy.count(is_write)
        led: set[bool] = set()

        def enough() -> bool:
            led.add(one.elector.is_leader)
            return one.proxy.count(is_write) >= writes + 8

        await until(enough, "eight more renewals")
        assert led == {True}


async def test_a_process_that_slept(cluster: Cluster, namespace: str) -> None:
    """A blocked event loop cannot renew: the answer is no before the loop has noticed anything."""
    async with a_candidate(cluster, namespace, "one") as one:
        await became_leader(one)
        assert one.elector.is_leader
        time.sleep(FAST.renew)  # noqa: ASYNC251  that is the fault
        assert not one.elector.is_leader
        await until(lambda: one.elector.is_leader, "it leads again, as nobody else wanted to")


def a_lease(namespace: str, spec: Object) -> Object:
    """A Lease of somebody else."""
    metadata = {"namespace": namespace, "name": NAME}
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


async def until_renewed(candidate: Candidate) -> None:
    """Wait for a few more writes of the Lease."""
    writes = candidate.proxy.count(is_write)
    await until(lambda: candidate.proxy.count(is_write) >= writes + 3, "three renewals")
