"""Which nodes shall change their mode, and for whom: wishes of people, bounds, then whoever waits.

Nothing is remembered from cycle to cycle. What is under way is chosen anew each time, before any other node;
what nobody chooses any more is given up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.modes import Mode, Step, Switching
from trainpush.model.workload import Gang, Key
from trainpush.planner.explaining.wording import count
from trainpush.planner.switching.bounds import Reach
from trainpush.planner.switching.calendar import BOUNDED
from trainpush.planner.switching.demand import Want
from trainpush.planner.switching.outlook import Outlook
from trainpush.planner.switching.ranking import Block, Cost, Rank, Taken, block, cost, rank
from trainpush.planner.switching.survey import EARLY, Post, Survey
from trainpush.planner.switching.tally import Tally

PICKS_MAX: Final = 64
"""So many nodes that rest are chosen in one cycle; far more than may begin at once."""

Blocks = tuple[tuple[Block, int], ...]
"""Why nodes are not taken, and how many of them: most first."""
Offer = tuple[Post, Mode]
"""A node, and what it would be."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A node that shall change its mode."""

    post: Post
    to: Mode
    why: str
    cost: Cost
    is_wish: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a want led to."""

    nodes: tuple[str, ...] = ()
    """Nodes that change for it; none where there is room already, or where nothing helps."""
    is_met: bool = True
    blocks: Blocks = ()
    """Why the other nodes that would do are not taken."""
    at_most: int | None = None
    """What the mode has at most, where that is in the way."""


class Choice:
    """What is chosen so far, and how many nodes each mode has then."""

    def __init__(self, survey: Survey, reach: Reach, switching: Switching, outlook: Outlook) -> None:
        """Nothing is chosen yet; what is under way against the bounds, or against people, is given up."""
        self.picks: dict[str, Pick] = {}
        """By node, the most urgent first."""
        self.kept: set[str] = set()
        """Nodes under way that go on although nobody chose them."""
        self.answers: dict[Key, Answer] = {}
        """For each that wants room: what all its wants led to."""
        self.unmet: list[str] = list(reach.unmet)
        """What was asked for and is not so, in words."""
        self._new = 0
        """Nodes among them that rest."""
        self.tally = Tally.of(reach, survey.posts)
        self.pressed: set[Mode] = set()
        """Modes of which more nodes are wanted than are there."""
        self.survey = survey
        self._switching = switching
        self._outlook = outlook
        self._ranks: dict[Mode, dict[str, Rank | None]] = {}
        """Of each node that was looked at; None where it may not change to that mode."""
        self._lists: dict[Mode, list[Post]] = {}
        """Nodes that may change, in order; until something is picked that changes the costs of others."""
        self._others: dict[Mode, list[tuple[int, Block]]] = {}
        self._judged: dict[tuple[str, Mode], Block | None] = {}
        self.doomed: set[str] = set()
        """Nodes under way that have to go back."""
        self._taken = Taken(post for post in survey.posts if not post.is_resting)
        self._doom()

    def _doom(self) -> None:
        early = sorted((it for it in self.survey.posts if it.step in EARLY), key=_begun, reverse=True)
        for post in early:
            is_wished = post.wish is post.to
            is_blocked = not is_wished and self._block(post, post.to) is not None
            if not post.is_usable or is_blocked or (post.wish and not is_wished):
                self._give_up(post)
        for post in early:
            is_sacred = post.wish is Mode.MAINTENANCE
            is_against = self.tally.is_short(post.mode) or self.tally.excess(post.to)
            if post.name not in self.doomed and is_against and not is_sacred:
                self._give_up(post)

    def _give_up(self, post: Post) -> None:
        self.doomed.add(post.name)
        self._taken.discard(post)
        self._judged.clear()
        if post.is_usable:
            self.tally.call_back(post.mode, post.to)

    @property
    def is_full(self) -> bool:
        """Whether no more is looked for in this cycle."""
        return self._new >= PICKS_MAX

    def pick(self, post: Post, to: Mode, why: str, is_wish: bool = False) -> None:
        """Choose a node."""
        self.picks[post.name] = Pick(post, to, why, cost(post, to, self.survey, self._taken), is_wish)
        self._taken.add(post)
        if post.is_resting:
            self._new += 1
            self.tally.send(post.mode, to)
        self._outlook.switch(post, to)
        self._others.clear()
        if post.gangs:
            self._forget({node for key in post.gangs for node in self.survey.gangs[key].place.nodes})

    def _forget(self, nodes: Iterable[str]) -> None:
        """To take more from the same gangs costs less now."""
        self._lists.clear()
        for node in nodes:
            for mode in Mode:
                self._judged.pop((node, mode), None)
            for ranks in self._ranks.values():
                ranks.pop(node, None)

    def raise_to_least(self, mode: Mode) -> None:
        """Choose nodes until `mode` has what it shall have at least; what is under way to it counts."""
        least = self.tally.reach.least[mode]
        while self.tally.missing(mode) and not self.is_full:
            self.pressed.add(mode)
            free = (it for it in self.candidates(mode) if it.is_resting and self._is_within((), it, mode))
            post = next(free, None)
            if post is None:
                here = f"{mode} has {self.tally.held(mode)} of at least {count(least, 'node')}"
                self.unmet.append(here + told(_counted(reason for _, reason in self._reasons(mode))))
                return
            self.pick(post, mode, f"{mode} has at least {count(least, 'node')}")

    def lower_to_most(self, mode: Mode) -> None:
        """Choose nodes that leave `mode` until it has no more than it may have."""
        most = self.tally.reach.most[mode]
        while self.tally.excess(mode) and not self.is_full:
            ways = ((it, to) for to in (self.home(mode), Mode.SHARED) for it in self.candidates(to))
            post, to = next(((it, to) for it, to in ways if it.mode is mode and it.is_resting), (None, Mode.SHARED))
            if post is None:
                here = [it for it in self.survey.posts if it.mode is mode and it.is_resting and it.is_usable]
                said = f"{mode} has {self.tally.held(mode)} of at most {count(most, 'node')}"
                self.unmet.append(said + told(_counted(self._block(it, to) or Block.FLOOR for it in here)))
                return
            self.pick(post, to, f"{mode} has at most {count(most, 'node')}")

    def home(self, former: Mode | None = None) -> Mode:
        """Where a node goes that `former` does not need: the default, else a mode that may have one more."""
        default = self._switching.default
        order = [default, *BOUNDED] if former else [default]
        return next((mode for mode in order if mode is not former and self.tally.may_have(mode)), Mode.SHARED)

    def answer(self, want: Want) -> None:
        """Find room for somebody: as things will be, else with more nodes."""
        if not self.answers.get(want.key, Answer()).is_met:
            return  # the others of the same kind find nothing either
        if any(self._seat(want, gang) for gang in want.gangs) or not want.may_switch:
            return
        self.pressed.add(want.mode)
        if self.is_full:
            return
        for gang in want.gangs:
            if found := self._switches(want, gang):
                for post, to in found:
                    self.pick(post, to, want.who)
                self._seat(want, gang)
                return
        self._refuse(want)

    def _seat(self, want: Want, gang: Gang) -> bool:
        """Take room that there is, or will be, for all of a gang in one domain; whether there is."""
        room, domain = self._outlook.room(gang, want.mode), self._outlook.domains(gang)
        sums = np.bincount(domain, weights=room).astype(np.int64)
        enough = np.flatnonzero(sums >= gang.workers)
        if not len(enough):
            return False
        rows = [int(row) for row in np.flatnonzero((domain == enough[0]) & (room > 0))]
        used = self._outlook.seat(gang, room, rows)
        posts = [self.survey.posts[row] for row in used]
        self._note(want, Answer(tuple(it.name for it in posts if it.name in self.picks or not it.is_resting)))
        return True

    def _switches(self, want: Want, gang: Gang) -> list[Offer]:
        """Nodes that make enough room in one domain: of all domains that where the best nodes do."""
        fits, domain = self._outlook.fits(gang), self._outlook.domains(gang)
        have = np.bincount(domain, weights=self._outlook.room(gang, want.mode)).astype(np.int64).tolist()
        taken: dict[int, list[Offer]] = {}
        for post, to in self._offers(want.mode, fits):
            place = int(domain[post.row])
            found = taken.setdefault(place, [])
            if self._is_within(found, post, to):
                found.append((post, to))
                have[place] += int(fits[post.row])
                if have[place] >= gang.workers:
                    return found
        return []

    def _offers(self, mode: Mode, fits: NDArray[np.int64]) -> Iterator[Offer]:
        """Nodes that may change for the sake of work, best first, with what they would be."""
        for post in self.candidates(mode):
            to = self._target(mode) if post.is_resting else post.to
            if fits[post.row] > 0 and (post.is_empty or not post.suits(to)):
                yield post, to

    def _target(self, mode: Mode) -> Mode:
        """What a node becomes for the sake of work: training gets back what is shared, where that is the default."""
        is_shared = mode is Mode.TRAINING and self._switching.default is Mode.SHARED
        return Mode.SHARED if is_shared and not self.tally.missing(mode) else mode

    def _is_within(self, found: Sequence[Offer], post: Post, to: Mode) -> bool:
        """Whether bounds let one more node change, beside those that were `found`."""
        if not post.is_resting:
            return True
        new = [offer for offer in found if offer[0].is_resting]
        gone = 1 + sum(it.mode is post.mode for it, _ in new)
        come = 1 + sum(mode is to for _, mode in new)
        return post.mode is not to and self.tally.may_lose(post.mode, gone) and self.tally.may_have(to, come)

    def candidates(self, mode: Mode) -> Iterator[Post]:
        """Nodes that may change to `mode`, or to a shared one for its sake, in order; those under way to it first."""
        if mode not in self._lists:
            ranks = self._ranks.setdefault(mode, {})
            ranks |= {post.name: self._rank(post, mode) for post in self.survey.posts if post.name not in ranks}
            found = [(known, post) for post in self.survey.posts if (known := ranks[post.name])]
            self._lists[mode] = [post for _, post in sorted(found, key=itemgetter(0))]
        return (post for post in self._lists[mode] if post.name not in self.picks)

    def _rank(self, post: Post, mode: Mode) -> Rank | None:
        to = mode if post.is_resting else post.to
        if not _is_other(post, mode) or post.name in self.doomed or self._block(post, to):
            return None
        return rank(post, cost(post, to, self.survey, self._taken))

    def is_on_the_way_home(self, post: Post) -> bool:
        """Whether a node leaves a mode in which nobody wants it."""
        is_stray = post.mode is Mode.SHARED and post.to is self._switching.default and post.suits(post.to)
        return post.mode is Mode.MAINTENANCE or is_stray

    def is_free(self, post: Post, to: Mode) -> bool:
        """Whether nothing on a node, nor its last switch, is in the way."""
        return self._block(post, to) is None

    def _block(self, post: Post, to: Mode) -> Block | None:
        if (post.name, to) not in self._judged:
            self._judged[post.name, to] = block(post, to, self.survey, self._switching, self._taken)
        return self._judged[post.name, to]

    def _refuse(self, want: Want) -> None:
        fits, to = self._outlook.fits(want.gangs[-1]).tolist(), self._target(want.mode)
        at_most = None if self.tally.may_have(to) else self.tally.reach.most[to]
        blocks = _counted(reason for row, reason in self._reasons(want.mode) if fits[row])
        self._note(want, Answer((), is_met=False, blocks=blocks, at_most=at_most))

    def _reasons(self, mode: Mode) -> list[tuple[int, Block]]:
        """Why nodes that do not have `mode` do not change to it, by row."""
        if mode not in self._others:
            others = (it for it in self.survey.posts if it.name not in self.picks and _is_elsewhere(it, mode))
            self._others[mode] = [(it.row, self._block(it, mode) or Block.FLOOR) for it in others]
        return self._others[mode]

    def _note(self, want: Want, answer: Answer) -> None:
        """Keep what was found for the one who wants it: the nodes of all its wants, and the first refusal."""
        before = self.answers.get(want.key, Answer())
        nodes = tuple(sorted({*before.nodes, *answer.nodes}))
        last = answer if before.is_met else before
        self.answers[want.key] = Answer(nodes, last.is_met, last.blocks, last.at_most)


def choose(choice: Choice, wants: Iterable[Want]) -> None:
    """Fill `choice`: what people wish, what the bounds ask for, what those who wait need; then keep what must go on."""
    _wishes(choice)
    for mode in BOUNDED:
        choice.raise_to_least(mode)
    for mode in BOUNDED:
        choice.lower_to_most(mode)
    for want in wants:
        choice.answer(want)
    _homecoming(choice)
    _keep(choice)


def told(blocks: Iterable[tuple[Block, int]]) -> str:
    """`; 3 nodes with replicas, 1 node changed too recently`; empty where there are none."""
    parts = ", ".join(f"{count(number, 'node')} {words}" for words, number in blocks)
    return f"; of the others: {parts}" if parts else ""


def _wishes(choice: Choice) -> None:
    for post in choice.survey.posts:
        wish = post.wish
        if wish is None or not post.is_usable or (post.is_resting and wish is post.mode):
            continue
        if not post.is_resting:
            choice.kept |= {post.name} if post.to is wish and post.name not in choice.doomed else set()
        elif post.is_rolling:
            choice.unmet.append(f"{post.name} does not become {wish} yet: a service on it rolls out")
        elif wish is Mode.MAINTENANCE or (choice.tally.may_lose(post.mode) and choice.tally.may_have(wish)):
            choice.pick(post, wish, "people want it", is_wish=True)
        else:
            choice.unmet.append(f"{post.name} does not become {wish} as people want: the bounds do not let it")


def _homecoming(choice: Choice) -> None:
    """Nodes leave Maintenance when nobody wants them there any more; and so do shared ones, elsewhere the exception."""
    for post in choice.survey.posts:
        to = choice.home()
        if post.name in choice.picks or post.wish or not post.is_usable or not post.is_resting or choice.is_full:
            continue
        is_stray = post.mode is Mode.SHARED and post.suits(to) and choice.is_free(post, to)
        if post.mode is not to and (post.mode is Mode.MAINTENANCE or is_stray):
            choice.pick(post, to, f"nobody wants it in {post.mode} any more")


def _keep(choice: Choice) -> None:
    """Of what is under way and was not chosen, keep what is needed all the same; the latest are given up first."""
    under_way = [post for post in choice.survey.posts if post.step in {*EARLY, Step.STUCK}]
    for post in sorted(under_way, key=_begun, reverse=True):
        if post.name in choice.picks or post.name in choice.kept or post.name in choice.doomed or not post.is_usable:
            continue
        if choice.is_full or _is_needed(choice, post):
            choice.kept.add(post.name)
        elif post.step is not Step.STUCK:
            choice.tally.call_back(post.mode, post.to)


def _is_needed(choice: Choice, post: Post) -> bool:
    """Whether a switch that nobody chose must go on: some bound would be broken else, or it is stuck and missed."""
    if post.wish:
        return post.wish is post.to
    if choice.is_on_the_way_home(post) or not choice.tally.may_come_back(post.mode):
        return True
    if post.step is Step.STUCK:
        return not choice.tally.is_short(post.mode) and any(_is_other(post, mode) for mode in choice.pressed)
    return not choice.tally.may_stay_away(post.to)


def _counted(reasons: Iterable[Block]) -> Blocks:
    return tuple(sorted(Counter(reasons).items(), key=lambda it: (-it[1], it[0])))


def _is_elsewhere(post: Post, mode: Mode) -> bool:
    return post.mode is not mode or not post.is_resting


def _is_other(post: Post, mode: Mode) -> bool:
    """Whether a node would have to change to be of use for `mode`, or is about to."""
    if post.is_resting:
        return post.mode is not mode
    return post.to in {mode, Mode.SHARED}


def _begun(post: Post) -> tuple[float, str]:
    return (post.begun, post.name)
