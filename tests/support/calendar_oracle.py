"""A calendar of bounds worked out by hand, the fewest switches that keep it, and whether a record of nodes did.

Nothing here knows how the operator decides. Nodes either serve or train, so the nodes that serve say it all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from trainpush.model.modes import Mode, Switch, SwitchStep


@dataclass(frozen=True)
class Phase:
    """Bounds that hold from a moment on until the next phase, in nodes that serve."""

    begin: datetime
    floor: int
    ceiling: int


@dataclass(frozen=True)
class Seen:
    """The annotation of a node as it stood there from `since` on; the label is what the node bears."""

    node: str
    label: str
    switch: Switch


@dataclass(frozen=True)
class Moment:
    """How many nodes there were from a moment on."""

    at: datetime
    serving: int
    """That serve and stay."""
    training: int
    coming: int
    """On the way from training to serving."""
    going: int
    """On the way back."""


@dataclass
class Course:
    """What the nodes went through, in order."""

    moments: list[Moment] = field(default_factory=list)
    began: list[datetime] = field(default_factory=list)
    """When switches were planned."""
    done: int = 0
    """Switches that came to their end."""
    aborted: int = 0
    hasty: int = 0
    """Switches of nodes that had not been in their mode for as long as they must."""


def fewest(phases: Sequence[Phase], nodes: int, before: int) -> int:
    """Fewest switches that keep all phases, when `before` nodes serve at first: exact, over every course there is.

    In each phase any number of nodes within its bounds may serve; from one phase to the next every node of difference
    is one switch. Within a phase a switch helps nobody.
    """
    counts = np.arange(nodes + 1)
    steps = np.abs(counts[:, None] - counts[None, :])
    costs = np.where(counts == before, 0.0, np.inf)
    for phase in phases:
        costs = (costs[:, None] + steps).min(axis=0)
        costs[(counts < phase.floor) | (counts > phase.ceiling)] = np.inf
    return int(costs.min())


def course(record: Sequence[Seen], nodes: int, least_time: timedelta) -> Course:
    """Follow all nodes through what was seen of them; they train before."""
    found, annotations = Course(), dict[str, Switch]()
    for seen in sorted(record, key=lambda it: it.switch.since):
        before, switch = annotations.get(seen.node), seen.switch
        if before == switch:
            continue
        annotations[seen.node] = switch
        if switch.step is SwitchStep.PLANNED:
            found.began.append(switch.begun)
            found.hasty += bool(before and before.why and switch.begun < before.since + least_time)
        found.done += switch.step is SwitchStep.ACTIVE and bool(switch.why)
        found.aborted += switch.step is SwitchStep.ABORTED
        found.moments.append(_moment(annotations, nodes, switch.since))
    return found


def _moment(annotations: dict[str, Switch], nodes: int, at: datetime) -> Moment:
    resting = [it.mode for it in annotations.values() if it.is_resting]
    under_way = [it.to for it in annotations.values() if not it.is_resting]
    return Moment(
        at=at,
        serving=resting.count(Mode.INFERENCE),
        training=resting.count(Mode.TRAINING) + nodes - len(annotations),
        coming=under_way.count(Mode.INFERENCE),
        going=under_way.count(Mode.TRAINING),
    )


def breaches(
    found: Course, phases: Sequence[Phase], training_floor: int, grace: timedelta, end: datetime
) -> Iterator[str]:
    """Every moment at which a bound was not kept, in words.

    For `grace` after a change of bounds the looser ones of old and new hold: what serves and stays is at least the
    smaller floor, and what serves or will is at most the larger ceiling. From then on the new ones hold.
    """
    for before, phase, after in zip([phases[0], *phases], phases, [*phases[1:], Phase(end, 0, 0)], strict=False):
        settled = min(phase.begin + grace, after.begin)
        floor = 0 if before is phase else min(before.floor, phase.floor)
        yield from _outside(found, phase.begin, settled, floor, max(before.ceiling, phase.ceiling))
        yield from _outside(found, settled, after.begin, phase.floor, phase.ceiling)
    for it in found.moments:
        if it.training < training_floor:
            yield f"{it.at}: {it.training} train, not {training_floor}"


def _outside(found: Course, begin: datetime, end: datetime, floor: int, ceiling: int) -> Iterator[str]:
    """Moments of `begin` to `end`, with the one that it begins in, that are out of these bounds."""
    for it, then in pairwise([*found.moments, None]):
        if it is None or max(begin, it.at) >= end or (then is not None and then.at <= begin):
            continue
        if it.serving < floor:
            yield f"{it.at}: {it.serving} serve, not {floor}"
        if it.serving + it.coming > ceiling:
            yield f"{it.at}: {it.serving} serve and {it.coming} will, more than {ceiling}"


def settling(found: Course, phases: Sequence[Phase], end: datetime) -> timedelta:
    """The longest that nodes were under way after a change of bounds."""
    longest = timedelta(0)
    for phase, after in pairwise([*phases, Phase(end, 0, 0)]):
        here = [it.at for it in found.moments if phase.begin <= it.at < after.begin]
        longest = max([longest, *(at - phase.begin for at in here)])
    return longest


def unasked(found: Course, phases: Sequence[Phase], grace: timedelta) -> int:
    """Switches that began although no bounds had changed shortly before."""
    return sum(not any(phase.begin <= at < phase.begin + grace for phase in phases) for at in found.began)
