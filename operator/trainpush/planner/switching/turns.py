"""Who has a say in which nodes change their mode, and in which order: people, bounds, whoever waits, and tidiness.

What is under way goes on as long as any of them has a reason for it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from trainpush.model.modes import Mode, Step
from trainpush.planner.switching.calendar import BOUNDED
from trainpush.planner.switching.candidates import Unit, is_other
from trainpush.planner.switching.choosing import Choice
from trainpush.planner.switching.demand import Want
from trainpush.planner.switching.survey import BEFORE_FLIP, EARLY, LATE, Post
from trainpush.planner.switching.tally import Tally

_PEOPLE: Final = "people want it"
"""Why a node changes for itself, whatever its unit does."""


def choose(choice: Choice, wants: Iterable[Want]) -> None:
    """Fill `choice`: what people wish, what the bounds ask for, what those who wait need; then keep what must go on."""
    _give_up(choice)
    _wishes(choice)
    for mode in BOUNDED:
        choice.raise_to_least(mode)
    for mode in BOUNDED:
        choice.lower_to_most(mode)
    for want in wants:
        choice.answer(want)
    _homecoming(choice)
    _keep(choice)
    _complete(choice)


def _give_up(choice: Choice) -> None:
    """What is under way against people or bounds, or may not go on, goes back; the latest first."""
    early = (it for it in choice.survey.posts if it.step in EARLY)
    choice.give_up([it for it in early if not it.is_usable or (it.wish and it.wish is not it.to)])
    for unit in choice.under_way(EARLY):
        if any(it.wish is None and choice.candidates.block(it, it.to) for it in unit):
            choice.give_up(unit)
    for unit in choice.under_way(EARLY):
        is_sacred = unit[0].wish is Mode.MAINTENANCE
        if not is_sacred and any(choice.tally.is_short(it.mode) or choice.tally.excess(it.to) for it in unit):
            choice.give_up(unit)


def _wishes(choice: Choice) -> None:
    for post in choice.survey.posts:
        wish = post.wish
        if wish is None or not post.is_usable or (post.is_resting and wish is post.mode):
            continue
        if not post.is_resting:
            choice.kept |= {post.name} if post.to is wish and post.name not in choice.candidates.doomed else set()
        elif post.is_rolling:
            choice.unmet.append(f"{post.name} does not become {wish} yet: a service on it rolls out")
        elif wish is Mode.MAINTENANCE or (choice.tally.may_lose(post.mode) and choice.tally.may_have(wish)):
            choice.pick(post, wish, _PEOPLE, is_wish=True)
        else:
            choice.unmet.append(f"{post.name} does not become {wish} as people want: the bounds do not let it")


def _homecoming(choice: Choice) -> None:
    """Nodes leave Maintenance when nobody wants them there any more; and so do shared ones, elsewhere the exception."""
    for unit in choice.survey.units:
        posts = [it for it in unit if it.follows and it.is_resting and it.name not in choice.picks]
        for post in (it for it in posts if it.mode is Mode.MAINTENANCE):
            _send_home(choice, [post], _home(choice, posts))
        _send_home(choice, _strays(choice, posts), choice.default)


def _send_home(choice: Choice, posts: Sequence[Post], to: Mode) -> None:
    if not choice.is_full and choice.may(posts, to):
        for post in posts:
            choice.pick(post, to, f"nobody wants it in {post.mode} any more")


def _home(choice: Choice, unit: Sequence[Post]) -> Mode:
    """Where a node of a unit goes that nobody needs: to the mode of the others, if they have one, else the default."""
    others = {it.mode for it in unit} - {Mode.MAINTENANCE}
    its = others.pop() if len(others) == 1 else choice.default
    return its if choice.tally.may_have(its) else choice.home()


def _strays(choice: Choice, unit: Sequence[Post]) -> list[Post]:
    """Shared nodes where that is not the default, if all that is in their unit could stay if they were not."""
    others = [it for it in unit if it.mode is not choice.default]
    is_free = all(it.suits(choice.default) and not choice.candidates.block(it, choice.default) for it in others)
    return [it for it in others if it.mode is Mode.SHARED] if is_free else []


def _keep(choice: Choice) -> None:
    """Of what is under way and was not chosen, keep what is needed all the same; the latest is given up first."""
    # Nothing is given up for the sake of a switch that may begin one day.
    begun = Tally.of(choice.tally.reach, (it for it in choice.survey.posts if it.name not in choice.candidates.doomed))
    for post in (it for it in choice.survey.posts if it.name in choice.candidates.doomed and it.is_usable):
        begun.there[post.mode] += 1
    for unit in choice.under_way(BEFORE_FLIP):
        if choice.is_full or _is_needed(choice, begun, unit):
            choice.kept |= {post.name for post in unit}
            continue
        for post in (it for it in unit if it.step is not Step.STUCK):
            begun.call_back(post.mode, post.to)
            choice.tally.call_back(post.mode, post.to)


def _is_needed(choice: Choice, begun: Tally, unit: Unit) -> bool:
    """Whether a switch that nobody chose must go on: some bound would be broken else, or it is stuck and missed."""
    if unit[0].wish:
        return False  # what people want goes on already
    if any(_is_on_the_way_home(choice, post) for post in unit) or _is_last(choice, unit):
        return True
    losses = Counter(post.mode for post in unit)
    if not all(begun.may_come_back(mode, nodes) for mode, nodes in losses.items()):
        return True
    going = [post for post in unit if post.step is not Step.STUCK]
    if len(going) < len(unit):
        is_missed = any(is_other(post, mode) for post in unit for mode in choice.pressed)
        return is_missed and not any(begun.is_short(mode) for mode in losses)
    return not begun.may_stay_away(unit[0].to, len(going))


def _is_last(choice: Choice, unit: Unit) -> bool:
    """Whether the rest of its unit has turned already."""
    mates = (it for it in choice.survey.units[unit[0].unit] if it.step not in BEFORE_FLIP and it.to is unit[0].to)
    return any(it.step in LATE or it.begun == unit[0].begun for it in mates)


def _is_on_the_way_home(choice: Choice, post: Post) -> bool:
    """Whether a node leaves a mode in which nobody wants it."""
    is_stray = post.mode is Mode.SHARED and post.to is choice.default and post.suits(post.to)
    return post.mode is Mode.MAINTENANCE or is_stray


def _complete(choice: Choice) -> None:
    """Of a unit that changes no node stays behind: its mark may not have been written, or it came later."""
    for unit in (unit for unit in choice.survey.units if len(unit) > 1):
        ahead = (
            it for it in unit if not it.wish and Mode.MAINTENANCE not in {it.mode, it.to} and _is_going(choice, it)
        )
        if first := next(ahead, None):
            _bring(choice, unit, first)


def _is_going(choice: Choice, post: Post) -> bool:
    is_alone = post.switch is not None and post.switch.why == _PEOPLE
    return post.name in choice.picks or post.name in choice.kept or (post.step in LATE and not is_alone)


def _bring(choice: Choice, unit: Unit, first: Post) -> None:
    """All that rests of a unit changes as the `first` of it does, if bounds and what is on it let all of it."""
    pick = choice.picks.get(first.name)
    to, why = (pick.to, pick.why) if pick else (first.to, first.switch.why if first.switch else "")
    others = (it for it in unit if it.follows and it.is_resting and it.name not in choice.picks)
    behind = [it for it in others if it.mode is not to]
    if not any(choice.candidates.block(it, to) for it in behind) and choice.may(behind, to):
        for post in behind:
            choice.pick(post, to, why)
