"""Who has a say in which nodes change their mode, and in which order: people, bounds, whoever waits, and tidiness.

What is under way goes on as long as any of them has a reason for it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from trainpush.model.modes import Mode, SwitchStep
from trainpush.planner.modes.bounds import BOUNDED, ModeCounts
from trainpush.planner.modes.candidates import Unit, is_other
from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.nodes import BEFORE_FLIP, EARLY, LATE, NodeState
from trainpush.planner.modes.selection import Selection

_PEOPLE: Final = "people want it"
"""Why a node changes for itself, whatever its unit does."""


def select(selection: Selection, demands: Iterable[Demand]) -> None:
    """Choose what people wish, what the bounds ask for, what those who wait need; then keep what must go on."""
    _give_up(selection)
    _wishes(selection)
    for mode in BOUNDED:
        selection.raise_to_least(mode)
    for mode in BOUNDED:
        selection.lower_to_most(mode)
    for demand in demands:
        selection.meet(demand)
    _homecoming(selection)
    _keep(selection)
    _complete(selection)


def _give_up(selection: Selection) -> None:
    """What is under way against people or bounds, or may not go on, goes back; the latest first."""
    early = (node for node in selection.states.nodes if node.step in EARLY)
    selection.give_up([node for node in early if not node.is_usable or (node.wish and node.wish is not node.to)])
    for unit in selection.under_way(EARLY):
        if any(node.wish is None and selection.candidates.block_reason(node, node.to) for node in unit):
            selection.give_up(unit)
    for unit in selection.under_way(EARLY):
        is_sacred = unit[0].wish is Mode.MAINTENANCE
        if not is_sacred and any(
            selection.counts.is_short(node.mode) or selection.counts.excess(node.to) for node in unit
        ):
            selection.give_up(unit)


def _wishes(selection: Selection) -> None:
    for node in selection.states.nodes:
        wish = node.wish
        if wish is None or not node.is_usable or (node.is_resting and wish is node.mode):
            continue
        if not node.is_resting:
            selection.kept |= {node.name} if node.to is wish and node.name not in selection.candidates.doomed else set()
        elif node.is_rolling:
            selection.unmet.append(f"{node.name} does not become {wish} yet: a service on it rolls out")
        elif wish is Mode.MAINTENANCE or (selection.counts.may_lose(node.mode) and selection.counts.may_have(wish)):
            selection.pick(node, wish, _PEOPLE, is_wish=True)
        else:
            selection.unmet.append(f"{node.name} does not become {wish} as people want: the bounds do not let it")


def _homecoming(selection: Selection) -> None:
    """Nodes leave Maintenance when nobody wants them there any more; and so do shared ones, elsewhere the exception."""
    for unit in selection.states.units:
        nodes = [node for node in unit if node.follows and node.is_resting and node.name not in selection.picks]
        for node in (node for node in nodes if node.mode is Mode.MAINTENANCE):
            _send_home(selection, [node], _home(selection, nodes))
        _send_home(selection, _strays(selection, nodes), selection.default)


def _send_home(selection: Selection, nodes: Sequence[NodeState], to: Mode) -> None:
    if not selection.is_full and selection.may(nodes, to):
        for node in nodes:
            selection.pick(node, to, f"nobody wants it in {node.mode} any more")


def _home(selection: Selection, unit: Sequence[NodeState]) -> Mode:
    """Where a node of a unit goes that nobody needs: to the mode of the others, if they have one, else the default."""
    others = {node.mode for node in unit} - {Mode.MAINTENANCE}
    its = others.pop() if len(others) == 1 else selection.default
    return its if selection.counts.may_have(its) else selection.home()


def _strays(selection: Selection, unit: Sequence[NodeState]) -> list[NodeState]:
    """Shared nodes where that is not the default, if all that is in their unit could stay if they were not."""
    others = [node for node in unit if node.mode is not selection.default]
    is_free = all(
        node.suits(selection.default) and not selection.candidates.block_reason(node, selection.default)
        for node in others
    )
    return [node for node in others if node.mode is Mode.SHARED] if is_free else []


def _keep(selection: Selection) -> None:
    """Of what is under way and was not chosen, keep what is needed all the same; the latest is given up first."""
    # Nothing is given up for the sake of a switch that may begin one day.
    begun = ModeCounts.of(
        selection.counts.feasible, (it for it in selection.states.nodes if it.name not in selection.candidates.doomed)
    )
    for node in (
        node for node in selection.states.nodes if node.name in selection.candidates.doomed and node.is_usable
    ):
        begun.there[node.mode] += 1
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


def _is_last(selection: Selection, unit: Unit) -> bool:
    """Whether the rest of its unit has turned already."""
    mates = (
        node for node in selection.states.units[unit[0].unit] if node.step not in BEFORE_FLIP and node.to is unit[0].to
    )
    return any(node.step in LATE or node.begun == unit[0].begun for node in mates)


def _is_on_the_way_home(selection: Selection, node: NodeState) -> bool:
    """Whether a node leaves a mode in which nobody wants it."""
    is_stray = node.mode is Mode.SHARED and node.to is selection.default and node.suits(node.to)
    return node.mode is Mode.MAINTENANCE or is_stray


def _complete(selection: Selection) -> None:
    """Of a unit that changes no node stays behind: its annotation may not have been written, or it came later."""
    for unit in (unit for unit in selection.states.units if len(unit) > 1):
        ahead = (
            node
            for node in unit
            if not node.wish and Mode.MAINTENANCE not in {node.mode, node.to} and _is_going(selection, node)
        )
        if first := next(ahead, None):
            _bring(selection, unit, first)


def _is_going(selection: Selection, node: NodeState) -> bool:
    is_alone = node.switch is not None and node.switch.why == _PEOPLE
    return node.name in selection.picks or node.name in selection.kept or (node.step in LATE and not is_alone)


def _bring(selection: Selection, unit: Unit, first: NodeState) -> None:
    """All that rests of a unit changes as the `first` of it does, if bounds and what is on it let all of it."""
    pick = selection.picks.get(first.name)
    to, why = (pick.to, pick.why) if pick else (first.to, first.switch.why if first.switch else "")
    others = (node for node in unit if node.follows and node.is_resting and node.name not in selection.picks)
    behind = [node for node in others if node.mode is not to]
    if not any(selection.candidates.block_reason(it, to) for it in behind) and selection.may(behind, to):
        for node in behind:
            selection.pick(node, to, why)
