"""What is said of switches: in the status of the pool, and to those that wait for nodes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trainpush.model.modes import Mode, Step, Switch, Switching
from trainpush.model.plan import Claim, FinishedSwitch, ModesSummary, PlannedSwitch, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, listed
from trainpush.planner.allocations import Owner
from trainpush.planner.switching import steps
from trainpush.planner.switching.choosing import Answer, Choice, Pick, told
from trainpush.planner.switching.limits import Limits
from trainpush.planner.switching.ranking import Taken, cost
from trainpush.planner.switching.survey import Post

_NAMED_MAX: Final = 4
"""Most nodes that are named one by one."""


@dataclass(frozen=True, slots=True)
class Help:
    """What switches do for one that waits."""

    is_coming: bool
    """Whether nodes change for it; else `reason` is why they do not."""
    reason: Reason
    message: str

    def on(self, verdict: Verdict) -> Verdict:
        """The verdict on one that waits, with this in it."""
        if self.is_coming:
            return replace(verdict, reason=self.reason, message=f"{verdict.message}; {self.message}")
        return replace(verdict, advice="; ".join(filter(None, (verdict.advice, self.message))))


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was decided on the nodes of a pool."""

    switching: Switching
    choice: Choice
    limits: Limits
    begun: Sequence[Pick]
    refused: Mapping[str, str]
    """Why nodes that were chosen do not begin, by node."""
    after: Mapping[str, Switch | None]
    """What each node is to bear."""
    now: datetime

    @property
    def posts(self) -> tuple[Post, ...]:
        """All nodes."""
        return self.choice.survey.posts


def summary(here: Outcome) -> ModesSummary:
    """What the status of the pool shows."""
    return ModesSummary(
        counts=Counter(_mode(post, here.after[post.name]) for post in here.posts),
        switching=sum(switch is not None and not switch.is_resting for switch in here.after.values()),
        settled=_settled(here),
        planned=tuple(sorted(_planned(here), key=lambda it: it.node)),
        finished=tuple(_finished(here)),
    )


def _mode(post: Post, after: Switch | None) -> Mode:
    """What a node counts as once this cycle stands."""
    if not post.is_usable:
        return Mode.MAINTENANCE
    return after.mode if after else post.mode


def _planned(here: Outcome) -> list[PlannedSwitch]:
    """What is under way, then what was chosen and has not begun."""
    found = []
    for post in here.posts:
        switch = here.after[post.name]
        if switch and not switch.is_resting and not post.is_resting:
            price = cost(post, switch.to, here.choice.survey, Taken())
            names = tuple(map(str, price.victims))
            found.append(PlannedSwitch(post.name, switch.mode, switch.to, switch.step, switch.why, names, price.lost))
    for pick in here.choice.picks.values():
        if pick.post.is_resting:
            names = tuple(map(str, pick.cost.victims))
            node, old = pick.post.name, pick.post.mode
            found.append(PlannedSwitch(node, old, pick.to, Step.PLANNED, pick.why, names, pick.cost.lost))
    return found


def _finished(here: Outcome) -> list[FinishedSwitch]:
    found = []
    for post in sorted(here.posts, key=lambda it: it.name):
        before, after = post.switch, here.after[post.name]
        if before and after and not before.is_resting and after.is_resting:
            found.append(FinishedSwitch(post.name, before.mode, before.to, before.begun, here.now, after.step))
    return found


def _settled(here: Outcome) -> Claim:
    """The worst thing first."""
    if hanging := _hanging(here):
        return hanging
    waiting = [pick for pick in here.choice.picks.values() if pick.post.is_resting and pick.post.name in here.refused]
    if here.limits.trouble and (waiting or here.choice.unmet):
        return Claim(False, Reason.FROZEN, f"no switch begins, since {here.limits.trouble}: bring them back")
    if here.choice.unmet:
        return Claim(False, Reason.BOUNDS_NOT_MET, "; ".join(here.choice.unmet))
    if not here.switching.is_enforced and here.choice.picks:
        plural = count(len(here.choice.picks), "node")
        said = f"{plural} would change the mode, see status.plan; set spec.switching.policy to Enforce to let them"
        return Claim(False, Reason.DRY_RUN, said)
    under_way = sum(it is not None and not it.is_resting for it in here.after.values())
    if under_way or waiting:
        more = f", {len(waiting)} more will" if waiting else ""
        said = f"{count(under_way, 'node')} on the way to another mode{more}{_waited_for(here)}"
        return Claim(False, Reason.SWITCHING, said)
    return Claim(True, Reason.SETTLED, f"all {count(len(here.posts), 'node')} have the modes that are wanted")


def _hanging(here: Outcome) -> Claim | None:
    """Nodes that go no further."""
    stuck = sorted(post.name for post in here.posts if (it := here.after[post.name]) and it.step is Step.STUCK)
    late = sorted((it for it in here.posts if it.lacking.is_late), key=lambda it: it.name)
    parts = [*([_stuck(here, stuck)] if stuck else ()), *([_late(late)] if late else ())]
    return Claim(False, Reason.STUCK if stuck else Reason.NOT_READY_IN_TIME, "; ".join(parts)) if parts else None


def _stuck(here: Outcome, names: Sequence[str]) -> str:
    busy = [post for post in here.posts if post.name in names and not post.suits(post.to)]
    # Who is empty waits for the rest of its unit.
    names = sorted(post.name for post in busy) or names
    there = sorted({str(key) for post in busy for key in (*post.gangs, *post.services)})
    left = f"; still there: {listed(there, _NAMED_MAX)}" if there else ""
    remedy = "" if here.switching.is_forced else "; end them, or set spec.switching.onDeadline to Force"
    return f"{listed(names, _NAMED_MAX)}: what runs there did not go in time{left}{remedy}"


def _waited_for(here: Outcome) -> str:
    """What nodes lack that get ready; those that have failed or are late are told before."""
    found = sorted((it for it in here.posts if it.step is Step.WARMING and it.lacking.what), key=lambda it: it.name)
    return "".join(f"; {it.name} waits: {', '.join(it.lacking.what)}" for it in found[:_NAMED_MAX])


def _late(posts: Sequence[Post]) -> str:
    said = [f"{it.name} does not get ready for {it.to}: {', '.join(it.lacking.what)}" for it in posts]
    more = f"; {len(said) - _NAMED_MAX} more" if len(said) > _NAMED_MAX else ""
    return f"{'; '.join(said[:_NAMED_MAX])}{more}"


def helps(here: Outcome) -> dict[Owner, Help]:
    """What switches do for each that waits; nothing is said to those for whom there is room without any."""
    return {
        owner: _help(here, answer)
        for owner, answer in sorted(here.choice.answers.items())
        if answer.nodes or not answer.is_met
    }


def _help(here: Outcome, answer: Answer) -> Help:
    coming = [name for name in answer.nodes if name not in here.refused]
    if coming and here.switching.is_enforced:
        return Help(True, Reason.WAITING_FOR_MODE_SWITCH, _coming(here, coming))
    if answer.nodes:
        return _held_up(here, answer.nodes)
    if answer.at_most is not None:
        most = count(answer.at_most, "node")
        said = f"no more nodes change their mode for it: {most} at most may have it; raise max in spec.modes"
        return Help(False, Reason.MODE_AT_MAX, said + told(answer.blocks))
    said = "no node changes its mode for it"
    return Help(False, Reason.NO_NODE_MAY_SWITCH, said + (told(answer.blocks) or ": none would do"))


def _held_up(here: Outcome, nodes: Sequence[str]) -> Help:
    """Nodes were chosen, and none of them begins now."""
    if not here.switching.is_enforced:
        held = "would change the mode for it, but spec.switching.policy of the GPUPool is DryRun"
        said = f"{listed(nodes, _NAMED_MAX)} {held}"
        return Help(False, Reason.DRY_RUN, said)
    reason = Reason(here.refused[nodes[0]])
    if reason is Reason.WAITING_FOR_MODE_SWITCH:
        held = "will change the mode for it when those before have: spec.switching.maxConcurrent"
        said = f"{listed(nodes, _NAMED_MAX)} {held}"
        return Help(True, reason, said)
    if reason is Reason.FROZEN:
        return Help(False, reason, f"no node changes its mode for it, since {here.limits.trouble}")
    until = f" before {here.limits.wake_at:%Y-%m-%dT%H:%M:%SZ}" if here.limits.wake_at else ""
    said = f"no node changes its mode for it{until}: spec.switching.perHour ({here.switching.per_hour}) is used up"
    return Help(False, reason, said)


def _coming(here: Outcome, nodes: Sequence[str]) -> str:
    """Which nodes, how far they are, and until when at most."""
    picks = {pick.post.name: pick for pick in here.begun}
    parts, ends = [], []
    for name in nodes:
        switch = here.after[name]
        if switch is None or (switch.is_resting and name not in picks):
            continue
        parts.append(f"{name} ({switch.step})")
        ends.append(steps.latest_end(switch, here.switching, here.now))
    last = max(ends, default=here.now)
    verb = "changes its mode" if len(parts) == 1 else "change their modes"
    return f"{listed(parts, _NAMED_MAX)} {verb} for it, until {last:%Y-%m-%dT%H:%M:%SZ} at most"
