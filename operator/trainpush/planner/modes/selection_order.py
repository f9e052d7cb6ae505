"""Who has a say in which nodes change their mode, and in which order: people, bounds, whoever waits, and tidiness.

What is under way goes on as long as any of them has a reason for it.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from trainpush.model.modes import Mode, SwitchStep
from trainpush.planner.modes.bounds import BOUNDED, ModeCounts
from trainpush.planner.modes.candidates import Unit, is_other
from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.demand_matching import DemandMatching, DemandResult
from trainpush.planner.modes.nodes import BEFORE_FLIP, EARLY, LATE, NodeState
from trainpush.planner.modes.projected_capacity import ProjectedCapacity
from trainpush.planner.modes.selection import Selection
from trainpush.planner.places import Owner

_PEOPLE: Final = "people want it"
"""Why a node changes for itself, whatever its unit does."""


def select(
    selection: Selection, projected: Callable[[], ProjectedCapacity], demands: Iterable[Demand]
) -> dict[Owner, DemandResult]:
    """Choose what people wish, what the bounds ask for, what those who wait need; then keep what must go on.

    What the demands led to, by who has them. `projected` is the capacity as it will be with nothing chosen.
    """
    _give_up(selection)
    _wishes(selection)
    for mode in BOUNDED:
        selection.raise_to_least(mode)
    for mode in BOUNDED:
        selection.lower_to_most(mode)
    _complete(selection)  # else those who want room would count on nodes that follow their unit
    matching = DemandMatching(selection, projected)
    for demand in demands:
        matching.meet(demand)
    _homecoming(selection, matching.awaited())
    _keep(selection)
    _complete(selection)
    return matching.results()


def _give_up(selection: Selection) -> None:
    """What is under way against people or bounds, or may not go on, goes back; the latest first."""
    counts, candidates = selection.counts, selection.candidates
    early = (node for node in selection.states.nodes if node.step in EARLY)
    selection.give_up([node for node in early if not node.is_usable or (node.wish and node.wish is not node.to)])
    for unit in selection.under_way(EARLY):
        if any(node.wish is None and candidates.block_reason(node, node.to) for node in unit):
            selection.give_up(unit)
    for unit in selection.under_way(EARLY):
        is_beyond = any(counts.is_short(node.mode) or counts.excess(node.to) for node in unit)
        if is_beyond and unit[0].wish is not Mode.MAINTENANCE:
            selection.give_up(unit)


def _wishes(selection: Selection) -> None:
    counts = selection.counts
    for node in selection.states.nodes:
        wish = node.wish
        if wish is None or not node.is_usable or (node.is_resting and wish is node.mode):
            continue
        if not node.is_resting:
            selection.kept |= {node.name} if node.to is wish and node.name not in selection.candidates.doomed else set()
        elif node.is_rolling:
            selection.unmet.append(f"{node.name} does not become {wish} yet: a service on it rolls out")
        elif wish is Mode.MAINTENANCE or (counts.may_lose(node.mode) and counts.may_have(wish)):
            selection.pick(node, wish, _PEOPLE, is_wish=True)
        else:
            selection.unmet.append(f"{node.name} does not become {wish} as people want: the bounds do not let it")


def _homecoming(selection: Selection, awaited: Container[str]) -> None:
    """Nodes leave Maintenance when nobody wants them there any more; and so do shared ones, elsewhere the exception."""
    default = selection.default
    for unit in selection.states.units:
        nodes = [node for node in unit if node.follows and node.is_resting and node.name not in selection.picks]
        for node in (node for node in nodes if node.mode is Mode.MAINTENANCE):
            # To the mode of the others, if they have one.
            others = {other.mode for other in nodes} - {Mode.MAINTENANCE}
            home = others.pop() if len(others) == 1 else default
            _send_home(selection, [node], home if selection.counts.may_have(home) else selection.home())
        strays = [node for node in nodes if node.mode is not default]
        # Only where all that is in their unit could stay then, and nobody is about to come.
        is_awaited = any(node.name in awaited for node in strays)
        may_go = (node.suits(default) and not selection.candidates.block_reason(node, default) for node in strays)
        if not is_awaited and all(may_go):
            _send_home(selection, [node for node in strays if node.mode is Mode.SHARED], default)


def _send_home(selection: Selection, nodes: Sequence[NodeState], to: Mode) -> None:
    if not selection.is_full and selection.may(nodes, to):
        for node in nodes:
            selection.pick(node, to, f"nobody wants it in {node.mode} any more")


def _keep(selection: Selection) -> None:
    """Of what is under way and was not chosen, keep what is needed all the same; the latest is given up first."""
    # Nothing is given up for the sake of a switch that may begin one day.
    nodes, doomed = selection.states.nodes, selection.candidates.doomed
    begun = ModeCounts.of(selection.counts.feasible, (node for node in nodes if node.name not in doomed))
    begun.there.update(node.mode for node in nodes if node.name in doomed and node.is_usable)
    for unit in selection.under_way(BEFORE_FLIP):
        if selection.is_full or _is_needed(selection, begun, unit):
            selection.kept |= {node.name for node in unit}
            continue
        for node in (node for node in unit if node.step is not SwitchStep.STUCK):
            begun.call_back(node.mode, node.to)
            selection.counts.call_back(node.mode, node.to)


def _is_needed(selection: Selection, begun: ModeCounts, unit: Unit) -> bool:
    """Whether a switch that nobody chose must go on: some bound would be broken else, or it is stuck and missed."""
    if unit[0].wish:
        return False  # what people want goes on already
    if any(_is_on_the_way_home(selection, node) for node in unit) or _is_last(selection, unit):
        return True
    losses = Counter(node.mode for node in unit)
    if not all(begun.may_come_back(mode, nodes) for mode, nodes in losses.items()):
        return True
    going = [node for node in unit if node.step is not SwitchStep.STUCK]
    if len(going) < len(unit):
        is_missed = any(is_other(node, mode) for node in unit for mode in selection.pressed)
        return is_missed and not any(begun.is_short(mode) for mode in losses)
    return not begun.may_stay_away(unit[0].to, len(going))


def _is_on_the_way_home(selection: Selection, node: NodeState) -> bool:
    """Whether a node leaves a mode in which nobody wants it."""
    is_stray = node.mode is Mode.SHARED and node.to is selection.default and node.suits(node.to)
    return node.mode is Mode.MAINTENANCE or is_stray


def _is_last(selection: Selection, unit: Unit) -> bool:
    """Whether the rest of its unit has turned already."""
    turned = (node for node in selection.states.units[unit[0].unit] if node.step not in BEFORE_FLIP)
    mates = (node for node in turned if node.to is unit[0].to)
    return any(node.step in LATE or node.begun == unit[0].begun for node in mates)


def _complete(selection: Selection) -> None:
    """Of a unit that changes no node stays behind: its annotation may not have been written, or it came later."""
    for unit in (unit for unit in selection.states.units if len(unit) > 1):
        moving = (node for node in unit if not node.wish and Mode.MAINTENANCE not in {node.mode, node.to})
        if ahead := next((node for node in moving if _is_going(selection, node)), None):
            _bring(selection, unit, ahead)


def _is_going(selection: Selection, node: NodeState) -> bool:
    is_alone = node.switch is not None and node.switch.why == _PEOPLE
    return selection.goes_on(node) or (node.step in LATE and not is_alone)


def _bring(selection: Selection, unit: Unit, ahead: NodeState) -> None:
    """All that rests of a unit changes as the one `ahead` does, if bounds and what is on it let all of it."""
    pick = selection.picks.get(ahead.name)
    to, why = (pick.to, pick.why) if pick else (ahead.to, ahead.switch.why if ahead.switch else "")
    others = (node for node in unit if node.follows and node.is_resting and node.name not in selection.picks)
    behind = [node for node in others if node.mode is not to]
    if not any(selection.candidates.block_reason(node, to) for node in behind) and selection.may(behind, to):
        for node in behind:
            selection.pick(node, to, why)
