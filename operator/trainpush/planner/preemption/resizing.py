"""Gangs that leave nodes which change their mode, and gangs that grow where there is room.

Either is a new attempt of another legal size, which goes on from the last checkpoint.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.modes import SwitchStep
from trainpush.model.plan import Decision
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, listed
from trainpush.model.workload import Eviction, Job, Key, Placement
from trainpush.planner import lifecycle, reports
from trainpush.planner.places import GangAllocation
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import domain_of
from trainpush.planner.quota import QuotaUsage
from trainpush.planner.running import RunningGangs

COOLDOWN: Final = timedelta(minutes=5)
"""Least time from the start of an attempt until the gang grows, where its pool names none."""
_NAMED_MAX: Final = 8
"""Most nodes that are named one by one."""
_BY_MAX: Final = 512
"""Longest text that status takes: names of nodes may have 253 characters each."""


@dataclass(eq=False)
class Resizing:
    """The running gangs of a pool that change their size or their place in this cycle, though nobody preempts them."""

    capacity: FreeCapacity
    quota: QuotaUsage
    running: RunningGangs
    now: datetime
    wake_at: datetime | None = field(default=None, init=False)
    """When a gang may grow for which there is room already."""

    @cached_property
    def leaving(self) -> Mapping[Key, Eviction]:
        """What becomes of the gangs that have to leave nodes which change their mode."""
        left = self._left_nodes
        return {it.job.key: self._leaving(it) for it in (self.running if left else ()) if not left.isdisjoint(it.nodes)}

    @cached_property
    def _left_nodes(self) -> frozenset[str]:
        """Nodes from which everything has to go."""
        return frozenset(node for node, switch in self.capacity.pool.switches.items() if switch.is_leaving)

    def _leaving(self, it: GangAllocation) -> Eviction:
        """It goes on with as many of its workers as are elsewhere, if that is a legal size; else it is placed anew."""
        gone = sorted(self._left_nodes.intersection(it.nodes))
        left = left_of(it.gang, sum(node not in self._left_nodes for node in it.nodes))
        by = f"{'node' if len(gone) == 1 else 'nodes'} {listed(gone, _NAMED_MAX)}"[:_BY_MAX]
        becomes = f"goes on with {count(left, 'worker')}" if left else "looks for another place"
        message = f"{becomes}, since {by} will change the mode"
        return Eviction(by, Reason.MODE_SWITCH, message, left, it.lost(self.now))

    def growing(self, taken: Container[Key]) -> dict[Key, Eviction]:
        """What becomes of the gangs that may have more workers, those aside from which something is `taken`.

        All together stay within the limits of their teams.
        """
        growing: dict[Key, Eviction] = {}
        grown: list[tuple[GangAllocation, int]] = []
        switching = self.capacity.pool.switching
        for it in self.running.elastic:
            # One of which ranks have finished will soon be done, and they would have to begin anew.
            is_midway = it.job.recorded.has_run and not it.job.recorded.completed
            may_grow = is_midway and len(it.nodes) < max(it.gang.sizes, default=0)
            if it.job.key in taken or not may_grow or not is_growth_wanted(it.job):
                continue
            due = it.place.since + (switching.cooldown if switching else COOLDOWN)
            size = self.capacity.largest_instead(self._allowed(it.job, it.gang, len(it.nodes)), it.nodes)
            if size > len(it.nodes) and self.now >= due:
                message = f"goes on with {count(size, 'worker')} instead of {len(it.nodes)}, since there is room"
                # It is nobody's victim but its own.
                eviction = Eviction(str(it.job.key), Reason.RESIZED, message, size, it.lost(self.now))
                growing[it.job.key] = eviction
                grown.append((it, size - len(it.nodes)))
                self.quota.charge(it.job.key.namespace, it.gang, size - len(it.nodes))
            elif size > len(it.nodes):
                self.wake_at = min(filter(None, (self.wake_at, due)))
        for it, more in grown:  # they do not have it yet
            self.quota.charge(it.job.key.namespace, it.gang, -more)
        return growing

    def _allowed(self, job: Job, gang: Gang, workers: int) -> Gang:
        """A gang with the sizes that its team may have in place of so many workers."""
        namespace = job.key.namespace
        self.quota.charge(namespace, gang, -workers)
        allowed = self.quota.within_limit(namespace, gang.of_size(max(gang.sizes, default=gang.workers)))
        self.quota.charge(namespace, gang, workers)
        return allowed

    def resized(self, job: Job, gang: Gang, place: Placement, eviction: Eviction) -> Decision:
        """The gang with as many workers as its eviction says: fewer where they are, or more wherever there is room."""
        if eviction.workers > len(place.nodes):
            self.capacity.release(gang, place.nodes)
            size = self.capacity.largest(self._allowed(job, gang, len(place.nodes)))
            assignment = self.capacity.assign(gang.of_size(size)) if size else None
            nodes = assignment.nodes(self.capacity.pool.table) if assignment else ()
            self.quota.charge(job.key.namespace, gang, len(nodes) - len(place.nodes))
        else:
            left = tuple(node for node in place.nodes if node not in self._left_nodes)
            # Fewer than it was told of, where more nodes have to be left by now.
            size = min(eviction.workers, len(left))
            nodes = left[: left_of(gang, size) if len(left) < len(place.nodes) else _largest(gang, size)]
        if not nodes:
            return lifecycle.evicted(job, eviction)
        level, domain = domain_of(gang, self.capacity.pool.table, nodes)
        resized = replace(place.anew(self.now), nodes=nodes, level=level, domain=domain)
        return lifecycle.resized(job, resized, eviction)

    def is_forced(self, job: Job) -> bool:
        """Whether a gang is on a node where what is left is ended: its program is waited for no more."""
        switching, place = self.capacity.pool.switching, job.recorded.placement
        if place is None or switching is None or not switching.is_forced:
            return False
        nodes = set(place.nodes) & self._left_nodes
        return any(self.capacity.pool.switches[node].step is SwitchStep.STUCK for node in nodes)


def left_of(gang: Gang, there: int) -> int:
    """With how many workers a gang goes on that has lost some, where so many are there still; 0: with none.

    What is left of slices may be no slices any more.
    """
    return 0 if gang.topology.slices else _largest(gang, there)


def _largest(gang: Gang, most: int) -> int:
    return max((size for size in gang.sizes if size <= most), default=0)


def is_growth_wanted(job: Job) -> bool:
    """Whether a new attempt with more workers would be welcome.

    A program that is to be asked for checkpoints must report: nobody needs its growth so much as what it has done.
    """
    return not job.is_asked or reports.can_be_asked(job)
