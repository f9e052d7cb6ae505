"""The whole decision on the nodes of one pool: which of them change their mode, and how far each one goes now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from trainpush.model.modes import Mode, Step, Switch, Switching
from trainpush.model.plan import Decision, EndPod, MarkNode, ModesSummary, NodeDecision, PoolAct, ServiceDecision
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Key
from trainpush.planner.accounts import Accounts
from trainpush.planner.allocations import Allocations, Owner
from trainpush.planner.placing.ground import Ground
from trainpush.planner.switching import calendar, limits, steps, telling, warmers
from trainpush.planner.switching.bounds import within
from trainpush.planner.switching.choosing import Choice, Pick
from trainpush.planner.switching.demand import wants
from trainpush.planner.switching.projected import ProjectedCapacity
from trainpush.planner.switching.ranking import young_until
from trainpush.planner.switching.survey import BEFORE_FLIP, Post, Survey, survey
from trainpush.planner.switching.telling import Help
from trainpush.planner.switching.turns import choose


@dataclass(frozen=True, slots=True)
class Switched:
    """What becomes of the nodes of a pool, and what that means for those that wait."""

    nodes: tuple[NodeDecision, ...] = ()
    """Those of which something changes, by name."""
    summary: ModesSummary | None = None
    help: Mapping[Owner, Help] = field(default_factory=dict)
    """What switches do for jobs and services that wait, or why they do nothing."""
    removals: Mapping[Owner, tuple[EndPod, ...]] = field(default_factory=dict)
    """Pods that are ended at once: they are on nodes whose time is over, in a pool that says Force."""
    acts: tuple[PoolAct, ...] = ()
    """For images that nodes pull."""
    wake_at: datetime | None = None
    """When to look again although nothing changed."""


def decide(
    ground: Ground,
    accounts: Accounts,
    allocations: Allocations,
    stages: Mapping[Key, Decision],
    served: Iterable[ServiceDecision],
    now: datetime,
) -> Switched:
    """What becomes of the nodes of the pool of `ground`, once everybody had a turn on it."""
    pool = ground.pool
    if pool.switching is None:
        return Switched(acts=warmers.acts(pool, now))
    given = {decision.key: decision for decision in served}
    seen = survey(pool, allocations, stages, given, now)
    choice = _choice(ground, pool.switching, seen)
    choose(choice, wants(pool, accounts, allocations, stages, given))
    here = _Cycle(pool, pool.switching, choice, limits.limits(pool, pool.switching, seen.posts, now), now)
    begun, refused = here.begun()
    after = here.marks(begun)
    changed = sorted((post for post in seen.posts if after[post.name] != post.switch), key=lambda post: post.name)
    outcome = telling.Outcome(pool.switching, choice, here.limits, begun, refused, after, now)
    return Switched(
        nodes=tuple(NodeDecision(it.name, MarkNode(it.name, it.switch, after[it.name])) for it in changed),
        summary=telling.summary(outcome),
        help=telling.helps(outcome),
        removals=here.removals(),
        acts=warmers.acts(pool, now),
        wake_at=here.wake_at(),
    )


def orphaned(snapshot: Snapshot) -> tuple[NodeDecision, ...]:
    """Nodes that bear marks although no pool gives them a mode lose them, by name."""
    return tuple(NodeDecision(name, MarkNode(name, switch, None)) for name, switch in snapshot.orphans)


def _choice(ground: Ground, switching: Switching, seen: Survey) -> Choice:
    # Whom people want in no mode that has bounds cannot help to keep them.
    elsewhere = {Mode.MAINTENANCE, Mode.SHARED}
    usable = sum(post.is_usable and post.wish not in elsewhere for post in seen.posts)
    reach = within(calendar.bounds_at(switching, seen.now), usable)
    # Nobody waits for a node that may never get ready.
    projected = ProjectedCapacity(ground, (post for post in seen.posts if not post.lacking.is_late))
    return Choice(seen, reach, switching, projected)


@dataclass(frozen=True, slots=True)
class _Cycle:
    """What was chosen, on its way to what is written."""

    pool: Pool
    switching: Switching
    choice: Choice
    limits: limits.Limits
    now: datetime

    def begun(self) -> tuple[list[Pick], dict[str, str]]:
        """Of the nodes that were chosen and rest, those that begin; and why the others do not, by node."""
        begun: list[Pick] = []
        refused = {}
        for pick in self.choice.picks.values():
            if pick.post.is_resting:
                if reason := self.limits.refusal(pick, begun):
                    refused[pick.post.name] = str(reason)
                else:
                    begun.append(pick)
        return begun, refused

    def marks(self, begun: Iterable[Pick]) -> dict[str, Switch | None]:
        """What each node is to bear."""
        found: dict[str, Switch | None] = {}
        for post in self.choice.survey.posts:
            if post.switch is not None and not post.is_resting:
                found[post.name] = steps.advanced(post, post.switch, self._order(post), self.switching, self.now)
            elif post.switch is None and self._is_unmarked(post):
                found[post.name] = steps.initial(post, self.now)
            else:
                found[post.name] = self._kept(post.switch)
        for pick in begun if self.switching.is_enforced else ():
            switch = steps.planned(pick.post, pick.to, pick.why, self.now)
            found[pick.post.name] = self._kept(replace(switch, begun=self._begun(pick)))
        return found

    def _begun(self, pick: Pick) -> datetime:
        """When the unit of a node began that begins now: before it, where it was left behind."""
        unit = (it for it in self.choice.survey.units[pick.post.unit] if it.to is pick.to and not it.is_resting)
        return min((it.switch.begun for it in unit if it.switch and not it.wish), default=self.now)

    def _kept(self, switch: Switch | None) -> Switch | None:
        """The mark of a node that rests."""
        return steps.released(switch, self.switching) if switch and self.switching.is_enforced else switch

    def _order(self, post: Post) -> steps.Order:
        is_needed = post.name in self.choice.picks or post.name in self.choice.kept
        mates = (it for it in self.choice.survey.mates(post) if it.step in BEFORE_FLIP)
        is_clear = all(steps.is_clear(it) for it in (post, *mates))
        return steps.Order(is_needed and self.switching.is_enforced, post.name in self.limits.allowed, is_clear)

    def _is_unmarked(self, post: Post) -> bool:
        """Whether a node lacks a mark that keeps the wrong work away."""
        return self.switching.is_enforced and (post.mode is not Mode.SHARED or post.name in self.pool.labelled)

    def removals(self) -> dict[Owner, tuple[EndPod, ...]]:
        """Pods on nodes that are stuck, where what is left is ended."""
        found: dict[Owner, list[EndPod]] = {}
        for post in self.choice.survey.posts:
            if post.step is Step.STUCK and self.switching.is_forced and self._order(post).is_needed:
                for owner, act in post.removals:
                    found.setdefault(owner, []).append(act)
        return {owner: tuple(acts) for owner, acts in found.items()}

    def wake_at(self) -> datetime | None:
        """When a deadline or a pause is over, or other bounds hold."""
        seen = self.choice.survey
        under_way = (post.switch for post in seen.posts if post.switch and not post.is_resting)
        due = [calendar.next_change(self.switching, self.now), steps.wake_at(under_way, self.switching, self.now)]
        due.append(warmers.wake_at(self.pool, self.now))
        if self.choice.pressed or self.choice.unmet:
            due += [young_until(post, self.now, self.switching) for post in seen.posts]
            due += [gang.protected_until(self.now) for gang in seen.gangs.values()]
        if self.choice.picks:
            due.append(self.limits.wake_at)
        # Not at once: what is due now was decided just now.
        return min((max(it, self.now + timedelta(seconds=1)) for it in due if it), default=None)
